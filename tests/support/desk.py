"""One execution in virtual time, with an outside world that answers from a script.

One rule: everything that is told to the execution goes through `tell`, which looks at all
invariants afterwards and sees that a snapshot holds the whole truth.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support import histories
from tests.support.histories import Entry
from tests.support.machines import Definition
from treadle.asl import document
from treadle.asl.errors import StateError
from treadle.asl.evaluator import Evaluator
from treadle.asl.json import Json, dumps
from treadle.asl.limits import DEFAULT, Limits
from treadle.asl.program import Task as TaskState
from treadle.engine import invariants
from treadle.engine.commands import Task
from treadle.engine.context import Identity
from treadle.engine.events import (
    Event,
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.engine.snapshot import Encoded

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
IDENTITY = Identity(
    "arn:aws:states:us-east-1:111111111111:execution:m:e",
    "e",
    "arn:aws:states:us-east-1:111111111111:stateMachine:m",
    "m",
)
REVISION = "r1"
STEPS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Gives:
    """An attempt's result, after some seconds."""

    value: Json = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Fails:
    """An attempt's error, after some seconds."""

    error: str | None = "Boom"
    cause: str | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Silent:
    """An attempt that is never answered."""


Answer = Gives | Fails | Silent
Script = Callable[[Task], Answer]


def echo(task: Task) -> Answer:
    """Every attempt gives what it was given."""
    return Gives(task.parameters)


def script(**answers: Sequence[Answer] | Answer) -> Script:
    """Answers by state, one after the other; the last for ever. Other states echo."""
    used: dict[str, int] = {}

    def answer(task: Task) -> Answer:
        told = answers.get(task.state)
        if told is None:
            return echo(task)
        if not isinstance(told, Sequence):
            return told
        used[task.state] = used.get(task.state, 0) + 1
        return told[min(used[task.state], len(told)) - 1]

    return answer


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    event: Event = field(compare=False)


class Desk:
    """See the module.

    Attributes:
        now: the time there.
        pages: all pages that were saved, by digest.
        checkpoint: of the last save.
        attempts: every attempt that was seen wanted, in order.
        told: every event that it was told, and when.
    """

    def __init__(
        self,
        definition: Definition,
        given: Json = None,
        answer: Script = echo,
        *,
        limits: Limits = DEFAULT,
        suspended: bool = False,
        thorough: bool = True,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.program = document.parse(definition)
        self.answer = answer
        self.limits = limits
        self.stopwatch = stopwatch
        self.evaluator = evaluator
        self.thorough = thorough
        self.now = BEGIN
        self.pages: dict[str, bytes] = {}
        self.checkpoint = ""
        self.attempts: list[Task] = []
        self.told: list[tuple[datetime, Event]] = []
        self._seen: set[TaskId] = set()
        self._due: list[_Due] = []
        self.execution = Execution.start(
            self.program,
            REVISION,
            IDENTITY,
            dumps({} if given is None else given),
            seed=b"seed",
            now=self.now,
            suspended=suspended,
            limits=limits,
            stopwatch=stopwatch,
            evaluator=evaluator,
        )
        self.look()

    # ------------------------------------------------------------------------------ telling

    def tell(self, event: Event) -> bool:
        """Let the execution handle an event now; whether it changed anything."""
        self.told.append((self.now, event))
        before = None if not self.thorough else self.execution.encode().checkpoint
        changed = self.execution.handle(event, self.now)
        if before is not None and not changed:
            assert self.execution.encode().checkpoint == before, "it changed and does not say so"
        self.look()
        return changed

    def tick(self, seconds: float = 0) -> bool:
        """Let time pass, then tell it."""
        self.now += timedelta(seconds=seconds)
        return self.tell(Tick())

    def starts(self, task: TaskId, uid: str = "") -> bool:
        """An attempt was seen."""
        return self.tell(TaskStarted(task, uid))

    def gives(self, task: TaskId, value: Json = None, at: datetime | None = None) -> bool:
        """An attempt ended well."""
        return self.tell(TaskSucceeded(task, dumps(value), at or self.now))

    def fails(self, task: TaskId, error: str | None = "Boom", cause: str | None = None) -> bool:
        """An attempt failed."""
        return self.tell(TaskFailed(task, StateError(error, cause), self.now))

    def stop(self, error: str | None = None, cause: str | None = None) -> bool:
        """A person stops it."""
        return self.tell(StopRequested(error, cause))

    def suspend(self, suspended: bool = True) -> bool:
        """A person suspends or resumes it."""
        return self.tell(SuspendChanged(suspended))

    # ----------------------------------------------------------------------------- the world

    def run(self, steps_max: int = STEPS_MAX) -> "Desk":
        """Until it is over, or nothing can happen any more."""
        for _ in range(steps_max):
            if not self.step():
                return self
        return self

    def step(self) -> bool:
        """The next thing that happens; whether something did."""
        if self.over:
            return False
        if self.execution.busy:
            return self.tick()
        event = self.next_event()
        if event is None:
            return False
        self.tell(event)
        return True

    def next_event(self) -> Event | None:
        """The next event of the world, time moved on to it; None where nothing is to come."""
        self._ask()
        due_at = self.execution.next_due()
        if self._due and (due_at is None or self._due[0].at <= due_at):
            self.now = max(self.now, self._due[0].at)
            return heapq.heappop(self._due).event
        if due_at is None:
            return None
        self.now = max(self.now, due_at)
        return Tick()

    def _ask(self) -> None:
        for task in [t for t in self.execution.wanted() if t not in self._seen]:
            command = self.execution.task(task)
            assert command is not None
            self._seen.add(task)
            self.attempts.append(command)
            self._push(self.now, TaskStarted(task, ""))
            answer = self.answer(command)
            if isinstance(answer, Silent):
                continue
            at = self.now + timedelta(seconds=answer.after)
            if isinstance(answer, Gives):
                self._push(at, TaskSucceeded(task, dumps(answer.value), at))
                if self._waits_for_token(task):
                    later = at + timedelta(seconds=0.5)
                    told = TaskSucceeded(task, dumps(answer.value), later, by_token=True)
                    self._push(later, told)
            else:
                self._push(at, TaskFailed(task, StateError(answer.error, answer.cause), at))

    def _waits_for_token(self, task: TaskId) -> bool:
        state = self.execution.memory.frames[task.frame].definition
        return isinstance(state, TaskState) and state.waits_for_token

    def _push(self, at: datetime, event: Event) -> None:
        heapq.heappush(self._due, _Due(at, len(self._seen), event))

    # ----------------------------------------------------------------------------- its state

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.execution.memory.over

    @property
    def status(self) -> str:
        """AWS's status."""
        return self.execution.status.value

    @property
    def output(self) -> Json:
        """Its output; None where it has none."""
        output = self.execution.memory.output
        return None if output is None else output.value

    @property
    def error(self) -> tuple[str | None, str | None] | None:
        """Its error's name and cause."""
        error = self.execution.memory.error
        return None if error is None else (error.name, error.cause)

    @property
    def outcome(self) -> tuple[str, Json, tuple[str | None, str | None] | None]:
        """All that came of it."""
        return self.status, self.output, self.error

    @property
    def wanted(self) -> list[TaskId]:
        """The attempts that must be running."""
        return list(self.execution.wanted())

    @property
    def states_wanted(self) -> list[str]:
        """The states whose attempts must be running."""
        frames = self.execution.memory.frames
        return [frames[task.frame].state for task in self.execution.wanted()]

    @property
    def only(self) -> TaskId:
        """The one attempt that must be running."""
        (task,) = self.execution.wanted()
        return task

    def history(self) -> list[Entry]:
        """All of it."""
        encoded = self.execution.encode()
        return histories.entries(encoded.checkpoint, self._with(encoded))

    def types(self) -> list[str]:
        """The types of its history."""
        return histories.types(self.history())

    # ------------------------------------------------------------------------------- saving

    def save(self) -> Encoded:
        """Save it as a store would: pages first."""
        encoded = self.execution.encode()
        self.pages = self._with(encoded)
        self.checkpoint = encoded.checkpoint
        self.execution.saved(encoded)
        return encoded

    def restart(self) -> None:
        """Save it and go on with what was saved."""
        self.save()
        self.execution = self.restored(self.checkpoint, self.pages)
        self.look()

    def restored(self, checkpoint: str, pages: Mapping[str, bytes]) -> Execution:
        """The execution that a checkpoint holds."""
        return Execution.restore(
            self.program,
            REVISION,
            IDENTITY,
            checkpoint,
            pages,
            limits=self.limits,
            stopwatch=self.stopwatch,
            evaluator=self.evaluator,
        )

    def _with(self, encoded: Encoded) -> dict[str, bytes]:
        return self.pages | {digest: page.raw for digest, page in encoded.pages.items()}

    def look(self) -> None:
        """All invariants, and that a snapshot holds the whole truth."""
        invariants.check(self.execution.memory)
        if self.thorough:
            encoded = self.execution.encode()
            twin = self.restored(encoded.checkpoint, self._with(encoded))
            invariants.check(twin.memory)
            assert twin.encode().checkpoint == encoded.checkpoint
            assert shown(twin) == shown(self.execution)
            numbers = [entry.id for entry in self.history()]
            assert numbers == list(range(1, self.execution.memory.history.next_id))


def shown(execution: Execution) -> tuple[object, ...]:
    """All that an execution shows of itself."""
    memory = execution.memory
    return (
        execution.status,
        memory.output and memory.output.text,
        memory.error,
        [execution.task(task) for task in execution.wanted()],
        list(execution.attempts()),
        execution.closing(),
        execution.next_due(),
        execution.busy,
        execution.suspended,
        execution.transitions,
        execution.progress,
        execution.places(1_000_000),
    )
