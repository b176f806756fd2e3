"""Executions and their histories as they are stored, on the desk or on a cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from treadle.asl.json import Json
from treadle.kube.api import Obj, Objects
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
    """A namespace of a cluster; a kubeconfig of None means the usual places."""

    kubeconfig: str | None
    context: str | None
    namespace: str


Place: TypeAlias = Desk | Cluster


def executions(place: Place) -> list[Obj]:
    """All executions, the newest first. Raises: Fault, ValueError (no way into the cluster)."""

    async def read(api: Objects, namespace: str) -> list[Obj]:
        return (await api.list(EXECUTIONS, namespace)).items

    found = _ask(place, read)
    return sorted(found, key=_begun, reverse=True)


def _begun(obj: Obj) -> tuple[str, str]:
    # A creationTimestamp has whole seconds; what started later within one is later.
    return obj["metadata"]["creationTimestamp"], (obj.get("status") or {}).get("startTime", "")


def history(place: Place, name: str) -> list[HistoryEntry]:
    """The history of an execution. Raises: Missing and as `executions`; Unreadable."""

    async def read(api: Objects, namespace: str) -> list[HistoryEntry]:
        return await histories.read(api, await api.get(EXECUTIONS, namespace, name))

    return _ask(place, read)


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

    return _ask(place, read, name)


def _ask(place: Place, read: Callable[[Objects, str], Awaitable[T]], name: str = "") -> T:
    """Read from a place; of a desk, the machines of the execution that is named."""

    async def ask() -> T:
        if isinstance(place, Desk):
            own = {REVISIONS.plural: Runs(place.folder).of(name)} if name else {}
            return await read(FileApi(place.folder, lambda: datetime.now(UTC), own), NAMESPACE)
        # Slow to import, and of no use on a desk.
        from treadle.app import settings  # noqa: PLC0415
        from treadle.kube import credentials  # noqa: PLC0415
        from treadle.kube.client import Client  # noqa: PLC0415

        environment = settings.from_environment({}).environment
        endpoint = credentials.load(place.kubeconfig, place.context, environment)
        async with Client(endpoint) as api:
            return await read(api, place.namespace)

    return asyncio.run(ask())
