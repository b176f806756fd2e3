"""Lambda functions: what a machine's `functions` map runs in their place, and what that answers.

One rule: pure. A call and its answer follow from the Task, the map and the event alone, so that a
restart, a repeated turn or an adopted Job gives the same; no runner knows of Lambda.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, NamedTuple, TypeAlias

from treadle.asl import limits
from treadle.asl.arns import (
    FUNCTION_FORMS,
    LATEST,
    FunctionName,
    is_function_call,
    parse_function,
    parse_resource,
    without_token,
)
from treadle.asl.errors import INVALID_RESULT, RUNTIME, StateError
from treadle.asl.json import Json, dumps, loads
from treadle.asl.web import is_json
from treadle.engine.commands import Task
from treadle.engine.events import TaskFailed, TaskId, TaskSucceeded
from treadle.runtime.ports import ExecutionKey

Functions: TypeAlias = Mapping[str, Json]
"""`StateMachine.spec.functions`: a function's name -> what runs in its place."""

JOB: Final = "treadle:job"
HTTP: Final = "treadle:http"

_UNKNOWN = "Lambda.Unknown"
_NOT_FOUND = "Lambda.ResourceNotFoundException"
_SERVICE = "Lambda.ServiceException"
_WRONG_VALUE = "Lambda.InvalidParameterValueException"
_SYNCHRONOUS = "RequestResponse"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function.

    Attributes:
        function: as it is named, with the qualifier.
        target: what the map names for it.
        payload: what it is given.
        in_envelope: whether the answer comes in the envelope of `lambda:invoke`.
    """

    function: FunctionName
    target: Mapping[str, Json]
    payload: Json
    in_envelope: bool


def find(functions: Functions, name: FunctionName) -> Mapping[str, Json] | None:
    """What runs in place of a function; the longest of its names that is listed decides."""
    return next((functions[form] for form in name.forms() if form in functions), None)


# ------------------------------------------------------------------------------------ the call


def calls_function(resource: str) -> bool:
    """Whether a Resource calls a Lambda function."""
    # Most do not, and this is asked of every event.
    return ":lambda:" in resource and is_function_call(parse_resource(resource))


def native(task: Task, functions: Functions) -> Task | StateError:
    """The Task as runners know it, or why it can have none; one that calls no function as it is.

    What waits for a token is for its runner a call as any other.
    """
    if not calls_function(task.resource):
        return replace(task, resource=without_token(task.resource))
    call = _call(task.resource, task.parameters, functions)
    if isinstance(call, StateError):
        return call
    parameters: dict[str, Json]
    if "image" in call.target:
        taken = ("image", "command")
        parameters = {name: call.target[name] for name in taken if name in call.target}
        return replace(task, resource=JOB, parameters={**parameters, "input": call.payload})
    parameters = {
        "ApiEndpoint": call.target["url"],
        "Method": "POST",
        "Headers": {"Content-Type": "application/json", "Accept": "application/json"},
        "RequestBody": dumps(call.payload),  # a text is sent as it stands
        "timeoutSeconds": limits.FUNCTION_SECONDS_MAX,
    }
    return replace(task, resource=HTTP, parameters=parameters)


def native_resource(resource: str, functions: Functions) -> str:
    """The native Resource that may have run an attempt whose Parameters are not known any more.

    Where some function is an image, a Job may be there: its name is taken at no risk.
    """
    if not calls_function(resource):
        return without_token(resource)
    found = [_named(resource, functions)] if _is_bare(resource) else list(functions.values())
    return JOB if any("image" in target for target in found if target is not None) else HTTP


def _is_bare(resource: str) -> bool:
    return parse_resource(resource).kind == "lambda"


def _named(resource: str, functions: Functions) -> Mapping[str, Json] | None:
    name = parse_function(resource)
    return None if name is None else find(functions, name)


def _call(resource: str, parameters: Json, functions: Functions) -> Call | StateError:
    if _is_bare(resource):
        name = parse_function(resource)
        if name is None:
            return _not_found(resource)
        payload, in_envelope = parameters, False
    else:
        wrong = next(wrong_members(parameters), None)
        if wrong is not None:
            return wrong.error
        name, payload, in_envelope = invoked(parameters), parameters.get("Payload", {}), True
    target = find(functions, name)
    return _not_found(str(name)) if target is None else Call(name, target, payload, in_envelope)


class WrongMember(NamedTuple):
    """A member of Parameters that makes no call, and what the state fails with."""

    member: str
    error: StateError


def wrong_members(parameters: Json) -> Iterator[WrongMember]:
    """All that is wrong with Parameters of `lambda:invoke`; the state fails with the first.

    The judge of machines asks here, too, so that what it lets pass can be called.

    Source: AWS API, Invoke.
    """
    given = parameters if isinstance(parameters, dict) else {}
    text, kind, qualifier = map(given.get, ("FunctionName", "InvocationType", "Qualifier"))
    if not isinstance(text, str):
        # States.Runtime, as on AWS, where no Retry and no Catch takes it.
        cause = (
            f"The Parameters '{dumps(parameters)[:200]}' could not be used to start the Task: [The "
            "value for the field 'FunctionName' must be a STRING]"
        )
        yield WrongMember("FunctionName", StateError(RUNTIME, cause))
    if kind not in (None, _SYNCHRONOUS):
        cause = f"InvocationType {dumps(kind)[:80]} is not supported yet; use {_SYNCHRONOUS}."
        yield WrongMember("InvocationType", StateError("Treadle.InvalidParameters", cause))
    name = parse_function(text) if isinstance(text, str) else None
    if isinstance(text, str) and name is None:
        yield WrongMember("FunctionName", _not_found(text, f"Give {FUNCTION_FORMS}."))
    if qualifier is None:
        return
    if not isinstance(qualifier, str):
        cause = f"Qualifier is {dumps(qualifier)[:80]}; it must be a text."
        yield WrongMember("Qualifier", StateError(_WRONG_VALUE, cause))
    elif name is not None and name.qualifier not in ("", qualifier):
        cause = (
            "The derived qualifier from the function name does not match the specified qualifier. "
            "(Status Code: 400; Error Code: InvalidParameterValueException)"
        )
        yield WrongMember("Qualifier", StateError(_WRONG_VALUE, cause))


def invoked(parameters: Mapping[str, Json]) -> FunctionName:
    """The function that Parameters of `lambda:invoke` without a wrong member name."""
    name = parse_function(parameters["FunctionName"])
    assert name is not None
    return replace(name, qualifier=parameters.get("Qualifier") or name.qualifier)


def _not_found(
    name: str, remedy: str = "Add it to spec.functions of the StateMachine."
) -> StateError:
    cause = (
        f"Function not found: {name[:200]} (Status Code: 404; Error Code: "
        f"ResourceNotFoundException). {remedy}"
    )
    return StateError(_NOT_FOUND, cause)


# ---------------------------------------------------------------------------------- the answer

Outcome: TypeAlias = TaskSucceeded | TaskFailed


def answer(key: ExecutionKey, task: Task, functions: Functions, event: Outcome) -> Outcome:
    """What a Lambda function would have answered, from what ran in its place.

    Args:
        key: of the execution; the request ids of an answer follow from it.
        task: as the engine wants it, not as the runner had it.
        functions: the machine's map.
        event: how the attempt ended for its runner.
    """
    call = _call(task.resource, task.parameters, functions)
    if isinstance(call, StateError):
        return event  # nothing ran
    try:
        if "url" in call.target:
            event = _of_url(event)
        elif isinstance(event, TaskFailed):
            event = replace(event, error=_of_container(event.error))
        if isinstance(event, TaskSucceeded) and call.in_envelope:
            event = _enveloped(key, call, event)
    except ValueError as why:
        cause = f"The function's answer cannot be used: {why}"
        return TaskFailed(event.task, StateError(_UNKNOWN, cause), event.at)
    return event


_LOST = frozenset(
    f"Kubernetes.{what}"
    for what in ("Evicted", "JobDeleted", "NodeLost", "PodDeleted", "Preempted")
)


def _of_container(error: StateError) -> StateError:
    """A container's failure as AWS names it.

    A function that is lost for a reason of the platform's fails with `Lambda.ServiceException`,
    which AWS's own Retry blocks name; one that ends without a word, with `Lambda.Unknown`.
    Source: AWS, "Handling errors in Step Functions workflows".
    """
    name = error.name or ""
    told = f"{name}: {error.cause or ''}"
    if name in _LOST:
        return StateError(_SERVICE, told)
    if name == "Kubernetes.OOMKilled" or name.startswith("Kubernetes.ExitCode."):
        return StateError(_UNKNOWN, told)
    return error


_STATUS = re.compile(r"States\.Http\.StatusCode\.(\d{3})")
# Source: AWS API, Invoke, "Errors".
_OF_STATUS: Final = {
    400: "Lambda.InvalidRequestContentException",
    403: "Lambda.AccessDeniedException",
    404: _NOT_FOUND,
    409: "Lambda.ResourceConflictException",
    413: "Lambda.RequestTooLargeException",
    415: "Lambda.UnsupportedMediaTypeException",
    429: "Lambda.TooManyRequestsException",
}
_FUNCTION_ERROR = "x-amz-function-error"


def _of_url(event: Outcome) -> Outcome:
    if isinstance(event, TaskFailed):
        return replace(event, error=_of_call(event.error))
    found = loads(event.output)
    headers = found["Headers"]
    payload = _body(found["ResponseBody"], next(iter(headers.get("content-type", ())), ""))
    text = dumps(payload)
    error = _function_error(payload, text)
    if error is None and _FUNCTION_ERROR in headers:
        error = StateError(_UNKNOWN, text)
    if error is not None:
        return TaskFailed(event.task, error, event.at)
    return replace(event, output=text)


def _body(body: Json, content_type: str) -> Json:
    """The payload that an answer's body means: JSON whatever it says to be, else its text."""
    if not isinstance(body, str) or is_json(content_type):
        return body
    if not body:
        return None  # as a function that returns nothing
    try:
        return loads(body)
    except ValueError:
        return body


def _function_error(payload: Json, text: str) -> StateError | None:
    """The error of a payload that tells of one, as Lambda's runtimes write it."""
    if not isinstance(payload, dict) or not isinstance(payload.get("errorMessage"), str):
        return None
    name = payload.get("errorType")
    return StateError(name, text) if isinstance(name, str) and name else None


def _of_call(error: StateError) -> StateError:
    """A call's failure as the Lambda service names it."""
    name, cause = error.name or "", error.cause or ""
    if name == "States.Http.Socket":
        return StateError("Lambda.SdkClientException", cause)
    if name == INVALID_RESULT:
        return StateError(_UNKNOWN, cause)
    match = _STATUS.fullmatch(name)
    if match is None:
        return error
    status = int(match[1])
    own = _function_error(_body(cause, ""), cause)
    if own is not None:
        return own
    name = _OF_STATUS.get(status, _SERVICE if status >= 500 else _UNKNOWN)
    return StateError(name, f"{cause} (Status Code: {status})".lstrip())


# -------------------------------------------------------------------------------- the envelope


def _enveloped(key: ExecutionKey, call: Call, event: TaskSucceeded) -> TaskSucceeded:
    """The answer as `lambda:invoke` gives it. Source: AWS API, Invoke; AWS's recordings."""
    payload = loads(event.output)
    qualifier = call.function.qualifier
    version = qualifier if qualifier.isdecimal() else LATEST
    request = request_id(key, event.task)
    headers = {
        "Connection": "keep-alive",
        "Content-Length": str(len(event.output.encode("utf-8", "surrogatepass"))),
        "Content-Type": "application/json",
        "Date": format_datetime(event.at.astimezone(UTC), usegmt=True),
        "X-Amz-Executed-Version": version,
        "X-Amzn-Trace-Id": _trace_id(request, event.at),
        "x-amzn-Remapped-Content-Length": "0",
        "x-amzn-RequestId": request,
    }
    envelope = {
        "ExecutedVersion": version,
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request},
        "StatusCode": 200,
    }
    return replace(event, output=dumps(envelope))


def request_id(key: ExecutionKey, task: TaskId) -> str:
    """What AWS would call an attempt's request."""
    said = f"{key.uid}/{task.frame}/{task.entry}/{task.attempt}"
    digits = hashlib.sha256(said.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _trace_id(request: str, at: datetime) -> str:
    return f"Root=1-{int(at.timestamp()):08x}-{request.replace('-', '')[:24]};Sampled=0"
