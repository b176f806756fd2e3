"""Following an execution to its end, on the desk or on a cluster.

One rule: what was seen stays seen; whoever does not answer is asked again, for a while.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from treadle.app.looking import Cluster, Desk, Place, ask, on_cluster
from treadle.engine.snapshot import Unreadable
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import EXECUTIONS
from treadle.runners import podfacts
from treadle.runtime.ports import (
    TERMINAL,
    Expired,
    Fault,
    Missing,
    Refused,
    UnreadableSnapshot,
)
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

LOOK_SECONDS = 0.2
"""How often a desk is looked at, which tells of nothing."""

AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
REFUSED_SECONDS = 60.0
"""An API server that comes up may refuse what it will allow a moment later."""

Told = Callable[[Sequence[HistoryEntry], Obj, datetime], None]
"""What is new of the history, the Execution, and the place's own time."""

Trouble = Callable[[str], None]


class Deleted(Exception):  # noqa: N818 - it says what happened
    """The execution was deleted while it was followed."""


class Stuck(Exception):  # noqa: N818 - it says what happened
    """The execution cannot go on, and nobody knows until when."""


def follow(place: Place, name: str, told: Told, trouble: Trouble) -> Obj:
    """Tell what becomes of an execution until it has ended.

    Args:
        place: where it is.
        name: of the execution.
        told: what to do with each change.
        trouble: what to do with a sentence that says why nothing can be seen now.

    Returns:
        The Execution as it ended.

    Raises:
        Missing: there is none.
        Deleted: there is none any more.
        Stuck: an operator says that it cannot go on, knowing all that is asked of it now.
        Refused: this may not be read.
        ValueError: there is no way into the cluster.
    """
    if isinstance(place, Desk):

        async def on_desk(api: Objects, namespace: str) -> Obj:
            following = _Following(api, namespace, name, told, trouble)
            return await following.to_the_end(lambda: _looks(api, namespace, name))

        return ask(place, on_desk, name)

    async def there(api: ClusterApi, namespace: str) -> Obj:
        following = _Following(api, namespace, name, told, trouble)
        return await following.to_the_end(lambda: _watched(api, namespace, name))

    assert isinstance(place, Cluster)
    return on_cluster(place, there)


async def _looks(api: Objects, namespace: str, name: str) -> AsyncIterator[Obj | None]:
    """An object whenever it has changed; None where it is gone."""
    version = ""
    while True:
        obj = await api.get(EXECUTIONS, namespace, name)
        if obj["metadata"]["resourceVersion"] != version:
            version = obj["metadata"]["resourceVersion"]
            yield obj
        await asyncio.sleep(LOOK_SECONDS)


async def _watched(api: ClusterApi, namespace: str, name: str) -> AsyncIterator[Obj | None]:
    """The same, told by the API server."""
    chosen = f"metadata.name={name}"
    # A list says a version to watch from; that of an object may be too old for it.
    listing = await api.list(EXECUTIONS, namespace, fields=chosen)
    yield listing.items[0] if listing.items else None
    async for change in api.watch(EXECUTIONS, namespace, listing.version, fields=chosen):
        if change.type != "BOOKMARK":
            yield None if change.type == "DELETED" else change.object


class _Following:
    def __init__(
        self, api: Objects, namespace: str, name: str, told: Told, trouble: Trouble
    ) -> None:
        self._api = api
        self._name = name
        self._namespace = namespace
        self._told = told
        self._trouble = trouble
        self._uid = ""
        self._last = 0
        self._seen_at = 0.0
        self._failures = 0

    async def to_the_end(self, source: Callable[[], AsyncIterator[Obj | None]]) -> Obj:
        while True:
            try:
                async for obj in source():
                    ended = await self._take(obj)
                    if ended is not None:
                        return ended
            except Missing:
                await self._take(None)
            except Expired:
                pass  # a watch that fell behind is begun again
            except Refused as why:
                if not self._may_pass():
                    raise
                self._trouble(str(why))
            except Fault as fault:
                self._trouble(str(fault))
            await asyncio.sleep(AGAIN_SECONDS[min(self._failures, len(AGAIN_SECONDS) - 1)])
            self._failures += 1

    def _may_pass(self) -> bool:
        return bool(self._uid) and _loop_time() - self._seen_at < REFUSED_SECONDS

    async def _take(self, obj: Obj | None) -> Obj | None:
        """Tell of an execution as it was seen; gives it if it has ended."""
        if obj is None or self._uid not in ("", obj["metadata"]["uid"]):
            if self._uid:
                raise Deleted(f"'{self._name}' was deleted")
            raise Missing(f"there is no execution named '{self._name}'")
        self._uid = obj["metadata"]["uid"]
        entries = await self._news(obj)
        self._last = entries[-1].id if entries else self._last
        self._seen_at, self._failures = _loop_time(), 0
        self._told(entries, obj, self._api.now())
        if (obj.get("status") or {}).get("phase") in TERMINAL:
            return obj
        parked = podfacts.condition(obj, "Parked")
        # One that is about an earlier wish may be about to be told otherwise.
        if parked and parked.get("observedGeneration") == obj["metadata"].get("generation"):
            name, said = self._name, parked.get("message")
            raise Stuck(f"'{name}' cannot go on: {said}; see `treadle why {name}`")
        return None

    async def _news(self, obj: Obj) -> list[HistoryEntry]:
        try:
            return await histories.read(self._api, obj, after=self._last, payloads=False)
        except (Refused, UnreadableSnapshot, Unreadable) as why:
            # What its status says is seen all the same, its end above all.
            self._trouble(f"its history cannot be read: {why}")
            return []


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
