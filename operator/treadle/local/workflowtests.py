"""One test of a machine: an execution in virtual time whose Tasks are answered by mocks.

One rule: nothing outside is touched, not even a clock; a second run gives the same.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.asl.limits import VIRTUAL_SECONDS_MAX
from treadle.asl.program import Map, Program
from treadle.engine.commands import Task
from treadle.engine.context import Identity
from treadle.engine.events import (
    TaskId,
)
from treadle.engine.execution import Execution
from treadle.engine.memory import Status
from treadle.local.coverage import Coverage, Watch
from treadle.local.loops import LASTED
from treadle.local.mocks import Answer, Mocks, find
from treadle.local.world import Reply, World
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a test begins that does not say when."""

STEPS_MAX: Final = 200_000
"""Of one test. The bound of a history's events comes first, but in distributed Maps."""

PHASES: Final[Mapping[Status, str]] = {
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.TIMED_OUT: "TimedOut",
    Status.ABORTED: "Aborted",
    Status.RUNNING: "Running",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run.

    Attributes:
        program: the machine.
        input: its input.
        mocks: answers for its Tasks.
        identity: what the execution is called.
        begins_at: when it starts.
    """

    program: Program
    input: Json
    mocks: Mocks
    identity: Identity
    begins_at: datetime = BEGIN


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended.

    Attributes:
        status: as an Execution's phase.
        output: a value, where `has_output`.
        history: all of it.
        seconds: of virtual time.
        trouble: why it could not go on, where it could not; else empty.
    """

    status: str
    has_output: bool
    output: Json
    error: str | None
    cause: str | None
    history: Sequence[HistoryEntry]
    seconds: float
    trouble: str = ""

    @property
    def visited(self) -> list[str]:
        """The states that were entered, in order."""
        return [str(e.details.get("name")) for e in self.history if e.type.endswith("StateEntered")]


def run(trial: Trial, coverage: Coverage, stopwatch: Callable[[], float] | None = None) -> Ran:
    """Run a test's execution to its end.

    Args:
        trial: what to run.
        coverage: of its machine; what was reached is noted there.
        stopwatch: seconds of this thread's work, against expressions that never end.
    """
    this = _Run(trial, coverage, stopwatch)
    return this.ran(this.to_the_end())


class _Unanswered(Exception):  # noqa: N818 - a sentence for whoever wrote the test
    """No mock says what an attempt gets."""


class _Run:
    """One execution, its mocks, and who looks at what it does."""

    def __init__(
        self, trial: Trial, coverage: Coverage, stopwatch: Callable[[], float] | None
    ) -> None:
        self._mocks = trial.mocks
        self._watch = Watch(trial.program, coverage)
        self._visits: dict[tuple[str, tuple[int, ...]], dict[int, int]] = defaultdict(dict)
        self._begins_at = trial.begins_at
        self._execution = Execution.start(
            self._watch.program,
            "test",
            trial.identity,
            dumps(trial.input),
            seed=trial.identity.execution_arn.encode(),
            now=self._begins_at,
            stopwatch=stopwatch,
        )
        self._world = World(self._execution, self._begins_at, self._reply, self._watch)

    @property
    def _seconds(self) -> float:
        return (self._world.now - self._begins_at).total_seconds()

    def to_the_end(self) -> str:
        """Until it is over; gives why it could not come to that."""
        try:
            for _ in range(STEPS_MAX):
                if self._execution.status is not Status.RUNNING:
                    return ""
                if self._seconds > VIRTUAL_SECONDS_MAX:
                    return LASTED
                if not (self._world.act() or self._world.pass_time()):
                    return "the execution waits for what never comes"
        except _Unanswered as why:
            return str(why)
        return f"the execution has not ended after {STEPS_MAX:,} events; shorten what it loops over"

    def _reply(self, task: Task) -> Reply:
        answer = self._answer_for(task)
        output = "null" if answer.error is not None else dumps(answer.result)
        return Reply(output, answer.error, answer.delay_seconds)

    def _answer_for(self, task: Task) -> Answer:
        attempt, items = task.id.attempt - 1, self._items(task.id)
        entries = self._visits[task.state, items]
        visit = entries.setdefault(task.id.entry, len(entries))
        answers = self._mocks.get(task.state)
        where = "".join(f" of item {index}" for index in reversed(items))
        if answers is None:
            raise _Unanswered(
                f"'{task.state}' ran and has no mock; add to `mocks`, for example, "
                f"{dumps(task.state)}: [{{Return: {{}}}}]. It was given {_short(task.parameters)}"
            )
        answer = find(answers, attempt, visit, items)
        if answer is None:
            raise _Unanswered(
                f"the mock of '{task.state}' has no answer for attempt {attempt} (from 0) of visit "
                f"{visit}{where}; add one, or give one answer without a list, which serves all"
            )
        return answer

    def _items(self, task: TaskId) -> tuple[int, ...]:
        """Indices in the Maps around an attempt, the outermost first."""
        frames, found = self._execution.memory.frames, list[int]()
        frame = frames[task.frame]
        while frame.parent is not None:
            parent = frames[frame.parent]
            if isinstance(parent.definition, Map):
                found.append(frame.index)
            frame = parent
        return tuple(reversed(found))

    def ran(self, trouble: str) -> Ran:
        """What came of it."""
        memory = self._execution.memory
        history = histories.of(self._execution.encode())
        self._watch.ended(history)
        error = memory.error or StateError(None)
        return Ran(
            status=PHASES[memory.status],
            has_output=memory.output is not None,
            output=memory.output.value if memory.output is not None else None,
            error=error.name,
            cause=error.cause,
            history=history,
            seconds=self._seconds,
            trouble=trouble,
        )


_SHOWN_CHARS_MAX = 300


def _short(value: Json) -> str:
    text = dumps(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"
