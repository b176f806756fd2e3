"""Runs `treadle:approval` Tasks: each attempt is an Approval, on which people decide.

One rule: an outcome is told only once a status says it, and a status is written only over what it
was made of; so a decision that was in time counts, and there is one outcome.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from treadle.asl.errors import RUNTIME, StateError
from treadle.engine.events import TaskId
from treadle.kube import approving, names
from treadle.kube.api import Api, Obj
from treadle.kube.approving import RESOURCE
from treadle.kube.kinds import APPROVALS
from treadle.kube.podtemplates import FORBIDDEN
from treadle.runners import decisions, startup
from treadle.runners.approvalwrites import ApprovalWrites
from treadle.runners.observed import Cache, Watch, is_of, job_name
from treadle.runners.telling import Telling
from treadle.runners.watches import Watches, saved_end
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    AlreadyExists,
    Attempt,
    Clock,
    Conflict,
    ExecutionKey,
    Fault,
    Leadership,
    Mailbox,
    Missing,
    NotLeading,
    Order,
    Refused,
    Standing,
    Standings,
    Unavailable,
)

_log = logging.getLogger(__name__)

NAME_CONFLICT = "Kubernetes.NameConflict"
_TRIES = 5
_QUOTA_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """What an installation may set.

    Attributes:
        tombstone_seconds: how long one that was closed keeps its name taken, as of Jobs.
        kept_seconds: how long one that was decided stays to be looked at.
        retry_seconds: after the API server did not answer.
        repeat_seconds: after which an outcome is posted again that no save has taken up.
        workers: attempts that are brought in line at once.
        writes_max: writes that are on their way at once.
    """

    tombstone_seconds: float = 120.0
    kept_seconds: float = 3600.0
    retry_seconds: float = 2.0
    repeat_seconds: float = 30.0
    workers: int = 8
    writes_max: int = 64


class ApprovalRunner:
    """See the module, and `runtime.ports.Runner`. `run` must be running.

    Args:
        approvals: an informer with `decisions.trim` and the index `decisions.EXECUTION`.
        standings: asks the driver where an attempt stands.
    """

    resources = frozenset({RESOURCE})
    makes_objects = True
    asks_first = False

    def __init__(
        self,
        api: Api,
        approvals: Cache,
        *,
        mailbox: Mailbox,
        leading: Leadership,
        standings: Standings,
        clock: Clock,
        settings: ApprovalSettings | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self._approvals = approvals
        self._mailbox = mailbox
        self._standings = standings
        self._clock = clock
        self._settings = settings or ApprovalSettings()
        self._meter = meter or NoMeter()
        self._writes = ApprovalWrites(api, leading, self._settings.writes_max)
        self._telling = Telling(mailbox, self._meter, "approval")
        self._watches = Watches(self._handle, self._telling, self._settings.workers)
        # What people said that is not told yet; None before the first look.
        self._news: set[Attempt] | None = None
        approvals.subscribe(self._changed)

    # ---------------------------------------------------------------------- the Runner protocol

    def current(self) -> bool:
        """Whether all that people decided has been told: it beats a timer of the same time."""
        return self._news is not None and not self._news and self._approvals.current

    async def start(self, order: Order) -> None:
        """Make the attempt's Approval exist; see Runner. Raises: Fault."""
        watch = self._watches.of(order.attempt)
        if order.expired:
            await self._take_name(order)
            return
        self._telling.taken(order, watch)
        if order.task.uid:
            watch.uid = order.task.uid
        if not self._adopts(order, watch):
            await self._make(order, watch)
        self._watches.put(order.attempt)

    async def stop(self, attempt: Attempt) -> None:
        """Close the Approval of an attempt whose end is saved; see Runner. Raises: Fault."""
        if attempt not in self._watches and self._seen(attempt) is None:
            return
        end = await saved_end(self._standings, attempt)
        if end is not None:
            self._watches.over(attempt, gone=end is Standing.GONE)
            await self._close(attempt)
            self._watches.put(attempt)

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """See Runner."""
        found = []
        for approval in self._approvals.find(decisions.EXECUTION, execution.uid):
            attempt = names.attempt_of(approval)
            if attempt is None or attempt.execution != execution:
                continue
            if decisions.is_open(approval) and is_of(approval, attempt):
                found.append(attempt.task)
        return found

    async def ended(self, attempt: Attempt) -> None:
        """See Runner."""
        if attempt in self._watches or self._seen(attempt) is not None:
            self._watches.put(attempt)

    async def sweep(self) -> None:
        """Bring every attempt in line."""
        seen = map(names.attempt_of, self._approvals.items())
        await self._watches.sweep(attempt for attempt in seen if attempt is not None)

    # --------------------------------------------------------------------------------- watching

    async def run(self) -> None:
        """Notice what happens, for ever; first all that happened before."""
        await self._approvals.synced.wait()
        self._news = set()
        for approval in self._approvals.items():
            self._changed(None, approval)
        await self._watches.run()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        """The informer tells of an Approval."""
        attempt = names.attempt_of(new or {}) or names.attempt_of(old or {})
        if self._news is None or attempt is None or (new is None and attempt not in self._watches):
            return
        watch = self._watches.get(attempt)
        told = watch is not None and (watch.told_at is not None or watch.over_at is not None)
        if new is not None and decisions.has_news(new) and not told:
            self._news.add(attempt)
        self._watches.put(attempt)

    async def _handle(self, attempt: Attempt) -> None:
        """Bring one attempt in line; what does not work now is tried again."""
        try:
            await self._settle(attempt)
        except (Unavailable, NotLeading) as fault:
            self._again(attempt, fault)
            return  # what it says may be told next time: timers wait
        except Fault as fault:
            self._again(attempt, fault)
        except Exception:
            # We are wrong. The others go on, and the attempt must not wait for ever.
            _log.exception("%s cannot be brought in line", attempt)
            self._meter.failed("runners")
            error = StateError(RUNTIME, "what runs the attempt cannot be understood here")
            self._telling.failed(attempt, self._watches.of(attempt), error, self._clock())
        if self._news:
            self._news.discard(attempt)

    def _again(self, attempt: Attempt, fault: Fault) -> None:
        _log.info("%s: %s; again in %s s", attempt, fault, self._settings.retry_seconds)
        self._watches.look_after(attempt, self._settings.retry_seconds)

    def _seen(self, attempt: Attempt) -> Obj | None:
        """The Approval of the attempt's name, whoever made it."""
        return self._approvals.get(attempt.execution.namespace, job_name(attempt))

    # --------------------------------------------------------------------------------- creating

    def _adopts(self, order: Order, watch: Watch) -> bool:
        """Whether the cache shows the attempt's own Approval, which is taken on then."""
        cached = self._seen(order.attempt)
        if cached is None or not is_of(cached, order.attempt, order.task.digest):
            return False
        if watch.uid not in ("", cached["metadata"]["uid"]):
            return False
        self._adopted(order, watch, cached)
        return True

    def _adopted(self, order: Order, watch: Watch, approval: Obj) -> None:
        watch.uid = approval["metadata"]["uid"]
        watch.maybe_created = False
        self._telling.waits(order.attempt, watch, None)
        if order.task.uid == watch.uid:
            watch.told_started = True  # a save says so already
        self._telling.started(order.attempt, watch)

    def _take_over(self, order: Order, watch: Watch, approval: Obj) -> None:
        """Adopt what has the name, or say that it is not ours."""
        if is_of(approval, order.attempt, order.task.digest):
            self._approvals.absorb(approval)
            self._adopted(order, watch, approval)
            return
        watch.uid = order.task.uid  # that one never was the attempt's
        cause = (
            f"An Approval named {job_name(order.attempt)} exists, and this attempt did not make it."
        )
        self._fail(order.attempt, watch, StateError(NAME_CONFLICT, cause))

    async def _make(self, order: Order, watch: Watch) -> None:
        """The cache does not show the attempt's own Approval: find it, or make it."""
        cached, found = self._seen(order.attempt), None
        if order.task.uid or (watch.uid and cached is None):
            return  # it was seen: whatever has its name now, it is not made again
        if cached is not None or order.restored or watch.maybe_created:
            found = await self._live(order)
        if found is not None:
            self._take_over(order, watch, found)
        else:
            await self._create(order, watch)

    async def _create(self, order: Order, watch: Watch) -> None:
        question = approving.parse(order.task.parameters)
        if isinstance(question, StateError):
            self._fail(order.attempt, watch, question)
            return
        watch.maybe_created = True
        try:
            made = await self._writes.create(approving.manifest(order, question))
        except AlreadyExists:
            self._take_over(order, watch, await self._by_name(order))
            return
        except Refused as why:
            watch.maybe_created = False
            self._refused(order, watch, why)
            return
        self._approvals.absorb(made)
        self._adopted(order, watch, made)

    def _refused(self, order: Order, watch: Watch, why: Refused) -> None:
        """A refusal is the state's error, unless it passes by itself."""
        quota = startup.quota_said(why.message) if why.status == 403 else None
        if quota is not None:
            self._telling.waits(order.attempt, watch, quota)
        if quota is not None or why.status == 401:
            raise Unavailable(why.message, _QUOTA_SECONDS) from why
        self._fail(order.attempt, watch, StateError(FORBIDDEN, why.message))

    async def _take_name(self, order: Order) -> None:
        """The attempt ended unseen: a create that is still on its way finds the name taken."""
        self._watches.over(order.attempt)
        if self._seen(order.attempt) is None:
            try:
                self._approvals.absorb(await self._writes.create(approving.tombstone(order)))
            except AlreadyExists:
                self._approvals.absorb(await self._by_name(order))
            except Refused as why:
                if why.status == 401 or startup.quota_said(why.message):
                    raise Unavailable(why.message, _QUOTA_SECONDS) from why
                # A late create will be refused as well.
                _log.warning("the name of %s is not taken: %s", order.attempt, why.message)
        self._watches.put(order.attempt)

    async def _live(self, order: Order) -> Obj | None:
        try:
            return await self._by_name(order)
        except Missing:
            return None

    async def _by_name(self, order: Order) -> Obj:
        name = job_name(order.attempt)
        return await self._api.get(APPROVALS, order.execution.namespace, name)

    # ---------------------------------------------------------------------------------- judging

    async def _settle(self, attempt: Attempt) -> None:
        watch = self._watches.of(attempt)
        if watch.over_at is None:
            standing = await self._standings(attempt)
            if standing in (Standing.OVER, Standing.GONE):
                self._watches.over(attempt, gone=standing is Standing.GONE)
            elif standing is Standing.LIVE or attempt in (self._news or ()):
                await self._look(attempt, watch)
            elif watch.digest is None and self._seen(attempt) is None:
                self._watches.forget(attempt)
        if watch.over_at is not None:
            self._telling.waits(attempt, watch, None)
            wait = await self._rest(attempt, watch)
            if wait is not None:
                self._watches.look_after(attempt, wait)
            elif self._seen(attempt) is None:
                self._watches.forget(attempt)

    async def _look(self, attempt: Attempt, watch: Watch) -> None:
        """See what became of the Approval of an attempt that waits for it."""
        approval = self._seen(attempt)
        for _ in range(_TRIES):
            if approval is None or not self._is_its(approval, attempt, watch):
                if watch.uid and await self._is_gone(attempt, watch):
                    self._fail(attempt, watch, decisions.deleted(approval))
                return
            watch.uid = approval["metadata"]["uid"]
            self._telling.started(attempt, watch)
            if decisions.phase(approval) == "Closed":
                # Nobody may decide any more, so nobody will.
                self._fail(attempt, watch, decisions.deleted(approval))
                return
            now = self._api.now()
            status = decisions.status_of(approval, now) if decisions.is_open(approval) else None
            if status is None:
                self._tell(attempt, watch, approval, now)
                return
            approval = await self._noted(approval, status)
        raise Unavailable(f"Approval {job_name(attempt)} changes too fast")

    def _is_its(self, approval: Obj, attempt: Attempt, watch: Watch) -> bool:
        uid: str = approval["metadata"]["uid"]
        return is_of(approval, attempt, watch.digest) and watch.uid in ("", uid)

    async def _noted(self, approval: Obj, status: Obj) -> Obj | None:
        """The Approval with a status, or as it is where it has changed meanwhile."""
        metadata = approval["metadata"]
        try:
            noted = await self._writes.note(approval, status)
        except (Conflict, Missing):
            try:
                noted = await self._api.get(APPROVALS, metadata["namespace"], metadata["name"])
            except Missing:
                return None
        self._approvals.absorb(noted)
        return decisions.trim(noted)

    async def _is_gone(self, attempt: Attempt, watch: Watch) -> bool:
        """What a cache does not show is a question: a live read answers it.

        One that says no longer whose it is, is nobody's.
        """
        namespace, name = attempt.execution.namespace, job_name(attempt)
        try:
            approval = await self._api.get(APPROVALS, namespace, name)
        except Missing:
            return True
        self._approvals.absorb(approval)
        return not self._is_its(approval, attempt, watch)

    def _tell(self, attempt: Attempt, watch: Watch, approval: Obj, now: datetime) -> None:
        """Tell an outcome, or see to it that somebody looks when it expires."""
        event = decisions.outcome(attempt.task, approval, now)
        if event is None:
            until = decisions.given_up_at(approval)
            if until is not None:
                self._watches.look_after(attempt, (until - now).total_seconds())
            return
        if not self._telling.may(watch, self._settings.repeat_seconds):
            return
        is_good = decisions.phase(approval) == "Approved"
        self._telling.ended(watch, "succeeded" if is_good else "failed")
        self._mailbox.post(attempt.execution, event)
        # By then its end is saved, or it is told again.
        self._watches.look_after(attempt, self._settings.repeat_seconds)

    def _fail(self, attempt: Attempt, watch: Watch, error: StateError) -> None:
        """The attempt failed of what no status shows."""
        if self._telling.may(watch, self._settings.repeat_seconds):
            self._telling.failed(attempt, watch, error, self._clock())

    # ---------------------------------------------------------------------------------- closing

    async def _close(self, attempt: Attempt) -> Obj | None:
        """See to it that nobody decides any more; gives what there is of the attempt."""
        approval = self._seen(attempt)
        for _ in range(_TRIES):
            if approval is None or not is_of(approval, attempt):
                return None
            if not decisions.is_open(approval):
                return approval
            status = decisions.closed_status(approval, self._api.now())
            approval = await self._noted(approval, status)
        raise Unavailable(f"Approval {job_name(attempt)} changes too fast")

    async def _rest(self, attempt: Attempt, watch: Watch) -> float | None:
        """Do what is due once the end is saved; gives seconds after which more will be due."""
        approval = await self._close(attempt)
        if approval is None or "deletionTimestamp" in approval["metadata"]:
            return None
        now = asyncio.get_running_loop().time()
        if watch.rests_from is None:
            watch.rests_from = now
        is_decided = decisions.phase(approval) != "Closed"
        settings = self._settings
        kept = settings.kept_seconds if is_decided else settings.tombstone_seconds
        left = watch.rests_from + kept - now
        if left > 0:
            return left
        await self._writes.delete(approval)
        return None
