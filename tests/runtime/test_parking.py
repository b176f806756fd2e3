"""An execution that cannot continue is parked with a condition, and goes on when it can."""

import asyncio
from datetime import datetime

import pytest

from tests.runtime.stage import A1, ONE_TASK, TWO_TASKS, Stage, on_a_stage
from treadle.engine.events import Event, TaskId
from treadle.engine.execution import Execution
from treadle.kube.kinds import EXECUTIONS, PAGES, REVISIONS


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


def test_one_that_is_parked_is_looked_at_anew_when_something_is_asked_of_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.cluster.remove(REVISIONS, ("default", stage.status()["revision"]))
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.change(stop={})
        stage.see()
        await asyncio.sleep(1)
        (parked,) = [c for c in stage.status()["conditions"] if c["type"] == "Parked"]
        assert parked["observedGeneration"] == stage.of()["metadata"]["generation"] == 2

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


def test_it_tries_again_when_somebody_touches_it_and_has_lost_no_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle, broken = Execution.handle, [True]

    def at_first_broken(execution: Execution, event: Event, now: datetime) -> bool:
        if broken:
            raise LookupError("we are wrong")
        return handle(execution, event, now)

    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        monkeypatch.setattr(Execution, "handle", at_first_broken)
        stage.succeed(key)
        await asyncio.sleep(1)
        assert "parked" in stage.meter.told
        stage.see()  # our own write comes back
        await asyncio.sleep(1)
        assert stage.api.count("get", EXECUTIONS) == 1
        broken.clear()
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
