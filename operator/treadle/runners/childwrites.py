"""What is written to children.

One rule: nothing is written unless the Lease is fresh at that moment, and only so much at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import Conflict, Leadership, Missing, NotLeading, Refused

_log = logging.getLogger(__name__)


class ChildWrites:
    """Writes, each of which changes nothing when it is made again."""

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

    async def create(self, made: Obj) -> Obj:
        """POST. Raises: AlreadyExists, Refused, Missing, Fault."""
        async with self._turn():
            return await self._api.create(EXECUTIONS, made["metadata"]["namespace"], made)

    async def stop(self, found: Obj, stop: Obj) -> None:
        """Write `spec.stop`, which whoever admits objects there may refuse. Raises: Fault."""
        metadata = found["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/spec/stop", "value": stop},
        ]
        async with self._turn():
            try:
                namespace, name = metadata["namespace"], metadata["name"]
                await self._api.patch(EXECUTIONS, namespace, name, patch, form="json")
            except (Missing, Conflict):
                return  # what took its name is not ours to stop
            except Refused as why:
                # The next list asks again: in another namespace nobody has to let us.
                _log.warning("Execution %s/%s is not stopped: %s", namespace, name, why.message)
