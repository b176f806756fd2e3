"""The object store of a simulated API server.

One rule: every write is one synchronous step with its own resourceVersion, and answers as the
recorded ones of a real API server do (versions, uids, finalizers, preconditions, status apart).
"""

import bisect
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import orjson

from treadle.kube import patches, selectors
from treadle.kube.api import Listing, Obj
from treadle.kube.kinds import (
    ALIASES,
    APPROVALS,
    EXECUTIONS,
    JOBS,
    NODES,
    PODS,
    STATE_MACHINES,
    Kind,
)
from treadle.runtime.ports import AlreadyExists, Conflict, Expired, Missing, Refused
from treadle.sim import validation

Key: TypeAlias = tuple[str, str]  # namespace, name
Listener = Callable[[Kind, Obj | None, Obj | None], None]

_WITH_STATUS = frozenset((STATE_MACHINES, ALIASES, EXECUTIONS, JOBS, PODS, NODES, APPROVALS))
_WITH_GENERATION = frozenset((STATE_MACHINES, ALIASES, EXECUTIONS, JOBS, PODS, APPROVALS))
_SYSTEM = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "namespace", "name")


def instant(at: datetime) -> str:
    """How Kubernetes writes a time: whole seconds, UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def copied(obj: Obj) -> Obj:
    """A private copy; also the proof that the object is JSON."""
    copy: Obj = orjson.loads(orjson.dumps(obj))
    return copy


@dataclass(slots=True)
class Stored:
    """An object and its text; readers get what they may change by parsing the text again."""

    obj: Obj
    text: bytes

    def copy(self) -> Obj:
        """One that its reader may change."""
        copy: Obj = orjson.loads(self.text)
        return copy


@dataclass(frozen=True, slots=True)
class Logged:
    """One write, as watches are fed from it. `new` None: the object was removed."""

    version: int
    old: Obj | None
    new: Obj | None


class Objects:
    """All objects of a cluster. `now` is its wall clock.

    A uid follows from the seed, the name, and how often the name was used: so an Execution has the
    same one in a disturbed and in an undisturbed world, and its attempts the same names.
    """

    def __init__(self, now: Callable[[], datetime], seed: int | str) -> None:
        self.now = now
        self.version = 1000
        self.namespaces = {"default": "Active", "abroad": "Active"}
        self.listeners: list[Listener] = []
        self.followers: dict[Kind, list[Listener]] = {}  # of one kind only
        self._seed = str(seed)
        self._used: dict[tuple[str, Key], int] = {}
        self._objects: dict[Kind, dict[Key, Stored]] = {}
        self._log: dict[Kind, list[Logged]] = {}
        self._compacted = 0
        self._owned: dict[str, dict[tuple[Kind, Key], None]] = {}

    # --------------------------------------------------------------------------------- reading

    def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """A copy. Raises: Missing."""
        return self._stored(kind, namespace, name).copy()

    def peek(self, kind: Kind, namespace: str | None, name: str) -> Obj | None:
        """The object itself, for those who only read it."""
        stored = self._of(kind).get((namespace or "", name))
        return stored.obj if stored is not None else None

    def each(self, kind: Kind) -> Iterator[Obj]:
        """All objects of a kind, in the order of their creation, for those who only read them."""
        for stored in list(self._of(kind).values()):
            yield stored.obj

    def owned(self, uid: str, kind: Kind) -> list[Obj]:
        """The objects of a kind that name this uid as an owner, for those who only read them."""
        mine = self._owned.get(uid, {})
        return [self._of(k)[key].obj for k, key in mine if k == kind]

    def listing(
        self, kind: Kind, namespace: str | None, labels: str | None, fields: str | None
    ) -> Listing:
        """A consistent list of copies."""
        by_label, by_field = selectors.labels(labels), selectors.fields(kind, fields)
        items = [
            stored.copy()
            for (at, _), stored in self._of(kind).items()
            if (namespace is None or at == namespace)
            and by_label(stored.obj)
            and by_field(stored.obj)
        ]
        return Listing(items, str(self.version))

    def since(self, kind: Kind, version: int) -> list[Logged]:
        """All writes after a version. Raises: Expired (it was compacted)."""
        if version < self._compacted:
            raise Expired(f"too old resource version: {version} ({self._compacted})")
        log = self._log.setdefault(kind, [])
        return log[bisect.bisect_right(log, version, key=lambda entry: entry.version) :]

    def compact(self) -> None:
        """Forget the past: a watch from before now gets Expired."""
        self._compacted = self.version
        self._log.clear()

    # --------------------------------------------------------------------------------- writing

    def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """Raises: AlreadyExists, Missing (namespace), Refused."""
        new = copied(obj)
        metadata = new.setdefault("metadata", {})
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = metadata["generateName"] + self._suffix(
                namespace, metadata["generateName"]
            )
        key = (namespace or "", metadata.get("name", ""))
        self._check_namespace(kind, key)
        if key in self._of(kind):
            raise AlreadyExists(f'{kind.plural} "{key[1]}" already exists')
        metadata.pop("resourceVersion", None)
        metadata.pop("deletionTimestamp", None)
        if namespace is not None:
            metadata["namespace"] = namespace
        metadata["uid"] = self._uid(kind.plural, key)
        metadata["creationTimestamp"] = instant(self.now())
        if kind in _WITH_GENERATION:
            metadata["generation"] = 1
        new.setdefault("apiVersion", kind.api_version)
        new.setdefault("kind", kind.name)
        if kind in _WITH_STATUS:
            new.pop("status", None)
        validation.created(kind, new)
        validation.defaulted(kind, new)
        return self._put(kind, key, None, new).copy()

    def update(self, kind: Kind, namespace: str | None, obj: Obj, *, status: bool = False) -> Obj:
        """PUT. Raises: Missing, Conflict, Refused."""
        new = copied(obj)
        name = new["metadata"]["name"]
        stored = self._stored(kind, namespace, name)
        version = new["metadata"].get("resourceVersion")
        if not version:
            raise Refused(422, "Invalid", f"{name}: metadata.resourceVersion: must be specified")
        return self._changed(kind, (namespace or "", name), stored, new, status=status)

    def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        form: str = "merge",
        status: bool = False,
    ) -> Obj:
        """PATCH. Raises: Missing, Conflict, Refused."""
        stored = self._stored(kind, namespace, name)
        if form == "json":
            new = patches.json(stored.copy(), patch)
        else:
            new = patches.merge(stored.copy(), copied(patch))
        return self._changed(kind, (namespace or "", name), stored, copied(new), status=status)

    def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """DELETE, dependents in the background. Raises: Missing, Conflict."""
        stored = self._stored(kind, namespace, name)
        metadata = stored.obj["metadata"]
        if uid not in (None, metadata["uid"]):
            raise Conflict(f"the UID in the precondition ({uid}) does not match")
        if version not in (None, metadata["resourceVersion"]):
            raise Conflict(f"the ResourceVersion in the precondition ({version}) does not match")
        grace = _grace(kind, stored.obj, grace_seconds)
        key = (namespace or "", name)
        if grace == 0 and not metadata.get("finalizers"):
            self._remove(kind, key, stored)
            return
        before = metadata.get("deletionGracePeriodSeconds")
        if before is not None and before <= grace:
            return
        new = stored.copy()
        new["metadata"]["deletionTimestamp"] = instant(self.now() + timedelta(seconds=grace))
        new["metadata"]["deletionGracePeriodSeconds"] = grace
        if before is None and kind in _WITH_GENERATION:
            new["metadata"]["generation"] += 1
        self._put(kind, key, stored.obj, new)

    # -------------------------------------------------------------------------------- in detail

    def _suffix(self, namespace: str | None, stem: str) -> str:
        return self._uid("suffixes", (namespace or "", stem))[:5]

    def _of(self, kind: Kind) -> dict[Key, Stored]:
        return self._objects.setdefault(kind, {})

    def _stored(self, kind: Kind, namespace: str | None, name: str) -> Stored:
        stored = self._of(kind).get((namespace or "", name))
        if stored is None:
            raise Missing(f'{kind.plural} "{name}" not found')
        return stored

    def _check_namespace(self, kind: Kind, key: Key) -> None:
        phase = self.namespaces.get(key[0])
        if key[0] and phase is None:
            raise Missing(f'namespaces "{key[0]}" not found')
        if phase == "Terminating":
            message = f"unable to create new content in namespace {key[0]}: it is being terminated"
            raise Refused(403, "Forbidden", f'{kind.plural} "{key[1]}" is forbidden: {message}')

    def _changed(self, kind: Kind, key: Key, stored: Stored, new: Obj, *, status: bool) -> Obj:
        old = stored.obj
        before, metadata = old["metadata"], new["metadata"]
        if metadata.get("resourceVersion") not in (None, "", before["resourceVersion"]):
            raise Conflict(f'"{key[1]}": the object has been modified')
        if metadata.get("uid", before["uid"]) != before["uid"]:
            raise Refused(422, "Invalid", "metadata.uid: field is immutable")
        if status:
            new = {**old, "status": new.get("status")}
            if new["status"] is None:
                del new["status"]
        else:
            new = _without_foreign_changes(kind, old, new)
            validation.changed(kind, old, new)
        new["metadata"]["resourceVersion"] = before["resourceVersion"]
        if new == old:
            return stored.copy()
        if new.get("spec") != old.get("spec") and kind in _WITH_GENERATION:
            new["metadata"] = {**new["metadata"], "generation": before["generation"] + 1}
        metadata = new["metadata"]
        if (
            "deletionTimestamp" in metadata
            and not metadata.get("finalizers")
            and not metadata["deletionGracePeriodSeconds"]
        ):
            # The answer shows the object as it was, and the next read does not find it.
            self._remove(kind, key, stored)
            return copied(new)
        return self._put(kind, key, old, new).copy()

    def _put(self, kind: Kind, key: Key, old: Obj | None, new: Obj) -> Stored:
        self.version += 1
        new["metadata"] = {**new["metadata"], "resourceVersion": str(self.version)}
        stored = Stored(new, orjson.dumps(new, option=orjson.OPT_SORT_KEYS))
        self._of(kind)[key] = stored
        self._index(kind, key, old, new)
        self._tell(kind, old, new)
        return stored

    def _remove(self, kind: Kind, key: Key, stored: Stored) -> None:
        self.version += 1
        del self._of(kind)[key]
        self._index(kind, key, stored.obj, None)
        self._tell(kind, stored.obj, None)

    def _index(self, kind: Kind, key: Key, old: Obj | None, new: Obj | None) -> None:
        before, after = owners(old), owners(new)
        for uid in before:
            if uid not in after:
                self._owned[uid].pop((kind, key), None)
        for uid in after:
            if uid not in before:
                self._owned.setdefault(uid, {})[(kind, key)] = None

    def _tell(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        self._log.setdefault(kind, []).append(Logged(self.version, old, new))
        for listener in (*self.listeners, *self.followers.get(kind, ())):
            listener(kind, old, new)

    def _uid(self, what: str, key: Key) -> str:
        count = self._used[what, key] = self._used.get((what, key), 0) + 1
        text = f"{self._seed}/{what}/{key[0]}/{key[1]}/{count}"
        digits = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def dependents(self, uid: str) -> list[tuple[Kind, Key]]:
        """What names this uid as an owner."""
        return list(self._owned.get(uid, ()))


def owners(obj: Obj | None) -> list[str]:
    """The uids of an object's owners."""
    if obj is None:
        return []
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def controller(obj: Obj) -> str | None:
    """The uid of the owner that controls an object."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            uid: str = owner["uid"]
            return uid
    return None


def _grace(kind: Kind, obj: Obj, asked: int | None) -> int:
    """Only a Pod on a node that has not ended is given time."""
    if kind != PODS or not obj["spec"].get("nodeName"):
        return 0
    if obj["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    default: int = obj["spec"].get("terminationGracePeriodSeconds", 30)
    return default if asked is None else asked


def _without_foreign_changes(kind: Kind, old: Obj, new: Obj) -> Obj:
    """What a write of the main resource cannot change stays as it was."""
    metadata = {**new["metadata"]}
    for name in (*_SYSTEM, "deletionGracePeriodSeconds"):
        metadata.pop(name, None)
        if name in old["metadata"]:
            metadata[name] = old["metadata"][name]
    # Empty and absent are the same to a real API server.
    for name in ("finalizers", "labels", "annotations", "ownerReferences"):
        if name in metadata and not metadata[name]:
            del metadata[name]
    changed = {**new, "metadata": metadata}
    if kind in _WITH_STATUS:
        changed.pop("status", None)
        if "status" in old:
            changed["status"] = old["status"]
    return changed
