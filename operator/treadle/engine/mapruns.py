"""Map runs: a distributed Map's children are executions of their own, and some may fail.

One rule: a map run is a frame and no object; what names it and its children is derived.
Source: AWS, "Distributed mode", "ResultWriter", API DescribeMapRun.
"""

from datetime import datetime
from typing import Final

from treadle.asl.arns import child_execution_arn, child_machine_arn
from treadle.asl.chance import Chance
from treadle.asl.errors import EXCEED_TOLERATED_FAILURE_THRESHOLD, StateError
from treadle.asl.json import Json
from treadle.asl.program import Map
from treadle.engine.context import Identity
from treadle.engine.frames import Frame
from treadle.engine.payloads import Payload
from treadle.engine.records import failed
from treadle.engine.times import aws_text

EXCEEDED: Final = StateError(
    EXCEED_TOLERATED_FAILURE_THRESHOLD, "The specified tolerated failure threshold was exceeded"
)


def is_run(frame: Frame) -> bool:
    """Whether a frame's children are executions of their own."""
    state = frame.definition
    return isinstance(state, Map) and state.is_distributed


def home(parent: Frame | None, number: int) -> int:
    """The frame whose execution a child numbered so belongs to."""
    if parent is None:
        return number
    return number if is_run(parent) else parent.home


def child_identity(outer: Identity, seed: bytes, parent: Frame, index: int) -> Identity:
    """What a child of a map run is called."""
    state = parent.definition
    assert isinstance(state, Map)
    name = Chance(seed + f"/{parent.entry}/{parent.attempt}/Child/{index}".encode()).uuid()
    machine = f"{outer.machine_name}/{state.label}"
    return Identity(
        execution_arn=child_execution_arn(outer.execution_arn, state.label, name),
        execution_name=name,
        machine_arn=child_machine_arn(outer.machine_arn, state.label),
        machine_name=machine,
        role_arn=outer.role_arn,
    )


def failed_row(
    identity: Identity, given: Payload, child: Frame, error: StateError, now: datetime
) -> Json:
    """What stands in the results for a child that failed and is tolerated.

    Source: AWS, "ResultWriter": its execution, as if nothing had been transformed.
    """
    assert child.started_at is not None
    row: dict[str, Json] = {
        "ExecutionArn": identity.execution_arn,
        "Input": given.text,
        "InputDetails": {"Included": True},
        "Name": identity.execution_name,
        "RedriveCount": 0,
        "StartDate": aws_text(child.started_at),
        "StateMachineArn": identity.machine_arn,
        "Status": "FAILED",
        "StopDate": aws_text(now),
    }
    return row | {name.capitalize(): text for name, text in failed(error.name, error.cause).items()}
