"""Pages are content-addressed, verified when read, and removed only when nobody needs them."""

import asyncio
import base64
import hashlib
import zlib
from datetime import timedelta
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.engine.memory import Page
from treadle.engine.snapshot import PAGE_RAW_BYTES_MAX
from treadle.kube import names
from treadle.kube.kinds import PAGES
from treadle.runtime.ports import ExecutionKey, Unavailable, UnreadableSnapshot
from treadle.stores.pages import Pages

RAW = b'{"a":1}'
DIGEST = hashlib.sha256(RAW).hexdigest()
PAGE = Page("payload", RAW)


def written(stage: Stage, digest: str = DIGEST, key: ExecutionKey | None = None) -> dict[str, Any]:
    name = names.page(key or stage.key, digest)
    return stage.objects.get(PAGES, "default", name)


async def a_page(stage: Stage, page: Page = PAGE, digest: str = DIGEST) -> Pages:
    stage.apply()
    pages = Pages(stage.api)
    await pages.write(stage.key, {digest: page})
    return pages


def test_what_is_written_is_read() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage)
        assert await pages.read(stage.key, DIGEST) == RAW

    on_a_stage(play)


def test_a_page_belongs_to_its_execution() -> None:
    async def play(stage: Stage) -> None:
        await a_page(stage)
        obj = written(stage)
        (owner,) = obj["metadata"]["ownerReferences"]
        uid = stage.key.uid
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Execution", "e", uid)
        assert obj["metadata"]["labels"] == {names.EXECUTION_UID: uid}
        assert (obj["spec"]["digest"], obj["spec"]["kind"]) == (DIGEST, "payload")

    on_a_stage(play)


def test_two_executions_with_the_same_content_own_a_copy_each() -> None:
    one, other = ExecutionKey("default", "e", "u1"), ExecutionKey("default", "e", "u2")
    assert names.page(one, DIGEST) != names.page(other, DIGEST)


def test_nothing_to_write_costs_nothing() -> None:
    async def play(stage: Stage) -> None:
        await Pages(stage.api).write(stage.apply(), {})
        assert stage.api.seen == []

    on_a_stage(play)


def test_many_are_written_a_few_at_a_time() -> None:
    async def play(stage: Stage) -> None:
        raws = [str(n).encode() for n in range(50)]
        pages = {hashlib.sha256(raw).hexdigest(): Page("results", raw) for raw in raws}
        await Pages(stage.api).write(stage.apply(), pages)
        assert len(list(stage.objects.each(PAGES))) == 50

    on_a_stage(play)


def test_a_page_that_is_there_already_is_touched() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage)
        before = written(stage)["metadata"]
        assert names.TOUCHED_AT not in (before.get("annotations") or {})
        await asyncio.sleep(1)
        await pages.write(stage.key, {DIGEST: PAGE})
        after = written(stage)["metadata"]
        assert after["annotations"][names.TOUCHED_AT].startswith("2026-01-01T00:00:01")
        assert after["resourceVersion"] != before["resourceVersion"]

    on_a_stage(play)


def test_one_that_is_removed_before_it_is_touched_is_written_again() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage)
        name = written(stage)["metadata"]["name"]
        stage.api.next("patch", PAGES, lambda: stage.cluster.remove(PAGES, ("default", name)))
        await pages.write(stage.key, {DIGEST: PAGE})
        assert await pages.read(stage.key, DIGEST) == RAW

    on_a_stage(play)


def test_a_write_that_fails_is_a_fault() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("create", PAGES, "failed")
        with pytest.raises(Unavailable):
            await a_page(stage)

    on_a_stage(play)


def test_a_missing_page_is_said_by_name() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(UnreadableSnapshot, match=f"page {DIGEST} of e is missing"):
            await Pages(stage.api).read(stage.apply(), DIGEST)

    on_a_stage(play)


def packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


@pytest.mark.parametrize(
    "spec",
    [
        {"data": packed(b"other")},
        {"data": packed(RAW)[:8]},
        {"data": "%%%"},
        {"data": "\u00e9\u00e9"},
        {"data": base64.b64encode(b"no zlib").decode()},
        {"data": 7},
        {},
        {"data": packed(b"x" * (2 * PAGE_RAW_BYTES_MAX + 1))},
    ],
)
def test_a_damaged_page_is_not_used(spec: dict[str, Any]) -> None:
    async def play(stage: Stage) -> None:
        key = stage.apply()
        metadata = {"name": names.page(key, DIGEST)}
        stage.objects.create(PAGES, "default", {"metadata": metadata, "spec": spec})
        with pytest.raises(UnreadableSnapshot, match=DIGEST):
            await Pages(stage.api).read(key, DIGEST)

    on_a_stage(play)


def test_a_list_of_parts_is_read_under_the_digest_of_the_whole() -> None:
    listing = b"\x00parts\n" + DIGEST.encode()

    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("payload", listing), "f" * 64)
        assert await pages.read(stage.key, "f" * 64) == listing

    on_a_stage(play)


# --------------------------------------------------------------------------------------- removal


async def after(stage: Stage, kind: str, seconds: float, *, keep: bool = False) -> int:
    """Write one page, wait, remove what is stale; how many are left."""
    pages = await a_page(stage, Page(kind, RAW))
    await asyncio.sleep(seconds)
    kept = frozenset([DIGEST]) if keep else frozenset()
    await pages.remove_stale(stage.key, kept, stage.now())
    return len(list(stage.objects.each(PAGES)))


@pytest.mark.parametrize(
    ("kind", "seconds", "keep", "left"),
    [
        ("snapshot", 200, False, 0),
        ("snapshot", 200, True, 1),  # a checkpoint refers to it
        ("snapshot", 100, False, 1),  # somebody may be about to
        ("payload", 200, False, 1),  # history may
        ("history", 200, False, 1),
    ],
)
def test_only_an_old_overflow_that_no_checkpoint_needs_is_removed(
    kind: str, seconds: float, keep: bool, left: int
) -> None:
    assert on_a_stage(lambda stage: after(stage, kind, seconds, keep=keep)) == left


def test_a_page_that_was_touched_lately_stays() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("snapshot", RAW))
        await asyncio.sleep(200)
        await pages.write(stage.key, {DIGEST: PAGE})
        await asyncio.sleep(100)
        await pages.remove_stale(stage.key, frozenset(), stage.now())
        assert written(stage)

    on_a_stage(play)


def test_a_page_that_is_touched_meanwhile_stays() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("snapshot", RAW))
        await asyncio.sleep(200)
        name = written(stage)["metadata"]["name"]
        stage.api.next("delete", PAGES, lambda: stage.cluster.touch(PAGES, ("default", name)))
        await pages.remove_stale(stage.key, frozenset(), stage.now())
        assert written(stage)

    on_a_stage(play)


def test_a_page_that_is_gone_already_hinders_nothing() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("snapshot", RAW))
        await asyncio.sleep(200)
        name = written(stage)["metadata"]["name"]
        stage.api.next("delete", PAGES, lambda: stage.cluster.remove(PAGES, ("default", name)))
        await pages.remove_stale(stage.key, frozenset(), stage.now())
        assert list(stage.objects.each(PAGES)) == []

    on_a_stage(play)


def test_pages_of_another_execution_are_not_looked_at() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("snapshot", RAW))
        await asyncio.sleep(200)
        key = stage.key
        await pages.remove_stale(stage.apply("f"), frozenset(), stage.now())
        assert written(stage, key=key)

    on_a_stage(play)


def test_the_wall_clock_of_the_caller_counts() -> None:
    async def play(stage: Stage) -> None:
        pages = await a_page(stage, Page("snapshot", RAW))
        later = stage.now() + timedelta(seconds=121)
        await pages.remove_stale(stage.key, frozenset(), later)
        assert list(stage.objects.each(PAGES)) == []

    on_a_stage(play)
