"""The histories of parents with real children, against AWS's recordings of nested executions."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.app.identify import Identities
from treadle.asl.json import Json, loads
from treadle.kube import decode
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, Kind
from treadle.kube.podtemplates import PodDefaults
from treadle.runners.nested import NestedRunner
from treadle.stores import endings, histories
from treadle.stores.judgement import Installation

AWS = "arn:aws:states:::states:startExecution"
TARGET = "arn:aws:states:us-east-1:111111111111:stateMachine:target"
GIVEN = '{"Input":null,"Name":"TestStartTarget","StateMachineArn":"' + TARGET + '"}'
PASSES = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": {"Arg1": "a"}, "End": True}}}
FAILS = {
    "StartAt": "F",
    "States": {"F": {"Type": "Fail", "Error": "SomeFailure", "Cause": "as asked"}},
}

SUBMITTED = ["ExecutionArn", "SdkHttpMetadata", "SdkResponseMetadata", "StartDate"]
HEADERS = ["Content-Length", "Content-Type", "Date", "connection", "x-amzn-RequestId"]
DESCRIBED = [
    *("ExecutionArn", "Input", "InputDetails", "Name", "Output", "OutputDetails", "RedriveCount"),
    *("RedriveStatus", "RedriveStatusReason", "StartDate", "StateMachineArn", "Status", "StopDate"),
]
# Of AWS's recording test_start_execution_sync_delegate_failure.
FAILED = [
    *("Cause", "Error", "ExecutionArn", "Input", "InputDetails", "Name", "StartDate"),
    *("StateMachineArn", "Status", "StopDate"),
]


def starting(resource: str) -> Mapping[str, Any]:
    """The definition of the recordings."""
    names = ("Input", "Name", "StateMachineArn")
    parameters = {f"{name}.$": f"$.{name}" for name in names}
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return {"StartAt": "StartExecution", "States": {"StartExecution": state}}


def history(resource: str, target: Mapping[str, Any]) -> list[histories.HistoryEntry]:
    async def play(stage: Stage) -> list[histories.HistoryEntry]:
        identities = Identities("us-east-1", "1" * 12)
        nested = NestedRunner(
            stage.api,
            partial(endings.read, stage.api),
            identities.of,
            mailbox=stage.driver,
            leading=stage.lead,
            standings=stage.driver.standing,
            clock=stage.now,
        )
        stage.machines._installation = Installation(PodDefaults(), nested.resources)
        stage.driver.serve([nested])

        def seen(_: Kind, old: Obj | None, new: Obj | None) -> None:
            obj = new or old
            assert obj is not None
            sighting = decode.sighting(obj, deleted=new is None)
            stage.driver.seen(sighting)
            nested.seen(sighting)

        stage.objects.followers.setdefault(EXECUTIONS, []).append(seen)
        work = asyncio.create_task(nested.run())
        await stage.apply_machine(target, "target")
        await stage.running(starting(resource), input=None, inputJson=GIVEN)
        await asyncio.sleep(5)
        work.cancel()
        return await histories.read(stage.api, stage.of())

    return on_a_stage(play)


def output(entry: histories.HistoryEntry) -> Any:
    text = entry.details["output"]
    assert isinstance(text, str)
    return loads(text)


NAMED = {"resourceType": "states"}


def test_a_child_that_is_merely_started() -> None:
    entries = history(AWS, PASSES)
    assert [entry.type for entry in entries[2:5]] == [
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
    ]
    scheduled, started, succeeded = entries[2:5]
    assert scheduled.details == {
        **NAMED,
        "resource": "startExecution",
        "region": "us-east-1",
        "parameters": GIVEN,
    }
    assert started.details == {**NAMED, "resource": "startExecution"}
    assert list(output(succeeded)) == SUBMITTED
    assert output(succeeded)["ExecutionArn"].endswith(":execution:target:TestStartTarget")


@pytest.mark.parametrize(
    ("pattern", "given", "said"),
    [("sync", "{}", '{"Arg1":"a"}'), ("sync:2", {}, {"Arg1": "a"})],
)
def test_a_child_that_is_waited_for(pattern: str, given: Json, said: Json) -> None:
    entries = history(f"{AWS}.{pattern}", PASSES)
    kinds = ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited"]
    assert [entry.type for entry in entries[2:7]] == kinds
    assert [entry.previous for entry in entries[2:7]] == [2, 3, 4, 5, 6]
    submitted, succeeded = output(entries[4]), output(entries[5])
    assert list(submitted) == SUBMITTED
    assert list(submitted["SdkHttpMetadata"]["HttpHeaders"]) == HEADERS
    assert entries[4].details["resource"] == f"startExecution.{pattern}"
    assert list(succeeded) == DESCRIBED
    assert (succeeded["Input"], succeeded["Output"]) == (given, said)
    assert succeeded["InputDetails"] == succeeded["OutputDetails"] == {"Included": True}
    assert (succeeded["Name"], succeeded["Status"]) == ("TestStartTarget", "SUCCEEDED")
    assert succeeded["StateMachineArn"] == TARGET


def test_a_child_that_fails() -> None:
    entries = history(f"{AWS}.sync", FAILS)
    assert [entry.type for entry in entries[4:]] == [
        "TaskSubmitted",
        "TaskFailed",
        "ExecutionFailed",
    ]
    details = entries[5].details
    assert (details["error"], details["resource"]) == ("States.TaskFailed", "startExecution.sync")
    cause = loads(str(details["cause"]))
    assert list(cause) == FAILED
    assert (cause["Error"], cause["Cause"], cause["Status"]) == (
        "SomeFailure",
        "as asked",
        "FAILED",
    )
