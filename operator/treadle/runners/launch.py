"""Making an attempt's Job, or taking its name.

One rule: a first create needs no read, because it has a 409 to tell it of an earlier one; a second
create is preceded by a live one.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from treadle.asl.errors import StateError
from treadle.kube import manifests, names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import JOBS, PODS
from treadle.kube.podtemplates import FORBIDDEN, PodDefaults
from treadle.runners import podfacts, startup
from treadle.runners.jobwrites import JobWrites
from treadle.runners.observed import Observed, Watch, is_of, job_name, view
from treadle.runners.telling import Telling
from treadle.runners.verdict import Seen
from treadle.runtime.ports import (
    AlreadyExists,
    Attempt,
    Clock,
    Missing,
    Order,
    Refused,
    Unavailable,
)

_log = logging.getLogger(__name__)

NAME_CONFLICT = "Kubernetes.NameConflict"

# What the message of the chart's admission policy says when a Job comes after its maker's Lease.
_TOO_LATE = (names.CREATE_BEFORE, "the Lease of its maker has ended")
_TOO_LATE_SECONDS = 1.0
_QUOTA_SECONDS = (2.0, 5.0, 10.0, 20.0, 30.0)


async def live(api: Api, attempt: Attempt, watch: Watch) -> Seen:
    """What the API server says of an attempt now: a GET by name, then its Pods by label.

    In this order: a Pod that was made by a Job which is gone by then is still found.
    """
    namespace, name = attempt.execution.namespace, job_name(attempt)
    job: Obj | None
    try:
        job = await api.get(JOBS, namespace, name)
    except Missing:
        job = None
    listing = await api.list(PODS, namespace, labels=f"{names.ATTEMPT_NAME}={name}")
    return view(attempt, watch, job, listing.items, live=True)


class Launcher:
    """Creates what an order asks for.

    Args:
        found: told of an attempt whose objects are to be judged, with a live view of them.
    """

    def __init__(
        self,
        api: Api,
        observed: Observed,
        writes: JobWrites,
        telling: Telling,
        clock: Clock,
        defaults: PodDefaults,
        found: Callable[[Attempt, Watch, Seen], None],
    ) -> None:
        self._api = api
        self._observed = observed
        self._writes = writes
        self._telling = telling
        self._clock = clock
        self._defaults = defaults
        self._found = found

    async def start(self, order: Order, watch: Watch) -> None:
        """Make the attempt exist, unless it does or did.

        Raises:
            Fault: to be asked again.
        """
        attempt = order.attempt
        if order.task.uid:
            watch.uid = order.task.uid
        cached = self._observed.job(attempt)
        if cached is not None and not podfacts.is_deleting(cached):
            if not order.task.uid and not is_of(cached, attempt, order.task.digest):
                self._take_over(order, watch, await self._by_name(order))
                return
            if watch.uid in ("", podfacts.uid(cached)):
                self._adopted(order, watch, cached)
                return
        if watch.uid:
            # It was seen. Whatever has its name now, it is not made again.
            self._found(attempt, watch, await live(self._api, attempt, watch))
            return
        if (order.restored or watch.maybe_created) and await self._exists(order, watch):
            return
        await self._create(order, watch)

    async def take_name(self, order: Order) -> Obj | None:
        """Take the name of an attempt that ended unseen, so that a late create finds it taken.

        Returns:
            A Job of the attempt that was there already and must be stopped.
        """
        attempt = order.attempt
        cached = self._observed.job(attempt)
        if cached is None:
            tombstone = manifests.tombstone(order, create_before=self._writes.create_before())
            try:
                self._observed.jobs.absorb(await self._writes.create(tombstone))
                return None
            except AlreadyExists:
                cached = await self._by_name(order)
            except Refused as why:
                if _is_passing(why):
                    raise Unavailable(why.message, _QUOTA_SECONDS[-1]) from why
                # A late create will be refused as well.
                _log.warning("no tombstone for %s: %s", job_name(attempt), why.message)
                return None
        return cached if is_of(cached, attempt) else None

    # --------------------------------------------------------------------------------- adopting

    def _adopted(self, order: Order, watch: Watch, job: Obj) -> None:
        watch.uid = podfacts.uid(job)
        watch.maybe_created = False
        self._telling.waits(order.attempt, watch, None)
        if order.task.uid == watch.uid:
            watch.told_started = True  # a save says so already
        self._telling.started(order.attempt, watch)

    async def _exists(self, order: Order, watch: Watch) -> bool:
        """Whether there is a Job of this attempt, or a Pod that one left behind."""
        seen = await live(self._api, order.attempt, watch)
        if seen.job is not None:
            self._take_over(order, watch, seen.job)
        elif seen.pods:
            self._found(order.attempt, watch, seen)
        return seen.job is not None or bool(seen.pods)

    async def _by_name(self, order: Order) -> Obj:
        try:
            return await self._api.get(JOBS, order.execution.namespace, job_name(order.attempt))
        except Missing as why:
            raise Unavailable("the Job of this name is gone again") from why

    def _take_over(self, order: Order, watch: Watch, job: Obj) -> None:
        """Adopt what has the name, or say that it is not ours."""
        if is_of(job, order.attempt, order.task.digest):
            self._adopted(order, watch, job)
            return
        watch.uid = order.task.uid  # that Job never was the attempt's
        cause = f"A Job named {job_name(order.attempt)} exists, and this attempt did not make it."
        self._telling.failed(order.attempt, watch, StateError(NAME_CONFLICT, cause), self._clock())

    # --------------------------------------------------------------------------------- creating

    async def _create(self, order: Order, watch: Watch) -> None:
        job = manifests.job(
            order,
            defaults=self._defaults,
            create_before=self._writes.create_before(),
            now=self._clock(),
        )
        if isinstance(job, StateError):
            self._telling.failed(order.attempt, watch, job, self._clock())
            return
        try:
            secret = manifests.input_secret(order, job)
            if secret is not None:
                await self._writes.create_secret(secret)
            watch.maybe_created = True
            made = await self._writes.create(job)
        except AlreadyExists:
            self._take_over(order, watch, await self._by_name(order))
            return
        except Refused as why:
            watch.maybe_created = False
            start_by = podfacts.instant(podfacts.annotation(job, manifests.START_BY))
            self._refused(order, watch, why, start_by)
            if secret is not None:
                await self._writes.delete_secret(order.execution.namespace, job_name(order.attempt))
            return
        self._observed.jobs.absorb(made)
        self._adopted(order, watch, made)

    def _refused(self, order: Order, watch: Watch, why: Refused, start_by: datetime | None) -> None:
        """A refusal is the state's error, unless it passes by itself."""
        if not _is_passing(why):
            self._telling.failed(
                order.attempt, watch, StateError(FORBIDDEN, why.message), self._clock()
            )
            return
        reason = startup.quota_said(why.message)
        if reason is None:
            raise Unavailable(why.message, _TOO_LATE_SECONDS) from why
        now = self._clock()
        if start_by is not None and now >= start_by:
            self._telling.failed(
                order.attempt, watch, StateError(startup.QUOTA_EXCEEDED, reason), start_by
            )
            return
        self._telling.waits(order.attempt, watch, reason)
        delay = _QUOTA_SECONDS[min(watch.tries, len(_QUOTA_SECONDS) - 1)]
        watch.tries += 1
        if start_by is not None:
            delay = min(delay, max(0.1, (start_by - now).total_seconds()))
        raise Unavailable(why.message, delay) from why


def _is_passing(why: Refused) -> bool:
    """Whether the same request may be taken later."""
    said = why.message
    too_late = any(words in said for words in _TOO_LATE)
    full = why.status == 403 and startup.quota_said(said) is not None
    # 401: our own credentials, which is no state's fault.
    return why.status == 401 or too_late or full
