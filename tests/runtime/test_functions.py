"""What runs in place of Lambda functions, and what they answer; each call and answer is pure."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.runtime.stage import A1, UID, Hands, Stage, on_a_stage
from treadle.asl.errors import StateError
from treadle.asl.json import dumps, loads
from treadle.engine.commands import Task
from treadle.engine.events import TaskFailed, TaskStarted, TaskSucceeded
from treadle.runtime.functions import HTTP, JOB, answer, native, native_resource
from treadle.runtime.ports import ExecutionKey

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = ExecutionKey("ns", "e", "uid-1")
ARN = "arn:aws:lambda:us-east-1:123456789012:function:resize"
INVOKE = "arn:aws:states:::lambda:invoke"
IMAGE = {"image": "python:3.11", "command": ["python", "f.py"]}
URL = {"url": "http://resize.default/"}


def a_task(resource: str = ARN, parameters: Any = None) -> Task:
    return Task(A1, "A", resource, parameters, {"in": 1}, "d" * 32, AT, None, "")


def invoking(name: Any = ARN, **more: Any) -> Task:
    return a_task(INVOKE, {"FunctionName": name, **more})


def ran(task: Task, functions: Any) -> tuple[str, Any]:
    """Resource and Parameters that a runner is given."""
    found = native(task, functions)
    assert isinstance(found, Task)
    assert (found.id, found.digest, found.input) == (task.id, task.digest, task.input)
    return found.resource, found.parameters


def refused(task: Task, functions: Any) -> StateError:
    found = native(task, functions)
    assert isinstance(found, StateError)
    return found


# ------------------------------------------------------------------------------------ the call


def test_what_calls_no_function_stays_as_it_is() -> None:
    task = a_task("treadle:job", {"image": "i"})
    assert native(task, {"treadle:job": URL}) == task


def test_what_waits_for_a_token_is_called_as_any_other() -> None:
    waits = a_task("treadle:job.waitForTaskToken", {"image": "i"})
    assert native(waits, {}) == a_task("treadle:job", {"image": "i"})
    assert native_resource("treadle:job.waitForTaskToken", {}) == "treadle:job"
    assert ran(
        replace(invoking(Payload=1), resource=f"{INVOKE}.waitForTaskToken"), {ARN: IMAGE}
    ) == (
        JOB,
        {**IMAGE, "input": 1},
    )


def test_an_image_is_a_job_whose_input_is_the_payload() -> None:
    assert ran(a_task(parameters={"k": 1}), {ARN: IMAGE}) == (JOB, {**IMAGE, "input": {"k": 1}})
    assert ran(a_task(), {ARN: {"image": "i"}}) == (JOB, {"image": "i", "input": None})
    assert ran(invoking(Payload=[1]), {ARN: IMAGE}) == (JOB, {**IMAGE, "input": [1]})


def test_a_call_without_payload_gives_an_empty_object() -> None:
    assert ran(invoking(), {ARN: IMAGE})[1]["input"] == {}


@pytest.mark.parametrize("payload", [{"k": "ü"}, "text", None, 0])
def test_a_url_is_posted_the_payload_as_json(payload: Any) -> None:
    resource, parameters = ran(a_task(parameters=payload), {"resize": URL})
    assert resource == HTTP
    assert (parameters["ApiEndpoint"], parameters["Method"]) == (URL["url"], "POST")
    assert parameters["RequestBody"] == dumps(payload)
    assert parameters["Headers"]["Content-Type"] == "application/json"
    assert parameters["timeoutSeconds"] == 900  # AWS: a function's longest time


@pytest.mark.parametrize(
    ("asked", "listed", "found"),
    [
        (f"{ARN}:7", [f"{ARN}:7", ARN, "resize:7", "resize"], f"{ARN}:7"),
        (f"{ARN}:7", [ARN, "resize:7", "resize"], ARN),
        (f"{ARN}:7", ["123456789012:function:resize", "resize:7"], "123456789012:function:resize"),
        (f"{ARN}:7", ["resize:7", "resize"], "resize:7"),
        (f"{ARN}:7", ["resize"], "resize"),
        (ARN, [f"{ARN}:$LATEST"], f"{ARN}:$LATEST"),
        (ARN, [f"{ARN}:$LATEST", ARN], ARN),
        (f"{ARN}:$LATEST", [ARN], ARN),
        ("resize", ["resize"], "resize"),
    ],
)
def test_the_longest_name_that_is_listed_decides(asked: str, listed: list[str], found: str) -> None:
    functions = {name: {"image": name} for name in reversed(listed)}
    assert ran(invoking(asked), functions)[1]["image"] == found
    if asked.startswith("arn:"):
        assert ran(a_task(asked), functions)[1]["image"] == found


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        (ARN, f"{ARN}:7"),
        (ARN, "resize:7"),
        (ARN, "210987654321:function:resize"),
        (f"{ARN}:7", "resize:8"),
        ("resize", ARN),
        ("resize", "123456789012:function:resize"),
    ],
)
def test_a_name_that_says_more_or_other_is_another_function(asked: str, listed: str) -> None:
    error = refused(invoking(asked), {listed: IMAGE})
    assert error.name == "Lambda.ResourceNotFoundException"
    assert asked in (error.cause or "")
    assert "spec.functions" in (error.cause or "")


def test_a_qualifier_is_part_of_the_name() -> None:
    functions = {"resize:live": URL, "resize": IMAGE}
    assert ran(invoking("resize", Qualifier="live"), functions)[0] == HTTP
    assert ran(invoking("resize:live", Qualifier="live"), functions)[0] == HTTP
    assert ran(invoking("resize", Qualifier=None), functions)[0] == JOB
    for wrong in ("other", 7):
        error = refused(invoking("resize:live", Qualifier=wrong), functions)
        assert error.name == "Lambda.InvalidParameterValueException"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (a_task(INVOKE, [1]), "States.Runtime"),
        (a_task(INVOKE, {"Payload": 1}), "States.Runtime"),
        (invoking(7), "States.Runtime"),
        (invoking("no name"), "Lambda.ResourceNotFoundException"),
        (a_task("arn:aws:lambda:r:1:function:a b"), "Lambda.ResourceNotFoundException"),
        (invoking(InvocationType="Event"), "Treadle.InvalidParameters"),
    ],
)
def test_what_cannot_be_called_fails(task: Task, name: str) -> None:
    assert refused(task, {ARN: IMAGE}).name == name


def test_an_ordinary_invocation_may_be_asked_for_by_its_name() -> None:
    for kind in (None, "RequestResponse"):
        assert ran(invoking(InvocationType=kind), {ARN: IMAGE})[0] == JOB


@pytest.mark.parametrize(
    ("resource", "functions", "found"),
    [
        ("treadle:http", {}, "treadle:http"),
        (ARN, {ARN: IMAGE}, JOB),
        (ARN, {ARN: URL, "other": IMAGE}, HTTP),
        (ARN, {}, HTTP),
        ("arn:aws:lambda:r:1:function:a b", {ARN: IMAGE}, HTTP),
        (INVOKE, {ARN: URL, "other": IMAGE}, JOB),
        (INVOKE, {ARN: URL}, HTTP),
    ],
)
def test_a_name_is_taken_wherever_a_job_may_be(resource: str, functions: Any, found: str) -> None:
    assert native_resource(resource, functions) == found


# ---------------------------------------------------------------------------------- the answer


def succeeded(task: Task, functions: Any, output: str) -> Any:
    event = answer(KEY, task, functions, TaskSucceeded(A1, output, AT))
    assert event == answer(KEY, task, functions, TaskSucceeded(A1, output, AT)), "it is pure"
    assert (event.task, event.at) == (A1, AT)
    return event.error if isinstance(event, TaskFailed) else loads(event.output)


def failed(functions: Any, name: str, cause: str | None = "why") -> StateError:
    event = answer(KEY, a_task(), functions, TaskFailed(A1, StateError(name, cause), AT))
    assert isinstance(event, TaskFailed)
    return event.error


def answered(body: Any, content_type: str = "application/json", **headers: str) -> str:
    """What the HTTP runner gives for an answer."""
    told = {"content-type": [content_type], **{k.replace("_", "-"): [headers[k]] for k in headers}}
    whole = {"Headers": told, "ResponseBody": body, "StatusCode": 200, "StatusText": "OK"}
    return dumps(whole)


def test_a_bare_functions_result_is_the_payload_itself() -> None:
    event = TaskSucceeded(A1, '{"a": 1.0}', AT)
    assert answer(KEY, a_task(), {ARN: IMAGE}, event) is event


def test_invoke_answers_in_the_envelope_that_aws_records() -> None:
    found = succeeded(invoking(), {ARN: IMAGE}, '"HelloWorld!"')
    request = found["SdkResponseMetadata"]["RequestId"]
    headers = {
        "Connection": "keep-alive",
        "Content-Length": "13",
        "Content-Type": "application/json",
        "Date": "Fri, 02 Jan 2026 03:04:05 GMT",
        "X-Amz-Executed-Version": "$LATEST",
        "X-Amzn-Trace-Id": f"Root=1-695735a5-{request.replace('-', '')[:24]};Sampled=0",
        "x-amzn-Remapped-Content-Length": "0",
        "x-amzn-RequestId": request,
    }
    assert found == {
        "ExecutedVersion": "$LATEST",
        "Payload": "HelloWorld!",
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request},
        "StatusCode": 200,
    }
    assert [len(part) for part in request.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize(
    ("name", "version"), [(f"{ARN}:7", "7"), (f"{ARN}:live", "$LATEST"), (ARN, "$LATEST")]
)
def test_a_number_is_the_version_that_ran(name: str, version: str) -> None:
    assert succeeded(invoking(name), {"resize": IMAGE}, "{}")["ExecutedVersion"] == version


def test_each_attempt_has_its_own_request_id() -> None:
    ids = set()
    for key in (KEY, KEY._replace(uid="uid-2")):
        for task in (A1, A1._replace(attempt=2), A1._replace(entry=2), A1._replace(frame=1)):
            event = answer(key, invoking(), {ARN: IMAGE}, TaskSucceeded(task, "{}", AT))
            assert isinstance(event, TaskSucceeded)
            ids.add(loads(event.output)["SdkResponseMetadata"]["RequestId"])
    assert len(ids) == 8


@pytest.mark.parametrize("output", ["nope", "[" * 300 + "]" * 300])
def test_an_answer_that_fits_in_no_envelope_is_the_functions_error(output: str) -> None:
    assert succeeded(invoking(), {ARN: IMAGE}, output).name == "Lambda.Unknown"


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        ({"a": 1}, "application/json", {"a": 1}),
        ("5", "application/json", "5"),
        ("5", "Application/JSON; charset=utf-8", "5"),
        ("5", "application/vnd.api+json", "5"),
        ("5", "application/json-seq", 5),
        ("5", "text/plain; charset=utf-8", 5),
        ('{"a":[null]}', "text/plain", {"a": [None]}),
        ("hello", "text/plain", "hello"),
        ("hello", "", "hello"),
        ("", "text/plain", None),
        ("", "", None),
    ],
)
def test_the_payload_of_a_url_is_its_body(body: Any, content_type: str, payload: Any) -> None:
    output = answered(body, content_type)
    assert succeeded(a_task(), {ARN: URL}, output) == payload
    found = succeeded(invoking(), {ARN: URL}, output)
    assert found["Payload"] == payload
    length = found["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"]
    assert length == str(len(dumps(payload)))


FAILURE = {"errorMessage": "no such key", "errorType": "KeyError", "stackTrace": []}


def test_a_function_error_of_a_url_has_its_own_name() -> None:
    for output in (answered(FAILURE), answered(dumps(FAILURE), "text/plain")):
        assert succeeded(a_task(), {ARN: URL}, output) == StateError("KeyError", dumps(FAILURE))


def test_a_function_error_without_a_name_is_unknown() -> None:
    output = answered({"went": "wrong"}, x_amz_function_error="Unhandled")
    assert succeeded(invoking(), {ARN: URL}, output) == StateError(
        "Lambda.Unknown", '{"went":"wrong"}'
    )


@pytest.mark.parametrize(
    "payload", [{"errorType": "E"}, {"errorMessage": "m"}, {"errorType": 1, "errorMessage": "m"}]
)
def test_a_payload_that_only_looks_like_an_error_is_none(payload: Any) -> None:
    assert succeeded(a_task(), {ARN: URL}, answered(payload)) == payload


@pytest.mark.parametrize(
    ("name", "cause", "error"),
    [
        ("StatusCode.500", "oh", StateError("Lambda.ServiceException", "oh (Status Code: 500)")),
        ("StatusCode.503", "", StateError("Lambda.ServiceException", "(Status Code: 503)")),
        (
            "StatusCode.429",
            None,
            StateError("Lambda.TooManyRequestsException", "(Status Code: 429)"),
        ),
        (
            "StatusCode.404",
            "no",
            StateError("Lambda.ResourceNotFoundException", "no (Status Code: 404)"),
        ),
        ("StatusCode.401", "no", StateError("Lambda.Unknown", "no (Status Code: 401)")),
        ("StatusCode.302", "no", StateError("Lambda.Unknown", "no (Status Code: 302)")),
        ("StatusCode.500", dumps(FAILURE), StateError("KeyError", dumps(FAILURE))),
        ("StatusCode.400", dumps(FAILURE), StateError("KeyError", dumps(FAILURE))),
        ("Socket", "reset", StateError("Lambda.SdkClientException", "reset")),
    ],
)
def test_a_failing_call_has_the_names_of_the_lambda_service(
    name: str, cause: str | None, error: StateError
) -> None:
    assert failed({ARN: URL}, f"States.Http.{name}", cause) == error


def test_an_answer_that_cannot_be_read_can_be_caught() -> None:
    assert failed({ARN: URL}, "Treadle.InvalidResult") == StateError("Lambda.Unknown", "why")


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("Kubernetes.Evicted", "Lambda.ServiceException"),
        ("Kubernetes.JobDeleted", "Lambda.ServiceException"),
        ("Kubernetes.Preempted", "Lambda.ServiceException"),
        ("Kubernetes.NodeLost", "Lambda.ServiceException"),
        ("Kubernetes.PodDeleted", "Lambda.ServiceException"),
        ("Kubernetes.OOMKilled", "Lambda.Unknown"),
        ("Kubernetes.ExitCode.1", "Lambda.Unknown"),
    ],
)
def test_what_befalls_a_container_has_names_of_lambda_too(name: str, becomes: str) -> None:
    assert failed({ARN: IMAGE}, name) == StateError(becomes, f"{name}: why")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (IMAGE, "KeyError"),
        (IMAGE, "Kubernetes.ImagePull"),
        (IMAGE, "States.DataLimitExceeded"),
        (IMAGE, "States.Http.Socket"),
        (IMAGE, "Treadle.InvalidResult"),
        (URL, "Treadle.AddressDenied"),
        (URL, "States.Runtime"),  # a mistake of ours is caught by nobody
        (URL, "States.DataLimitExceeded"),
    ],
)
def test_any_other_error_keeps_its_name(target: Any, name: str) -> None:
    assert failed({ARN: target}, name) == StateError(name, "why")


def test_an_attempt_that_could_not_be_made_keeps_its_error() -> None:
    event = TaskFailed(A1, StateError("Kubernetes.Evicted", "why"), AT)
    assert answer(KEY, a_task(), {}, event) is event


# ------------------------------------------------------------------------------- on the stage


def machine(resource: str = ARN, **more: Any) -> Any:
    return {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": resource, **more, "End": True}},
    }


CALLS = machine(INVOKE, Parameters={"FunctionName.$": "$.f", "Payload.$": "$"})


async def begin(stage: Stage, definition: Any, functions: Any, **given: Any) -> ExecutionKey:
    await stage.apply_machine(definition, functions=functions)
    key = stage.apply(input={"f": "resize", **given})
    stage.driver.open()
    stage.see()
    await asyncio.sleep(0.5)
    return key


def test_a_function_runs_where_its_target_does() -> None:
    async def play(stage: Stage) -> None:
        other = Hands("treadle:http")
        stage.driver.serve([other])
        key = await begin(stage, machine(), {"resize": URL})
        assert (stage.hands.asked, other.asked) == ([], [A1])
        stage.driver.post(key, TaskSucceeded(A1, answered({"done": True}), stage.now()))
        await asyncio.sleep(0.5)
        assert stage.status()["output"] == '{"done":true}'

    on_a_stage(play)


def test_the_envelope_is_the_same_after_a_restart_and_a_conflict() -> None:
    async def play(stage: Stage) -> None:
        key = await begin(stage, CALLS, {ARN: URL, "resize": IMAGE})
        assert stage.hands.task().parameters == {**IMAGE, "input": {"f": "resize"}}
        before = stage.hands.task().digest
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.hands.task().digest == before
        saved = stage.status()["checkpoint"]
        other = Stage.__new__(Stage)
        other.__dict__.update(stage.__dict__)
        other.reborn()
        other.driver.open()
        other.see()
        await asyncio.sleep(0.5)
        other.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(6)
        assert stage.status()["checkpoint"] != saved  # so what was handled is handled again
        stage.driver.post(key, TaskSucceeded(A1, "[1]", AT))
        await asyncio.sleep(0.5)
        assert ("saved", "conflict") in stage.meter.told
        event = answer(key, invoking("resize"), {"resize": IMAGE}, TaskSucceeded(A1, "[1]", AT))
        assert isinstance(event, TaskSucceeded)
        assert stage.status()["output"] == event.output

    on_a_stage(play)


def test_an_unlisted_function_fails_as_aws_says() -> None:
    async def play(stage: Stage) -> None:
        await begin(stage, CALLS, {"resize": IMAGE}, f="gone")
        assert stage.status()["error"] == "Lambda.ResourceNotFoundException"
        assert stage.hands.asked == []

    on_a_stage(play)


def test_a_retrier_of_the_studio_takes_what_passes() -> None:
    retry = {
        "ErrorEquals": ["Lambda.ServiceException", "Lambda.TooManyRequestsException"],
        "IntervalSeconds": 1,
        "MaxAttempts": 3,
    }

    async def play(stage: Stage) -> None:
        key = await begin(stage, machine(Retry=[retry]), {ARN: IMAGE})
        lost = StateError("Kubernetes.NodeLost", "the node is gone")
        stage.driver.post(key, TaskFailed(A1, lost, stage.now()))
        await asyncio.sleep(3)
        assert stage.hands.asked == [A1, A1._replace(attempt=2)]

    on_a_stage(play)


def test_the_name_of_a_call_that_ended_unseen_is_taken() -> None:
    async def play(stage: Stage) -> None:
        await begin(stage, CALLS, {"resize": IMAGE})
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1)
        assert [order.expired for order in stage.hands.started] == [False, True]

    on_a_stage(play)
