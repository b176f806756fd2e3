"""`limits` of a StateMachine, as a model.

One rule: members that it does not know are kept, so that one which is misspelt is a problem of the
machine and bounds something, and is not lost.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from treadle.asl.limits import BOUNDS

_CONFIG = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)
_BY_NAME = {bound.name: bound for bound in BOUNDS}


def _limit(name: str) -> Any:
    """A member with the values that the limit of this name may have."""
    bound = _BY_NAME[name]
    least = 0 if bound.is_optional else bound.least
    return Field(None, ge=least, le=bound.most, json_schema_extra={"format": "int64"})


class Limits(BaseModel):
    """Bounds of a machine's executions, each no higher than the installation's."""

    model_config = ConfigDict(
        **_CONFIG, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}
    )

    profile: Literal["default", "aws"] | None = None
    """What holds where a limit is not given here: AWS's values, or Treadle's own. The
    installation's unless given; of the two, and of the installation's, the lower one holds."""
    payload_bytes_max: int | None = _limit("payload_bytes_max")
    """Bytes of JSON that an input, a result or an output may have. Beyond:
    States.DataLimitExceeded."""
    history_events_max: int | None = _limit("history_events_max")
    """Events that an execution's history may have. Beyond: States.Runtime."""
    execution_pages_bytes_max: int | None = _limit("execution_pages_bytes_max")
    """Bytes of all ExecutionPages that an execution ever wrote, before they are packed. Beyond:
    Treadle.LimitExceeded."""
    execution_seconds_max: int | None = _limit("execution_seconds_max")
    """Seconds that an execution may last, whatever its TimeoutSeconds; 0 for no bound. Beyond:
    States.Timeout."""
    variables_bytes_max: int | None = _limit("variables_bytes_max")
    """Bytes of JSON that all variables of an execution may take. Beyond:
    States.DataLimitExceeded."""
    assign_bytes_max: int | None = _limit("assign_bytes_max")
    """Bytes of JSON that one Assign may give. Beyond: States.DataLimitExceeded."""
    variable_bytes_max: int | None = _limit("variable_bytes_max")
    """Bytes of JSON that one variable may have. Beyond: States.DataLimitExceeded."""
    map_concurrency_max: int | None = _limit("map_concurrency_max")
    """Iterations of an inline Map that may run at once, whatever its MaxConcurrency; 0 for no
    bound. The others wait."""
    live_frames_max: int | None = _limit("live_frames_max")
    """Branches, iterations and children of an execution that may run at once. Further ones of a
    Map wait."""
    error_chars_max: int | None = _limit("error_chars_max")
    """Characters that the name of an error may have; it is cut there."""
    cause_chars_max: int | None = _limit("cause_chars_max")
    """Characters that the cause of an error may have; it is cut there."""


class WithLimits(BaseModel):
    """What a StateMachine and its revisions have in common."""

    model_config = _CONFIG

    limits: Limits | None = None
    """Bounds of the executions, each no higher than the installation's: one that is higher is a
    problem of the machine."""
