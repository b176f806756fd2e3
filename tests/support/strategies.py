"""Random machines, and worlds that answer them.

One rule: an answer depends on the attempt alone, so that the order of asking changes nothing.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from tests.support.desk import Answer, Fails, Gives, Script, Silent
from tests.support.machines import Definition, State
from treadle.asl.limits import Limits
from treadle.engine.commands import Task
from treadle.sim import machines as machines_of_the_simulation

ERRORS = ("Boom", "Other", "States.Timeout", "States.TaskFailed", None)
VALUES: tuple[Any, ...] = ({"n": 1}, {"n": 2, "l": [1, [2]]}, {}, {"a": "x"}, [1, {}], None, "x")
DEPTH_MAX = 2

Draw = Callable[[st.SearchStrategy[Any]], Any]


class _Author:
    """Writes one definition from what hypothesis draws; names are unique in the whole of it."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._numbers: Iterator[int] = itertools.count(1)

    def machine(self, depth: int) -> Definition:
        """A list of states: a chain, with side ways of Choices and Catches."""
        count = self._draw(st.integers(1 + (depth == DEPTH_MAX), 4 if depth else 2))
        names = [f"S{next(self._numbers)}" for _ in range(count)]
        states: dict[str, State] = {}
        for position, name in enumerate(names):
            following = names[position + 1 :]
            states |= self._state(name, following, depth)
        return {"StartAt": names[0], "States": states}

    def _state(self, name: str, following: list[str], depth: int) -> dict[str, State]:
        kinds = ["pass", "query", "query", "task", "task", "wait", "choice"]
        kinds += ["parallel", "parallel", "map", "map", "map"] if depth else []
        kinds += ["fail", "succeed"] if not following and depth < DEPTH_MAX else []
        kind = self._draw(st.sampled_from(kinds))
        deep = ("map", "parallel", "query")
        arguments = (following,) if kind == "choice" else (depth,) if kind in deep else ()
        state, more = getattr(self, f"_{kind}")(*arguments)
        if kind not in ("fail", "query", "succeed") and self._draw(st.booleans()):
            # Each depth has a name of its own: inner states may not assign an outer one.
            state["Assign"] = {f"v{depth}.$": "$"}
        if kind == "pass" and self._draw(st.integers(0, 3)) == 0:
            # It may have no value, or be of the states around these.
            read = self._draw(st.integers(depth, DEPTH_MAX))
            state["Parameters"] = {"read.$": f"$v{read}"}
        if state["Type"] not in ("Choice", "Fail", "Succeed"):
            state |= {"Next": following[0]} if following else {"End": True}
        return {name: state, **more}

    def _end(self) -> tuple[str, dict[str, State]]:
        name = f"S{next(self._numbers)}"
        return name, {name: {"Type": "Pass", "End": True}}

    def _pass(self) -> tuple[State, dict[str, State]]:
        members = self._draw(
            st.sampled_from(
                [
                    {},
                    {"Result": {"l": [1, 2, 3]}},
                    {"Result": "r", "ResultPath": "$.r"},
                    {"Parameters": {"u.$": "States.UUID()", "was.$": "$"}},
                    {"Parameters": {"l.$": "States.ArrayRange(1, 3, 1)"}},
                    {"Parameters": {"n.$": "$$.State.Name"}},
                ]
            )
        )
        return {"Type": "Pass", **members}, {}

    def _query(self, depth: int) -> tuple[State, dict[str, State]]:
        """A state in JSONata; some of its expressions fail."""
        output = self._draw(
            st.sampled_from(
                [
                    "{% $states.input %}",
                    {"l": [1, "{% $states.context.State.Name %}"], "n": "{% $random() %}"},
                    {"u": "{% $uuid() %}", "at": "{% $millis() %}", "was": "{% $states.input %}"},
                    f"{{% $v{DEPTH_MAX} %}}",
                    "{% $states.input.l[0] %}",
                    "{% $exists($states.input.n) ? $states.input.n + 1 : 0 %}",
                ]
            )
        )
        state: State = {"QueryLanguage": "JSONata", "Output": output}
        if self._draw(st.booleans()):
            state["Assign"] = {f"v{depth}": "{% $states.input %}"}
        match self._draw(st.integers(0, 3)):
            case 0:
                return {**state, "Type": "Wait", "Seconds": "{% 2 %}"}, {}
            case 1:
                task = {**state, "Type": "Task", "Resource": "treadle:activity/work"}
                task["Arguments"] = "{% {'n': $count($states.input), 'u': $uuid()} %}"
                ladder, more = self._with_ladder(task)
                for catcher in ladder.get("Catch", ()):
                    catcher["Output"] = "{% $states.errorOutput.Error %}"
                return ladder, more
            case _:
                return {**state, "Type": "Pass"}, {}

    def _wait(self) -> tuple[State, dict[str, State]]:
        return {"Type": "Wait", "Seconds": self._draw(st.integers(0, 9))}, {}

    def _fail(self) -> tuple[State, dict[str, State]]:
        return {"Type": "Fail", "Error": self._draw(st.sampled_from(["Boom", "Other"]))}, {}

    def _succeed(self) -> tuple[State, dict[str, State]]:
        return {"Type": "Succeed"}, {}

    def _choice(self, following: list[str]) -> tuple[State, dict[str, State]]:
        end, more = self._end()
        rule = self._draw(
            st.sampled_from(
                [{"Variable": "$.n", "IsPresent": True}, {"Variable": "$", "IsNull": True}]
            )
        )
        state: State = {"Type": "Choice", "Choices": [{**rule, "Next": end}]}
        if following or self._draw(st.booleans()):
            state["Default"] = following[0] if following else end
        return state, more

    def _task(self) -> tuple[State, dict[str, State]]:
        state: State = {"Type": "Task", "Resource": "treadle:activity/work"}
        if self._draw(st.integers(0, 4)) == 0:
            state["Resource"] = "arn:aws:states:us-east-1:111111111111:activity:work"
            state["HeartbeatSeconds"] = 1
        if self._draw(st.booleans()):
            state["TimeoutSeconds"] = self._draw(st.integers(2, 8))
        if self._draw(st.booleans()):
            state["ResultPath"] = self._draw(st.sampled_from([None, "$", "$.t"]))
        return self._with_ladder(state)

    def _parallel(self, depth: int) -> tuple[State, dict[str, State]]:
        count = self._draw(st.integers(1, 3))
        branches = [self.machine(depth - 1) for _ in range(count)]
        return self._with_ladder({"Type": "Parallel", "Branches": branches})

    def _map(self, depth: int) -> tuple[State, dict[str, State]]:
        state: State = {"Type": "Map", "ItemProcessor": self.machine(depth - 1)}
        state |= self._draw(
            st.sampled_from(
                [{}, {"MaxConcurrency": 1}, {"MaxConcurrency": 2}, {"MaxConcurrency": 2}]
            )
        )
        # The input of the execution always has a list, what comes along here may have none.
        paths = ["$$.Execution.Input.l", "$$.Execution.Input.l", "$$.Execution.Input.l", "$.l"]
        state["ItemsPath"] = self._draw(st.sampled_from(paths))
        if self._draw(st.booleans()):
            state["ItemSelector"] = {"n.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}
        if self._draw(st.integers(0, 2)) == 0:
            self._distribute(state)
        return self._with_ladder(state)

    def _distribute(self, state: State) -> None:
        """Children that are executions of their own; some may fail, some come in batches."""
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        state["ItemProcessor"]["ProcessorConfig"] = config
        state |= self._draw(
            st.sampled_from(
                [
                    {},
                    {"ToleratedFailureCount": 1},
                    {"ToleratedFailurePercentage": 100},
                    {"ToleratedFailureCountPath": "$.n"},
                ]
            )
        )
        batcher = self._draw(
            st.sampled_from([None, {"MaxItemsPerBatch": 2}, {"MaxInputBytesPerBatch": 30}])
        )
        if batcher is not None:
            state["ItemBatcher"] = batcher

    def _with_ladder(self, state: State) -> tuple[State, dict[str, State]]:
        if self._draw(st.booleans()):
            state["Retry"] = [
                {
                    "ErrorEquals": self._draw(st.sampled_from([["Boom"], ["States.ALL"]])),
                    "IntervalSeconds": self._draw(st.integers(1, 4)),
                    "MaxAttempts": self._draw(st.integers(0, 2)),
                    "JitterStrategy": self._draw(st.sampled_from(["NONE", "FULL"])),
                }
            ]
        more: dict[str, State] = {}
        if self._draw(st.booleans()):
            name, more = self._end()
            error = self._draw(st.sampled_from(["Boom", "States.ALL", "States.Timeout"]))
            state["Catch"] = [{"ErrorEquals": [error], "Next": name}]
        return state, more


@st.composite
def definitions(draw: Draw) -> Definition:
    """A definition; now and then with a time of its own."""
    definition = _Author(draw).machine(DEPTH_MAX)
    if draw(st.integers(0, 5)) == 0:
        definition["TimeoutSeconds"] = draw(st.integers(1, 20))
    return definition


def inputs() -> st.SearchStrategy[Any]:
    """Inputs that random machines can do something with."""
    return st.sampled_from(
        [{"l": [{"n": 1}, {}, {"l": [1]}]}, {"l": [1, 2], "n": 1}, {"l": []}, {}]
    )


def machines() -> st.SearchStrategy[tuple[Definition, Any]]:
    """Definitions with inputs: small odd ones, and larger sensible ones from the simulation."""
    odd = st.tuples(definitions(), inputs())
    return st.one_of(odd, st.integers(0, 2**32).map(_sensible))


def _sensible(seed: int) -> tuple[Definition, Any]:
    sample = machines_of_the_simulation.sample(seed, tasks_max=12)
    return sample.definition, sample.input


def limits() -> st.SearchStrategy[Limits]:
    """The ordinary bounds, or some that are soon met."""
    narrow = st.builds(
        Limits,
        history_events_max=st.sampled_from([40, 200, 25_000]),
        payload_bytes_max=st.sampled_from([400, 1_000_000]),
        live_frames_max=st.integers(1, 6),
        turn_transitions_max=st.integers(1, 5),
    )
    return st.one_of(st.just(Limits()), narrow)


def worlds() -> st.SearchStrategy[Script]:
    """How attempts are answered."""
    return st.integers(0, 2**32).map(world)


def world(salt: int) -> Script:
    """The world of a number."""

    def answer(task: Task) -> Answer:
        dice = hashlib.sha256(f"{salt}/{tuple(task.id)}".encode()).digest()
        after = (0.0, 0.0, 0.25, 1.0, 3.0, 7.5)[dice[1] % 6]
        if dice[0] < 190:
            return Gives(VALUES[dice[2] % len(VALUES)], after)
        if dice[0] < 248:
            return Fails(ERRORS[dice[2] % len(ERRORS)], "why", after)
        return Silent()

    return answer
