"""The context object (`$$`).

One rule: it is made of what the snapshot keeps, so that it is the same after a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from treadle.asl.json import Json
from treadle.asl.program import Map, Parallel, Task
from treadle.engine.frames import Frame
from treadle.engine.times import aws_text


@dataclass(frozen=True, slots=True)
class Identity:
    """What an execution is called. Source: AWS, "Accessing execution data" (context object).

    `version_arn` and `alias_arn` are of what it was started with, empty unless that was one.
    """

    execution_arn: str
    execution_name: str
    machine_arn: str
    machine_name: str
    role_arn: str = ""
    version_arn: str = ""
    alias_arn: str = ""


def context_object(
    identity: Identity,
    execution_input: Json,
    started_at: datetime,
    frame: Frame,
    item: Json | None,
    token: str | None = None,
    redriven: Sequence[datetime] = (),
) -> Json:
    """The context object as seen in a frame's state.

    Args:
        identity: of the execution.
        execution_input: its input.
        started_at: when it started.
        frame: where it is seen from.
        item: `Map.Item`, inside an iteration or an ItemSelector.
        token: of the attempt, where there is one.
        redriven: when the execution was, until now.
    """
    assert frame.entered_at is not None
    state = {"EnteredTime": aws_text(frame.entered_at), "Name": frame.state}
    if isinstance(frame.definition, Task | Parallel | Map):
        state["RetryCount"] = frame.attempt - 1  # type: ignore[assignment]
    context: dict[str, Json] = {
        "Execution": {
            "Id": identity.execution_arn,
            "Input": execution_input,
            "Name": identity.execution_name,
            "RoleArn": identity.role_arn,
            "StartTime": aws_text(started_at),
            "RedriveCount": len(redriven),
            **({"RedriveTime": aws_text(redriven[-1])} if redriven else {}),
        },
        "State": state,
        "StateMachine": {"Id": identity.machine_arn, "Name": identity.machine_name},
    }
    if token is not None:
        context["Task"] = {"Token": token}
    if item is not None:
        context["Map"] = {"Item": item}
    return context
