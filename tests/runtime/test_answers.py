"""Who answers a token is told once a save holds what follows, and only then."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import A1, JOB, Stage, on_a_stage
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import Event, TaskFailed, TaskHeartbeat, TaskId, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import ExecutionKey, Unavailable

WAITS = {
    **JOB,
    "Resource": "treadle:job.waitForTaskToken",
    "Parameters": {"image": "i", "env": {"TOKEN.$": "$$.Task.Token"}},
}
ONE = {"StartAt": "A", "States": {"A": {**WAITS, "End": True}}}
BEATS = {"StartAt": "A", "States": {"A": {**WAITS, "HeartbeatSeconds": 10, "End": True}}}
TIMED = {"StartAt": "A", "States": {"A": {**WAITS, "TimeoutSeconds": 10, "End": True}}}


TWO = {"StartAt": "A", "States": {"A": {**JOB, "Next": "B"}, "B": {**WAITS, "End": True}}}


async def another(stage: Stage) -> Stage:
    """Another process of the same cluster, which has looked at the execution."""
    other = Stage.__new__(Stage)
    other.__dict__ |= stage.__dict__
    other.reborn()
    other.driver.open()
    other.see()
    await stage.passes(1)
    return other


async def waiting(stage: Stage, definition: Any = ONE) -> ExecutionKey:
    """An execution whose one Task was submitted, and waits for the answer to its token."""
    key = await stage.running(definition)
    stage.succeed(key, '"submitted"')
    await stage.passes(1)
    assert waits_for(stage) == ["callback"]
    return key


def waits_for(stage: Stage) -> list[str]:
    return [place["waitsFor"] for place in stage.status()["currentStates"]]


def success(stage: Stage, value: Any = 7) -> Event:
    return TaskSucceeded(A1, dumps(value), stage.now(), by_token=True)


def answering(stage: Stage, key: ExecutionKey, event: Event | None = None) -> "asyncio.Task[bool]":
    return asyncio.create_task(stage.driver.answer(key, event or success(stage)))


def test_the_work_is_given_the_token_and_the_status_is_not() -> None:
    async def play(stage: Stage) -> None:
        await waiting(stage)
        assert stage.hands.task().parameters["env"] == {"TOKEN": "token of e, 0-1-1"}
        assert "token of" not in dumps(stage.of())

    on_a_stage(play)


def test_an_answer_ends_the_task() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        assert await stage.driver.answer(key, success(stage))
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", "7")
        assert not await stage.driver.answer(key, success(stage)), "of one that has ended"

    on_a_stage(play)


def test_an_error_fails_it() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        event = TaskFailed(A1, StateError("No", "because"), stage.now(), by_token=True)
        assert await stage.driver.answer(key, event)
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "No")

    on_a_stage(play)


def test_nobody_is_told_before_the_save() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.api.next("update_status", EXECUTIONS, "failed")
        told = answering(stage, key)
        await stage.passes(0.05)
        assert not told.done()
        assert stage.phase() == "Running"
        assert await told
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_doubled_answer_is_refused_only_when_the_first_is_saved() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.api.next("update_status", EXECUTIONS, "failed")
        first, second = answering(stage, key), answering(stage, key, success(stage, "other"))
        await stage.passes(0.05)
        assert not second.done()
        assert (await first, await second) == (True, False)
        assert stage.status()["output"] == "7"

    on_a_stage(play)


def test_after_a_conflict_both_answers_are_judged_by_what_is_stored() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        other = await another(stage)
        # Another process takes an answer; this one knows nothing of it and conflicts.
        assert await other.driver.answer(key, success(stage, "theirs"))
        assert not await stage.driver.answer(key, success(stage, "ours"))
        assert stage.status()["output"] == '"theirs"'

    on_a_stage(play)


def test_a_process_that_is_behind_looks_before_it_refuses() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO)
        other = await another(stage)
        # This one goes on, and the other one is not told.
        stage.succeed(key)
        await stage.passes(1)
        later = TaskSucceeded(TaskId(0, 2, 1), "7", stage.now(), by_token=True)
        assert await other.driver.answer(key, later)
        assert stage.status()["output"] == "7"

    on_a_stage(play)


def test_an_answer_to_what_nobody_knows_is_refused_after_a_look() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        nobody = TaskSucceeded(TaskId(0, 99, 1), "7", stage.now(), by_token=True)
        reads = stage.api.count("get", EXECUTIONS)
        assert not await stage.driver.answer(key, nobody)
        assert stage.api.count("get", EXECUTIONS) == reads + 1

    on_a_stage(play)


def test_what_was_refused_is_not_taken_after_a_conflict() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO)
        early = TaskSucceeded(TaskId(0, 2, 1), "7", stage.now(), by_token=True)
        assert not await stage.driver.answer(key, early)
        other = await another(stage)
        other.succeed(key)
        await stage.passes(1)
        stage.succeed(key)  # it is behind, and finds out when it saves
        await stage.passes(2)
        assert stage.phase() == "Running"

    on_a_stage(play)


def test_a_process_that_takes_over_waits_on_and_starts_nothing_again() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await stage.passes(5)
        assert stage.hands.started == []
        assert await stage.driver.answer(key, success(stage))
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_an_answer_reaches_an_execution_that_is_not_in_hand() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.reborn()
        stage.driver.open()
        assert await stage.driver.answer(key, success(stage))
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_heartbeat_is_told_once_it_is_saved() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage, BEATS)
        await stage.passes(8)
        stage.api.next("update_status", EXECUTIONS, "failed")
        writes = stage.api.count("update_status", EXECUTIONS)
        assert await stage.driver.answer(key, TaskHeartbeat(A1, stage.now()))
        assert stage.api.count("update_status", EXECUTIONS) == writes + 2
        stage.reborn()
        stage.driver.open()
        stage.see()
        await stage.passes(8)
        assert stage.phase() == "Running"
        await stage.passes(4)
        assert stage.phase() == "Failed"
        assert not await stage.driver.answer(key, TaskHeartbeat(A1, stage.now()))

    on_a_stage(play)


def test_a_heartbeat_of_a_task_that_needs_none_costs_nothing() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        writes = stage.api.count("update_status", EXECUTIONS)
        assert await stage.driver.answer(key, TaskHeartbeat(A1, stage.now()))
        assert stage.api.count("update_status", EXECUTIONS) == writes

    on_a_stage(play)


def test_a_late_answer_is_refused() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage, TIMED)
        await stage.passes(11)
        assert not await stage.driver.answer(key, success(stage))
        assert stage.status()["error"] == "States.Timeout"

    on_a_stage(play)


def test_an_answer_to_what_is_gone_is_refused() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.remove()
        assert not await stage.driver.answer(key, success(stage))

    on_a_stage(play)


def test_an_answer_to_what_cannot_go_on_is_turned_away_and_kept() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.reborn()
        found = stage.machines.pinned

        async def missing(*_: Any) -> Any:
            raise ValueError("a bug")

        stage.machines.pinned = missing  # type: ignore[method-assign]
        stage.driver.open()
        with pytest.raises(Unavailable, match="cannot go on"):
            await stage.driver.answer(key, success(stage))
        with pytest.raises(Unavailable, match="cannot go on"):
            await stage.driver.answer(key, success(stage, "again"))
        stage.machines.pinned = found  # type: ignore[method-assign]
        stage.touch()
        stage.see()
        await stage.passes(2)
        assert stage.status()["output"] == "7"

    on_a_stage(play)


def test_who_does_not_wait_any_longer_hinders_nobody() -> None:
    async def play(stage: Stage) -> None:
        key = await waiting(stage)
        stage.api.next("update_status", EXECUTIONS, "failed")
        told = answering(stage, key)
        await stage.passes(0.02)
        told.cancel()
        await stage.passes(2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_job_whose_token_is_answered_while_it_runs_is_left_to_end() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE)
        assert await stage.driver.answer(key, success(stage))
        await stage.passes(1)
        assert stage.phase() == "Succeeded"
        assert (stage.hands.ends, stage.hands.stopped) == ([A1], [])

    on_a_stage(play)
