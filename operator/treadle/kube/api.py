"""The API server as the other rooms see it.

One rule: objects are plain dicts as the API server sends them; faults are those of
`runtime.ports`. `kube.client` speaks to a real API server, `sim.api` to a simulated one, and
`local.files` keeps objects in files.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from treadle.kube.kinds import Kind

Obj: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One whole list (all chunks) and the version to watch from."""

    items: list[Obj]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a watch. BOOKMARK carries only a resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Obj


class Objects(Protocol):
    """Where objects are kept. Every method may raise Unavailable or Refused.

    `namespace` None means all namespaces (reads only) or a cluster-scoped kind.
    Selectors have kubectl's text form.
    """

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """A consistent read. Raises: Missing."""

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing:
        """A consistent list."""

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """Raises: AlreadyExists; Missing (namespace gone)."""

    async def update(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """PUT under the object's own resourceVersion. Raises: Conflict, Missing."""

    async def update_status(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """PUT of /status under the object's own resourceVersion. Raises: Conflict, Missing."""

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
        """PATCH.

        Raises:
            Missing: there is no such object.
            Conflict: the patch carries a stale resourceVersion, or a JSON patch's `test` fails.
        """

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        """Delete in the background under preconditions. Raises: Missing, Conflict."""

    def now(self) -> datetime:
        """The API server's time, estimated from its last Date header and our monotonic clock."""


class Api(Objects, Protocol):
    """What we ask of an API server: its objects, and to be told of what becomes of them."""

    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        version: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> AsyncIterator[Change]:
        """Changes after a version, until the server closes the stream. Raises: Expired."""


class ClusterApi(Api, Protocol):
    """What people ask of a cluster beside that: what containers have printed."""

    def log(
        self, namespace: str, pod: str, container: str, *, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """See `kube.client`. Raises: Missing, Refused, Unavailable."""
