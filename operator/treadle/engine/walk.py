"""The walk: frames enter states, do their work, leave them, fork, fail.

One rule: a state's own code answers with a step; only this module acts on it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import assert_never

from treadle.asl.chance import Chance
from treadle.asl.errors import DATA_LIMIT_EXCEEDED, RUNTIME, EvaluationFailed, StateError
from treadle.asl.evaluator import Evaluator
from treadle.asl.json import Json, well_formed
from treadle.asl.limits import Limits
from treadle.asl.program import Machine, Map, Parallel, Task
from treadle.engine import failures, halted, mapruns, records, states, variables
from treadle.engine.attempts import Attempts
from treadle.engine.context import Identity
from treadle.engine.events import RedriveRequested
from treadle.engine.failures import Ended
from treadle.engine.forks import Forks, kind
from treadle.engine.frames import Frame, Phase
from treadle.engine.journal import Journal
from treadle.engine.memory import Memory, Status
from treadle.engine.payloads import Payload
from treadle.engine.steps import Done, Failed, RunTask, Sleep, StartFork, Step
from treadle.engine.stretch import Stretch
from treadle.engine.times import whole_ms
from treadle.engine.visits import Visits


class Walk:
    """One execution's frames on their way.

    Args:
        memory: what the execution knows.
        machine: its top list of states.
        identity: what it is called.
        limits: its bounds.
        revision: digest of the definition, part of every task's digest.
        stopwatch: see `Effort`; and so is `evaluator`.
    """

    def __init__(
        self,
        memory: Memory,
        machine: Machine,
        identity: Identity,
        limits: Limits,
        revision: str,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.memory = memory
        self.machine = machine
        self.limits = limits
        self._visits = visits = Visits(memory, identity, limits, stopwatch, evaluator)
        self.visit = visits.visit
        self._journal = journal = Journal(memory)
        self.stretch = stretch = Stretch(memory, visits.effort, limits, stopwatch)
        self.attempts = Attempts(memory, visits, journal, identity, limits, revision, self)
        self._forks = Forks(memory, visits, journal, self.attempts, stretch, limits, self)

    # ------------------------------------------------------------------------------ the loop

    def run(self, now: datetime) -> None:
        """Do what there is to do without the world, up to the bound of a stretch."""
        memory = self.memory
        self.stretch.begin()
        self.check_limits(now)
        while memory.ready and not memory.over and not memory.suspended:
            if self.stretch.is_full:
                return
            frame = memory.frames.get(memory.ready.popleft())
            if frame is None:
                continue
            if frame.phase is Phase.READY:
                self.apply(frame, self._work(frame, now), now)
            elif frame.phase is Phase.FORKED:
                self._forks.go_on(frame, now)
            self.check_limits(now)

    def check_limits(self, now: datetime) -> None:
        """End what has grown beyond its bounds."""
        memory, limits = self.memory, self.limits
        if memory.over:
            return
        if self._history_is_full(memory.history.next_id):
            self.end(Status.FAILED, now, error=self._too_many_events())
        elif memory.pages_bytes > limits.execution_pages_bytes_max:
            cause = (
                f"The execution's data takes {memory.pages_bytes} bytes of pages; the setting "
                f"executionPagesBytesMax allows {limits.execution_pages_bytes_max}."
            )
            self.end(Status.FAILED, now, error=StateError("Treadle.LimitExceeded", cause))

    def _history_is_full(self, next_id: int) -> bool:
        # The last entry is the one that says so.
        return next_id >= self.limits.history_events_max

    def _too_many_events(self) -> StateError:
        events = self.limits.history_events_max
        cause = f"The execution reached the maximum number of history events ({events})."
        return StateError(RUNTIME, cause)

    def _work(self, frame: Frame, now: datetime) -> Step:
        work = partial(states.work, frame.definition, self.visit(frame, now))
        return self.guarded(frame, work, now)

    def guarded(self, frame: Frame, work: Callable[[], Step], now: datetime) -> Step:
        """A state's step. The one edge where a failing evaluation becomes a value."""
        try:
            step = work()
            if isinstance(step, Done):
                variables.check(self.memory, frame, step.assigned, self.limits)
            return step
        except EvaluationFailed as failure:
            return self.failed(frame, failure, now)

    def failed(self, frame: Frame, failure: EvaluationFailed, now: datetime) -> Failed:
        """A failing evaluation as a value. Source: AWS's wording of causes."""
        if failure.name == DATA_LIMIT_EXCEEDED:
            return Failed(StateError(failure.name, failure.cause))
        cause = (
            f"An error occurred while executing the state '{frame.state}' "
            f"(entered at the event id #{frame.entered_id}). {failure.cause}"
        )
        # A sentence may quote all of a state's input.
        error = StateError(failure.name, well_formed(cause[: self.limits.cause_chars_max]))
        if failure.location:
            details = records.evaluation_failed(error, failure.location, frame.state)
            if frame.phase is Phase.READY and frame.last_id == frame.entered_id:
                # AWS: it follows what the entry into the state follows.
                frame.last_id = frame.before_id
            self._journal.add(frame, "EvaluationFailed", now, details)
            return Failed(error, Ended.EVALUATED)
        return Failed(error)

    def apply(self, frame: Frame, step: Step, now: datetime) -> None:
        """Act on a step."""
        match step:
            case Done():
                self._leave(frame, step, now)
            case Sleep():
                frame.phase = Phase.WAITING
                self.memory.set_timer(frame, whole_ms(step.until))
            case RunTask():
                self.attempts.schedule(frame, step, now)
            case StartFork():
                self._forks.start(frame, step.fork, now)
            case Failed():
                self.fail(frame, step.error, now, step.ended)
            case _:
                assert_never(step)

    # ------------------------------------------------------------------------ entering, leaving

    def begin(self, now: datetime) -> None:
        """Enter the first state."""
        root = self._forks.new_frame(None, 0, self.machine)
        root.data = self.memory.input
        self.enter(root, self.machine.start_at, now)

    def enter(self, frame: Frame, name: str, now: datetime) -> None:
        """A frame enters a state of its list."""
        memory = self.memory
        memory.entries += 1
        frame.state = name
        frame.entry = memory.entries
        frame.attempt = 1
        state = frame.definition
        retriers = state.retry if isinstance(state, Task | Parallel | Map) else ()
        frame.retries = [0] * len(retriers)
        frame.entered_at = now
        frame.before_id = frame.last_id
        is_full = self._history_is_full(self._journal.next_id(frame))
        if not is_full:
            details = {"name": name, "input": self._visits.raw(frame)}
            self._journal.add(frame, f"{kind(frame)}StateEntered", now, details)
        frame.entered_id = frame.last_id
        if is_full and frame.home != 0:
            self.fail(memory.frames[frame.home], self._too_many_events(), now)
            return
        frame.phase = Phase.READY
        frame.due_at = None
        frame.parameters = None
        memory.ready.append(frame.id)

    def _leave(self, frame: Frame, step: Done, now: datetime) -> None:
        output, target = step.output, step.next
        self.stretch.made(output.size_bytes)
        details = {"name": frame.state, "output": output}
        if step.assigned is not None:
            variables.assign(self.memory, frame, step.assigned)
            details |= records.assigned(step.assigned)
        self._journal.add(frame, f"{kind(frame)}StateExited", now, details)
        frame.fork = None
        frame.data = output
        frame.given = None
        if target is not None:
            self.enter(frame, target, now)
        elif frame.parent is None:
            self.end(Status.SUCCEEDED, now, output=output)
        else:
            self._forks.child_succeeded(frame, output, now)

    # -------------------------------------------------------------------------------- failures

    def fail(
        self, frame: Frame, error: StateError, now: datetime, ended: Ended = Ended.FOUND
    ) -> None:
        """Climb the ladder: retry, catch, or fail the list of states and ask its parent.

        Args:
            frame: where the error is.
            error: the error.
            now: when.
            ended: how it came to it.
        """
        while True:
            if frame.fork is not None and error.name == DATA_LIMIT_EXCEEDED:
                frame.fork.is_too_much = frame.fork.complete
            is_running = mapruns.is_run(frame) and frame.fork and not frame.fork.complete
            self._forks.drop(frame, now)
            if is_running:
                details = records.failed(error.name, error.cause)
                self._journal.add(frame, "MapRunFailed", now, details)
            decision = self.decide(frame, error, now, ended)
            if is_running or ended is Ended.EVALUATED:
                self._failed_by_itself(frame, decision, now)
            ended = Ended.FOUND
            if not isinstance(decision, failures.GiveUp):
                failure = self._recover(frame, error, decision, now)
                if failure is None:
                    return
                error = failure
            if frame.parent is None:
                self.end(Status.FAILED, now, error=error)
                return
            parent = self.memory.frames[frame.parent]
            given_up = self._forks.child_failed(frame, error, now)
            if given_up is None:
                return
            frame, error = parent, given_up

    def _failed_by_itself(self, frame: Frame, decision: failures.Decision, now: datetime) -> None:
        # AWS lets a Map or Parallel whose own expression failed fail as if a child had.
        is_fork = isinstance(frame.definition, Map | Parallel)
        if is_fork and not isinstance(decision, failures.RetryAt):
            self._journal.add(frame, f"{kind(frame)}StateFailed", now)

    def decide(
        self, frame: Frame, error: StateError, now: datetime, ended: Ended = Ended.FOUND
    ) -> failures.Decision:
        """What follows from an error in a frame's state."""
        salt = f"/{frame.entry}/{frame.attempt}/Retry".encode()
        chance = Chance(self.memory.seed + salt)
        return failures.next_step(frame.definition, error, frame.retries, now, chance, ended)

    def _recover(
        self,
        frame: Frame,
        error: StateError,
        decision: failures.RetryAt | failures.CatchTo,
        now: datetime,
    ) -> StateError | None:
        if isinstance(decision, failures.RetryAt):
            halted.forget(self.memory, frame)
            frame.retries[decision.retrier] += 1
            frame.phase = Phase.SLEEPING
            frame.parameters = None
            self.memory.set_timer(frame, decision.due_at)
            return None
        catcher = decision.catcher
        step = self.guarded(
            frame, lambda: states.caught(catcher, error, self.visit(frame, now)), now
        )
        if isinstance(step, Failed):
            return step.error
        halted.forget(self.memory, frame)
        self.apply(frame, step, now)
        return None

    # ------------------------------------------------------------------------- end and redrive

    def end(
        self,
        status: Status,
        now: datetime,
        *,
        output: Payload | None = None,
        error: StateError | None = None,
        by: str | None = None,
    ) -> None:
        """The execution is over: nothing is wanted outside any more; `by`: who stopped it."""
        memory = self.memory
        for frame in memory.frames.values():
            self.attempts.abandon(frame, now)
        root = memory.frames.get(0)
        previous = root.last_id if root and status is not Status.ABORTED else 0
        details: dict[str, Json] = {} if output is None else {"output": output}
        if error is not None:
            details = records.failed(error.name, error.cause) | records.by(by)
        memory.history.add(records.END_EVENTS[status], previous, now, details)
        memory.status, memory.output, memory.error = status, output, error
        memory.ended_at = now
        if status is not Status.SUCCEEDED:
            halted.keep(memory)
        memory.frames.clear()
        memory.ready.clear()
        memory.starved.clear()
        memory.timers.clear()

    def suspend(self, suspended: bool, by: str | None, now: datetime) -> bool:
        """Nothing new starts from here on, or it goes on; gives whether that is news."""
        memory = self.memory
        if memory.suspended == suspended:
            return False
        memory.suspended = suspended
        kind = "ExecutionSuspended" if suspended else "ExecutionResumed"
        memory.history.add(kind, 0, now, records.by(by))
        return True

    def redrive(self, event: RedriveRequested, now: datetime) -> None:
        """What is over, and did not succeed, goes on. Source: AWS, RedriveExecution."""
        memory = self.memory
        memory.redriven.append(now)
        count: dict[str, Json] = {"redriveCount": len(memory.redriven)}
        details = count | records.by(event.by)
        previous = memory.history.next_id - 1
        told = details | records.revision(event.revision)
        redriven_id = memory.history.add("ExecutionRedriven", previous, now, told)
        memory.status, memory.output, memory.error = Status.RUNNING, None, None
        memory.ended_at = None
        self.suspend(event.suspended, event.suspended_by, now)
        if event.enters_anew:
            self._enter_anew(event, redriven_id, now)
            return
        halted.revive(memory, self.machine, self._visits.fork)
        for frame in memory.frames.values():
            if frame.home == 0:
                frame.last_id = frame.before_id = redriven_id
            if frame.fork is None:
                continue
            frame.fork.previous = frame.last_id
            if mapruns.is_run(frame):
                arn = {"mapRunArn": self._visits.map_run_arn(frame)}
                self._journal.add(frame, "MapRunRedriven", now, arn | details)

    def _enter_anew(self, event: RedriveRequested, redriven_id: int, now: datetime) -> None:
        root = halted.alone(self.memory, self._visits.fork)
        root.machine = self.machine
        root.last_id = redriven_id
        if event.input is not None:
            root.data = Payload.read(event.input)
        if event.variables is not None:
            variables.assign(self.memory, root, Payload(event.variables))
        self.enter(root, event.state or root.state, now)
