"""Executions as they are stored: a status under its resourceVersion, and pages.

One rule: pages first, then the status that refers to them; the version decides who wins.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from treadle.engine import snapshot
from treadle.engine.snapshot import Unreadable
from treadle.kube import decode
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import (
    TERMINAL,
    ExecutionKey,
    Loaded,
    Missing,
    Record,
    Sighting,
    UnreadableSnapshot,
)
from treadle.stores import histories
from treadle.stores import status as statuses
from treadle.stores.pages import Pages

_NOT_ENDED = ",".join(f"status.phase!={phase}" for phase in sorted(TERMINAL))


class StatusStore:
    """See `runtime.ports.Store`."""

    def __init__(self, api: Objects) -> None:
        self._api = api
        self._pages = Pages(api)

    async def load(self, key: ExecutionKey) -> Loaded:
        """A consistent read, with every page that the snapshot needs."""
        obj = await self._api.get(EXECUTIONS, key.namespace, key.name)
        if obj["metadata"]["uid"] != key.uid:
            raise Missing(f"the name {key.name} belongs to another execution now")
        loaded = decode.loaded(obj)
        if loaded.checkpoint is None:
            return loaded
        pages: dict[str, bytes] = {}
        try:
            while missing := snapshot.missing(loaded.checkpoint, pages):
                pages |= await self._pages.read_all(key, missing)
            overflow = snapshot.overflow_of(loaded.checkpoint, pages)
        except (Unreadable, UnreadableSnapshot):
            # `restore` says what is wrong; here it is only a checkpoint.
            return replace(loaded, pages=pages)
        return replace(loaded, pages=pages, overflow=overflow)

    async def save(self, loaded: Loaded, record: Record, now: datetime) -> Loaded:
        """Write pages, then the status under `loaded.version`."""
        key = loaded.key
        if record.encoded is not None:
            await self._pages.write(key, record.encoded.pages)
        status = statuses.of_record(loaded, record, now)
        obj = await self._api.update_status(EXECUTIONS, key.namespace, _manifest(loaded, status))
        stored = decode.loaded(obj)
        overflow = record.encoded.overflow if record.encoded else frozenset()
        return replace(stored, overflow=overflow, overflow_before=loaded.overflow)

    async def entered_with(self, loaded: Loaded, state: str) -> str | None:
        """See `runtime.ports.Store`."""
        key = loaded.key
        metadata = {"name": key.name, "namespace": key.namespace, "uid": key.uid}
        try:
            return await histories.last_input(
                self._api, {"metadata": metadata, "status": dict(loaded.status)}, state
            )
        except Unreadable as why:
            raise UnreadableSnapshot(str(why)) from why

    async def active(self, namespaces: Sequence[str | None]) -> list[Sighting]:
        """All executions that have not ended; a consistent read. Raises: Fault."""
        found: list[Sighting] = []
        for namespace in namespaces:
            listing = await self._api.list(EXECUTIONS, namespace, fields=_NOT_ENDED)
            found += [decode.sighting(obj) for obj in listing.items]
        return found

    async def tidy(self, loaded: Loaded, now: datetime) -> None:
        """Remove overflow pages that nothing refers to any more."""
        keep = loaded.overflow | loaded.overflow_before
        await self._pages.remove_stale(loaded.key, keep, now)


def _manifest(loaded: Loaded, status: Obj) -> Obj:
    key = loaded.key
    return {
        "apiVersion": EXECUTIONS.api_version,
        "kind": EXECUTIONS.name,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "uid": key.uid,
            "resourceVersion": loaded.version,
        },
        "status": status,
    }
