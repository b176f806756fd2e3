"""What is written to children; see `writes`."""

import logging

from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS
from treadle.runners.writes import Writes
from treadle.runtime.ports import Refused

_log = logging.getLogger(__name__)


class ChildWrites(Writes):
    """See `Writes`."""

    async def create(self, made: Obj) -> Obj:
        """POST. Raises: AlreadyExists, Refused, Missing, Fault."""
        return await self._create(EXECUTIONS, made)

    async def stop(self, found: Obj, stop: Obj) -> None:
        """Write `spec.stop`, which whoever admits objects there may refuse. Raises: Fault."""
        try:
            await self._add(EXECUTIONS, found, "/spec/stop", stop)
        except Refused as why:
            # The next list asks again: in another namespace nobody has to let us.
            namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
            _log.warning("Execution %s/%s is not stopped: %s", namespace, name, why.message)
