"""Attempts of Task states: scheduled, seen running, ended, or abandoned.

One rule: an attempt is named by frame, entry and number; whatever arrives for another is not ours.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, TIMEOUT, StateError
from treadle.asl.limits import Limits
from treadle.asl.program import Task
from treadle.engine import flow, records
from treadle.engine.context import Identity
from treadle.engine.failures import Ended
from treadle.engine.frames import Frame, Phase
from treadle.engine.journal import Journal
from treadle.engine.memory import Closing, Memory
from treadle.engine.payloads import Payload
from treadle.engine.states import task
from treadle.engine.steps import RunTask, Step
from treadle.engine.times import after
from treadle.engine.visits import Visits


class Ladder(Protocol):
    """What decides what follows from an attempt's end."""

    def guarded(self, frame: Frame, work: Callable[[], Step], now: datetime) -> Step:
        """A state's step."""

    def apply(self, frame: Frame, step: Step, now: datetime) -> None:
        """Act on a step."""

    def fail(self, frame: Frame, error: StateError, now: datetime, ended: Ended) -> None:
        """Retry, catch, or fail."""


class Attempts:
    """The attempts of one execution's frames.

    Args:
        memory: what the execution knows.
        visits: what a state's code may see.
        journal: its history.
        identity: what it is called.
        limits: its bounds.
        revision: digest of the definition, part of every task's digest.
        ladder: see there.
    """

    def __init__(
        self,
        memory: Memory,
        visits: Visits,
        journal: Journal,
        identity: Identity,
        limits: Limits,
        revision: str,
        ladder: Ladder,
    ) -> None:
        self._memory = memory
        self._visits = visits
        self._journal = journal
        self._limits = limits
        self._revision = revision
        self._ladder = ladder
        arn = identity.execution_arn
        self._region = arn.split(":")[3] if arn else ""

    def schedule(self, frame: Frame, step: RunTask, now: datetime) -> None:
        """An attempt is to run outside."""
        state = _task(frame)
        frame.phase = Phase.RUNNING
        frame.parameters = step.parameters
        frame.scheduled_at = now
        frame.uid = ""
        frame.started = frame.submitted = False
        details = dict(records.scheduled(state.resource, self._region, step))
        self._journal.add(frame, f"{records.family(state.resource)}Scheduled", now, details)
        frame.deadline_at = None
        if step.timeout_seconds is not None:
            frame.deadline_at = after(now, step.timeout_seconds)
        frame.heartbeat_seconds = None
        if step.heartbeat_seconds is not None and records.has_heartbeat(state.resource):
            frame.heartbeat_seconds = step.heartbeat_seconds
        frame.due_at = None
        if not records.is_activity(state.resource):  # what waits for a worker may wait
            self._time(frame, now)

    def _time(self, frame: Frame, beat_at: datetime) -> bool:
        due = [frame.deadline_at] if frame.deadline_at is not None else []
        if frame.heartbeat_seconds is not None:
            due.append(after(beat_at, frame.heartbeat_seconds))
        # An older sign of life, which comes late, takes no time away.
        if not due or (frame.due_at is not None and min(due) <= frame.due_at):
            return False
        self._memory.set_timer(frame, min(due))
        return True

    def heartbeat(self, frame: Frame, at: datetime) -> bool:
        """The attempt is alive; gives whether that changes when it is given up."""
        return frame.heartbeat_seconds is not None and self._time(frame, at)

    def started(self, frame: Frame, now: datetime, worker: str = "") -> None:
        """Record once that the attempt runs; every attempt's outcome follows this entry."""
        if frame.started:
            return
        frame.started = True
        resource = _task(frame).resource
        family = records.family(resource)
        self._journal.add(frame, f"{family}Started", now, records.started(resource, worker))
        if not records.is_activity(resource):
            self.heartbeat(frame, now)
            return
        if frame.deadline_at is not None:
            assert frame.scheduled_at is not None
            allowed = frame.deadline_at - frame.scheduled_at
            frame.deadline_at = after(now, allowed.total_seconds())
        self._time(frame, now)  # AWS counts both from here

    def submitted(self, frame: Frame, answer: Payload, now: datetime) -> None:
        """Record once that what the attempt asked for was taken. It ends later."""
        if frame.submitted:
            return
        resource = _task(frame).resource
        if not flow.fits(answer, self._limits):
            error = StateError(DATA_LIMIT_EXCEEDED, flow.too_large(resource))
            self.failed(frame, error, now)
            return
        self.started(frame, now)
        frame.submitted = True
        self._journal.add(frame, "TaskSubmitted", now, records.succeeded(resource, answer))

    def succeeded(self, frame: Frame, result: Payload, now: datetime) -> None:
        """The attempt gave its result."""
        state = _task(frame)
        if not flow.fits(result, self._limits):
            error = StateError(DATA_LIMIT_EXCEEDED, flow.too_large(state.resource))
            self.failed(frame, error, now)
            return
        self.started(frame, now)
        frame.phase = Phase.READY  # nothing of it is left to abandon
        visit = self._visits.visit(frame, now)

        def finish() -> Step:
            details = dict(records.succeeded(state.resource, result))
            family = records.family(state.resource)
            self._journal.add(frame, f"{family}Succeeded", now, details)
            return task.finish(state, visit, result)

        self._ladder.apply(frame, self._ladder.guarded(frame, finish, now), now)

    def failed(
        self, frame: Frame, error: StateError, now: datetime, *, silent: bool = False
    ) -> None:
        """The attempt failed, took too long, or was `silent` for too long."""
        self.started(frame, now)
        outcome = "TimedOut" if error.name == TIMEOUT else "Failed"
        family = records.family(_task(frame).resource)
        self._fail(
            frame, f"{family}{outcome}", error, now, Ended.SILENT if silent else Ended.REPORTED
        )

    def never_began(self, frame: Frame, error: StateError, now: datetime) -> None:
        """There is nothing that could do the attempt's work."""
        event = records.NEVER_BEGAN[records.family(_task(frame).resource)]
        self._fail(frame, event, error, now, Ended.REPORTED)

    def _fail(
        self, frame: Frame, event: str, error: StateError, now: datetime, ended: Ended
    ) -> None:
        frame.phase = Phase.READY
        details = {
            **records.named(_task(frame).resource),
            **records.failed(error.name, error.cause),
        }
        self._journal.add(frame, event, now, details)
        self._ladder.fail(frame, error, now, ended)

    def time_out(self, frame: Frame, now: datetime) -> None:
        """The attempt, or its heartbeat, took too long.

        Source: AWS reports States.Timeout for both; States.HeartbeatTimeout matches the latter.
        """
        silent = frame.heartbeat_seconds is not None and frame.due_at != frame.deadline_at
        self.abandon(frame, now)
        self.failed(frame, StateError(TIMEOUT), now, silent=silent)

    def abandon(self, frame: Frame, now: datetime) -> None:
        """The attempt ends though its outcome is unknown: its name must stay taken."""
        if frame.phase is not Phase.RUNNING or frame.uid:
            return
        resource = _task(frame).resource
        closing = Closing(frame.state, resource, self.digest(frame), now)
        self._memory.closing[frame.task_id] = closing

    def digest(self, frame: Frame) -> str:
        """What the snapshot says of an attempt, in 32 hex digits."""
        assert frame.scheduled_at is not None
        effective = flow.effective_input(self._visits.visit(frame, frame.scheduled_at, again=True))
        said = f"{self._revision}/{frame.state}/{effective.digest}"
        return Payload(None, said).digest[:32]


def _task(frame: Frame) -> Task:
    state = frame.definition
    assert isinstance(state, Task)
    return state
