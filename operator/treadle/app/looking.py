"""Executions and their histories as they are stored, on the desk or on a cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import EXECUTIONS
from treadle.local.files import NAMESPACE, FileApi
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


def _ask(place: Place, read: Callable[[Objects, str], Awaitable[T]]) -> T:
    async def ask() -> T:
        if isinstance(place, Desk):
            return await read(FileApi(place.folder, lambda: datetime.now(UTC)), NAMESPACE)
        # Slow to import, and of no use on a desk.
        from treadle.app import settings  # noqa: PLC0415
        from treadle.kube import credentials  # noqa: PLC0415
        from treadle.kube.client import Client  # noqa: PLC0415

        environment = settings.from_environment({}).environment
        endpoint = credentials.load(place.kubeconfig, place.context, environment)
        async with Client(endpoint) as api:
            return await read(api, place.namespace)

    return asyncio.run(ask())
