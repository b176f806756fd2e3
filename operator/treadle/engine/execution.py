"""One execution: told what happened and what time it is, it says what must exist outside.

One rule: `handle` is the only way in; an event that is late, repeated or unknown changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import assert_never

from treadle.asl.errors import INVALID_RESULT, TIMEOUT, StateError
from treadle.asl.evaluator import Evaluator
from treadle.asl.json import Json
from treadle.asl.limits import DEFAULT, Limits
from treadle.asl.program import Program, Task, Wait
from treadle.engine import commands, flow, places, records, redriving, snapshot
from treadle.engine.context import Identity
from treadle.engine.events import (
    Event,
    GoOn,
    RedriveRequested,
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskHeartbeat,
    TaskId,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.frames import Frame, Phase
from treadle.engine.memory import Closing, Memory, Progress, Status
from treadle.engine.payloads import Payload
from treadle.engine.records import is_activity
from treadle.engine.states import task as task_state
from treadle.engine.states import wait as wait_state
from treadle.engine.steps import RunTask, Step
from treadle.engine.times import after, whole_ms
from treadle.engine.walk import Walk

CLOSING_SECONDS = 120.0
"""How long the name of an attempt that ended unseen is kept taken. Source: design.md, fence 4."""


class Execution:
    """See the module. Make one with `start` or `restore`."""

    def __init__(
        self,
        program: Program,
        revision: str,
        identity: Identity,
        memory: Memory,
        limits: Limits = DEFAULT,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.program = program
        self.memory = memory
        self._limits = limits
        machine = program.machine
        self._walk = Walk(memory, machine, identity, limits, revision, stopwatch, evaluator)
        self._attempts = self._walk.attempts

    @classmethod
    def start(
        cls,
        program: Program,
        revision: str,
        identity: Identity,
        input_text: str,
        *,
        seed: bytes,
        now: datetime,
        suspended: bool = False,
        suspended_by: str | None = None,
        limits: Limits = DEFAULT,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> "Execution":
        """A new execution that has done its first transitions.

        Args:
            program: what to run.
            revision: digest of its definition.
            identity: what it is called.
            input_text: JSON text.
            seed: of all its chances; the same seed gives the same run.
            now: the time.
            suspended: nothing starts until it is resumed.
            suspended_by: who wants that, where it is proven.
            limits: its bounds.
            stopwatch: seconds of work, against expressions that never end.
            evaluator: makes evaluations of JSONata; without it they are made here.

        Raises:
            ValueError: the input is not JSON.
        """
        now = whole_ms(now)
        payload = Payload.read(input_text)
        memory = Memory(seed, payload, now)
        execution = cls(program, revision, identity, memory, limits, stopwatch, evaluator)
        execution._set_deadline(now)
        details = records.execution_started(payload, identity)
        memory.history.add("ExecutionStarted", 0, now, details)
        execution._walk.suspend(suspended, suspended_by, now)
        execution._walk.begin(now)
        execution._walk.run(now)
        return execution

    @classmethod
    def restore(
        cls,
        program: Program,
        revision: str,
        identity: Identity,
        checkpoint: str,
        pages: Mapping[str, bytes],
        limits: Limits = DEFAULT,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> "Execution":
        """The execution that a checkpoint holds.

        Raises:
            snapshot.Unreadable: it is damaged, or newer than this release.
        """
        memory = snapshot.decode(checkpoint, pages, program.machine)
        return cls(program, revision, identity, memory, limits, stopwatch, evaluator)

    def _set_deadline(self, now: datetime) -> None:
        seconds = [self.program.timeout_seconds, self._limits.execution_seconds_max]
        found = [number for number in seconds if number]
        self.memory.deadline_at = after(now, min(found)) if found else None

    def encode(self) -> snapshot.Encoded:
        """What a save writes."""
        return snapshot.encode(self.memory)

    def saved(self, encoded: snapshot.Encoded) -> None:
        """The save of what `encode` gave has happened: its pages need no second write."""
        memory = self.memory
        self._walk.stretch.unsaved_bytes = 0
        for digest, page in encoded.pages.items():
            if digest not in encoded.overflow and digest not in memory.saved:
                memory.saved.add(digest)
                memory.pages_bytes += len(page.raw)
            memory.unsaved.pop(digest, None)

    # -------------------------------------------------------------------------- what happens

    def handle(self, event: Event, now: datetime) -> bool:
        """Take an event and do what follows from it, up to the bound of a stretch.

        Returns:
            Whether anything changed.
        """
        now = whole_ms(now)
        take = self._handle_late if self.memory.over else self._dispatch
        changed = take(event, now)
        if not self.memory.over and self.memory.ready and not self.memory.suspended:
            self._walk.run(now)
            changed = True
        return changed

    def _dispatch(self, event: Event, now: datetime) -> bool:
        match event:
            case TaskStarted():
                return self._started(event, now)
            case TaskSubmitted() | TaskSucceeded() | TaskFailed():
                return self._told(event, now)
            case TaskHeartbeat():
                return self._heard(event)
            case Tick():
                return self._tick(now)
            case GoOn():
                return False  # by itself it changes nothing
            case StopRequested():
                error = StateError(event.error, event.cause)
                self._walk.end(Status.ABORTED, now, error=error, by=event.by)
                return True
            case RedriveRequested():
                return False  # it goes on already
            case SuspendChanged():
                return self._suspend(event, now)
            case _:
                assert_never(event)

    def _suspend(self, event: SuspendChanged, now: datetime) -> bool:
        if not self._walk.suspend(event.suspended, event.by, now):
            return False
        self._walk.check_limits(now)  # people may do it as often as they like
        return True

    def _handle_late(self, event: Event, now: datetime) -> bool:
        if isinstance(event, RedriveRequested) and not self.objections(event):
            self._set_deadline(now)
            self._walk.redrive(event, now)
            return True
        # Else all that can matter is that an attempt nobody had seen exists after all.
        return isinstance(event, TaskStarted) and self._closed(event.task)

    def objections(self, event: RedriveRequested, ran: Json = None) -> list[str]:
        """Why it cannot be redriven; see `redriving`."""
        return redriving.objections(self.memory, self.program, self._limits, event, ran)

    def _closed(self, task: TaskId) -> bool:
        return self.memory.closing.pop(task, None) is not None

    def _attempt(self, task: TaskId) -> Frame | None:
        frame = self.memory.frames.get(task.frame)
        if frame is None or frame.phase is not Phase.RUNNING or frame.task_id != task:
            return None
        return frame

    def _started(self, event: TaskStarted, now: datetime) -> bool:
        frame = self._attempt(event.task)
        if frame is None:
            return self._closed(event.task)
        if frame.started and (frame.uid == event.uid or self._is_handed_out(frame)):
            return False
        frame.uid = event.uid
        self._attempts.started(frame, now, event.worker)
        return True

    def _heard(self, event: TaskHeartbeat) -> bool:
        frame = self._attempt(event.task)
        if frame is None or (frame.due_at is not None and event.at > frame.due_at):
            return False
        return self._attempts.heartbeat(frame, whole_ms(event.at))

    def takes(self, task: TaskId, at: datetime) -> bool:
        """Whether an attempt waits for an outcome, and one of an instant would be in time."""
        frame = self._attempt(task)
        if frame is None or self.memory.over:
            return False
        due = (frame.due_at, self.memory.deadline_at)
        return all(limit is None or at <= limit for limit in due)

    def _is_handed_out(self, frame: Frame) -> bool:
        return bool(frame.uid) and is_activity(_resource(frame))

    def begins(self, event: TaskStarted) -> bool:
        """Whether the attempt of an activity is that of this hand-out, or becomes it."""
        frame = self._attempt(event.task)
        if frame is None or self.memory.over:
            return False
        return not frame.started or frame.uid == event.uid

    def _told(self, event: TaskSubmitted | TaskSucceeded | TaskFailed, now: datetime) -> bool:
        frame = self._attempt(event.task)
        if frame is None or (frame.submitted and _is_of_its_work(frame, event)):
            return False
        deadline_at = self.memory.deadline_at
        if deadline_at is not None and event.at > deadline_at:
            # What was due by then still happens first.
            return self._tick(max(now, whole_ms(event.at)))
        if frame.due_at is not None and event.at > frame.due_at:
            self._attempts.time_out(frame, now)
        elif isinstance(event, TaskFailed):
            error = flow.short(event.error, self._limits)
            end = self._attempts.never_began if event.never_began else self._attempts.failed
            end(frame, error, now)
        else:
            self._answered(frame, event, now)
        return True

    def _answered(self, frame: Frame, event: TaskSubmitted | TaskSucceeded, now: datetime) -> None:
        try:
            answer = Payload.read(event.output)
        except ValueError:
            sentence = f"The result of '{frame.state}' is not JSON: {event.output[:200]!r}"
            self._attempts.failed(frame, StateError(INVALID_RESULT, sentence), now)
            return
        if _is_of_its_work(frame, event):
            self._attempts.submitted(frame, answer, now)
        else:
            self._attempts.succeeded(frame, answer, now)

    def _tick(self, now: datetime) -> bool:
        memory = self.memory
        changed = False
        ended = [t for t, c in memory.closing.items() if _expired(c, now)]
        for task in ended:
            del memory.closing[task]
            changed = True
        while not memory.over:
            if memory.deadline_at is not None and now >= memory.deadline_at:
                timer = memory.next_timer()
                # What was due before the deadline still happens first.
                if timer is None or timer.due_at >= memory.deadline_at:
                    self._walk.end(Status.TIMED_OUT, now, error=self._too_long())
                    return True
            frame = memory.take_due(now)
            if frame is None:
                return changed
            self._wake(frame, now)
            changed = True
        return changed

    def _too_long(self) -> StateError:
        """Why the deadline was there: the definition's TimeoutSeconds, or a limit."""
        memory, asked = self.memory, self.program.timeout_seconds
        assert memory.deadline_at is not None
        began_at = memory.redriven[-1] if memory.redriven else memory.started_at
        seconds = round((memory.deadline_at - began_at).total_seconds())
        if asked is not None and asked <= seconds:
            return StateError(TIMEOUT)
        cause = f"The setting executionSecondsMax allows an execution {seconds} seconds."
        return StateError(TIMEOUT, cause)

    def _wake(self, frame: Frame, now: datetime) -> None:
        match frame.phase:
            case Phase.RUNNING:
                self._attempts.time_out(frame, now)
            case Phase.SLEEPING:
                frame.attempt += 1
                frame.phase = Phase.READY
                frame.due_at = None
                self.memory.ready.append(frame.id)
            case Phase.WAITING:
                self._walk.apply(frame, self._waited(frame, now), now)
            case Phase.READY | Phase.FORKED:
                raise AssertionError(f"no timer is set in phase {frame.phase!r}")
            case _:
                assert_never(frame.phase)

    def _waited(self, frame: Frame, now: datetime) -> Step:
        state = frame.definition
        assert isinstance(state, Wait)
        visit = self._walk.visit(frame, now)
        return self._walk.guarded(frame, lambda: wait_state.finish(state, visit), now)

    # ------------------------------------------------------------------------ what must exist

    @property
    def status(self) -> Status:
        """AWS's status."""
        return self.memory.status

    @property
    def suspended(self) -> bool:
        """Whether nothing new starts."""
        return self.memory.suspended

    @property
    def busy(self) -> bool:
        """Whether work is left that waits for nothing but the next turn."""
        return bool(self.memory.ready) and not self.memory.suspended

    @property
    def unsaved_bytes(self) -> int:
        """Of outputs since the last save."""
        return self._walk.stretch.unsaved_bytes

    @property
    def transitions(self) -> int:
        """State entries so far."""
        return self.memory.entries

    def wanted(self) -> Iterator[TaskId]:
        """The attempts that must be running outside."""
        for frame in self.memory.frames.values():
            if frame.is_outside:
                yield frame.task_id

    def resource(self, task: TaskId) -> str | None:
        """The Resource of a wanted attempt; None where it is not wanted."""
        frame = self._attempt(task)
        if frame is None:
            return None
        return _resource(frame)

    def task(
        self, task: TaskId, tokens: Callable[[TaskId], str] | None = None
    ) -> commands.Task | None:
        """All about a wanted attempt; None where it is not wanted.

        Args:
            task: which one.
            tokens: gives an attempt's token, which nothing here keeps; without it there is only
                something that stands for it.

        Raises:
            EvaluationFailed: what accepts a text in place of the token does not accept the token.
        """
        frame = self._attempt(task)
        if frame is None:
            return None
        state = frame.definition
        assert isinstance(state, Task)
        assert frame.scheduled_at is not None
        at = frame.scheduled_at
        visit = self._walk.visit(frame, at, again=True)
        if tokens is not None and state.has_token:
            told = self._walk.visit(frame, at, again=True, token=tokens(task))
            parameters = _parameters(state, told)
        else:
            parameters = frame.parameters = frame.parameters or _parameters(state, visit)
        return commands.Task(
            id=task,
            state=frame.state,
            resource=state.resource,
            parameters=parameters.value,
            input=flow.effective_input(visit).value,
            digest=self._attempts.digest(frame),
            due_at=frame.scheduled_at,
            deadline_at=frame.due_at,
            uid=frame.uid,
            path=places.path_of(self.memory, frame),
        )

    def attempts(self) -> Iterator[tuple[TaskId, bool]]:
        """Every frame's newest attempt that was begun, and whether it must be running outside."""
        for frame in self.memory.frames.values():
            task = frame.task_id
            if frame.phase is Phase.READY:
                # The next one may be running by now for somebody who knows more than this.
                task = task._replace(attempt=task.attempt - 1)
            yield task, frame.is_outside

    def closing(self) -> Mapping[TaskId, Closing]:
        """Attempts whose names must stay taken though they are over."""
        return self.memory.closing

    def next_due(self) -> datetime | None:
        """When a Tick will have something to do."""
        memory = self.memory
        timer = memory.next_timer()
        due = [timer.due_at] if timer else []
        if memory.deadline_at is not None and not memory.over:
            due.append(memory.deadline_at)
        return min(due, default=None)

    # ------------------------------------------------------------------------------ for people

    @property
    def progress(self) -> Progress:
        """Items of Map states."""
        return self.memory.progress

    def places(self, at_most: int) -> list[places.Place]:
        """Where it is: the innermost frames, oldest first."""
        return places.places(self.memory, at_most)


def _is_of_its_work(frame: Frame, event: TaskSubmitted | TaskSucceeded | TaskFailed) -> bool:
    """Whether it tells what came of the work that only submits something, and not of the whole."""
    if isinstance(event, TaskSubmitted):
        return True
    state = frame.definition
    assert isinstance(state, Task)
    return state.waits_for_token and not event.by_token


def _resource(frame: Frame) -> str:
    state = frame.definition
    assert isinstance(state, Task)
    return state.resource


def _parameters(state: Task, visit: flow.Visit) -> Payload:
    step = task_state.work(state, visit)
    assert isinstance(step, RunTask)
    return step.parameters


def _expired(closing: Closing, now: datetime) -> bool:
    return (now - closing.ended_at).total_seconds() >= CLOSING_SECONDS
