"""One execution in hand: its mailbox, what is stored, what is in memory, what runs outside.

One rule: everything is keyed by uid; what `saved` says comes from the last save, never from a
decision that no save holds yet.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from treadle.engine.events import Event, StopRequested, SuspendChanged, TaskId, TaskStarted
from treadle.engine.execution import Execution
from treadle.runtime.ports import (
    ExecutionKey,
    Loaded,
    Pinned,
    Redrive,
    Sighting,
    Standing,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class Saved:
    """What the last save says of attempts.

    Attributes:
        entries: state entries that it knows.
        frames: frame -> its newest attempt, and whether that must be running.
    """

    entries: int
    frames: dict[int, tuple[TaskId, bool]]

    @classmethod
    def of(cls, execution: Execution) -> "Saved":
        """What a save of this execution says."""
        return cls(
            execution.transitions, {task.frame: (task, runs) for task, runs in execution.attempts()}
        )

    def standing(self, task: TaskId) -> Standing:
        """Where an attempt stands. An entry or attempt past ours: someone knows more."""
        if task.entry > self.entries:
            return Standing.NEWER
        newest, runs = self.frames.get(task.frame, (None, False))
        if newest is None or newest.entry != task.entry:
            return Standing.OVER
        if task.attempt > newest.attempt:
            return Standing.NEWER
        return Standing.LIVE if runs and task == newest else Standing.OVER


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits until what they said is saved, or is known to change nothing.

    Attributes:
        event: what they said: the outcome of an attempt, a sign of life, or that a worker has it.
        told: whether it was taken.
        is_there: whether they still wait. What a worker would have begins for nobody else.
        is_taken: that, once it was handled; nobody is told before a save holds what decided it.
        is_looked_up: what is stored was read again to judge it.
    """

    event: Event
    told: asyncio.Future[bool]
    is_there: Callable[[], bool]
    is_taken: bool | None = None
    is_looked_up: bool = False


NOTHING_SAVED = Saved(0, {})


@dataclass(slots=True)
class Run:
    """See the module.

    Attributes:
        inbox: events that were not handled yet, and `handled`: those that no save holds yet.
        waiters: who waits for an event, by the id of that object.
        tried: checkpoints that were sent since the last save whose answer we have.
        restored: attempts that were decided before this process held the execution.
        unasked: of those, attempts whose end nobody tells before it is asked for.
        effects: what was begun outside, by attempt; and `closers`: names being taken.
        outcomes: attempts whose own outcome was an event here.
        capacity: why attempts wait.
        dirty: something that the status shows has changed, though no event did.
        is_long: it had more to do than one turn, when the turn that is made began.
        lazy_at: loop time by which a change that can wait is saved.
        tick: a timer is due.
        look: the next turn has something to find out; `afresh`: from what is stored.
        hands: held by who works on the execution where that may be in a thread.
        redriving: the redrive that no save holds yet.
        untidy: there may be pages that no checkpoint needs; `tidy_at`: loop time of the next look.
    """

    key: ExecutionKey
    inbox: deque[Event] = field(default_factory=deque)
    handled: list[Event] = field(default_factory=list)
    waiters: dict[int, Waiter] = field(default_factory=dict)
    loaded: Loaded | None = None
    pinned: Pinned | None = None
    execution: Execution | None = None
    saved: Saved = NOTHING_SAVED
    tried: set[str] = field(default_factory=set)
    restored: frozenset[TaskId] = frozenset()
    unasked: set[TaskId] = field(default_factory=set)
    effects: dict[TaskId, asyncio.Task[None]] = field(default_factory=dict)
    closers: dict[TaskId, asyncio.Task[None]] = field(default_factory=dict)
    outcomes: set[TaskId] = field(default_factory=set)
    capacity: dict[TaskId, str] = field(default_factory=dict)
    sighting: Sighting | None = None
    turning: asyncio.Task[None] | None = None
    alarm: asyncio.TimerHandle | None = None
    dirty: bool = False
    is_long: bool = False
    lazy_at: float | None = None
    tick: bool = False
    look: bool = False
    afresh: bool = False
    gone: bool = False
    over: bool = False
    parked: str | None = None
    redriving: Redrive | None = None
    failures: int = 0
    untidy: bool = False
    tidy_at: float = 0.0
    ended_at: datetime | None = None
    hands: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def has_work(self) -> bool:
        """Whether a turn would find something to do."""
        return bool(self.inbox) or self.tick or self.dirty or self.look

    @property
    def machine(self) -> str:
        """The name of its StateMachine; empty while that is not known."""
        request = self.loaded.request if self.loaded is not None else None
        return request.machine if request is not None else ""

    def standing(self, task: TaskId) -> Standing:
        """Where an attempt stands by the last save."""
        if self.gone:
            return Standing.GONE
        if self.loaded is None or (self.execution is None and not self.over):
            return Standing.UNKNOWN
        return self.saved.standing(task)

    @property
    def is_settled(self) -> bool:
        """Whether it was looked at, and what it wants was begun; or it waits for people."""
        if self.gone or self.over or self.parked:
            return True
        begun = all(effect.done() for effect in self.effects.values())
        return self.loaded is not None and self.turning is None and begun

    @property
    def is_deserted(self) -> bool:
        """Whether a worker has gone for whom something began that no save holds yet."""
        return any(
            isinstance(waiter.event, TaskStarted) and waiter.is_taken and not waiter.is_there()
            for waiter in self.waiters.values()
        )

    def hold_starts(self) -> None:
        """Begin nothing any more that is over in memory, though no save says so yet.

        What is held is begun again where the save turns out otherwise.
        """
        assert self.execution is not None
        wanted = set(self.execution.wanted())
        for task, effect in self.effects.items():
            if task not in wanted:
                effect.cancel()

    def wait_for(self, event: Event, is_there: Callable[[], bool]) -> asyncio.Future[bool]:
        """Leave an event; gives who will tell what came of it."""
        waiter = Waiter(event, asyncio.get_running_loop().create_future(), is_there)
        self.waiters[id(event)] = waiter
        self.inbox.append(event)
        return waiter.told

    def settle(self) -> None:
        """What decided is saved: tell who waits."""
        for number, waiter in list(self.waiters.items()):
            if waiter.is_taken is None:
                continue
            del self.waiters[number]
            # Nobody who was told that it changed nothing may find it taken later.
            self.handled = [event for event in self.handled if event is not waiter.event]
            if not waiter.told.done():
                waiter.told.set_result(waiter.is_taken)

    def park(self, why: str) -> None:
        """It cannot go on, and nobody knows until when: who waits is turned away."""
        self.parked = why
        # What they said may still be handled, but a worker that was turned away has nothing.
        self.inbox = deque(
            event
            for event in self.inbox
            if not (isinstance(event, TaskStarted) and id(event) in self.waiters)
        )
        for waiter in self.waiters.values():
            if not waiter.told.done():
                waiter.told.set_exception(Unavailable(f"{self.key.name} cannot go on: {why}"))
        self.waiters.clear()

    def drop_events(self) -> None:
        """It is over or gone: nothing changes it any more."""
        for waiter in self.waiters.values():
            waiter.is_taken = False
        self.settle()
        self.inbox.clear()
        self.handled.clear()
        self.dirty = self.tick = False

    def forget_memory(self) -> None:
        """What is stored is not what we thought: the same events are handled on what is."""
        self.inbox.extendleft(reversed(self.handled))
        # What the spec asked for then, it may have taken back: whoever loads it asks it again.
        wishes = (StopRequested, SuspendChanged)
        self.inbox = deque(event for event in self.inbox if not isinstance(event, wishes))
        self.handled.clear()
        for waiter in self.waiters.values():
            waiter.is_taken = None
        self.loaded = None
        self.execution = None
        self.tried.clear()
        self.over = False  # until what is stored says so
        self.lazy_at = self.redriving = self.ended_at = None
