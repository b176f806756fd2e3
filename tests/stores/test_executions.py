"""A status under its resourceVersion, and the pages that it needs."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.runtime.stage import NOTHING, ONE_TASK, Stage, on_a_stage
from treadle.engine import snapshot
from treadle.kube.kinds import EXECUTIONS, PAGES
from treadle.runtime.ports import Conflict, ExecutionKey, Missing, Record, Unavailable


def test_a_fresh_one_has_nothing_stored() -> None:
    async def play(stage: Stage) -> None:
        loaded = await stage.store.load(stage.apply())
        assert (loaded.checkpoint, loaded.phase, loaded.revision) == (None, "", None)
        assert loaded.request is not None
        assert loaded.request.input == '{"v":1}'
        assert stage.api.count("get", PAGES) == 0

    on_a_stage(play)


def test_another_of_the_same_name_is_missing() -> None:
    async def play(stage: Stage) -> None:
        key = stage.apply()
        with pytest.raises(Missing, match="belongs to another execution now"):
            await stage.store.load(key._replace(uid="other"))

    on_a_stage(play)


def test_one_that_is_gone_is_missing() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(Missing):
            await stage.store.load(ExecutionKey("default", "e", "u"))

    on_a_stage(play)


def test_a_stale_version_is_a_conflict_and_writes_nothing() -> None:
    async def play(stage: Stage) -> None:
        loaded = await stage.store.load(stage.apply())
        stage.touch()
        with pytest.raises(Conflict):
            await stage.store.save(loaded, Record(None, None, waiting="x"), stage.now())
        assert stage.status() == {}

    on_a_stage(play)


def test_a_save_gives_what_is_stored_now() -> None:
    async def play(stage: Stage) -> None:
        loaded = await stage.store.load(stage.apply())
        record = Record(None, None, pending_since=stage.now(), waiting="x")
        stored = await stage.store.save(loaded, record, stage.now())
        assert stored == await stage.store.load(stage.key)
        assert stored.phase == "Pending"
        assert stored.version != loaded.version
        again = await stage.store.save(stored, Record(None, None, waiting="y"), stage.now())
        assert again.version != stored.version

    on_a_stage(play)


def test_the_spec_is_never_written() -> None:
    async def play(stage: Stage) -> None:
        loaded = await stage.store.load(stage.apply())
        spec, generation = stage.of()["spec"], stage.of()["metadata"]["generation"]
        await stage.store.save(loaded, Record(None, None, waiting="x"), stage.now())
        assert stage.of()["spec"] == spec
        assert stage.of()["metadata"]["generation"] == generation

    on_a_stage(play)


def test_pages_are_written_before_the_status_that_refers_to_them() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("update_status", EXECUTIONS, "failed", times=1)
        await stage.apply_machine(ONE_TASK)
        stage.apply(input={"big": "x" * 9000})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.05)
        assert stage.status() == {}
        assert len(list(stage.objects.each(PAGES))) == 1
        order = [verb for verb, _ in stage.api.seen if verb in ("create", "update_status")]
        assert order.index("create") < order.index("update_status")

    on_a_stage(play)


def test_a_page_that_cannot_be_written_keeps_the_status_as_it_is() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("create", PAGES, "failed")
        await stage.apply_machine(ONE_TASK)
        stage.apply(input={"big": "x" * 9000})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(0.05)
        assert stage.api.count("update_status", EXECUTIONS) == 0
        await asyncio.sleep(1)
        assert stage.phase() == "Running"

    on_a_stage(play)


def test_a_snapshot_is_loaded_with_its_pages() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        key = stage.apply(input={"big": "x" * 9000})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        loaded = await stage.store.load(key)
        assert len(loaded.pages) == 1
        assert loaded.overflow == frozenset()
        pages = list(stage.objects.each(PAGES))
        assert set(loaded.pages) == {page["spec"]["digest"] for page in pages}

    on_a_stage(play)


def test_a_payload_of_many_pages_is_loaded_whole() -> None:
    text = "".join(f"{n:07d}" for n in range(90_000))  # 630 kB that pack badly enough

    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        key = stage.apply(input={"big": text})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.hands.task().input == {"big": text}
        loaded = await stage.store.load(key)
        assert len(loaded.pages) == 4

    on_a_stage(play)


def test_a_snapshot_that_does_not_fit_goes_to_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "CORE_BYTES_MAX", 100)

    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        loaded = await stage.store.load(key)
        assert len(loaded.overflow) == 1
        assert stage.status()["checkpoint"].startswith("1.@")
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert len(stage.hands.started) == 1
        (run,) = stage.driver._runs.values()
        assert run.loaded is not None
        before = run.loaded.overflow
        stage.succeed(key)
        await asyncio.sleep(1)
        after = await stage.store.load(key)
        assert after.overflow
        assert after.overflow != before

    on_a_stage(play)


def test_a_save_names_the_overflow_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "CORE_BYTES_MAX", 100)

    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        (run,) = stage.driver._runs.values()
        first = run.loaded
        assert first is not None
        stage.succeed(key)
        await asyncio.sleep(0.5)
        second = run.loaded
        assert second is not None
        assert second.overflow_before == first.overflow != second.overflow
        await asyncio.sleep(200)
        await stage.store.tidy(second, stage.now())
        kept = {page["spec"]["digest"] for page in stage.objects.each(PAGES)}
        assert kept == first.overflow | second.overflow
        await stage.store.tidy(replace(second, overflow_before=frozenset()), stage.now())
        kept = {page["spec"]["digest"] for page in stage.objects.each(PAGES)}
        assert kept == second.overflow

    on_a_stage(play)


@pytest.mark.parametrize("checkpoint", ["99.a.b", "x", "1.AAAA.", "1.%.", "1.@.", "1.e30=."])
def test_a_checkpoint_that_cannot_be_read_is_loaded_as_it_is(checkpoint: str) -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        stage.set_status(checkpoint=checkpoint)
        loaded = await stage.store.load(key)
        assert (loaded.checkpoint, loaded.overflow) == (checkpoint, frozenset())

    on_a_stage(play)


def test_an_api_server_that_does_not_answer_is_not_a_missing_page() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(ONE_TASK)
        key = stage.apply(input={"big": "x" * 9000})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        stage.api.next("get", PAGES, "failed")
        with pytest.raises(Unavailable):
            await stage.store.load(key)

    on_a_stage(play)


def test_the_active_ones_are_those_that_have_not_ended() -> None:
    async def play(stage: Stage) -> Any:
        await stage.running(NOTHING)
        stage.apply("fresh")
        stage.apply("pending", machine="missing")
        stage.see("pending")
        await asyncio.sleep(1)
        assert stage.phase("e") == "Succeeded"
        assert stage.phase("pending") == "Pending"
        for where in ([None], ["default"]):
            active = await stage.store.active(where)
            assert {sighting.key.name for sighting in active} == {"fresh", "pending"}
        assert await stage.store.active(["other"]) == []
        assert len(await stage.store.active(["default", "other"])) == 2

    on_a_stage(play)
