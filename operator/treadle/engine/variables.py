"""Variables: what states assign, and what those after and inside them read.

One rule: a list of states writes its own variables, and reads those of the lists around it.
Spec: "Variables".
"""

from collections.abc import Mapping

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, StateError
from treadle.asl.json import Json
from treadle.asl.limits import Limits
from treadle.engine.frames import Frame
from treadle.engine.memory import Memory
from treadle.engine.payloads import Payload


def readable(memory: Memory, frame: Frame) -> Mapping[str, Json]:
    """What a frame's states read: its own variables, and those of the frames around it."""
    if not memory.variables_bytes:
        return {}
    found: dict[str, Json] = {}
    around: Frame | None = frame
    while around is not None:
        if around.variables is not None:
            found = {**around.variables.value, **found}
        around = None if around.parent is None else memory.frames[around.parent]
    return found


def assign(memory: Memory, frame: Frame, assigned: Payload, limits: Limits) -> StateError | None:
    """Let a frame's variables have new values; gives why they cannot."""
    before = frame.variables
    kept = assigned if before is None else Payload({**before.value, **assigned.value})
    more = kept.size_bytes - (before.size_bytes if before else 0)
    if memory.variables_bytes + more > limits.variables_bytes_max:
        cause = (
            f"The variables of the execution take more than {limits.variables_bytes_max} bytes, "
            "the setting variablesBytesMax."
        )
        return StateError(DATA_LIMIT_EXCEEDED, cause)
    memory.variables_bytes += more
    frame.variables = kept
    return None


def forget(memory: Memory, frame: Frame) -> None:
    """A frame is over, and its variables with it."""
    if frame.variables is not None:
        memory.variables_bytes -= frame.variables.size_bytes
