"""What is written to Approvals of attempts.

One rule: nothing is written unless the Lease is fresh at that moment, and only so much at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from treadle.kube.api import Api, Obj
from treadle.kube.kinds import APPROVALS
from treadle.runners.jobwrites import Leading
from treadle.runtime.ports import Conflict, Missing, NotLeading


class ApprovalWrites:
    """Writes, each of which changes nothing when it is made again."""

    def __init__(self, api: Api, leading: Leading, writes_max: int) -> None:
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

    async def create(self, approval: Obj) -> Obj:
        """POST. Raises: AlreadyExists, Refused, Missing, Fault."""
        async with self._turn():
            return await self._api.create(APPROVALS, approval["metadata"]["namespace"], approval)

    async def note(self, approval: Obj, status: Obj) -> Obj:
        """Write a status over exactly what it was made of. Raises: Conflict, Missing, Fault."""
        metadata = approval["metadata"]
        about = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        patch = {"metadata": about, "status": status}
        async with self._turn():
            return await self._api.patch(
                APPROVALS, metadata["namespace"], metadata["name"], patch, subresource="status"
            )

    async def delete(self, approval: Obj) -> None:
        """Remove it; whatever has its name by now stays."""
        metadata = approval["metadata"]
        async with self._turn():
            try:
                await self._api.delete(
                    APPROVALS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            except (Missing, Conflict):
                return
