"""What there is to know about an execution of a cluster: all that says why it is as it is.

One rule: it is read, and not judged; what may not be read is noted, and the rest is read all the
same.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from treadle.app.looking import Cluster, on_cluster
from treadle.engine.snapshot import Unreadable
from treadle.kube import names
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import (
    APPROVALS,
    EVENTS,
    EXECUTIONS,
    JOBS,
    LEASES,
    PODS,
    QUOTAS,
    STATE_MACHINES,
    Kind,
)
from treadle.runtime.ports import TERMINAL, Fault, Missing, Refused, Unavailable, UnreadableSnapshot
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

ABOUT_MAX = 20
"""Objects whose Events are read: each is a request."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """See the module.

    Attributes:
        now: the API server's time.
        machine: None where there is none, or it may not be read.
        jobs, pods: of the execution.
        approvals: of the execution, while it runs.
        children: of the execution, while it runs, wherever Executions may be listed.
        events: about the execution, and about its newest Jobs and Pods.
        quotas: of the namespace.
        leases: of operators; None where nobody may say.
        unread: what could not be read, in the plural, and why.
    """

    execution: Obj
    now: datetime
    history: Sequence[HistoryEntry] = ()
    machine: Obj | None = None
    jobs: Sequence[Obj] = ()
    pods: Sequence[Obj] = ()
    approvals: Sequence[Obj] = ()
    children: Sequence[Obj] = ()
    events: Sequence[Obj] = ()
    quotas: Sequence[Obj] = ()
    leases: Sequence[Obj] | None = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Mapping[str, Any]:
        """The execution's; empty before there is one."""
        return self.execution.get("status") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The execution's."""
        return self.execution.get("spec") or {}

    @property
    def name(self) -> str:
        """The execution's."""
        return str(self.execution["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The execution's."""
        return str(self.execution["metadata"].get("namespace", ""))

    @property
    def machine_name(self) -> str:
        """The name of the machine that it asks for."""
        return str((self.spec.get("stateMachineRef") or {}).get("name", ""))

    def events_of(self, obj: Obj) -> list[Obj]:
        """Events about an object, the newest first."""
        uid = obj["metadata"].get("uid")
        found = [e for e in self.events if (e.get("involvedObject") or {}).get("uid") == uid]
        return sorted(found, key=_when, reverse=True)


def _when(event: Obj) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def read(place: Cluster, name: str) -> Evidence:
    """Read it. Raises: Missing (no such execution), Fault, ValueError (no way into the cluster)."""

    async def work(api: ClusterApi, namespace: str) -> Evidence:
        return await gather(api, namespace, name)

    return on_cluster(place, work)


async def gather(api: Objects, namespace: str, name: str) -> Evidence:
    """The same through an API."""
    execution = await api.get(EXECUTIONS, namespace, name)
    reader = _Reader(api, namespace)
    over = (execution.get("status") or {}).get("phase") in TERMINAL
    uid = execution["metadata"]["uid"]
    machine = ((execution.get("spec") or {}).get("stateMachineRef") or {}).get("name", "")
    chosen = f"{names.EXECUTION_UID}={uid}"
    jobs = await reader.all(JOBS, labels=chosen)
    pods = await reader.all(PODS, labels=chosen)
    return Evidence(
        execution=execution,
        history=await reader.history(execution),
        machine=await reader.one(STATE_MACHINES, machine),
        jobs=jobs,
        pods=pods,
        approvals=[] if over else await reader.all(APPROVALS, labels=chosen),
        children=[] if over else await reader.children(chosen),
        events=await reader.events([execution, *_newest(jobs), *_newest(pods)]),
        quotas=[] if over else await reader.all(QUOTAS),
        leases=[] if over else await reader.leases(),
        unread=reader.unread,
        now=api.now(),
    )


async def gather_pods(api: Objects, namespace: str, name: str) -> Evidence:
    """Only what says which Pods there are or were."""
    execution = await api.get(EXECUTIONS, namespace, name)
    reader = _Reader(api, namespace)
    return Evidence(
        execution=execution,
        history=await reader.history(execution),
        pods=await reader.all(PODS, labels=f"{names.EXECUTION_UID}={execution['metadata']['uid']}"),
        unread=reader.unread,
        now=api.now(),
    )


def _newest(objects: Sequence[Obj]) -> list[Obj]:
    ordered = sorted(objects, key=lambda obj: str(obj["metadata"].get("creationTimestamp", "")))
    return ordered[::-1][: ABOUT_MAX // 2]


class _Reader:
    def __init__(self, api: Objects, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.unread: dict[str, str] = {}

    async def all(self, kind: Kind, **chosen: str) -> list[Obj]:
        async def ask() -> list[Obj]:
            return (await self._api.list(kind, self._namespace, **chosen)).items

        return await self._tried(kind.plural, ask, [])

    async def one(self, kind: Kind, name: str) -> Obj | None:
        async def ask() -> Obj | None:
            try:
                return await self._api.get(kind, self._namespace, name)
            except Missing:
                return None

        return await self._tried(kind.plural, ask, None)

    async def events(self, about: Sequence[Obj]) -> list[Obj]:
        found: list[Obj] = []
        for obj in about:
            if EVENTS.plural not in self.unread:
                found += await self.all(
                    EVENTS, fields=f"involvedObject.uid={obj['metadata']['uid']}"
                )
        return found

    async def children(self, chosen: str) -> list[Obj]:
        """Children of an execution, in all namespaces or at least in its own."""
        try:
            return (await self._api.list(EXECUTIONS, None, labels=chosen)).items
        except (Refused, Unavailable):
            return await self.all(EXECUTIONS, labels=chosen)

    async def leases(self) -> list[Obj] | None:
        """Leases of operators, of the cluster or at least of the namespace."""
        chosen = ",".join(f"{name}={value}" for name, value in names.LEASE_LABELS.items())
        for namespace in (None, self._namespace):
            try:
                found = (await self._api.list(LEASES, namespace, labels=chosen)).items
            except (Refused, Unavailable):
                continue
            # Of a namespace alone, that there is none says nothing.
            return found if found or namespace is None else None
        return None

    async def history(self, execution: Obj) -> list[HistoryEntry]:
        async def ask() -> list[HistoryEntry]:
            try:
                return await histories.read(self._api, execution, payloads=False)
            except Unreadable as why:
                raise UnreadableSnapshot(str(why)) from why

        return await self._tried("history", ask, [])

    async def _tried(self, what: str, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
        try:
            return await ask()
        except Fault as fault:
            self.unread[what] = str(fault)
            return otherwise
