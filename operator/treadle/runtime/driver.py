"""The driver: one mailbox and one turn at a time for each execution.

One rule: whatever happens is posted here and waits for its execution's next turn.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from treadle.asl.evaluator import Evaluator
from treadle.engine.events import Event, TaskId
from treadle.runtime.handling import Handling
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    TERMINAL,
    Announce,
    Aside,
    Attempt,
    Clock,
    ExecutionKey,
    Fault,
    Leadership,
    Machines,
    Missing,
    Refused,
    Runner,
    Sighting,
    Standing,
    Store,
    Tokens,
)
from treadle.runtime.reconcile import Reconciler
from treadle.runtime.redrives import Identify, Redrives
from treadle.runtime.run import Run, Saved
from treadle.runtime.slots import Slots
from treadle.runtime.turn import Turns

_log = logging.getLogger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
ALARM_SECONDS_MAX = 600.0
"""A timer looks at the clock at least this often, so that a changed clock is noticed."""

FINISHED_MAX = 20_000
"""Executions whose end is remembered, so that what they left needs no live read."""

SETTLED_LOOK_SECONDS = 0.05
TIDY_SECONDS = 120.0
"""How often pages that a checkpoint no longer needs are looked for."""

CLOSING_SECONDS = 180.0
"""How long after its end an execution is looked at again after a restart."""


class Driver:
    """See the module. Nothing happens before `open`: first, the world has to be seen."""

    def __init__(
        self,
        *,
        store: Store,
        machines: Machines,
        leadership: Leadership,
        clock: Clock,
        identify: Identify,
        meter: Meter | None = None,
        announce: Announce | None = None,
        alarm_seconds_max: float = ALARM_SECONDS_MAX,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
        aside: Aside | None = None,
        tokens: Tokens | None = None,
        log: str = "the operator's log",
    ) -> None:
        self._store = store
        self._log = log
        self._leadership = leadership
        self._clock = clock
        self._meter = meter or NoMeter()
        self._announce = announce or (lambda *_: None)
        self._alarm_seconds_max = alarm_seconds_max
        self._runners: list[Runner] = []
        self._slots = Slots()
        handling = Handling(clock, self._current, self._slots, aside)
        shared: Any = {
            "store": store,
            "machines": machines,
            "clock": clock,
            "meter": self._meter,
            "identify": identify,
            "handling": handling,
            "announce": self._announce,
            "stopwatch": stopwatch,
            "evaluator": evaluator,
        }
        self._turns = Turns(redrives=Redrives(**shared), **shared)
        self._reconciler = Reconciler(
            self._runners, leadership, clock, self.post, self._meter, handling, tokens
        )
        # By uid, and by namespace and name too: a Pod may claim a uid from another namespace.
        self._runs: dict[ExecutionKey, Run] = {}
        self._finished: OrderedDict[ExecutionKey, Saved] = OrderedDict()
        self._open = False
        self._quiet = False
        self._draining = False

    def serve(self, runners: Sequence[Runner]) -> None:
        """Name the runners; they need this driver as their mailbox, so they come after it."""
        self._runners.extend(runners)

    def _current(self) -> bool:
        return all(runner.current() for runner in self._runners)

    # --------------------------------------------------------------------------- what happens

    def post(self, execution: ExecutionKey, event: Event) -> None:
        """Leave an event; see `ports.Mailbox`."""
        if execution in self._finished:
            return
        run = self._run(execution)
        run.inbox.append(event)
        self._schedule(run)

    async def answer(
        self, execution: ExecutionKey, event: Event, is_there: Callable[[], bool] = lambda: True
    ) -> bool:
        """Leave what the holder of a token says, and wait for the save that holds its effect.

        Or that a worker has an attempt; while `is_there` says that it still waits for that.

        Returns:
            Whether it had one: not where the attempt is over.

        Raises:
            Unavailable: nobody knows when it will be handled. It may be handled all the same.
        """
        if execution in self._finished:
            return False
        run = self._run(execution)
        told = run.wait_for(event, is_there)
        if run.parked:
            run.park(run.parked)
        self._schedule(run)
        return await told

    def waits(self, execution: ExecutionKey, task: TaskId, reason: str | None) -> None:
        """Note why an attempt waits; see `ports.Mailbox`."""
        run = self._runs.get(execution)
        if run is None or run.capacity.get(task) == reason:
            return
        before = set(run.capacity.values())
        run.capacity.pop(task, None)
        if reason is not None:
            run.capacity[task] = reason
        if set(run.capacity.values()) == before:
            return  # another attempt waits for the same: the status says it already
        if reason is not None and reason not in before:
            self._announce(execution, "Warning", "WaitingForCapacity", reason)
        run.dirty = True
        self._schedule(run)

    def seen(self, sighting: Sighting) -> None:
        """A watch showed an Execution."""
        run = self._runs.get(sighting.key)
        if sighting.deleted or sighting.deleting:
            self._finished.pop(sighting.key, None)
            run = run or self._run(sighting.key)
            run.sighting = None
            run.afresh = run.look = True  # a live read answers whether it is gone
            self._schedule(run)
        elif run is not None:
            self._compare(run, sighting)
        elif sighting.phase not in TERMINAL or sighting.redrive or self._ended_lately(sighting):
            self._finished.pop(sighting.key, None)
            run = self._run(sighting.key)
            run.sighting = sighting
            run.look = True
            self._schedule(run)

    def _ended_lately(self, sighting: Sighting) -> bool:
        if sighting.key in self._finished or sighting.ended_at is None:
            return False
        return (self._clock() - sighting.ended_at).total_seconds() < CLOSING_SECONDS

    def _compare(self, run: Run, sighting: Sighting) -> None:
        """Only what people may change matters; our own writes come back this way too."""
        if sighting.redrive:
            run.afresh = run.look = True
            self._schedule(run)
            return
        execution = run.execution
        if execution is None:
            seen_before = run.loaded is not None and run.loaded.version == sighting.version
            reads = run.turning is not None and not run.parked
            if not run.over and not reads and not seen_before:
                run.sighting = sighting
                run.afresh = run.look = True
                self._schedule(run)
            return
        if execution.memory.over:
            if sighting.redriven > len(execution.memory.redriven):
                run.afresh = run.look = True  # another process let it go on
                self._schedule(run)
            return
        if sighting.stop is not None and not execution.memory.redriven:
            run.inbox.append(sighting.stop.event)
            self._schedule(run)
        elif sighting.stop is not None or sighting.suspend != execution.suspended:
            run.afresh = run.look = True  # which of them is newer, a read tells
            self._schedule(run)

    def machine_changed(self, namespace: str, name: str) -> None:
        """A StateMachine was judged: executions that wait for it look again."""
        for run in list(self._runs.values()):
            request = run.loaded.request if run.loaded else None
            waits = run.execution is None and run.key.namespace == namespace and not run.over
            if waits and (request is None or request.machine == name):
                run.look = True
                self._schedule(run)

    async def standing(self, attempt: Attempt) -> Standing:
        """Where an attempt stands; a live read answers where its execution is not in hand."""
        key = attempt.execution
        finished = self._finished.get(key)
        if finished is not None:
            return finished.standing(attempt.task)
        run = self._runs.get(key)
        if run is not None:
            return run.standing(attempt.task)
        try:
            loaded = await self._store.load(key)
        except Missing:
            return Standing.GONE
        except Fault:
            return Standing.UNKNOWN
        if loaded.deleting:
            return Standing.GONE  # somebody's finalizer may hold it for long
        # Whatever it is, it is in hand from here on, until its loose ends are tied.
        run = self._run(key)
        run.loaded = run.loaded or loaded
        run.look = True
        self._schedule(run)
        return Standing.UNKNOWN

    async def settled(self) -> None:
        """Wait until all that is in hand was looked at, and what it wants was begun."""
        while not all(run.is_settled for run in self._runs.values()):  # noqa: ASYNC110 - a moment
            await asyncio.sleep(SETTLED_LOOK_SECONDS)

    def known(self) -> int:
        """How many executions are in hand."""
        return len(self._runs)

    # ------------------------------------------------------------------------------- the turns

    def open(self) -> None:
        """The world has been seen: turns may begin."""
        self._open = True
        for run in list(self._runs.values()):
            self._schedule(run)

    def quiesce(self) -> None:
        """Start nothing new outside; what runs may still end and be saved."""
        self._quiet = True
        for run in self._runs.values():
            for start in run.effects.values():
                start.cancel()

    async def drain(self, seconds: float) -> None:
        """Begin no further turn, and wait so long for those that run."""
        self._draining = True
        turning = [run.turning for run in self._runs.values() if run.turning is not None]
        if turning:
            await asyncio.wait(turning, timeout=seconds)
        for run in self._runs.values():
            self._disarm(run)

    def _run(self, key: ExecutionKey) -> Run:
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = Run(key)
        return run

    def _schedule(self, run: Run) -> None:
        backing_off = run.failures and run.alarm is not None
        if self._open and not self._draining and run.turning is None and not backing_off:
            run.turning = asyncio.create_task(self._take_turns(run), name=f"turn {run.key.name}")

    async def _take_turns(self, run: Run) -> None:
        again: float | None = None
        try:
            while True:
                again = await self._take_turn(run)
                await asyncio.sleep(0)  # a turn that saved nothing has let nobody else run
                if run.failures or (run.parked and not run.afresh):
                    break
                due = again is not None and again <= 0.0 and not self._draining
                if not (due or run.inbox or run.look or run.dirty):
                    break
        finally:
            run.turning = None
        if again is not None:
            self._arm(run, again)
        else:
            self._disarm(run)
        self._let_go(run)

    async def _take_turn(self, run: Run) -> float | None:
        """One turn and what follows from it; gives seconds until the next, None for when told."""
        if not self._leadership.fresh():
            run.failures += 1
            return RETRY_SECONDS[-1]
        loop = asyncio.get_running_loop()
        began_at, events = loop.time(), len(run.inbox)
        try:
            again = await self._turn(run)
            run.failures = 0
            self._meter.turned(loop.time() - began_at, events)
        except Missing:
            self._lose(run)
            return None
        except Fault as fault:
            delay = RETRY_SECONDS[min(run.failures, len(RETRY_SECONDS) - 1)]
            run.failures += 1
            if isinstance(fault, Refused):
                # A full quota of pages, a missing right: it may pass, but somebody has to know.
                self._announce(run.key, "Warning", "Refused", fault.message)
            _log.warning("turn of %s: %r; again in %s s", run.key.name, fault, delay)
            return delay
        except Exception:
            # We are wrong about this one: its events stay in the mailbox, what is stored stays as
            # it is, and the turns of all others go on.
            _log.exception("turn of %s: parked", run.key.name)
            self._meter.failed("runtime")
            await self._park(run, f"an internal error; see {self._log}")
            return None
        if not self._quiet:
            self._reconciler.align(run)
        await self._tidy(run)
        return again

    async def _park(self, run: Run, why: str) -> None:
        """We are wrong: this execution waits for people, and others go on."""
        try:
            await self._turns.park(run, why)
        except Missing:
            self._lose(run)
        except Fault as fault:
            _log.warning("the status of %s does not say that it is parked: %r", run.key.name, fault)
            run.park(why)

    async def _tidy(self, run: Run) -> None:
        """Remove pages that neither the last save nor the one before refers to, now and then."""
        now = asyncio.get_running_loop().time()
        loaded = run.loaded
        if not run.untidy or loaded is None or now < run.tidy_at or not self._leadership.fresh():
            return
        run.tidy_at = now + TIDY_SECONDS
        run.untidy = False
        try:
            await self._store.tidy(loaded, self._clock())
        except Fault as fault:
            run.untidy = True
            _log.info("pages of %s are not tidied: %r", run.key.name, fault)

    async def _turn(self, run: Run) -> float | None:
        run.is_long = run.execution is not None and run.execution.busy
        async with self._slots.held(is_long=run.is_long):
            return await self._turns.turn(run)

    def _lose(self, run: Run) -> None:
        """The execution is gone: drop its events, stop what is left."""
        run.gone = True
        run.drop_events()
        run.look = False
        run.execution = None
        self._reconciler.align(run)

    def _let_go(self, run: Run) -> None:
        """Forget a run that has ended once nothing of it is left to do."""
        busy = run.turning is not None or any(not closer.done() for closer in run.closers.values())
        if busy or run.has_work or run.failures:
            return
        closing = run.execution is not None and self._closes(run)
        if run.gone:
            self._runs.pop(run.key, None)
        elif run.over and not run.effects and not closing:
            self._runs.pop(run.key, None)
            self._finished[run.key] = run.saved
            while len(self._finished) > FINISHED_MAX:
                self._finished.popitem(last=False)

    def _closes(self, run: Run) -> bool:
        """Whether names of attempts that ended unseen are still to be kept taken."""
        assert run.execution is not None
        if not run.execution.closing() or run.ended_at is None:
            return False
        return (self._clock() - run.ended_at).total_seconds() < CLOSING_SECONDS

    # ---------------------------------------------------------------------------------- timers

    def _arm(self, run: Run, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._disarm(run)
        run.alarm = loop.call_later(min(seconds, self._alarm_seconds_max), self._ring, run)

    def _disarm(self, run: Run) -> None:
        if run.alarm is not None:
            run.alarm.cancel()
            run.alarm = None

    def _ring(self, run: Run) -> None:
        run.alarm = None
        run.tick = True
        self._schedule(run)

    def compare(self, active: Sequence[Sighting]) -> None:
        """Take a consistent list of the executions that have not ended.

        What it lacks though it is in hand has ended or gone, which a watch may have missed.
        """
        for sighting in active:
            self.seen(sighting)
        listed = {sighting.key for sighting in active}
        for run in list(self._runs.values()):
            if run.key not in listed and run.execution is not None and not run.over:
                run.afresh = run.look = True
                self._schedule(run)

    async def sweep(self) -> None:
        """Bring in line what no event did, and forget what is over."""
        self._meter.held(len(self._runs), sum(len(run.inbox) for run in self._runs.values()))
        for run in list(self._runs.values()):
            if run.turning is None and (run.execution is not None or run.over or run.gone):
                if not self._quiet:
                    self._reconciler.align(run)
                self._let_go(run)
