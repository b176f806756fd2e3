"""Pages: what does not fit in a status.

One rule: a page is content-addressed, written before the status that refers to it, verified when
it is read.
"""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from treadle.engine import snapshot
from treadle.engine.memory import Page
from treadle.kube import names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import PAGES
from treadle.kube.manifests import owner
from treadle.runtime.ports import (
    AlreadyExists,
    Conflict,
    ExecutionKey,
    Missing,
    UnreadableSnapshot,
)

WRITES_AT_ONCE = 8
RAW_BYTES_MAX = 2 * snapshot.PAGE_RAW_BYTES_MAX
AGE_BEFORE_REMOVAL = timedelta(seconds=120)


class Pages:
    """Reads and writes ExecutionPages."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(WRITES_AT_ONCE)

    async def write(self, key: ExecutionKey, pages: Mapping[str, Page]) -> None:
        """Make pages exist. Raises: Fault."""
        if pages:
            await asyncio.gather(*(self._write(key, d, page) for d, page in pages.items()))

    async def _write(self, key: ExecutionKey, digest: str, page: Page) -> None:
        async with self._slots:
            try:
                await self._api.create(PAGES, key.namespace, _manifest(key, digest, page))
            except AlreadyExists:
                await self._touch(key, digest, page)

    async def _touch(self, key: ExecutionKey, digest: str, page: Page) -> None:
        # Whoever tidies up compares the resourceVersion: touched is not removed.
        touched = {"metadata": {"annotations": {names.TOUCHED_AT: self._api.now().isoformat()}}}
        name = names.page(key, digest)
        try:
            await self._api.patch(PAGES, key.namespace, name, touched)
        except Missing:
            await self._api.create(PAGES, key.namespace, _manifest(key, digest, page))

    async def read(self, key: ExecutionKey, digest: str) -> bytes:
        """A page's content.

        Raises:
            UnreadableSnapshot: it is missing or damaged.
            Fault: ask again.
        """
        try:
            obj = await self._api.get(PAGES, key.namespace, names.page(key, digest))
        except Missing:
            raise UnreadableSnapshot(f"page {digest} of {key.name} is missing") from None
        return _content(obj, digest)

    async def remove_stale(self, key: ExecutionKey, keep: frozenset[str], now: datetime) -> None:
        """Remove overflow pages that no checkpoint refers to. Raises: Fault."""
        selector = f"{names.EXECUTION_UID}={key.uid}"
        listing = await self._api.list(PAGES, key.namespace, labels=selector)
        for obj in listing.items:
            spec = obj["spec"]
            if spec["kind"] != "snapshot" or spec["digest"] in keep:
                continue
            if now - touched_at(obj) < AGE_BEFORE_REMOVAL:
                continue
            metadata = obj["metadata"]
            try:
                await self._api.delete(
                    PAGES,
                    key.namespace,
                    metadata["name"],
                    uid=metadata["uid"],
                    version=metadata["resourceVersion"],
                )
            except (Missing, Conflict):
                continue


def _manifest(key: ExecutionKey, digest: str, page: Page) -> Obj:
    return {
        "apiVersion": PAGES.api_version,
        "kind": PAGES.name,
        "metadata": {
            "name": names.page(key, digest),
            "namespace": key.namespace,
            "labels": {names.EXECUTION_UID: key.uid},
            "ownerReferences": [owner(key)],
        },
        "spec": {
            "digest": digest,
            "kind": page.kind,
            "encoding": "zlib",
            "data": base64.b64encode(zlib.compress(page.raw, 6)).decode(),
        },
    }


def _content(obj: Obj, digest: str) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        packed = base64.b64decode(obj["spec"]["data"], validate=True)
        raw = unpacker.decompress(packed, RAW_BYTES_MAX)
        whole = unpacker.eof
    except (KeyError, TypeError, ValueError, zlib.error) as damage:
        raise UnreadableSnapshot(f"page {digest} cannot be read: {damage!r}") from damage
    listed = snapshot.is_list_of_parts(raw)
    if not whole or (not listed and hashlib.sha256(raw).hexdigest() != digest):
        raise UnreadableSnapshot(f"page {digest} is damaged")
    return raw


def touched_at(obj: Obj) -> datetime:
    """When somebody last said that he is about to refer to an object."""
    metadata = obj["metadata"]
    created_at = datetime.fromisoformat(metadata["creationTimestamp"])
    try:
        said = (metadata.get("annotations") or {}).get(names.TOUCHED_AT, "")
        touched = datetime.fromisoformat(said)
    except ValueError:
        return created_at  # never, or somebody else's text
    return max(created_at, touched) if touched.tzinfo is not None else created_at
