"""The Lease: one operator acts, by clocks that need not agree.

One rule: freshness is counted by our own monotonic clock from when the renewal was sent; another's
Lease is over when it has not changed for its whole duration by our own clock.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from treadle.kube import names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import LEASES
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import AlreadyExists, Conflict, Fault, Missing

_log = logging.getLogger(__name__)

DURATION_SECONDS = 12.0
RENEW_SECONDS = 3.0
POLL_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""How long a renewal waits for its answer: another one may get through where this one hangs."""

MARGIN_SECONDS = 2.0
"""Taken off a Lease before acting: a request must arrive, and clocks drift."""

SLACK_SECONDS = 1.5
"""Added to another's Lease before taking it over: times in the API have whole seconds."""

ADDRESS = "treadle.dev/api"
"""The annotation that says where the holder is asked."""


class LeaseLost(Exception):  # noqa: N818 - it says what happened
    """Somebody else holds the Lease, or it could not be renewed in time."""


class Lease:
    """See the module. `acquire`, then `keep` in the background, then `release`.

    Args:
        serves: the namespaces that its holder serves, for people to see; empty for all of them.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        holder: str,
        *,
        serves: Sequence[str] = (),
        duration_seconds: float = DURATION_SECONDS,
        address: str = "",
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._serves = ",".join(serves)
        self._duration = duration_seconds
        self._address = address
        self._others_address: str | None = None
        self._meter = meter or NoMeter()
        self._held: Obj | None = None
        self._fresh_until = float("-inf")
        self._ends_at: datetime | None = None
        self._writing = asyncio.Lock()

    # ---------------------------------------------------------------------------------- asking

    def fresh(self) -> bool:
        """Whether this process may act now."""
        return asyncio.get_running_loop().time() < self._fresh_until

    def create_before(self) -> datetime | None:
        """The end of the Lease in the API server's time: what is created later is refused."""
        return self._ends_at

    def leader(self) -> str | None:
        """Where the process is asked that held the Lease when this one looked last."""
        return self._others_address

    # --------------------------------------------------------------------------------- holding

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        seen: tuple[str, str] | None = None
        seen_at = 0.0
        while True:
            try:
                lease = await self._read()
                found = _mark(lease)
                self._others_address = _address(lease) if found[0] else None
                now = asyncio.get_running_loop().time()
                if found != seen:
                    seen, seen_at = found, now
                wait = _duration(lease, self._duration) + SLACK_SECONDS
                if not found[0] or found[0] == self._holder or now - seen_at >= wait:
                    await self._write(lease)
                    self._meter.leading(True)
                    return
            except Conflict:
                seen = None
            except Fault as fault:
                _log.info("the Lease %s: %r", self._name, fault)
            await asyncio.sleep(POLL_SECONDS)

    async def keep(self) -> None:
        """Renew until it is given up.

        Raises:
            LeaseLost: this process must not act any more.
        """
        wait = RENEW_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = RENEW_SECONDS
            try:
                async with self._writing, asyncio.timeout(ANSWER_SECONDS):
                    if self._held is not None:
                        await self._write(self._held)
            except (Conflict, Missing):
                # Somebody labelled it, our own write's answer was lost, or it is another's.
                wait = await self._look_again()
            except (Fault, TimeoutError) as fault:
                _log.warning("the Lease %s is not renewed: %r", self._name, fault)
                wait = POLL_SECONDS
            if self._held is None:
                return
            if not self.fresh() and await self._is_lost():
                self._meter.leading(False)
                raise LeaseLost(f"the Lease {self._name} is held by another")

    async def _look_again(self) -> float:
        """Read the Lease; gives the seconds until the next renewal."""
        try:
            lease = await self._read()
        except Fault:
            return POLL_SECONDS
        if _mark(lease)[0] == self._holder and self._held is not None:
            self._held = lease
            return 0.0
        self._fresh_until = float("-inf")
        return POLL_SECONDS

    async def _is_lost(self) -> bool:
        try:
            lost = _mark(await self._read())[0] != self._holder
        except Fault:
            return False
        # Unless it was given up in the meantime.
        return lost and self._held is not None

    async def release(self) -> None:
        """Give it up, so that another need not wait."""
        self._fresh_until = float("-inf")
        # A renewal that is on its way would make this one stale.
        async with self._writing:
            held, self._held = self._held, None
            if held is None:
                return
            lease = {**held, "spec": {**held["spec"], "holderIdentity": ""}}
            try:
                await self._api.update(LEASES, self._namespace, lease)
            except Fault as fault:
                _log.info("the Lease %s is not given up: %r", self._name, fault)
            self._fresh_until = float("-inf")

    # --------------------------------------------------------------------------------- writing

    async def _read(self) -> Obj:
        try:
            return await self._api.get(LEASES, self._namespace, self._name)
        except Missing:
            empty: Obj = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.name,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": {"holderIdentity": ""},
            }
            try:
                return await self._api.create(LEASES, self._namespace, empty)
            except AlreadyExists:
                return await self._api.get(LEASES, self._namespace, self._name)

    async def _write(self, lease: Obj) -> None:
        sent_at = asyncio.get_running_loop().time()
        server_now = self._api.now()
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        stamp = server_now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if spec.get("holderIdentity") != self._holder:
            spec["acquireTime"] = stamp
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1
        spec["holderIdentity"] = self._holder
        spec["leaseDurationSeconds"] = round(self._duration)
        spec["renewTime"] = stamp
        written = {**lease, "metadata": self._marked(lease["metadata"]), "spec": spec}
        self._held = await self._api.update(LEASES, self._namespace, written)
        self._fresh_until = sent_at + self._duration - MARGIN_SECONDS
        self._ends_at = server_now + timedelta(seconds=self._duration)

    def _marked(self, metadata: Obj) -> Obj:
        """What people find it by, and whom it serves; and where its holder is asked."""
        labels = {**(metadata.get("labels") or {}), **names.LEASE_LABELS}
        ours = {names.SERVES: self._serves, ADDRESS: self._address}
        annotations = {**(metadata.get("annotations") or {}), **ours}
        return {**metadata, "labels": labels, "annotations": annotations}


class NoLease:
    """Always fresh: nothing keeps a second operator away."""

    def leader(self) -> str | None:
        """This one."""
        return None

    def fresh(self) -> bool:
        """Always."""
        return True

    def create_before(self) -> datetime | None:
        """Never."""
        return None

    async def acquire(self) -> None:
        """At once."""

    async def keep(self) -> None:
        """For ever."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Nothing is held."""


def _mark(lease: Obj) -> tuple[str, str]:
    spec = lease.get("spec") or {}
    # The version too: a renewal within one instant is still a change.
    return spec.get("holderIdentity") or "", lease["metadata"]["resourceVersion"]


def _address(lease: Obj) -> str | None:
    return (lease["metadata"].get("annotations") or {}).get(ADDRESS) or None


def _duration(lease: Obj, ours: float) -> float:
    given = (lease.get("spec") or {}).get("leaseDurationSeconds")
    return float(given) if isinstance(given, int) else ours
