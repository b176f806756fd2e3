"""Aliases: what they pick, and what their status says of what they name."""

import asyncio
from collections import Counter

import pytest

from tests.runtime.stage import FAILS, NOTHING, Stage, on_a_stage
from tests.stores.test_versions import chosen, publish, withdraw
from treadle.kube import versions
from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, STATE_MACHINES
from treadle.runtime.ports import MachineUnready, Missing, Pinned
from treadle.stores import aliases as judged


def alias(
    stage: Stage, *routes: tuple[int, int], name: str = "live", called: str | None = None
) -> None:
    """Somebody applies an alias of `m`."""
    whole: Obj = {
        "stateMachineRef": {"name": "m"},
        "routes": [{"version": version, "weight": weight} for version, weight in routes],
        **({"name": called} if called else {}),
    }
    if stage.objects.peek(ALIASES, "default", name) is None:
        stage.objects.create(ALIASES, "default", {"metadata": {"name": name}, "spec": whole})
    else:
        stage.objects.patch(ALIASES, "default", name, {"spec": whole})
    stage.machines.aliases.seen("default", "m")


def ready(stage: Stage, name: str = "live") -> Obj:
    status = stage.objects.get(ALIASES, "default", name)["status"]
    (condition,) = status["conditions"]
    assert condition["observedGeneration"] == status["observedGeneration"]
    return condition


async def judge(stage: Stage) -> bool:
    return await stage.machines.aliases.judge("default", "m")


async def two_versions(stage: Stage) -> None:
    await publish(stage, NOTHING, "a")
    await publish(stage, FAILS, "b")


# ------------------------------------------------------------------------------------- picking


@pytest.mark.parametrize(
    ("routes", "chance", "picked"),
    [
        ([(7, 100)], 0.0, 7),
        ([(7, 100)], 0.999, 7),
        ([(1, 90), (2, 10)], 0.0, 1),
        ([(1, 90), (2, 10)], 0.8999, 1),
        ([(1, 90), (2, 10)], 0.9, 2),
        ([(1, 90), (2, 10)], 0.9999, 2),
        ([(1, 0), (2, 100)], 0.0, 2),
        ([(1, 100), (2, 0)], 0.99999, 1),
    ],
)
def test_weights_are_shares(routes: list[tuple[int, int]], chance: float, picked: int) -> None:
    assert versions.picked(routes, chance) == picked


def test_so_many_of_a_hundred() -> None:
    routes = [(1, 63), (2, 37)]
    counted = Counter(versions.picked(routes, n / 100) for n in range(100))
    assert counted == {1: 63, 2: 37}


def test_an_execution_may_ask_for_what_an_alias_names() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 90), (2, 10))
        found = [await chosen(stage, chance, alias="live") for chance in (0.1, 0.95)]
        assert [f.published for f in found if isinstance(f, Pinned)] == [1, 2]
        alias(stage, (2, 100))
        found = [await chosen(stage, 0.1, alias="live")]
        assert [f.published for f in found if isinstance(f, Pinned)] == [2]

    on_a_stage(play)


def test_its_name_may_be_another_than_its_object_s() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100), name="m-live", called="live")
        assert isinstance(await chosen(stage, alias="live"), Pinned)
        assert isinstance(await chosen(stage, alias="m-live"), MachineUnready)

    on_a_stage(play)


def test_what_is_not_there_is_said() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        found = await chosen(stage, alias="live")
        assert found == MachineUnready(False, "StateMachine 'm' has no alias 'live'")
        alias(stage, (9, 100))
        found = await chosen(stage, alias="live")
        message = "StateMachine 'm' has no version 9, which its alias 'live' names"
        assert found == MachineUnready(False, message)

    on_a_stage(play)


def test_where_the_kind_is_not_installed_there_is_no_alias() -> None:
    def missing() -> None:
        raise Missing("the server could not find the requested resource")

    async def play(stage: Stage) -> None:
        await two_versions(stage)
        stage.api.next("list", ALIASES, missing)
        found = await chosen(stage, alias="live")
        assert found == MachineUnready(False, "StateMachine 'm' has no alias 'live'")

    on_a_stage(play)


def test_a_thousand_that_start_at_once_read_it_once() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 50), (2, 50))
        before = len(stage.api.seen)
        starts = [chosen(stage, n / 1000, alias="live") for n in range(1000)]
        found = Counter(f.published for f in await asyncio.gather(*starts) if isinstance(f, Pinned))
        assert found == {1: 500, 2: 500}
        # The machine, the alias, and each version: as one of them, and as what is pinned.
        reads = stage.api.seen[before:]
        assert reads.count(("get", "StateMachine")) == 1
        assert reads.count(("list", "StateMachineAlias")) == 1
        assert reads.count(("list", "StateMachineRevision")) == 2

    on_a_stage(play)


# ------------------------------------------------------------------------------------ judging


def test_it_is_ready_when_its_versions_are_there() -> None:
    async def play(stage: Stage) -> None:
        alias(stage, (1, 90), (2, 10))
        assert await judge(stage)
        assert ready(stage)["message"] == "StateMachine 'm' does not exist"
        await publish(stage, NOTHING, "a")
        await judge(stage)
        assert (ready(stage)["status"], ready(stage)["reason"]) == ("False", "VersionMissing")
        assert ready(stage)["message"] == "StateMachine 'm' has no version 2"
        await publish(stage, FAILS, "b")
        await judge(stage)
        assert ready(stage)["status"] == "True"
        assert not await judge(stage)

    on_a_stage(play)


def test_one_that_is_changed_meanwhile_is_judged_again_by_that() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100))
        stage.api.next("update_status", ALIASES, lambda: alias(stage, (2, 50), (1, 50)))
        assert not await judge(stage)
        assert await judge(stage)
        assert ready(stage)["observedGeneration"] == 2

    on_a_stage(play)


def test_a_sweep_sees_what_nobody_tells_of() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100))
        await stage.machines.sweep()
        assert ready(stage)["status"] == "True"
        await withdraw(stage, 1)
        await stage.machines.sweep()
        assert ready(stage)["reason"] == "VersionMissing"
        alias(stage, (2, 100))
        await stage.machines.sweep()
        assert ready(stage)["status"] == "True"
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        await stage.machines.sweep()
        assert ready(stage)["reason"] == "MachineMissing"

    on_a_stage(play)


def test_without_aliases_a_sweep_looks_for_none() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        await stage.machines.sweep()
        assert stage.api.count("list", ALIASES) == 0
        alias(stage, (1, 100))
        stage.cluster.remove(ALIASES, ("default", "live"))
        assert not await judge(stage)
        assert not stage.machines.aliases.has("default", "m")

    on_a_stage(play)


def test_of_two_with_one_name_the_older_one_counts() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100), name="z", called="live")
        await asyncio.sleep(2)
        alias(stage, (2, 100), name="live")
        await judge(stage)
        assert ready(stage, "z")["status"] == "True"
        assert ready(stage)["reason"] == "NameTaken"
        assert "is the StateMachineAlias z already" in ready(stage)["message"]
        found = await chosen(stage, alias="live")
        assert isinstance(found, Pinned)
        assert found.published == 1

    on_a_stage(play)


def test_there_may_be_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "ALIASES_MAX", 1)
    monkeypatch.setattr(versions, "ALIASES_MAX", 1)

    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100), name="one")
        await asyncio.sleep(2)
        alias(stage, (1, 100), name="two")
        await judge(stage)
        assert ready(stage, "one")["status"] == "True"
        assert ready(stage, "two")["reason"] == "TooManyAliases"
        assert isinstance(await chosen(stage, alias="two"), MachineUnready)

    on_a_stage(play)
