"""A task that waits for capacity is a condition of its execution until it does not."""

import asyncio

from tests.runtime.stage import A1, ONE_TASK, Stage, a_stranger, on_a_stage
from treadle.kube.kinds import EXECUTIONS


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
