"""A task that waits for capacity is a condition of its execution until it does not."""

import asyncio

from tests.runtime.stage import A1, JOB, ONE_TASK, Stage, a_stranger, on_a_stage
from treadle.kube.kinds import EXECUTIONS

BRANCHES = [{"StartAt": name, "States": {name: {**JOB, "End": True}}} for name in "AB"]
TWO_AT_ONCE = {
    "StartAt": "P",
    "States": {"P": {"Type": "Parallel", "Branches": BRANCHES, "End": True}},
}


def test_waiting_for_capacity_is_a_condition_until_it_is_not() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.driver.waits(key, A1, "a quota is full")
        await asyncio.sleep(1)
        assert stage.condition("WaitingForCapacity") == ("True", "NoCapacity")
        assert stage.said == [("Warning", "WaitingForCapacity", "a quota is full")]
        writes = stage.api.count("update_status", EXECUTIONS)
        stage.driver.waits(key, A1, "a quota is full")
        await asyncio.sleep(1)
        assert stage.api.count("update_status", EXECUTIONS) == writes
        stage.driver.waits(key, A1, None)
        await asyncio.sleep(1)
        assert stage.condition("WaitingForCapacity") == ("False", "Running")

    on_a_stage(play)


def test_two_attempts_that_wait_for_the_same_say_it_once() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_AT_ONCE)
        first, second = stage.hands.asked
        writes = stage.api.count("update_status", EXECUTIONS)
        for task in (first, second):
            stage.driver.waits(key, task, "a quota is full")
            await asyncio.sleep(1)
        assert stage.said == [("Warning", "WaitingForCapacity", "a quota is full")]
        assert stage.api.count("update_status", EXECUTIONS) == writes + 1
        stage.driver.waits(key, first, None)
        await asyncio.sleep(1)
        assert stage.condition("WaitingForCapacity") == ("True", "NoCapacity")
        assert stage.api.count("update_status", EXECUTIONS) == writes + 1
        stage.driver.waits(key, second, None)
        await asyncio.sleep(1)
        assert stage.condition("WaitingForCapacity") == ("False", "Running")

    on_a_stage(play)


def test_one_that_joins_those_who_wait_announces_nothing() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_AT_ONCE)
        first, second = stage.hands.asked
        for task, reason in ((first, "no node"), (second, "no room"), (first, "no room")):
            stage.driver.waits(key, task, reason)
            await asyncio.sleep(1)
        assert [text for _, _, text in stage.said] == ["no node", "no room"]

    on_a_stage(play)


def test_a_wait_of_nobody_is_ignored() -> None:
    async def play(stage: Stage) -> None:
        stage.driver.waits(a_stranger().execution, A1, "a quota is full")
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_a_wait_that_was_not_said_need_not_be_taken_back() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.driver.waits(key, A1, None)
        await asyncio.sleep(1)
        assert stage.api.count("update_status", EXECUTIONS) == 1

    on_a_stage(play)
