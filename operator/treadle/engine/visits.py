"""What a state's code may see, computed from what the snapshot keeps.

One rule: nothing here changes what happens next; what it remembers it can compute again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from treadle.asl.arns import map_run_arn
from treadle.asl.chance import Chance
from treadle.asl.evaluator import Evaluator
from treadle.asl.json import Json
from treadle.asl.limits import (
    DEFAULT,
    ITEM_NODES,
    ITEM_SECONDS,
    ITEMS_NODES_MAX,
    ITEMS_SECONDS_MAX,
    VISIT_NODES_MAX,
    VISIT_SECONDS_MAX,
    Limits,
)
from treadle.asl.program import Map, Parallel, Task
from treadle.asl.scope import Effort
from treadle.engine import flow, states, variables
from treadle.engine.context import Identity, context_object
from treadle.engine.frames import Fork, Frame
from treadle.engine.mapruns import child_identity
from treadle.engine.memory import Memory
from treadle.engine.payloads import Payload
from treadle.engine.states import fork
from treadle.engine.steps import StartFork

TOKEN = "<task token>"
"""Stands for a task's token wherever what is computed is kept: whoever reads it may not answer."""


class Visits:
    """The visits of one execution's frames."""

    def __init__(
        self,
        memory: Memory,
        identity: Identity,
        limits: Limits,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
    ) -> None:
        self._memory = memory
        self._identity = identity
        self._limits = limits
        # What has passed a limit passes for ever, though the limit is lower by now.
        most = max(limits.payload_bytes_max, DEFAULT.payload_bytes_max)
        self._limits_again = replace(limits, payload_bytes_max=most)
        self._stopwatch = stopwatch
        self._evaluator = evaluator
        self.effort = Effort()  # of all visits since this process holds the execution

    def visit(
        self, frame: Frame, now: datetime, *, again: bool = False, token: str = TOKEN
    ) -> flow.Visit:
        """What a state's code may see; `again`: to compute what was computed before.

        `token` is what `$$.Task.Token` gives: but for what leaves this process, only a text that
        stands for it.
        """
        watch = self._stopwatch
        # What was accepted once is never refused: nobody would be there to be told.
        nodes_max = None if again else VISIT_NODES_MAX
        effort = Effort(nodes_max, self.effort, watch, self._evaluator, again=again)
        return self._visit(frame, now, effort, token)

    def _visit(self, frame: Frame, now: datetime, effort: Effort, token: str = TOKEN) -> flow.Visit:
        limits = self._limits_again if effort.again else self._limits
        return flow.Visit(
            frame,
            self.raw(frame),
            now,
            limits,
            self._memory.seed,
            partial(self._context, frame, now, token),
            effort,
            variables.readable(self._memory, frame),
        )

    def _context(self, frame: Frame, now: datetime, token: str, item: Json | None) -> Json:
        memory = self._memory
        # What was computed before a redrive is computed again as it was.
        redriven = [at for at in memory.redriven if at <= now and frame.home == 0]
        state = frame.definition
        has_token = isinstance(state, Task) and state.has_token
        given = item if item is not None else self._item(frame)
        if frame.home == 0:
            begun, started_at = memory.input, memory.started_at
        else:
            home = memory.frames[frame.home]
            assert home.started_at is not None
            begun, started_at = self.begun_with(home), home.started_at
        return context_object(
            self.identity(frame),
            begun.value,
            started_at,
            frame,
            given,
            token if has_token else None,
            redriven,
        )

    def identity(self, frame: Frame) -> Identity:
        """What a frame's execution is called."""
        if frame.home == 0:
            return self._identity
        home = self._memory.frames[frame.home]
        parent = self._parent(home)
        return child_identity(self.identity(parent), self._memory.seed, parent, home.index)

    def map_run_arn(self, frame: Frame) -> str:
        """The ARN of the map run of a distributed Map that is being worked on."""
        state = frame.definition
        assert isinstance(state, Map)
        salt = f"/{frame.entry}/{frame.attempt}/MapRun".encode()
        run = Chance(self._memory.seed + salt).uuid()
        return map_run_arn(self.identity(frame).machine_arn, state.label, run)

    def begun_with(self, child: Frame) -> Payload:
        """What a child was given when it began."""
        return child.given or self.child_input(self._parent(child), child.index)

    def _parent(self, child: Frame) -> Frame:
        assert child.parent is not None
        return self._memory.frames[child.parent]

    def _item(self, frame: Frame) -> Json | None:
        # The nearest enclosing iteration's; executions of their own see none.
        while frame.parent is not None and frame.home != frame.id:
            parent = self._memory.frames[frame.parent]
            state = parent.definition
            assert isinstance(state, Parallel | Map)
            item = fork.item_of(state, self.fork(parent), frame.index)
            if item is not None:
                return item
            frame = parent
        return None

    def raw(self, frame: Frame) -> Payload:
        """The raw input of a frame's state."""
        if frame.data is not None:
            return frame.data
        if frame.given is None:
            assert frame.parent is not None
            parent = self._memory.frames[frame.parent]
            frame.given = self.child_input(parent, frame.index)
        return frame.given

    def first_input(self, parent: Frame, index: int) -> Payload:
        """What a child is to be given; all items of a Map share a bound. Raises: EvaluationFailed.

        What they spent is counted for a Map as a whole, and kept: so many children that each cost
        little are not many visits.
        """
        found = self.fork(parent)
        items = Effort(ITEMS_NODES_MAX + ITEM_NODES * found.items_total, self.effort)
        items.nodes = found.spent
        left = min(VISIT_SECONDS_MAX, ITEMS_SECONDS_MAX - found.seconds)
        effort = Effort(VISIT_NODES_MAX, items, self._stopwatch, self._evaluator, seconds_max=left)
        try:
            return self._given(parent, index, self._visit(parent, self._begun_at(parent), effort))
        finally:
            found.spent = items.nodes
            found.seconds += max(0.0, effort.seconds - ITEM_SECONDS)

    def child_input(self, parent: Frame, index: int) -> Payload:
        """What a child was given."""
        return self._given(parent, index, self.visit(parent, self._begun_at(parent), again=True))

    def _given(self, parent: Frame, index: int, visit: flow.Visit) -> Payload:
        state = parent.definition
        assert isinstance(state, Parallel | Map)
        return fork.child_input(state, visit, self.fork(parent), index)

    def fork(self, frame: Frame) -> Fork:
        """A frame's children; what a snapshot leaves out is computed again."""
        found = frame.fork
        assert found is not None
        if found.input is None:
            state = frame.definition
            visit = self.visit(frame, self._begun_at(frame), again=True)
            step = states.work(state, visit)
            assert isinstance(step, StartFork)
            again = step.fork
            found.input, found.items, found.batches = again.input, again.items, again.batches
            found.is_keyed = again.is_keyed
            if found.is_mended:
                found.concurrency_max, found.is_mended = again.concurrency_max, False
            if isinstance(state, Map):
                found.tolerance = fork.tolerance(state, visit)
        return found

    def _begun_at(self, frame: Frame) -> datetime:
        """When a fork's expressions were evaluated first: they may ask for the time."""
        begun_at = frame.scheduled_at or frame.entered_at
        assert begun_at is not None
        return begun_at
