"""Resources and ARNs."""

import pytest

from treadle.asl.arns import (
    Resource,
    activity_arn,
    execution_arn,
    is_recognized,
    parse_resource,
    state_machine_arn,
)


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("arn:aws:lambda:us-east-1:1:function:F", Resource("lambda", "lambda", "F")),
        ("arn:aws:lambda:us-east-1:1:function:F:live", Resource("lambda", "lambda", "F:live")),
        ("arn:aws:lambda:::function:F", Resource("lambda", "lambda", "F")),
        ("arn:aws:states:us-east-1:1:activity:A", Resource("activity", "activity", "A")),
        ("arn:aws:states:::lambda:invoke", Resource("integration", "lambda", "invoke")),
        ("arn:aws-cn:states:::sns:publish", Resource("integration", "sns", "publish")),
        (
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            Resource("integration", "sqs", "sendMessage", "waitForTaskToken"),
        ),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            Resource("integration", "states", "startExecution", "sync:2"),
        ),
        ("arn:aws:states:::eks:runJob.sync", Resource("integration", "eks", "runJob", "sync")),
        ("arn:aws:states:::aws-sdk:s3:getObject", Resource("sdk", "s3", "getObject")),
        ("arn:aws:states:::aws-sdk:s3", Resource("other", "", "arn:aws:states:::aws-sdk:s3")),
        ("treadle:job", Resource("native", "job", "")),
        ("treadle:job.waitForTaskToken", Resource("native", "job", "", "waitForTaskToken")),
        ("treadle:execution.sync:2", Resource("native", "execution", "", "sync:2")),
        ("treadle:activity/pack", Resource("native", "activity", "pack")),
        ("foo:bar", Resource("other", "", "foo:bar")),
        ("", Resource("other", "", "")),
    ],
)
def test_a_resource_is_taken_apart(text: str, resource: Resource) -> None:
    assert parse_resource(text) == resource


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:states:::dynamodb:getItem",
        "arn:aws:states:::ecs:runTask.sync",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::events:putEvents.waitForTaskToken",
        "arn:aws:states:::aws-sdk:s3:getObject.waitForTaskToken",
        "arn:aws:states:::newservice:doIt.sync",
        "arn:aws:lambda:us-east-1:1:function:F",
        "treadle:activity/pack",
        "treadle:execution.sync",
        "treadle:approval",
        "anything:else",
    ],
)
def test_what_aws_or_we_have_is_recognized(text: str) -> None:
    assert is_recognized(parse_resource(text))


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:states:::dynamodb:query",
        "arn:aws:states:::dynamodb:getItem.sync",
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:::batch:submitJob.sync:2",
        "arn:aws:states:::batch:submitJob.waitForTaskToken",
        "arn:aws:states:::aws-sdk:s3:getObject.sync",
        "treadle:pod",
        "treadle:job/x",
        "treadle:activity",
        "treadle:job.sync",
    ],
)
def test_what_nobody_has_is_not_recognized(text: str) -> None:
    assert not is_recognized(parse_resource(text))


def test_arns_are_written_as_aws_writes_them() -> None:
    assert state_machine_arn("r", "1", "m") == "arn:aws:states:r:1:stateMachine:m"
    assert execution_arn("r", "1", "m", "e") == "arn:aws:states:r:1:execution:m:e"
    assert activity_arn("r", "1", "a") == "arn:aws:states:r:1:activity:a"
