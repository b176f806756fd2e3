"""No turn begins before the driver may, and none after its drain."""

import asyncio

from tests.runtime.stage import (
    A1,
    A_MINUTE,
    B1,
    JOB,
    NOTHING,
    ONE_TASK,
    TWO_TASKS,
    Stage,
    away,
    on_a_stage,
)
from treadle.engine.events import TaskStarted, TaskSucceeded
from treadle.kube import decode
from treadle.runtime.driver import Driver
from treadle.runtime.ports import Attempt, Standing

# --------------------------------------------------------------------------------- the first turn


def test_no_turn_begins_before_the_world_was_seen() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        stage.see()
        await asyncio.sleep(10)
        assert stage.phase() == ""
        stage.driver.open()
        await asyncio.sleep(0.2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_no_turn_begins_while_another_leads() -> None:
    async def play(stage: Stage) -> None:
        stage.lead.held = False
        await stage.running(NOTHING)
        await asyncio.sleep(10)
        assert stage.phase() == ""
        stage.lead.held = True
        await asyncio.sleep(6)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_driver_needs_neither_a_meter_nor_an_audience() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        driver = Driver(
            store=stage.store,
            machines=stage.machines,
            leadership=stage.lead,
            clock=stage.now,
            identify=stage.driver._turns.identify,
        )
        driver.open()
        driver.seen(decode.sighting(stage.of()))
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


# --------------------------------------------------------------------------------------- the end


def test_a_quiet_driver_saves_what_ends_and_starts_nothing_new() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.quiesce()
        stage.succeed(key)
        await asyncio.sleep(1)
        await stage.driver.sweep()
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]
        assert await stage.driver.standing(Attempt(key, B1)) is Standing.LIVE

    on_a_stage(play)


def test_what_could_not_start_before_it_became_quiet_does_not_start() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(away())
        stage.hands.faults.append(away())
        await stage.apply_machine(ONE_TASK)
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.1)
        stage.driver.quiesce()
        await asyncio.sleep(30)
        assert stage.hands.asked == []

    on_a_stage(play)


def test_a_drained_driver_has_saved_what_had_happened() -> None:
    async def play(stage: Stage) -> None:
        branches = [{"StartAt": name, "States": {name: {**JOB, "End": True}}} for name in "TU"]
        both = {"Type": "Parallel", "Branches": branches, "End": True}
        key = await stage.running({"StartAt": "P", "States": {"P": both}})
        one, other = stage.hands.asked
        stage.driver.post(key, TaskSucceeded(one, "1", stage.now()))
        await asyncio.sleep(0.005)  # its save is on the way
        stage.driver.post(key, TaskSucceeded(other, "2", stage.now()))
        await stage.driver.drain(5.0)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_after_the_drain_no_turn_begins() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(A_MINUTE)
        await stage.driver.drain(5.0)
        stage.driver.post(key, TaskStarted(A1, ""))
        await asyncio.sleep(100)
        assert stage.phase() == "Running"

    on_a_stage(play)
