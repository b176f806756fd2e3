"""One test of a machine: an execution in virtual time whose Tasks are answered by mocks.

One rule: nothing outside is touched, not even a clock; a second run gives the same.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.asl.program import Map, Program
from treadle.engine.commands import Task
from treadle.engine.context import Identity
from treadle.engine.events import (
    Event,
    GoOn,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.engine.frames import Frame, Phase
from treadle.engine.memory import Status
from treadle.local.coverage import Coverage, Watch
from treadle.local.mocks import Answer, Mocks, find
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a test begins that does not say when."""

STEPS_MAX: Final = 200_000
"""Of one test. The bound of a history's events comes first, but in distributed Maps."""

SECONDS_MAX: Final = 100 * 366 * 86_400
"""That a test may last, in virtual time: a hundred years."""

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
    world = _World(trial, coverage, stopwatch)
    trouble = world.to_the_end()
    return world.ran(trouble)


class _Unanswered(Exception):  # noqa: N818 - a sentence for whoever wrote the test
    """No mock says what an attempt gets."""


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    task: TaskId = field(compare=False)
    answer: Answer = field(compare=False)


class _World:
    """One execution, and all that happens to it."""

    def __init__(
        self, trial: Trial, coverage: Coverage, stopwatch: Callable[[], float] | None
    ) -> None:
        self._mocks = trial.mocks
        self._watch = Watch(trial.program, coverage)
        self._due: list[_Due] = []
        self._asked: set[TaskId] = set()
        self._told: list[int] | None = None  # frames; None for all
        self._known = 0
        self._visits: dict[tuple[str, tuple[int, ...]], dict[int, int]] = defaultdict(dict)
        self._begins_at = self._now = trial.begins_at
        self._execution = Execution.start(
            self._watch.program,
            "test",
            trial.identity,
            dumps(trial.input),
            seed=trial.identity.execution_arn.encode(),
            now=self._now,
            stopwatch=stopwatch,
        )

    def to_the_end(self) -> str:
        """Until it is over; gives why it could not come to that."""
        try:
            for _ in range(STEPS_MAX):
                if self._execution.status is not Status.RUNNING:
                    return ""
                if (self._now - self._begins_at).total_seconds() > SECONDS_MAX:
                    return "the execution has lasted a hundred years; shorten what it waits for"
                if not (self._go_on() or self._ask() or self._answer() or self._pass_time()):
                    return "the execution waits for what never comes"
        except _Unanswered as why:
            return str(why)
        return f"the execution has not ended after {STEPS_MAX:,} events; shorten what it loops over"

    def _go_on(self) -> bool:
        return self._execution.busy and self._execution.handle(GoOn(), self._now)

    def _ask(self) -> bool:
        """What is wanted now, and was not before, is answered some time."""
        execution = self._execution
        changed = self._changed()
        self._watch.at_rest(changed)
        running = [frame.task_id for frame in changed if frame.phase is Phase.RUNNING]
        fresh = [task for task in running if task not in self._asked]
        for task_id in fresh:
            self._asked.add(task_id)
            execution.handle(TaskStarted(task_id, ""), self._now)
            task = execution.task(task_id)
            if task is not None:
                answer = self._answer_for(task)
                at = self._now + timedelta(seconds=answer.delay_seconds)
                heapq.heappush(self._due, _Due(at, len(self._asked), task_id, answer))
        return bool(fresh)

    def _changed(self) -> list[Frame]:
        """The frames that may have changed since this was asked last, oldest first.

        Of a thousand items each would else cost a look at all others.
        """
        memory, told = self._execution.memory, self._told
        self._told, known = [], self._known
        self._known = memory.next_frame
        if told is None:
            return list(memory.frames.values())
        new = takewhile(lambda number: number >= known, reversed(memory.frames))
        numbers = {*told, *new} & memory.frames.keys()
        return [memory.frames[number] for number in sorted(numbers)]

    def _tell(self, event: Event, number: int) -> None:
        """Let the execution handle what happens to a frame.

        That can change the frame itself, those that it is within, and Maps that wait for room.
        """
        memory, told = self._execution.memory, self._told
        for changing in (number, *memory.starved) if told is not None else ():
            frame = memory.frames.get(changing)
            while frame is not None and told is not None:
                told.append(frame.id)
                frame = None if frame.parent is None else memory.frames[frame.parent]
        self._execution.handle(event, self._now)

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

    def _answer(self) -> bool:
        """What is due by now."""
        if not self._due or self._due[0].at > self._now:
            return False
        due = heapq.heappop(self._due)
        error = due.answer.error
        if error is None:
            done = TaskSucceeded(due.task, dumps(due.answer.result), due.at)
            self._tell(done, due.task.frame)
        else:
            self._fail(due, error)
        return True

    def _fail(self, due: _Due, error: StateError) -> None:
        frame = self._execution.memory.frames.get(due.task.frame)
        if frame is not None and frame.task_id == due.task:
            self._watch.failing(frame, error, self._now)
        self._tell(TaskFailed(due.task, error, due.at), due.task.frame)

    def _pass_time(self) -> bool:
        timer = self._execution.next_due()
        instants = [at for at in (timer, self._due[0].at if self._due else None) if at is not None]
        if not instants:
            return False
        self._now = max(self._now, min(instants))
        if not self._answer():
            self._told = None  # a timer is anybody's
            self._execution.handle(Tick(), self._now)
        return True

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
            seconds=(self._now - self._begins_at).total_seconds(),
            trouble=trouble,
        )


_SHOWN_CHARS_MAX = 300


def _short(value: Json) -> str:
    text = dumps(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"
