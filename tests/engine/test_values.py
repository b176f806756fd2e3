"""Payloads, instants and steps: the small values that everything else is made of."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from treadle.engine import records
from treadle.engine.payloads import Payload
from treadle.engine.times import EPOCH, aws_text, from_ms, to_ms, whole_ms


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), ({"b": 1, "a": "ä"}, '{"b":1,"a":"ä"}'), (2**70, str(2**70)), (1.0, "1.0")],
)
def test_a_payload_is_its_value_and_its_text(value: Any, text: str) -> None:
    payload = Payload(value)
    assert payload.text == text
    assert payload.size_bytes == len(text.encode())
    again = Payload.of_text(text)
    assert again.value == value
    assert again.digest == payload.digest
    assert text[:5] in repr(payload)


def test_a_text_is_read_and_made_compact() -> None:
    payload = Payload.read('{ "a" : [ 1 , 2.50 ] }')
    assert payload.text == '{"a":[1,2.5]}'
    assert payload.value == {"a": [1, 2.5]}


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Payload.read(text)
    with pytest.raises(ValueError, match=r"."):
        _ = Payload.of_text(text).value


def test_instants_are_whole_milliseconds() -> None:
    instant = datetime(2026, 1, 31, 12, 0, 0, 123_999, tzinfo=UTC)
    assert from_ms(to_ms(instant)) == whole_ms(instant)
    assert whole_ms(instant).microsecond == 123_000
    assert aws_text(instant) == "2026-01-31T12:00:00.123Z"
    assert aws_text(instant.replace(microsecond=999)) == "2026-01-31T12:00:00Z"
    assert to_ms(EPOCH) == 0
    before = EPOCH - timedelta(milliseconds=5)
    assert from_ms(to_ms(before)) == before
    assert to_ms(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0


@pytest.mark.parametrize(
    ("resource", "family", "named"),
    [
        ("treadle:job", "Task", {"resourceType": "treadle", "resource": "job"}),
        (
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Task",
            {"resourceType": "lambda", "resource": "invoke.waitForTaskToken"},
        ),
        (
            "arn:aws:states:::aws-sdk:sqs:listQueues",
            "Task",
            {"resourceType": "aws-sdk:sqs", "resource": "listQueues"},
        ),
        ("arn:aws:lambda:us-east-1:111111111111:function:f", "LambdaFunction", {}),
        ("arn:aws:states:us-east-1:111111111111:activity:a", "Activity", {}),
    ],
)
def test_a_resource_names_its_events(resource: str, family: str, named: dict[str, str]) -> None:
    assert records.family(resource) == family
    assert records.named(resource) == named
