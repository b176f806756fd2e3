"""An API server made of files: one object, one JSON file, under its resourceVersion.

One rule: a file is written beside its place, synced and renamed into it, so that after a crash at
any instant each object is as it was before or after a write, whole.
"""

# ruff: noqa: ARG002 - all is in one namespace, and has one status

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from treadle.asl.json import dumps, loads
from treadle.kube import patches, selectors
from treadle.kube.api import Listing, Obj
from treadle.kube.kinds import SECRETS, Kind
from treadle.runtime.ports import AlreadyExists, Clock, Conflict, Missing, Refused, Unavailable

NAMESPACE = "desk"

_SERVER_SIDE = ("uid", "resourceVersion", "generation", "creationTimestamp", "namespace")


class FileApi:
    """See `kube.api.Objects`.

    Args:
        folder: where the objects are kept; `KIND/NAME.json` in it.
        clock: what `creationTimestamp` is taken from.
        elsewhere: folders of kinds that are kept apart.
    """

    def __init__(
        self, folder: Path, clock: Clock, elsewhere: Mapping[str, Path] | None = None
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._elsewhere = elsewhere or {}

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """See `Objects`."""
        return self._read(self._path(kind, name))

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing:
        """See `Objects`."""
        chosen, also = selectors.labels(labels), selectors.fields(kind, fields)
        found = (self._read(path) for path in sorted(self._of(kind).glob("*.json")))
        return Listing([obj for obj in found if chosen(obj) and also(obj)], "")

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See `Objects`."""
        path = self._path(kind, obj["metadata"]["name"])
        given = {k: v for k, v in obj["metadata"].items() if k not in _SERVER_SIDE}
        metadata = {
            **given,
            "namespace": NAMESPACE,
            "uid": str(uuid.uuid4()),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": self.now().replace(microsecond=0).isoformat(),
        }
        made = {**obj, "metadata": metadata}
        with self._locked():
            if path.exists():
                raise AlreadyExists(f"there is a {kind.name} named {path.stem}")
            self._write(path, made, private=kind == SECRETS)
        return made

    async def update(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See `Objects`. What is not spec or metadata stays as it was."""
        given = {k: v for k, v in obj["metadata"].items() if k not in _SERVER_SIDE}

        def changed(stored: Obj) -> Obj:
            metadata = {**{k: stored["metadata"][k] for k in _SERVER_SIDE}, **given}
            metadata["generation"] += stored.get("spec") != obj.get("spec")
            return {**stored, "metadata": metadata, "spec": obj.get("spec")}

        return self._change(kind, obj["metadata"]["name"], obj, changed)

    async def update_status(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See `Objects`."""
        return self._change(
            kind, obj["metadata"]["name"], obj, lambda stored: {**stored, "status": obj["status"]}
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        form: Literal["merge", "json"] = "merge",
        subresource: str | None = None,
    ) -> Obj:
        """See `Objects`."""
        applied = patches.merge if form == "merge" else patches.json

        def changed(stored: Obj) -> Obj:
            made = applied(stored, patch)
            generation = stored["metadata"]["generation"] + (made.get("spec") != stored.get("spec"))
            return {**made, "metadata": {**made["metadata"], "generation": generation}}

        return self._change(kind, name, {"metadata": {}}, changed)

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        """See `Objects`."""
        path = self._path(kind, name)
        with self._locked():
            _compare(self._read(path), uid, version)
            path.unlink()

    def now(self) -> datetime:
        """Ours: there is no other computer."""
        return self._clock().astimezone(UTC)

    # ------------------------------------------------------------------------------- in detail

    def _path(self, kind: Kind, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or len(name.encode()) > 240:
            raise Refused(422, "Invalid", f"{kind.name}: {name!r:.80} cannot be its name")
        return self._of(kind) / f"{name}.json"

    def _of(self, kind: Kind) -> Path:
        return self._elsewhere.get(kind.plural, self._folder) / kind.plural

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes that share the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as why:
            raise Unavailable(f"{self._folder} cannot be written: {why.strerror}") from why
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _change(self, kind: Kind, name: str, sent: Obj, changed: Any) -> Obj:
        path = self._path(kind, name)
        with self._locked():
            stored = self._read(path)
            _compare(stored, sent["metadata"].get("uid"), sent["metadata"].get("resourceVersion"))
            made: Obj = changed(stored)
            version = int(stored["metadata"]["resourceVersion"]) + 1
            made = {**made, "metadata": {**made["metadata"], "resourceVersion": str(version)}}
            self._write(path, made, private=kind == SECRETS)
        return made

    def _read(self, path: Path) -> Obj:
        try:
            obj = loads(path.read_bytes())
        except FileNotFoundError:
            raise Missing(f"there is no {path.parent.name} named {path.stem}") from None
        except OSError as why:
            raise Unavailable(f"{path} cannot be read: {why.strerror}") from why
        except ValueError as why:
            raise Refused(500, "InternalError", f"{path} is damaged: {why}") from None
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        if not isinstance(metadata, dict) or {"name", *_SERVER_SIDE} - metadata.keys():
            raise Refused(500, "InternalError", f"{path} is damaged: it is no object of ours")
        found: Obj = obj
        return found

    def _write(self, path: Path, obj: Obj, *, private: bool) -> None:
        try:
            write_whole(path, dumps(obj).encode(), private=private)
        except OSError as why:
            raise Unavailable(f"{path} cannot be written: {why.strerror}") from why


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file so that whoever looks sees all of it, or what was there.

    Nobody else may look at it where it is `private`. Raises: OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "wb", opener=_open_privately if private else None) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # where there is no room, it would take what is left
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _compare(stored: Obj, uid: str | None, version: str | None) -> None:
    metadata = stored["metadata"]
    if uid not in (None, metadata["uid"]) or version not in (None, metadata["resourceVersion"]):
        raise Conflict(f"{metadata['name']} was changed meanwhile")
