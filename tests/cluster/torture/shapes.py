"""The shapes of the mix's machines: each a function from a sketch to a definition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.cluster.torture.sketch import EXPENDABLE, IMAGE, Obj, Sketch, forgiving

_UNAVAILABLE = "States.Http.StatusCode.503"


def _machine(start: str, states: Obj, **more: Any) -> Obj:
    return {"StartAt": start, "States": states, **more}


def _wait(next_state: str) -> Obj:
    return {"Type": "Wait", "SecondsPath": "$.pause", "Next": next_state}


def _chain(sketch: Sketch) -> Obj:
    """Jobs one after the other."""
    names = [f"{EXPENDABLE}{n}" if n % 2 else f"Step{n}" for n in range(sketch.draw.randint(3, 5))]
    states = {}
    for name, after in zip(names, [*names[1:], None], strict=True):
        goes = {"Next": after} if after else {"End": True}
        states[name] = sketch.job(name, **goes)
    return _machine(names[0], states)


def _parallel(sketch: Sketch) -> Obj:
    """Three branches of different kinds, then what became of them."""
    job = f"{EXPENDABLE}Left"
    branches = [
        _machine(job, {job: sketch.job(job, End=True)}),
        _machine("Call", {"Call": sketch.call("Call", End=True)}),
        _machine("Rest", {"Rest": _wait("Right"), "Right": sketch.job("Right", End=True)}),
    ]
    count = sketch.draw.randint(2, 3)
    both = {
        "Type": "Parallel",
        "Branches": branches[-count:],
        "ResultPath": "$.both",
        "Next": "Sum",
    }
    last = {
        "Type": "Pass",
        "Parameters": {"count.$": "States.ArrayLength($.both)", "both.$": "$.both"},
        "End": True,
    }
    return _machine("Both", {"Both": both, "Sum": last})


def _fan(sketch: Sketch) -> Obj:
    """A Map with a bound; items of different kinds."""
    work = f"{EXPENDABLE}Work"
    item = {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.v", "NumericLessThan": 30, "Next": "Small"}],
            "Default": work,
        },
        "Small": {"Type": "Pass", "Result": "small", "ResultPath": "$.size", "End": True},
        work: sketch.job(work, End=True),
    }
    spread = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": sketch.draw.randint(1, 2),
        "ItemSelector": {
            "v.$": "$$.Map.Item.Value.v",
            "at.$": "$$.Map.Item.Index",
            "word.$": "$.word",
        },
        "ItemProcessor": _machine("Look", item),
        "ResultPath": "$.done",
        "Next": "Merge",
    }
    return _machine("Spread", {"Spread": spread, "Merge": sketch.job("Merge", End=True)})


def _stubborn(sketch: Sketch) -> Obj:
    """A Job that succeeds after one or two failures."""
    told = {"seconds": 2, "exitCode": 3, "failTimes": sketch.draw.randint(1, 2), "message": "7"}
    retry = {"ErrorEquals": ["Kubernetes.ExitCode.3"], "IntervalSeconds": 2, "MaxAttempts": 3}
    first = sketch.script(told, Retry=[retry], ResultPath="$.tries", Next="Rest")
    return _machine(
        "Try", {"Try": first, "Rest": _wait("Then"), "Then": sketch.job("Then", End=True)}
    )


def _doomed(sketch: Sketch) -> Obj:
    """A Job that says what is wrong until its retries are used up; caught, or not."""
    said = json.dumps({"error": "Shop.SoldOut", "cause": "no more of it"})
    told = {"seconds": 2, "exitCode": 1, "failTimes": 99, "failMessage": said}
    retry = {"ErrorEquals": ["Shop.SoldOut"], "IntervalSeconds": 2, "MaxAttempts": 1}
    state = sketch.script(told, Retry=[retry], Next="Never")
    states = {"Rest": _wait("Buy"), "Buy": state, "Never": {"Type": "Succeed"}}
    if sketch.draw.random() < 0.5:
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.why", "Next": "Tell"}]
        states["Tell"] = sketch.call("Tell", End=True)
    return _machine("Rest", states)


def _patient(sketch: Sketch) -> Obj:
    """Waits around Jobs."""
    work = f"{EXPENDABLE}Work"
    return _machine(
        "Before",
        {
            "Before": _wait(work),
            work: sketch.job(work, Next="Between"),
            "Between": {"Type": "Wait", "Seconds": sketch.draw.randint(4, 9), "Next": "Last"},
            "Last": sketch.job("Last", Next="Done"),
            "Done": {"Type": "Succeed", "OutputPath": "$.Last"},
        },
    )


def _caller(sketch: Sketch) -> Obj:
    """HTTP calls, some refused at first, between waits."""
    retry = {"ErrorEquals": [_UNAVAILABLE], "IntervalSeconds": 1, "MaxAttempts": 4}
    return _machine(
        "First",
        {
            "First": sketch.call("First", Next="Rest"),
            "Rest": _wait("Again"),
            "Again": sketch.call(
                "Again", fail_times=sketch.draw.randint(1, 2), Retry=[retry], Next="Between"
            ),
            "Between": {"Type": "Wait", "Seconds": sketch.draw.randint(6, 15), "Next": "Last"},
            "Last": sketch.call("Last", End=True),
        },
    )


def _refused(sketch: Sketch) -> Obj:
    """HTTP calls beside a Map, the last one refused for good."""
    each = _machine("Ask", {"Ask": sketch.call("Ask", End=True)})
    spread = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemProcessor": each,
        "ResultPath": "$.answers",
        "Next": "Rest",
    }
    last = sketch.call("Last", fail_times=99, status=418, Next="Never")
    states = {
        "Spread": spread,
        "Rest": _wait("Last"),
        "Last": last,
        "Never": {"Type": "Succeed"},
    }
    if sketch.draw.random() < 0.5:
        catch = {"ErrorEquals": ["States.Http.StatusCode.418"], "ResultPath": "$.e", "Next": "So"}
        last["Catch"] = [catch]
        states["So"] = {"Type": "Pass", "Result": "so it is", "ResultPath": "$.so", "End": True}
    return _machine("Spread", states)


def _chooser(sketch: Sketch) -> Obj:
    """One way of three, one of which fails."""
    return _machine(
        "Rest",
        {
            "Rest": _wait("Which"),
            "Which": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.n", "NumericLessThan": 3, "Next": "Bad"},
                    {
                        "And": [
                            {"Variable": "$.n", "NumericLessThan": 7},
                            {"Not": {"Variable": "$.word", "StringEquals": "alder"}},
                        ],
                        "Next": "Work",
                    },
                ],
                "Default": "Call",
            },
            "Bad": {"Type": "Fail", "Error": "Shop.Closed", "CausePath": "$.word"},
            "Work": sketch.job("Work", Next="Call"),
            "Call": sketch.call("Call", Next="Idle"),
            "Idle": {"Type": "Wait", "Seconds": sketch.draw.randint(5, 12), "End": True},
        },
    )


def _overdue(sketch: Sketch) -> Obj:
    """A Job that never ends, and what follows its timeout."""
    catch = {"ErrorEquals": ["States.Timeout"], "ResultPath": "$.late", "Next": "Then"}
    hang = sketch.script(
        {"hang": True},
        TimeoutSeconds=sketch.draw.randint(6, 12),
        Catch=[catch],
        Next="Never",
    )
    return _machine(
        "Hang",
        {"Hang": hang, "Never": {"Type": "Succeed"}, "Then": sketch.job("Then", End=True)},
    )


def _loop(sketch: Sketch) -> Obj:
    """The same states again and again."""
    return _machine(
        "Begin",
        {
            "Begin": {"Type": "Pass", "Result": 0, "ResultPath": "$.i", "Next": "Work"},
            "Work": sketch.job("Work", seconds=(2, 4), Next="Rest"),
            "Rest": {"Type": "Wait", "Seconds": 3, "Next": "Count"},
            "Count": {
                "Type": "Pass",
                "Parameters": {
                    "i.$": "States.MathAdd($.i, 1)",
                    "n.$": "$.n",
                    "Work.$": "$.Work",
                },
                "Next": "More",
            },
            "More": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.i", "NumericLessThan": 3, "Next": "Work"}],
                "Default": "Over",
            },
            "Over": {"Type": "Succeed"},
        },
    )


def _nested(sketch: Sketch) -> Obj:
    """A Map of Parallels beside a wait."""
    halves = {
        "Type": "Parallel",
        "Branches": [
            _machine("Ask", {"Ask": sketch.call("Ask", End=True)}),
            _machine("Half", {"Half": sketch.job("Half", End=True)}),
        ],
        "End": True,
    }
    spread = {
        "Type": "Map",
        "ItemsPath": "$.items[0:2]",
        "MaxConcurrency": 1,
        "ItemProcessor": _machine("Halves", {"Halves": halves}),
        "ResultPath": "$.halves",
        "Next": "Rest",
    }
    return _machine(
        "Spread", {"Spread": spread, "Rest": _wait("Done"), "Done": {"Type": "Succeed"}}
    )


def _torn(sketch: Sketch) -> Obj:
    """A branch that fails while its sibling waits; caught."""
    said = json.dumps({"error": "Shop.Torn", "cause": "in two"})
    told = {"seconds": 5, "exitCode": 1, "message": said}
    both = {
        "Type": "Parallel",
        "Branches": [
            _machine("Tear", {"Tear": sketch.script(told, End=True)}),
            _machine("Sit", {"Sit": {"Type": "Wait", "Seconds": 6000, "End": True}}),
        ],
        "Catch": [{"ErrorEquals": ["Shop.Torn"], "ResultPath": "$.torn", "Next": "Rest"}],
        "Next": "Never",
    }
    mend = f"{EXPENDABLE}Mend"
    return _machine(
        "Both",
        {
            "Both": both,
            "Never": {"Type": "Succeed"},
            "Rest": _wait(mend),
            mend: sketch.job(mend, End=True),
        },
    )


def _halting(sketch: Sketch) -> Obj:
    """A Map, one item at a time, that fails at its second, is tried once more, and fails."""
    told = {"seconds": 3, "exitCode": 4, "message": "cannot"}
    item = {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.k", "NumericEquals": 1, "Next": "Stop"}],
            "Default": "Go",
        },
        "Go": sketch.call("Go", End=True),
        "Stop": sketch.script(told, End=True),
    }
    spread = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 1,
        "ItemProcessor": _machine("Look", item),
        "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "MaxAttempts": 1}],
        "Next": "Never",
    }
    states = {"Rest": _wait("Spread"), "Spread": spread, "Never": {"Type": "Succeed"}}
    return _machine("Rest", states)


def _bulky(sketch: Sketch) -> Obj:
    """Data that needs pages, and an end by the machine's own deadline or after a Job."""
    text = "".join(sketch.draw.choice("abcdefgh ") for _ in range(6000))
    fill = {"Type": "Pass", "Result": text, "ResultPath": "$.text", "Next": "Rest"}
    late = sketch.draw.random() < 0.5
    rest = {"Type": "Wait", "Seconds": 6000 if late else 9, "Next": "Work"}
    states = {"Fill": fill, "Rest": rest, "Work": sketch.job("Work", End=True)}
    return _machine("Fill", states, **({"TimeoutSeconds": 25} if late else {}))


def _asking(sketch: Sketch) -> Obj:
    """JSONata: arguments, output, variables, a condition, items."""
    ask, each = f"{EXPENDABLE}Ask", f"{EXPENDABLE}Each"
    script = json.dumps({"seconds": sketch.draw.randint(4, 8), "echoInput": True})
    job = {"Type": "Task", "Resource": "treadle:job", "Retry": [forgiving()]}
    given = {"image": IMAGE, "command": ["pretend", script]}
    item = {
        **job,
        "Arguments": {**given, "input": "{% {'v': $states.input, 'of': $word} %}"},
        "Output": "{% $states.result.v %}",
        "End": True,
    }
    states = {
        ask: {
            **job,
            "Arguments": {**given, "input": "{% {'sum': $sum($states.input.items.v)} %}"},
            "Assign": {"word": "{% $uppercase($states.input.word) %}"},
            "Output": "{% $merge([$states.input, $states.result]) %}",
            "Next": "Rest",
        },
        "Rest": {"Type": "Wait", "Seconds": "{% $states.input.pause %}", "Next": "Which"},
        "Which": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $states.input.sum > 150 %}",
                    "Next": "Spread",
                    "Output": "{% $states.input.items[v > 20].v[] %}",
                }
            ],
            "Output": "{% $states.input.items.v[] %}",
            "Default": "Spread",
        },
        "Spread": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "MaxConcurrency": "{% 1 + 1 %}",
            "ItemProcessor": _machine(each, {each: item}),
            "Output": {"all": "{% $sort($states.result) %}", "word": "{% $word %}"},
            "End": True,
        },
    }
    return _machine(ask, states, QueryLanguage="JSONata")


def _spread(sketch: Sketch) -> Obj:
    """A distributed Map: batches as executions of their own, one of which may fail."""
    work = f"{EXPENDABLE}Work"
    item = {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.Items[0].k", "NumericEquals": 0, "Next": "Bad"}],
            "Default": work,
        },
        "Bad": {"Type": "Fail", "Error": "Shop.Empty"},
        work: sketch.job(work, End=True),
    }
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    spread = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": sketch.draw.randint(1, 2),
        "ItemBatcher": {"MaxItemsPerBatch": 1, "BatchInput": {"word.$": "$.word"}},
        "ToleratedFailureCount": sketch.draw.randint(0, 1),
        "ItemProcessor": {**_machine("Look", item), "ProcessorConfig": config},
        # What failed tells times and names of its own, which no other run has.
        "ResultPath": None,
        "Next": "Merge",
    }
    states = {"Rest": _wait("Spread"), "Spread": spread, "Merge": sketch.job("Merge", End=True)}
    return _machine("Rest", states)


SHAPES: tuple[Callable[[Sketch], Obj], ...] = (
    _chain,
    _parallel,
    _fan,
    _stubborn,
    _doomed,
    _patient,
    _caller,
    _refused,
    _chooser,
    _overdue,
    _loop,
    _nested,
    _torn,
    _halting,
    _bulky,
    _asking,
    _spread,
)
