"""Conditions, set and set again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from treadle.kube.conditions import MESSAGE_CHARS_MAX, set_condition

THEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = THEN + timedelta(hours=1)


def ready(
    conditions: list[dict[str, Any]], status: str = "True", now: datetime = THEN, **more: Any
) -> list[dict[str, Any]]:
    message, generation = more.get("message", "it is"), more.get("generation", 1)
    return set_condition(conditions, "Ready", status, "Valid", message, now, generation)


def test_the_first_time_it_is_added_at_the_end() -> None:
    other = {"type": "Other", "status": "True"}
    before = [other]
    after = ready(before)
    assert after == [
        other,
        {
            "type": "Ready",
            "status": "True",
            "reason": "Valid",
            "message": "it is",
            "lastTransitionTime": "2026-01-01T12:00:00Z",
            "observedGeneration": 1,
        },
    ]
    assert before == [other]


def test_its_time_stays_while_its_status_does() -> None:
    (after,) = ready(ready([]), now=LATER, message="it still is", generation=2)
    assert after["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert (after["message"], after["observedGeneration"]) == ("it still is", 2)


def test_its_time_changes_with_its_status() -> None:
    (after,) = ready(ready([]), "False", LATER)
    assert after["lastTransitionTime"] == "2026-01-01T13:00:00Z"


def test_set_again_it_changes_nothing() -> None:
    before = set_condition(ready([]), "Other", "False", "No", "no", THEN, 1)
    assert ready(before, now=LATER) == before


def test_what_is_not_changed_is_a_copy() -> None:
    before = [{"type": "Other", "status": "True"}, *ready([])]
    after = ready(before, "False", LATER)
    after[0]["status"] = "Unknown"
    assert before[0]["status"] == "True"
    assert before[1]["status"] == "True"


def test_a_condition_without_a_time_gets_one() -> None:
    (after,) = ready([{"type": "Ready", "status": "True"}], now=LATER)
    assert after["lastTransitionTime"] == "2026-01-01T13:00:00Z"


def test_a_long_message_is_cut() -> None:
    (after,) = ready([], message="x" * (MESSAGE_CHARS_MAX + 1))
    assert len(after["message"]) == MESSAGE_CHARS_MAX
