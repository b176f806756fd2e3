"""All that an execution knows: what a snapshot keeps, and what is rebuilt from it.

One rule: whatever decides is in here; nothing outside this object changes what happens next.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from treadle.asl.errors import StateError
from treadle.engine.events import TaskId
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.history import History
from treadle.engine.payloads import Payload


class Status(StrEnum):
    """AWS's execution status."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Page:
    """A page to write: `kind` is payload, results, history or snapshot; `raw` is not packed."""

    kind: str
    raw: bytes


class Timer(NamedTuple):
    """Something to do at an instant; stale once the frame has moved on."""

    due_at: datetime
    frame: int
    entry: int
    attempt: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Closing:
    """An attempt that ended before anybody saw its object: its create may still be on the way."""

    state: str
    resource: str
    digest: str
    ended_at: datetime


@dataclass(slots=True)
class Progress:
    """Items of Map states, over the whole execution."""

    done: int = 0
    total: int = 0
    failed: int = 0

    def add(self, fork: Fork) -> None:
        """Count the items of a Map."""
        self.total += fork.items_total
        self.done += fork.items_done

    def remove(self, fork: Fork) -> None:
        """Count the items of a Map no longer."""
        self.total -= fork.items_total
        self.done -= fork.items_done


@dataclass(slots=True)
class Memory:
    """See the module.

    Attributes:
        entries: state entries so far; TaskId.entry comes from it.
        halted: frames that failed or were stopped, and may go on where it is redriven.
        redriven: when it was, each time.
        ready: frames with work to do, in order.
        starved: Map frames that wait because too many frames live.
        timers: a heap; rebuilt, not stored.
        variables_bytes: of all variables; counted again, not stored.
        pages_bytes: of all pages ever written.
        unsaved: pages that the next snapshot refers to and that no save has written yet.
        saved: digests of pages that a save has written.
    """

    seed: bytes
    input: Payload
    started_at: datetime
    deadline_at: datetime | None = None
    frames: dict[int, Frame] = field(default_factory=dict)
    history: History = field(default_factory=History)
    next_frame: int = 0
    entries: int = 0
    status: Status = Status.RUNNING
    output: Payload | None = None
    error: StateError | None = None
    ended_at: datetime | None = None
    suspended: bool = False
    halted: dict[int, Frame] = field(default_factory=dict)
    redriven: list[datetime] = field(default_factory=list)
    closing: dict[TaskId, Closing] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    variables_bytes: int = 0
    pages_bytes: int = 0
    ready: deque[int] = field(default_factory=deque)
    starved: dict[int, None] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)
    unsaved: dict[str, Page] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status is not Status.RUNNING

    def set_timer(self, frame: Frame, due_at: datetime) -> None:
        """Wake a frame, as it is now, at an instant."""
        frame.due_at = due_at
        timer = Timer(due_at, frame.id, frame.entry, frame.attempt, frame.phase)
        heapq.heappush(self.timers, timer)

    def timed(self, timer: Timer) -> Frame | None:
        """The frame that a timer is for; None where it has moved on."""
        frame = self.frames.get(timer.frame)
        if frame is None or frame.due_at != timer.due_at:
            return None
        now = (frame.entry, frame.attempt, frame.phase)
        return frame if now == (timer.entry, timer.attempt, timer.phase) else None

    def next_timer(self) -> Timer | None:
        """The earliest that is not stale."""
        while self.timers and self.timed(self.timers[0]) is None:
            heapq.heappop(self.timers)
        return self.timers[0] if self.timers else None

    def take_due(self, now: datetime) -> Frame | None:
        """A frame whose time has come; its timer is used up."""
        timer = self.next_timer()
        if timer is None or timer.due_at > now:
            return None
        heapq.heappop(self.timers)
        return self.timed(timer)
