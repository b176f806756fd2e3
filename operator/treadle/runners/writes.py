"""What runners write to objects of attempts.

One rule: nothing is written unless the Lease is fresh at that moment, and only so much at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from treadle.asl.json import Json
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import Kind
from treadle.runtime.ports import Conflict, Leadership, Missing, NotLeading


class Writes:
    """Writes, each of which changes nothing when it is made again.

    Args:
        api: where objects are.
        leading: whether this process may write.
        writes_max: writes that are on their way at once.
    """

    def __init__(self, api: Objects, leading: Leadership, writes_max: int) -> None:
        self._api = api
        self._leading = leading
        self._slots = asyncio.Semaphore(writes_max)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._slots:
            # After the wait for a slot: the Lease may have ended meanwhile.
            if not self._leading.fresh():
                raise NotLeading("the Lease is not fresh")
            yield

    async def _create(self, kind: Kind, obj: Obj) -> Obj:
        """POST. Raises: AlreadyExists, Refused, Missing, Fault."""
        async with self._turn():
            return await self._api.create(kind, obj["metadata"]["namespace"], obj)

    async def _add(self, kind: Kind, obj: Obj, path: str, value: Json) -> None:
        """Write a member of an object; what took its name is left alone. Raises: Refused, Fault."""
        metadata = obj["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": path, "value": value},
        ]
        async with self._turn():
            try:
                await self._api.patch(
                    kind, metadata["namespace"], metadata["name"], patch, form="json"
                )
            except (Missing, Conflict):
                return

    async def _delete(self, kind: Kind, obj: Obj) -> None:
        """Remove an object; what took its name stays. Raises: Refused, Fault."""
        metadata = obj["metadata"]
        async with self._turn():
            try:
                await self._api.delete(
                    kind, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            except (Missing, Conflict):
                return
