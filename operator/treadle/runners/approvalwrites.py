"""What is written to Approvals of attempts; see `writes`."""

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS
from treadle.runners.writes import Writes


class ApprovalWrites(Writes):
    """See `Writes`."""

    async def create(self, approval: Obj) -> Obj:
        """POST. Raises: AlreadyExists, Refused, Missing, Fault."""
        return await self._create(APPROVALS, approval)

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
        """Remove it; whatever has its name by now stays. Raises: Fault."""
        await self._delete(APPROVALS, approval)
