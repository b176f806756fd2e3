"""Handling: what waits in a mailbox goes through the engine, a stretch at a time.

One rule: an event stays in the mailbox until it was handled, and with the run until a save holds
its effect.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from treadle.asl.evaluator import EvaluatorLost
from treadle.asl.limits import TURN_BYTES_MAX
from treadle.engine.events import (
    Event,
    GoOn,
    TaskFailed,
    TaskHeartbeat,
    TaskId,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.runtime import functions
from treadle.runtime.ports import Aside, Clock, Payer, Standing, T, Unavailable
from treadle.runtime.run import Run, Saved, Waiter
from treadle.runtime.slots import Slots

TURN_SECONDS_MAX = 2.0
"""A turn that goes on for so long is saved, and goes on afterwards."""

LAZY_SAVE_SECONDS = 5.0
"""A change that only says "seen running" waits this long for another save to ride on."""

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Handling:
    """Has the engine handle the events of runs.

    Attributes:
        current: whether the view of the world is complete; no timer fires while it is not.
        slots: one for each turn that is being made.
        aside: does work in a thread; without it all is done here.
    """

    clock: Clock
    current: Callable[[], bool]
    slots: Slots
    aside: Aside | None = None

    async def handle(self, run: Run) -> None:
        """Handle what waits in the mailbox, as far as a turn goes."""
        execution = run.execution
        assert execution is not None
        now = self.clock()
        assert run.pinned is not None
        budget = execution.transitions + run.pinned.limits.turn_transitions_max
        # What happened outside carries its own time and is handled first, in that order.
        run.inbox = deque(sorted(run.inbox, key=_order))
        known = len(run.inbox)
        while known and execution.transitions < budget:
            await self._take(run, run.inbox[0], now)
            run.inbox.popleft()  # not before: where we are wrong about it, it stays
            known -= 1
        if known:
            return
        if run.tick and self.current() and not run.unasked:
            run.tick = False
            if await self._done(run, Tick(), now):
                run.dirty = True
        await self.go_on(run, budget)

    async def _take(self, run: Run, event: Event, now: datetime) -> None:
        assert run.execution is not None
        waiter = run.waiters.get(id(event))
        if waiter is not None:
            assert isinstance(event, TaskStarted | TaskSucceeded | TaskFailed | TaskHeartbeat)
            takes = _takes(run.execution, event, waiter)
            if not (takes or waiter.is_looked_up) and _knows_less(run.execution, event.task):
                # Somebody else is ahead of us: what is stored decides.
                waiter.is_looked_up = run.afresh = run.look = True
                run.inbox.append(event)
                return
            waiter.is_taken = takes
            if isinstance(event, TaskStarted) and not takes:
                run.handled.append(event)  # until somebody is told; it begins nothing
                return
        if isinstance(event, TaskSucceeded | TaskFailed) and (waiter is None or waiter.is_taken):
            run.outcomes.add(event.task)
        if await self._done(run, event, now):
            run.handled.append(event)
            self._note_change(run, event, lazily=waiter is None)
        elif waiter is not None:
            run.handled.append(event)  # until somebody is told

    async def _done(self, run: Run, event: Event, now: datetime) -> bool:
        """Have the engine handle an event; gives whether that changed anything."""
        assert run.execution is not None
        execution = run.execution
        return await self.apart(run, lambda: execution.handle(self._answered(run, event), now))

    async def apart(self, run: Run, work: Callable[[], T]) -> T:
        """Have the engine do something that belongs to a turn, which has no slot meanwhile.

        Raises:
            Unavailable: nobody knows how far it came. What is stored is to be loaded again.
        """
        try:
            if not self._evaluates(run):
                return work()
            async with run.hands, self.slots.lent(is_long=run.is_long):
                return await self._thread(run, work)
        except EvaluatorLost as why:
            run.forget_memory()
            raise Unavailable(f"an expression cannot be evaluated now: {why}") from None

    async def asked(self, run: Run, work: Callable[[], T]) -> T:
        """Have the engine tell something, whose hands the caller holds. Raises: Unavailable."""
        try:
            return await self._thread(run, work) if self._evaluates(run) else work()
        except EvaluatorLost as why:
            raise Unavailable(f"an expression cannot be evaluated now: {why}") from None

    def _evaluates(self, run: Run) -> bool:
        """Whether it may evaluate for a second: then a thread does it."""
        assert run.pinned is not None
        return self.aside is not None and run.pinned.program.evaluates

    def _thread(self, run: Run, work: Callable[[], T]) -> Awaitable[T]:
        assert self.aside is not None
        assert run.pinned is not None
        return self.aside(work, Payer(run.key.namespace, run.pinned.revision))

    def _answered(self, run: Run, event: Event) -> Event:
        """The event as the Resource of its Task tells it: a Lambda function's answer is made here.

        The mailbox keeps what the runner said, so that an event that is handled again gives the
        same.
        """
        assert run.execution is not None
        assert run.pinned is not None
        if not isinstance(event, TaskSucceeded | TaskFailed) or event.by_token:
            return event
        if not functions.calls_function(run.execution.resource(event.task) or ""):
            return event
        work = run.execution.task(event.task)
        assert work is not None
        if work.state in run.pinned.answered:
            return event
        return functions.answer(run.key, work, run.pinned.functions, event)

    async def go_on(self, run: Run, budget: int) -> None:
        """Do what waits for nothing, a stretch at a time, up to so many transitions.

        What is told meanwhile, and a timer, come first; and what was done is saved before it is
        too much, or took too long.
        """
        execution = run.execution
        assert execution is not None
        ends_at = asyncio.get_running_loop().time() + TURN_SECONDS_MAX
        before = -1
        while execution.busy and before < execution.transitions < budget:
            before = execution.transitions
            await asyncio.sleep(0)  # between two stretches the loop is everybody's
            if await self._done(run, GoOn(), self.clock()):
                run.dirty = True
            if self._must_rest(run, execution, ends_at):
                return

    def _must_rest(self, run: Run, execution: Execution, ends_at: float) -> bool:
        due_at = execution.next_due()
        return (
            bool(run.inbox)
            or (due_at is not None and due_at <= self.clock())
            or execution.unsaved_bytes >= TURN_BYTES_MAX
            or asyncio.get_running_loop().time() >= ends_at
        )

    def _note_change(self, run: Run, event: Event, *, lazily: bool) -> None:
        if isinstance(event, TaskStarted) and lazily:
            if run.lazy_at is None:
                run.lazy_at = asyncio.get_running_loop().time() + LAZY_SAVE_SECONDS
        else:
            run.dirty = True


def _takes(
    execution: Execution,
    event: TaskStarted | TaskSucceeded | TaskFailed | TaskHeartbeat,
    waiter: Waiter,
) -> bool:
    if isinstance(event, TaskStarted):
        return waiter.is_there() and execution.begins(event)
    return execution.takes(event.task, event.at)


def _knows_less(execution: Execution, task: TaskId) -> bool:
    return Saved.of(execution).standing(task) is Standing.NEWER


def _order(event: Event) -> tuple[int, datetime]:
    match event:
        case TaskStarted() | TaskSubmitted():
            return (0, _EARLIEST)
        case TaskSucceeded() | TaskFailed():
            return (1, event.at)
        case _:
            return (2, _EARLIEST)
