"""The file of AWS's services, and what is read from it."""

import re
import subprocess
import sys
from typing import Any

import pytest

from treadle.asl import services
from treadle.asl.answers import forms_of
from treadle.asl.arns import OPTIMIZED, is_recognized, parse_resource
from treadle.asl.json import loads
from treadle.asl.services import find_service, has_action

LEAF = re.compile(r"[abt]|e.+|[sxn]|[sxn](?=.*\d)[-+.e\d]*:[-+.e\d]*", re.DOTALL)
COLLECTION = re.compile(r"[lm](?::\d+)?")


@pytest.mark.parametrize(
    ("service", "action", "known"),
    [
        ("dynamodb", "putItem", True),
        ("dynamodb", "PutItem", False),
        ("dynamodb", "put", False),
        ("dynamodb", "qwery", False),
        ("dynamodb", "", False),
        ("dynamodb", "putItem query", False),
        ("sfn", "startSyncExecution", True),
        ("secretsmanager", "getSecretValue", True),
        ("cloudwatchlogs", "putLogEvents", True),
        ("eventbridge", "putEvents", True),
        ("cognitoidentityprovider", "adminCreateUser", True),
        ("config", "putConfigRule", True),
        ("costexplorer", "getCostAndUsage", True),
        ("databasemigration", "startReplicationTask", True),
        ("directory", "describeDirectories", True),
        ("directoryservicedata", "listUsers", True),
        ("elasticloadbalancingv2", "describeTargetHealth", True),
        ("lexmodelsv2", "listBots", True),
        ("marketplaceentitlement", "getEntitlements", True),
        ("rds", "startDBInstance", True),
        ("wafregional", "listRules", True),
        ("sts", "getCallerIdentity", True),
        ("sts", "assumeRole", False),
        ("kinesis", "subscribeToShard", False),
        ("bedrockruntime", "converse", True),
        ("bedrockruntime", "converseStream", False),
        ("stepfunctions", "startExecution", None),
        ("events", "putEvents", None),
        ("source", "putEvents", None),
        ("", "", None),
    ],
)
def test_a_service_has_the_actions_that_step_functions_can_call(
    service: str, action: str, known: bool | None
) -> None:
    assert has_action(service, action) is known


def codes(outputs: dict[str, Any], shapes: list[Any]) -> list[Any]:
    found = [code for code in outputs.values() if code is not None]
    for shape in shapes:
        if isinstance(shape, dict):
            assert all(re.fullmatch(r"!?[A-Z]\w*", name) for name in shape)
            found += shape.values()
        else:
            kind, code = shape
            assert COLLECTION.fullmatch(kind)
            found.append(code)
    return found


def test_every_line_of_the_file_is_as_described() -> None:
    first, *rest = (loads(line) for line in services._lines() if line)
    assert set(first) == {"source", "actions"}
    assert [service for service, _, _ in rest] == list(first["actions"])
    for service, outputs, shapes in rest:
        assert first["actions"][service].split() == sorted(outputs)
        for code in codes(outputs, shapes):
            known = code in range(len(shapes)) if isinstance(code, int) else LEAF.fullmatch(code)
            assert known, (service, code)
        assert all(code is None or isinstance(shapes[code], dict) for code in outputs.values()), (
            service
        )


def test_a_service_is_found_wherever_it_stands_in_the_file() -> None:
    *_, (last, _, _) = (loads(line) for line in services._lines() if line)
    for name in ("accessanalyzer", "lambda", last):
        service = find_service(name)
        assert service is not None
        assert all(has_action(name, action) for action in service.outputs)
    assert find_service("nobody") is None
    assert find_service('kms",') is None


def test_the_file_is_not_read_until_somebody_asks() -> None:
    code = (
        "import pkgutil, treadle.cli.main, treadle.asl.lint, treadle.asl.shapes\n"
        "from treadle.asl import services, document\n"
        "task = {'Type': 'Task', 'Resource': 'arn:aws:states:::lambda:invoke', 'End': True}\n"
        "document.inspect({'StartAt': 'A', 'States': {'A': task}})\n"
        "assert services._index.cache_info().misses == 0\n"
        "assert services.find_service.cache_info().misses == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


WITHOUT_FORM = {
    "apigateway:invoke",
    "eks:call",
    "eks:runJob",
    "eks:runJob.sync",
    "elasticmapreduce:cancelStep",
    "elasticmapreduce:modifyInstanceFleetByName",
    "elasticmapreduce:modifyInstanceGroupByName",
    "elasticmapreduce:setClusterTerminationProtection",
    "elasticmapreduce:terminateCluster",
    "emr-containers:createVirtualCluster.sync",
    "http:invoke",
    "sagemaker:createEndpoint.sync",
    "sagemaker:updateEndpoint.sync",
}


def test_the_optimized_integrations_without_a_form_are_these() -> None:
    names = [
        f"{service}:{action}{pattern}"
        for service, actions in OPTIMIZED.items()
        for action in actions
        for pattern in ("", ".sync", ".sync:2")
    ]
    parsed = {name: parse_resource(f"arn:aws:states:::{name}") for name in names}
    asked = {name: each for name, each in parsed.items() if is_recognized(each)}
    assert {name for name, each in asked.items() if not list(forms_of(each))} == WITHOUT_FORM


def test_the_members_of_a_form_are_the_services_own() -> None:
    (form,) = forms_of(parse_resource("arn:aws:states:::states:startExecution.sync"))
    assert {"!ExecutionArn", "!Status", "Output"} <= set(form.members)
    whole, item = forms_of(parse_resource("arn:aws:states:::batch:submitJob.sync"))
    assert "Jobs" in whole.members
    assert {"!JobName", "Container"} <= set(item.members)
