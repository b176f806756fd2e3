"""What is wrong with a state, each by its rule and at its place."""

from typing import Any

import pytest

from treadle.asl import document

Json = dict[str, Any]
PASS = {"Type": "Pass", "End": True}
INNER = {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}
TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:F", "End": True}
MAP = {"Type": "Map", "ItemProcessor": INNER, "End": True}
PARALLEL = {"Type": "Parallel", "End": True}
WAIT = {"Type": "Wait", "End": True}


def machine(state: object) -> Json:
    return {"StartAt": "S", "States": {"S": state, "Z": {"Type": "Succeed"}}}


def found(definition: object) -> list[tuple[str, str]]:
    _, problems = document.inspect(definition)
    return [(p.pointer, p.code) for p in problems if p.severity == "error"]


def retry(**members: object) -> Json:
    return {**TASK, "Retry": [{"ErrorEquals": ["A"], **members}]}


def catch(**members: object) -> Json:
    return {**TASK, "Catch": [{"ErrorEquals": ["A"], "Next": "Z", **members}]}


def reading(**config: object) -> object:
    """A Map that reads its items, with what it says about them."""
    reader = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config}
    return {**MAP, "ItemReader": reader}


def configured(**config: object) -> Json:
    return {**MAP, "ItemProcessor": {**INNER, "ProcessorConfig": config}}


SPREAD = configured(Mode="DISTRIBUTED", ExecutionType="STANDARD")


def choice(**rule: object) -> Json:
    return {"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "Z", **rule}]}


# State S, where its problem is (behind /States/S), and which.
STATES: list[tuple[object, str, str]] = [
    ({"End": True}, "", "member-missing"),
    ({"Type": "pass", "End": True}, "/Type", "member-value"),
    ({"Type": "Pass"}, "", "next-or-end"),
    ({"Type": "Pass", "End": False}, "", "next-or-end"),
    ({"Type": "Pass", "End": True, "Next": "Z"}, "/End", "next-or-end"),
    ({"Type": "Pass", "End": "true", "Next": "Z"}, "/End", "member-type"),
    ({"Type": "Pass", "Next": "Nope"}, "/Next", "target-missing"),
    ({"Type": "Pass", "Next": 1}, "/Next", "member-type"),
    ({**PASS, "Comment": []}, "/Comment", "member-type"),
    ({**PASS, "bugInputPath": "$"}, "/bugInputPath", "member-unknown"),
    ({**PASS, "a/b~c": 1}, "/a~1b~0c", "member-unknown"),
    ({**PASS, "Catch": []}, "/Catch", "member-unknown"),
    ({**PASS, "Assign": []}, "/Assign", "member-type"),
    ({**PASS, "Assign": {"a b": 1}}, "/Assign/a b", "variable-name"),
    ({**PASS, "Assign": {"a.b.$": "$"}}, "/Assign/a.b.$", "variable-name"),
    ({**PASS, "Assign": {"states": 1}}, "/Assign/states", "variable-name"),
    ({**PASS, "Assign": {"a" * 81: 1}}, "/Assign/" + "a" * 81, "variable-name"),
    ({**PASS, "Assign": {"a.$": "b"}}, "/Assign/a.$", "template-invalid"),
    ({**PASS, "Output": 1}, "/Output", "other-language-member"),
    ({**PASS, "InputPath": "a"}, "/InputPath", "path-invalid"),
    ({**PASS, "InputPath": 1}, "/InputPath", "member-type"),
    ({**PASS, "OutputPath": "$[" * 5_000}, "/OutputPath", "path-invalid"),
    ({**PASS, "ResultPath": "$.a[*]"}, "/ResultPath", "reference-path-invalid"),
    ({**PASS, "ResultPath": "$$.a"}, "/ResultPath", "reference-path-invalid"),
    ({**PASS, "ResultPath": 1}, "/ResultPath", "member-type"),
    ({**PASS, "Parameters": {"a": {"b.$": 1}}}, "/Parameters/a/b.$", "template-invalid"),
    ({**PASS, "Parameters": {"a.$": "a"}}, "/Parameters/a.$", "template-invalid"),
    ({**PASS, "Parameters": {"a": 1, "a.$": "$"}}, "/Parameters/a.$", "template-invalid"),
    (
        {**PASS, "Parameters": {"a.$": "States.Format(" * 10_000}},
        "/Parameters/a.$",
        "template-invalid",
    ),
    ({"Type": "Succeed", "ResultPath": "$.a"}, "/ResultPath", "member-unknown"),
    ({"Type": "Succeed", "End": True}, "/End", "member-unknown"),
    ({"Type": "Fail", "Parameters": {}}, "/Parameters", "member-unknown"),
    ({"Type": "Fail", "Assign": {}}, "/Assign", "member-unknown"),
    ({"Type": "Fail", "Error": "E", "ErrorPath": "$.e"}, "/ErrorPath", "members-exclusive"),
    ({"Type": "Fail", "Cause": "E", "CausePath": "$.e"}, "/CausePath", "members-exclusive"),
    ({"Type": "Fail", "Error": 1}, "/Error", "member-type"),
    ({"Type": "Fail", "ErrorPath": "Error"}, "/ErrorPath", "path-invalid"),
    ({"Type": "Fail", "ErrorPath": 1}, "/ErrorPath", "member-type"),
    ({"Type": "Fail", "CausePath": "States.MathAdd(1, 2)"}, "/CausePath", "fail-path-not-text"),
    (WAIT, "", "wait-members"),
    ({**WAIT, "Seconds": 1, "SecondsPath": "$.a"}, "", "wait-members"),
    ({**WAIT, "Seconds": -1}, "/Seconds", "member-range"),
    ({**WAIT, "Seconds": 1.5}, "/Seconds", "member-type"),
    ({**WAIT, "Seconds": 100_000_000}, "/Seconds", "member-range"),
    ({**WAIT, "SecondsPath": "$.a[*]"}, "/SecondsPath", "reference-path-invalid"),
    ({**WAIT, "SecondsPath": 5}, "/SecondsPath", "member-type"),
    ({**WAIT, "Timestamp": "2026-01-31"}, "/Timestamp", "timestamp-invalid"),
    ({**WAIT, "Timestamp": "2026-01-31t12:00:00z"}, "/Timestamp", "timestamp-invalid"),
    ({**WAIT, "TimestampPath": "x"}, "/TimestampPath", "path-invalid"),
    ({"Type": "Choice"}, "", "member-missing"),
    ({"Type": "Choice", "Choices": []}, "/Choices", "choices-empty"),
    ({"Type": "Choice", "Choices": {}}, "/Choices", "member-type"),
    ({"Type": "Choice", "Choices": [1]}, "/Choices/0", "member-type"),
    ({**choice(IsNull=True), "Default": "Nope"}, "/Default", "target-missing"),
    ({**choice(IsNull=True), "Next": "Z"}, "/Next", "member-unknown"),
    (choice(IsNull=True, Next="Nope"), "/Choices/0/Next", "target-missing"),
    (
        {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True}]},
        "/Choices/0",
        "member-missing",
    ),
    (choice(), "/Choices/0", "condition-invalid"),
    (choice(IsNull=1), "/Choices/0/IsNull", "condition-invalid"),
    (choice(IsNull=True, IsString=True), "/Choices/0", "condition-invalid"),
    (choice(IsNull=True, Equals=1), "/Choices/0/Equals", "condition-invalid"),
    (choice(IsNull=True, Comment=5), "/Choices/0/Comment", "member-type"),
    (
        {
            "Type": "Choice",
            "QueryLanguage": "JSONata",
            "Choices": [{"Condition": True, "Comment": {}, "Next": "Z"}],
        },
        "/Choices/0/Comment",
        "member-type",
    ),
    (choice(IsNull=True, Assign=1), "/Choices/0/Assign", "member-type"),
    (choice(IsNull=True, Output=1), "/Choices/0/Output", "other-language-member"),
    (
        {"Type": "Choice", "Choices": [{"Condition": True, "Next": "Z"}]},
        "/Choices/0/Condition",
        "other-language-member",
    ),
    (PARALLEL, "", "member-missing"),
    ({**PARALLEL, "Branches": []}, "/Branches", "parallel-branches-empty"),
    ({**PARALLEL, "Branches": [1]}, "/Branches/0", "member-type"),
    ({**PARALLEL, "Branches": [{}]}, "/Branches/0", "member-missing"),
    (
        {**PARALLEL, "Branches": [{**INNER, "TimeoutSeconds": 1}]},
        "/Branches/0/TimeoutSeconds",
        "member-unknown",
    ),
    ({**PARALLEL, "Branches": [INNER, INNER]}, "/Branches/1/States/I", "state-name-duplicate"),
    (
        {
            **PARALLEL,
            "Branches": [
                {
                    "StartAt": "B",
                    "States": {"B": {"Type": "Pass", "Next": "Z"}, "C": {"Type": "Fail"}},
                }
            ],
        },
        "/Branches/0/States/B/Next",
        "target-missing",
    ),
    ({"Type": "Map", "End": True}, "", "member-missing"),
    ({**MAP, "ItemProcessor": []}, "/ItemProcessor", "member-type"),
    (
        {**MAP, "ItemProcessor": {**INNER, "QueryLanguage": "JSONPath"}},
        "/ItemProcessor/QueryLanguage",
        "member-unknown",
    ),
    (configured(Mode="FAST"), "/ItemProcessor/ProcessorConfig/Mode", "member-value"),
    ({**MAP, "Iterator": INNER}, "/Iterator", "members-exclusive"),
    ({**MAP, "Parameters": {}, "ItemSelector": {}}, "/Parameters", "members-exclusive"),
    (
        {**MAP, "MaxConcurrency": 1, "MaxConcurrencyPath": "$.a"},
        "/MaxConcurrencyPath",
        "members-exclusive",
    ),
    ({**MAP, "MaxConcurrency": -1}, "/MaxConcurrency", "member-range"),
    ({**MAP, "ItemsPath": None}, "/ItemsPath", "member-type"),
    ({**MAP, "Items": []}, "/Items", "other-language-member"),
    ({**MAP, "ItemReader": {"Parameters": {}}}, "/ItemReader", "member-missing"),
    ({**MAP, "ItemReader": {"Resource": "s3"}}, "/ItemReader/Resource", "member-value"),
    (
        reading(InputType="XML"),
        "/ItemReader/ReaderConfig/InputType",
        "member-value",
    ),
    (reading(MaxItems=-1), "/ItemReader/ReaderConfig/MaxItems", "member-range"),
    ({**SPREAD, "ItemBatcher": {}}, "/ItemBatcher", "map-batcher-bounds"),
    (
        {**SPREAD, "ItemBatcher": {"MaxItemsPerBatch": 0}},
        "/ItemBatcher/MaxItemsPerBatch",
        "member-range",
    ),
    (
        {**SPREAD, "ItemBatcher": {"MaxInputBytesPerBatch": 300_000}},
        "/ItemBatcher/MaxInputBytesPerBatch",
        "member-range",
    ),
    ({**MAP, "ResultWriter": {}}, "/ResultWriter", "member-missing"),
    (
        {**MAP, "ResultWriter": {"WriterConfig": {"OutputType": "XML"}}},
        "/ResultWriter/WriterConfig/OutputType",
        "member-value",
    ),
    ({**MAP, "Label": "a b"}, "/Label", "map-label-invalid"),
    ({**MAP, "Label": "x" * 41}, "/Label", "map-label-invalid"),
    ({**MAP, "ToleratedFailureCount": -1}, "/ToleratedFailureCount", "member-range"),
    ({**MAP, "ToleratedFailurePercentage": 101}, "/ToleratedFailurePercentage", "member-range"),
    (
        {**MAP, "ToleratedFailureCount": 1, "ToleratedFailureCountPath": "$.a"},
        "/ToleratedFailureCountPath",
        "members-exclusive",
    ),
    ({"Type": "Task", "End": True}, "", "member-missing"),
    ({**TASK, "Arguments": {}}, "/Arguments", "other-language-member"),
    ({**TASK, "Resource": 1}, "/Resource", "member-type"),
    ({**TASK, "Resource": ""}, "/Resource", "resource-invalid"),
    ({**TASK, "Resource": "${fn"}, "/Resource", "resource-invalid"),
    ({**TASK, "Resource": "fn"}, "/Resource", "resource-invalid"),
    ({**TASK, "Resource": "arn:aws:states:::dynamodb:query"}, "/Resource", "resource-unrecognized"),
    ({**TASK, "Resource": "treadle:pod"}, "/Resource", "resource-unrecognized"),
    (
        {**TASK, "TimeoutSeconds": 1, "TimeoutSecondsPath": "$.a"},
        "/TimeoutSecondsPath",
        "members-exclusive",
    ),
    (
        {**TASK, "HeartbeatSeconds": 1, "HeartbeatSecondsPath": "$.a"},
        "/HeartbeatSecondsPath",
        "members-exclusive",
    ),
    (
        {**TASK, "TimeoutSeconds": 9, "HeartbeatSeconds": 9},
        "/HeartbeatSeconds",
        "heartbeat-not-below-timeout",
    ),
    ({**TASK, "TimeoutSeconds": 0}, "/TimeoutSeconds", "member-range"),
    ({**TASK, "TimeoutSecondsPath": "$..a"}, "/TimeoutSecondsPath", "reference-path-invalid"),
    ({**TASK, "Credentials": None}, "/Credentials", "member-type"),
    ({**TASK, "Credentials": {"flag": True}}, "/Credentials", "credentials-role-missing"),
    (
        {**TASK, "Credentials": {"RoleArn.$": "no path"}},
        "/Credentials/RoleArn.$",
        "template-invalid",
    ),
    ({**TASK, "ResultSelector": {"a.$": []}}, "/ResultSelector/a.$", "template-invalid"),
    ({**TASK, "Retry": {}}, "/Retry", "member-type"),
    ({**TASK, "Retry": ["A"]}, "/Retry/0", "member-type"),
    ({**TASK, "Retry": [{}]}, "/Retry/0", "member-missing"),
    (retry(ErrorEquals=[]), "/Retry/0/ErrorEquals", "error-equals-empty"),
    (retry(ErrorEquals="A"), "/Retry/0/ErrorEquals", "member-type"),
    (retry(ErrorEquals=["A", 1]), "/Retry/0/ErrorEquals/1", "member-type"),
    (retry(ErrorEquals=["States.ALL", "A"]), "/Retry/0/ErrorEquals", "error-all-not-alone"),
    (
        {**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]},
        "/Retry/0/ErrorEquals",
        "error-all-not-last",
    ),
    (retry(IntervalSeconds=0), "/Retry/0/IntervalSeconds", "retry-interval-range"),
    (retry(IntervalSeconds=1.5), "/Retry/0/IntervalSeconds", "member-type"),
    (retry(MaxAttempts=-1), "/Retry/0/MaxAttempts", "retry-attempts-negative"),
    (retry(MaxAttempts=100_000_000), "/Retry/0/MaxAttempts", "retry-attempts-negative"),
    (retry(BackoffRate=0.9), "/Retry/0/BackoffRate", "retry-backoff-below-one"),
    (retry(BackoffRate=10**400), "/Retry/0/BackoffRate", "retry-backoff-below-one"),
    (retry(BackoffRate="2"), "/Retry/0/BackoffRate", "member-type"),
    (retry(MaxDelaySeconds=31_622_401), "/Retry/0/MaxDelaySeconds", "retry-delay-range"),
    (retry(JitterStrategy="SOME"), "/Retry/0/JitterStrategy", "member-value"),
    (retry(Next="Z"), "/Retry/0/Next", "member-unknown"),
    (retry(Comment=5), "/Retry/0/Comment", "member-type"),
    ({**TASK, "Catch": [{"ErrorEquals": ["A"]}]}, "/Catch/0", "member-missing"),
    (catch(Next="Nope"), "/Catch/0/Next", "target-missing"),
    (catch(Assign={"1": 1}), "/Catch/0/Assign/1", "variable-name"),
    (catch(Comment=[]), "/Catch/0/Comment", "member-type"),
    (catch(Output=1), "/Catch/0/Output", "other-language-member"),
    (catch(ResultPath="$$"), "/Catch/0/ResultPath", "reference-path-invalid"),
]


@pytest.mark.parametrize(("state", "suffix", "code"), STATES, ids=lambda v: repr(v)[:60])
def test_a_wrong_state_is_told_once(state: object, suffix: str, code: str) -> None:
    assert found(machine(state)) == [(f"/States/S{suffix}", code)]
