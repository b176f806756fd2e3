"""Objects that several may be about to refer to while somebody wants to remove them.

One rule: who finds one there touches it before referring to it; who removes one compares its
resourceVersion, so that one touched meanwhile stays.
"""

from datetime import datetime

from treadle.asl.timestamps import parse_timestamp
from treadle.kube import names
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import Kind
from treadle.runtime.ports import AlreadyExists, Conflict, Missing


async def create_or_touch(api: Objects, kind: Kind, namespace: str, obj: Obj) -> Obj:
    """Make an object exist, and say that it is about to be referred to.

    Returns:
        The object as it is stored: somebody else's, where the name was taken.

    Raises:
        Fault: ask again.
    """
    try:
        return await api.create(kind, namespace, obj)
    except AlreadyExists:
        pass
    try:
        return await touch(api, kind, namespace, obj["metadata"]["name"])
    except Missing:
        return await api.create(kind, namespace, obj)


async def touch(api: Objects, kind: Kind, namespace: str, name: str) -> Obj:
    """Say that an object is about to be referred to; gives it. Raises: Missing, Fault."""
    touched = {"metadata": {"annotations": {names.TOUCHED_AT: api.now().isoformat()}}}
    return await api.patch(kind, namespace, name, touched)


def touched_at(obj: Obj) -> datetime:
    """When somebody last said that he is about to refer to an object, or when it was made."""
    metadata = obj["metadata"]
    created_at = datetime.fromisoformat(metadata["creationTimestamp"])
    said = parse_timestamp(str((metadata.get("annotations") or {}).get(names.TOUCHED_AT)))
    return created_at if said is None else max(created_at, said)


async def remove_unchanged(api: Objects, kind: Kind, obj: Obj) -> bool:
    """Remove an object as it was seen; gives whether it did. Raises: Fault."""
    metadata = obj["metadata"]
    place = (metadata["namespace"], metadata["name"])
    try:
        await api.delete(kind, *place, uid=metadata["uid"], version=metadata["resourceVersion"])
    except (Missing, Conflict):
        return False
    return True
