"""An execution is stopped with what it runs, and suspended without."""

import asyncio

from tests.runtime.stage import A1, ONE_TASK, TWO_TASKS, Stage, on_a_stage
from treadle.engine.events import TaskId
from treadle.stores import histories


def test_a_running_one_is_stopped_with_what_it_runs() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_who_stops_it_is_told() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.change(stop={"cause": "enough", "by": "ada"})
        stage.see()
        await asyncio.sleep(1)
        assert stage.said[-1] == ("Warning", "Aborted", "enough (by ada)")
        history = await histories.read(stage.api, stage.of())
        assert history[-1].details == {"cause": "enough", "by": "ada"}

    on_a_stage(play)


def test_one_that_is_suspended_before_its_start_does_nothing_until_it_is_resumed() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK, suspend=True)
        assert (stage.phase(), stage.hands.asked) == ("Running", [])
        assert stage.condition("Suspended") == ("True", "SpecSuspend")
        stage.change(suspend=False)
        stage.see()
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]
        assert stage.condition("Suspended") == ("False", "Resumed")

    on_a_stage(play)


def test_while_suspended_what_runs_may_end_and_nothing_new_starts() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.change(suspend=True)
        stage.see()
        await asyncio.sleep(0.5)
        stage.succeed(key)
        await asyncio.sleep(0.5)
        assert (stage.hands.asked, stage.hands.stopped) == ([A1], [])
        stage.change(suspend=None)
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_what_was_asked_while_nobody_was_there_is_heard_at_the_next_start() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(suspend=True)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.condition("Suspended") == ("True", "SpecSuspend")
        stage.change(stop={"error": "E"})
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"

    on_a_stage(play)
