"""Wanted and missing is started; existing and no longer wanted is stopped; names stay taken."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import (
    A1,
    B1,
    JOB,
    ONE_TASK,
    TIMED,
    TWO_TASKS,
    UID,
    Hands,
    Stage,
    away,
    on_a_stage,
)
from treadle.engine.events import TaskId, TaskStarted
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime import functions
from treadle.runtime.driver import CLOSING_SECONDS
from treadle.runtime.ports import Conflict, Missing, Unavailable

RETRIED = {
    "StartAt": "A",
    "States": {
        "A": {
            **JOB,
            "TimeoutSeconds": 10,
            "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}],
            "End": True,
        }
    },
}


# -------------------------------------------------------------------------------------- starting


def test_an_order_tells_all_that_a_runner_needs() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        (order,) = stage.hands.started
        assert (order.execution, order.attempt.task) == (key, A1)
        assert (order.expired, order.restored) == (False, False)
        assert order.task.parameters == {"image": "i"}
        assert order.task.input == {"v": 1}
        assert order.payload_bytes_max > 0

    on_a_stage(play)


def test_a_start_that_fails_is_tried_again_after_growing_delays() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.extend([away(), Conflict("x"), Missing("y")])
        await stage.running(ONE_TASK)
        assert stage.hands.asked == []
        await asyncio.sleep(2)
        assert (stage.hands.asked, stage.hands.tries) == ([A1], 4)

    on_a_stage(play)


def test_or_when_the_api_server_says() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(Unavailable("full", 40.0))
        await stage.running(ONE_TASK)
        await asyncio.sleep(38)
        assert stage.hands.asked == []
        await asyncio.sleep(3)
        assert stage.hands.asked == [A1]

    on_a_stage(play)


def test_what_nobody_runs_fails_with_a_sentence() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.resources = frozenset({"treadle:other"})
        await stage.running(ONE_TASK)
        assert stage.status()["error"] == "Treadle.ResourceNotRunnable"
        assert "treadle:job" in stage.status()["cause"]

    on_a_stage(play)


def test_each_resource_goes_to_its_runner() -> None:
    async def play(stage: Stage) -> None:
        other = Hands("treadle:http")
        stage.driver.serve([other])
        await stage.running(ONE_TASK)
        assert (stage.hands.asked, other.asked) == ([A1], [])

    on_a_stage(play)


def test_a_start_that_is_waiting_ends_when_its_attempt_does() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(Unavailable("full", 100.0))
        await stage.running(ONE_TASK)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(200)
        assert [order.expired for order in stage.hands.started] == [True]
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_a_start_waits_while_the_snapshot_is_unreadable_and_goes_on_after() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(Unavailable("full", 20.0))
        await stage.running(ONE_TASK)
        checkpoint = stage.status()["checkpoint"]
        stage.set_status(checkpoint="99.x.y")
        stage.driver.compare([])
        await asyncio.sleep(30)
        assert stage.condition("Parked") == ("True", "CannotContinue")
        assert stage.hands.asked == []
        stage.set_status(checkpoint=checkpoint)
        stage.see()
        await asyncio.sleep(15)
        assert stage.hands.asked == [A1]

    on_a_stage(play)


def test_a_start_waits_while_its_end_is_decided_and_not_saved() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(Unavailable("full", 1.0))
        await stage.running(ONE_TASK)
        stage.api.next("update_status", EXECUTIONS, "failed", times=4)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1.5)
        assert stage.hands.asked == []
        await asyncio.sleep(10)
        assert stage.phase() == "Aborted"
        assert [order.expired for order in stage.hands.started] == [True]

    on_a_stage(play)


def test_a_start_that_waits_does_not_act_for_another_leader() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.faults.append(away())
        await stage.running(ONE_TASK)
        assert stage.hands.tries == 2
        stage.hands.faults.append(away())
        stage.hands.tries = 0
        await stage.running_another("f")
        stage.lead.held = False
        await asyncio.sleep(30)
        assert stage.hands.tries == 1
        stage.lead.held = True
        await asyncio.sleep(11)
        assert stage.hands.tries == 2

    on_a_stage(play)


# -------------------------------------------------------------------------------------- stopping


def test_what_is_seen_outside_and_over_is_stopped() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.succeed(key)
        await asyncio.sleep(1)
        stage.hands.there = [A1, B1, TaskId(0, 9, 1)]
        await stage.driver.sweep()
        await asyncio.sleep(1)
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_what_is_seen_while_it_is_being_stopped_is_not_stopped_twice() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.hands.stop_faults.extend([away()] * 3)
        stage.hands.there = [A1]
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(0.3)
        await stage.driver.sweep()
        stage.hands.there = []
        await asyncio.sleep(10)
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_an_attempt_that_had_its_outcome_is_left_to_its_runner() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.succeed(key)
        await asyncio.sleep(1)
        assert (stage.hands.ends, stage.hands.stopped) == ([A1], [])

    on_a_stage(play)


# --------------------------------------------------------------------------------- names of ends


def test_the_name_of_an_attempt_that_ended_unseen_is_taken() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        first = stage.hands.task()
        await asyncio.sleep(12)
        (_, closing) = stage.hands.started
        assert (closing.expired, closing.task.id, closing.task.digest) == (True, A1, first.digest)
        assert stage.phase() == "Failed"

    on_a_stage(play)


def test_and_taken_once() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(RETRIED)
        await asyncio.sleep(30)
        for _ in "abc":
            await stage.driver.sweep()
        await asyncio.sleep(1)
        expired = [order.task.id for order in stage.hands.started if order.expired]
        assert expired == [A1, TaskId(0, 1, 2)]

    on_a_stage(play)


def test_a_name_that_is_taken_already_is_not_looked_into_at_every_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        await asyncio.sleep(12)
        asked: list[str] = []
        monkeypatch.setattr(functions, "native_resource", lambda *given: asked.append(given[0]))
        await stage.driver.sweep()
        assert asked == []

    on_a_stage(play)


def test_a_runner_that_raises_is_asked_again_for_the_name(caplog: pytest.LogCaptureFixture) -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        await asyncio.sleep(9)
        stage.hands.faults.append(RuntimeError("we are wrong"))
        await asyncio.sleep(3)
        assert [order.expired for order in stage.hands.started] == [False]
        assert "we are wrong" in caplog.text
        await stage.driver.sweep()
        await asyncio.sleep(1)
        assert [order.expired for order in stage.hands.started] == [False, True]

    on_a_stage(play)


def test_the_name_is_taken_although_the_first_try_fails() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        await asyncio.sleep(9)
        stage.hands.faults.extend([away()] * 2)
        await asyncio.sleep(10)
        assert [order.expired for order in stage.hands.started] == [False, True]

    on_a_stage(play)


def test_one_that_was_seen_needs_no_name_taken() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        stage.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(12)
        assert [order.expired for order in stage.hands.started] == [False]
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_nor_one_that_leaves_no_object() -> None:
    async def play(stage: Stage) -> None:
        stage.hands.makes_objects = False
        await stage.running(TIMED)
        await asyncio.sleep(12)
        assert len(stage.hands.started) == 1

    on_a_stage(play)


def test_nor_one_that_is_seen_after_all() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(RETRIED)
        await asyncio.sleep(10.5)
        (run,) = stage.driver._runs.values()
        assert run.execution is not None
        assert list(run.execution.closing()) == [A1]
        stage.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(0.5)
        assert list(run.execution.closing()) == []

    on_a_stage(play)


def test_also_after_the_end() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TIMED)
        await asyncio.sleep(12)
        assert stage.driver.known() == 1
        stage.driver.post(key, TaskStarted(A1, UID))
        await asyncio.sleep(1)
        await stage.driver.sweep()
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_a_process_that_takes_over_takes_the_names_too() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        await asyncio.sleep(12)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert [order.expired for order in stage.hands.started] == [True]

    on_a_stage(play)


def test_after_a_while_the_name_is_no_more_held_and_the_execution_let_go() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TIMED)
        await asyncio.sleep(12)
        await stage.driver.sweep()
        assert stage.driver.known() == 1
        await asyncio.sleep(CLOSING_SECONDS)
        await stage.driver.sweep()
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_the_names_of_one_that_is_gone_are_not_taken_for_ever() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(RETRIED)
        await asyncio.sleep(9)
        stage.hands.faults.extend([Missing("the namespace is gone")] * 10_000)
        await asyncio.sleep(3)
        gone: Any = stage.of()
        stage.remove()
        stage.driver.seen(decode.sighting(gone, deleted=True))
        await asyncio.sleep(60)
        stage.hands.faults.clear()
        await asyncio.sleep(20)
        await stage.driver.sweep()
        assert stage.driver.known() == 0
        assert not any(order.expired for order in stage.hands.started)

    on_a_stage(play)
