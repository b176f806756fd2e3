"""Tasks of random machines that start other machines.

One rule: what they give tells no names and no times, so that it is the same in every world.
"""

import json
from collections.abc import Sequence
from typing import Any

MACHINES = "arn:aws:states:us-east-1:000000000000:stateMachine:"
NAMESPACES = ("default", "abroad")
"""Every machine that a Task starts is in each of them, and may be started from the others."""

STARTS = (
    "treadle:execution",
    "treadle:execution.sync",
    "treadle:execution.sync",
    "arn:aws:states:::states:startExecution.sync",
    "arn:aws:states:::states:startExecution.sync:2",
)

State = dict[str, Any]


def starting(resource: str, machine: str, *, fragile: bool = False) -> State:
    """A Task that starts a machine; what is `fragile` is deleted by people, and begun again."""
    given = {"v.$": "$.v", "pretend": {"fragile": True} if fragile else {}}
    if resource.startswith("treadle:"):
        parameters: dict[str, Any] = {"stateMachine": machine, "input": given, **_where(machine)}
        member = "output"
    else:
        parameters = {"StateMachineArn": f"{MACHINES}{machine}", "Input": given}
        member = "Output"
    state: State = {"Type": "Task", "Resource": resource, "Parameters": parameters}
    result = {"output.$": f"$.{member}"} if ".sync" in resource else {"started": True}
    state["ResultSelector"] = result
    if fragile:
        state["Retry"] = [retrier(["States.TaskFailed"], attempts=30)]
    return state


def _where(machine: str) -> dict[str, Any]:
    """By the last digit of its name: in the Task's own namespace, or in either."""
    number = int(machine[-1]) // 3
    return {"namespace": NAMESPACES[number]} if number < len(NAMESPACES) else {}


def hanging(errors: Sequence[str]) -> State:
    """A Job that does not end of itself, and begins again after these errors."""
    command = ["pretend", json.dumps({"hang": True, "fragile": True}, separators=(",", ":"))]
    return {
        "Type": "Task",
        "Resource": "treadle:job",
        "InputPath": "$.v",
        "Parameters": {"image": "busybox:1.36", "command": command},
        "Retry": [retrier([*errors], attempts=30)],
    }


def alone(name: str, state: State) -> dict[str, Any]:
    """A definition of one state."""
    return {"StartAt": name, "States": {name: {**state, "End": True}}}


def retrier(errors: list[str], attempts: int) -> dict[str, Any]:
    """A retrier that soon tries again; of all errors, ever later."""
    if errors == ["States.ALL"]:
        return {"ErrorEquals": errors, "IntervalSeconds": 2, "MaxAttempts": attempts}
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 1,
        "BackoffRate": 1.0,
        "MaxAttempts": attempts,
    }
