"""The walk: frames enter states, do their work, leave them, fork, fail.

One rule: a state's own code answers with a step; only this module acts on it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import assert_never

from treadle.asl.chance import Chance
from treadle.asl.errors import DATA_LIMIT_EXCEEDED, RUNTIME, EvaluationFailed, StateError
from treadle.asl.json import Json, well_formed
from treadle.asl.limits import TURN_BYTES_MAX, TURN_NODES_MAX, Limits
from treadle.asl.program import Machine, Map, Parallel, State, Task, Wait
from treadle.engine import failures, flow, records, states, variables
from treadle.engine.context import Identity
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.memory import Closing, Memory, Status
from treadle.engine.payloads import Payload
from treadle.engine.states import fork, task
from treadle.engine.steps import Done, Failed, RunTask, Sleep, StartFork, Step
from treadle.engine.times import whole_ms
from treadle.engine.visits import Visits

# States of which AWS records that they were aborted.
_ABORTABLE = (Task, Wait, Map, Parallel)


class Walk:
    """One execution's frames on their way.

    Args:
        memory: what the execution knows.
        machine: its top list of states.
        identity: what it is called.
        limits: its bounds.
        revision: digest of the definition, part of every task's digest.
    """

    def __init__(
        self, memory: Memory, machine: Machine, identity: Identity, limits: Limits, revision: str
    ) -> None:
        self.memory = memory
        self.machine = machine
        self.identity = identity
        self.limits = limits
        self.revision = revision
        self._visits = Visits(memory, identity, limits)
        self.visit = self._visits.visit
        self._entries_max = self._nodes_max = self._bytes = 0  # of the stretch that runs

    # ------------------------------------------------------------------------------ the loop

    def run(self, now: datetime) -> None:
        """Do what there is to do without the world, up to the bound of a stretch."""
        memory = self.memory
        limits = self.limits
        stretch = min(limits.stretch_transitions_max, limits.turn_transitions_max)
        self._entries_max = memory.entries + stretch
        self._nodes_max = self._visits.effort.nodes + TURN_NODES_MAX
        self._bytes = 0
        self._check_limits(now)
        while memory.ready and not memory.over and not memory.suspended:
            if self._stretch_is_full():
                return
            frame = memory.frames.get(memory.ready.popleft())
            if frame is None:
                continue
            if frame.phase is Phase.READY:
                self.apply(frame, self._work(frame, now), now)
            elif frame.phase is Phase.FORKED:
                self._start_children(frame, now)
            self._check_limits(now)

    def _stretch_is_full(self) -> bool:
        effort = self._visits.effort
        return (
            self.memory.entries >= self._entries_max
            or effort.nodes >= self._nodes_max
            or self._bytes >= TURN_BYTES_MAX
        )

    def _check_limits(self, now: datetime) -> None:
        memory, limits = self.memory, self.limits
        if memory.over:
            return
        if self._history_is_full():
            events = limits.history_events_max
            cause = f"The execution reached the maximum number of history events ({events})."
            self.end(Status.FAILED, now, error=StateError(RUNTIME, cause))
        elif memory.pages_bytes > limits.execution_pages_bytes_max:
            cause = (
                f"The execution's data takes {memory.pages_bytes} bytes of pages; the setting "
                f"executionPagesBytesMax allows {limits.execution_pages_bytes_max}."
            )
            self.end(Status.FAILED, now, error=StateError("Treadle.LimitExceeded", cause))

    def _history_is_full(self) -> bool:
        # The last entry is the one that says so.
        return self.memory.history.next_id >= self.limits.history_events_max

    def _work(self, frame: Frame, now: datetime) -> Step:
        return self.guarded(frame, lambda: states.work(frame.definition, self.visit(frame, now)))

    def guarded(self, frame: Frame, work: Callable[[], Step]) -> Step:
        """A state's step. The one edge where a failing evaluation becomes a value."""
        try:
            step = work()
            if isinstance(step, Done):
                variables.check(self.memory, frame, step.assigned, self.limits)
            return step
        except EvaluationFailed as failure:
            return self.failed(frame, failure)

    def failed(self, frame: Frame, failure: EvaluationFailed) -> Failed:
        """A failing evaluation as a value. Source: AWS's wording of causes."""
        if failure.name == DATA_LIMIT_EXCEEDED:
            return Failed(StateError(failure.name, failure.cause))
        cause = (
            f"An error occurred while executing the state '{frame.state}' "
            f"(entered at the event id #{frame.entered_id}). {failure.cause}"
        )
        # A sentence may quote all of a state's input.
        return Failed(StateError(failure.name, well_formed(cause[: self.limits.cause_chars_max])))

    def apply(self, frame: Frame, step: Step, now: datetime) -> None:
        """Act on a step."""
        match step:
            case Done():
                self._leave(frame, step, now)
            case Sleep():
                frame.phase = Phase.WAITING
                self.memory.set_timer(frame, whole_ms(step.until))
            case RunTask():
                self._schedule(frame, step, now)
            case StartFork():
                self._start_fork(frame, step.fork, now)
            case Failed():
                self.fail(frame, step.error, now)
            case _:
                assert_never(step)

    # ------------------------------------------------------------------------ entering, leaving

    def begin(self, now: datetime) -> None:
        """Enter the first state."""
        root = self._new_frame(None, 0, self.machine)
        root.data = self.memory.input
        self._enter(root, self.machine.start_at, now)

    def _new_frame(self, parent: int | None, index: int, machine: Machine) -> Frame:
        frame = Frame(self.memory.next_frame, parent, index, machine, machine.start_at)
        self.memory.next_frame += 1
        self.memory.frames[frame.id] = frame
        return frame

    def _enter(self, frame: Frame, name: str, now: datetime) -> None:
        memory = self.memory
        memory.entries += 1
        frame.state = name
        frame.entry = memory.entries
        frame.attempt = 1
        state = frame.definition
        retriers = state.retry if isinstance(state, Task | Parallel | Map) else ()
        frame.retries = [0] * len(retriers)
        frame.entered_at = now
        if not self._history_is_full():
            details = {"name": name, "input": self._visits.raw(frame)}
            self._record(frame, f"{_kind(state)}StateEntered", now, details)
        frame.entered_id = frame.last_id
        self._make_ready(frame)

    def _make_ready(self, frame: Frame) -> None:
        frame.phase = Phase.READY
        frame.due_at = None
        frame.parameters = None
        self.memory.ready.append(frame.id)

    def _record(
        self, frame: Frame, kind: str, now: datetime, details: Mapping[str, Json] | None = None
    ) -> int:
        frame.last_id = self.memory.history.add(kind, frame.last_id, now, details)
        return frame.last_id

    def _leave(self, frame: Frame, step: Done, now: datetime) -> None:
        output, target = step.output, step.next
        self._bytes += output.size_bytes
        details = {"name": frame.state, "output": output}
        if step.assigned is not None:
            variables.assign(self.memory, frame, step.assigned)
            details |= records.assigned(step.assigned)
        self._record(frame, f"{_kind(frame.definition)}StateExited", now, details)
        frame.fork = None
        frame.data = output
        frame.given = None
        if target is not None:
            self._enter(frame, target, now)
        elif frame.parent is None:
            self.end(Status.SUCCEEDED, now, output=output)
        else:
            self._child_succeeded(frame, output, now)

    # ------------------------------------------------------------------------------------ tasks

    def _schedule(self, frame: Frame, step: RunTask, now: datetime) -> None:
        state = frame.definition
        assert isinstance(state, Task)
        frame.phase = Phase.RUNNING
        frame.parameters = step.parameters
        frame.scheduled_at = now
        frame.uid = ""
        frame.started = False
        region = self.identity.execution_arn.split(":")[3] if self.identity.execution_arn else ""
        details = dict(records.scheduled(state.resource, region, step))
        self._record(frame, f"{records.family(state.resource)}Scheduled", now, details)
        if step.timeout_seconds is not None:
            self.memory.set_timer(frame, now + timedelta(seconds=step.timeout_seconds))

    def task_started(self, frame: Frame, now: datetime) -> None:
        """Record once that the attempt runs; every attempt's outcome follows this entry."""
        if frame.started:
            return
        frame.started = True
        state = frame.definition
        assert isinstance(state, Task)
        family = records.family(state.resource)
        self._record(frame, f"{family}Started", now, records.started(state.resource))

    def task_succeeded(self, frame: Frame, result: Payload, now: datetime) -> None:
        """The attempt gave its result."""
        state = frame.definition
        assert isinstance(state, Task)
        if not flow.fits(result, self.limits):
            error = StateError(DATA_LIMIT_EXCEEDED, flow.too_large(state.resource))
            self.task_failed(frame, error, now)
            return
        self.task_started(frame, now)
        frame.phase = Phase.READY  # nothing of it is left to abandon
        visit = self.visit(frame, now)

        def finish() -> Step:
            details = dict(records.succeeded(state.resource, result))
            self._record(frame, f"{records.family(state.resource)}Succeeded", now, details)
            return task.finish(state, visit, result)

        self.apply(frame, self.guarded(frame, finish), now)

    def task_failed(self, frame: Frame, error: StateError, now: datetime) -> None:
        """The attempt failed, or took too long."""
        state = frame.definition
        assert isinstance(state, Task)
        self.task_started(frame, now)
        frame.phase = Phase.READY
        outcome = "TimedOut" if error.name == "States.Timeout" else "Failed"
        details = {**records.named(state.resource), **records.failed(error.name, error.cause)}
        self._record(frame, f"{records.family(state.resource)}{outcome}", now, details)
        self.fail(frame, error, now, reported=True)

    def abandon(self, frame: Frame, now: datetime) -> None:
        """The attempt ends though its outcome is unknown: its name must stay taken."""
        if frame.phase is not Phase.RUNNING or frame.uid:
            return
        state = frame.definition
        assert isinstance(state, Task)
        digest = self.task_digest(frame)
        self.memory.closing[frame.task_id] = Closing(frame.state, state.resource, digest, now)

    def task_digest(self, frame: Frame) -> str:
        """What the snapshot says of an attempt, in 32 hex digits."""
        assert frame.scheduled_at is not None
        effective = flow.effective_input(self.visit(frame, frame.scheduled_at))
        said = f"{self.revision}/{frame.state}/{effective.digest}"
        return Payload(None, said).digest[:32]

    # ----------------------------------------------------------------------------------- forks

    def _start_fork(self, frame: Frame, found: Fork, now: datetime) -> None:
        state = frame.definition
        details = {"length": found.total} if isinstance(state, Map) else None
        found.previous = self._record(frame, f"{_kind(state)}StateStarted", now, details)
        frame.fork = found
        frame.phase = Phase.FORKED
        if isinstance(state, Map):
            self.memory.progress.total += found.total
        if found.complete:
            self._finish_fork(frame, now)
        else:
            self.memory.ready.append(frame.id)

    def _start_children(self, frame: Frame, now: datetime) -> None:
        memory = self.memory
        found = self._visits.fork(frame)
        state = frame.definition
        assert isinstance(state, Parallel | Map)
        while found.can_start:
            if self._stretch_is_full() or self._history_is_full():
                memory.ready.appendleft(frame.id)
                return
            # One child may always live: nested Maps would otherwise wait for each other.
            crowded = len(memory.frames) >= self.limits.live_frames_max and found.live
            if crowded and isinstance(state, Map):
                memory.starved[frame.id] = None
                return
            try:
                given = self._visits.child_input(frame, found.cursor)
            except EvaluationFailed as failure:
                self.apply(frame, self.failed(frame, failure), now)
                return
            self._start_child(frame, found, given, now)

    def _start_child(self, parent: Frame, found: Fork, given: Payload, now: datetime) -> None:
        state = parent.definition
        assert isinstance(state, Parallel | Map)
        index = found.cursor
        child = self._new_frame(parent.id, index, fork.child_machine(state, index))
        child.given = given
        self._bytes += given.size_bytes
        child.last_id = found.previous
        if isinstance(state, Map):
            self._record(child, "MapIterationStarted", now, _iteration(parent, index))
        found.cursor += 1
        found.live.add(child.id)
        self._enter(child, child.machine.start_at, now)

    def _child_succeeded(self, child: Frame, output: Payload, now: datetime) -> None:
        assert child.parent is not None
        parent = self.memory.frames[child.parent]
        found = parent.fork
        assert found is not None
        found.previous = parent.last_id = child.last_id
        if isinstance(parent.definition, Map):
            self._record(child, "MapIterationSucceeded", now, _iteration(parent, child.index))
            parent.last_id = child.last_id
            self.memory.progress.done += 1
        found.keep(child.index, output.text)
        self._remove(child)
        if found.complete:
            self._finish_fork(parent, now)
        elif found.can_start:
            self.memory.ready.append(parent.id)

    def _remove(self, child: Frame) -> None:
        memory = self.memory
        del memory.frames[child.id]
        variables.forget(memory, child)
        if child.parent is not None:
            parent_fork = memory.frames[child.parent].fork
            assert parent_fork is not None
            parent_fork.live.discard(child.id)
        if memory.starved:
            starved = next(iter(memory.starved))
            del memory.starved[starved]
            memory.ready.append(starved)

    def _finish_fork(self, frame: Frame, now: datetime) -> None:
        state = frame.definition
        assert isinstance(state, Parallel | Map)
        visit, found = self.visit(frame, now), self._visits.fork(frame)
        step = self.guarded(frame, lambda: fork.finish(state, visit, found))
        if isinstance(step, Done):
            # AWS: what follows names the last child's entry, not this one.
            self.memory.history.add(f"{_kind(state)}StateSucceeded", frame.last_id, now)
        self.apply(frame, step, now)

    def _drop_fork(self, frame: Frame, now: datetime, failing: int | None = None) -> None:
        # The children of a state that failed or was aborted stop, deepest first.
        found = frame.fork
        if found is None:
            return
        is_map = isinstance(frame.definition, Map)
        for child_id in sorted(found.live):
            child = self.memory.frames[child_id]
            if child_id != failing:
                self._abort(child, now)
                if is_map:
                    details = _iteration(frame, child.index)
                    self._record(child, "MapIterationAborted", now, details)
            self._remove(child)
        if is_map:
            self.memory.progress.total -= found.total
            self.memory.progress.done -= len(found.results)
        frame.fork = None

    def _abort(self, frame: Frame, now: datetime) -> None:
        self._drop_fork(frame, now)
        self.abandon(frame, now)
        state = frame.definition
        if isinstance(state, _ABORTABLE):
            self._record(frame, f"{_kind(state)}StateAborted", now)

    # -------------------------------------------------------------------------------- failures

    def fail(
        self, frame: Frame, error: StateError, now: datetime, *, reported: bool = False
    ) -> None:
        """Climb the ladder: retry, catch, or fail the list of states and ask its parent.

        Args:
            frame: where the error is.
            error: the error.
            now: when.
            reported: an attempt ended with it; the interpreter did not find it itself.
        """
        while True:
            self._drop_fork(frame, now)
            decision = self._decide(frame, error, now, reported=reported)
            reported = False
            if not isinstance(decision, failures.GiveUp):
                failure = self._recover(frame, error, decision, now)
                if failure is None:
                    return
                error = failure
            if frame.parent is None:
                self.end(Status.FAILED, now, error=error)
                return
            frame = self._fail_parent(frame, error, now)

    def _decide(
        self, frame: Frame, error: StateError, now: datetime, *, reported: bool = False
    ) -> failures.Decision:
        salt = f"/{frame.entry}/{frame.attempt}/Retry".encode()
        chance = Chance(self.memory.seed + salt)
        state, used = frame.definition, frame.retries
        return failures.next_step(state, error, used, now, chance, reported=reported)

    def _recover(
        self,
        frame: Frame,
        error: StateError,
        decision: failures.RetryAt | failures.CatchTo,
        now: datetime,
    ) -> StateError | None:
        if isinstance(decision, failures.RetryAt):
            frame.retries[decision.retrier] += 1
            frame.phase = Phase.SLEEPING
            frame.parameters = None
            self.memory.set_timer(frame, decision.due_at)
            return None
        catcher = decision.catcher
        try:
            caught = Payload(error.as_output())
            output = flow.put(catcher.result_path, self._visits.raw(frame), caught)
            visit = self.visit(frame, now)
            flow.bounded(output, visit)
            assigned = flow.assigned(catcher.assign, caught, visit)
            variables.check(self.memory, frame, assigned, self.limits)
        except EvaluationFailed as failure:
            return self.failed(frame, failure).error
        self._leave(frame, Done(output, catcher.next, assigned), now)
        return None

    def _fail_parent(self, child: Frame, error: StateError, now: datetime) -> Frame:
        assert child.parent is not None
        parent = self.memory.frames[child.parent]
        last_id = child.last_id
        if isinstance(parent.definition, Map):
            self._record(child, "MapIterationFailed", now, _iteration(parent, child.index))
            self.memory.progress.failed += 1
        self._drop_fork(parent, now, failing=child.id)
        if isinstance(self._decide(parent, error, now), failures.RetryAt):
            parent.last_id = child.last_id
        else:
            parent.last_id = last_id
            self._record(parent, f"{_kind(parent.definition)}StateFailed", now)
        return parent

    # ----------------------------------------------------------------------------------- the end

    def end(
        self,
        status: Status,
        now: datetime,
        *,
        output: Payload | None = None,
        error: StateError | None = None,
    ) -> None:
        """The execution is over: nothing is wanted outside any more."""
        memory = self.memory
        for frame in memory.frames.values():
            self.abandon(frame, now)
        root = memory.frames.get(0)
        previous = root.last_id if root and status is not Status.ABORTED else 0
        details: dict[str, Json] = {} if output is None else {"output": output}
        if error is not None:
            details = records.failed(error.name, error.cause)
        memory.history.add(records.END_EVENTS[status], previous, now, details)
        memory.status, memory.output, memory.error = status, output, error
        memory.ended_at = now
        memory.frames.clear()
        memory.ready.clear()
        memory.starved.clear()
        memory.timers.clear()


def _kind(state: State) -> str:
    return type(state).__name__


def _iteration(parent: Frame, index: int) -> dict[str, Json]:
    return {"name": parent.state, "index": index}
