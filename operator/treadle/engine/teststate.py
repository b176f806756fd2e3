"""One state alone: what it would do with an input, and with a mock of its work.

One rule: the state's own code runs as in an execution; only what is around it is made up.
Source: AWS API, TestState; "Using TestState API to test a state".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from treadle.asl import document, retrying
from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed, StateError
from treadle.asl.json import Json
from treadle.asl.limits import (
    AWS,
    ITEM_NODES,
    ITEMS_NODES_MAX,
    TEST_DATA_CHARS_MAX,
    VISIT_NODES_MAX,
    Limits,
)
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
    State,
    Succeed,
    Task,
    Wait,
)
from treadle.asl.scope import Effort
from treadle.asl.shapes import Mode, result_problem
from treadle.engine import datasets, failures, mapruns, records, states
from treadle.engine.failures import Ended
from treadle.engine.flow import Visit
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
        reader_data: of a Map: what its ItemReader reads; without it the input stands for that.
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
    reader_data: str | None = None
    role_arn: str | None = None


class Refused(Exception):  # noqa: N818 - what it is
    """A request that makes no test: AWS's error code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _invalid(message: str) -> Refused:
    return Refused("ValidationException", message)


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
    tested = _tested(request)
    _check_mock(tested.state, request)
    if request.caused_by is not None:
        _check_caused_by(tested.state, request.caused_by)
    if request.failed_items:
        _check_failed_items(tested.state)
    if request.reader_data is not None:
        _check_reader_data(tested.state, request.reader_data)
    try:
        given = Payload.read(request.input)
    except ValueError as why:
        message = f"Invalid State Machine Execution Input: {why}"
        raise Refused("InvalidExecutionInput", message) from None
    return _Test(request, tested, given, seed, limits).answer()


# ------------------------------------------------------------------------------ what is tested


@dataclass(frozen=True, slots=True)
class _Tested:
    """A state, by its name in the list of states that it is in; and the Map around it, if any."""

    machine: Machine
    name: str
    around: Map | None = None

    @property
    def state(self) -> State:
        return self.machine.states[self.name]


def _tested(request: Request) -> _Tested:
    definition, name = request.definition, request.state_name
    is_machine = isinstance(definition, dict) and "States" in definition
    if name is not None:
        if not is_machine:
            raise _invalid("A state is named; the definition must be one of a state machine.")
        return _found(_parsed(definition), name)
    if is_machine:
        raise _invalid("A definition of a state machine needs the name of the state to test.")
    targets = {target: {"Type": "Succeed"} for target in _targets(definition)}
    alone = {"StartAt": NAME, "States": {**targets, NAME: definition}}
    return _Tested(_parsed(alone), NAME)


def _parsed(definition: Json) -> Machine:
    program, problems = document.inspect(definition)
    if program is None:
        raise Refused("InvalidDefinition", aws_message(problems))
    return program.machine


def _found(machine: Machine, name: str) -> _Tested:
    """The state of this name, at any depth."""
    todo: list[tuple[Machine, Map | None]] = [(machine, None)]
    while todo:
        each, around = todo.pop()
        if name in each.states:
            return _Tested(each, name, around)
        for state in each.states.values():
            if isinstance(state, Parallel):
                todo.extend((branch, around) for branch in state.branches)
            elif isinstance(state, Map):
                todo.append((state.processor, state))
    raise _invalid(f"State not found: {name}")


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


def _check_mock(state: State, request: Request) -> None:
    mock = request.mock
    if mock is None:
        if isinstance(state, Map | Parallel):
            raise Refused(
                "InvalidDefinition",
                "TestState API does not support Map or Parallel states. Supported state types "
                "include: [Task, Wait, Pass, Succeed, Fail, Choice]",
            )
        if isinstance(state, Task):
            raise _invalid("A Task needs a mock of its result or error here.")
        if request.context is not None:
            raise _invalid("A context is only supported when a mock is specified")
        return
    if not isinstance(state, Map | Parallel | Task):
        kind = type(state).__name__
        raise _invalid(f"State type '{kind}' is not supported when a mock is specified")
    if (mock.result is None) == (mock.error is None):
        message = "A test mock should have only one of the following fields: [result, errorOutput]."
        raise _invalid(message)
    if mock.result is not None:
        _check_result(state, mock.result, mock.mode)


def _check_caused_by(state: State, name: str) -> None:
    inner = [state.processor] if isinstance(state, Map) else getattr(state, "branches", ())
    if not any(name in machine.states for machine in inner):
        message = f"errorCausedByState must be a state inside the tested one; {name:.80} is not."
        raise _invalid(message)


def _check_failed_items(state: State) -> None:
    if not (isinstance(state, Map) and state.is_distributed):
        message = "Failed items (mapIterationFailureCount) are counted of a distributed Map alone."
        raise _invalid(message)


def _check_reader_data(state: State, text: str) -> None:
    if not (isinstance(state, Map) and state.reader):
        raise _invalid("Data of an ItemReader (mapItemReaderData) go with a Map that has one.")
    if len(text) > TEST_DATA_CHARS_MAX:
        raise _invalid(f"mapItemReaderData has more than {TEST_DATA_CHARS_MAX:,} characters.")


def _check_result(state: Task | Map | Parallel, text: str, mode: Mode) -> None:
    try:
        result = Payload.read(text).value
    except ValueError:
        raise _invalid("Mocked result must be valid JSON.") from None
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
        raise _invalid(message)


# ------------------------------------------------------------------------------ the test


class _Test:
    """One test on its way."""

    def __init__(
        self,
        request: Request,
        tested: _Tested,
        given: Payload,
        seed: bytes,
        limits: Limits,
    ) -> None:
        self._request = request
        self._state = tested.state
        self._around = tested.around
        self._given = given
        self._seed = seed
        frame = Frame(0, None, 0, tested.machine, tested.name, entry=1, data=given)
        frame.entered_at = frame.scheduled_at = request.now
        frame.attempt = 1 + request.retries
        self._variables = dict(request.variables)
        self._inspected: dict[str, Any] = {"input": given}
        self._visit = Visit(
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
        found = self._failed(step) if isinstance(step, Failed) else self._succeeded(step)
        if self._variables:
            self._inspected["variables"] = Payload(self._variables)
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
                fork.parallel(state, visit)
                return self._ended() or fork.over(state, visit, self._mocked())
            case Map():
                return self._mapped(state)
            case Wait():
                step = wait.work(state, visit)
                return wait.finish(state, visit) if isinstance(step, Sleep) else step
            case _:
                return states.work(state, visit)

    def _mapped(self, state: Map) -> Step:
        visit, text = self._visit, self._request.reader_data
        read = None if text is None else datasets.items(state, text, visit)
        begun = fork.iterate(replace(state, reader=""), visit, read)
        assert isinstance(begun, StartFork)
        tolerance = fork.tolerance(state, visit)
        self._inspected["maxConcurrency"] = begun.fork.concurrency_max
        if tolerance.count is not None:
            self._inspected["toleratedFailureCount"] = tolerance.count
        if tolerance.percentage is not None:
            self._inspected["toleratedFailurePercentage"] = tolerance.percentage
        self._inspect_items(state, begun.fork)
        failed, total = self._request.failed_items, begun.fork.items_total
        if failed > total:
            raise _invalid(f"mapIterationFailureCount is {failed}; there are {total} items.")
        if failed and tolerance.is_exceeded(failed, total):
            return Failed(mapruns.EXCEEDED)
        return self._ended() or fork.over(state, visit, self._mocked())

    def _inspect_items(self, state: Map, begun: Fork) -> None:
        if isinstance(state.data, PathData):
            self._inspected["afterItemsPath"] = Payload(begun.items)
        if state.item_selector is not None:
            selected = self._each(fork.selected, state, begun, begun.items_total)
            self._inspected["afterItemSelector"] = selected
        if state.batcher is not None:
            batches = self._each(fork.child_input, state, begun, begun.total)
            self._inspected["afterItemBatcher"] = batches

    def _each(
        self, given: Callable[[Map, Visit, Fork, int], Payload], state: Map, begun: Fork, total: int
    ) -> Payload:
        """What is given to each of so many; all share a bound, as in an execution."""
        shared = Effort(ITEMS_NODES_MAX + ITEM_NODES * begun.items_total)
        efforts = (Effort(VISIT_NODES_MAX, shared) for _ in range(total))
        visits = (replace(self._visit, effort=effort) for effort in efforts)
        return Payload([given(state, visit, begun, i).value for i, visit in enumerate(visits)])

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
        step = self._guarded(partial(states.caught, catcher, error, self._visit))
        if isinstance(step, Failed):
            return {"status": "FAILED", **records.failed(step.error.name, step.error.cause)}
        self._inspected["errorDetails"] = {"catchIndex": index}
        told = records.failed(error.name, error.cause)
        return {**self._succeeded(step), "status": "CAUGHT_ERROR", **told}

    def _succeeded(self, step: Step) -> dict[str, Any]:
        assert isinstance(step, Done)
        if step.assigned is not None:
            self._variables |= step.assigned.value
        found: dict[str, Any] = {"status": "SUCCEEDED", "output": step.output}
        return found if step.next is None else {**found, "nextState": step.next}

    # -------------------------------------------------------------------------- what it sees

    def _note(self, stage: str, payload: Payload) -> None:
        # Of a Parallel AWS does not show an input that nothing has filtered.
        is_raw = payload is self._given and stage in _WORK and isinstance(self._state, Parallel)
        if stage in _SHOWN[type(self._state)] and not is_raw:
            self._inspected[stage] = payload

    def _context(self, item: Json | None) -> Json:
        own: dict[str, Json] = {} if item is None else {"Map": {"Item": item}}
        if self._request.context is not None:
            return {**own, **self._request.context}
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
        if self._around is not None:
            only = Fork(1, items=[self._given.value])
            context["Map"] = {"Item": fork.item_of(self._around, only, 0)}
        return {**context, **own}


_ARN: Final = "arn:aws:states:us-east-1:111111111111"
_WORK: Final = frozenset(("afterInputPath", "afterParameters", "afterArguments"))
_END: Final = frozenset(("afterResultSelector", "afterResultPath"))
_SHOWN: Final[Mapping[type, frozenset[str]]] = {
    Pass: (_WORK | _END | {"result"}) - {"afterArguments"},
    Task: _WORK | _END,
    Parallel: _WORK | _END,
    Map: _END | {"afterInputPath", "afterItemsPointer"},
    Choice: frozenset(("afterInputPath",)),
    Wait: frozenset(("afterInputPath",)),
    Succeed: frozenset(("afterInputPath",)),
    Fail: frozenset(("afterInputPath",)),
}
"""The data between the steps that AWS shows of each type of state. Source: recorded answers."""
