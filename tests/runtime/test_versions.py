"""An execution that names a version or an alias runs what that is at its start, and says so."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import A_MINUTE, FAILS, NOTHING, Stage, on_a_stage
from tests.stores.test_aliases import alias, two_versions
from tests.stores.test_versions import publish
from treadle.kube.kinds import ALIASES, EXECUTIONS
from treadle.runtime import turn
from treadle.stores import histories


def start(stage: Stage, **ref: Any) -> None:
    stage.apply(stateMachineRef={"name": "m", **ref})
    stage.driver.open()
    stage.see()


async def began(stage: Stage) -> dict[str, Any]:
    """The details of ExecutionStarted."""
    obj = stage.objects.get(EXECUTIONS, "default", "e")
    return dict((await histories.read(stage.api, obj))[0].details)


def test_it_runs_the_version_though_the_machine_has_gone_on() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await stage.apply_machine(FAILS)
        start(stage, version=1)
        await asyncio.sleep(1)
        status = stage.status()
        assert (status["phase"], status["version"]) == ("Succeeded", 1)
        assert "alias" not in status
        details = await began(stage)
        assert details["stateMachineVersionArn"].endswith(":stateMachine:m:1")
        assert "stateMachineAliasArn" not in details

    on_a_stage(play)


def test_an_alias_is_told_too() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 100))
        start(stage, alias="live")
        await asyncio.sleep(1)
        status = stage.status()
        assert (status["phase"], status["version"], status["alias"]) == ("Succeeded", 1, "live")
        details = await began(stage)
        assert details["stateMachineVersionArn"].endswith(":stateMachine:m:1")
        assert details["stateMachineAliasArn"].endswith(":stateMachine:m:live")

    on_a_stage(play)


def test_without_either_neither_is_told() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        start(stage)
        await asyncio.sleep(1)
        assert {"version", "alias"}.isdisjoint(stage.status())
        assert set(await began(stage)) == {"input", "roleArn"}

    on_a_stage(play)


def test_they_are_told_after_a_restart_too() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, A_MINUTE, "a")
        alias(stage, (1, 100))
        start(stage, alias="live")
        await asyncio.sleep(1)
        assert stage.phase() == "Running"
        alias(stage, (7, 100))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(70)
        status = stage.status()
        assert (status["phase"], status["version"], status["alias"]) == ("Succeeded", 1, "live")

    on_a_stage(play)


@pytest.mark.parametrize("fate", ["failed", "lost"])
def test_a_start_that_is_repeated_picks_the_same(
    fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picked: list[int | None] = []
    start_ = turn.Turns._start

    async def noted(turns: Any, run: Any, request: Any, pinned: Any) -> None:
        picked.append(pinned.published)
        await start_(turns, run, request, pinned)

    monkeypatch.setattr(turn.Turns, "_start", noted)

    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 50), (2, 50))
        stage.api.next("update_status", EXECUTIONS, fate)
        start(stage, alias="live")
        await asyncio.sleep(0.05)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(10)
        assert len(picked) == (2 if fate == "failed" else 1)
        assert set(picked) == {stage.status()["version"]}

    on_a_stage(play)


def test_the_shares_of_executions_follow_the_weights() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        alias(stage, (1, 90), (2, 10))
        stage.driver.open()
        for n in range(200):
            stage.apply(f"e{n}", stateMachineRef={"name": "m", "alias": "live"})
            stage.see(f"e{n}")
        await asyncio.sleep(30)
        found = [stage.status(f"e{n}")["version"] for n in range(200)]
        assert 8 <= found.count(2) <= 35  # five of its deviations around 20

    on_a_stage(play)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ({"version": 3}, "StateMachine 'm' has no version 3"),
        ({"alias": "live"}, "StateMachine 'm' has no alias 'live'"),
    ],
)
def test_what_is_missing_is_waited_for_and_not_for_ever(ref: Any, message: str) -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        start(stage, **ref)
        await asyncio.sleep(1)
        assert (stage.phase(), stage.status()["message"]) == ("Pending", message)
        await asyncio.sleep(65)
        assert stage.status()["error"] == "Treadle.StartDeadlineExceeded"
        assert message in stage.status()["cause"]

    on_a_stage(play)


def test_what_it_waits_for_is_said_as_that_changes() -> None:
    async def play(stage: Stage) -> None:
        start(stage, alias="live")
        await asyncio.sleep(1)
        assert stage.status()["message"] == "StateMachine 'm' does not exist"
        since = stage.status()["pendingSince"]
        await two_versions(stage)
        await asyncio.sleep(10)
        lacks = "StateMachine 'm' has no alias 'live'"
        assert (stage.status()["message"], stage.status()["pendingSince"]) == (lacks, since)
        assert stage.said[-1] == ("Warning", "Pending", lacks)
        saves = stage.api.count("update_status", EXECUTIONS)
        await asyncio.sleep(20)
        assert stage.api.count("update_status", EXECUTIONS) == saves
        await asyncio.sleep(35)
        assert stage.status()["error"] == "Treadle.StartDeadlineExceeded"

    on_a_stage(play)


def test_it_starts_when_that_appears() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        start(stage, alias="live")
        await asyncio.sleep(1)
        assert stage.phase() == "Pending"
        alias(stage, (1, 100))
        stage.driver.machine_changed("default", "m")
        await asyncio.sleep(0.2)
        assert stage.phase() == "Succeeded"
        assert stage.objects.peek(ALIASES, "default", "live") is not None

    on_a_stage(play)


def test_both_are_refused() -> None:
    async def play(stage: Stage) -> None:
        await two_versions(stage)
        start(stage, version=1, alias="live")
        await asyncio.sleep(1)
        assert stage.status()["error"] == "Treadle.InvalidExecution"
        assert "give one of them" in stage.status()["cause"]

    on_a_stage(play)
