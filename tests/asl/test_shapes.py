"""Mocked results against the shapes of AWS's services."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recordings import recorded
from treadle.asl.json import Json
from treadle.asl.shapes import Mode, result_problem

PREFIX = "Mock result schema validation error: "
EXECUTION = {"ExecutionArn": "e", "StartDate": "d", "StateMachineArn": "m", "Status": "SUCCEEDED"}


def problem(resource: str, result: Json, mode: Mode = "STRICT") -> str | None:
    return result_problem(f"arn:aws:states:::{resource}", result, mode)


@pytest.mark.parametrize(
    ("resource", "result", "told"),
    [
        ("lambda:invoke", {"StatusCode": "200"}, "Field 'StatusCode' must be a number"),
        ("lambda:invoke", {"StatusCode": True}, "Field 'StatusCode' must be a number"),
        ("lambda:invoke", {"StatusCode": None}, "Field 'StatusCode' must be a number"),
        ("lambda:invoke", {"ExecutedVersion": 1}, "Field 'ExecutedVersion' must be a string"),
        ("events:putEvents", {"Entries": "none"}, "Field 'Entries' must be an array"),
        ("events:putEvents", {"Entries": ["none"]}, "Field 'Entries' must be an object"),
        (
            "events:putEvents",
            {"Entries": [{"EventId": "1"}, {"EventId": ["2"]}]},
            "Field 'EventId' must be a string",
        ),
        ("states:startExecution", {**EXECUTION, "StartDate": 1}, "Field 'StartDate' must be a str"),
        ("sqs:sendMessage", {"MD5OfMessageBody": 1}, "Field 'MD5OfMessageBody' must be a string"),
        ("aws-sdk:sqs:sendMessage", {"Md5OfMessageBody": 1}, "Field 'Md5OfMessageBody' must be"),
        (
            "dynamodb:getItem",
            {"Item": {"paid": {"BOOL": "true"}}},
            "Field 'BOOL' must be a boolean",
        ),
        ("dynamodb:getItem", {"Item": {"total": {"N": 3}}}, "Field 'N' must be a string"),
        ("dynamodb:getItem", {"Item": {"tags": {"SS": ["a", 1]}}}, "Field 'SS' must be a string"),
        ("dynamodb:getItem", {"Item": [1]}, "Field 'Item' must be an object"),
        (
            "dynamodb:getItem",
            {"Item": {"deep": {"L": [{"M": {"deeper": {"S": 1}}}]}}},
            "Field 'S' must be a string",
        ),
        ("aws-sdk:kms:encrypt", {"CiphertextBlob": 123}, "Field 'CiphertextBlob' must be a string"),
        (
            "aws-sdk:kms:encrypt",
            {"CiphertextBlob": ""},
            "Field 'CiphertextBlob' is smaller than the minimum length",
        ),
        (
            "aws-sdk:kms:encrypt",
            {"KeyId": "k" * 2049},
            "Field 'KeyId' exceeds the maximum length",
        ),
        (
            "aws-sdk:kms:encrypt",
            {"EncryptionAlgorithm": "ROT13"},
            "Field 'EncryptionAlgorithm' is not an expected value",
        ),
        (
            "aws-sdk:lambda:getFunction",
            {"Configuration": {"MemorySize": 127}},
            "Field 'MemorySize' is less than the minimum value",
        ),
        (
            "aws-sdk:lambda:getFunction",
            {"Configuration": {"MemorySize": 10241}},
            "Field 'MemorySize' exceeds the maximum value",
        ),
        ("aws-sdk:lambda:getFunction", {"Tags": {"a": 1}}, "Field 'Tags' must be a string"),
        (
            "aws-sdk:apigateway:getRestApis",
            {"Items": [{"CreatedDate": {}}]},
            "Field 'CreatedDate' must be a string",
        ),
        (
            "aws-sdk:kms:listKeys",
            {"Keys": [{"KeyId": ""}]},
            "Field 'KeyId' is smaller than the minimum length",
        ),
        (
            "aws-sdk:dynamodb:batchGetItem",
            {"UnprocessedKeys": {str(n): {"Keys": [{}]} for n in range(101)}},
            "Field 'UnprocessedKeys' exceeds the maximum length",
        ),
        ("elasticmapreduce:createCluster", {"ClusterId": 1}, "Field 'ClusterId' must be a string"),
    ],
)
@pytest.mark.parametrize("mode", ["STRICT", "PRESENT"])
def test_a_member_that_is_there_is_as_the_service_has_it(
    resource: str, result: Json, told: str, mode: Mode
) -> None:
    assert (problem(resource, result, mode) or "").startswith(PREFIX + told)
    assert problem(resource, result, "NONE") is None


@pytest.mark.parametrize(
    ("resource", "result", "name"),
    [
        ("states:startExecution", {}, "ExecutionArn"),
        ("states:startExecution", {"ExecutionArn": "e"}, "StartDate"),
        ("states:startExecution", {"executionArn": "e", "startDate": "d"}, "ExecutionArn"),
        ("states:startExecution.sync", {"Status": "FAILED"}, "ExecutionArn"),
        (
            "states:startExecution.sync:2",
            {"ExecutionArn": "e", "StartDate": "d"},
            "StateMachineArn",
        ),
        ("sagemaker:createTrainingJob.sync", {}, "TrainingJobName"),
        ("bedrock:invokeModel", {"ContentType": "application/json"}, "Body"),
        ("aws-sdk:sfn:startExecution", {"StartDate": "d"}, "ExecutionArn"),
        ("aws-sdk:iam:getServerCertificate", {}, "ServerCertificate"),
        ("aws-sdk:apprunner:describeCustomDomains", {}, "DnsTarget"),
        ("aws-sdk:pinpointsmsvoicev2:carrierLookup", {}, "E164PhoneNumber"),
        ("aws-sdk:route53:createVPCAssociationAuthorization", {"HostedZoneId": "z"}, "Vpc"),
        (
            "aws-sdk:cloudfrontkeyvaluestore:deleteKey",
            {"ItemCount": 1, "TotalSizeInBytes": 1},
            "ETag",
        ),
    ],
)
def test_a_required_member_is_demanded_by_strict_alone(
    resource: str, result: Json, name: str
) -> None:
    assert problem(resource, result) == PREFIX + f"Required field '{name}' is missing"
    assert problem(resource, result, "PRESENT") is None
    assert problem(resource, result, "NONE") is None


def test_a_missing_member_comes_before_what_is_wrong_beside_it_and_after_what_is_above() -> None:
    certificate = {"ServerCertificate": {"CertificateBody": 1}}
    resource = "aws-sdk:iam:getServerCertificate"
    missing = PREFIX + "Required field 'ServerCertificateMetadata' is missing"
    assert problem(resource, certificate) == missing
    assert problem(resource, certificate, "PRESENT") == (
        PREFIX + "Field 'CertificateBody' must be a string"
    )


@pytest.mark.parametrize("name", ["DBInstances", "DbInstances"])
def test_a_member_is_known_however_its_acronym_is_written(name: str) -> None:
    told = problem("aws-sdk:rds:describeDBInstances", {name: 1})
    assert told == PREFIX + f"Field '{name}' must be an array"
    assert problem("aws-sdk:rds:describeDBInstances", {"dbInstances": 1}) is None


@pytest.mark.parametrize(
    ("resource", "result"),
    [
        ("lambda:invoke", {}),
        ("aws-sdk:secretsmanager:createSecret", {}),
        ("aws-sdk:dynamodb:batchGetItem", {"Responses": {}, "UnprocessedKeys": {}}),
        ("aws-sdk:support:describeCases", {"Cases": [{}]}),
        ("lambda:invoke", {"pokemon": "pikachu"}),
        ("lambda:invoke", {"Payload": {"any": ["thing"]}, "SdkHttpMetadata": {"x": 1}}),
        ("lambda:invoke", {"Payload": None, "StatusCode": 200}),
        ("lambda:invoke", {"statusCode": "lower case is another name"}),
        ("bedrock:invokeModel", {"Body": {"completion": "x"}, "ContentType": "application/json"}),
        ("dynamodb:putItem", {"Attributes": {"a": {"M": {"b": {"NULL": True}}}}}),
        ("states:startExecution", {"ExecutionArn": "e", "StartDate": "2026-01-01T00:00:00"}),
        ("states:startExecution.sync:2", {**EXECUTION, "Output": {"a": 1}, "Input": []}),
        ("states:startExecution.sync", {**EXECUTION, "Output": '{"a":1}', "StartDate": 1.5e12}),
        ("batch:submitJob.sync", {"JobId": "j", "Container": {"Vcpus": 1}, "CreatedAt": 1}),
        ("batch:submitJob.sync", {"Jobs": []}),
        ("ecs:runTask.sync", {"LastStatus": "STOPPED", "CreatedAt": 1_600_000_000_000}),
        ("glue:startJobRun.sync", {"JobRunState": "SUCCEEDED"}),
        ("emr-serverless:startJobRun.sync", {"JobRun": {"State": "SUCCESS"}, "unknown": 1}),
        ("athena:startQueryExecution.sync", {"QueryExecution": {"QueryExecutionId": "q"}}),
        ("aws-sdk:lambda:getFunction", {"Configuration": {"MemorySize": 128.5}}),
        ("aws-sdk:s3:deleteBucket", "an action without an answer"),
    ],
)
def test_what_the_service_could_have_answered_passes(resource: str, result: Json) -> None:
    assert problem(resource, result) is None


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ("batch:submitJob.sync", "Field 'JobId' must be a string"),
        ("ecs:runTask.sync", "Field 'Tasks' must be an array"),
        ("states:startExecution.sync", "Field 'Output' must be a string"),
        ("glue:startJobRun.sync", "Field 'JobRun' must be an object"),
    ],
)
def test_a_job_that_is_waited_for_answers_as_the_call_that_asks_for_it(
    resource: str, told: str
) -> None:
    result = {**EXECUTION, "JobId": 1, "Tasks": {}, "Output": {}, "JobRun": 1}
    assert problem(resource, result) == PREFIX + told


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::http:invoke",
        "arn:aws:states:::apigateway:invoke",
        "arn:aws:states:::eks:call",
        "arn:aws:states:::eks:runJob",
        "arn:aws:states:::eks:runJob.sync",
        "arn:aws:states:us-east-1:1:activity:a",
        "arn:aws:lambda:us-east-1:1:function:f",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:::aws-sdk:kms:encrypt.waitForTaskToken",
        "arn:aws:states:::aws-sdk:newservice:doIt",
        "arn:aws:states:::aws-sdk:kms:doIt",
        "arn:aws:states:::newservice:doIt",
        "arn:aws:states:::sagemaker:createModel.sync",
        "arn:aws:states:::elasticmapreduce:terminateCluster",
        "treadle:job",
        "treadle:execution.sync",
        "what is this",
        "",
    ],
)
@pytest.mark.parametrize("result", [None, 1, "x", [], {"StatusCode": "x", "CiphertextBlob": 1}])
def test_nothing_is_refused_where_no_shape_is_known(resource: str, result: Json) -> None:
    assert result_problem(resource, result, "STRICT") is None


@pytest.mark.parametrize("result", [None, 1, "x", []])
def test_a_result_that_has_a_shape_is_an_object(result: Json) -> None:
    assert problem("lambda:invoke", result) == "Mocked result must be a JSON object."
    assert problem("lambda:invoke", result, "NONE") is None


def test_a_result_may_be_nested_as_deeply_as_it_likes() -> None:
    value: Json = {"S": 1}
    for _ in range(5_000):
        value = {"L": [value]}
    told = PREFIX + "Field 'S' must be a string"
    assert problem("dynamodb:getItem", {"Item": {"a": value}}) == told


MEMBERS = st.sampled_from(["Item", "Payload", "S", "L", "M", "BOOL", "Jobs", "Status", "x", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
)
RESOURCES = st.sampled_from(
    ["dynamodb:getItem", "lambda:invoke", "batch:submitJob.sync", "aws-sdk:sfn:describeExecution"]
)


@given(RESOURCES, VALUES, st.sampled_from(get_args(Mode)))
def test_whatever_the_result_there_is_a_verdict_and_strict_is_the_hardest(
    resource: str, result: Json, mode: Mode
) -> None:
    if problem(resource, result, mode) is not None:
        assert problem(resource, result, "STRICT") is not None
        assert mode != "NONE"


def mocked_tasks() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for line in recorded("teststate.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        state, request = case["definition"], case["request"]
        if name := request.get("stateName"):
            state = state["States"][name]
        mock = request.get("mock") or {}
        if state["Type"] == "Task" and "result" in mock:
            yield state["Resource"], mock, case["expected"]


def test_recorded_verdicts_on_mocked_results_are_ours() -> None:
    seen = 0
    for resource, mock, expected in mocked_tasks():
        mode = mock.get("fieldValidationMode", "STRICT")
        got = result_problem(resource, json.loads(mock["result"]), mode)
        assert got == expected.get("message"), (resource, mock)
        seen += got is not None
    assert seen > 5


def states(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        if isinstance(inner := value.get("States"), dict):
            yield from inner.items()
        for item in value.values():
            yield from states(item)


def test_what_a_service_answered_on_aws_is_not_refused() -> None:
    refused = []
    for line in recorded("run.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        resources = {name: state.get("Resource", "") for name, state in states(case["definition"])}
        for task in case.get("tasks") or ():
            resource = resources.get(task["state"], "")
            at_once = resource.removesuffix(".waitForTaskToken")
            at_once = at_once.removesuffix(":2").removesuffix(".sync")
            for each, answer in ((at_once, "submitted"), (resource, "output")):
                if task.get(answer) is not None:
                    refused.append(result_problem(each, task[answer], "STRICT"))
    assert len(refused) > 20
    assert set(refused) == {None}
