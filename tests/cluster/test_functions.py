"""Lambda functions as images and URLs, on the control plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support.machines import IMAGE, chain
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, REVISIONS, People, uid_of
from tests.cluster.support.servers import Server

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend")]

ARN = "arn:aws:lambda:us-east-1:123456789012:function:resize"
INVOKE = "arn:aws:states:::lambda:invoke"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def image(**script: Any) -> dict[str, Any]:
    return {"image": IMAGE, "command": ["pretend", json.dumps(script)]}


def bare(**members: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": ARN, **members}


def invoke(name: str = ARN, **members: Any) -> dict[str, Any]:
    parameters = {"FunctionName": name, "Payload.$": "$"}
    return {"Type": "Task", "Resource": INVOKE, "Parameters": parameters, **members}


def run(people: People, name: str, definition: Any, functions: Any, **spec: Any) -> str:
    people.machine(name, definition, functions=functions)
    return uid_of(people.execution(name, **spec))


@pytest.mark.usefixtures("operator")
def test_a_function_is_a_job_or_a_call(people: People, server: Server) -> None:
    machine = chain(Bare=bare(), Invoke=invoke("resize:live", OutputPath="$.Payload"))
    functions = {ARN: image(echoInput=True), "resize:live": {"url": server.url("/echo")}}
    run(people, "both", machine, functions, input={"n": 1})
    assert people.succeeds("both") == {"n": 1}
    (asked,) = server.asked("/echo")
    assert (asked.method, asked.body) == ("POST", {"n": 1})
    assert asked.key


@pytest.mark.usefixtures("operator")
def test_a_function_that_fails_is_caught_by_its_errors_name(people: People) -> None:
    told = json.dumps({"errorType": "NoSuchKey", "errorMessage": "k"})
    caught = [{"ErrorEquals": ["NoSuchKey"], "Next": "Say"}]
    say = {"Type": "Pass", "Parameters": {"why.$": "States.StringToJson($.Cause)"}}
    machine = chain(Invoke=invoke(Catch=caught), Say=say)
    run(people, "fails", machine, {"resize": image(exitCode=1, message=told)})
    assert people.succeeds("fails") == {"why": {"errorType": "NoSuchKey", "errorMessage": "k"}}


@pytest.mark.usefixtures("operator")
def test_a_busy_service_is_tried_again_as_lambda_is(people: People, server: Server) -> None:
    retry = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1}]
    url = server.url("/status?code=429&times=1&lambda")
    run(people, "busy", chain(Bare=bare(Retry=retry)), {ARN: {"url": url}}, input={"n": 2})
    assert people.succeeds("busy") == {"n": 2}


@pytest.mark.usefixtures("operator")
def test_what_is_wrong_with_functions_is_a_problem_of_the_machine(people: People) -> None:
    functions = {"resize": {**image(), "imago": 1}, "tag": {}, "a b": {"url": "tag"}}
    people.machine("wrong", chain(Bare=bare()), functions=functions)
    ready = people.judged("wrong")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidFunctions")
    problems = people.status("wrong", MACHINES)["problems"]
    assert {problem["pointer"] for problem in problems} == {
        "/functions/resize/imago",
        "/functions/tag",
        "/functions/a b",
        "/functions/a b/url",
    }
    people.machine("unlisted", chain(Invoke=invoke("other")), functions={"resize": image()})
    assert people.judged("unlisted")["reason"] == "ResourceNotRunnable"


@pytest.mark.usefixtures("operator")
def test_a_revision_holds_the_functions(people: People) -> None:
    functions = {ARN: image(message="[1]")}
    run(people, "held", chain(Bare=bare()), functions)
    assert people.succeeds("held") == [1]
    revision = people.get(people.status("held")["revision"], REVISIONS)
    assert revision["spec"]["functions"] == functions


def test_a_job_that_ends_while_nobody_looks_has_its_envelope(loner: People, tmp_path: Path) -> None:
    kubeconfig, names = loner.namespace.cluster.kubeconfig, [loner.namespace.name]
    with OperatorProcess(kubeconfig, tmp_path / "operator.log", namespaces=names) as operator:
        functions = {"resize": image(seconds=1, message='{"done":true}')}
        uid = run(loner, "killed", chain(Invoke=invoke()), functions)
        loner.a_job(uid)
        operator.kill()
        (job,) = loner.jobs(uid)
        loner.namespace.finished(job["metadata"]["name"])
        operator.start()
        output = loner.succeeds("killed", seconds=90)
    assert output["Payload"] == {"done": True}
    assert output["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"] == "13"
    assert len(loner.jobs(uid)) == 1, "no attempt was made twice"
