"""A Task's Resource, Credentials and the Parameters of the resources that we run ourselves.

One rule: what is wrong whatever the input is said here; whether a resource can run in some
installation is not.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from treadle.asl import limits
from treadle.asl.arguments import written_arguments
from treadle.asl.arns import Resource, is_recognized, parse_resource
from treadle.asl.fields import Fields, shown
from treadle.asl.json import Json
from treadle.asl.templates import Template

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s{}]+")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PLACEHOLDER = re.compile(r"\$\{[^{}]+\}")


def read_resource(state: Fields, *, express: bool) -> str:
    """The Resource of a Task as written; "" where it is wrong.

    Spec: "Task State".
    """
    text = state.text("Resource")
    if text is None:
        return ""
    if _PLACEHOLDER.search(text):
        message = "Resource has a ${...} that is to be filled in before the machine can run."
        state.wrong("Resource", "resource-placeholder", message)
    elif not _URI.fullmatch(text):
        message = f"Resource is {shown(text)}; it must be an ARN or a name such as treadle:job."
        state.wrong("Resource", "resource-invalid", message, "Value is not a valid resource ARN")
    else:
        resource = parse_resource(text)
        _check_recognized(state, text, resource)
        if express:
            _check_express(state, resource)
        _check_parameters(state, resource)
    return text


def read_credentials(state: Fields) -> Template | None:
    """The Credentials of a Task. Spec: "Task State", "Credentials"; AWS demands RoleArn."""
    if "Credentials" not in state:
        return None
    credentials = state.inner("Credentials")
    if credentials is None:
        return None
    dynamic = "RoleArn" if state.is_jsonata else "RoleArn.$"
    if "RoleArn" not in credentials and dynamic not in credentials:
        credentials.report.add(
            credentials.pointer,
            "credentials-role-missing",
            "Credentials must have RoleArn" + ("." if state.is_jsonata else " or RoleArn.$."),
            aws="These fields are required: [RoleArn]",
        )
    return state.template("Credentials")


def _check_recognized(state: Fields, text: str, resource: Resource) -> None:
    if is_recognized(resource):
        return
    state.wrong(
        "Resource",
        "resource-unrecognized",
        f"{shown(text)} is not known: {resource.service or 'it'} has no such action or pattern.",
        f"The resource provided {text} is not recognized. The value is not a valid resource ARN, "
        "or the resource is not available in this region.",
    )


def _check_express(state: Fields, resource: Resource) -> None:
    told = ""
    if resource.kind == "activity" or resource.service == "activity":
        told = "Activity ARN"
    elif (resource.kind, resource.service) == ("native", "approval"):
        told = "approvals"
    elif resource.pattern != "request-response":
        told = f"'.{resource.pattern}' service integration"
    if told:
        state.wrong(
            "Resource",
            "resource-express",
            f"An EXPRESS machine does not support {told}; make it STANDARD.",
            f"Express state machine does not support {told}",
        )


Check: TypeAlias = Callable[[Json], str]
"""What a parameter must be, where it is not; "" where it is."""


def _text(value: Json) -> str:
    return "" if isinstance(value, str) and value else "a text"


def _texts(value: Json) -> str:
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "" if good else "an array of texts"


def _environment(value: Json) -> str:
    return "" if isinstance(value, (dict, list)) else "an object {NAME: value} or a list of objects"


def _object(value: Json) -> str:
    return "" if isinstance(value, dict) else "an object"


def _seconds(value: Json) -> str:
    good = value.__class__ is int and 1 <= value <= limits.SECONDS_MAX
    return "" if good else f"a whole number from 1 to {limits.SECONDS_MAX:,}"


def _positive(value: Json) -> str:
    return "" if value.__class__ in (int, float) and value > 0 else "a number above 0"


def _boolean(value: Json) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _quorum(value: Json) -> str:
    good = value.__class__ is int and 1 <= value <= limits.APPROVAL_DECISIONS_MAX
    return "" if good else f"a whole number from 1 to {limits.APPROVAL_DECISIONS_MAX}"


def _question(value: Json) -> str:
    most = limits.APPROVAL_MESSAGE_CHARS_MAX
    good = isinstance(value, str) and value.strip() and len(value) <= most
    return "" if good else f"a text of up to {most:,} characters"


def _approvers(value: Json) -> str:
    # What is computed of it has another name: `users.$`.
    wanted = "an object with users and groups, each an array of texts"
    if not isinstance(value, dict):
        return wanted
    known = all(name.removesuffix(".$") in ("users", "groups") for name in value)
    lists = [names for name, names in value.items() if not name.endswith(".$")]
    computed = all(isinstance(names, str) or not _texts(names) for names in lists)
    return "" if known and computed else wanted


def _among(*values: str) -> Check:
    told = f"one of {', '.join(values)}"
    return lambda value: "" if isinstance(value, str) and value in values else told


def _url(value: Json) -> str:
    good = isinstance(value, str) and value.lower().startswith(("https://", "http://"))
    return "" if good else "a URL that begins with https:// or http://"


def _secure_url(value: Json) -> str:
    good = isinstance(value, str) and value.lower().startswith("https://")
    return "" if good else "a URL that begins with https://"


def _anything(_: Json) -> str:
    return ""


def _version(value: Json) -> str:
    good = isinstance(value, str) or (value.__class__ is int and value >= 1)
    return "" if good else "the number of a published version"


def _machine(value: Json) -> str:
    if isinstance(value, str) and "/" in value:
        return "the name of a StateMachine: that of its namespace goes into the parameter namespace"
    return _text(value)


def _namespace(value: Json) -> str:
    good = value is None or (isinstance(value, str) and _NAMESPACE.fullmatch(value))
    return "" if good else "the name of a namespace"


_JOB: Final[Mapping[str, Check]] = {
    "image": _text,
    "command": _texts,
    "args": _texts,
    "env": _environment,
    "resources": _object,
    "input": _anything,
    "template": _text,
    "startTimeoutSeconds": _seconds,
    "resultFrom": _among("file", "log"),
}
_HTTP: Final[Mapping[str, Check]] = {
    "ApiEndpoint": _url,
    "Method": _among("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"),
    "Headers": _anything,
    "QueryParameters": _anything,
    "RequestBody": _anything,
    "Transform": _object,
    "Authentication": _object,
    "InvocationConfig": _object,
}
_OUR_HTTP: Final[Mapping[str, Check]] = {
    **_HTTP,
    "timeoutSeconds": _positive,
    "idempotencyKey": _among("attempt", "entry"),
}
_EXECUTION: Final[Mapping[str, Check]] = {
    "stateMachine": _machine,
    "namespace": _namespace,
    "input": _anything,
    "name": _text,
    "version": _version,
    "alias": _text,
}
_AWS_EXECUTION: Final[Mapping[str, Check]] = {
    "StateMachineArn": _text,  # AWS takes any: what is no ARN fails when the Task runs
    "Input": _anything,
    "Name": _text,
    "TraceHeader": _text,
}
_AWS_HTTP: Final[Mapping[str, Check]] = {**_HTTP, "ApiEndpoint": _secure_url}
_APPROVAL: Final[Mapping[str, Check]] = {
    "message": _question,
    "details": _object,
    "approvers": _approvers,
    "quorum": _quorum,
    "expiresSeconds": _seconds,
    "reasonRequired": _boolean,
}

_KNOWN: Final[Mapping[tuple[str, str, str], tuple[Mapping[str, Check], tuple[str, ...]]]] = {
    ("native", "job", ""): (_JOB, ("image",)),
    ("native", "http", ""): (_OUR_HTTP, ("ApiEndpoint", "Method")),
    ("native", "execution", ""): (_EXECUTION, ("stateMachine",)),
    ("native", "approval", ""): (_APPROVAL, ("message",)),
    ("integration", "http", "invoke"): (_AWS_HTTP, ("ApiEndpoint", "Method")),
    ("integration", "states", "startExecution"): (_AWS_EXECUTION, ("StateMachineArn",)),
}


def _check_parameters(state: Fields, resource: Resource) -> None:
    """Its arguments against the table of a resource that has one. Spec: design, "Tasks"."""
    known = _KNOWN.get((resource.kind, resource.service, resource.action))
    written = written_arguments(state.value, is_jsonata=state.is_jsonata)
    if known is None or written.is_computed:
        return
    checks, required = known
    member = written.member
    if not written.is_object:
        state.wrong(member, "task-parameter-value", f"{member} must be an object here.")
        return
    given = Fields(dict(written.literals), state.at(member), state.report)
    place = given.pointer if written.is_given else state.pointer
    for name in required:
        if name not in written.keys:
            message = f"{member} must have {written.spelled(name)}."
            state.report.add(place, "task-parameter-missing", message)
    for name, key in written.keys.items():
        check, value = checks.get(name), written.literals.get(name)
        if check is None:
            message = f"{key:.80} is not taken here; known are {', '.join(checks)}."
            given.wrong(key, "task-parameter-unknown", message)
        elif name in written.literals and not _is_dynamic(value) and (wanted := check(value)):
            message = f"{key} is {shown(value)}; it must be {wanted}."
            given.wrong(key, "task-parameter-value", message)


def _is_dynamic(value: Json) -> bool:
    return isinstance(value, str) and bool(_PLACEHOLDER.search(value))
