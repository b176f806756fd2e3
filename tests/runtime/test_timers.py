"""A timer fires once its time has come and the view of the world is whole."""

import asyncio
from datetime import timedelta

from tests.runtime.stage import A1, A_MINUTE, CHAIN, JOB, TIMED, Stage, on_a_stage
from treadle.engine.events import TaskSucceeded
from treadle.runtime.ports import Unavailable


def test_a_wait_ends_by_itself() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(A_MINUTE)
        await asyncio.sleep(59)
        assert stage.phase() == "Running"
        await asyncio.sleep(2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_timer_waits_until_the_view_of_the_world_is_whole() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        stage.hands.seeing = False
        in_time = TaskSucceeded(A1, '"in time"', stage.now())
        await asyncio.sleep(30)
        assert stage.phase() == "Running"
        stage.driver.post(key, in_time)
        stage.hands.seeing = True
        await asyncio.sleep(2)
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", '"in time"')

    on_a_stage(play)


def test_it_fires_once_it_is() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        stage.hands.seeing = False
        await asyncio.sleep(30)
        stage.hands.seeing = True
        await asyncio.sleep(2)
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "States.Timeout")

    on_a_stage(play)


def test_a_result_that_came_after_the_deadline_is_a_timeout() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        stage.reborn()
        await asyncio.sleep(30)
        stage.driver.open()
        stage.driver.post(key, TaskSucceeded(A1, '"late"', stage.now()))
        stage.see()
        await asyncio.sleep(2)
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "States.Timeout")

    on_a_stage(play)


def test_work_of_an_earlier_turn_goes_on_and_fires_no_timer_while_the_world_is_unseen() -> None:
    timed = {"StartAt": "T", "States": {"T": {**JOB, "TimeoutSeconds": 10, "End": True}}}
    long = {"StartAt": "U", "States": {"U": {**JOB, "Next": "s0"}, **CHAIN}}
    both = {"Type": "Parallel", "Branches": [timed, long], "End": True}

    async def play(stage: Stage) -> None:
        key = await stage.running({"StartAt": "P", "States": {"P": both}})
        timed_task, long_task = stage.hands.asked
        in_time = TaskSucceeded(timed_task, "1", stage.now())
        stage.hands.seeing = False
        await asyncio.sleep(20)
        stage.driver.post(key, TaskSucceeded(long_task, "{}", stage.now()))
        await asyncio.sleep(2)
        assert stage.phase() == "Running"
        stage.driver.post(key, in_time)
        stage.hands.seeing = True
        await asyncio.sleep(2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_long_timer_looks_at_the_clock_now_and_then() -> None:
    waits = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 864000, "End": True}}}

    async def play(stage: Stage) -> None:
        await stage.running(waits)
        stage.skip = timedelta(days=11)  # somebody has set the clock
        await asyncio.sleep(601)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


# --------------------------------------------------------- what is asked for before timers fire


def test_a_timer_of_a_restored_attempt_waits_until_its_end_was_asked_for() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        in_time = TaskSucceeded(A1, '"in time"', stage.now())
        stage.reborn()
        stage.hands.asks_first = True
        stage.hands.faults.extend([Unavailable("no answer")] * 3)
        stage.skip = timedelta(seconds=30)  # nobody was there
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.5)
        assert (stage.phase(), stage.hands.started) == ("Running", [])
        stage.driver.post(key, in_time)  # what asking found
        await asyncio.sleep(5)
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", '"in time"')

    on_a_stage(play)


def test_it_fires_once_the_end_was_asked_for() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        stage.reborn()
        stage.hands.asks_first = True
        stage.hands.faults.extend([Unavailable("no answer")] * 3)
        stage.skip = timedelta(seconds=30)  # nobody was there
        stage.driver.open()
        stage.see()
        await asyncio.sleep(5)
        assert stage.hands.started[0].restored
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "States.Timeout")

    on_a_stage(play)


def test_a_stop_needs_not_to_wait_for_that() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        stage.reborn()
        stage.hands.asks_first = True
        stage.hands.faults.extend([Unavailable("no answer")] * 100)
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.5)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(2)
        assert stage.phase() == "Aborted"

    on_a_stage(play)
