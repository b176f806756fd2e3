"""What the watch shows of an execution starts a turn only where it says something new."""

import asyncio

from tests.runtime.stage import A1, B1, NOTHING, ONE_TASK, TIMED, TWO_TASKS, Stage, on_a_stage
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.driver import CLOSING_SECONDS

# ------------------------------------------------------------------------------------- sightings


def test_an_echo_of_our_own_write_starts_no_turn() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        calls = len(stage.api.seen)
        stage.see()
        stage.see()
        await asyncio.sleep(5)
        assert len(stage.api.seen) == calls

    on_a_stage(play)


def test_an_echo_of_our_own_pending_starts_no_turn() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        reads = stage.api.count("get", STATE_MACHINES)
        stage.see()
        await asyncio.sleep(1)
        assert stage.api.count("get", STATE_MACHINES) == reads

    on_a_stage(play)


def test_a_sighting_from_before_our_write_changes_nothing() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        stage.apply()
        stale = decode.sighting(stage.of())
        stage.driver.open()
        stage.driver.seen(stale)
        await asyncio.sleep(1)
        stage.driver.seen(stale)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]
        assert stage.api.count("update_status", EXECUTIONS) == 1

    on_a_stage(play)


def test_a_stale_sighting_of_one_that_another_process_started_costs_a_read_and_no_harm() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(TWO_TASKS)
        stage.apply()
        stale = decode.sighting(stage.of())
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.reborn()
        stage.driver.open()
        stage.driver.seen(stale)
        await asyncio.sleep(1)
        assert [order.restored for order in stage.hands.started] == [True]

    on_a_stage(play)


def test_a_finished_one_is_left_alone_when_it_is_seen() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        calls = len(stage.api.seen)
        stage.see()
        await asyncio.sleep(1)
        assert (len(stage.api.seen), stage.driver.known()) == (calls, 0)

    on_a_stage(play)


def test_one_that_ended_lately_is_looked_at_after_a_restart() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.api.count("get", EXECUTIONS) == 1
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_one_that_ended_long_ago_is_not() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        await asyncio.sleep(CLOSING_SECONDS)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.api.count("get", EXECUTIONS) == 0

    on_a_stage(play)


def test_one_that_never_started_and_ended_lately_is_looked_at_too() -> None:
    async def play(stage: Stage) -> None:
        await stage.running({"StartAt": "A", "States": {}})
        assert stage.phase() == "Failed"
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_a_stop_that_is_seen_while_it_ends_is_too_late() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        await asyncio.sleep(12)  # ended unseen: it stays in hand to keep the name taken
        assert (stage.phase(), stage.driver.known()) == ("Failed", 1)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1)
        assert (stage.phase(), key.name) == ("Failed", "e")

    on_a_stage(play)


def test_a_stale_sighting_does_not_resume_what_is_suspended() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stale = decode.sighting(stage.of())
        stage.change(suspend=True)
        stage.see()
        await asyncio.sleep(1)
        stage.driver.seen(stale)
        await asyncio.sleep(1)
        assert stage.condition("Suspended") == ("True", "SpecSuspend")
        assert stage.hands.stopped == []

    on_a_stage(play)


def test_a_suspension_that_is_seen_in_the_middle_of_a_turn_is_not_overlooked() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)

        def suspended_after_our_write() -> None:
            async def soon() -> None:
                await asyncio.sleep(0.01)  # the write has landed; its answer is not handled yet
                stage.change(suspend=True)
                stage.see()

            stage.kept = asyncio.create_task(soon())  # type: ignore[attr-defined]

        stage.api.next("update_status", EXECUTIONS, suspended_after_our_write)
        stage.succeed(key)
        await asyncio.sleep(2)
        assert stage.condition("Suspended") == ("True", "SpecSuspend")

    on_a_stage(play)


def test_a_pending_one_seen_in_the_middle_of_its_turn_is_not_turned_twice() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.005)
        stage.touch()
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Pending"

    on_a_stage(play)


# -------------------------------------------------------------------------------------- deletion


def test_a_deletion_stops_what_runs() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        gone = decode.sighting(stage.of(), deleted=True)
        stage.remove()
        stage.driver.seen(gone)
        await asyncio.sleep(1)
        assert stage.hands.stopped == [A1]
        await stage.driver.sweep()
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_a_deletion_that_did_not_happen_stops_nothing() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.see(deleted=True)
        await asyncio.sleep(1)
        assert (stage.hands.stopped, stage.hands.asked) == ([], [A1])
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1, B1]

    on_a_stage(play)


def test_the_deletion_of_one_that_had_ended_leaves_nothing_in_hand() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        gone = decode.sighting(stage.of(), deleted=True)
        stage.remove()
        stage.driver.seen(gone)
        await asyncio.sleep(1)
        assert stage.driver.known() == 0

    on_a_stage(play)
