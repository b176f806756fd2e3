"""Child executions: what a Task asks for, the Execution that it makes, and what its end answers.

One rule: pure; the same order gives the same child in every process, and the same child the same
answer. Source: AWS, "Start a new state machine from a running execution"; AWS's recordings.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, TypeAlias, TypeGuard

from treadle.asl.arns import Account, is_state_machine
from treadle.asl.errors import RUNTIME, TASK_FAILED, StateError
from treadle.asl.fields import shown
from treadle.asl.json import Json, dumps, loads
from treadle.engine.commands import Task
from treadle.engine.times import aws_text, to_ms
from treadle.kube import manifests, names, versions
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS
from treadle.runners import podfacts
from treadle.runners.call import INVALID_PARAMETERS
from treadle.runtime.functions import request_id
from treadle.runtime.ports import Attempt, Ending, ExecutionKey, Order

Place: TypeAlias = tuple[str, str]
"""Where an object is: its namespace and its name."""

NATIVE: Final = "treadle:execution"
AWS: Final = "arn:aws:states:::states:startExecution"
SYNC, SYNC_2 = ".sync", ".sync:2"
RESOURCES: Final = frozenset(stem + end for stem in (NATIVE, AWS) for end in ("", SYNC, SYNC_2))

PARENT_ENDED: Final = "Treadle.ParentEnded"
"""What a child is stopped with when nobody waits for it any more."""

DELETED: Final = "Treadle.ExecutionDeleted"
"""What became of a child that somebody deleted before its end."""

LIMIT_EXCEEDED: Final = "Treadle.LimitExceeded"
EXISTS: Final = "StepFunctions.ExecutionAlreadyExistsException"
NO_MACHINE: Final = "StepFunctions.StateMachineDoesNotExistException"

_NEVER_READ = "ended-before-its-start"  # the machine of a child that only takes a name
_MEMBERS = ("stateMachine", "namespace", "input", "name", "version", "alias")
_AWS_MEMBERS = ("StateMachineArn", "Input", "Name", "TraceHeader")
_MACHINE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# AWS API, StartExecution, `name`.
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")

_STATUSES = {
    "Succeeded": "SUCCEEDED",
    "Failed": "FAILED",
    "TimedOut": "TIMED_OUT",
    "Aborted": "ABORTED",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a Task asks for.

    Attributes:
        machine: name of the StateMachine.
        input: JSON text.
        name: what the child is called; None where it is named after the attempt.
        arn: of the machine, where the Task gave one: then it must exist.
        version, alias: a published version of the machine, or what names one.
        namespace: of the machine, where the Task names one.
    """

    machine: str
    input: str
    name: str | None = None
    arn: str | None = None
    version: int | None = None
    alias: str | None = None
    namespace: str | None = None

    @property
    def ref(self) -> Obj:
        """As an Execution names it."""
        return versions.reference(self.machine, self.version, self.alias)


def is_aws(resource: str) -> bool:
    """Whether AWS's shapes are spoken."""
    return resource.startswith(AWS)


def is_awaited(resource: str) -> bool:
    """Whether the Task is over when the child is."""
    return resource.endswith((SYNC, SYNC_2))


# ------------------------------------------------------------------------------------ the wish


def wish_of(task: Task, account: Account) -> Wish | StateError:
    """What a Task asks for, or why it cannot have it."""
    given = task.parameters
    if is_aws(task.resource):
        return _aws_wish(given if isinstance(given, dict) else {}, account)
    if not isinstance(given, dict):
        return _invalid("the parameters must be an object")
    return _native_wish(given)


def _native_wish(given: Mapping[str, Json]) -> Wish | StateError:
    machine, name, namespace = (given.get(m) for m in ("stateMachine", "name", "namespace"))
    for member in given:
        if member not in _MEMBERS:
            return _invalid(f"{member:.80} is not taken; known are {', '.join(_MEMBERS)}")
    if isinstance(machine, str) and "/" in machine:
        return _invalid(
            f"stateMachine is {shown(machine)}; it must be the name of a StateMachine: that of its "
            "namespace goes into the parameter namespace"
        )
    if not isinstance(machine, str) or not _MACHINE.fullmatch(machine):
        return _invalid(f"stateMachine is {shown(machine)}; it must be the name of a StateMachine")
    if name is not None and not _is_name(name):
        return _invalid(f"name is {shown(name)}; it must be {NAME_FORM}")
    if namespace is not None and not _is_namespace(namespace):
        return _invalid(f"namespace is {shown(namespace)}; it must be the name of a namespace")
    version, alias = given.get("version"), given.get("alias")
    if version is not None and alias is not None:
        return _invalid("version and alias are given; an alias names versions: give one of them")
    number = _number(version)
    if version is not None and number is None:
        return _invalid(f"version is {shown(version)}; it must be the number of a version")
    if alias is not None and not _is_alias(alias):
        return _invalid(f"alias is {shown(alias)}; it must be the name of an alias")
    text = dumps(given.get("input", {}))
    return Wish(machine, text, name, version=number, alias=alias, namespace=namespace)


def _number(value: Json) -> int | None:
    return versions.number(str(value) if value.__class__ is int else value)


def _is_namespace(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and _NAMESPACE.fullmatch(value) is not None


def _is_alias(value: Json) -> bool:
    return isinstance(value, str) and versions.is_alias(value)


NAME_FORM: Final = (
    'a text of 1 to 80 characters without spaces, brackets, and any of ? * " # % \\ ^ | ~ ` $ & , '
    "; : /"
)


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _invalid(sentence: str) -> StateError:
    return StateError(INVALID_PARAMETERS, f"The parameters make no execution: {sentence}.")


def _aws_wish(given: Mapping[str, Json], account: Account) -> Wish | StateError:
    unusable = next(_unusable_members(given), None)
    if unusable is not None:
        # States.Runtime, as on AWS, where no Retry and no Catch takes it.
        said = dumps(given)[:200]
        cause = f"The Parameters '{said}' could not be used to start the Task: [{unusable}]"
        return StateError(RUNTIME, cause)
    arn, name = str(given["StateMachineArn"]), given.get("Name")
    if not is_state_machine(arn):
        return StateError("StepFunctions.InvalidArnException", f"Invalid Arn: '{arn:.256}'")
    machine, _, qualifier = (account.machine_named(arn) or "").partition(":")
    version = _number(qualifier)
    alias = qualifier if qualifier and version is None else None
    if not _MACHINE.fullmatch(machine) or (alias is not None and not _is_alias(alias)):
        return no_machine(arn, account)
    if name is not None and not _is_name(name):
        return StateError("StepFunctions.InvalidNameException", f"Invalid Name: {shown(name)}")
    try:
        text = _aws_input(given.get("Input"))
    except ValueError as why:
        cause = f"Invalid State Machine Execution Input: {why}"
        return StateError("StepFunctions.InvalidExecutionInputException", cause)
    return Wish(machine, text, name, arn, version, alias)


def _unusable_members(given: Mapping[str, Json]) -> Iterator[str]:
    if given.get("StateMachineArn") is None:
        yield "The field 'StateMachineArn' is required but was missing"
    for member in ("StateMachineArn", "Name"):
        if given.get(member) is not None and not isinstance(given[member], str):
            yield f"The value for the field '{member}' must be a STRING"
    for member in given:
        if member not in _AWS_MEMBERS:
            yield f"The field '{member:.80}' is not supported by Step Functions"


def _aws_input(given: Json) -> str:
    """A text is the input's own text, all other data is the input. Source: AWS's recordings."""
    if isinstance(given, str):
        loads(given)
        return given
    return "{}" if given is None else dumps(given)


def no_machine(arn: str, account: Account) -> StateError:
    """The machine of an ARN is not there."""
    cause = f"State Machine Does Not Exist: '{arn:.256}'"
    if account.machine_named(arn) is None:
        cause += f". ARNs of this namespace begin with {account.machine_arn('')}"
    return StateError(NO_MACHINE, cause)


def exists_already(wish: Wish, account: Account) -> StateError:
    """The name was given to an execution with another input."""
    arn = account.execution_arn(wish.machine, wish.name or "")
    return StateError(EXISTS, f"Execution Already Exists: '{arn}'")


# ------------------------------------------------------------------------------ the Execution


def place_of(order: Order, wish: Wish) -> Place:
    """Where the child's object is: in its machine's namespace."""
    namespace = wish.namespace or order.execution.namespace
    if wish.name is None:
        return namespace, names.attempt(order.execution, order.task.id)
    return namespace, names.child(wish.machine, wish.name)


def execution(order: Order, wish: Wish) -> Obj:
    """The child."""
    spec: Obj = {"stateMachineRef": wish.ref, "inputJson": wish.input}
    if wish.name is not None:
        spec["name"] = wish.name
    # Whoever has the name, has this child.
    return _object(order, spec, place_of(order, wish), is_awaited=is_awaited(order.task.resource))


def tombstone(order: Order, namespace: str) -> Obj:
    """A child that only takes the name of an attempt: it is stopped before it starts."""
    place = (namespace, names.attempt(order.execution, order.task.id))
    stop = stop_of(order.execution, order.task.state, namespace)
    spec = {"stateMachineRef": {"name": _NEVER_READ}, "stop": stop}
    return _object(order, spec, place, is_awaited=True)


def _object(order: Order, spec: Obj, place: Place, *, is_awaited: bool) -> Obj:
    metadata, home = manifests.metadata_of(order), order.execution.namespace
    metadata["namespace"], metadata["name"] = place
    labels, annotations = metadata["labels"], metadata["annotations"]
    labels[names.PARENT] = names.label_of(order.execution.name)
    annotations[names.DEPTH] = str(order.depth + 1)
    is_abroad = metadata["namespace"] != home
    if is_abroad:
        labels[names.PARENT_NAMESPACE] = home
    if is_abroad and is_awaited:
        annotations[names.AWAITED] = "true"
    if is_abroad or not is_awaited:
        del metadata["ownerReferences"]
    return {
        "apiVersion": EXECUTIONS.api_version,
        "kind": EXECUTIONS.name,
        "metadata": metadata,
        "spec": spec,
    }


def stop_of(parent: ExecutionKey, state: str, namespace: str) -> Obj:
    """`spec.stop` of a child in a namespace, for which nobody waits."""
    told = "" if parent.namespace == namespace else f" of namespace {parent.namespace}"
    said = f"Its parent, Execution {parent.name}{told}, does not wait for it any more"
    cause = f"{said} in state '{state}'."
    return {"error": PARENT_ENDED, "cause": cause}


def is_of(child: Obj, attempt: Attempt, digest: str) -> bool:
    """Whether a child was made for an attempt, and for the same work."""
    labels = child["metadata"].get("labels") or {}
    return (
        names.parent_of(child) == attempt
        and labels.get(names.ATTEMPT_NAME) == names.attempt(attempt.execution, attempt.task)
        and podfacts.annotation(child, names.TASK_DIGEST) == digest
    )


def is_wished(child: Obj, wish: Wish) -> bool:
    """Whether a child that has the wished name is the same execution: machine, name and input.

    Of another version or alias it is another one.

    Source: AWS API, StartExecution: idempotent for the same name and input.
    """
    spec = child.get("spec") or {}
    ref = spec.get("stateMachineRef") or {}
    if (ref, spec.get("name")) != (wish.ref, wish.name) or "inputFrom" in spec:
        return False
    try:
        return bool(loads(_input_text(spec)) == loads(wish.input))
    except ValueError:
        return False


def _input_text(spec: Mapping[str, Any]) -> str:
    if "inputJson" in spec:
        text: str = spec["inputJson"]
        return text
    return dumps(spec.get("input", {}))


# ---------------------------------------------------------------------------------- the answer


def began_at(child: Obj) -> datetime:
    """When a child was made; whole seconds."""
    at = podfacts.created_at(child)
    assert at is not None
    return at


def submitted(order_resource: str, attempt: Attempt, account: Account, child: Obj) -> str:
    """That a child was started, as JSON text."""
    arn, name = _called(child, account)
    if not is_aws(order_resource):
        return dumps({"executionName": name, "executionArn": arn})
    at = began_at(child)
    answer = {"ExecutionArn": arn, "StartDate": aws_text(at)}
    request = request_id(attempt.execution, attempt.task)
    headers: dict[str, Json] = {
        "Content-Length": str(len(dumps(answer))),
        "Content-Type": "application/x-amz-json-1.0",
        "Date": format_datetime(at.astimezone(UTC), usegmt=True),
        "connection": "keep-alive",
        "x-amzn-RequestId": request,
    }
    return dumps(
        {
            "ExecutionArn": arn,
            "SdkHttpMetadata": {
                "AllHttpHeaders": {header: [value] for header, value in headers.items()},
                "HttpHeaders": headers,
                "HttpStatusCode": 200,
            },
            "SdkResponseMetadata": {"RequestId": request},
            "StartDate": aws_text(at),
        }
    )


def ended(resource: str, account: Account, child: Obj, ending: Ending) -> str | StateError:
    """What the end of an awaited child is to its parent: a result as JSON text, or an error.

    Source: AWS: whatever ended it, the parent's error is States.TaskFailed, and the cause tells
    the rest as JSON.
    """
    status = child.get("status") or {}
    phase = str(status.get("phase", ""))
    told = _told(resource, account, child, _STATUSES.get(phase, "ABORTED"), phase)
    if phase == "Succeeded":
        assert ending.output is not None
        return dumps(_with_output(resource, told, ending.output))
    if is_aws(resource):
        said = _given({**told, "Error": ending.error, "Cause": ending.cause})
        return StateError(TASK_FAILED, dumps(dict(sorted(said.items()))))
    # The cause comes last: where it is long, the end is cut.
    said = _given({**told, "error": ending.error, "cause": _cause(ending.cause)})
    return StateError(TASK_FAILED, dumps(said))


def _given(members: Mapping[str, Json]) -> dict[str, Json]:
    return {member: value for member, value in members.items() if value is not None}


def _cause(cause: str | None) -> Json:
    """A cause for a native parent: as an object where it is one, as a child's child gives it.

    As a text in a text in a text it would double with each.
    """
    try:
        said = loads(cause or "")
    except ValueError:
        return cause
    return said if isinstance(said, dict) else cause


def deleted(resource: str, account: Account, name: str, child: Obj | None) -> StateError:
    """Somebody deleted a child before its end; `child` is what is left of it."""
    cause = f"the child Execution {name} was deleted before its end"
    if child is None:
        members = ("Error", "Cause") if is_aws(resource) else ("error", "cause")
        return StateError(TASK_FAILED, dumps(dict(zip(members, (DELETED, cause), strict=True))))
    said = ended(resource, account, {**child, "status": {}}, Ending(None, DELETED, cause))
    assert isinstance(said, StateError)
    return said


def _called(child: Obj, account: Account) -> tuple[str, str]:
    """ARN and name, as AWS has them."""
    spec = child["spec"]
    name = spec.get("name") or child["metadata"]["name"]
    return account.execution_arn(spec["stateMachineRef"]["name"], name), name


def _told(
    resource: str, account: Account, child: Obj, aws_status: str, phase: str
) -> dict[str, Json]:
    arn, name = _called(child, account)
    if not is_aws(resource):
        return {"executionName": name, "executionArn": arn, "status": phase or "Aborted"}
    status = child.get("status") or {}
    started_at = podfacts.instant(status.get("startTime")) or began_at(child)
    told: dict[str, Json] = {
        "ExecutionArn": arn,
        "Input": _input_text(child["spec"]),
        "InputDetails": {"Included": True},
        "Name": name,
        "StartDate": to_ms(started_at),
        "StateMachineArn": account.machine_arn(child["spec"]["stateMachineRef"]["name"]),
        "Status": aws_status,
    }
    for member, qualifier in (("Alias", "alias"), ("Version", "version")):
        if status.get(qualifier) is not None:
            told[f"StateMachine{member}Arn"] = f"{told['StateMachineArn']}:{status[qualifier]}"
    stopped_at = podfacts.instant(status.get("completionTime"))
    if stopped_at is not None:
        told["StopDate"] = to_ms(stopped_at)
    return told


def _with_output(resource: str, told: dict[str, Json], output: str) -> Json:
    if not is_aws(resource):
        return {**told, "output": loads(output)}
    is_json = resource.endswith(SYNC_2)
    return dict(
        sorted(
            {
                **told,
                "Input": loads(told["Input"]) if is_json else told["Input"],
                "Output": loads(output) if is_json else output,
                "OutputDetails": {"Included": True},
                "RedriveCount": 0,
                "RedriveStatus": "NOT_REDRIVABLE",
                "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
            }.items()
        )
    )
