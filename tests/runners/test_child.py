"""What a Task asks for in a child, the Execution that it makes, and what its end answers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from treadle.asl.arns import Account
from treadle.asl.errors import StateError
from treadle.asl.json import Json, loads
from treadle.engine.commands import Task
from treadle.engine.events import TaskId
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.runners import child
from treadle.runners.child import AWS, NATIVE, Wish
from treadle.runtime.ports import Ending, ExecutionKey, Order

ACCOUNT = Account("us-east-1", "000000000001")
ARN = ACCOUNT.machine_arn("square")
KEY = ExecutionKey("team-a", "parent", "uid-1")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def order(resource: str = NATIVE, parameters: Json = None, **more: Any) -> Order:
    work = Task(TaskId(1, 7, 1), "S", resource, parameters, {}, "d", NOW, None, "")
    return Order(KEY, work, {}, 1_048_576, **more)


def wish(resource: str, **parameters: Json) -> Wish | StateError:
    return child.wish_of(order(resource, parameters).task, ACCOUNT)


def refusal(resource: str, **parameters: Json) -> StateError:
    found = wish(resource, **parameters)
    assert isinstance(found, StateError)
    return found


def made(spec: Obj, **status: Json) -> Obj:
    metadata = {
        "name": "parent-0123456789abcdef",
        "namespace": "team-a",
        "uid": "c",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"metadata": metadata, "spec": spec, "status": status}


SQUARE = {"stateMachineRef": {"name": "square"}, "inputJson": '{"n":3}'}
TIMES = {"startTime": "2026-01-02T03:04:06.500Z", "completionTime": "2026-01-02T03:04:07.250Z"}


# ------------------------------------------------------------------------------------ the wish


def test_a_native_task_gives_a_machine_an_input_and_a_name() -> None:
    assert wish(NATIVE, stateMachine="square") == Wish("square", "{}")
    given = wish(f"{NATIVE}.sync", stateMachine="square", input=[1], name="x", alias=None)
    assert given == Wish("square", "[1]", "x")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"version": 3}, {"version": 3}),
        ({"version": "3"}, {"version": 3}),
        ({"alias": "live"}, {"alias": "live"}),
        ({"alias": "3rd", "version": None}, {"alias": "3rd"}),
    ],
)
def test_it_may_name_a_version_or_an_alias(given: Any, asked: Any) -> None:
    found = wish(NATIVE, stateMachine="square", **given)
    assert found == Wish("square", "{}", **asked)
    assert isinstance(found, Wish)
    spec = child.execution(order(), found)["spec"]
    assert spec["stateMachineRef"] == {"name": "square", **asked}


@pytest.mark.parametrize(
    ("qualifier", "asked"),
    [("3", {"version": 3}), ("live", {"alias": "live"}), ("3rd", {"alias": "3rd"})],
)
def test_so_may_an_arn(qualifier: str, asked: Any) -> None:
    arn = f"{ARN}:{qualifier}"
    assert wish(AWS, StateMachineArn=arn) == Wish("square", "{}", arn=arn, **asked)


def test_of_another_version_a_name_is_another_execution() -> None:
    named = Wish("square", "{}", "x", version=3)
    there = made({"stateMachineRef": named.ref, "inputJson": "{}", "name": "x"})
    assert child.is_wished(there, named)
    for other in ({"version": 4}, {"version": None}, {"version": None, "alias": "live"}):
        assert not child.is_wished(there, replace(named, **other))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "stateMachine is null; it must be the name of a StateMachine"),
        ({"stateMachine": "Square"}, 'stateMachine is "Square"'),
        ({"stateMachine": "other/square"}, "its namespace goes into the parameter namespace"),
        ({"stateMachine": "m", "namespace": "A_b"}, 'namespace is "A_b"; it must be the name of'),
        ({"stateMachine": "m", "namespace": "a.b"}, "it must be the name of a namespace"),
        ({"stateMachine": "m", "namespace": "n" * 64}, "it must be the name of a namespace"),
        ({"stateMachine": "m", "alias": "3"}, 'alias is "3"; it must be the name of an alias'),
        ({"stateMachine": "m", "alias": "x" * 81}, "it must be the name of an alias"),
        ({"stateMachine": "m", "version": 0}, "version is 0; it must be the number"),
        ({"stateMachine": "m", "version": "03"}, 'version is "03"; it must be the number'),
        ({"stateMachine": "m", "version": True}, "version is true; it must be the number"),
        ({"stateMachine": "m", "version": 3, "alias": "live"}, "give one of them"),
        ({"stateMachine": "m", "name": "a b"}, 'name is "a b"; it must be a text of 1 to 80'),
        ({"stateMachine": "m", "name": "x" * 81}, "it must be a text of 1 to 80"),
        (
            {"stateMachine": "m", "extra": 1},
            "extra is not taken; known are stateMachine, namespace",
        ),
    ],
)
def test_a_native_wish_that_makes_no_execution(parameters: Any, sentence: str) -> None:
    error = refusal(NATIVE, **parameters)
    assert error.name == "Treadle.InvalidParameters"
    assert sentence in (error.cause or "")


def test_parameters_must_be_an_object() -> None:
    found = child.wish_of(order(NATIVE, [1]).task, ACCOUNT)
    assert isinstance(found, StateError)
    assert "must be an object" in (found.cause or "")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "{}"),
        ({"Input": None}, "{}"),
        ({"Input": {"a": [1]}}, '{"a":[1]}'),
        ({"Input": '{"a": 1.0}'}, '{"a": 1.0}'),
        ({"Input": '"text"'}, '"text"'),
    ],
)
def test_an_input_of_awss_form_is_json_or_its_text(given: Any, text: str) -> None:
    found = wish(AWS, StateMachineArn=ARN, Name="x", TraceHeader="t", **given)
    assert found == Wish("square", text, "x", ARN)


@pytest.mark.parametrize(
    ("parameters", "name", "sentence"),
    [
        ({}, "States.Runtime", "[The field 'StateMachineArn' is required but was missing]"),
        ({"StateMachineArn": 1}, "States.Runtime", "'StateMachineArn' must be a STRING]"),
        ({"StateMachineArn": ARN, "Name": 1}, "States.Runtime", "'Name' must be a STRING]"),
        ({"StateMachineArn": ARN, "Foo": 1}, "States.Runtime", "'Foo' is not supported"),
        ({"StateMachineArn": "x"}, "StepFunctions.InvalidArnException", "Invalid Arn: 'x'"),
        (
            {"StateMachineArn": f"{ARN}:{'x' * 81}"},
            "StepFunctions.StateMachineDoesNotExistException",
            "State Machine Does Not Exist: 'arn:",
        ),
        (
            {"StateMachineArn": ARN.replace("001:", "002:")},
            "StepFunctions.StateMachineDoesNotExistException",
            "ARNs of this namespace begin with arn:aws:states:us-east-1:000000000001:stateM",
        ),
        (
            {"StateMachineArn": ACCOUNT.machine_arn("NotLower")},
            "StepFunctions.StateMachineDoesNotExistException",
            "State Machine Does Not Exist: 'arn:",
        ),
        (
            {"StateMachineArn": ARN, "Name": "a/b"},
            "StepFunctions.InvalidNameException",
            'Invalid Name: "a/b"',
        ),
        (
            {"StateMachineArn": ARN, "Input": "{"},
            "StepFunctions.InvalidExecutionInputException",
            "Invalid State Machine Execution Input",
        ),
    ],
)
def test_an_aws_wish_that_makes_no_execution(parameters: Any, name: str, sentence: str) -> None:
    error = refusal(AWS, **parameters)
    assert error.name == name
    assert sentence in (error.cause or "")


# ------------------------------------------------------------------------------ the Execution


def test_a_child_that_is_waited_for_is_owned_and_says_whose_it_is() -> None:
    asked = order(f"{NATIVE}.sync", depth=2)
    obj = child.execution(asked, Wish("square", '{"n":3}'))
    name = names.attempt(KEY, asked.task.id)
    assert obj["metadata"] == {
        "name": name,
        "namespace": "team-a",
        "labels": {
            "treadle.dev/execution": "uid-1",
            "treadle.dev/attempt": name,
            "treadle.dev/parent": "parent",
        },
        "annotations": {
            "treadle.dev/execution-name": "parent",
            "treadle.dev/task": "1.7.1",
            "treadle.dev/task-digest": "d",
            "treadle.dev/state": "S",
            "treadle.dev/path": "",
            "treadle.dev/attempt-number": "1",
            "treadle.dev/depth": "3",
        },
        "ownerReferences": obj["metadata"]["ownerReferences"],
    }
    assert obj["spec"] == SQUARE
    assert names.awaited_by(obj) == asked.attempt
    assert names.depth_of(obj) == 3
    assert child.is_of(obj, asked.attempt, "d")
    assert not child.is_of(obj, asked.attempt, "other")


def test_a_child_that_is_merely_started_is_not_owned() -> None:
    obj = child.execution(order(AWS), Wish("square", "{}"))
    assert "ownerReferences" not in obj["metadata"]
    assert names.awaited_by(obj) is None
    assert child.is_of(obj, order().attempt, "d")


def test_a_name_is_of_its_machine_and_not_of_the_attempt() -> None:
    asked, named = order(), Wish("square", "{}", "Nightly_1")
    obj = child.execution(asked, named)
    assert obj["metadata"]["name"] == names.child("square", "Nightly_1")
    assert obj["metadata"]["name"].startswith("nightly-1-")
    assert obj["spec"]["name"] == "Nightly_1"
    later = replace(asked, task=replace(asked.task, id=TaskId(1, 9, 2)))
    assert child.place_of(later, named) == ("team-a", obj["metadata"]["name"])
    assert child.place_of(asked, replace(named, machine="cube"))[1] != obj["metadata"]["name"]


def test_a_long_parent_has_a_label_all_the_same() -> None:
    long = "p" * 253
    assert len(names.label_of(long)) == 63
    assert names.label_of(long) != names.label_of("p" * 252)


def test_a_tombstone_never_starts() -> None:
    obj = child.tombstone(order(AWS), "team-a")
    assert obj["spec"]["stop"]["error"] == "Treadle.ParentEnded"
    assert "Execution parent" in obj["spec"]["stop"]["cause"]
    assert names.awaited_by(obj) is not None, "it goes with the parent"


# ------------------------------------------------------------------------- another namespace

ABROAD = Wish("square", "{}", namespace="team-b")


def test_a_native_task_may_name_a_namespace() -> None:
    assert wish(NATIVE, stateMachine="square", namespace="team-b") == ABROAD
    assert wish(NATIVE, stateMachine="square", namespace=None) == Wish("square", "{}")


def test_a_child_of_another_namespace_names_its_parents() -> None:
    asked = order(f"{NATIVE}.sync")
    obj = child.execution(asked, ABROAD)
    metadata = obj["metadata"]
    assert (metadata["namespace"], metadata["name"]) == child.place_of(asked, ABROAD)
    assert metadata["namespace"] == "team-b"
    assert "ownerReferences" not in metadata, "an owner is of the same namespace"
    assert metadata["labels"]["treadle.dev/parent-namespace"] == "team-a"
    assert names.awaited_by(obj) == names.parent_of(obj) == asked.attempt
    assert names.attempt_of(obj) != asked.attempt, "of a Job or a Pod that would be another's"
    assert child.is_of(obj, asked.attempt, "d")


def test_one_that_is_merely_started_there_is_awaited_by_nobody() -> None:
    obj = child.execution(order(), ABROAD)
    assert names.awaited_by(obj) is None
    assert names.parent_of(obj) == order().attempt


def test_its_own_namespace_changes_nothing() -> None:
    own = replace(ABROAD, namespace="team-a")
    asked = order(f"{NATIVE}.sync")
    assert child.execution(asked, own) == child.execution(asked, Wish("square", "{}"))


def test_who_says_that_it_is_awaited_at_home_must_be_owned() -> None:
    obj = child.execution(order(f"{NATIVE}.sync"), ABROAD)
    obj["metadata"]["namespace"] = "team-a"
    assert names.awaited_by(obj) is None
    del obj["metadata"]["labels"]["treadle.dev/parent-namespace"]
    assert names.awaited_by(obj) is None


def test_a_tombstone_may_be_in_another_namespace() -> None:
    obj = child.tombstone(order(), "team-b")
    assert (obj["metadata"]["namespace"], obj["metadata"]["name"]) == child.place_of(
        order(), ABROAD
    )
    assert "Execution parent of namespace team-a, does not" in obj["spec"]["stop"]["cause"]
    assert names.awaited_by(obj) == order().attempt


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        (SQUARE | {"name": "x", "inputJson": '{ "n": 3 }'}, True),
        ({"stateMachineRef": {"name": "square"}, "name": "x", "input": {"n": 3}}, True),
        (SQUARE | {"name": "x", "inputJson": "{}"}, False),
        (SQUARE | {"name": "x", "inputJson": "{"}, False),
        (SQUARE | {"name": "y"}, False),
        ({"stateMachineRef": {"name": "cube"}, "name": "x", "inputJson": '{"n":3}'}, False),
        ({"stateMachineRef": {"name": "square"}, "name": "x", "inputFrom": {}}, False),
    ],
)
def test_the_same_execution_has_machine_name_and_input(spec: Obj, same: bool) -> None:
    assert child.is_wished({"spec": spec}, Wish("square", '{"n":3}', "x")) is same


@pytest.mark.parametrize(
    ("metadata", "depth"),
    [
        (None, 0),
        ({}, 0),
        ({"annotations": {"treadle.dev/depth": "7"}}, 7),
        ({"annotations": {"treadle.dev/depth": "-7"}}, 0),
        ({"annotations": {"treadle.dev/depth": "9" * 13}}, 0),
    ],
)
def test_a_depth_is_read_with_care(metadata: Any, depth: int) -> None:
    assert names.depth_of({"metadata": metadata}) == depth


# ---------------------------------------------------------------------------------- the answer


def submitted(resource: str, spec: Obj) -> Json:
    return loads(child.submitted(resource, order().attempt, ACCOUNT, made(spec)))


def test_that_a_child_was_started() -> None:
    arn = f"{ACCOUNT.execution_arn('square', 'parent-0123456789abcdef')}"
    said = {"executionName": "parent-0123456789abcdef", "executionArn": arn}
    assert submitted(NATIVE, SQUARE) == said
    named = submitted(f"{NATIVE}.sync", SQUARE | {"name": "x"})
    assert named == {"executionName": "x", "executionArn": ACCOUNT.execution_arn("square", "x")}


def test_that_a_child_was_started_in_awss_shape() -> None:
    said = submitted(f"{AWS}.sync", SQUARE | {"name": "x"})
    assert list(said) == ["ExecutionArn", "SdkHttpMetadata", "SdkResponseMetadata", "StartDate"]
    assert said["StartDate"] == "2026-01-02T03:04:05Z"
    http = said["SdkHttpMetadata"]
    request = said["SdkResponseMetadata"]["RequestId"]
    assert http == {
        "AllHttpHeaders": {
            "Content-Length": ["110"],
            "Content-Type": ["application/x-amz-json-1.0"],
            "Date": ["Fri, 02 Jan 2026 03:04:05 GMT"],
            "connection": ["keep-alive"],
            "x-amzn-RequestId": [request],
        },
        "HttpHeaders": {
            "Content-Length": "110",
            "Content-Type": "application/x-amz-json-1.0",
            "Date": "Fri, 02 Jan 2026 03:04:05 GMT",
            "connection": "keep-alive",
            "x-amzn-RequestId": request,
        },
        "HttpStatusCode": 200,
    }


def ended(resource: str, phase: str, ending: Ending, **status: Json) -> Any:
    obj = made(SQUARE | {"name": "x"}, phase=phase, **{**TIMES, **status})
    said = child.ended(resource, ACCOUNT, obj, ending)
    if isinstance(said, StateError):
        assert said.name == "States.TaskFailed"
        return loads(said.cause or "")
    return loads(said)


DESCRIBED = {
    "ExecutionArn": ACCOUNT.execution_arn("square", "x"),
    "Input": '{"n":3}',
    "InputDetails": {"Included": True},
    "Name": "x",
    "Output": "[9]",
    "OutputDetails": {"Included": True},
    "RedriveCount": 0,
    "RedriveStatus": "NOT_REDRIVABLE",
    "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    "StartDate": 1767323046500,
    "StateMachineArn": ARN,
    "Status": "SUCCEEDED",
    "StopDate": 1767323047250,
}


def test_a_child_that_succeeded() -> None:
    end = Ending("[9]")
    assert ended(f"{NATIVE}.sync", "Succeeded", end) == {
        "executionName": "x",
        "executionArn": ACCOUNT.execution_arn("square", "x"),
        "status": "Succeeded",
        "output": [9],
    }
    assert ended(f"{AWS}.sync", "Succeeded", end) == DESCRIBED
    assert list(ended(f"{AWS}.sync", "Succeeded", end)) == sorted(DESCRIBED)
    said = ended(f"{AWS}.sync:2", "Succeeded", end)
    assert said == DESCRIBED | {"Input": {"n": 3}, "Output": [9]}


# Source: AWS's recording of a delegate that fails.
def test_a_child_that_failed_in_awss_shape() -> None:
    end = Ending(None, "SomeFailure", "because")
    left = {name: DESCRIBED[name] for name in DESCRIBED if name[:3] not in ("Out", "Red")}
    told = {"Cause": "because", "Error": "SomeFailure", "Status": "FAILED"}
    assert ended(f"{AWS}.sync", "Failed", end) == left | told
    assert ended(f"{AWS}.sync:2", "Failed", end) == left | told


@pytest.mark.parametrize(
    ("phase", "status"), [("TimedOut", "TIMED_OUT"), ("Aborted", "ABORTED"), ("Failed", "FAILED")]
)
def test_other_ends(phase: str, status: str) -> None:
    assert ended(f"{AWS}.sync", phase, Ending(None))["Status"] == status
    said = ended(f"{NATIVE}.sync", phase, Ending(None, "E"))
    assert (said["status"], said["error"], "cause" in said) == (phase, "E", False)


def test_one_that_never_started_has_the_time_of_its_making() -> None:
    said = ended(f"{AWS}.sync", "Failed", Ending(None, "E"), startTime=None, completionTime=None)
    assert said["StartDate"] == 1767323045000
    assert "StopDate" not in said


def test_a_cause_of_a_cause_stays_an_object() -> None:
    inner = '{"cause":"deep","error":"E"}'
    said = ended(f"{NATIVE}.sync", "Failed", Ending(None, "States.TaskFailed", inner))
    assert said["cause"] == {"cause": "deep", "error": "E"}
    assert ended(f"{NATIVE}.sync", "Failed", Ending(None, "E", "[1]"))["cause"] == "[1]"


@pytest.mark.parametrize("left", [None, made(SQUARE)])
def test_a_child_that_was_deleted(left: Obj | None) -> None:
    said = loads(child.deleted(f"{AWS}.sync", ACCOUNT, "c", left).cause or "")
    assert said["Error"] == "Treadle.ExecutionDeleted"
    assert said["Cause"] == "the child Execution c was deleted before its end"
    assert left is None or said["Status"] == "ABORTED"
    native = loads(child.deleted(f"{NATIVE}.sync", ACCOUNT, "c", left).cause or "")
    assert native["error"] == "Treadle.ExecutionDeleted"
