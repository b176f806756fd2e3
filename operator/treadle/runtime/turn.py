"""The turn: load, handle, save.

One rule: an event leaves the mailbox only after the save that holds its effect; the world is not
touched here.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from treadle.asl.errors import DATA_LIMIT_EXCEEDED
from treadle.asl.evaluator import Evaluator
from treadle.asl.limits import Limits
from treadle.engine.events import SuspendChanged
from treadle.engine.execution import Execution
from treadle.engine.snapshot import Unreadable
from treadle.runtime.handling import Handling
from treadle.runtime.meter import Meter
from treadle.runtime.ports import (
    TERMINAL,
    Announce,
    Clock,
    Conflict,
    ExecutionKey,
    Failure,
    Fault,
    Loaded,
    Machines,
    MachineUnready,
    Missing,
    Pinned,
    Record,
    Request,
    Store,
    UnreadableSnapshot,
)
from treadle.runtime.redrives import Identify, Redrives
from treadle.runtime.run import NOTHING_SAVED, Run, Saved

START_POLL_SECONDS = 5.0
"""How often a Pending execution looks for its machine, beside being told of changes."""

BLIND_SECONDS = 1.0
"""How often a timer that is due looks whether the view of the world is complete again."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Makes turns of runs.

    Attributes:
        identify: gives what an execution is called in the context object.
        handling: has the engine handle events.
        redrives: lets executions that did not succeed go on.
        announce: tells people what they would look for beside the status: waits and failures.
        stopwatch: seconds of work, for `Execution`; and so is `evaluator`.
    """

    store: Store
    machines: Machines
    clock: Clock
    meter: Meter
    identify: Identify
    handling: Handling
    redrives: Redrives
    announce: Announce
    stopwatch: Callable[[], float] | None = None
    evaluator: Evaluator | None = None

    async def turn(self, run: Run) -> float | None:
        """One turn.

        Returns:
            Seconds after which to turn again though nothing happens; None for not at all.

        Raises:
            Fault: nothing is lost; turn again after a delay.
        """
        run.look = False
        if run.afresh:
            run.afresh = False
            run.parked = None  # what was in the way may have gone
            run.forget_memory()
        elif run.is_deserted:
            run.forget_memory()
        if run.parked:
            self._stay_parked(run)
            return None
        if run.loaded is None or (run.execution is None and not run.over):
            await self._load(run)
        if run.parked:
            self._stay_parked(run)
            return None
        try:
            await self.redrives.answer(run)
            if run.over:
                self._drop_events(run)
                return None
            if run.execution is None:
                return await self._begin(run)
        except Conflict:
            self.meter.saved("conflict")
            run.forget_memory()
            return 0.0
        await self.handling.handle(run)
        if self._must_save(run):
            await self._save(run)
        else:
            run.settle()
        return self._rest(run)

    # ------------------------------------------------------------------------------- loading

    async def _load(self, run: Run) -> None:
        sighting = run.sighting
        if run.loaded is None and sighting is not None and sighting.loaded is not None:
            run.loaded = sighting.loaded
            run.sighting = None  # once: a second look is a read
        elif run.loaded is None or run.loaded.checkpoint is not None:
            run.loaded = await self.store.load(run.key)
        loaded = run.loaded
        if loaded.deleting:
            run.gone = True
            raise Missing(f"{run.key.name} is being deleted")
        if loaded.checkpoint is not None:
            await self._restore(run, loaded)
        elif loaded.phase in TERMINAL:
            run.over = True
            run.saved = NOTHING_SAVED

    async def _restore(self, run: Run, loaded: Loaded) -> None:
        assert loaded.checkpoint is not None
        request = loaded.request
        if request is None or loaded.revision is None:
            await self._park(run, loaded, f"its spec or revision is unusable: {loaded.problem}")
            return
        try:
            pinned = await self.machines.pinned(run.key.namespace, loaded.revision)
            run.execution = Execution.restore(
                pinned.program,
                pinned.digest,
                self.identify(run.key, request),
                loaded.checkpoint,
                loaded.pages,
                limits=pinned.limits,
                stopwatch=self.stopwatch,
                evaluator=self.evaluator,
            )
        except Missing:
            await self._park(run, loaded, f"its StateMachineRevision {loaded.revision} is missing")
            return
        except (Unreadable, UnreadableSnapshot) as why:
            await self._park(run, loaded, str(why))
            return
        run.pinned = replace(pinned, published=loaded.published)
        self._note_saved(run, run.execution)
        run.restored = frozenset(run.execution.wanted())
        self._ask(run, request)

    async def _park(self, run: Run, loaded: Loaded, why: str) -> None:
        asked = loaded.redrive
        record = Record(None, loaded.revision, parked=why, redrive=asked.id if asked else None)
        run.loaded = await self.store.save(loaded, record, self.clock())
        run.park(why)
        self.meter.parked()
        self.announce(run.key, "Warning", "Parked", why)

    async def park(self, run: Run, why: str) -> None:
        """Say that an execution cannot go on; what is stored stays as it is. Raises: Fault."""
        run.forget_memory()
        stored = await self.store.load(run.key)
        if stored.phase in TERMINAL:
            await self.redrives.refuse(run, stored, why)
            run.park(why)  # what has ended stays as it is
        else:
            await self._park(run, stored, why)

    def _stay_parked(self, run: Run) -> None:
        # No event leaves the mailbox; what is told again and again is kept once.
        run.inbox = deque(dict.fromkeys(run.inbox))
        run.dirty = run.tick = False

    def _note_saved(self, run: Run, execution: Execution) -> None:
        run.saved = Saved.of(execution)
        run.tried.clear()
        if execution.memory.over:
            run.over = True
            run.ended_at = execution.memory.ended_at

    def _ask(self, run: Run, request: Request) -> None:
        """What the spec asks for now, as events."""
        execution = run.execution
        assert execution is not None
        if execution.memory.over:
            return
        # An earlier look may have found it otherwise.
        run.inbox = deque(each for each in run.inbox if not isinstance(each, SuspendChanged))
        if request.suspend != execution.suspended:
            run.inbox.append(SuspendChanged(request.suspend, request.suspend_by))
        if request.stop is not None:
            run.inbox.append(request.stop.event)

    # ------------------------------------------------------------------------------- starting

    async def _begin(self, run: Run) -> float | None:
        loaded = run.loaded
        assert loaded is not None
        run.dirty = False
        run.tick = False
        request = loaded.request
        if request is None:
            problem = loaded.problem or "its spec cannot be used"
            await self._fail_start(run, loaded, Failure("Treadle.InvalidExecution", problem))
            return None
        if request.stop is not None:
            stopped = Failure(request.stop.error or "", request.stop.cause or "", "Aborted")
            await self._fail_start(run, loaded, stopped)
            return None
        found = await self.machines.chosen(run.key.namespace, request, _route_chance(run.key))
        if isinstance(found, MachineUnready):
            return await self._wait_for_machine(run, loaded, request, found)
        too_large = _too_large(request, found.limits)
        if too_large is not None:
            await self._fail_start(run, loaded, too_large)
            return None
        await self._start(run, request, found)
        return self._rest(run)

    async def _wait_for_machine(
        self, run: Run, loaded: Loaded, request: Request, unready: MachineUnready
    ) -> float | None:
        if unready.invalid:
            invalid = Failure("Treadle.InvalidDefinition", unready.message)
            await self._fail_start(run, loaded, invalid)
            return None
        now = self.clock()
        if loaded.pending_since is None:
            await self._say_pending(run, loaded, now, unready.message)
            return min(START_POLL_SECONDS, request.start_deadline_seconds)
        deadline = loaded.pending_since + timedelta(seconds=request.start_deadline_seconds)
        if unready.unjudged:
            return START_POLL_SECONDS  # our own delay, and our own outage, fail nothing
        if now < deadline and loaded.status.get("message") != unready.message:
            # The machine has come, perhaps, and its alias has not.
            await self._say_pending(run, loaded, loaded.pending_since, unready.message)
        if now >= deadline:
            cause = (
                f"{unready.message}, and startDeadlineSeconds ({request.start_deadline_seconds}) "
                "has passed"
            )
            await self._fail_start(run, loaded, Failure("Treadle.StartDeadlineExceeded", cause))
            return None
        return min(START_POLL_SECONDS, (deadline - now).total_seconds())

    async def _say_pending(self, run: Run, loaded: Loaded, since: datetime, why: str) -> None:
        record = Record(None, None, pending_since=since, waiting=why)
        run.loaded = await self.store.save(loaded, record, self.clock())
        self.announce(run.key, "Warning", "Pending", why)

    async def _fail_start(self, run: Run, loaded: Loaded, failure: Failure) -> None:
        now = self.clock()
        record = Record(None, None, pending_since=loaded.pending_since, failure=failure)
        run.loaded = await self.store.save(loaded, record, now)
        run.over = True
        run.ended_at = now
        self.meter.ended(failure.phase)
        said = _said(failure.error, failure.cause) or failure.phase
        self.announce(run.key, "Warning", failure.phase, said + _by(_stopper(run.loaded)))

    async def _start(self, run: Run, request: Request, pinned: Pinned) -> None:
        run.pinned = pinned
        begin = partial(
            Execution.start,
            pinned.program,
            pinned.digest,
            self.identify(run.key, replace(request, version=pinned.published)),
            request.input,
            # Chances follow from the execution's uid: a second process draws the same ones.
            seed=hashlib.sha256(run.key.uid.encode()).digest()[:16],
            now=self.clock(),
            suspended=request.suspend,
            suspended_by=request.suspend_by,
            limits=pinned.limits,
            stopwatch=self.stopwatch,
            evaluator=self.evaluator,
        )
        run.execution = await self.handling.apart(run, begin)
        self.meter.started()
        run.dirty = True  # until a save holds it, also where this one fails
        await self.handling.go_on(run, pinned.limits.turn_transitions_max)
        await self._save(run)

    # --------------------------------------------------------------------------------- resting

    def _must_save(self, run: Run) -> bool:
        if run.dirty:
            return True
        return run.lazy_at is not None and asyncio.get_running_loop().time() >= run.lazy_at

    def _rest(self, run: Run) -> float | None:
        execution = run.execution
        if execution is None:
            return 0.0
        waits = [BLIND_SECONDS] if run.tick else []
        due_at = execution.next_due()
        if due_at is not None and not run.tick:
            seconds = (due_at - self.clock()).total_seconds()
            run.tick = seconds <= 0.0  # it came due during this turn
            waits.append(max(0.0, seconds))
        if run.inbox or execution.busy:
            return 0.0
        if run.lazy_at is not None:
            waits.append(max(0.0, run.lazy_at - asyncio.get_running_loop().time()))
        return min(waits, default=None)

    def _drop_events(self, run: Run) -> None:
        # An attempt that nobody had seen may exist after all: its name needs no taking then.
        if run.execution is not None:
            for event in run.inbox:
                run.execution.handle(event, self.clock())
        run.drop_events()

    # --------------------------------------------------------------------------------- saving

    async def _save(self, run: Run) -> None:
        execution = run.execution
        assert execution is not None
        run.hold_starts()
        while True:
            loaded = run.loaded
            assert loaded is not None
            encoded = execution.encode()
            run.tried.add(encoded.checkpoint)
            run.dirty = False  # what is told from here on is not in this save
            record = Record(
                execution,
                run.pinned.revision if run.pinned else None,
                pending_since=loaded.pending_since,
                capacity=tuple(sorted(set(run.capacity.values()))),
                encoded=encoded,
                redrive=run.redriving.id if run.redriving else None,
                published=run.pinned.published if run.pinned else None,
            )
            try:
                stored = await self.store.save(loaded, record, self.clock())
            except Conflict:
                run.dirty = True
                self.meter.saved("conflict")
                if await self._settle_conflict(run, loaded):
                    continue
                return
            except Fault:
                run.dirty = True
                self.meter.saved("failed")
                raise
            self.meter.saved("ok")
            execution.saved(encoded)
            self._saved(run, stored, execution)
            return

    def _saved(self, run: Run, stored: Loaded, execution: Execution) -> None:
        was_over = run.over
        run.loaded = stored
        self._announce_suspensions(run)
        run.handled.clear()
        run.settle()
        run.lazy_at = None
        if run.redriving is not None:
            self.meter.redriven()
            said = f"redrive {run.redriving.id!r}" + _by(run.redriving.event.by)
            self.announce(run.key, "Normal", "Redriven", said)
            run.redriving = None
        run.failures = 0
        run.untidy = run.untidy or bool(stored.overflow_before)
        self._note_saved(run, execution)
        if run.over and not was_over:
            self.meter.ended(stored.phase)
            error = execution.memory.error
            if error is not None:
                said = _said(error.name, error.cause) or stored.phase
                self.announce(run.key, "Warning", stored.phase, said + _by(_stopper(stored)))

    def _announce_suspensions(self, run: Run) -> None:
        for event in run.handled:
            if isinstance(event, SuspendChanged):
                reason = "Suspended" if event.suspended else "Resumed"
                said = "nothing new starts" if event.suspended else "it goes on"
                self.announce(run.key, "Normal", reason, said + _by(event.by))

    async def _settle_conflict(self, run: Run, loaded: Loaded) -> bool:
        """What is stored now? Gives whether to send the same state again."""
        stored = await self.store.load(run.key)
        if stored.deleting:
            run.gone = True
            raise Missing(f"{run.key.name} is being deleted")
        as_before = (stored.checkpoint, stored.phase) == (loaded.checkpoint, loaded.phase)
        if stored.checkpoint in run.tried or as_before:
            # Our own save, whose answer was lost; or somebody labelled the object. Either way what
            # is stored is behind us, and the next version is known.
            run.loaded = stored
            if stored.request is not None and run.execution is not None:
                self._ask(run, stored.request)
            return True
        run.forget_memory()
        run.look = True
        return False


def _route_chance(key: ExecutionKey) -> float:
    """What picks the version that an execution runs: the same whenever its start is repeated."""
    digest = hashlib.sha256(f"{key.uid}/route".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def _too_large(request: Request, limits: Limits) -> Failure | None:
    size, most = len(request.input.encode()), limits.payload_bytes_max
    if size <= most:
        return None
    cause = f"the input has {size:,} bytes; the setting payloadBytesMax allows {most:,}"
    return Failure(DATA_LIMIT_EXCEEDED, cause)


def _said(error: str | None, cause: str | None) -> str:
    return ": ".join(filter(None, (error, cause)))


def _stopper(stored: Loaded) -> str | None:
    """By whom it was stopped, where it was and that is known."""
    stop = stored.request.stop if stored.request else None
    return stop.by if stop and stored.phase == "Aborted" else None


def _by(whom: str | None) -> str:
    return f" (by {whom})" if whom else ""
