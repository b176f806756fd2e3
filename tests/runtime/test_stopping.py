"""An execution is stopped with what it runs, and suspended without."""

import asyncio

import pytest

from tests.runtime.stage import A1, ONE_TASK, TWO_TASKS, Stage, on_a_stage
from treadle.engine.events import TaskId
from treadle.kube.kinds import EXECUTIONS
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


async def suspensions(stage: Stage) -> list[tuple[str, object]]:
    """What the history says of suspending and resuming, and who did it."""
    history = await histories.read(stage.api, stage.of())
    kinds = ("ExecutionSuspended", "ExecutionResumed")
    return [(each.type, each.details.get("by")) for each in history if each.type in kinds]


def by(stage: Stage, whom: str, generation: int) -> dict[str, object]:
    return {"by": whom, "uid": stage.key.uid, "generation": generation}


def test_who_suspends_and_resumes_it_is_told() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(suspend=True, suspendBy=by(stage, "ada", 2))
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.said[-1] == ("Normal", "Suspended", "nothing new starts (by ada)")
        stage.change(suspend=False)  # as who knows nothing of ada's name does
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.said[-1] == ("Normal", "Resumed", "it goes on")
        stage.change(suspend=True)
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.of()["spec"]["suspendBy"] == by(stage, "ada", 2)
        stage.change(suspend=None, suspendBy=by(stage, "bob", 5))
        stage.see()
        await asyncio.sleep(0.5)
        assert await suspensions(stage) == [
            ("ExecutionSuspended", "ada"),
            ("ExecutionResumed", None),
            ("ExecutionSuspended", None),
            ("ExecutionResumed", "bob"),
        ]

    on_a_stage(play)


def test_one_that_is_never_suspended_tells_nothing_of_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.change(suspend=False, suspendBy=by(stage, "ada", 2))
        stage.see()
        await asyncio.sleep(0.5)
        assert await suspensions(stage) == []

    on_a_stage(play)


def test_what_was_suspended_and_resumed_while_nobody_was_there_counts_by_what_is_left() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(suspend=True, suspendBy=by(stage, "ada", 2))
        stage.change(suspend=False, suspendBy=by(stage, "bob", 3))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.5)
        assert await suspensions(stage) == []
        stage.change(suspend=True, suspendBy=by(stage, "ada", 4))
        stage.change(suspend=False)
        stage.change(suspend=True, suspendBy=by(stage, "eve", 6))
        for _ in range(3):
            stage.reborn()
            stage.driver.open()
            stage.see()
            await asyncio.sleep(0.5)
        assert await suspensions(stage) == [("ExecutionSuspended", "eve")]

    on_a_stage(play)


@pytest.mark.parametrize("fate", ["lost", "failed"])
def test_a_save_that_is_not_answered_tells_no_suspension_twice(fate: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, fate, times=2)
        stage.change(suspend=True, suspendBy=by(stage, "ada", 2))
        stage.see()
        await asyncio.sleep(30)
        assert await suspensions(stage) == [("ExecutionSuspended", "ada")]
        assert [said[1] for said in stage.said].count("Suspended") == 1

    on_a_stage(play)


def test_what_is_resumed_before_the_save_that_suspends_it_goes_on() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)

        def flips() -> None:
            stage.change(suspend=stage.of()["spec"].get("suspend") is not True)

        stage.api.next("update_status", EXECUTIONS, flips, times=2)
        stage.succeed(key)
        await asyncio.sleep(5)
        assert stage.of()["spec"]["suspend"] is False
        assert await suspensions(stage) == []
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_one_that_is_made_again_of_another_names_nobody_of_before() -> None:
    async def play(stage: Stage) -> None:
        before = {"by": "ada", "uid": "of before", "generation": 2}
        await stage.running(ONE_TASK, suspend=True, suspendBy=before)
        stage.change(suspend=False)
        stage.see()
        await asyncio.sleep(0.5)
        assert stage.of()["metadata"]["generation"] == 2
        told = [("ExecutionSuspended", None), ("ExecutionResumed", None)]
        assert await suspensions(stage) == told

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
