"""What a Task asks of people, and the Approval that asks them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from treadle.asl import limits
from treadle.asl.errors import DATA_LIMIT_EXCEEDED, StateError
from treadle.engine.commands import Task
from treadle.engine.events import TaskId
from treadle.kube import approving, names
from treadle.kube.approving import Question, parse
from treadle.kube.parameters import INVALID_PARAMETERS
from treadle.runtime.ports import ExecutionKey, Order

KEY = ExecutionKey("ns", "run-1", "uid-1")
DUE_AT = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)


def an_order(machine: str = "m", due_at: datetime = DUE_AT) -> Order:
    task = Task(TaskId(1, 2, 3), "Ask", approving.RESOURCE, {}, {}, "d", due_at, None, "")
    return Order(KEY, task, {}, 1_000, machine=machine)


def asked(**parameters: Any) -> Question:
    found = parse({"message": "Ship it?", **parameters})
    assert isinstance(found, Question)
    return found


def wrong(parameters: Any) -> str:
    found = parse(parameters)
    assert isinstance(found, StateError)
    assert found.name == INVALID_PARAMETERS
    assert found.cause is not None
    return found.cause


# -------------------------------------------------------------------------------- parameters


def test_a_message_is_enough() -> None:
    assert asked() == Question("Ship it?")


def test_all_of_it() -> None:
    found = asked(
        details={"order": 7},
        approvers={"users": ["ada"], "groups": ["finance"]},
        quorum=2.0,
        expiresSeconds=60,
        reasonRequired=True,
    )
    assert found == Question("Ship it?", {"order": 7}, ["ada"], ["finance"], 2, 60, True)


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_parameters_are_an_object(value: Any) -> None:
    assert wrong(value) == "Parameters of treadle:approval must be an object."


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = wrong({"massage": "Ship it?", "quorum": 0, "reasonRequired": "yes"})
    assert said == (
        "massage is not a Parameter of treadle:approval; message is missing; "
        "quorum must be a whole number from 1 to 100; reasonRequired must be true or false."
    )


@pytest.mark.parametrize(
    ("member", "value", "sentence"),
    [
        ("message", " ", "message must be a text"),
        ("message", 1, "message must be a text"),
        ("message", "x" * 1_025, "message has more than 1,024 characters; details may be longer"),
        ("details", [1], "details must be an object"),
        ("approvers", ["ada"], "approvers must be an object with users and groups"),
        ("approvers", {"people": []}, "approvers must be an object with users and groups"),
        ("approvers", {"users": "ada"}, "must have texts in users, of 1 to 256 characters"),
        ("approvers", {"groups": [""]}, "must have texts in groups, of 1 to 256 characters"),
        ("approvers", {"groups": [1]}, "must have texts in groups, of 1 to 256 characters"),
        ("approvers", {"users": ["a"] * 101}, "approvers has more than 100 users"),
        ("quorum", 101, "must be a whole number from 1 to 100"),
        ("quorum", 1.5, "must be a whole number from 1 to 100"),
        ("quorum", True, "must be a whole number from 1 to 100"),
        ("expiresSeconds", 0, "must be a whole number from 1 to 99,999,999"),
        ("expiresSeconds", "60", "must be a whole number from 1 to 99,999,999"),
    ],
)
def test_what_a_member_must_be(member: str, value: Any, sentence: str) -> None:
    assert sentence in wrong({"message": "Ship it?", member: value})


def test_details_have_a_limit_of_their_own() -> None:
    most = limits.APPROVAL_DETAILS_BYTES_MAX
    assert isinstance(parse({"message": "m", "details": {"a": "x" * (most - 8)}}), Question)
    found = parse({"message": "m", "details": {"a": "x" * (most - 7)}})
    assert isinstance(found, StateError)
    assert found.name == DATA_LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("parameters", "who"),
    [
        ({}, "by RBAC"),
        ({"approvers": {"users": ["ada", "bob"], "groups": ["fin"]}}, "ada, bob, group fin"),
        ({"approvers": {"groups": ["fin"]}, "quorum": 2}, "2 of group fin"),
        ({"approvers": {"users": ["u" * 200, "v" * 200]}}, f"{'u' * 200}, {'v' * 50}…"),
    ],
)
def test_who_may_decide_is_told_in_a_line(parameters: dict[str, Any], who: str) -> None:
    assert asked(**parameters).who == who


# ---------------------------------------------------------------------------------- manifests


def test_an_approval_is_the_attempts() -> None:
    made = approving.manifest(an_order(), asked(expiresSeconds=60, approvers={"users": ["ada"]}))
    name = names.attempt(KEY, TaskId(1, 2, 3))
    assert (made["kind"], made["metadata"]["name"]) == ("Approval", name)
    assert made["metadata"]["labels"] == {
        names.EXECUTION_UID: "uid-1",
        names.ATTEMPT_NAME: name,
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert made["spec"] == {
        "stateMachine": "m",
        "execution": "run-1",
        "state": "Ask",
        "message": "Ship it?",
        "approvers": {"users": ["ada"]},
        "who": "ada",
        "quorum": 1,
        "reasonRequired": False,
        "expiresAt": "2026-01-02T03:05:06Z",
        "decisions": [],
    }


def test_what_is_not_asked_is_not_there() -> None:
    spec = approving.manifest(an_order(machine=""), asked(details={"a": None}))["spec"]
    assert spec["details"] == {"a": None}
    assert not spec.keys() & {"stateMachine", "approvers", "expiresAt"}


@pytest.mark.parametrize("micros", [0, 1, 999_999])
def test_it_expires_at_a_whole_second_and_not_before(micros: int) -> None:
    due_at = DUE_AT.replace(microsecond=micros).astimezone(timezone(timedelta(hours=2)))
    spec = approving.manifest(an_order(due_at=due_at), asked(expiresSeconds=1))["spec"]
    assert spec["expiresAt"] == f"2026-01-02T03:04:0{6 if micros == 0 else 7}Z"


def test_a_tombstone_asks_nobody() -> None:
    spec = approving.tombstone(an_order())["spec"]
    assert spec["closed"] is True
    assert spec["decisions"] == []
