"""Whole machines with children, run by the operator's own rooms in a simulated cluster."""

import json
from typing import Any

import pytest

from treadle.asl import document
from treadle.sim import faults, machines
from treadle.sim.checkers import Outcome
from treadle.sim.faults import Crash, Plan
from treadle.sim.nesting import MACHINES, alone
from treadle.sim.operator import life
from treadle.sim.world import Report, Setting, live_through

AWS = "arn:aws:states:::states:startExecution"
Definition = dict[str, Any]


def job(**script: Any) -> Definition:
    parameters = {"image": "busybox", "command": ["pretend", json.dumps(script)]}
    return {"Type": "Task", "Resource": "treadle:job", "Parameters": parameters}


def starts(machine: str, resource: str = "treadle:execution.sync", **more: Any) -> Definition:
    parameters = {"stateMachine": machine, **more.pop("also", {})}
    if resource.startswith(AWS):
        parameters = {"StateMachineArn": f"{MACHINES}{machine}", "Input.$": "$"}
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **more}


ABROAD = {"namespace": "abroad"}


def lived(
    definition: Definition,
    plan: Plan = faults.NONE,
    stopped_after: float = 0.0,
    **of: Any,
) -> Report:
    """The world of one Execution, of machines by name."""
    deed: machines.Deed = "stop" if stopped_after else ""
    sample = machines.Sample(definition, {"v": 1}, False, deed, stopped_after, of)
    report = live_through(Setting(1, "names", plan, (sample,), life, document.parse))
    assert report.violations == ()
    return report


def outcome(definition: Definition, **of: Any) -> Outcome:
    return lived(definition, **of).outcomes["e0"]


def output(definition: Definition, **of: Any) -> Any:
    found = outcome(definition, **of)
    assert found.phase == "Succeeded", found
    return json.loads(found.output or "")


def cause(definition: Definition, **of: Any) -> Any:
    found = outcome(definition, **of)
    assert (found.phase, found.error) == ("Failed", "States.TaskFailed")
    return json.loads(found.cause or "")


def aborted(report: Report) -> list[str]:
    """Children that were stopped, in the trace's order."""
    lines = [line.split() for line in report.trace]
    return [w[3] for w in lines if w[1:3] == ["~", "Execution"] and w[-1] == "Aborted"]


HANGS = alone("H", job(hang=True))
FAILS = {"StartAt": "C", "States": {"C": {"Type": "Fail", "Error": "Own", "Cause": "because"}}}


def test_the_output_of_a_child() -> None:
    child = alone("C", job(seconds=2, message='{"z":1}'))
    assert output(alone("A", starts("c")), c=child)["output"] == {"z": 1}
    for pattern, said in ((".sync", '{"z":1}'), (".sync:2", {"z": 1})):
        found = output(alone("A", starts("c", AWS + pattern)), c=child)
        assert found["Output"] == said
        assert 2000 <= found["StopDate"] - found["StartDate"] < 10_000


def test_a_large_output_of_a_child() -> None:
    large = {"Type": "Pass", "Result": "x" * 5_000}
    state = starts("c", OutputPath="$.output", Next="Fits")
    parent = {"StartAt": "A", "States": {"A": state, "Fits": {"Type": "Pass", "End": True}}}
    found = outcome(parent, c=alone("C", large))
    assert found.phase == "Succeeded"
    assert str(found.output).startswith("page "), "of the parent it is too large, too"
    short = alone("A", starts("c", ResultSelector={"n.$": "States.MathAdd(1, 1)"}))
    assert output(short, c=alone("C", large)) == {"n": 2}


def test_a_child_that_is_merely_started_goes_its_own_way() -> None:
    report = lived(alone("A", starts("c", AWS)), c=alone("C", job(seconds=60)))
    found = json.loads(report.outcomes["e0"].output or "")
    assert set(found) == {"ExecutionArn", "SdkHttpMetadata", "SdkResponseMetadata", "StartDate"}
    assert report.ended_at > 60, "the world waits for it"


@pytest.mark.parametrize(
    ("child", "error"),
    [
        (FAILS, "Own"),
        ({**HANGS, "TimeoutSeconds": 3}, "States.Timeout"),
        ({"StartAt": "H", "States": {"H": {**starts("c"), "End": True}}}, "States.TaskFailed"),
    ],
)
def test_a_child_that_does_not_succeed(child: Definition, error: str) -> None:
    assert cause(alone("A", starts("c")), c=child)["error"] == error


def test_a_machine_that_is_not_there() -> None:
    assert cause(alone("A", starts("nowhere")))["error"] == "Treadle.StartDeadlineExceeded"
    found = outcome(alone("A", starts("nowhere", AWS)))
    assert found.error == "StepFunctions.StateMachineDoesNotExistException"


def test_a_machine_that_starts_itself_ends() -> None:
    found = cause(alone("A", starts("m0")))
    depth = 1
    while found["error"] == "States.TaskFailed":
        found, depth = found["cause"], depth + 1
    assert found["error"] == "Treadle.LimitExceeded"
    assert depth == 16


def test_three_deep_stopped_at_the_top() -> None:
    report = lived(alone("A", starts("b")), stopped_after=30, b=alone("B", starts("c")), c=HANGS)
    assert report.outcomes["e0"].error == "Sim.Stopped"
    assert len(set(aborted(report))) == 3
    assert report.ended_at < 32, "all within a moment"


@pytest.mark.parametrize("back", [{}, {"namespace": "default"}])
def test_three_deep_through_another_namespace_stopped_at_the_top(back: Definition) -> None:
    below = {"b": alone("B", starts("c", also=back)), "c": HANGS}
    report = lived(alone("A", starts("b", also=ABROAD)), stopped_after=30, **below)
    assert report.outcomes["e0"].error == "Sim.Stopped"
    assert len(set(aborted(report))) == 3
    assert report.ended_at < 32, "all within a moment"


@pytest.mark.parametrize("seconds", [0.05, 0.4, 30.0])
@pytest.mark.parametrize("crashes", [(), (Crash(0, 0, seconds=29.9, down_seconds=10),)])
def test_a_parent_that_is_deleted_stops_a_child_of_another_namespace(
    seconds: float, crashes: tuple[Crash, ...]
) -> None:
    other = machines.Sample(alone("P", {"Type": "Pass"}), {}, False)
    below = {"b": alone("B", starts("c")), "c": alone("W", {"Type": "Wait", "Seconds": 10**6})}
    definition = alone("A", starts("b", also=ABROAD))
    deleted = machines.Sample(definition, {"v": 1}, False, "delete", seconds, below)
    plan = Plan(until=60, crashes=crashes) if crashes else faults.NONE
    report = live_through(Setting(1, "names", plan, (other, deleted), life, document.parse))
    assert report.violations == ()
    assert report.ended_at < 100, "nothing of it went on"
    assert seconds < 30 or len(set(aborted(report))) == 2


@pytest.mark.parametrize("also", [{}, ABROAD])
def test_a_timeout_stops_the_child(also: Definition) -> None:
    report = lived(alone("A", starts("c", also=also, TimeoutSeconds=10)), c=HANGS)
    assert report.outcomes["e0"].error == "States.Timeout"
    assert len(set(aborted(report))) == 1


def test_a_branch_that_fails_stops_the_child_of_another() -> None:
    fails = {
        "StartAt": "W",
        "States": {
            "W": {"Type": "Wait", "Seconds": 5, "Next": "F"},
            "F": {"Type": "Fail", "Error": "Own"},
        },
    }
    both = {"Type": "Parallel", "Branches": [alone("A", starts("c")), fails]}
    report = lived(alone("P", both), c=HANGS)
    assert report.outcomes["e0"].error == "Own"
    assert len(set(aborted(report))) == 1


def test_a_name_means_one_child() -> None:
    def named(value: int) -> Definition:
        return starts("c", also={"name": "nightly", "input": {"n": value}})

    both = {"Type": "Parallel", "Branches": [alone("A", named(1)), alone("B", named(1))]}
    report = lived(alone("P", both), c=alone("C", job(seconds=1, message='"x"')))
    assert report.outcomes["e0"].phase == "Succeeded"
    made = [line for line in report.trace if "+ Execution nightly-" in line]
    assert len(made) == 1
    other = {"Type": "Parallel", "Branches": [alone("A", named(1)), alone("B", named(2))]}
    found = outcome(alone("P", other), c=alone("C", job(seconds=1, message='"x"')))
    assert found.error == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_hundred_children_of_a_map() -> None:
    items = {"Type": "Pass", "Result": [{"v": n} for n in range(100)], "Next": "M"}
    state = starts("c", also={"input.$": "$.v"}, OutputPath="$.output")
    each = {"Type": "Map", "ItemProcessor": alone("A", state), "End": True}
    definition = {"StartAt": "I", "States": {"I": items, "M": each}}
    found = lived(definition, c=alone("C", {"Type": "Wait", "Seconds": 1})).outcomes["e0"]
    assert json.loads(found.output or "") == list(range(100))


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("also", [{}, ABROAD])
@pytest.mark.parametrize("call", range(6, 32, 2))
def test_killed_at_each_step_it_ends_the_same(call: int, also: Definition, *, landed: bool) -> None:
    plan = Plan(until=60, crashes=(Crash(0, 0, call=call, landed=landed),))
    parent = alone("A", starts("b", also=also, OutputPath="$.output.output"))
    below = {"b": alone("B", starts("c")), "c": alone("C", job(seconds=2, message='"x"'))}
    report = lived(parent, plan, **below)
    assert report.outcomes["e0"] == Outcome("Succeeded", '"x"', None, None)


@pytest.mark.parametrize("call", range(22, 46))
def test_a_child_that_ended_in_time_did_though_nobody_was_there_to_see(call: int) -> None:
    crash = Crash(0, 0, call=call, landed=True, down_seconds=30)
    state = starts("c", TimeoutSeconds=10, ResultSelector={"in": "time"})
    report = lived(alone("A", state), Plan(until=60, crashes=(crash,)), c=alone("C", job()))
    writes = [line.split() for line in report.trace if "~ Execution" in line]
    began = next(float(w[0]) for w in writes if w[3] == "e0" and w[-1] == "Running")
    ended = [float(w[0]) for w in writes if w[3] != "e0" and w[-1] == "Succeeded"]
    in_time = bool(ended) and ended[0] < began + 10
    assert report.outcomes["e0"].error == (None if in_time else "States.Timeout")
