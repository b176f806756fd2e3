"""Answers given instead of running Tasks, as AWS's Step Functions Local takes them.

One rule: a state that the file names is never run; all others are run as ever.
Source: AWS, "Testing state machines with Step Functions Local", MockConfigFile.json.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps, loads
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Mailbox, Order, Runner

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


class Answer(NamedTuple):
    """What attempts `first` to `last` (from 0) of a state get: a result or an error."""

    first: int
    last: int
    result: Json
    error: StateError | None


Mocks = Mapping[str, Sequence[Answer]]


def read(text: str, case: str = "") -> Mocks:
    """The answers by state.

    Args:
        text: AWS's MockConfigFile.json, or an object of states: each with its answers by attempt.
        case: the name of a test case; needed where a file of AWS's has several.

    Raises:
        ValueError: with a sentence that says what is wrong and where.
    """
    try:
        document = loads(text)
    except ValueError as why:
        raise ValueError(f"the mocks are not JSON: {why}") from None
    if not isinstance(document, dict):
        raise ValueError("the mocks must be an object of states")
    try:
        states = _of_aws(document, case) if "StateMachines" in document else document
    except (AttributeError, TypeError):
        raise ValueError(
            "the mocks are not as AWS has them: /StateMachines/NAME/TestCases/CASE names for each "
            "state one of /MockedResponses"
        ) from None
    return {state: _answers(given, f"/{state}") for state, given in states.items()}


def _of_aws(document: Mapping[str, Json], case: str) -> Mapping[str, Json]:
    responses = document.get("MockedResponses", {})
    cases: dict[str, Json] = {}
    for machine in document["StateMachines"].values():
        cases |= machine.get("TestCases", {})
    if not case and len(cases) == 1:
        case = next(iter(cases))
    if case not in cases:
        known = ", ".join(sorted(cases)) or "none"
        raise ValueError(f"name a test case as FILE#CASE; the cases are: {known}")
    found = {}
    for state, name in cases[case].items():
        if name not in responses:
            raise ValueError(f"/MockedResponses has no '{name}', which '{state}' is to give")
        found[state] = responses[name]
    return found


def _answers(given: Json, where: str) -> Sequence[Answer]:
    if isinstance(given, list):
        given = {str(number): answer for number, answer in enumerate(given)}
    if not isinstance(given, dict) or not given:
        raise ValueError(f"{where} must be an object such as {{'0': {{'Return': …}}}}")
    if {"Return", "Throw"} & given.keys():
        given = {"0-999999999": given}
    return [_answer(text, answer, f"{where}/{text}") for text, answer in given.items()]


def _answer(text: str, answer: Json, where: str) -> Answer:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{where}: an attempt is a number from 0, or a range such as 1-2")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"{where}: a range goes from the lower to the higher number")
    if isinstance(answer, dict) and answer.keys() == {"Return"}:
        return Answer(first, last, answer["Return"], None)
    thrown = answer.get("Throw") if isinstance(answer, dict) and len(answer) == 1 else None
    if isinstance(thrown, dict):
        error, cause = thrown.get("Error"), thrown.get("Cause")
        if isinstance(error, str) and isinstance(cause, str | None):
            return Answer(first, last, None, StateError(error, cause))
    raise ValueError(f"{where} must have Return, or Throw with Error and Cause, both texts")


class MockRunner:
    """Answers for states of the file; hands all others to the runners that it stands before."""

    makes_objects = False

    def __init__(
        self,
        mocks: Mocks,
        resources: frozenset[str],
        behind: Sequence[Runner],
        mailbox: Mailbox,
        clock: Clock,
    ) -> None:
        self.resources = resources
        self._mocks = mocks
        self._behind = behind
        self._mailbox = mailbox
        self._clock = clock

    def current(self) -> bool:
        """See Runner."""
        return True

    async def start(self, order: Order) -> None:
        """Answer at once, or have it run; see Runner."""
        task, state = order.task, order.task.state
        if state not in self._mocks:
            runner = next((r for r in self._behind if task.resource in r.resources), None)
            if runner is None:
                cause = f"nothing here runs the Resource {task.resource}, and '{state}' has no mock"
                self._fail(order, StateError("Treadle.ResourceNotRunnable", cause))
            else:
                await runner.start(order)
            return
        self._mailbox.post(order.execution, TaskStarted(task.id, ""))
        number = task.id.attempt - 1
        for answer in self._mocks[state]:
            if answer.first <= number <= answer.last:
                if answer.error is not None:
                    self._fail(order, answer.error)
                else:
                    done = TaskSucceeded(task.id, dumps(answer.result), self._clock())
                    self._mailbox.post(order.execution, done)
                return
        cause = f"the mocks have no answer for attempt {number} of '{state}'"
        self._fail(order, StateError("Treadle.NoMock", cause))

    def _fail(self, order: Order, error: StateError) -> None:
        self._mailbox.post(order.execution, TaskFailed(order.task.id, error, self._clock()))

    async def stop(self, attempt: Attempt) -> None:
        """Answers are there at once; what runs is stopped by its own runner."""

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """None of its own."""
        del execution
        return ()

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""

    async def sweep(self) -> None:
        """See Runner."""
