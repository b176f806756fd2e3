"""Pages: what does not fit in a status.

One rule: a page is content-addressed, written before the status that refers to it, verified when
it is read.
"""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from treadle.engine import snapshot
from treadle.engine.memory import Page
from treadle.kube import names
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import PAGES
from treadle.kube.manifests import owner
from treadle.runtime.ports import (
    ExecutionKey,
    Missing,
    UnreadableSnapshot,
)
from treadle.stores.touching import create_or_touch, remove_unchanged, touched_at

REQUESTS_AT_ONCE = 8
RAW_BYTES_MAX = 2 * snapshot.PAGE_RAW_BYTES_MAX
AGE_BEFORE_REMOVAL = timedelta(seconds=120)


class Pages:
    """Reads and writes ExecutionPages."""

    def __init__(self, api: Objects) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def write(self, key: ExecutionKey, pages: Mapping[str, Page]) -> None:
        """Make pages exist. Raises: Fault."""
        if pages:
            await asyncio.gather(*(self._write(key, d, page) for d, page in pages.items()))

    async def _write(self, key: ExecutionKey, digest: str, page: Page) -> None:
        async with self._slots:
            manifest = _manifest(key, digest, page)
            await create_or_touch(self._api, PAGES, key.namespace, manifest)

    async def read_all(self, key: ExecutionKey, digests: Iterable[str]) -> dict[str, bytes]:
        """The contents of several pages, by digest. Raises: see `read`."""
        wanted = sorted(digests)

        async def one(digest: str) -> bytes:
            async with self._slots:
                return await self.read(key, digest)

        found = await asyncio.gather(*(one(digest) for digest in wanted))
        return dict(zip(wanted, found, strict=True))

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
            await remove_unchanged(self._api, PAGES, obj)


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
