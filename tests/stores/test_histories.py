"""A history is read from what a status refers to, without the program."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import NOTHING, TWO_TASKS, Stage, on_a_stage
from treadle.engine import history, snapshot
from treadle.engine.snapshot import Unreadable
from treadle.kube.kinds import PAGES
from treadle.runtime.ports import UnreadableSnapshot
from treadle.stores import histories

TYPES = [
    "ExecutionStarted",
    "TaskStateEntered",
    "TaskScheduled",
    "TaskStarted",
    "TaskSucceeded",
    "TaskStateExited",
    "TaskStateEntered",
    "TaskScheduled",
    "TaskStarted",
    "TaskSucceeded",
    "TaskStateExited",
    "ExecutionSucceeded",
]


async def played(stage: Stage, **given: Any) -> list[histories.HistoryEntry]:
    key = await stage.running(TWO_TASKS, **given)
    for output in ('{"x":1}', '{"done":true}'):
        stage.succeed(key, output)
        await asyncio.sleep(1)
    return await histories.read(stage.api, stage.of())


def test_one_that_never_started_has_no_history() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        assert await histories.read(stage.api, stage.of()) == []

    on_a_stage(play)


def test_it_is_gapless_and_in_order() -> None:
    async def play(stage: Stage) -> None:
        entries = await played(stage)
        assert [entry.type for entry in entries] == TYPES
        assert [entry.id for entry in entries] == list(range(1, 13))
        assert all(entry.previous < entry.id for entry in entries)
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)

    on_a_stage(play)


def test_payloads_are_texts() -> None:
    async def play(stage: Stage) -> None:
        entries = await played(stage)
        assert entries[0].details["input"] == '{"v":1}'
        assert entries[1].details == {"name": "A", "input": '{"v":1}'}
        assert entries[4].details["output"] == '{"x":1}'
        assert entries[-1].details["output"] == '{"done":true}'

    on_a_stage(play)


def test_big_payloads_are_read_from_their_pages() -> None:
    async def play(stage: Stage) -> None:
        entries = await played(stage, input={"big": "x" * 9000})
        assert entries[0].details["input"] == '{"big":"' + "x" * 9000 + '"}'

    on_a_stage(play)


def test_big_payloads_are_left_out_where_nobody_asks_for_them() -> None:
    async def play(stage: Stage) -> None:
        entries = await played(stage, input={"big": "x" * 9000})
        before = stage.api.count("get", PAGES)
        small = await histories.read(stage.api, stage.of(), payloads=False)
        assert stage.api.count("get", PAGES) == before
        assert [entry.type for entry in small] == [entry.type for entry in entries]
        assert (small[0].details.get("input"), small[1].details["name"]) == (None, "A")
        assert small[-1].details == entries[-1].details

    on_a_stage(play)


def test_split_payloads_are_put_together() -> None:
    text = "".join(f"{n:07d}" for n in range(90_000))

    async def play(stage: Stage) -> None:
        entries = await played(stage, inputJson=f'"{text}"', input=None)
        assert entries[0].details["input"] == f'"{text}"'

    on_a_stage(play)


def test_earlier_stretches_are_read_from_their_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "TAIL_BYTES_MAX", 100)

    async def play(stage: Stage) -> None:
        entries = await played(stage)
        pages = [page["spec"]["kind"] for page in stage.objects.each(PAGES)]
        assert pages.count("history") > 1
        assert [entry.type for entry in entries] == TYPES

    on_a_stage(play)


def test_only_pages_that_hold_later_entries_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "TAIL_BYTES_MAX", 100)

    async def play(stage: Stage) -> None:
        entries = await played(stage)
        kinds = [page["spec"]["kind"] for page in stage.objects.each(PAGES)]
        read: list[int] = []
        for after in range(len(entries) + 1):
            before = stage.api.count("get", PAGES)
            later = await histories.read(stage.api, stage.of(), after=after)
            assert later == entries[after:]
            read.append(stage.api.count("get", PAGES) - before)
        assert read[0] == kinds.count("history") > 1
        assert read == sorted(read, reverse=True)
        assert read[-1] == 0

    on_a_stage(play)


def test_a_snapshot_in_a_page_has_its_history_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "CORE_BYTES_MAX", 100)

    async def play(stage: Stage) -> None:
        assert [entry.type for entry in await played(stage)] == TYPES

    on_a_stage(play)


def test_a_missing_page_is_said() -> None:
    async def play(stage: Stage) -> None:
        await played(stage, input={"big": "x" * 9000})
        for page in list(stage.objects.each(PAGES)):
            stage.cluster.remove(PAGES, ("default", page["metadata"]["name"]))
        with pytest.raises(UnreadableSnapshot, match="is missing"):
            await histories.read(stage.api, stage.of())

    on_a_stage(play)


def test_a_newer_checkpoint_is_said() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        stage.set_status(checkpoint="99.x.y")
        with pytest.raises(Unreadable, match="version 99"):
            await histories.read(stage.api, stage.of())

    on_a_stage(play)
