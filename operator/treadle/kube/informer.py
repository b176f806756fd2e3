"""A view of one kind of object, kept by a list and a watch.

One rule: what it shows is a question, never a fact; but what has gone is told, also after a gap.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from treadle.kube.api import Api, Change, Obj
from treadle.kube.kinds import Kind
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import Expired, Fault

_log = logging.getLogger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
SHORT_SECONDS = 1.0
"""A watch that ends sooner and showed nothing did not work, whatever it says."""

Callback = Callable[[Obj | None, Obj | None], None]
"""Told of (old, new); new is None for an object that has gone."""

Key = tuple[str, str]


class Informer:
    """See the module.

    Args:
        api: to list and watch with.
        kind: of what.
        namespaces: to watch; None for all in one watch.
        labels, fields: selectors.
        indices: by name, what an object is found by.
        trim: what is kept of an object; by default all but managedFields.
    """

    def __init__(
        self,
        api: Api,
        kind: Kind,
        namespaces: Sequence[str | None] = (None,),
        *,
        labels: str | None = None,
        fields: str | None = None,
        indices: Mapping[str, Callable[[Obj], str | None]] | None = None,
        trim: Callable[[Obj], Obj] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._api = api
        self.kind = kind
        self._namespaces = namespaces or (None,)
        self._labels = labels
        self._fields = fields
        self._indexers = dict(indices or {})
        self._trim = trim or _without_managed_fields
        self._meter = meter or NoMeter()
        self._objects: dict[Key, Obj] = {}
        self._indices: dict[str, dict[str, dict[Key, Obj]]] = {n: {} for n in self._indexers}
        self._callbacks: list[Callback] = []
        self._pending = set(self._namespaces)
        # How far each watch has come: what is not held and not newer has gone.
        self._reached: dict[str | None, str] = {}
        self.synced = asyncio.Event()

    # -------------------------------------------------------------------------------- looking

    @property
    def current(self) -> bool:
        """Whether every namespace is listed and watched: false from a gap until the next list."""
        return not self._pending

    def get(self, namespace: str, name: str) -> Obj | None:
        """The object as last seen."""
        return self._objects.get((namespace, name))

    def find(self, index: str, value: str) -> list[Obj]:
        """The objects that an index puts under a value."""
        return list(self._indices[index].get(value, {}).values())

    def items(self) -> Iterable[Obj]:
        """All objects, as last seen."""
        return list(self._objects.values())

    def subscribe(self, callback: Callback) -> None:
        """Be told of every change from now on."""
        self._callbacks.append(callback)

    def absorb(self, obj: Obj) -> None:
        """Take the answer of our own write, if it is newer than what was seen."""
        kept = self._trim(obj)
        if _key(kept) in self._objects or not self._has_passed(kept):
            self._put(kept)

    # ------------------------------------------------------------------------------- watching

    async def run(self) -> None:
        """List and watch for ever."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._run(namespace))

    async def _run(self, namespace: str | None) -> None:
        failures = 0
        version: str | None = None
        while True:
            began_at, shown = asyncio.get_running_loop().time(), False
            try:
                if version is None:
                    version = await self._list(namespace)
                async for change in self._watch(namespace, version):
                    version = change.object["metadata"]["resourceVersion"]
                    failures, shown = 0, True
                    self._apply(change)
                    self._reached[namespace] = version
                reason = "closed"
            except Expired:
                # Deletions were missed: only a list can tell what has gone.
                reason, version = "expired", None
                self._pending.add(namespace)
            except Fault as fault:
                reason = "failed"
                _log.info("watch of %s: %r", self.kind.plural, fault)
            self._meter.watch_restarted(self.kind.plural, reason)
            lasted = asyncio.get_running_loop().time() - began_at
            if reason == "failed" or not (shown or lasted >= SHORT_SECONDS):
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1
            else:
                failures = 0

    def _watch(self, namespace: str | None, version: str) -> AsyncIterator[Change]:
        return self._api.watch(
            self.kind, namespace, version, labels=self._labels, fields=self._fields
        )

    async def _list(self, namespace: str | None) -> str:
        listing = await self._api.list(
            self.kind, namespace, labels=self._labels, fields=self._fields
        )
        seen = set()
        for obj in listing.items:
            kept = self._trim(obj)
            seen.add(_key(kept))
            self._put(kept)
        gone = [
            key
            for key in self._objects
            if key not in seen
            and (namespace is None or key[0] == namespace)
            # Our own write, absorbed after this list was made, is not in it.
            and not _is_newer_version(_version(self._objects[key]), listing.version)
        ]
        for key in gone:
            self._remove(key)
        self._reached[namespace] = listing.version
        self._pending.discard(namespace)
        if not self._pending:
            self.synced.set()
        return listing.version

    def _apply(self, change: Change) -> None:
        match change.type:
            case "BOOKMARK":
                return
            case "DELETED":
                held = self._objects.get(_key(change.object))
                # Another object may have the name by now.
                if held is not None and _uid(held) == _uid(change.object):
                    self._remove(_key(change.object))
            case "ADDED" | "MODIFIED":
                self._put(self._trim(change.object))

    # -------------------------------------------------------------------------------- keeping

    def _has_passed(self, obj: Obj) -> bool:
        """Whether the watch has come to this version or past it."""
        reached = self._reached.get(_key(obj)[0]) or self._reached.get(None)
        return reached is not None and not _is_newer_version(_version(obj), reached)

    def _put(self, obj: Obj) -> None:
        key = _key(obj)
        old = self._objects.get(key)
        if old is not None and not _is_newer(obj, old):
            return
        if old is not None and _uid(old) != _uid(obj):
            self._remove(key)
            old = None
        self._unindex(key, old)
        self._objects[key] = obj
        for name, indexer in self._indexers.items():
            value = indexer(obj)
            if value is not None:
                self._indices[name].setdefault(value, {})[key] = obj
        self._tell(old, obj)

    def _remove(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
            self._tell(old, None)

    def _unindex(self, key: Key, old: Obj | None) -> None:
        if old is None:
            return
        for name, indexer in self._indexers.items():
            value = indexer(old)
            if value is None:
                continue
            bucket = self._indices[name].get(value, {})
            bucket.pop(key, None)
            if not bucket:
                self._indices[name].pop(value, None)

    def _tell(self, old: Obj | None, new: Obj | None) -> None:
        for callback in self._callbacks:
            callback(old, new)


def _key(obj: Obj) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _uid(obj: Obj) -> str:
    uid: str = obj["metadata"]["uid"]
    return uid


def _version(obj: Obj) -> str:
    version: str = obj["metadata"]["resourceVersion"]
    return version


def _is_newer(obj: Obj, old: Obj) -> bool:
    return _is_newer_version(_version(obj), _version(old))


def _is_newer_version(one: str, other: str) -> bool:
    """Versions of one resource may be compared as numbers (Kubernetes 1.35, KEP-5504)."""
    if one.isdecimal() and other.isdecimal():
        return int(one) > int(other)
    return one != other


def _without_managed_fields(obj: Obj) -> Obj:
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
