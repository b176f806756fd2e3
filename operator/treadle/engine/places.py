"""Where an execution is, for people.

One rule: only the innermost frames are places; what is around one is its path.
"""

from dataclasses import dataclass
from datetime import datetime

from treadle.asl.program import Task
from treadle.engine.frames import Frame, Phase
from treadle.engine.memory import Memory
from treadle.engine.records import is_activity

_WAITS_FOR = {
    Phase.READY: "turn",
    Phase.WAITING: "time",
    Phase.RUNNING: "task",
    Phase.SLEEPING: "retry",
    Phase.FORKED: "children",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an execution is, for people.

    `path` names the enclosing states, with the index of a branch or item; `waits_for` is a word
    for what must happen next, and `until` when that is at the latest, where it is known.
    """

    name: str
    path: str
    entered_at: datetime
    attempt: int
    waits_for: str
    until: datetime | None = None


def places(memory: Memory, at_most: int) -> list[Place]:
    """The innermost frames, oldest first."""
    found: list[Place] = []
    for frame in memory.frames.values():
        if frame.phase is Phase.FORKED and frame.fork and frame.fork.live:
            continue
        found.append(_place(memory, frame))
        if len(found) == at_most:
            break
    return found


def path_of(memory: Memory, frame: Frame) -> str:
    """A frame's state and those around it, with the index of a branch or item."""
    parts = [frame.state]
    walk: Frame = frame
    while walk.parent is not None:
        parent = memory.frames[walk.parent]
        parts.append(f"{parent.state}[{walk.index}]")
        walk = parent
    return "/".join(reversed(parts))


def _place(memory: Memory, frame: Frame) -> Place:
    assert frame.entered_at is not None
    waits_for, state = _WAITS_FOR[frame.phase], frame.definition
    if frame.phase is Phase.RUNNING and isinstance(state, Task):
        if not frame.is_outside:
            waits_for = "callback"
        elif not frame.started and is_activity(state.resource):
            waits_for = "worker"
    path = path_of(memory, frame)
    return Place(frame.state, path, frame.entered_at, frame.attempt, waits_for, frame.due_at)
