"""A cluster for commands, of files: one namespace, watches, logs, and faults that are asked for.

One rule: it stands for what the API server does with requests, never for what becomes of objects.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from treadle.app import looking
from treadle.kube.api import Change, Listing, Obj
from treadle.kube.kinds import WHO_AM_I, Kind
from treadle.local.files import FileApi
from treadle.runtime.ports import Fault, Missing, Refused

NAMESPACE = "team"


class Cluster(FileApi):
    """See `kube.api.ClusterApi`.

    Attributes:
        refuses: by verb and kind's plural: the fault that is raised.
        refuses_in: the same of one namespace, or of all of them (None).
        broken: faults that watches end with, one each, before they go on.
        logs: by Pod: the parts of its log; a fault in them is raised.
        read: of every log that was read: Pod, container, and whether it was followed.
        watched: the kind of every watch that was begun.
        asked: every namespace that was asked for.
        user: who we are; None where that is not said.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda: datetime.now(UTC))
        self.refuses: dict[tuple[str, str], Fault] = {}
        self.refuses_in: dict[tuple[str, str, str | None], Fault] = {}
        self.broken: list[Fault] = []
        self.logs: dict[str, list[bytes | Fault]] = {}
        self.watched: list[str] = []
        self.read: list[tuple[str, str, bool]] = []
        self.asked: list[str | None] = []
        self.places: list[looking.Cluster] = []
        self.user: str | None = "ada"
        self._made = 0

    def _ask(self, verb: str, kind: Kind, namespace: str | None) -> None:
        self.asked.append(namespace)
        usual = self.refuses.get((verb, kind.plural))
        fault = self.refuses_in.get((verb, kind.plural, namespace), usual)
        if fault is not None:
            raise fault

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        self._ask("get", kind, namespace)
        return await super().get(kind, namespace, name)

    async def list(self, kind: Kind, namespace: str | None, **chosen: Any) -> Listing:
        self._ask("list", kind, namespace)
        return await super().list(kind, namespace, **chosen)

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        self._ask("create", kind, namespace)
        if kind == WHO_AM_I:
            if self.user is None:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            return {**obj, "status": {"userInfo": {"username": self.user}}}
        metadata = dict(obj["metadata"])
        if "generateName" in metadata:
            self._made += 1
            metadata["name"] = f"{metadata.pop('generateName')}{self._made:05}"
        return await super().create(kind, namespace, {**obj, "metadata": metadata})

    async def patch(
        self, kind: Kind, namespace: str | None, name: str, *what: Any, **how: Any
    ) -> Obj:
        self._ask("patch", kind, namespace)
        return await super().patch(kind, namespace, name, *what, **how)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        version: str,  # noqa: ARG002
        **chosen: Any,
    ) -> AsyncIterator[Change]:
        self._ask("watch", kind, namespace)
        self.watched.append(kind.plural)
        seen = {
            o["metadata"]["name"]: o for o in (await super().list(kind, namespace, **chosen)).items
        }
        if self.broken:
            raise self.broken.pop(0)
        while True:
            await asyncio.sleep(0.01)
            now = {
                o["metadata"]["name"]: o
                for o in (await super().list(kind, namespace, **chosen)).items
            }
            for name in seen.keys() - now.keys():
                yield Change("DELETED", seen[name])
            for name, obj in now.items():
                if seen.get(name) != obj:
                    yield Change("MODIFIED" if name in seen else "ADDED", obj)
            seen = now

    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool = False
    ) -> AsyncIterator[bytes]:
        self.asked.append(namespace)
        self.read.append((pod, container, follow))
        if pod not in self.logs:
            raise Missing(f'pods "{pod}" not found')
        for part in self.logs[pod]:
            if isinstance(part, Fault):
                raise part
            yield part

    # ----------------------------------------------------------------------------- for a test

    def put(
        self,
        kind: Kind,
        name: str,
        *,
        spec: Any = None,
        status: Any = None,
        also: Obj | None = None,
        **metadata: Any,
    ) -> Obj:
        """Make an object as it is stored, or change its status."""

        async def work() -> Obj:
            given = {"metadata": {"name": name, **metadata}, "spec": spec or {}, **(also or {})}
            head = {"apiVersion": kind.api_version, "kind": kind.name}
            try:
                made = await super(Cluster, self).get(kind, None, name)
            except Missing:
                made = await super(Cluster, self).create(kind, None, head | given)
            if status is not None:
                made = await super(Cluster, self).update_status(
                    kind, None, made | {"status": status}
                )
            return made

        return asyncio.run(work())


def reached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster that commands reach, whatever they say of credentials."""
    cluster = Cluster(folder)

    @asynccontextmanager
    async def reach(place: looking.Cluster) -> AsyncIterator[tuple[Cluster, str]]:
        cluster.places.append(place)
        yield cluster, place.namespace or NAMESPACE

    monkeypatch.setattr(looking, "_reached", reach)
    return cluster
