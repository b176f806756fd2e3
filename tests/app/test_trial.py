"""A tiny Execution: that it succeeds, what is said when it does not, and that nothing stays."""

import asyncio
from collections.abc import Callable

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.app import trial
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import Refused

SECONDS = 30.0


def an_operator(stage: Stage) -> asyncio.Task[None]:
    """What watches machines and executions."""

    async def works() -> None:
        stage.driver.open()
        while True:
            await asyncio.sleep(0.2)  # virtual seconds
            if stage.objects.peek(STATE_MACHINES, "default", "t") is not None:
                await stage.machines.judge("default", "t")
            if stage.objects.peek(EXECUTIONS, "default", "t") is not None:
                stage.see("t")

    return asyncio.create_task(works())


def tried(stage: Stage) -> "asyncio.Task[None]":
    return asyncio.create_task(trial.try_out(stage.api, "default", "t", SECONDS))


def nothing_is_left(stage: Stage) -> bool:
    kinds = (EXECUTIONS, STATE_MACHINES)
    return all(stage.objects.peek(kind, "default", "t") is None for kind in kinds)


def test_it_succeeds_where_an_operator_works() -> None:
    async def play(stage: Stage) -> None:
        works = an_operator(stage)
        await tried(stage)
        works.cancel()
        assert nothing_is_left(stage)

    on_a_stage(play)


def test_without_an_operator_that_is_what_it_says() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(trial.TrialFailed, match="does an operator run"):
            await tried(stage)
        assert nothing_is_left(stage)

    on_a_stage(play)


def test_what_an_execution_says_of_its_end_is_told() -> None:
    async def play(stage: Stage) -> None:
        trying = tried(stage)
        await asyncio.sleep(0.3)  # virtual seconds
        stage.set_status("t", phase="Failed", error="E", cause="because")
        with pytest.raises(trial.TrialFailed, match="is Failed after at most 30 s: E: because"):
            await trying
        assert nothing_is_left(stage)

    on_a_stage(play)


def test_what_was_taken_away_meanwhile_needs_no_removal() -> None:
    async def play(stage: Stage) -> None:
        works = an_operator(stage)
        trying = tried(stage)
        await asyncio.sleep(0.1)  # virtual seconds
        stage.cluster.remove(STATE_MACHINES, ("default", "t"))
        with pytest.raises(trial.TrialFailed, match="t is Pending"):
            await trying
        works.cancel()
        assert nothing_is_left(stage)

    on_a_stage(play)


def refuse(what: str) -> Callable[[], None]:
    def now() -> None:
        raise Refused(403, "Forbidden", what)

    return now


def test_what_went_wrong_first_is_told() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("create", EXECUTIONS, refuse("no creating"))
        stage.api.next("delete", STATE_MACHINES, refuse("no deleting"))
        with pytest.raises(Refused, match="no creating"):
            await tried(stage)

    on_a_stage(play)


def test_one_that_cannot_be_removed_keeps_the_other_from_nothing() -> None:
    async def play(stage: Stage) -> None:
        works = an_operator(stage)
        stage.api.next("delete", EXECUTIONS, refuse("no deleting"))
        with pytest.raises(Refused, match="no deleting"):
            await tried(stage)
        works.cancel()
        assert stage.objects.peek(STATE_MACHINES, "default", "t") is None

    on_a_stage(play)
