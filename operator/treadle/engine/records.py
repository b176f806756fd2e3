"""How the history names what a Task does: AWS's families of event types.

Source: AWS API, HistoryEventType.
"""

import re
from collections.abc import Mapping
from typing import Any

from treadle.asl.arns import WAIT_FOR_TASK_TOKEN
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.context import Identity
from treadle.engine.memory import Status
from treadle.engine.payloads import Payload
from treadle.engine.steps import RunTask

END_EVENTS = {
    Status.SUCCEEDED: "ExecutionSucceeded",
    Status.FAILED: "ExecutionFailed",
    Status.TIMED_OUT: "ExecutionTimedOut",
    Status.ABORTED: "ExecutionAborted",
}

_LAMBDA = ":lambda:"
_ACTIVITY = ":activity:"
_OUR_ACTIVITY = "treadle:activity/"
_INTEGRATION = re.compile(r"^arn:[^:]+:states:::")
_SDK = "aws-sdk:"


def execution_started(payload: Payload, identity: Identity) -> Mapping[str, Any]:
    """Details of `ExecutionStarted`: ARNs of a version and an alias only where it names them."""
    arns = {
        "stateMachineAliasArn": identity.alias_arn,
        "stateMachineVersionArn": identity.version_arn,
    }
    named = {member: arn for member, arn in arns.items() if arn}
    return {"input": payload, "roleArn": identity.role_arn, **named}


def family(resource: str) -> str:
    """`Task`, `LambdaFunction` or `Activity`: what the event types of a Resource begin with."""
    if _LAMBDA in resource and not _INTEGRATION.match(resource):
        return "LambdaFunction"
    return "Activity" if _ACTIVITY in resource else "Task"


def is_activity(resource: str) -> bool:
    """Whether workers ask for the work, by AWS's name of an activity or by ours."""
    return family(resource) == "Activity" or resource.startswith(_OUR_ACTIVITY)


def has_heartbeat(resource: str) -> bool:
    """Whether what does the work can say that it is alive: with a token, or as an activity.

    Source: AWS, "Task state", HeartbeatSeconds.
    """
    return resource.endswith(WAIT_FOR_TASK_TOKEN) or is_activity(resource)


def named(resource: str) -> dict[str, Any]:
    """The members that name a Task's Resource in each of its entries."""
    if family(resource) != "Task":
        return {}
    named_part = _INTEGRATION.sub("", resource)
    service, _, action = named_part.removeprefix(_SDK).partition(":")
    service = _SDK + service if named_part.startswith(_SDK) else service
    return {"resourceType": service, "resource": action}


def scheduled(resource: str, region: str, step: RunTask) -> Mapping[str, Any]:
    """Details of `TaskScheduled` and its kin; each kind lacks something that another has."""
    details: dict[str, Any]
    kind = family(resource)
    if kind == "Task":
        details = {**named(resource), "region": region, "parameters": step.parameters}
    else:
        details = {"resource": resource, "input": step.parameters}
    if step.timeout_seconds is not None:
        details["timeoutInSeconds"] = step.timeout_seconds
    if step.heartbeat_seconds is not None and kind != "LambdaFunction":
        details["heartbeatInSeconds"] = step.heartbeat_seconds
    if step.role_arn is not None and kind != "Activity":
        details["taskCredentials"] = Payload({"roleArn": step.role_arn})
    return details


def started(resource: str, worker: str = "") -> Mapping[str, Any] | None:
    """Details of `TaskStarted` and its kin; `LambdaFunctionStarted` has none."""
    match family(resource):
        case "LambdaFunction":
            return None
        case "Activity":
            return _worker(worker)
        case _:
            return named(resource) | _worker(worker)


def _worker(name: str) -> dict[str, Any]:
    return {"workerName": name} if name else {}


NEVER_BEGAN = {
    "Activity": "ActivityScheduleFailed",
    "LambdaFunction": "LambdaFunctionScheduleFailed",
    "Task": "TaskStartFailed",
}
"""By family, the event of an attempt whose work nothing could begin."""


def succeeded(resource: str, output: Payload) -> Mapping[str, Any]:
    """Details of `TaskSubmitted`, and of `TaskSucceeded` and its kin."""
    return {**named(resource), "output": output}


def failed(name: str | None, cause: str | None) -> dict[str, Any]:
    """The members of an error; AWS leaves out what is absent."""
    details = {}
    if name is not None:
        details["error"] = name
    if cause is not None:
        details["cause"] = cause
    return details


def by(whom: str | None) -> dict[str, Any]:
    """The member that says who asked for it; AWS has none."""
    return {} if whom is None else {"by": whom}


def revision(name: str | None) -> dict[str, Any]:
    """The member that names another StateMachineRevision to go on with; AWS has none."""
    return {} if name is None else {"revision": name}


def evaluation_failed(error: StateError, location: str, state: str) -> dict[str, Any]:
    """Details of `EvaluationFailed`: of which field the expression failed."""
    return {**failed(error.name, error.cause), "location": location, "state": state}


def assigned(variables: Payload) -> dict[str, Any]:
    """Members of a `StateExited` that name what was assigned: each value as JSON text."""
    texts = {name: dumps(value) for name, value in variables.value.items()}
    return {
        "assignedVariables": Payload(texts),
        "assignedVariablesDetails": Payload({"truncated": False}),
    }
