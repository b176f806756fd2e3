"""Whatever comes between a turn and its save, nothing is lost and nothing doubled."""

import asyncio

from tests.runtime.stage import A1, ONE_TASK, TIMED, TWO_TASKS, UID, Stage, on_a_stage
from treadle.engine.events import TaskId, TaskStarted, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS


def test_somebody_who_labels_the_object_costs_a_read_and_a_second_write() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, stage.touch)
        stage.succeed(key)
        await asyncio.sleep(0.5)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]
        assert stage.api.count("get", EXECUTIONS) == 1
        assert ("saved", "conflict") in stage.meter.told

    on_a_stage(play)


def test_somebody_who_labels_it_before_its_first_save_hinders_nothing() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        stage.apply()
        stage.driver.open()
        stage.api.next("update_status", EXECUTIONS, stage.touch)
        stage.see()
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]

    on_a_stage(play)


def test_a_stop_that_comes_with_the_conflict_is_heard() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stop = {"error": "Enough", "cause": "said so"}
        stage.api.next("update_status", EXECUTIONS, lambda: stage.change(stop=stop))
        stage.succeed(key)
        await asyncio.sleep(1)
        assert (stage.phase(), stage.status()["error"]) == ("Aborted", "Enough")

    on_a_stage(play)


def test_our_own_write_whose_answer_was_lost_is_recognised() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, "lost")
        stage.succeed(key)
        await asyncio.sleep(2)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_events_that_came_after_a_lost_answer_are_not_lost_with_it() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, "lost")
        stage.succeed(key)
        await asyncio.sleep(0.03)
        stage.driver.post(key, TaskSucceeded(TaskId(0, 2, 1), '"B"', stage.now()))
        await asyncio.sleep(2)
        assert stage.status()["output"] == '"B"'

    on_a_stage(play)


def test_a_write_that_did_not_happen_is_made_again() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, "failed", times=3)
        stage.succeed(key)
        await asyncio.sleep(0.3)
        assert stage.hands.asked == [A1]  # nothing is done that is not saved
        assert ("saved", "failed") in stage.meter.told
        await asyncio.sleep(3)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_the_same_events_are_handled_on_what_another_process_saved() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        before = stage.status()["checkpoint"]
        other = Stage.__new__(Stage)
        other.__dict__.update(stage.__dict__)
        other.reborn()
        other.driver.open()
        other.see()
        await asyncio.sleep(0.5)
        other.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(6)
        assert stage.status()["checkpoint"] != before
        stage.succeed(key, '"mine"')
        await asyncio.sleep(1)
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", '"mine"')
        assert stage.hands.stopped == []

    on_a_stage(play)


def test_two_that_start_the_same_execution_agree() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        key = stage.apply()
        other = Stage.__new__(Stage)
        other.__dict__.update(stage.__dict__)
        other.reborn()
        for each in (stage, other):
            each.driver.open()
            each.see()
            each.skip = each.skip.resolution * 1000  # the second one's clock is ahead
        await asyncio.sleep(1)
        assert stage.hands.asked == other.hands.asked == [A1]
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_an_execution_of_the_same_name_is_another_one() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)

        def replaced() -> None:
            stage.remove()
            stage.apply()

        stage.api.next("update_status", EXECUTIONS, replaced)
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.phase() == ""  # the new one is untouched
        assert stage.hands.ends == [A1]
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_an_execution_deleted_in_the_middle_of_a_turn_is_dropped() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, stage.remove)
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.driver.known() == 0
        assert len(stage.hands.started) == 1

    on_a_stage(play)


def test_an_execution_that_is_being_deleted_is_as_good_as_gone() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)

        def deleted() -> None:
            held = {"metadata": {"finalizers": ["example.com/mine"]}}
            stage.objects.patch(EXECUTIONS, "default", "e", held)
            stage.remove()

        stage.api.next("update_status", EXECUTIONS, deleted)
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.driver.known() == 0
        assert stage.phase() == "Running"
        stage.see()  # and it stays so though it is seen again
        await asyncio.sleep(1)
        assert stage.driver.known() == 0

    on_a_stage(play)
