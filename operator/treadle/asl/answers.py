"""Which forms the result of a Task may have: the called service's own answer, or another.

One rule: a form is given only where AWS describes one; everything else has none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from treadle.asl.arns import Resource
from treadle.asl.services import Code, Service, Shape, find_service


@dataclass(frozen=True, slots=True)
class Form:
    """One form that a result may have.

    Attributes:
        shapes: what the numbers among codes mean.
        members: of the whole result.
        is_sdk: whether members are spelled as in a call of an AWS SDK.
        timestamps: what a timestamp may be.
    """

    shapes: Sequence[Shape]
    members: Mapping[str, Code]
    is_sdk: bool = False
    timestamps: tuple[type, ...] = (str,)


def forms_of(resource: Resource) -> Iterator[Form]:
    """The forms that the result of a Task may have.

    Where a job is waited for, the result is of the call that asks whether the job is over. Which
    part of that answer it is, AWS does not say of every job: then both forms are given.

    Source: AWS, "Integrating services with Step Functions"; "Testing state machines with TestState
    API", "Testing Activity, .sync, and .waitForTaskToken states".
    """
    match resource.kind, resource.pattern:
        case "sdk", "request-response":
            service = find_service(resource.service)
            members = _members(service, resource.action)
            if service is not None and members is not None:
                yield Form(service.shapes, members, is_sdk=True)
        case "integration", "request-response":
            name = f"{resource.service}:{resource.action}"
            own = f"{_SERVICES.get(resource.service, resource.service)}:{resource.action}"
            for source in _ASKED.get(name, (own,)):
                yield from _form(source, _FREE.get(name, ()), (str,))
        case "integration", "sync" | "sync:2":
            name = f"{resource.service}:{resource.action}"
            free = _FREE.get(f"{name}.{resource.pattern}", ())
            for source in _POLLED.get(name, ()):
                yield from _form(source, free, (str, int, float))


def _form(source: "_Source", free: Sequence[str], timestamps: tuple[type, ...]) -> Iterator[Form]:
    if not isinstance(source, str):
        yield Form((), source)
        return
    action, _, member = source.partition("/")
    service_name, _, action = action.partition(":")
    service = find_service(service_name)
    members = _members(service, action, member)
    if service is not None and members is not None:
        opened = {
            name: "a" if name.removeprefix("!") in free else code for name, code in members.items()
        }
        yield Form(service.shapes, opened, timestamps=timestamps)


def _members(service: Service | None, action: str, member: str = "") -> Mapping[str, Code] | None:
    """What an action answers, or what one member of that is; of a list its item."""
    code = None if service is None else service.outputs.get(action)
    if service is None or not isinstance(code, int):
        return None
    shape = service.shapes[code]
    if member and isinstance(shape, Mapping):
        shape = service.shapes[int(shape.get(member, shape.get(f"!{member}", code)))]
    if not isinstance(shape, Mapping):
        shape = service.shapes[int(shape[1])]
    return shape if isinstance(shape, Mapping) else None


_Source: TypeAlias = str | Mapping[str, Code]
"""`service:action`, `service:action/Member`, or the members themselves."""

_SERVICES: Final = {
    "elasticmapreduce": "emr",
    "emr-containers": "emrcontainers",
    "emr-serverless": "emrserverless",
    "events": "eventbridge",
    "states": "sfn",
}
"""The optimized integrations whose SDK has another name."""

_ASKED: Final[Mapping[str, tuple[_Source, ...]]] = {
    # AWS, "Mock validation modes": these are not looked at.
    "apigateway:invoke": (),
    "eks:call": (),
    "eks:runJob": (),
    "http:invoke": (),
    # AWS, "Create and manage Amazon EMR clusters": responses of their own.
    "elasticmapreduce:addStep": ({"StepId": "s"},),
    "elasticmapreduce:createCluster": ({"ClusterArn": "s", "ClusterId": "s"},),
    "bedrock:invokeModel": ("bedrockruntime:invokeModel",),
}
"""What answers an optimized integration, where that is not the action of the same name."""

_BUILD_BATCH: Final = ("codebuild:startBuildBatch", "codebuild:batchGetBuildBatches")
_APPLICATION: Final = ("emrserverless:getApplication", "emrserverless:getApplication/Application")
_JOB_RUN: Final = ("emrserverless:getJobRun", "emrserverless:getJobRun/JobRun")
_CLUSTER: Final = ("emr:describeCluster", "emr:describeCluster/Cluster")

_POLLED: Final[Mapping[str, tuple[str, ...]]] = {
    "athena:startQueryExecution": ("athena:getQueryExecution",),
    "batch:submitJob": ("batch:describeJobs", "batch:describeJobs/Jobs"),
    "bedrock:createModelCustomizationJob": ("bedrock:getModelCustomizationJob",),
    "codebuild:retryBuildBatch": _BUILD_BATCH,
    "codebuild:startBuild": ("codebuild:startBuild", "codebuild:batchGetBuilds"),
    "codebuild:startBuildBatch": _BUILD_BATCH,
    "databrew:startJobRun": ("databrew:describeJobRun",),
    "ecs:runTask": ("ecs:describeTasks", "ecs:describeTasks/Tasks"),
    "eks:createCluster": ("eks:describeCluster",),
    "eks:createFargateProfile": ("eks:describeFargateProfile",),
    "eks:createNodegroup": ("eks:describeNodegroup",),
    "eks:deleteCluster": ("eks:describeCluster",),
    "eks:deleteFargateProfile": ("eks:describeFargateProfile",),
    "eks:deleteNodegroup": ("eks:describeNodegroup",),
    "elasticmapreduce:addStep": ("emr:describeStep", "emr:describeStep/Step"),
    "elasticmapreduce:createCluster": _CLUSTER,
    "elasticmapreduce:terminateCluster": _CLUSTER,
    "emr-containers:deleteVirtualCluster": (
        "emrcontainers:describeVirtualCluster",
        "emrcontainers:describeVirtualCluster/VirtualCluster",
    ),
    "emr-containers:startJobRun": (
        "emrcontainers:describeJobRun",
        "emrcontainers:describeJobRun/JobRun",
    ),
    "emr-serverless:cancelJobRun": _JOB_RUN,
    "emr-serverless:createApplication": _APPLICATION,
    "emr-serverless:deleteApplication": _APPLICATION,
    "emr-serverless:startApplication": _APPLICATION,
    "emr-serverless:startJobRun": _JOB_RUN,
    "emr-serverless:stopApplication": _APPLICATION,
    "glue:startJobRun": ("glue:getJobRun", "glue:getJobRun/JobRun"),
    "mediaconvert:createJob": ("mediaconvert:getJob", "mediaconvert:getJob/Job"),
    "sagemaker:createHyperParameterTuningJob": ("sagemaker:describeHyperParameterTuningJob",),
    "sagemaker:createLabelingJob": ("sagemaker:describeLabelingJob",),
    "sagemaker:createProcessingJob": ("sagemaker:describeProcessingJob",),
    "sagemaker:createTrainingJob": ("sagemaker:describeTrainingJob",),
    "sagemaker:createTransformJob": ("sagemaker:describeTransformJob",),
    "states:startExecution": ("sfn:describeExecution",),
}
"""What answers when a job is over, in each form that the result may have."""

_FREE: Final[Mapping[str, tuple[str, ...]]] = {
    "bedrock:invokeModel": ("Body",),
    "lambda:invoke": ("Payload",),
    "states:startExecution.sync:2": ("Input", "Output"),
}
"""Members that hold JSON where the service's own answer has its text."""
