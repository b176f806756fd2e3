"""A turn loads, handles and saves, from the first state to the last and again after a restart."""

import asyncio
from typing import Any

from tests.runtime.stage import A1, FAILS, JOB, NOTHING, ONE_TASK, TWO_TASKS, UID, Stage, on_a_stage
from treadle.asl.errors import StateError
from treadle.asl.limits import DEFAULT
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.slots import TURNS_AT_ONCE
from treadle.sim import clock

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


def test_expressions_are_evaluated_and_timed_by_whoever_is_told_to() -> None:
    expression = "{% 1 + 1 %}"
    states = {
        "A": {"Type": "Pass", "Output": expression, "Next": "B"},
        "B": {
            "Type": "Task",
            "Resource": "treadle:job",
            "Arguments": {"image": "i", "env": {"N": expression}},
            "End": True,
        },
    }

    async def play(stage: Stage) -> None:
        await stage.running({"QueryLanguage": "JSONata", "StartAt": "A", "States": states})
        assert [asked.text for asked in stage.asked] == [" 1 + 1 "] * 2
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert [order.restored for order in stage.hands.started] == [True]
        assert len(stage.asked) == 3
        assert stage.asked[-1].seconds_max > stage.asked[0].seconds_max

    on_a_stage(play)


def test_of_two_slow_expressions_the_second_has_what_the_first_left() -> None:
    slow = {"Type": "Pass", "Output": ["{% 1 + 1 %}", "{% 2 + 2 %}", "{% 3 + 3 %}"], "End": True}

    async def play(stage: Stage) -> None:
        await stage.running({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": slow}})
        assert [asked.seconds_max for asked in stage.asked] == [1.5, 0.5]
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "States.QueryEvaluationError"

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


def test_others_go_on_while_expressions_are_evaluated_however_many_there_are() -> None:
    slow = {"Type": "Pass", "Output": "{% 1 + 1 %}", "End": True}

    async def play(stage: Stage) -> None:
        await stage.apply_machine(
            {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": slow}}
        )
        await stage.apply_machine(NOTHING, "quick")
        stage.driver.open()
        stage.free.clear()
        names = [f"slow-{number}" for number in range(TURNS_AT_ONCE + 1)]
        for name in names:
            stage.apply(name)
            stage.see(name)
        await asyncio.sleep(1)
        stage.apply("quick", "quick")
        stage.see("quick")
        await asyncio.sleep(1)
        assert stage.phase("quick") == "Succeeded"
        assert {stage.phase(name) for name in names} == {""}
        stage.free.set()
        await asyncio.sleep(1)
        assert {stage.phase(name) for name in names} == {"Succeeded"}

    on_a_stage(play)
