"""Instants near the end of the calendar, which no deadline goes beyond."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.machines import WORK, chain, task, waiting
from treadle.asl import document
from treadle.asl.errors import StateError
from treadle.engine.context import Identity
from treadle.engine.events import TaskFailed, Tick
from treadle.engine.execution import Execution
from treadle.engine.memory import Status
from treadle.engine.times import LATEST, after

TOKEN = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
LATE = datetime(9999, 12, 31, 12, tzinfo=UTC)
IDENTITY = Identity("arn:aws:states:us-east-1:111111111111:execution:m:e", "e", "arn", "m")


def started(definition: Any) -> Execution:
    program = document.parse(definition)
    return Execution.start(program, "r", IDENTITY, "{}", seed=b"s", now=LATE)


def test_an_instant_is_so_many_seconds_later_as_long_as_there_are_instants() -> None:
    assert after(LATE, 1.5) == LATE + timedelta(seconds=1.5)
    assert after(LATE, 43_199) == LATEST
    assert after(LATE, 43_199.5) == LATEST
    assert after(LATE, 99_999_999) == LATEST


@pytest.mark.parametrize(
    "definition",
    [
        chain(waiting(99_999_999)),
        chain(task(Resource=WORK, TimeoutSeconds=99_999_999)),
        chain(task(Resource=TOKEN, HeartbeatSeconds=90_000)),
        {**chain(task()), "TimeoutSeconds": 99_999_999},
    ],
    ids=["a wait", "a timeout", "a heartbeat", "the machine's"],
)
def test_a_deadline_beyond_the_calendar_is_its_end(definition: Any) -> None:
    execution = started(definition)
    assert execution.next_due() == LATEST
    execution.handle(Tick(), LATEST)
    assert execution.status is not Status.RUNNING


def test_a_retry_beyond_the_calendar_is_at_its_end() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 99_999_999}]
    execution = started(chain(task(Retry=retry)))
    (attempt,) = execution.wanted()
    execution.handle(TaskFailed(attempt, StateError("E"), LATE), LATE)
    assert execution.next_due() == LATEST
