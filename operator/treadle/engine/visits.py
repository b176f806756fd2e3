"""What a state's code may see, computed from what the snapshot keeps.

One rule: nothing here changes what happens next; what it remembers it can compute again.
"""

from datetime import datetime

from treadle.asl.json import Json
from treadle.asl.limits import VISIT_NODES_MAX, Limits
from treadle.asl.program import Map, Parallel
from treadle.asl.scope import Effort
from treadle.engine import flow, states, variables
from treadle.engine.context import Identity, context_object
from treadle.engine.frames import Fork, Frame
from treadle.engine.memory import Memory
from treadle.engine.payloads import Payload
from treadle.engine.states import fork
from treadle.engine.steps import StartFork


class Visits:
    """The visits of one execution's frames."""

    def __init__(self, memory: Memory, identity: Identity, limits: Limits) -> None:
        self._memory = memory
        self._identity = identity
        self._limits = limits
        self.effort = Effort()  # of all visits since this process holds the execution

    def visit(self, frame: Frame, now: datetime) -> flow.Visit:
        """What a state's code may see."""
        memory = self._memory

        def context_of(item: Json | None) -> Json:
            given = item if item is not None else self._item(frame)
            return context_object(
                self._identity, memory.input.value, memory.started_at, frame, given
            )

        effort = Effort(VISIT_NODES_MAX, self.effort)
        return flow.Visit(
            frame,
            self.raw(frame),
            now,
            self._limits,
            memory.seed,
            context_of,
            effort,
            variables.readable(memory, frame),
        )

    def _item(self, frame: Frame) -> Json | None:
        # The nearest enclosing iteration's.
        while frame.parent is not None:
            parent = self._memory.frames[frame.parent]
            item = fork.item_of(self.fork(parent), frame.index)
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

    def child_input(self, parent: Frame, index: int) -> Payload:
        """What a child is given. Raises: EvaluationFailed."""
        state = parent.definition
        assert isinstance(state, Parallel | Map)
        assert parent.entered_at is not None
        visit = self.visit(parent, parent.entered_at)
        return fork.child_input(state, visit, self.fork(parent), index)

    def fork(self, frame: Frame) -> Fork:
        """A frame's children; what a snapshot leaves out is computed again."""
        found = frame.fork
        assert found is not None
        if found.input is None:
            assert frame.entered_at is not None
            step = states.work(frame.definition, self.visit(frame, frame.entered_at))
            assert isinstance(step, StartFork)
            found.input, found.items = step.fork.input, step.fork.items
        return found
