"""One mailbox and one turn at a time: sightings, standings, timers, lists, and a tidy end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.runtime.stage import (
    A_MINUTE,
    JOB,
    NOTHING,
    ONE_TASK,
    TIMED,
    TWO_TASKS,
    Stage,
    away,
    on_a_stage,
)
from treadle.engine.events import TaskId, TaskStarted, TaskSucceeded
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS, PAGES, STATE_MACHINES
from treadle.runtime import driver as drivers
from treadle.runtime.driver import CLOSING_SECONDS, Driver
from treadle.runtime.ports import Attempt, ExecutionKey, Standing

A1 = TaskId(0, 1, 1)
B1 = TaskId(0, 2, 1)


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
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
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


# ------------------------------------------------------------------------------------- standings


def a_stranger(task: TaskId = A1, uid: str = "nobody") -> Attempt:
    return Attempt(ExecutionKey("default", "e", uid), task)


def test_the_attempt_that_runs_lives_and_others_are_over_or_newer() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.succeed(key)
        await asyncio.sleep(1)
        ask = stage.driver.standing
        assert await ask(Attempt(key, B1)) is Standing.LIVE
        assert await ask(Attempt(key, A1)) is Standing.OVER
        assert await ask(Attempt(key, TaskId(0, 3, 1))) is Standing.NEWER

    on_a_stage(play)


def test_what_is_decided_and_not_saved_is_not_over() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("update_status", EXECUTIONS, "failed", times=2)
        stage.succeed(key)
        await asyncio.sleep(0.05)
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.LIVE
        await stage.driver.sweep()
        await asyncio.sleep(0.01)
        assert (stage.hands.ends, stage.hands.stopped) == ([], [])
        await asyncio.sleep(2)
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.OVER
        assert stage.hands.ends == [A1]

    on_a_stage(play)


def test_of_one_that_has_ended_every_attempt_is_over() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.succeed(key)
        await asyncio.sleep(1)
        await stage.driver.sweep()
        assert stage.driver.known() == 0
        reads = stage.api.count("get", EXECUTIONS)
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.OVER
        assert stage.api.count("get", EXECUTIONS) == reads

    on_a_stage(play)


def test_one_of_which_nothing_exists_is_gone() -> None:
    async def play(stage: Stage) -> None:
        assert await stage.driver.standing(a_stranger()) is Standing.GONE

    on_a_stage(play)


def test_one_whose_name_another_has_is_gone() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        assert await stage.driver.standing(a_stranger()) is Standing.GONE

    on_a_stage(play)


def test_without_an_answer_nothing_is_known() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("get", EXECUTIONS, "failed")
        assert await stage.driver.standing(a_stranger()) is Standing.UNKNOWN

    on_a_stage(play)


def test_one_that_is_not_in_hand_is_taken_in_hand() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.reborn()
        stage.driver.open()
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.UNKNOWN
        await asyncio.sleep(1)
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.LIVE

    on_a_stage(play)


def test_of_one_that_was_being_deleted_nothing_is_left() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        held = {"metadata": {"finalizers": ["example.com/mine"]}}
        stage.objects.patch(EXECUTIONS, "default", "e", held)
        stage.remove()
        stage.reborn()
        stage.driver.open()
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.GONE
        await asyncio.sleep(1)
        assert stage.driver.known() == 0


def test_a_uid_that_is_claimed_from_another_namespace_means_nothing() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        claimed = key._replace(namespace="elsewhere")
        stage.driver.post(claimed, TaskSucceeded(A1, '"forged"', stage.now()))
        await asyncio.sleep(1)
        assert await stage.driver.standing(Attempt(claimed, A1)) is Standing.GONE
        assert stage.phase() == "Running"

    on_a_stage(play)


def test_only_so_many_ends_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "FINISHED_MAX", 1)

    async def play(stage: Stage) -> None:
        first = await stage.running(NOTHING)
        stage.apply("f")
        stage.see("f")
        await asyncio.sleep(1)
        assert [key.name for key in stage.driver._finished] == ["f"]
        assert first not in stage.driver._finished

    on_a_stage(play)


def test_an_event_of_one_that_has_ended_is_dropped() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(NOTHING)
        stage.driver.post(key, TaskStarted(A1, ""))
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_an_event_of_one_that_is_gone_is_dropped() -> None:
    async def play(stage: Stage) -> None:
        stage.driver.open()
        stage.driver.post(a_stranger().execution, TaskStarted(A1, ""))
        await asyncio.sleep(1)
        assert stage.driver.known() == 0

    on_a_stage(play)


# -------------------------------------------------------------------------------------- capacity


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


# ---------------------------------------------------------------------------- lists and sweeps


def test_a_list_shows_what_the_watch_missed() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        stage.driver.open()
        stage.driver.compare(await stage.store.active([None]))
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_what_a_list_lacks_is_read() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.remove()
        stage.driver.compare(await stage.store.active(["default"]))
        await asyncio.sleep(1)
        assert stage.hands.stopped == [A1]
        await stage.driver.sweep()
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_what_a_list_lacks_though_it_is_there_goes_on() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.compare([])
        await asyncio.sleep(1)
        assert (stage.hands.asked, stage.hands.stopped) == ([A1], [])
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1, B1]

    on_a_stage(play)


def test_what_a_list_lacks_because_another_process_ended_it_is_let_go() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        other = Stage.__new__(Stage)
        other.__dict__.update(stage.__dict__)
        other.reborn()
        other.driver.open()
        other.see()
        await asyncio.sleep(0.5)
        other.succeed(key)
        await asyncio.sleep(0.5)
        assert stage.phase() == "Succeeded"
        stage.driver.compare(await stage.store.active([None]))
        await asyncio.sleep(1)
        await stage.driver.sweep()
        assert stage.driver.known() == 0
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_a_sweep_counts_what_is_in_hand() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        await stage.driver.sweep()
        assert stage.meter.told[-1] == ("held", 1, 0)

    on_a_stage(play)


def test_a_sweep_starts_what_no_event_did() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        (run,) = stage.driver._runs.values()
        run.effects.clear()
        await stage.driver.sweep()
        await asyncio.sleep(0.5)
        assert stage.hands.asked == [A1, A1]

    on_a_stage(play)


# ------------------------------------------------------------------------------------- the pages


def test_pages_that_no_checkpoint_needs_are_removed_in_time() -> None:
    async def play(stage: Stage) -> None:
        from treadle.engine import snapshot

        normal = snapshot.CORE_BYTES_MAX
        snapshot.CORE_BYTES_MAX = 300  # type: ignore[misc]
        try:
            chain: dict[str, Any] = {
                f"s{n}": {"Type": "Wait", "Seconds": 30, "Next": f"s{n + 1}"} for n in range(20)
            }
            chain["s20"] = {"Type": "Succeed"}
            await stage.running({"StartAt": "s0", "States": chain})
            counts = []
            for _ in range(20):
                await asyncio.sleep(30)
                counts.append(
                    sum(p["spec"]["kind"] == "snapshot" for p in stage.objects.each(PAGES))
                )
            assert stage.phase() == "Succeeded"
            assert max(counts) <= 10
        finally:
            snapshot.CORE_BYTES_MAX = normal  # type: ignore[misc]

    on_a_stage(play)


def test_tidying_that_fails_is_made_up_for() -> None:
    async def play(stage: Stage) -> None:
        from treadle.engine import snapshot

        normal = snapshot.CORE_BYTES_MAX
        snapshot.CORE_BYTES_MAX = 300  # type: ignore[misc]
        try:
            stage.api.next("list", PAGES, "failed")
            states = {
                "A": {**JOB, "Next": "B"},
                "B": {**JOB, "Next": "C"},
                "C": {**JOB, "Next": "D"},
                "D": {**JOB, "End": True},
            }
            key = await stage.running({"StartAt": "A", "States": states})
            for _ in range(3):
                stage.succeed(key)
                await asyncio.sleep(1)
            assert stage.api.count("list", PAGES) == 1
            await asyncio.sleep(130)
            stage.succeed(key)
            await asyncio.sleep(1)
            assert stage.phase() == "Succeeded"
            assert stage.api.count("list", PAGES) == 2
        finally:
            snapshot.CORE_BYTES_MAX = normal  # type: ignore[misc]

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


def test_a_long_timer_looks_at_the_clock_now_and_then() -> None:
    waits = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 864000, "End": True}}}

    async def play(stage: Stage) -> None:
        await stage.running(waits)
        stage.skip = timedelta(days=11)  # somebody has set the clock
        await asyncio.sleep(601)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)
