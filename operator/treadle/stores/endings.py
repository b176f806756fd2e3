"""How an execution ended, whole.

One rule: a status holds what is short; the rest is in the last entry of the history.
"""

from typing import Any

from treadle.engine.snapshot import Unreadable
from treadle.kube.api import Obj, Objects
from treadle.runtime.ports import Ending, UnreadableSnapshot
from treadle.stores import histories
from treadle.stores.status import CAUSE_BYTES_MAX

_WHOLE_BYTES_MAX = CAUSE_BYTES_MAX - 3  # a cut may have taken the last character with it


async def read(api: Objects, execution: Obj) -> Ending:
    """How an Execution that has ended did so.

    Raises:
        UnreadableSnapshot: it cannot be read, and never will be.
        Fault: ask again.
    """
    status: dict[str, Any] = execution.get("status") or {}
    output, error, cause = (status.get(member) for member in ("output", "error", "cause"))
    if "outputRef" not in status and len((cause or "").encode()) < _WHOLE_BYTES_MAX:
        return Ending(output, error, cause)
    try:
        entries = await histories.read(api, execution, after=-1)
    except Unreadable as why:
        raise UnreadableSnapshot(str(why)) from why
    said = entries[-1].details if entries else {}
    found = {member: value for member, value in said.items() if isinstance(value, str)}
    if status.get("phase") == "Succeeded" and "output" not in found:
        raise UnreadableSnapshot("its output is missing")
    return Ending(found.get("output", output), found.get("error", error), found.get("cause", cause))
