"""What people decided, judged from what is written in an Approval."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from treadle.engine.events import TaskFailed, TaskId, TaskSucceeded
from treadle.runners import decisions

TASK = TaskId(1, 1, 1)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = "2026-01-02T03:04:05Z"


def said(by: str, approve: bool = True, **more: str) -> dict[str, Any]:
    return {"by": by, "approve": approve, **more}


def an_approval(*said: dict[str, Any], status: Any = None, **spec: Any) -> dict[str, Any]:
    found = {"metadata": {"name": "a"}, "spec": {"decisions": list(said), **spec}}
    return found if status is None else {**found, "status": status}


def judged(approval: dict[str, Any], now: datetime = NOW) -> dict[str, Any]:
    status = decisions.status_of(approval, now)
    return {**approval, "status": status} if status is not None else approval


def told(approval: dict[str, Any]) -> Any:
    event = decisions.outcome(TASK, judged(approval), NOW)
    if isinstance(event, TaskSucceeded):
        return json.loads(event.output)
    assert event is None or isinstance(event, TaskFailed)
    return None if event is None else (event.error.name, json.loads(event.error.cause or ""))


def test_nobody_has_said_anything() -> None:
    assert decisions.status_of(an_approval(), NOW) is None
    assert decisions.status_of({"metadata": {}}, NOW) is None
    assert told(an_approval()) is None


def test_one_is_for_it() -> None:
    approval = judged(an_approval(said("ada", reason="fine")))
    assert approval["status"] == {
        "phase": "Approved",
        "decided": "approved by ada",
        "decidedAt": AT,
        "decisions": [{"by": "ada", "approve": True, "reason": "fine", "at": AT}],
    }
    assert told(approval) == {"approved": True, "decisions": approval["status"]["decisions"]}


def test_one_against_it_decides_whatever_the_quorum() -> None:
    approval = an_approval(said("ada"), said("bob", False), quorum=3)
    error, cause = told(approval)
    assert error == "Treadle.ApprovalRejected"
    assert [(each["by"], each["approve"]) for each in cause["decisions"]] == [
        ("ada", True),
        ("bob", False),
    ]
    assert judged(approval)["status"]["decided"] == "rejected by bob"


def test_a_quorum_is_waited_for_and_each_keeps_its_time() -> None:
    first = judged(an_approval(said("ada"), quorum=2), NOW - timedelta(seconds=9))
    assert first["status"]["phase"] == "Pending"
    assert first["status"]["decided"] == "1 of 2"
    assert decisions.status_of(first, NOW) is None
    assert decisions.outcome(TASK, first, NOW) is None
    both = {**first, "spec": {"decisions": [said("ada"), said("bob")], "quorum": 2}}
    assert decisions.has_news(both)
    status = judged(both)["status"]
    assert [each["at"] for each in status["decisions"]] == ["2026-01-02T03:03:56Z", AT]
    assert status["decided"] == "approved by ada, bob"


def test_what_comes_after_the_deciding_one_counts_no_more() -> None:
    found = told(an_approval(said("ada"), said("bob", False)))
    assert [each["by"] for each in found["decisions"]] == ["ada"]


def test_many_are_not_all_named() -> None:
    people = [said(name) for name in "abcde"]
    assert judged(an_approval(*people, quorum=5))["status"]["decided"] == (
        "approved by a, b, c and 2 more"
    )


# -------------------------------------------------------------------------------------- times


def test_it_expires_at_its_instant() -> None:
    approval = an_approval(said("ada"), quorum=2, expiresAt=AT)
    late = NOW + decisions.MARGIN
    assert decisions.given_up_at(approval) == late
    assert decisions.given_up_at(an_approval()) is None
    assert judged(approval, late - timedelta(microseconds=1))["status"]["phase"] == "Pending"
    expired = judged(approval, late)
    assert expired["status"]["decidedAt"] == AT
    error, cause = told(expired)
    assert error == "Treadle.ApprovalExpired"
    assert [each["by"] for each in cause["decisions"]] == ["ada"]
    assert expired["status"]["decided"] == "expired"


def test_what_was_written_in_time_counts_however_late_it_is_seen() -> None:
    approval = an_approval(said("ada"), expiresAt=AT)
    late = judged({**approval, "writtenAt": "2026-01-02T03:04:04Z"}, NOW + timedelta(days=1))
    assert late["status"]["phase"] == "Approved"
    event = decisions.outcome(TASK, late, NOW)
    assert event is not None
    assert event.at == NOW - timedelta(seconds=1)


def test_nothing_was_written_in_the_future() -> None:
    approval = {**an_approval(said("ada")), "writtenAt": "2030-01-01T00:00:00Z"}
    assert judged(approval)["status"]["decidedAt"] == AT


def test_a_status_without_a_time_is_of_now() -> None:
    event = decisions.outcome(TASK, an_approval(status={"phase": "Approved"}), NOW)
    assert event == TaskSucceeded(TASK, '{"approved":true,"decisions":[]}', NOW)


# ------------------------------------------------------------------------------------- phases


@pytest.mark.parametrize(
    ("approval", "phase", "is_open", "has_news"),
    [
        (an_approval(), "Pending", True, False),
        (an_approval(said("ada")), "Pending", True, True),
        (an_approval(status={"phase": "Pending"}), "Pending", True, False),
        (an_approval(status={"phase": "Approved"}), "Approved", False, True),
        (an_approval(status={"phase": "Expired"}), "Expired", False, True),
        (an_approval(status={"phase": "Closed"}), "Closed", False, False),
        (an_approval(closed=True), "Closed", False, False),
    ],
)
def test_what_became_of_it(
    approval: dict[str, Any], phase: str, is_open: bool, has_news: bool
) -> None:
    assert decisions.phase(approval) == phase
    assert decisions.is_open(approval) is is_open
    assert decisions.has_news(approval) is has_news


def test_one_that_is_closed_says_nothing() -> None:
    status = decisions.closed_status(an_approval(said("ada")), NOW)
    assert (status["phase"], status["decided"], status["decisions"]) == ("Closed", "closed", [])
    assert decisions.outcome(TASK, an_approval(status=status), NOW) is None


def test_one_that_is_gone_says_what_was_seen_of_it() -> None:
    assert decisions.deleted(None).name == "Treadle.ApprovalDeleted"
    seen = judged(an_approval(said("ada"), quorum=2))
    assert json.loads(decisions.deleted(seen).cause or "")["decisions"][0]["by"] == "ada"


def test_a_long_cause_keeps_the_reason_of_the_last() -> None:
    people = [said(f"p{n}", reason="r" * 1_000) for n in range(50)]
    _, cause = told(an_approval(*people, said("last", False, reason="no"), quorum=100))
    assert len(json.dumps(cause)) < decisions.CAUSE_CHARS_MAX
    assert cause["decisions"][-1]["reason"] == "no"
    assert not any("reason" in each for each in cause["decisions"][:-1])


# ------------------------------------------------------------------------------- the informer


def test_little_is_kept_of_an_approval() -> None:
    managed = [
        {"time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:message": {}}}},
        {"time": "2026-01-01T00:00:01Z", "fieldsV1": {"f:spec": {"f:decisions": {}}}},
        {"time": "2026-01-01T00:00:02Z", "subresource": "status", "fieldsV1": {"f:spec": {}}},
        {},
    ]
    metadata = {"name": "a", "managedFields": managed, "annotations": {"other": "x"}}
    whole = {**an_approval(said("ada"), details={"a": 1}, quorum=2), "metadata": metadata}
    kept = decisions.trim(whole)
    assert kept["spec"] == {"decisions": [said("ada")], "quorum": 2}
    assert kept["metadata"] == {"name": "a", "annotations": {}, "ownerReferences": []}
    assert kept["writtenAt"] == "2026-01-01T00:00:01Z"
    assert decisions.trim(kept) == kept


def test_an_approval_is_found_by_its_execution() -> None:
    labels = {"treadle.dev/execution": "u"}
    assert decisions.execution_of({"metadata": {"labels": labels}}) == "u"
    assert decisions.execution_of({"metadata": {}}) is None
