"""Executions and their histories as they are stored, on the desk or on a cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from treadle.asl.json import Json
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import EXECUTIONS, REVISIONS
from treadle.local.files import NAMESPACE, FileApi
from treadle.local.runs import Runs
from treadle.runtime.ports import Missing
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """A state directory."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Cluster:
    """A namespace of a cluster.

    Attributes:
        kubeconfig: None means the usual places.
        context: of the kubeconfig; None means its current one.
        namespace: None means the one of the context.
        everywhere: all namespaces are meant.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str | None
    everywhere: bool = False


Place: TypeAlias = Desk | Cluster


def executions(place: Place) -> list[Obj]:
    """All executions, the newest first. Raises: Fault, ValueError (no way into the cluster)."""

    async def read(api: Objects, namespace: str) -> list[Obj]:
        everywhere = isinstance(place, Cluster) and place.everywhere
        return (await api.list(EXECUTIONS, None if everywhere else namespace)).items

    return sorted(ask(place, read), key=_begun, reverse=True)


def execution(place: Place, name: str) -> Obj:
    """An execution. Raises: Missing and as `executions`."""

    async def read(api: Objects, namespace: str) -> Obj:
        return await api.get(EXECUTIONS, namespace, name)

    return ask(place, read)


def _begun(obj: Obj) -> tuple[str, str]:
    # A creationTimestamp has whole seconds; what started later within one is later.
    return obj["metadata"]["creationTimestamp"], (obj.get("status") or {}).get("startTime", "")


def history(place: Place, name: str) -> list[HistoryEntry]:
    """The history of an execution. Raises: Missing and as `executions`; Unreadable."""

    async def read(api: Objects, namespace: str) -> list[HistoryEntry]:
        return await histories.read(api, await api.get(EXECUTIONS, namespace, name))

    return ask(place, read)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of an execution: its object, its history, and the spec of what it ran."""

    execution: Obj
    history: list[HistoryEntry]
    revision: Mapping[str, Json]


def kept(place: Place, name: str) -> Kept:
    """All that is kept of an execution. Raises: as `history`; ValueError (it never began)."""

    async def read(api: Objects, namespace: str) -> Kept:
        obj = await api.get(EXECUTIONS, namespace, name)
        pinned = (obj.get("status") or {}).get("revision")
        if not pinned:
            raise ValueError(f"'{name}' has not begun: there is nothing to read yet")
        try:
            revision = await api.get(REVISIONS, namespace, pinned)
        except Missing:
            raise ValueError(f"the revision {pinned} that '{name}' ran is gone") from None
        return Kept(obj, await histories.read(api, obj), revision["spec"])

    return ask(place, read, name)


def ask(place: Place, read: Callable[[Objects, str], Awaitable[T]], name: str = "") -> T:
    """Read from a place; of a desk, the machines of the execution that is named."""
    if isinstance(place, Cluster):
        return on_cluster(place, read)

    async def look() -> T:
        own = {REVISIONS.plural: Runs(place.folder).of(name)} if name else {}
        return await read(FileApi(place.folder, lambda: datetime.now(UTC), own), NAMESPACE)

    return asyncio.run(look())


def on_cluster(place: Cluster, work: Callable[[ClusterApi, str], Awaitable[T]]) -> T:
    """Do something on a cluster; it is told the namespace.

    Raises:
        ValueError: there is no way into the cluster.
        Fault: the API server refuses, or is away.
    """

    async def reach() -> T:
        async with _reached(place) as (api, namespace):
            return await work(api, namespace)

    return asyncio.run(reach())


@asynccontextmanager
async def _reached(place: Cluster) -> AsyncIterator[tuple[ClusterApi, str]]:
    # Slow to import, and of no use on a desk.
    from treadle.app import settings  # noqa: PLC0415
    from treadle.kube import credentials  # noqa: PLC0415
    from treadle.kube.client import Client  # noqa: PLC0415

    known = settings.from_environment({"kubeconfig": place.kubeconfig, "context": place.context})
    given = (known.kubeconfig, known.context, known.environment)
    endpoint = credentials.load(*given)
    async with Client(endpoint) as api:
        yield api, place.namespace or credentials.namespace(*given)
