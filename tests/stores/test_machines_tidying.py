"""Revisions that nobody needs any more are removed in time, and no others."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import FAILS, NOTHING, Stage, on_a_stage
from tests.stores.machines_seen import create, revisions
from treadle.kube.kinds import EXECUTIONS, REVISIONS, STATE_MACHINES
from treadle.runtime.ports import Missing, Pinned
from treadle.stores.machines import SPARE_SECONDS


async def swept(stage: Stage, seconds: float) -> list[str]:
    """Sweep every half minute, for so long."""
    for _ in range(int(seconds / 30) + 1):
        await stage.machines.sweep()
        await asyncio.sleep(30)
    return revisions(stage)


def test_a_revision_that_nobody_needs_is_removed_in_time() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        old, new = revisions(stage)
        await stage.machines.pinned("default", old)
        assert await swept(stage, SPARE_SECONDS - 31) == [old, new]
        assert await swept(stage, 60) == [new]
        with pytest.raises(Missing):
            await stage.machines.pinned("default", old)

    on_a_stage(play)


def test_the_time_counts_from_when_it_was_last_current() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        await swept(stage, 90)
        await stage.apply_machine(NOTHING)
        await swept(stage, 0)
        await stage.apply_machine(FAILS)
        assert len(await swept(stage, 60)) == 2

    on_a_stage(play)


def test_one_that_an_execution_pins_stays_although_it_has_ended() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        old = stage.status()["revision"]
        await stage.apply_machine(FAILS)
        assert old in await swept(stage, 300)
        stage.cluster.remove(EXECUTIONS, ("default", "e"))
        assert old in await swept(stage, 0)
        assert old not in await swept(stage, SPARE_SECONDS)

    on_a_stage(play)


def test_those_of_a_machine_that_is_gone_go_too() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        assert await swept(stage, 300) == []

    on_a_stage(play)


def test_one_that_somebody_replaced_meanwhile_stays() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        (old,) = list(stage.objects.each(REVISIONS))
        name = old["metadata"]["name"]

        def replaced() -> None:
            stage.cluster.remove(REVISIONS, ("default", name))
            stage.objects.create(REVISIONS, "default", {**old, "metadata": {"name": name}})

        stage.api.next("delete", REVISIONS, replaced)
        assert await swept(stage, 120) == [name]

    on_a_stage(play)


def back_to(stage: Stage, definition: Any) -> "asyncio.Task[bool]":
    """Somebody applies an earlier definition again, and it is judged."""
    old = stage.objects.get(STATE_MACHINES, "default", "m")
    stage.objects.update(STATE_MACHINES, "default", {**old, "spec": {"definition": definition}})
    return asyncio.create_task(stage.machines.judge("default", "m"))


@pytest.mark.parametrize(("verb", "kind"), [("list", EXECUTIONS), ("list", STATE_MACHINES)])
def test_one_that_becomes_current_in_the_middle_of_a_sweep_stays(verb: str, kind: Any) -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        await swept(stage, 90)
        judging: list[asyncio.Task[bool]] = []
        stage.api.next(verb, kind, lambda: judging.append(back_to(stage, NOTHING)))
        await asyncio.sleep(30)
        await stage.machines.sweep()
        assert await judging[0]
        assert isinstance(await stage.machines.current("default", "m"), Pinned)

    on_a_stage(play)


def test_one_that_is_removed_while_it_is_judged_is_written_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        await stage.apply_machine(FAILS)
        remove = lambda: stage.cluster.remove(REVISIONS, ("default", name))  # noqa: E731
        stage.api.next("patch", REVISIONS, remove)
        assert await back_to(stage, NOTHING)
        assert name in revisions(stage)
        assert isinstance(await stage.machines.current("default", "m"), Pinned)

    on_a_stage(play)


def test_only_the_namespaces_that_are_served_are_swept() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        for _ in range(10):
            await stage.machines.sweep(["other"])
            await asyncio.sleep(30)
        assert len(revisions(stage)) == 1

    on_a_stage(play)


def test_a_machine_that_is_not_judged_has_no_current_one() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        await stage.machines.sweep()
        assert revisions(stage) == []

    on_a_stage(play)
