"""Where an attempt stands follows from what was saved, and what is not known is said so."""

import asyncio

import pytest

from tests.runtime.stage import A1, B1, NOTHING, ONE_TASK, TWO_TASKS, Stage, a_stranger, on_a_stage
from treadle.engine.events import TaskId, TaskStarted, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime import driver as drivers
from treadle.runtime.ports import Attempt, Standing


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
