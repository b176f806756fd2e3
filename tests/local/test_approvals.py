"""Questions on a desk: answered before, asked one after the other, expired, taken back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube.approving import RESOURCE, Question
from treadle.local.approvals import NOBODY, Ask, Asked, DeskApprovals, Said
from treadle.runtime.ports import Attempt, ExecutionKey, Order
from treadle.sim import clock

KEY = ExecutionKey("desk", "it", "u")


class Told:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def post(self, _: ExecutionKey, event: Event) -> None:
        self.events.append(event)

    def waits(self, _: ExecutionKey, __: TaskId, reason: str | None) -> None:
        raise AssertionError(reason)

    @property
    def outcomes(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, TaskStarted)]


def an_order(state: str = "Ask", number: int = 1, **parameters: Any) -> Order:
    asked = {"message": "Ship it?", **parameters}
    task = Task(TaskId(1, number, 1), state, RESOURCE, asked, {}, "d", clock.wall(), None, "")
    return Order(KEY, task, {}, 1_000)


def with_a_desk(
    test: Callable[[DeskApprovals, Told], Awaitable[None]],
    ask: Ask | None = None,
    **said: bool,
) -> list[Event]:
    told = Told()

    async def whole() -> None:
        desk = DeskApprovals(Asked(said, ask), "me", told, clock.wall)
        await test(desk, told)

    clock.run(whole())
    return told.outcomes


async def starts(desk: DeskApprovals, _: Told) -> None:
    await desk.start(an_order())
    await desk.start(an_order())
    assert desk.existing(KEY) == [TaskId(1, 1, 1)]
    await asyncio.sleep(1)


def test_what_was_said_before_is_the_result() -> None:
    (event,) = with_a_desk(starts, Ask=True)
    assert isinstance(event, TaskSucceeded)
    (decision,) = json.loads(event.output)["decisions"]
    at = datetime.fromisoformat(decision.pop("at"))
    assert decision == {"by": "me", "approve": True}
    assert at == event.at.astimezone(UTC)


def test_a_no_is_an_error() -> None:
    (event,) = with_a_desk(starts, Ask=False)
    assert isinstance(event, TaskFailed)
    assert event.error.name == "Treadle.ApprovalRejected"
    assert json.loads(event.error.cause or "")["decisions"][0]["by"] == "me"


def test_whoever_sits_there_is_asked_and_says_why() -> None:
    async def ask(state: str, question: Question) -> Said:
        assert (state, question.message) == ("Ask", "Ship it?")
        return Said(True, "fine")

    (event,) = with_a_desk(starts, ask, Other=False)
    assert isinstance(event, TaskSucceeded)
    assert json.loads(event.output)["decisions"][0]["reason"] == "fine"


def test_where_nobody_can_be_asked_it_is_a_no() -> None:
    (event,) = with_a_desk(starts)
    assert isinstance(event, TaskFailed)
    assert json.loads(event.error.cause or "")["decisions"][0]["reason"] == NOBODY


def test_one_question_at_a_time_and_none_after_its_expiry() -> None:
    asked: list[str] = []

    async def ask(state: str, _: Question) -> Said:
        asked.append(state)
        await asyncio.sleep(5)
        return Said(True)

    async def test(desk: DeskApprovals, told: Told) -> None:
        await desk.start(an_order("One", 1))
        await desk.start(an_order("Two", 2, expiresSeconds=3))
        await asyncio.sleep(4)
        assert asked == ["One"]
        assert desk.busy
        (late,) = told.outcomes
        assert isinstance(late, TaskFailed)
        assert late.error.name == "Treadle.ApprovalExpired"
        await asyncio.sleep(2)
        assert not desk.busy

    assert isinstance(with_a_desk(test, ask)[-1], TaskSucceeded)


@pytest.mark.parametrize("drains", [False, True])
def test_a_question_is_taken_back(drains: bool) -> None:
    async def ask(_: str, __: Question) -> Said:
        await asyncio.sleep(100)
        raise AssertionError

    async def test(desk: DeskApprovals, _: Told) -> None:
        order = an_order()
        await desk.stop(order.attempt)
        await desk.start(order)
        await asyncio.sleep(1)
        if drains:
            desk.drain()
        else:
            await desk.stop(order.attempt)
        await asyncio.sleep(1)
        assert not desk.busy
        await desk.ended(order.attempt)
        await desk.sweep()
        assert desk.current()
        assert desk.existing(KEY._replace(uid="other")) == []

    assert with_a_desk(test, ask) == []


def test_wrong_parameters_ask_nobody() -> None:
    async def test(desk: DeskApprovals, _: Told) -> None:
        await desk.start(an_order(quorum=0))
        await asyncio.sleep(1)

    (event,) = with_a_desk(test, Ask=True)
    assert isinstance(event, TaskFailed)
    assert event.error.name == "Treadle.InvalidParameters"


def test_where_we_are_wrong_the_attempt_does_not_wait_for_ever() -> None:
    async def ask(_: str, __: Question) -> Said:
        raise ValueError("oh")

    (event,) = with_a_desk(starts, ask)
    assert isinstance(event, TaskFailed)
    assert event.error.name == "States.Runtime"


def test_one_that_expired_while_nobody_ran_it_is_asked_no_more() -> None:
    async def test(desk: DeskApprovals, _: Told) -> None:
        order = an_order(expiresSeconds=1)
        await asyncio.sleep(timedelta(hours=1).total_seconds())
        await desk.start(order)
        await asyncio.sleep(1)
        assert Attempt(KEY, order.task.id) == order.attempt

    async def ask(_: str, __: Question) -> Said:
        await asyncio.sleep(1)
        raise AssertionError

    (event,) = with_a_desk(test, ask)
    assert isinstance(event, TaskFailed)
    assert event.error.name == "Treadle.ApprovalExpired"
