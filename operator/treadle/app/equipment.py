"""The runners of an operator, and what they see of the cluster.

One rule: built once, in one place; the operator says when they work, sweep and end.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from treadle.app.addresses import Addresses
from treadle.app.identify import Identities
from treadle.app.settings import Settings
from treadle.kube import credentials
from treadle.kube.api import Api
from treadle.kube.informer import Informer
from treadle.kube.kinds import ACTIVITIES, APPROVALS, JOBS, PODS, Kind
from treadle.kube.lease import Lease, NoLease
from treadle.kube.reviews import Reviews
from treadle.runners import activities, decisions, observed
from treadle.runners.activities import ActivityRunner
from treadle.runners.approvals import ApprovalRunner
from treadle.runners.http import HttpRunner
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runners.nested import NestedRunner, NestedSettings
from treadle.runners.transport import AiohttpTransport
from treadle.runtime.driver import Driver
from treadle.runtime.meter import Meter
from treadle.runtime.ports import Runner
from treadle.stores import endings
from treadle.stores.keys import TokenKeys

_KINDS = (JobRunner, HttpRunner, NestedRunner, ApprovalRunner, ActivityRunner)
RESOURCES = frozenset().union(*(each.resources for each in _KINDS))
"""What a Task can name here."""


class Equipment:
    """See the module.

    Attributes:
        jobs, pods, approvals, activity_view: what is seen; `addresses`: what no call may reach.
        reviews: tells who a worker of an activity is, and what it may do.
    """

    def __init__(
        self,
        settings: Settings,
        api: Api,
        driver: Driver,
        lease: Lease | NoLease,
        tokens: TokenKeys,
        identities: Identities,
        jobs: JobSettings,
        endpoint: credentials.Endpoint,
        meter: Meter,
    ) -> None:
        self._api = api
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._meter = meter
        heard: Any = {"mailbox": driver, "clock": now, "meter": meter}
        acting: Any = {**heard, "leading": lease, "standings": driver.standing}
        self.jobs, self.pods = self._of_attempts(JOBS), self._of_attempts(PODS)
        self.job_runner = JobRunner(api, self.jobs, self.pods, settings=jobs, **acting)
        self.addresses = Addresses(settings, api, endpoint)
        transport = AiohttpTransport(self.addresses.policy)
        self.http = HttpRunner(transport, driver, lease, now, meter=meter)
        ended, depth = partial(endings.read, api), settings.limits.child_depth_max
        nesting = NestedSettings(depth_max=depth, namespaces=settings.namespaces)
        self.nested = NestedRunner(api, ended, identities.of, settings=nesting, **acting)
        asked = {decisions.EXECUTION: decisions.execution_of}
        self.approvals = self._view(APPROVALS, indices=asked, trim=decisions.trim)
        self.approval_runner = ApprovalRunner(api, self.approvals, **acting)
        self.activity_view = self._view(ACTIVITIES, indices=activities.INDICES)
        self.activities = ActivityRunner(
            api, self.activity_view, identities.of, tokens.issue, driver.answer, **heard
        )
        self.reviews = Reviews(api)

    @property
    def runners(self) -> Sequence[Runner]:
        """All of them."""
        runners: list[Runner] = [self.job_runner, self.http, self.nested]
        return [*runners, self.approval_runner, self.activities]

    def _of_attempts(self, kind: Kind) -> Informer:
        indices, trim = observed.INDICES, observed.trim
        return self._view(kind, labels=observed.SELECTOR, indices=indices, trim=trim)

    def _view(self, kind: Kind, **how: Any) -> Informer:
        return Informer(self._api, kind, self._namespaces, meter=self._meter, **how)


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)
