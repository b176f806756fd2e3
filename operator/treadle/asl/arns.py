"""Amazon resource names, and what the text of a Task's Resource asks for.

One rule: names are taken apart here and nowhere else; whether something can run is not judged.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from treadle.asl.services import has_action

Pattern: TypeAlias = Literal["request-response", "sync", "sync:2", "waitForTaskToken"]
Kind: TypeAlias = Literal["activity", "integration", "lambda", "native", "other", "sdk"]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a Task's Resource asks for.

    Attributes:
        kind: `lambda` a function by its own ARN; `activity` an activity's ARN; `integration` an
            optimized integration; `sdk` a call of an AWS SDK; `native` one of ours (`treadle:`);
            `other` anything else.
        service: `dynamodb`; of ours the word after `treadle:` (`job`, `http`, `activity`…).
        action: `putItem`; the name of the function or the activity; of `other` the whole text.
        pattern: when the Task is over.
    """

    kind: Kind
    service: str
    action: str
    pattern: Pattern = "request-response"


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A Lambda function by one of its names; a part that the name does not say is empty.

    Attributes:
        region_arn: `arn:aws:lambda:us-east-1`, where the name is a whole ARN.
        account: 12 digits.
        name: `resize`.
        qualifier: a version, an alias or `$LATEST`.
    """

    region_arn: str
    account: str
    name: str
    qualifier: str = ""

    def forms(self) -> Iterator[str]:
        """The names under which it may be listed, the one that says most first.

        A whole ARN, then `account:function:name`, then `name`; each with the qualifier before it
        comes without. A name without a qualifier means `$LATEST`.
        """
        stems = [self.name]
        if self.account:
            stems.insert(0, f"{self.account}:function:{self.name}")
        if self.region_arn:
            stems.insert(0, f"{self.region_arn}:{self.account}:function:{self.name}")
        ends = (f":{self.qualifier}", "") if self.qualifier else ("", f":{LATEST}")
        return (stem + end for stem in stems for end in ends)

    def __str__(self) -> str:
        """The name that says most."""
        return next(self.forms())


FUNCTION_FORMS: Final = (
    "a Lambda ARN, account:function:name or a name, each with :qualifier or without"
)
"""What `parse_function` takes, for people."""

LATEST: Final = "$LATEST"
"""What a function is when no version of it is named."""

WAIT_FOR_TASK_TOKEN: Final = ".waitForTaskToken"
"""How a Resource ends whose Task is over when the holder of its token says so."""

_SUFFIXES: Final[tuple[tuple[str, Pattern], ...]] = (
    (WAIT_FOR_TASK_TOKEN, "waitForTaskToken"),
    (".sync:2", "sync:2"),
    (".sync", "sync"),
)
_NATIVE = re.compile(r"treadle:([a-z]+)(?:/(.+))?", re.DOTALL)
_LAMBDA = re.compile(r"arn:[^:]+:lambda:[^:]*:[^:]*:function:(.+)", re.DOTALL)
_ACTIVITY = re.compile(r"arn:[^:]+:states:[^:]+:[^:]+:activity:(.+)", re.DOTALL)
# AWS API, Invoke: "FunctionName".
_FUNCTION = re.compile(
    r"(?:(arn:[^:\s]+:lambda:[^:\s]*):([^:\s]*):function:|(?:(\d+):)?function:|)"
    r"([A-Za-z0-9_.-]+)(?::(\$LATEST|[A-Za-z0-9_-]+))?"
)
_MACHINE = re.compile(r"arn:[^:\s]+:states:[^:\s]+:\d+:stateMachine:[^:\s]+(:[^:\s]+)?")
_INTEGRATION = re.compile(r"arn:[^:]+:states:::([^:]+):?(.*)", re.DOTALL)


def parse_resource(text: str) -> Resource:
    """What a Resource asks for; any text has an answer.

    Spec: "Task State"; the patterns: AWS, "Service integration patterns".
    """
    stem, pattern = _without_suffix(text)
    if match := _NATIVE.fullmatch(stem):
        return Resource("native", match[1], match[2] or "", pattern)
    if match := _LAMBDA.fullmatch(stem):
        return Resource("lambda", "lambda", match[1], pattern)
    if match := _ACTIVITY.fullmatch(stem):
        return Resource("activity", "activity", match[1], pattern)
    if match := _INTEGRATION.fullmatch(stem):
        service, action = match.groups()
        if service != "aws-sdk":
            return Resource("integration", service, action, pattern)
        service, _, action = action.partition(":")
        return Resource("sdk", service, action, pattern)
    return Resource("other", "", text)


def parse_function(text: str) -> FunctionName | None:
    """The function that a name means; None where the text names none.

    Args:
        text: an ARN, `account:function:name` or `name`, each with `:qualifier` or without.

    Spec: AWS API, Invoke, "FunctionName".
    """
    match = _FUNCTION.fullmatch(text)
    if match is None:
        return None
    region_arn, account, partial_account, name, qualifier = match.groups(default="")
    return FunctionName(region_arn, account or partial_account, name, qualifier)


def is_function_call(resource: Resource) -> bool:
    """Whether a Resource calls a Lambda function, and waits for nothing else but a token."""
    if (resource.kind, resource.service, resource.action) == INVOKE:
        return resource.pattern in ("request-response", "waitForTaskToken")
    return resource.kind == "lambda" and resource.pattern == "request-response"


def without_token(resource: str) -> str:
    """What a Task calls that then waits for the answer to its token; others as they are."""
    return resource.removesuffix(WAIT_FOR_TASK_TOKEN)


ACTIVITY: Final = "treadle:activity/NAME"
"""How activities stand in a list of Resources that are run: any of them, under each of its names.
"""


def listed(resource: str) -> str:
    """How a Resource stands in a list of those that are run: without a token, activities as one."""
    # Most are none, and this is asked of every attempt.
    if "activity" in resource and parse_resource(resource).service == "activity":
        return ACTIVITY
    return without_token(resource)


def is_recognized(resource: Resource) -> bool:
    """Whether AWS, or Treadle for its own names, knows what a Resource asks for.

    A service that is not listed is taken as known, with whatever action: AWS adds services faster
    than the lists grow.
    """
    match resource.kind:
        case "native":
            named = (resource.service == "activity") is bool(resource.action)
            return resource.service in NATIVE_SERVICES and named and _has_native_pattern(resource)
        case "integration":
            actions = OPTIMIZED.get(resource.service)
            return actions is None or resource.pattern in actions.get(resource.action, ())
        case "sdk":
            # AWS: "AWS SDK integrations" have no job to wait for.
            if resource.pattern not in ("request-response", "waitForTaskToken"):
                return False
            return (
                bool(resource.action) and has_action(resource.service, resource.action) is not False
            )
        case _:
            return True


def _has_native_pattern(resource: Resource) -> bool:
    # Each of ours is over when its work is; only a child execution can also be merely started.
    return resource.service == "execution" or not resource.pattern.startswith("sync")


def state_machine_arn(region: str, account: str, machine: str) -> str:
    """The ARN of a state machine."""
    return f"arn:aws:states:{region}:{account}:stateMachine:{machine}"


def execution_arn(region: str, account: str, machine: str, name: str) -> str:
    """The ARN of an execution of a STANDARD machine."""
    return f"arn:aws:states:{region}:{account}:execution:{machine}:{name}"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose state machines and executions ARNs name: those of one namespace."""

    region: str
    number: str

    def machine_arn(self, machine: str) -> str:
        """The ARN of one of its state machines."""
        return state_machine_arn(self.region, self.number, machine)

    def execution_arn(self, machine: str, name: str) -> str:
        """The ARN of one of its executions."""
        return execution_arn(self.region, self.number, machine, name)

    def activity_named(self, resource: str) -> str | None:
        """The activity that a Resource names; None for one of others."""
        asked = parse_resource(resource)
        if asked.kind == "activity" and not resource.startswith(self.activity_arn("")):
            return None
        return asked.action

    def activity_arn(self, name: str) -> str:
        """The ARN of one of its activities."""
        return activity_arn(self.region, self.number, name)

    def machine_named(self, arn: str) -> str | None:
        """The state machine that an ARN names, with its qualifier; None for one of others."""
        stem = self.machine_arn("")
        return arn.removeprefix(stem) if arn.startswith(stem) else None


def is_state_machine(arn: str) -> bool:
    """Whether a text is the ARN of a state machine, of a version, or of an alias."""
    return _MACHINE.fullmatch(arn) is not None


def child_execution_arn(execution_arn: str, label: str, name: str) -> str:
    """The ARN of an execution that a map run of another starts."""
    return f"{execution_arn.rpartition(':')[0]}/{label}:{name}"


def child_machine_arn(machine_arn: str, label: str) -> str:
    """The ARN of what the children of a map run execute."""
    return f"{machine_arn}/{label}"


def map_run_arn(machine_arn: str, label: str, run: str) -> str:
    """The ARN of a map run. Source: recorded MapRunStarted."""
    return f"{machine_arn.replace(':stateMachine:', ':mapRun:')}/{label}:{run}"


def activity_arn(region: str, account: str, name: str) -> str:
    """The ARN of an activity."""
    return f"arn:aws:states:{region}:{account}:activity:{name}"


INVOKE: Final = ("integration", "lambda", "invoke")
"""Kind, service and action of the integration that calls Lambda functions."""


def _without_suffix(text: str) -> tuple[str, Pattern]:
    for suffix, pattern in _SUFFIXES:
        if text.endswith(suffix):
            return text.removesuffix(suffix), pattern
    return text, "request-response"


NATIVE_SERVICES: Final = frozenset({"activity", "approval", "execution", "http", "job", "resource"})
"""What may stand after `treadle:`. An activity has a name after a slash, the others have none."""

# AWS: "Integrating services with Step Functions", the optimized integrations, and each one's page.
# After an action stand the patterns that it has beside request-response. Where the pages disagree
# (a token for EKS) or say nothing of an action, it is taken to have the pattern.
OPTIMIZED: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    service: {
        action: frozenset(("request-response", *patterns))
        for action, *patterns in (each.split(".") for each in actions.split())
    }
    for service, actions in {
        "apigateway": "invoke.waitForTaskToken",
        "athena": "startQueryExecution.sync stopQueryExecution getQueryExecution getQueryResults",
        "batch": "submitJob.sync",
        "bedrock": "invokeModel.waitForTaskToken createModelCustomizationJob.sync",
        "codebuild": "startBuild.sync stopBuild batchDeleteBuilds batchGetReports"
        " startBuildBatch.sync stopBuildBatch retryBuildBatch.sync deleteBuildBatch",
        "databrew": "startJobRun.sync",
        "dynamodb": "getItem putItem updateItem deleteItem",
        "ecs": "runTask.sync.waitForTaskToken",
        "eks": "call runJob.sync.waitForTaskToken"
        " createCluster.sync.waitForTaskToken deleteCluster.sync.waitForTaskToken"
        " createFargateProfile.sync.waitForTaskToken deleteFargateProfile.sync.waitForTaskToken"
        " createNodegroup.sync.waitForTaskToken deleteNodegroup.sync.waitForTaskToken",
        "elasticmapreduce": "createCluster.sync setClusterTerminationProtection"
        " terminateCluster.sync addStep.sync cancelStep modifyInstanceFleetByName"
        " modifyInstanceGroupByName",
        "emr-containers": "createVirtualCluster.sync deleteVirtualCluster.sync startJobRun.sync",
        "emr-serverless": "createApplication.sync startApplication.sync stopApplication.sync"
        " deleteApplication.sync startJobRun.sync cancelJobRun.sync",
        "events": "putEvents.waitForTaskToken",
        "glue": "startJobRun.sync",
        "http": "invoke",
        "lambda": "invoke.waitForTaskToken",
        "mediaconvert": "createJob.sync",
        "sagemaker": "createEndpoint.sync createEndpointConfig createHyperParameterTuningJob.sync"
        " createLabelingJob.sync createModel createProcessingJob.sync createTrainingJob.sync"
        " createTransformJob.sync updateEndpoint.sync",
        "sns": "publish.waitForTaskToken",
        "sqs": "sendMessage.waitForTaskToken",
        "states": "startExecution.sync.sync:2.waitForTaskToken",
    }.items()
}
