"""Where history entries go: each into the history of the execution that its frame belongs to.

One rule: a child of a distributed Map is an execution of its own. Its entries are numbered, because
causes name their numbers; they are not kept, as they would be in another execution's history.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from treadle.engine.frames import Frame
from treadle.engine.memory import Memory


class Journal:
    """The history, as frames write it."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def add(
        self, frame: Frame, kind: str, now: datetime, details: Mapping[str, Any] | None = None
    ) -> int:
        """Add an entry after the frame's last one, as its last one; gives its id."""
        frame.last_id = self.aside(frame, kind, now, details)
        return frame.last_id

    def aside(
        self, frame: Frame, kind: str, now: datetime, details: Mapping[str, Any] | None = None
    ) -> int:
        """Add an entry that the frame's next one does not follow; gives its id."""
        if frame.home == 0:
            return self._memory.history.add(kind, frame.last_id, now, details)
        home = self._memory.frames[frame.home]
        home.events += 1
        return home.events

    def next_id(self, frame: Frame) -> int:
        """The id of the next entry in a frame's history."""
        if frame.home == 0:
            return self._memory.history.next_id
        return self._memory.frames[frame.home].events + 1
