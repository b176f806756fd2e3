"""Variables: what states assign, and what those after and inside them read.

One rule: a list of states writes its own variables, and reads those of the lists around it.
Spec: "Variables".
"""

from collections.abc import Mapping

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, EvaluationFailed
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
        # Executions of their own see nothing of what started them. Source: AWS, variables.
        inner = around.parent is not None and around.home != around.id
        around = memory.frames[around.parent] if inner and around.parent is not None else None
    return found


def check(memory: Memory, frame: Frame, assigned: Payload | None, limits: Limits) -> None:
    """See that a frame may assign values. Raises: EvaluationFailed."""
    if (
        assigned is None
        or memory.variables_bytes + assigned.size_bytes <= limits.variables_bytes_max
    ):
        return  # whatever it replaces
    before = frame.variables.size_bytes if frame.variables else 0
    after = memory.variables_bytes - before + _kept(frame, assigned).size_bytes
    if after > limits.variables_bytes_max:
        raise EvaluationFailed(
            DATA_LIMIT_EXCEEDED,
            f"The variables of the execution take {after} bytes; the setting variablesBytesMax "
            f"allows {limits.variables_bytes_max}.",
        )


def assign(memory: Memory, frame: Frame, assigned: Payload) -> None:
    """Let a frame's variables have new values, which `check` has seen."""
    forget(memory, frame)
    frame.variables = _kept(frame, assigned)
    memory.variables_bytes += frame.variables.size_bytes


def _kept(frame: Frame, assigned: Payload) -> Payload:
    before = frame.variables
    return assigned if before is None else Payload({**before.value, **assigned.value})


def forget(memory: Memory, frame: Frame) -> None:
    """A frame is over, and its variables with it."""
    if frame.variables is not None:
        memory.variables_bytes -= frame.variables.size_bytes
