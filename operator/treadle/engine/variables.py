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
    if assigned is None:
        return
    size = assigned.size_bytes
    if size > limits.assign_bytes_max:
        named = f"What the state '{frame.state}' assigns takes"
        raise _too_large(named, size, "assignBytesMax", limits.assign_bytes_max)
    if size > limits.variable_bytes_max:
        _check_each(assigned.value, limits)
    if memory.variables_bytes + size <= limits.variables_bytes_max:
        return  # whatever it replaces
    before = frame.variables.size_bytes if frame.variables else 0
    after = memory.variables_bytes - before + _kept(frame, assigned).size_bytes
    if after > limits.variables_bytes_max:
        named = "The variables of the execution take"
        raise _too_large(named, after, "variablesBytesMax", limits.variables_bytes_max)


def _check_each(assigned: Mapping[str, Json], limits: Limits) -> None:
    for name, value in assigned.items():
        size = Payload(value).size_bytes
        if size > limits.variable_bytes_max:
            named = f"The variable '{name}' takes"
            raise _too_large(named, size, "variableBytesMax", limits.variable_bytes_max)


def _too_large(named: str, size: int, setting: str, most: int) -> EvaluationFailed:
    sentence = f"{named} {size} bytes; the setting {setting} allows {most}."
    return EvaluationFailed(DATA_LIMIT_EXCEEDED, sentence)


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
