"""Answers given instead of running Tasks, as AWS's Step Functions Local takes them.

One rule: `treadle run --mocks` and workflow tests read the same answers, by this module alone.
Source: AWS, "Testing state machines with Step Functions Local", MockConfigFile.json. `Delay`,
`Visits` and `Items` are ours.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from treadle.asl.arns import listed
from treadle.asl.errors import InvalidDocument, StateError
from treadle.asl.json import Json, dumps, loads
from treadle.asl.limits import OF_TESTS, SECONDS_MAX
from treadle.asl.pointers import escaped
from treadle.asl.texts import loads_document
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Mailbox, Order, Runner

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_LAST: Final = 999_999_999
_OTHERS: Final = "*"
_LEVELS_MAX = 16  # Maps inside one another, of which answers by item can be told apart


class WrongMocks(ValueError):  # noqa: N818 - it says what they are
    """Answers that cannot be read: where, a JSON pointer, and a sentence."""

    def __init__(self, pointer: str, sentence: str) -> None:
        super().__init__(f"{pointer}: {sentence}" if pointer else sentence)
        self.pointer = pointer
        self.sentence = sentence


R = TypeVar("R", bound=tuple[Any, ...])


class Numbered(list[R]):
    """Rows that each begin with a first and a last number; `at` finds the first row that fits.

    Ranges may overlap; where each row holds is computed once, so that thousands cost little.
    """

    def __init__(self, rows: Iterable[R] = ()) -> None:
        super().__init__(rows)
        self._begins, self._rows = list[int](), list[R | None]()
        order = sorted(range(len(self)), key=lambda index: self[index][0])
        open_rows: list[int] = []
        at = 0
        for begin in sorted({row[0] for row in self} | {row[1] + 1 for row in self}):
            while at < len(order) and self[order[at]][0] == begin:
                heappush(open_rows, order[at])
                at += 1
            while open_rows and self[open_rows[0]][1] < begin:
                heappop(open_rows)
            self._begins.append(begin)
            self._rows.append(self[open_rows[0]] if open_rows else None)

    def at(self, number: int) -> R | None:
        """The first row whose range holds a number; None where there is none."""
        found = bisect_right(self._begins, number)
        return self._rows[found - 1] if found else None


class Answer(NamedTuple):
    """What attempts `first` to `last` (from 0) get after `delay_seconds`: a result or an error."""

    first: int
    last: int
    result: Json
    error: StateError | None
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class By:
    """Answers that depend on a number.

    Attributes:
        what: "Visits": how often the state was entered before; "Items": the index in a Map.
        rows: the first and the last number, and the answers for them; the first row that fits.
    """

    what: str
    rows: Numbered[tuple[int, int, "Answers"]]


Answers: TypeAlias = Numbered[Answer] | By
Mocks: TypeAlias = Mapping[str, Answers]


def find(answers: Answers, attempt: int, visit: int, items: Sequence[int] = ()) -> Answer | None:
    """The answer for an attempt; None where there is none.

    Args:
        answers: of its state.
        attempt: of the visit, from 0.
        visit: of the state within its list of states, from 0.
        items: indices in the Maps around it, the outermost first.
    """
    while isinstance(answers, By):
        number = visit
        if answers.what == "Items":
            if not items:
                return None
            number, items = items[0], items[1:]
        row = answers.rows.at(number)
        if row is None:
            return None
        answers = row[2]
    return answers.at(attempt)


def maps_told_apart(answers: Answers) -> int:
    """In how many Maps, one inside the other, answers depend on the item."""
    if not isinstance(answers, By):
        return 0
    inner = max(maps_told_apart(each) for _, _, each in answers.rows)
    return inner + (answers.what == "Items")


# --------------------------------------------------------------------------------------- reading


def read(text: str, case: str = "") -> Mocks:
    """The answers by state.

    Args:
        text: AWS's MockConfigFile.json, a file of workflow tests, or an object of states: each
            with its answers. JSON or YAML.
        case: the name of a test case; needed where a file has several.

    Raises:
        ValueError: with a sentence that says what is wrong and where.
    """
    document = _document(text)
    if not isinstance(document, dict):
        raise ValueError("the mocks must be an object of states")
    if {"machine", "tests"} <= document.keys():
        return _of_test(document, case)
    try:
        states = _of_aws(document, case) if "StateMachines" in document else document
    except (AttributeError, TypeError):
        raise ValueError(
            "the mocks are not as AWS has them: /StateMachines/NAME/TestCases/CASE names for each "
            "state one of /MockedResponses"
        ) from None
    return parse(states)


def _document(text: str) -> Json:
    try:
        return loads(text)
    except ValueError:
        pass
    try:
        return loads_document(text, OF_TESTS)
    except InvalidDocument as why:
        first = why.problems[0]
        where = f"line {first.line}: " if first.line else ""
        raise ValueError(f"the mocks are not JSON or YAML: {where}{first.message}") from None


def _of_test(document: Mapping[str, Json], case: str) -> Mocks:
    tests = document["tests"]
    named = [t for t in tests if isinstance(t, dict)] if isinstance(tests, list) else []
    is_clear = not case and len(named) == 1
    found = [test for test in named if is_clear or test.get("name") == case]
    answers = found[0].get("mocks", {}) if found else None
    if not isinstance(answers, dict):
        known = ", ".join(str(test.get("name")) for test in named[:10]) or "none"
        raise ValueError(f"name a test as FILE#NAME; the tests are: {known}")
    return parse(answers, f"/tests/{tests.index(found[0])}/mocks")


def parse(states: Mapping[str, Json], pointer: str = "") -> Mocks:
    """The answers of an object of states that stands at a pointer. Raises: WrongMocks."""
    return {
        state: _answers(given, f"{pointer}/{escaped(state)}", frozenset(("Visits", "Items")))
        for state, given in states.items()
    }


def _of_aws(document: Mapping[str, Json], case: str) -> Mapping[str, Json]:
    responses = document.get("MockedResponses", {})
    cases = {
        (machine, name): states
        for machine, held in document["StateMachines"].items()
        for name, states in held.get("TestCases", {}).items()
    }
    meant = [states for key, states in cases.items() if case in ("", key[1], "/".join(key))]
    if len(meant) != 1:
        known = ", ".join(sorted(map("/".join, cases))) or "none"
        raise ValueError(
            "name a test case as FILE#CASE, or as FILE#MACHINE/CASE where machines have cases of "
            f"the same name; the cases are: {known}"
        )
    found = {}
    for state, name in meant[0].items():
        if name not in responses:
            raise ValueError(f"/MockedResponses has no '{name}', which '{state}' is to give")
        found[state] = responses[name]
    return found


def _answers(given: Json, where: str, allowed: frozenset[str]) -> Answers:
    if isinstance(given, list):
        given = {str(number): answer for number, answer in enumerate(given)}
    if not isinstance(given, dict) or not given:
        raise WrongMocks(
            where, "this must be a list of answers, or an object such as {'0': {'Return': …}}"
        )
    if {"Visits", "Items"} & given.keys():
        return _by(given, where, allowed)
    if {"Return", "Throw", "Delay"} & given.keys():
        return Numbered([_answer(0, _LAST, given, where)])
    return Numbered(
        _answer(*_numbers(text, place := f"{where}/{escaped(text)}", "an attempt"), answer, place)
        for text, answer in given.items()
    )


def _by(given: Mapping[str, Json], where: str, allowed: frozenset[str]) -> By:
    what, inner = next(iter(given.items()))
    if len(given) > 1:
        raise WrongMocks(where, f"beside {what} there can be nothing else")
    if what not in allowed or where.count(f"/{what}/") >= _LEVELS_MAX:
        raise WrongMocks(where, f"there can be no {what} here: Items go outside of Visits")
    if not isinstance(inner, dict) or not inner:
        raise WrongMocks(
            f"{where}/{what}", "this must be an object of answers by number, such as {'0': […]}"
        )
    within = frozenset(("Visits", "Items")) if what == "Items" else frozenset[str]()
    rows = []
    for text, answers in sorted(inner.items(), key=lambda row: row[0] == _OTHERS):
        place = f"{where}/{what}/{escaped(text)}"
        which = "an item" if what == "Items" else "a visit"
        first, last = (0, _LAST) if text == _OTHERS else _numbers(text, place, which)
        rows.append((first, last, _answers(answers, place, within)))
    return By(what, Numbered(rows))


def _numbers(text: str, where: str, what: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None:
        also = "" if what == "an attempt" else f", or {_OTHERS} for all others"
        raise WrongMocks(where, f"{what} is a number from 0, or a range such as 1-2{also}")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise WrongMocks(where, "a range goes from the lower to the higher number")
    return first, last


def _answer(first: int, last: int, answer: Json, where: str) -> Answer:
    if isinstance(answer, dict):
        delay = _delay(answer.get("Delay", 0), f"{where}/Delay")
        kind = answer.keys() - {"Delay"}
        if kind == {"Return"}:
            return Answer(first, last, answer["Return"], None, delay)
        thrown = answer.get("Throw") if kind == {"Throw"} else None
        if isinstance(thrown, dict) and thrown.keys() <= {"Error", "Cause"}:
            error, cause = thrown.get("Error"), thrown.get("Cause")
            if isinstance(error, str) and isinstance(cause, str | None):
                return Answer(first, last, None, StateError(error, cause), delay)
    raise WrongMocks(
        where,
        "an answer must have Return, or Throw with a text as Error and perhaps one as Cause; and "
        "may have Delay",
    )


def _delay(value: Json, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= SECONDS_MAX:
        raise WrongMocks(where, f"Delay must be a number of seconds from 0 to {SECONDS_MAX:,}")
    return float(value)


# --------------------------------------------------------------------------------------- running


class MockRunner:
    """Answers for states of the file; hands all others to the runners that it stands before."""

    makes_objects = False
    asks_first = False

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
        self._entries: dict[tuple[ExecutionKey, int, str], dict[int, int]] = {}
        self._later: dict[Attempt, asyncio.TimerHandle] = {}

    def current(self) -> bool:
        """See Runner."""
        return True

    async def start(self, order: Order) -> None:
        """Answer in time, or have it run; see Runner."""
        task, state = order.task, order.task.state
        if state not in self._mocks:
            name = listed(task.resource)
            runner = next((r for r in self._behind if name in r.resources), None)
            if runner is None:
                cause = f"nothing here runs the Resource {task.resource}, and '{state}' has no mock"
                self._fail(order, StateError("Treadle.ResourceNotRunnable", cause))
            else:
                await runner.start(order)
            return
        if order.attempt in self._later:
            return
        self._mailbox.post(order.execution, TaskStarted(task.id, ""))
        number = task.id.attempt - 1
        answer = find(self._mocks[state], number, self._visit(order))
        if answer is None:
            cause = f"the mocks have no answer for attempt {number} of '{state}'"
            self._fail(order, StateError("Treadle.NoMock", cause))
        elif answer.delay_seconds:
            loop = asyncio.get_running_loop()
            later = loop.call_later(answer.delay_seconds, self._give, order, answer)
            self._later[order.attempt] = later
        else:
            self._give(order, answer)

    def _visit(self, order: Order) -> int:
        task = order.task
        entries = self._entries.setdefault((order.execution, task.id.frame, task.state), {})
        return entries.setdefault(task.id.entry, len(entries))

    def _give(self, order: Order, answer: Answer) -> None:
        self._later.pop(order.attempt, None)
        if answer.error is not None:
            self._fail(order, answer.error)
        else:
            done = TaskSucceeded(order.task.id, dumps(answer.result), self._clock(), by_token=True)
            self._mailbox.post(order.execution, done)

    def _fail(self, order: Order, error: StateError) -> None:
        self._mailbox.post(order.execution, TaskFailed(order.task.id, error, self._clock()))

    async def stop(self, attempt: Attempt) -> None:
        """What was to be answered later is not; what runs is stopped by its own runner."""
        later = self._later.pop(attempt, None)
        if later is not None:
            later.cancel()

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """What is to be answered later."""
        return [attempt.task for attempt in self._later if attempt.execution == execution]

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""

    async def sweep(self) -> None:
        """See Runner."""
