"""One state alone: what it would do with an input, and with a mock of its work.

One rule: the state's own code runs as in an execution; only what is around it is made up.
Source: AWS API, TestState; "Using TestState API to test a state".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from treadle.asl import document, retrying
from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed, StateError
from treadle.asl.json import Json
from treadle.asl.limits import AWS, VISIT_NODES_MAX, Limits
from treadle.asl.lint import aws_message
from treadle.asl.program import (
    Catcher,
    Choice,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    PathData,
    QueryData,
    State,
    Succeed,
    Task,
    Wait,
)
from treadle.asl.scope import Effort
from treadle.asl.shapes import Mode, result_problem
from treadle.engine import failures, flow, mapruns, records, states
from treadle.engine.failures import Ended
from treadle.engine.frames import Fork, Frame
from treadle.engine.payloads import Payload
from treadle.engine.states import fork, task, wait
from treadle.engine.steps import Done, Failed, Sleep, StartFork, Step
from treadle.engine.times import aws_text
from treadle.engine.visits import TOKEN

Level: TypeAlias = Literal["INFO", "DEBUG", "TRACE"]

NAME: Final = "StateName"
"""What AWS calls a state that is tested."""


@dataclass(frozen=True, slots=True)
class Mock:
    """What the state's work gives: a result's JSON text, or an error."""

    result: str | None = None
    error: StateError | None = None
    mode: Mode = "STRICT"


@dataclass(frozen=True, slots=True)
class Request:
    """A test.

    Attributes:
        definition: of a state; or of a machine, with the name of its state.
        input: JSON text.
        now: what the time is.
        state_name: of a machine's state.
        level: how much of the data between the steps is shown.
        variables: by name.
        context: the whole context object, in place of a made-up one.
        mock: see there.
        retries: how often the retrier that matches was used before.
        caused_by: of a Parallel or Map: the state inside it that failed.
        failed_items: of a Map: how many items failed.
        role_arn: for the made-up context object.
    """

    definition: Json
    input: str
    now: datetime
    state_name: str | None = None
    level: Level = "INFO"
    variables: Mapping[str, Json] = field(default_factory=dict)
    context: Mapping[str, Json] | None = None
    mock: Mock | None = None
    retries: int = 0
    caused_by: str | None = None
    failed_items: int = 0
    role_arn: str | None = None


class Refused(Exception):  # noqa: N818 - what it is
    """A request that makes no test: AWS's error code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def answer(request: Request, seed: bytes = b"", limits: Limits = AWS) -> Mapping[str, Any]:
    """What AWS's TestState answers.

    Args:
        request: see there.
        seed: of its chances.
        limits: its bounds.

    Returns:
        `status` (SUCCEEDED, FAILED, RETRIABLE, CAUGHT_ERROR), and `output`, `error`, `cause`,
        `nextState`, `inspectionData` where there are; data as Payload.

    Raises:
        Refused: the request is wrong.
    """
    machine, name = _machine(request)
    state = machine.states[name]
    _check_mock(state, request.mock)
    if request.caused_by is not None:
        _check_caused_by(state, request.caused_by)
    try:
        given = Payload.read(request.input)
    except ValueError as why:
        message = f"Invalid State Machine Execution Input: {why}"
        raise Refused("InvalidExecutionInput", message) from None
    return _Test(request, machine, state, given, seed, limits).answer()


# ------------------------------------------------------------------------------ what is tested


def _machine(request: Request) -> tuple[Machine, str]:
    """The list of states that the tested state is in, and its name there."""
    definition = request.definition
    if isinstance(definition, dict) and "States" in definition:
        if request.state_name is None:
            message = "A definition of a state machine needs the name of the state to test."
            raise Refused("ValidationException", message)
        return _found(_parsed(definition), request.state_name), request.state_name
    name = request.state_name or NAME
    targets = {target: {"Type": "Succeed"} for target in _targets(definition)}
    alone = {"StartAt": name, "States": {**targets, name: definition}}
    return _parsed(alone), name


def _parsed(definition: Json) -> Machine:
    program, problems = document.inspect(definition)
    if program is None:
        raise Refused("InvalidDefinition", aws_message(problems))
    return program.machine


def _found(machine: Machine, name: str) -> Machine:
    """The list of states that has a state of this name, at any depth."""
    todo = [machine]
    while todo:
        each = todo.pop()
        if name in each.states:
            return each
        for state in each.states.values():
            if isinstance(state, Parallel):
                todo.extend(state.branches)
            elif isinstance(state, Map):
                todo.append(state.processor)
    raise Refused("ValidationException", f"State not found: {name}")


def _targets(state: Json) -> set[str]:
    """Where a state leads: what is not there is no fault of a state alone."""
    found: set[str] = set()
    if not isinstance(state, dict):
        return found
    rules = [*_list(state.get("Choices")), *_list(state.get("Catch"))]
    for holder in (state, *rules):
        for member in ("Next", "Default"):
            if isinstance(holder, dict) and isinstance(holder.get(member), str):
                found.add(holder[member])
    return found


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _check_mock(state: State, mock: Mock | None) -> None:
    kind = type(state).__name__
    if mock is None:
        if isinstance(state, Map | Parallel):
            raise Refused(
                "InvalidDefinition",
                "TestState API does not support Map or Parallel states. Supported state types "
                "include: [Task, Wait, Pass, Succeed, Fail, Choice]",
            )
        if isinstance(state, Task):
            raise Refused("ValidationException", "A Task needs a mock of its result or error here.")
        return
    if not isinstance(state, Map | Parallel | Task):
        message = f"State type '{kind}' is not supported when a mock is specified"
        raise Refused("ValidationException", message)
    if (mock.result is None) == (mock.error is None):
        message = "A test mock should have only one of the following fields: [result, errorOutput]."
        raise Refused("ValidationException", message)
    if mock.result is not None:
        _check_result(state, mock.result, mock.mode)


def _check_caused_by(state: State, name: str) -> None:
    inner = [state.processor] if isinstance(state, Map) else getattr(state, "branches", ())
    if not any(name in machine.states for machine in inner):
        message = f"errorCausedByState must be a state inside the tested one; {name:.80} is not."
        raise Refused("ValidationException", message)


def _check_result(state: Task | Map | Parallel, text: str, mode: Mode) -> None:
    try:
        result = Payload.read(text).value
    except ValueError:
        raise Refused("ValidationException", "Mocked result must be valid JSON.") from None
    message = None
    match state:
        case Task():
            message = result_problem(state.resource, result, mode)
        case Parallel():
            if not isinstance(result, list):
                message = "Mocked result must be an array."
            elif len(result) != len(state.branches):
                message = "Mocked result must be of the same length as the number of branches."
        case Map():
            if state.writer and not isinstance(result, dict):
                message = "Mocked result must be a JSON object."
            elif not state.writer and not isinstance(result, list):
                message = "Mocked result must be an array."
    if message is not None:
        raise Refused("ValidationException", message)


# ------------------------------------------------------------------------------ the test


class _Test:
    """One test on its way."""

    def __init__(
        self,
        request: Request,
        machine: Machine,
        state: State,
        given: Payload,
        seed: bytes,
        limits: Limits,
    ) -> None:
        self._request = request
        self._state = state
        self._given = given
        self._seed = seed
        frame = Frame(0, None, 0, machine, state.name, entry=1, data=given)
        frame.entered_at = frame.scheduled_at = request.now
        frame.attempt = 1 + request.retries
        self._inspected: dict[str, Any] = {"input": given}
        self._visit = flow.Visit(
            frame,
            given,
            request.now,
            limits,
            seed,
            self._context,
            Effort(VISIT_NODES_MAX),
            request.variables,
            self._note,
        )

    def answer(self) -> Mapping[str, Any]:
        """All of AWS's answer."""
        step = self._guarded(self._step)
        found = self._failed(step) if isinstance(step, Failed) else _succeeded(step)
        if self._request.variables:
            self._inspected["variables"] = Payload(dict(self._request.variables))
        if self._request.level != "INFO":
            found["inspectionData"] = self._inspected
        return found

    def _guarded(self, work: Callable[[], Step]) -> Step:
        try:
            return work()
        except EvaluationFailed as failure:
            head = f"An error occurred while executing the state '{self._state.name}' "
            cause = f"{head}(entered at the event id #0). {failure.cause}"
            ended = Ended.EVALUATED if failure.location else Ended.FOUND
            return Failed(StateError(failure.name, cause), ended)

    def _step(self) -> Step:
        state, visit = self._state, self._visit
        match state:
            case Task():
                task.work(state, visit)
                return self._ended() or task.finish(state, visit, self._mocked())
            case Parallel():
                if isinstance(state.data, QueryData):
                    flow.arguments(visit)
                return self._ended() or fork.over(state, visit, self._mocked())
            case Map():
                return self._mapped(state)
            case Wait():
                step = wait.work(state, visit)
                return wait.finish(state, visit) if isinstance(step, Sleep) else step
            case _:
                return states.work(state, visit)

    def _mapped(self, state: Map) -> Step:
        visit = self._visit
        begun = fork.iterate(state, visit)
        assert isinstance(begun, StartFork)
        tolerance = fork.tolerance(state, visit)
        self._inspected["maxConcurrency"] = begun.fork.concurrency_max
        if tolerance.count is not None:
            self._inspected["toleratedFailureCount"] = tolerance.count
        if tolerance.percentage is not None:
            self._inspected["toleratedFailurePercentage"] = tolerance.percentage
        if isinstance(state.data, PathData):
            self._inspect_items(state, begun.fork)
        failed = self._request.failed_items
        if (
            failed
            and state.is_distributed
            and tolerance.is_exceeded(failed, begun.fork.items_total)
        ):
            return Failed(mapruns.EXCEEDED)
        return self._ended() or fork.over(state, visit, self._mocked())

    def _inspect_items(self, state: Map, begun: Fork) -> None:
        self._inspected["afterItemsPath"] = Payload(begun.items)
        children = range(begun.total)
        if state.item_selector is None and state.batcher is None:
            return
        given = [fork.child_input(state, self._visit, begun, index).value for index in children]
        stage = "afterItemSelector" if state.batcher is None else "afterItemBatcher"
        self._inspected[stage] = Payload(given)

    def _mocked(self) -> Payload:
        mock = self._request.mock
        assert mock is not None
        assert mock.result is not None
        # As it was written: AWS shows it so.
        result = Payload(Payload.read(mock.result).value, mock.result)
        if isinstance(self._state, Task):
            self._inspected["result"] = result
        return result

    def _ended(self) -> Failed | None:
        mock = self._request.mock
        assert mock is not None
        return None if mock.error is None else Failed(mock.error, Ended.REPORTED)

    def _failed(self, step: Failed) -> dict[str, Any]:
        """An error on the ladder."""
        state, error = self._state, step.error
        told = records.failed(error.name, error.cause)
        if not isinstance(state, Task | Map | Parallel):
            return {"status": "FAILED", **told}
        used = [self._request.retries] * len(state.retry)
        now, chance = self._request.now, Chance(self._seed)
        decision = failures.next_step(state, error, used, now, chance, step.ended)
        match decision:
            case failures.RetryAt():
                retrier = state.retry[decision.retrier]
                seconds = retrying.delay_seconds(retrier, self._request.retries + 1, 1.0)
                self._inspected["errorDetails"] = {
                    "retryIndex": decision.retrier,
                    "retryBackoffIntervalSeconds": int(seconds),
                }
                return {"status": "RETRIABLE", **told}
            case failures.CatchTo():
                return self._caught(error, decision.catcher, state.catch.index(decision.catcher))
            case _:
                return {"status": "FAILED", **told}

    def _caught(self, error: StateError, catcher: Catcher, index: int) -> dict[str, Any]:
        caught, visit = Payload(error.as_output()), self._visit

        def work() -> Step:
            output = flow.output(visit, catcher.data, caught, failed=True)
            return Done(output, catcher.next)

        step = self._guarded(work)
        if isinstance(step, Failed):
            return {"status": "FAILED", **records.failed(step.error.name, step.error.cause)}
        self._inspected["errorDetails"] = {"catchIndex": index}
        told = records.failed(error.name, error.cause)
        return {**_succeeded(step), "status": "CAUGHT_ERROR", **told}

    # -------------------------------------------------------------------------- what it sees

    def _note(self, stage: str, payload: Payload) -> None:
        if stage in _SHOWN[type(self._state)]:
            self._inspected[stage] = payload

    def _context(self, item: Json | None) -> Json:
        if self._request.context is not None:
            return self._request.context
        state: dict[str, Json] = {"EnteredTime": aws_text(self._request.now), "Name": NAME}
        if isinstance(self._state, Task | Map | Parallel):
            state["RetryCount"] = self._request.retries
        machine, name = Chance(b"machine" + self._seed).uuid(), Chance(self._seed).uuid()
        context: dict[str, Json] = {
            "Execution": {
                "Id": f"{_ARN}:express:{machine}:{name}",
                "Input": self._given.value,
                "Name": name,
                "RoleArn": self._request.role_arn,
                "StartTime": aws_text(self._request.now),
            },
            "State": state,
            "StateMachine": {"Id": f"{_ARN}:stateMachine:{machine}", "Name": machine},
        }
        if isinstance(self._state, Task) and self._state.has_token:
            context["Task"] = {"Token": TOKEN}
        if item is not None:
            context["Map"] = {"Item": item}
        return context


_ARN: Final = "arn:aws:states:us-east-1:111111111111"
_WORK: Final = frozenset(("afterInputPath", "afterParameters", "afterArguments"))
_END: Final = frozenset(("afterResultSelector", "afterResultPath"))
_SHOWN: Final[Mapping[type, frozenset[str]]] = {
    Pass: (_WORK | _END | {"result"}) - {"afterArguments"},
    Task: _WORK | _END,
    Parallel: _WORK | _END,
    Map: _END | {"afterInputPath"},
    Choice: frozenset(("afterInputPath",)),
    Wait: frozenset(("afterInputPath",)),
    Succeed: frozenset(("afterInputPath",)),
    Fail: frozenset(("afterInputPath",)),
}
"""The data between the steps that AWS shows of each type of state. Source: recorded answers."""


def _succeeded(step: Step) -> dict[str, Any]:
    assert isinstance(step, Done)
    found: dict[str, Any] = {"status": "SUCCEEDED", "output": step.output}
    return found if step.next is None else {**found, "nextState": step.next}
