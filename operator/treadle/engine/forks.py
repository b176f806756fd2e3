"""Children of Parallel and Map states: started, ended, dropped.

One rule: what a child is given is computed from its parent's visit; a child's end is one entry of
the parent's results, whatever the child did.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from treadle.asl.errors import EvaluationFailed, StateError
from treadle.asl.json import dumps
from treadle.asl.limits import Limits
from treadle.asl.program import Machine, Map, Parallel, Task, Wait
from treadle.engine import failures, halted, mapruns, records, variables
from treadle.engine.attempts import Attempts
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.journal import Journal
from treadle.engine.memory import Memory
from treadle.engine.payloads import Payload
from treadle.engine.states import fork
from treadle.engine.steps import Done, Failed, Step
from treadle.engine.stretch import Stretch
from treadle.engine.visits import Visits

# States of which AWS records that they were aborted.
_ABORTABLE = (Task, Wait, Map, Parallel)


class Way(Protocol):
    """What walks frames through their states."""

    def enter(self, frame: Frame, name: str, now: datetime) -> None:
        """A frame enters a state."""

    def apply(self, frame: Frame, step: Step, now: datetime) -> None:
        """Act on a step."""

    def guarded(self, frame: Frame, work: Callable[[], Step], now: datetime) -> Step:
        """A state's step."""

    def failed(self, frame: Frame, failure: EvaluationFailed, now: datetime) -> Failed:
        """A failing evaluation as a value."""

    def decide(self, frame: Frame, error: StateError, now: datetime) -> failures.Decision:
        """What would follow from an error."""


class Forks:
    """The children of one execution's frames.

    Args:
        memory: what the execution knows.
        visits: what a state's code may see.
        journal: its history.
        attempts: what runs outside.
        stretch: how much may be done at once.
        limits: its bounds.
        way: see there.
    """

    def __init__(
        self,
        memory: Memory,
        visits: Visits,
        journal: Journal,
        attempts: Attempts,
        stretch: Stretch,
        limits: Limits,
        way: Way,
    ) -> None:
        self._memory = memory
        self._visits = visits
        self._journal = journal
        self._attempts = attempts
        self._stretch = stretch
        self._limits = limits
        self._way = way

    # ------------------------------------------------------------------------------ beginning

    def start(self, frame: Frame, found: Fork, now: datetime) -> None:
        """A state's children are to run."""
        state = _state(frame)
        is_map = isinstance(state, Map)
        details = {"length": found.items_total} if is_map else None
        found.previous = self._journal.add(frame, f"{kind(frame)}StateStarted", now, details)
        frame.scheduled_at = now
        if isinstance(state, Map):
            try:
                # AWS reads it only now, when the state counts as started.
                found.tolerance = fork.tolerance(state, self._visits.visit(frame, now))
            except EvaluationFailed as failure:
                self._way.apply(frame, self._way.failed(frame, failure, now), now)
                return
            self._memory.progress.total += found.items_total
        frame.fork = found
        frame.phase = Phase.FORKED
        if mapruns.is_run(frame):
            arn = self._visits.map_run_arn(frame)
            self._journal.add(frame, "MapRunStarted", now, {"mapRunArn": arn})
        if found.complete:
            self._finish(frame, now)
        else:
            self._memory.ready.append(frame.id)

    def go_on(self, frame: Frame, now: datetime) -> None:
        """Start as many children as may live."""
        memory = self._memory
        found = self._visits.fork(frame)
        if found.complete:
            self._finish(frame, now)  # it failed to, before it was redriven
            return
        while found.can_start:
            if frame.fork is not found:
                return  # the child's first state has failed it, or all that is around it
            if self._stretch.is_full or self._history_is_full(frame):
                memory.ready.appendleft(frame.id)
                return
            # One child may always live: nested Maps would otherwise wait for each other.
            crowded = len(memory.frames) >= self._limits.live_frames_max and found.live
            if crowded and isinstance(frame.definition, Map):
                memory.starved[frame.id] = None
                return
            try:
                given = self._visits.first_input(frame, found.next_index)
            except EvaluationFailed as failure:
                self._way.apply(frame, self._way.failed(frame, failure, now), now)
                return
            self._start_child(frame, found, given, now)

    def _history_is_full(self, frame: Frame) -> bool:
        # Of a map run's child, entering the next state fails it.
        return frame.home == 0 and self._journal.next_id(frame) >= self._limits.history_events_max

    def _start_child(self, parent: Frame, found: Fork, given: Payload, now: datetime) -> None:
        state = _state(parent)
        index = found.next_index
        child = self.new_frame(parent, index, fork.child_machine(state, index))
        child.given = given
        self._stretch.made(given.size_bytes)
        if mapruns.is_run(parent):
            child.started_at = now
            child.events = 1  # its ExecutionStarted
        else:
            child.last_id = found.previous
            if isinstance(state, Map):
                self._journal.add(child, "MapIterationStarted", now, _iteration(parent, index))
        found.begin()
        found.live.add(child.id)
        self._way.enter(child, child.machine.start_at, now)

    def new_frame(self, parent: Frame | None, index: int, machine: Machine) -> Frame:
        """A frame at the beginning of a list of states."""
        memory = self._memory
        number = memory.next_frame
        above = None if parent is None else parent.id
        frame = Frame(number, above, index, machine, machine.start_at)
        frame.home = mapruns.home(parent, number)
        memory.next_frame += 1
        memory.frames[number] = frame
        return frame

    # ------------------------------------------------------------------------------ ending

    def child_succeeded(self, child: Frame, output: Payload, now: datetime) -> None:
        """A child has come to the end of its list of states."""
        parent = self._parent(child)
        found = self._counted(parent)
        if mapruns.is_run(parent):
            self._memory.progress.done += len(found.items_of(child.index))
        else:
            found.previous = parent.last_id = child.last_id
            if isinstance(parent.definition, Map):
                details = _iteration(parent, child.index)
                parent.last_id = self._journal.add(child, "MapIterationSucceeded", now, details)
                self._memory.progress.done += 1
        self._end_child(child, output.text, now)

    def child_failed(self, child: Frame, error: StateError, now: datetime) -> StateError | None:
        """A child has failed.

        Returns:
            The error that its parent fails with; None where the parent goes on.
        """
        parent = self._parent(child)
        if mapruns.is_run(parent):
            return self._run_child_failed(parent, child, error, now)
        last_id = child.last_id
        if isinstance(parent.definition, Map):
            self._journal.add(child, "MapIterationFailed", now, _iteration(parent, child.index))
            self._memory.progress.failed += 1
        self.drop(parent, now, failing=child.id)
        if isinstance(self._way.decide(parent, error, now), failures.RetryAt):
            parent.last_id = child.last_id
        else:
            parent.last_id = last_id
            self._journal.add(parent, f"{kind(parent)}StateFailed", now)
        return error

    def _run_child_failed(
        self, parent: Frame, child: Frame, error: StateError, now: datetime
    ) -> StateError | None:
        found = self._visits.fork(parent)
        assert found.tolerance is not None
        items = len(found.items_of(child.index))
        found.failed += items
        self._memory.progress.failed += items
        if not found.tolerance.is_exceeded(found.failed, found.items_total):
            self._memory.progress.done += items
            identity, given = self._visits.identity(child), self._visits.begun_with(child)
            row = mapruns.failed_row(identity, given, child, error, now)
            found.failures.append(child.index)
            halted.forget(self._memory, child)
            self._end_child(child, dumps(row), now)
            return None
        self.drop(parent, now, failing=child.id)
        exceeded = mapruns.EXCEEDED
        details = records.failed(exceeded.name, exceeded.cause)
        self._journal.add(parent, "MapRunFailed", now, details)
        if not isinstance(self._way.decide(parent, exceeded, now), failures.RetryAt):
            self._journal.add(parent, "MapStateFailed", now)
        return exceeded

    def _end_child(self, child: Frame, text: str, now: datetime) -> None:
        parent = self._parent(child)
        found = parent.fork
        assert found is not None
        found.keep(child.index, text)
        self._remove(child)
        if found.complete:
            self._finish(parent, now)
        elif found.can_start:
            self._memory.ready.append(parent.id)

    def _finish(self, frame: Frame, now: datetime) -> None:
        visit, found = self._visits.visit(frame, now), self._visits.fork(frame)
        if mapruns.is_run(frame):
            self._journal.add(frame, "MapRunSucceeded", now)
        step = self._way.guarded(frame, partial(fork.finish, _state(frame), visit, found), now)
        if isinstance(step, Done):
            # AWS: what follows names the last child's entry, not this one.
            self._journal.aside(frame, f"{kind(frame)}StateSucceeded", now)
        self._way.apply(frame, step, now)

    # ------------------------------------------------------------------------------ dropping

    def drop(self, frame: Frame, now: datetime, failing: int | None = None) -> None:
        """The children of a state that failed or was aborted stop, deepest first."""
        if frame.fork is None:
            return
        found = self._counted(frame)
        is_map, is_run = isinstance(frame.definition, Map), mapruns.is_run(frame)
        for child_id in sorted(found.live):
            child = self._memory.frames[child_id]
            if child_id != failing:
                self._abort(child, now)
                if is_map and not is_run:
                    details = _iteration(frame, child.index)
                    self._journal.add(child, "MapIterationAborted", now, details)
            self._remove(child)
            self._memory.halted[child_id] = child
        if is_map:
            self._memory.progress.remove(found)
        frame.dropped, frame.fork = found, None

    def _abort(self, frame: Frame, now: datetime) -> None:
        if mapruns.is_run(frame) and frame.fork is not None:
            self._journal.add(frame, "MapRunAborted", now)
        self.drop(frame, now)
        self._attempts.abandon(frame, now)
        if isinstance(frame.definition, _ABORTABLE):
            self._journal.add(frame, f"{kind(frame)}StateAborted", now)

    def _remove(self, child: Frame) -> None:
        memory = self._memory
        del memory.frames[child.id]
        variables.forget(memory, child)
        parent_fork = self._parent(child).fork
        assert parent_fork is not None
        parent_fork.live.discard(child.id)
        if memory.starved:
            starved = next(iter(memory.starved))
            del memory.starved[starved]
            memory.ready.append(starved)

    def _counted(self, frame: Frame) -> Fork:
        """A frame's children, and how many items each has: a snapshot leaves out the batches."""
        assert frame.fork is not None
        return self._visits.fork(frame) if _has_batches(frame) else frame.fork

    def _parent(self, child: Frame) -> Frame:
        assert child.parent is not None
        return self._memory.frames[child.parent]


def kind(frame: Frame) -> str:
    """The type of a frame's state, as event types begin with it."""
    return type(frame.definition).__name__


def _state(frame: Frame) -> Parallel | Map:
    state = frame.definition
    assert isinstance(state, Parallel | Map)
    return state


def _has_batches(frame: Frame) -> bool:
    state = frame.definition
    return isinstance(state, Map) and state.batcher is not None


def _iteration(parent: Frame, index: int) -> dict[str, Any]:
    return {"name": parent.state, "index": index}
