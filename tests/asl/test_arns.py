"""Resources and ARNs."""

import pytest

from treadle.asl.arns import (
    Account,
    FunctionName,
    Resource,
    activity_arn,
    execution_arn,
    is_function_call,
    is_recognized,
    is_state_machine,
    parse_function,
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
        ("arn:aws:states:::aws-sdk:s3", Resource("sdk", "s3", "")),
        ("arn:aws:states:::aws-sdk:s3:a:x", Resource("sdk", "s3", "a:x")),
        ("arn:aws:states:::lambda:invoke:foo", Resource("integration", "lambda", "invoke:foo")),
        ("arn:aws:states:::lambda", Resource("integration", "lambda", "")),
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
        "arn:aws:states:::aws-sdk:dynamodb:query",
        "arn:aws-cn:states:::aws-sdk:sfn:sendTaskSuccess",
        "arn:aws:states:::aws-sdk:newservice:doIt",
        "arn:aws:states:::newservice:doIt.sync",
        "arn:aws:states:::newservice:doIt:x",
        "arn:aws:states:::eks:call",
        "arn:aws:states:::eks:runJob.sync",
        "arn:aws:states:::eks:runJob.waitForTaskToken",
        "arn:aws:states:::codebuild:stopBuild",
        "arn:aws:states:::codebuild:startBuild.sync",
        "arn:aws:states:::codebuild:startBuildBatch.sync",
        "arn:aws:states:::codebuild:retryBuildBatch.sync",
        "arn:aws:states:::athena:getQueryResults",
        "arn:aws:states:::athena:startQueryExecution.sync",
        "arn:aws:states:::elasticmapreduce:addStep.sync",
        "arn:aws:states:::sagemaker:createEndpoint.sync",
        "arn:aws:states:::bedrock:invokeModel.waitForTaskToken",
        "arn:aws:states:::bedrock:createModelCustomizationJob.sync",
        "arn:aws:states:::states:startExecution.waitForTaskToken",
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
        "arn:aws:states:::eks:call.sync",
        "arn:aws:states:::eks:call.waitForTaskToken",
        "arn:aws:states:::sagemaker:createModel.sync",
        "arn:aws:states:::sagemaker:createEndpointConfig.sync",
        "arn:aws:states:::athena:getQueryResults.sync",
        "arn:aws:states:::athena:getQueryExecution.sync",
        "arn:aws:states:::athena:stopQueryExecution.sync",
        "arn:aws:states:::codebuild:stopBuild.sync",
        "arn:aws:states:::codebuild:batchGetReports.sync",
        "arn:aws:states:::elasticmapreduce:cancelStep.sync",
        "arn:aws:states:::elasticmapreduce:setClusterTerminationProtection.sync",
        "arn:aws:states:::elasticmapreduce:modifyInstanceFleetByName.sync",
        "arn:aws:states:::bedrock:invokeModel.sync",
        "arn:aws:states:::bedrock:createModelCustomizationJob.waitForTaskToken",
        "arn:aws:states:::states:startExecution.sync:3",
        "arn:aws:states:::lambda:invoke:foo",
        "arn:aws:states:::lambda",
        "arn:aws:states:::sqs:sendMessage:x",
        "arn:aws:states:::aws-sdk:s3",
        "arn:aws:states:::aws-sdk:newservice",
        "arn:aws:states:::aws-sdk:s3:getObject:x",
        "arn:aws:states:::aws-sdk:s3:getObject.sync",
        "arn:aws:states:::aws-sdk:newservice:doIt.sync",
        "arn:aws:states:::aws-sdk:dynamodb:qwery",
        "arn:aws:states:::aws-sdk:dynamodb:PutItem",
        "arn:aws:states:::aws-sdk:dynamodb:qwery.waitForTaskToken",
        "arn:aws:states:::aws-sdk:sts:assumeRole",
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


HERE = "arn:aws:lambda:us-east-1"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{HERE}:1:function:F", FunctionName(HERE, "1", "F")),
        (f"{HERE}:1:function:F:live", FunctionName(HERE, "1", "F", "live")),
        (f"{HERE}:1:function:F:$LATEST", FunctionName(HERE, "1", "F", "$LATEST")),
        (
            "arn:aws-cn:lambda:cn-north-1:1:function:F_1-a.b:7",
            FunctionName("arn:aws-cn:lambda:cn-north-1", "1", "F_1-a.b", "7"),
        ),
        ("1:function:F", FunctionName("", "1", "F")),
        ("1:function:F:7", FunctionName("", "1", "F", "7")),
        ("function:F", FunctionName("", "", "F")),
        ("F", FunctionName("", "", "F")),
        ("F:live", FunctionName("", "", "F", "live")),
    ],
)
def test_a_functions_name_is_taken_apart(text: str, name: FunctionName) -> None:
    assert parse_function(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "a b", "F:", ":F", "F:a:b", "${F}", f"{HERE}:1:layer:F", f"{HERE}:1:function:", "F\n"],
)
def test_what_names_no_function_is_not_taken_for_one(text: str) -> None:
    assert parse_function(text) is None


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        (
            f"{HERE}:1:function:F:7",
            [
                f"{HERE}:1:function:F:7",
                f"{HERE}:1:function:F",
                "1:function:F:7",
                "1:function:F",
                "F:7",
                "F",
            ],
        ),
        ("1:function:F", ["1:function:F", "1:function:F:$LATEST", "F", "F:$LATEST"]),
        ("F:$LATEST", ["F:$LATEST", "F"]),
    ],
)
def test_a_function_is_listed_under_the_name_that_says_most(text: str, forms: list[str]) -> None:
    name = parse_function(text)
    assert name is not None
    assert list(name.forms()) == forms
    assert str(name) == text


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"{HERE}:1:function:F", True),
        ("arn:aws:states:::lambda:invoke", True),
        ("arn:aws-us-gov:states:::lambda:invoke", True),
        ("arn:aws:states:::lambda:invoke.waitForTaskToken", True),
        (f"{HERE}:1:function:F.waitForTaskToken", False),
        ("arn:aws:states:::aws-sdk:lambda:invoke", False),
        ("treadle:job", False),
    ],
)
def test_a_function_call_waits_for_its_answer_or_for_a_token(text: str, calls: bool) -> None:
    assert is_function_call(parse_resource(text)) is calls


# ------------------------------------------------------------------------------------- accounts

ACCOUNT = Account("us-east-1", "000000000001")
MACHINE = "arn:aws:states:us-east-1:000000000001:stateMachine:square"


def test_an_account_names_its_machines_and_executions() -> None:
    assert ACCOUNT.machine_arn("square") == MACHINE
    assert ACCOUNT.machine_named(MACHINE) == "square"
    assert ACCOUNT.machine_named(f"{MACHINE}:3") == "square:3"
    assert (
        ACCOUNT.execution_arn("square", "x") == MACHINE.replace("stateMachine", "execution") + ":x"
    )


@pytest.mark.parametrize(
    "arn", ["square", MACHINE.replace("us-", "eu-"), MACHINE.replace("001:", "002:")]
)
def test_what_others_have_is_none_of_its(arn: str) -> None:
    assert ACCOUNT.machine_named(arn) is None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (MACHINE, True),
        (f"{MACHINE}:live", True),
        (f"{MACHINE}:live:more", False),
        (MACHINE.replace("stateMachine", "execution"), False),
        (MACHINE.removesuffix("square"), False),
        ("square", False),
    ],
)
def test_arns_of_state_machines(text: str, is_one: bool) -> None:
    assert is_state_machine(text) is is_one
