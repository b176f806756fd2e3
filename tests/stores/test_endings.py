"""How an execution ended is read whole, wherever it is."""

import asyncio

import pytest

from tests.runtime.stage import FAILS, NOTHING, Stage, on_a_stage
from treadle.kube.kinds import PAGES
from treadle.runtime.ports import Ending, UnreadableSnapshot
from treadle.stores import endings
from treadle.stores.status import CAUSE_BYTES_MAX

LARGE = '{"v":"' + "x" * 300_000 + '"}'


def test_a_short_end_is_in_the_status_and_needs_no_read() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        before = len(stage.api.seen)
        assert await endings.read(stage.api, stage.of()) == Ending('{"v":1}')
        assert len(stage.api.seen) == before

    on_a_stage(play)


def test_a_large_output_is_read_from_its_pages() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING, input=None, inputJson=LARGE)
        assert "outputRef" in stage.status()
        assert await endings.read(stage.api, stage.of()) == Ending(LARGE)

    on_a_stage(play)


def test_an_output_whose_page_is_gone_cannot_be_read() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING, input=None, inputJson=LARGE)
        obj = stage.of()
        stage.set_status(checkpoint="1:damaged")
        with pytest.raises(UnreadableSnapshot):
            await endings.read(stage.api, stage.of())
        for page in list(stage.objects.each(PAGES)):
            stage.objects.delete(PAGES, "default", page["metadata"]["name"])
        with pytest.raises(UnreadableSnapshot):
            await endings.read(stage.api, obj)
        del obj["status"]["checkpoint"]
        with pytest.raises(UnreadableSnapshot, match="its output is missing"):
            await endings.read(stage.api, obj)

    on_a_stage(play)


def test_a_failure_is_told_and_a_long_cause_is_whole() -> None:
    long = {"Type": "Fail", "Error": "E", "Cause": "c" * (CAUSE_BYTES_MAX + 1)}

    async def play(stage: Stage) -> None:
        await stage.running(FAILS)
        assert await endings.read(stage.api, stage.of()) == Ending(None, "E", "because")
        await stage.apply_machine({"StartAt": "A", "States": {"A": long}}, "long")
        stage.apply("f", "long")
        stage.see("f")
        await asyncio.sleep(1)
        assert len(stage.status("f")["cause"]) == CAUSE_BYTES_MAX
        assert (await endings.read(stage.api, stage.of("f"))).cause == long["Cause"]

    on_a_stage(play)


def test_one_that_never_started_has_its_end_in_the_status() -> None:
    async def play(stage: Stage) -> None:
        stage.driver.open()
        stage.apply(stop={"error": "E", "cause": "c" * (CAUSE_BYTES_MAX + 1)})
        stage.see()
        await asyncio.sleep(1)
        ending = await endings.read(stage.api, stage.of())
        assert (ending.error, len(ending.cause or "")) == ("E", CAUSE_BYTES_MAX)

    on_a_stage(play)
