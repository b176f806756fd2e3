"""Runs `treadle:job` Tasks as Kubernetes Jobs.

One rule: what watches show is judged by `verdict` and left in the mailbox; nothing that holds a
result or a name is let go before the attempt's end is saved.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from treadle.asl.errors import RUNTIME, StateError
from treadle.engine.events import Event, TaskFailed, TaskId, TaskSucceeded
from treadle.kube import names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import EVENTS
from treadle.kube.podtemplates import PodDefaults
from treadle.runners import podfacts
from treadle.runners.jobwrites import JobWrites, Leading
from treadle.runners.launch import Launcher, live
from treadle.runners.observed import Cache, Observed, Watch, is_held
from treadle.runners.results import Failed, Succeeded
from treadle.runners.telling import Telling
from treadle.runners.tombstones import Tombstones
from treadle.runners.verdict import Ask, Policy, Seen, Verdict, Waiting, superseded_pods, verdict
from treadle.runners.watches import Watches, saved_end
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    Attempt,
    Clock,
    ExecutionKey,
    Fault,
    Mailbox,
    Order,
    Refused,
    Standing,
    Standings,
)

_log = logging.getLogger(__name__)

RESOURCE = "treadle:job"
_FLUSH_MAX = 500
_BLIND_SECONDS = 0.2
_EVENTS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What an installation may set.

    Attributes:
        tombstone_seconds: how long a finished Job keeps its name taken: lease, API request timeout
            and a margin.
        linger_seconds: how long a Job may go on whose attempt's end is saved.
        retry_seconds: after the API server did not answer.
        repeat_seconds: after which an outcome is posted again that no save has taken up.
        workers: attempts that are brought in line at once.
        writes_max: writes that are on their way at once.
    """

    defaults: PodDefaults = field(default_factory=PodDefaults)
    policy: Policy = field(default_factory=Policy)
    tombstone_seconds: float = 120.0
    linger_seconds: float = 60.0
    retry_seconds: float = 5.0
    repeat_seconds: float = 30.0
    workers: int = 16
    writes_max: int = 64


class JobRunner:
    """See the module. `run` must be running for what was started to be noticed.

    Args:
        jobs, pods: informers of `observed.SELECTOR`, with `observed.INDICES` and `observed.trim`.
        standings: asks the driver where an attempt stands.
    """

    resources = frozenset({RESOURCE})
    makes_objects = True
    asks_first = False

    def __init__(
        self,
        api: Api,
        jobs: Cache,
        pods: Cache,
        *,
        mailbox: Mailbox,
        leading: Leading,
        standings: Standings,
        clock: Clock,
        settings: JobSettings,
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self._mailbox = mailbox
        self._standings = standings
        self._clock = clock
        self._meter = meter or NoMeter()
        self._settings = settings
        self._observed = Observed(jobs, pods)
        self._writes = JobWrites(api, leading, settings.writes_max)
        self._running: dict[ExecutionKey, dict[TaskId, None]] = {}
        self._dirty: dict[Attempt, None] = {}
        self._outcomes: list[tuple[datetime, Attempt, Event]] = []
        self._flushing = False
        # Attempts that the first look left open; None before that look.
        self._first: set[Attempt] | None = None
        self._starting = True
        self._telling = Telling(mailbox, self._meter)
        self._watches = Watches(self._handle, self._telling, settings.workers, due=self._mark)
        self._launcher = Launcher(
            api, self._observed, self._writes, self._telling, clock, settings.defaults, self._found
        )
        self._tombstones = Tombstones(
            api,
            self._observed,
            self._writes,
            settings.tombstone_seconds,
            settings.linger_seconds,
        )
        jobs.subscribe(self._changed)
        pods.subscribe(self._changed)

    # ---------------------------------------------------------------------- the Runner protocol

    def current(self) -> bool:
        """Whether all that happened outside has been told."""
        told = not self._dirty and not self._outcomes
        return told and self._first is not None and not self._first and self._observed.complete

    async def start(self, order: Order) -> None:
        """Make the attempt exist, or take its name where it ended unseen. Raises: Fault."""
        watch = self._watches.of(order.attempt)
        if not order.expired:
            self._telling.taken(order, watch)
            await self._launcher.start(order, watch)
            self._mark(order.attempt)
            return
        self._watches.over(order.attempt)
        job = await self._launcher.take_name(order)
        if job is not None and not podfacts.has_ended(job):
            await self._writes.stop(job)
        self._watches.put(order.attempt)

    async def stop(self, attempt: Attempt) -> None:
        """Stop what exists of an attempt whose end is saved. Raises: Fault."""
        known = self._watches.get(attempt)
        if known is None and not self._has_objects(attempt):
            return
        end = await saved_end(self._standings, attempt)
        if end is None:
            return
        watch = self._watches.over(attempt, gone=end is Standing.GONE)
        if watch.maybe_created and self._observed.job(attempt) is None:
            job = (await live(self._api, attempt, watch)).job
            if job is not None and not podfacts.is_stopped(job):
                await self._writes.stop(job)
        else:
            await self._tombstones.stop(attempt)
        self._watches.put(attempt)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """Attempts of this execution that are seen outside and not known to have ended."""
        return list(self._running.get(execution, ()))

    async def ended(self, attempt: Attempt) -> None:
        """The attempt's end is saved: what held its result may go."""
        if attempt in self._watches or self._has_objects(attempt):
            self._watches.put(attempt)

    async def sweep(self) -> None:
        """Bring every attempt in line, and free Pods whose attempt cannot be told any more."""
        await self._watches.sweep(self._observed.all_attempts())
        for pod in list(self._observed.pods.items()):
            if names.attempt_of(pod) is None:
                try:
                    await self._writes.free(pod)
                except Fault as fault:
                    _log.info("Pod %s is not freed: %s", pod["metadata"]["name"], fault)

    # --------------------------------------------------------------------------------- watching

    async def run(self) -> None:
        """Notice what happens, for ever; first all that happened before."""
        await self._observed.jobs.synced.wait()
        await self._observed.pods.synced.wait()
        self._first = set()
        self._flush()
        await self._watches.run()

    def _has_objects(self, attempt: Attempt) -> bool:
        return self._observed.job(attempt) is not None or bool(self._observed.pods_of(attempt))

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        """An informer tells of a Job or a Pod."""
        attempt = names.attempt_of(new or old or {})
        # What is gone of an attempt that is forgotten is of no interest.
        if attempt is not None and (new is not None or attempt in self._watches):
            self._mark(attempt)

    def _mark(self, attempt: Attempt) -> None:
        self._dirty[attempt] = None
        if self._first is not None and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Judge what changed, then tell what happened in the order in which it did."""
        self._flushing = False
        if not self._observed.complete:
            # A list is being read again: what it shows is told when it is whole.
            self._flush_later(_BLIND_SECONDS)
            return
        for _ in range(min(_FLUSH_MAX, len(self._dirty))):
            attempt = next(iter(self._dirty))
            del self._dirty[attempt]
            try:
                self._judge(attempt)
            except Exception:
                # We are wrong. The outcomes of all others are still told, and this one does not
                # wait for ever for one that nobody can tell.
                _log.exception("the objects of %s cannot be judged", attempt)
                self._give_up(attempt)
        if self._dirty:
            self._flush_later(0)
            return
        self._starting = self._first is None
        told, self._outcomes = sorted(self._outcomes, key=lambda outcome: outcome[0]), []
        for _, attempt, event in told:
            self._mailbox.post(attempt.execution, event)

    def _flush_later(self, seconds: float) -> None:
        self._flushing = True
        asyncio.get_running_loop().call_later(seconds, self._flush)

    # ---------------------------------------------------------------------------------- judging

    def _judge(self, attempt: Attempt) -> None:
        """From what the caches show; what they cannot tell is left to a worker."""
        watch = self._watches.of(attempt)
        if watch.over_at is not None:
            self._note_running(attempt, watch)
            self._watches.put(attempt)
            return
        if watch.asks_again_at and asyncio.get_running_loop().time() >= watch.asks_again_at:
            watch.refusal, watch.asks_again_at = None, 0.0
        seen = self._observed.seen(attempt, watch)
        if seen.job is None and not seen.pods and not watch.uid:
            if watch.digest is None:  # nobody here has been asked to run it
                self._note_running(attempt, watch)
                self._watches.forget(attempt)
            return
        said = self._verdict(seen)
        watch.decided = isinstance(said, Succeeded | Failed)
        if isinstance(said, Ask):
            if self._starting and self._first is not None:
                self._first.add(attempt)
            self._watches.put(attempt)
        elif watch.decided and (watch.told_at is not None or _is_freed(seen)):
            # Told already, or freed by somebody who saw its end saved: ask before telling.
            self._watches.put(attempt)
        else:
            self._conclude(attempt, watch, said)
        self._note_running(attempt, watch)
        if superseded_pods(seen):
            self._watches.put(attempt)

    def _note_running(self, attempt: Attempt, watch: Watch) -> None:
        """Keep the answer of `existing`, which is asked at every turn."""
        job = self._observed.job(attempt)
        if watch.decided:
            runs = False
        elif job is not None:
            runs = not podfacts.has_ended(job) and not podfacts.is_stopped(job)
        else:
            runs = any(map(_may_run, self._observed.pods_of(attempt)))
        key = attempt.execution
        if runs:
            self._running.setdefault(key, {})[attempt.task] = None
        elif key in self._running:
            self._running[key].pop(attempt.task, None)
            if not self._running[key]:
                del self._running[key]

    def _verdict(self, seen: Seen) -> Verdict:
        return verdict(seen, now=self._clock(), policy=self._settings.policy)

    def _found(self, attempt: Attempt, watch: Watch, seen: Seen) -> None:
        self._conclude(attempt, watch, self._verdict(seen))

    def _conclude(self, attempt: Attempt, watch: Watch, said: Verdict) -> None:
        """Tell what a verdict says, and look again when it says so."""
        if isinstance(said, Ask):
            self._watches.put(attempt)
            return
        watch.decided = isinstance(said, Succeeded | Failed)
        self._telling.waits(attempt, watch, said.reason if isinstance(said, Waiting) else None)
        if not isinstance(said, Waiting):
            if not self._telling.may(watch, self._settings.repeat_seconds):
                return
            self._telling.ended(watch, "succeeded" if isinstance(said, Succeeded) else "failed")
            self._outcomes.append((said.at, attempt, _event(attempt.task, said)))
            if not self._flushing:
                self._flush_later(0)
            # By then its end is saved, or it is told again.
            self._watches.look_after(attempt, self._settings.repeat_seconds)
            return
        watch.stuck_since = (watch.stuck_since or self._clock()) if said.stuck else None
        self._telling.started(attempt, watch)
        if said.recheck_at is not None:
            self._watches.look_after(attempt, (said.recheck_at - self._clock()).total_seconds())

    # ---------------------------------------------------------------------------------- working

    async def _handle(self, attempt: Attempt) -> None:
        """Bring one attempt in line; what does not work now is tried again."""
        try:
            await self._settle(attempt)
        except Fault as fault:
            _log.info("%s: %s; again in %s s", attempt, fault, self._settings.retry_seconds)
            self._watches.look_after(attempt, self._settings.retry_seconds)
            if isinstance(fault, Refused):
                self._answered(attempt)  # it would be refused again: others do not wait for it
        except Exception:
            # We are wrong. A worker that ended here would leave the queue to fewer, and at last
            # to nobody; and the attempt must not wait for ever.
            _log.exception("%s cannot be brought in line", attempt)
            self._give_up(attempt)
            self._answered(attempt)

    async def _settle(self, attempt: Attempt) -> None:
        watch = self._watches.of(attempt)
        if watch.over_at is None:
            standing = await self._standings(attempt)
            if standing in (Standing.OVER, Standing.GONE):
                self._watches.over(attempt, gone=standing is Standing.GONE)
            elif standing is Standing.LIVE or attempt in (self._first or ()):
                await self._answer(attempt, watch)
        if watch.over_at is not None:
            self._telling.waits(attempt, watch, None)
            wait = await self._tombstones.settle(attempt, watch)
            if wait is not None:
                self._watches.look_after(attempt, wait)
            elif not self._has_objects(attempt):
                self._watches.forget(attempt)
        self._answered(attempt)

    def _answered(self, attempt: Attempt) -> None:
        if self._first:
            self._first.discard(attempt)

    async def _answer(self, attempt: Attempt, watch: Watch) -> None:
        """What the caches left open, from live reads."""
        seen = self._observed.seen(attempt, watch)
        if seen.job is None and not seen.pods and not watch.uid:
            return  # nothing was ever seen of it
        said = self._verdict(seen)
        if isinstance(said, Ask) and said.what == "events":
            assert seen.job is not None
            watch.refusal = await self._refusal(seen.job)
            loop = asyncio.get_running_loop()
            watch.asks_again_at = loop.time() + _EVENTS_SECONDS
            self._found(attempt, watch, self._observed.seen(attempt, watch))
            self._watches.look_after(attempt, _EVENTS_SECONDS)
            return
        if isinstance(said, Ask) or superseded_pods(seen):
            seen = await live(self._api, attempt, watch)
            for pod in superseded_pods(seen):
                await self._writes.free(pod)
            said = self._verdict(seen)
        self._conclude(attempt, watch, said)

    def _give_up(self, attempt: Attempt) -> None:
        self._meter.failed("runners")
        error = StateError(RUNTIME, "what runs the attempt cannot be understood here")
        self._telling.failed(attempt, self._watches.of(attempt), error, self._clock())

    async def _refusal(self, job: Obj) -> str:
        """Why the Job controller can make no Pod; empty where no event says so."""
        fields = f"involvedObject.uid={podfacts.uid(job)}"
        try:
            listing = await self._api.list(EVENTS, job["metadata"]["namespace"], fields=fields)
        except Refused:
            return ""
        said = [event for event in listing.items if event.get("reason") == "FailedCreate"]
        last = max(said, key=lambda event: str(event.get("lastTimestamp") or ""), default={})
        return str(last.get("message") or "")


def _event(task: TaskId, said: Succeeded | Failed) -> Event:
    if isinstance(said, Succeeded):
        return TaskSucceeded(task, said.output, said.at)
    return TaskFailed(task, said.error, said.at)


def _may_run(pod: Obj) -> bool:
    """Whether a Pod whose Job is gone may still do something."""
    return podfacts.terminated(pod) is None and podfacts.phase(pod) not in podfacts.TERMINAL_PHASES


def _is_freed(seen: Seen) -> bool:
    """Whether the Pods that may hold a result were let go already."""
    return bool(seen.pods) and not any(map(is_held, seen.pods))
