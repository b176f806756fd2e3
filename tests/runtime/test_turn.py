"""A turn loads, handles and saves; whatever comes between, nothing is lost, nothing doubled."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import (
    A_MINUTE,
    FAILS,
    JOB,
    NOTHING,
    ONE_TASK,
    TIMED,
    TWO_TASKS,
    UID,
    Stage,
    on_a_stage,
)
from treadle.asl.errors import StateError
from treadle.asl.limits import DEFAULT
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS, PAGES, REVISIONS, STATE_MACHINES
from treadle.sim import clock

A1 = TaskId(0, 1, 1)
CHAIN: dict[str, Any] = {
    **{f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(1200)},
    "s1200": {"Type": "Succeed"},
}


# -------------------------------------------------------------------------------------- the walk


def test_an_execution_without_tasks_costs_one_write() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        assert stage.phase() == "Succeeded"
        assert stage.status()["output"] == '{"v":1}'
        assert stage.condition("Complete") == ("True", "Succeeded")
        assert stage.api.count("update_status", EXECUTIONS) == 1
        assert stage.meter.told == ["started", ("saved", "ok"), ("ended", "Succeeded")]

    on_a_stage(play)


def test_its_first_turn_needs_no_read_of_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        assert stage.api.count("get", EXECUTIONS) == 0

    on_a_stage(play)


def test_a_failure_is_announced_with_its_error() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(FAILS)
        assert stage.phase() == "Failed"
        assert stage.said == [("Warning", "Failed", "E: because")]

    on_a_stage(play)


def test_a_task_is_saved_before_it_starts() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        stage.apply()
        phases: list[str] = []
        start = stage.hands.start

        async def watched(order: Any) -> None:
            phases.append(stage.phase())
            await start(order)

        stage.hands.start = watched  # type: ignore[method-assign]
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert phases == ["Running"]

    on_a_stage(play)


def test_a_result_leads_to_the_next_task_in_one_write() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.succeed(key)
        await asyncio.sleep(0.5)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]
        assert stage.api.count("update_status", EXECUTIONS) == 2
        stage.succeed(key, '{"done":1}')
        await asyncio.sleep(0.5)
        assert stage.status()["output"] == '{"done":1}'
        assert stage.hands.ends == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_a_repeated_event_changes_and_writes_nothing() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        event = TaskSucceeded(A1, "{}", stage.now())
        stage.driver.post(key, event)
        await asyncio.sleep(0.5)
        version = stage.of()["metadata"]["resourceVersion"]
        stage.driver.post(key, event)
        stage.driver.post(key, TaskFailed(A1, StateError("E", ""), stage.now()))
        await asyncio.sleep(0.5)
        assert stage.of()["metadata"]["resourceVersion"] == version

    on_a_stage(play)


def test_results_are_handled_in_the_order_in_which_they_happened() -> None:
    branches = [{"StartAt": name, "States": {name: {**JOB, "End": True}}} for name in "TU"]
    both = {"Type": "Parallel", "Branches": branches, "End": True}

    async def play(stage: Stage) -> None:
        key = await stage.running({"StartAt": "P", "States": {"P": both}})
        now = clock.wall()
        one, other = stage.hands.asked
        late = TaskFailed(one, StateError("Second", ""), now)
        early = TaskFailed(other, StateError("First", ""), now.replace(microsecond=0))
        stage.driver.post(key, late)
        stage.driver.post(key, early)
        await asyncio.sleep(0.5)
        assert stage.status()["error"] == "First"

    on_a_stage(play)


def test_more_transitions_than_a_turn_may_make_are_spread_over_turns() -> None:
    async def play(stage: Stage) -> None:
        states: dict[str, Any] = {
            f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(1200)
        }
        states["s1200"] = {"Type": "Succeed"}
        await stage.running({"StartAt": "s0", "States": states})
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"
        saves = -(-len(states) // DEFAULT.turn_transitions_max)
        assert stage.api.count("update_status", EXECUTIONS) == saves

    on_a_stage(play)


def test_what_was_seen_running_waits_for_a_save_to_ride_on() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.post(key, TaskStarted(A1, ""))
        await asyncio.sleep(0.5)
        assert stage.api.count("update_status", EXECUTIONS) == 1
        stage.succeed(key)
        await asyncio.sleep(7)
        assert stage.api.count("update_status", EXECUTIONS) == 2

    on_a_stage(play)


def test_but_not_for_ever() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.post(key, TaskStarted(A1, ""))
        await asyncio.sleep(2)
        stage.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(4)
        assert stage.api.count("update_status", EXECUTIONS) == 2

    on_a_stage(play)


# ------------------------------------------------------------------------------------ conflicts


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


# ---------------------------------------------------------------------------------- the start


def test_without_its_machine_it_is_pending_and_says_why() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Pending"
        assert stage.status()["message"] == "StateMachine 'm' does not exist"
        assert stage.said == [("Warning", "Pending", "StateMachine 'm' does not exist")]

    on_a_stage(play)


def test_it_starts_when_its_machine_appears() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        await stage.apply_machine(NOTHING)
        await asyncio.sleep(5)
        assert stage.phase() == "Succeeded"
        assert "pendingSince" in stage.status()

    on_a_stage(play)


def test_and_at_once_when_it_is_told() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        await stage.apply_machine(NOTHING)
        stage.driver.machine_changed("default", "m")
        await asyncio.sleep(0.2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_of_other_machines_it_is_not_told() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        reads = stage.api.count("get", STATE_MACHINES)
        stage.driver.machine_changed("default", "other")
        stage.driver.machine_changed("elsewhere", "m")
        await asyncio.sleep(0.2)
        assert stage.api.count("get", STATE_MACHINES) == reads

    on_a_stage(play)


def test_it_fails_when_its_start_deadline_has_passed() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(startDeadlineSeconds=7)
        stage.driver.open()
        stage.see()
        await asyncio.sleep(6.9)
        assert stage.phase() == "Pending"
        await asyncio.sleep(0.5)
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.StartDeadlineExceeded"
        assert "startDeadlineSeconds (7) has passed" in stage.status()["cause"]
        assert stage.meter.told == [("ended", "Failed")]
        await asyncio.sleep(60)
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_the_deadline_counts_from_the_save_that_recorded_pending() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(startDeadlineSeconds=7)
        await asyncio.sleep(100)  # nobody was there
        stage.driver.open()
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Pending"
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Pending"
        await asyncio.sleep(2)
        assert stage.phase() == "Failed"

    on_a_stage(play)


def test_a_machine_that_nobody_has_judged_yet_fails_nothing() -> None:
    async def play(stage: Stage) -> None:
        spec = {"definition": NOTHING}
        obj = {"metadata": {"name": "m"}, "spec": spec}
        stage.objects.create(STATE_MACHINES, "default", obj)
        stage.apply(startDeadlineSeconds=7)
        stage.driver.open()
        stage.see()
        await asyncio.sleep(20)
        assert stage.phase() == "Pending"
        await stage.machines.judge("default", "m")
        await asyncio.sleep(6)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_with_an_invalid_machine_it_fails_at_once() -> None:
    async def play(stage: Stage) -> None:
        await stage.running({"StartAt": "A", "States": {}})
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.InvalidDefinition"
        assert "StateMachine 'm'" in stage.status()["cause"]

    on_a_stage(play)


def test_with_a_spec_that_cannot_be_used_it_fails_with_the_sentence() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING, inputJson="{", input=None)
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.InvalidExecution"
        assert "/spec" in stage.status()["cause"]

    on_a_stage(play)


def test_a_pending_one_can_be_stopped() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.change(stop={"error": "No", "cause": "not today"})
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert (stage.status()["error"], stage.status()["cause"]) == ("No", "not today")
        assert stage.condition("Failed") == ("True", "Aborted")

    on_a_stage(play)


def test_a_stop_without_words_leaves_none() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(stop={})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert "error" not in stage.status()
        assert "cause" not in stage.status()
        assert stage.said == [("Warning", "Aborted", "Aborted")]

    on_a_stage(play)


def test_a_conflict_while_pending_starts_over() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.api.next("update_status", EXECUTIONS, lambda: stage.change(stop={"error": "No"}))
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert stage.meter.told[0] == ("saved", "conflict")

    on_a_stage(play)


def test_a_machine_that_cannot_be_read_is_asked_for_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        stage.driver.open()
        stage.api.next("get", STATE_MACHINES, "failed", times=3)
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


# ------------------------------------------------------------------------------- stop, suspend


def test_a_running_one_is_stopped_with_what_it_runs() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert stage.hands.stopped == [A1]

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


# -------------------------------------------------------------------------------------- restart


def test_a_process_that_takes_over_starts_what_must_run_as_restored() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        assert [order.restored for order in stage.hands.started] == [False]
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.5)
        assert [order.restored for order in stage.hands.started] == [True]
        stage.succeed(key)
        await asyncio.sleep(0.5)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_one_that_has_ended_is_not_restarted() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.api.count("update_status", EXECUTIONS) == 1

    on_a_stage(play)


# --------------------------------------------------------------------------------------- timers


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


# --------------------------------------------------------------------------------------- parking


def test_one_whose_revision_is_missing_is_parked_with_a_condition() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        checkpoint = stage.status()["checkpoint"]
        revision = stage.status()["revision"]
        stage.cluster.remove(REVISIONS, ("default", revision))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.condition("Parked") == ("True", "CannotContinue")
        assert stage.status()["checkpoint"] == checkpoint
        assert stage.phase() == "Running"
        assert "parked" in stage.meter.told
        assert stage.said[-1][1] == "Parked"

    on_a_stage(play)


@pytest.mark.parametrize(
    ("checkpoint", "sentence"),
    [
        ("99.x.y", "this release reads up to"),
        ("nonsense", "has no version"),
        ("1.AAAA.", "cannot be read"),
    ],
)
def test_one_whose_checkpoint_cannot_be_read_is_parked(checkpoint: str, sentence: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.set_status(checkpoint=checkpoint)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        (parked,) = [c for c in stage.status()["conditions"] if c["type"] == "Parked"]
        assert sentence in parked["message"]
        assert stage.status()["checkpoint"] == checkpoint
        assert stage.hands.asked == []

    on_a_stage(play)


def test_one_that_pins_no_revision_is_parked() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.set_status(revision=None)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.condition("Parked") == ("True", "CannotContinue")

    on_a_stage(play)


def test_a_parked_one_goes_on_when_its_revision_is_there_again() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        revision = stage.objects.get(REVISIONS, "default", stage.status()["revision"])
        stage.cluster.remove(REVISIONS, ("default", revision["metadata"]["name"]))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.objects.create(REVISIONS, "default", revision)
        stage.touch()
        stage.see()
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_what_was_running_goes_on_while_a_snapshot_is_unreadable() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.set_status(checkpoint="99.x.y")  # a newer release has taken over
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.condition("Parked") == ("True", "CannotContinue")
        assert (stage.hands.stopped, stage.hands.ends) == ([], [])

    on_a_stage(play)


def test_one_that_we_break_is_parked_and_harms_no_other() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.post(key, "no event")  # type: ignore[arg-type]
        await asyncio.sleep(1)
        assert "parked" in stage.meter.told
        assert stage.condition("Parked") == ("True", "CannotContinue")
        assert (stage.hands.stopped, stage.hands.ends) == ([], [])
        stage.apply("other")
        stage.see("other")
        await asyncio.sleep(1)
        assert len(stage.hands.started) == 2

    on_a_stage(play)


def test_and_tries_again_when_somebody_touches_it() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.post(key, "no event")  # type: ignore[arg-type]
        await asyncio.sleep(1)
        stage.see()  # our own write comes back
        await asyncio.sleep(1)
        assert stage.api.count("get", EXECUTIONS) == 1
        for _ in "ab":
            stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1]
        stage.touch()
        stage.see()
        await asyncio.sleep(2)
        assert stage.hands.asked == [A1, TaskId(0, 2, 1)]

    on_a_stage(play)


def test_one_that_we_break_and_that_is_gone_is_dropped() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.remove()
        stage.driver.post(key, "no event")  # type: ignore[arg-type]
        await asyncio.sleep(1)
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_one_that_we_break_stays_parked_though_its_status_cannot_say_so() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.api.next("get", EXECUTIONS, "failed")
        stage.driver.post(key, "no event")  # type: ignore[arg-type]
        await asyncio.sleep(1)
        stage.succeed(key)
        await asyncio.sleep(60)
        assert stage.hands.asked == [A1]
        assert stage.condition("Parked") is None

    on_a_stage(play)


def test_a_page_that_is_missing_parks_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(TWO_TASKS)
        stage.apply(input={"big": "x" * 9000})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        for page in list(stage.objects.each(PAGES)):
            stage.cluster.remove(PAGES, ("default", page["metadata"]["name"]))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.condition("Parked") == ("True", "CannotContinue")

    on_a_stage(play)


def test_a_load_that_fails_is_tried_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.reborn()
        stage.driver.open()
        stage.api.next("get", EXECUTIONS, "failed", times=2)
        stage.see()
        await asyncio.sleep(2)
        assert stage.hands.asked == [A1]

    on_a_stage(play)
