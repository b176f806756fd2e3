"""How much an execution does at once, before others have the loop.

One rule: counts decide, so that the same events give the same stretches. Seconds of work are a far
backstop, for expressions that take longer than they count; nothing but other stretches follows.
"""

from collections.abc import Callable

from treadle.asl.limits import (
    STRETCH_SECONDS_MAX,
    STRETCH_TRANSITIONS_MAX,
    TURN_BYTES_MAX,
    TURN_NODES_MAX,
    Limits,
)
from treadle.asl.scope import Effort
from treadle.engine.memory import Memory


class Stretch:
    """State entries, nodes visited by expressions, and bytes of outputs, since `begin`."""

    def __init__(
        self,
        memory: Memory,
        effort: Effort,
        limits: Limits,
        stopwatch: Callable[[], float] | None = None,
    ) -> None:
        self._stopwatch = stopwatch
        self._ends_at = 0.0
        self._memory = memory
        self._effort = effort
        self._entries = min(STRETCH_TRANSITIONS_MAX, limits.turn_transitions_max)
        self._entries_max = self._nodes_max = self._bytes = 0
        self.unsaved_bytes = 0  # of outputs, since the last save

    def begin(self) -> None:
        """Count anew."""
        self._entries_max = self._memory.entries + self._entries
        self._nodes_max = self._effort.nodes + TURN_NODES_MAX
        self._bytes = 0
        if self._stopwatch is not None:
            self._ends_at = self._stopwatch() + STRETCH_SECONDS_MAX

    def made(self, size_bytes: int) -> None:
        """Count an output."""
        self._bytes += size_bytes
        self.unsaved_bytes += size_bytes

    @property
    def is_full(self) -> bool:
        """Whether the rest waits for the next stretch."""
        return (
            self._memory.entries >= self._entries_max
            or self._effort.nodes >= self._nodes_max
            or self._bytes >= TURN_BYTES_MAX
            or (self._stopwatch is not None and self._stopwatch() >= self._ends_at)
        )
