"""Machines are judged one after the other; one that cannot be judged now is judged later."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from treadle.kube.kinds import STATE_MACHINES
from treadle.stores.judging import BROKEN_SECONDS, Judging


def create(stage: Stage, name: str, spec: Any = None) -> None:
    obj = {"metadata": {"name": name}, "spec": spec or {"definition": NOTHING}}
    stage.objects.create(STATE_MACHINES, "default", obj)


def judging(stage: Stage) -> tuple[Judging, list[str], "asyncio.Task[None]"]:
    told: list[str] = []

    async def judge(namespace: str, name: str) -> bool:
        return await stage.machines.judge(namespace, name)

    queue = Judging(
        judge,
        lambda namespace, name: told.append(f"{namespace}/{name}"),
        stage.meter,
    )
    return queue, told, asyncio.create_task(queue.run())


def test_each_is_judged_and_told_of() -> None:
    async def play(stage: Stage) -> None:
        queue, told, _ = judging(stage)
        for name in "abc":
            create(stage, name)
            queue.post("default", name)
        await asyncio.sleep(1)
        assert told == ["default/a", "default/b", "default/c"]
        create(stage, "d")
        queue.post("default", "d")
        await asyncio.sleep(1)
        assert told[-1] == "default/d"

    on_a_stage(play)


def test_one_that_is_named_often_waits_once() -> None:
    async def play(stage: Stage) -> None:
        queue, told, _ = judging(stage)
        create(stage, "a")
        for _ in range(5):
            queue.post("default", "a")
        await asyncio.sleep(1)
        assert told == ["default/a"]

    on_a_stage(play)


def test_one_that_is_named_while_it_is_judged_is_judged_once_more() -> None:
    async def play(stage: Stage) -> None:
        queue, told, _ = judging(stage)
        create(stage, "a")
        queue.post("default", "a")
        await asyncio.sleep(0.005)
        queue.post("default", "a")
        await asyncio.sleep(1)
        assert told == ["default/a"] * 2

    on_a_stage(play)


def test_a_fault_is_tried_again_behind_the_others() -> None:
    async def play(stage: Stage) -> None:
        queue, told, _ = judging(stage)
        for name in "ab":
            create(stage, name)
            queue.post("default", name)
        stage.api.next("get", STATE_MACHINES, "failed")
        await asyncio.sleep(10)
        assert told == ["default/b", "default/a"]

    on_a_stage(play)


def test_one_that_we_cannot_judge_hinders_no_other() -> None:
    async def play(stage: Stage) -> None:
        queue, told, task = judging(stage)
        create(stage, "a")
        create(stage, "b")
        judge = stage.machines.judge

        async def broken(namespace: str, name: str) -> bool:
            if name == "a":
                raise RecursionError
            return await judge(namespace, name)

        stage.machines.judge = broken  # type: ignore[method-assign]
        queue.post("default", "a")
        queue.post("default", "b")
        await asyncio.sleep(1)
        assert told == ["default/b"]
        assert not task.done()

    on_a_stage(play)


def test_and_is_judged_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def play(stage: Stage) -> None:
        queue, told, _ = judging(stage)
        create(stage, "a")
        judge = stage.machines.judge
        wrong = [RuntimeError("we are wrong")]

        async def once_broken(namespace: str, name: str) -> bool:
            if wrong:
                raise wrong.pop()
            return await judge(namespace, name)

        stage.machines.judge = once_broken  # type: ignore[method-assign]
        queue.post("default", "a")
        await asyncio.sleep(BROKEN_SECONDS - 1)
        assert told == []
        assert stage.meter.told == [("failed", "stores")]
        await asyncio.sleep(2)
        assert told == ["default/a"]

    on_a_stage(play)
    assert "we are wrong" in caplog.text
