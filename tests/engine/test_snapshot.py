"""Snapshots: what goes in comes out, whatever its size, and damage is told."""

import base64
import contextlib
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.desk import IDENTITY, REVISION, Desk, Gives, shown
from tests.support.machines import (
    chain,
    endless,
    mapping,
    parallel,
    passing,
    retrier,
    task,
    waiting,
)
from tests.support.texts import incompressible
from treadle.asl import document
from treadle.engine import snapshot
from treadle.engine.events import TaskStarted
from treadle.engine.execution import Execution
from treadle.engine.snapshot import CORE_BYTES_MAX, PAGE_RAW_BYTES_MAX, Unreadable


def a_bit_of_everything() -> Desk:
    desk = Desk(
        chain(
            P=parallel(
                chain(A=task(TimeoutSeconds=60), A2=passing()),
                chain(B=waiting(50)),
                chain(C=task(Retry=[retrier(IntervalSeconds=40)])),
                chain(D=mapping(chain(D1=task()), ItemsPath="$.list", MaxConcurrency=2)),
            )
        ),
        {"list": [1, 2, 3]},
    )
    a, c, d1, _ = desk.wanted
    desk.starts(a, "5f0c2a1e-0000-4000-8000-000000000001")
    desk.fails(c)
    desk.gives(d1, "one")
    return desk


def test_what_goes_in_comes_out() -> None:
    desk = a_bit_of_everything()
    before = shown(desk.execution)
    desk.restart()
    assert shown(desk.execution) == before
    desk.run()
    assert desk.status == "SUCCEEDED"
    desk.restart()
    assert desk.outcome[0] == "SUCCEEDED"


def test_every_ending_comes_out() -> None:
    for end in ("run", "stop"):
        desk = a_bit_of_everything()
        getattr(desk, end)()
        before = desk.outcome
        desk.restart()
        assert desk.outcome == before


def test_a_checkpoint_says_its_version() -> None:
    assert a_bit_of_everything().save().checkpoint.startswith("1.")


def test_saving_twice_writes_the_same_and_no_page_twice() -> None:
    desk = Desk(chain(passing(Result="x" * 9_000), T=task()))
    first = desk.save()
    second = desk.save()
    assert first.checkpoint == second.checkpoint
    assert first.pages
    assert not second.pages


def test_a_save_that_failed_writes_its_pages_again() -> None:
    desk = Desk(chain(passing(Result="x" * 9_000), T=task()))
    first = desk.execution.encode()
    assert desk.execution.encode() == first


def test_a_page_of_another_save_is_not_written_again_after_a_restart() -> None:
    desk = Desk(chain(passing(Result="x" * 9_000), T=task()))
    desk.restart()
    assert not desk.save().pages


# ------------------------------------------------------------------------------------- pages


def test_a_large_payload_is_a_page_and_a_very_large_one_several() -> None:
    large, very = incompressible(9_000), incompressible(PAGE_RAW_BYTES_MAX * 2 + 99)
    desk = Desk(chain(T=task()), {"a": large})
    encoded = desk.save()
    assert [page.kind for page in encoded.pages.values()] == ["payload"]
    desk = Desk(chain(T=task()), {"a": very}, thorough=False)
    encoded = desk.save()
    assert len(encoded.pages) == 4
    assert max(len(page.raw) for page in encoded.pages.values()) <= PAGE_RAW_BYTES_MAX
    desk.restart()
    command = desk.execution.task(desk.only)
    assert command is not None
    assert command.input == {"a": very}
    digest = desk.execution.memory.input.digest
    assert snapshot.is_list_of_parts(desk.pages[digest])
    assert snapshot.whole(digest, desk.pages).decode() == desk.execution.memory.input.text


def test_the_results_of_a_map_are_sealed_into_pages() -> None:
    desk = Desk(
        chain(M=mapping(chain(T=task()), MaxConcurrency=5)),
        list(range(60)),
        answer=lambda t: Gives(incompressible(1_000, t.id.entry + 1), after=1),
        thorough=False,
    )
    kinds = []
    while desk.step():
        kinds += [page.kind for page in desk.save().pages.values()]
        desk.restart()
        assert len(desk.checkpoint) < 64 * 1024
    assert kinds.count("results") >= 2
    assert desk.status == "SUCCEEDED"
    assert len(desk.output) == 60
    assert len(set(desk.output)) == 60


def test_a_core_that_does_not_fit_is_an_overflow_page_of_its_own() -> None:
    desk = Desk(
        chain(M=mapping(chain(A=passing(Parameters={"x.$": "States.UUID()"}), T=task()))),
        list(range(990)),
        thorough=False,
    )
    desk.execution.memory.frames[1].data = None
    while desk.execution.busy:
        desk.tick()
    for number, attempt in enumerate(desk.wanted):
        desk.execution.handle(_started(attempt, number), desk.now)
    encoded = desk.save()
    assert encoded.overflow
    assert all(encoded.pages[digest].kind == "snapshot" for digest in encoded.overflow)
    assert len(encoded.checkpoint) < 10 * 1024
    assert snapshot.overflow_of(encoded.checkpoint, desk.pages) == encoded.overflow
    assert snapshot.missing(encoded.checkpoint, {}) == set(encoded.overflow)
    again = desk.save()
    assert again.checkpoint == encoded.checkpoint
    assert again.overflow == encoded.overflow
    before = list(desk.execution.wanted())
    desk.restart()
    assert list(desk.execution.wanted()) == before


def _started(attempt: Any, number: int) -> Any:
    return TaskStarted(
        attempt, f"{number * 2_654_435_761 % 2**32:08x}-0000-4000-8000-{number:012x}"
    )


def test_a_thousand_live_tasks_fit_into_a_status() -> None:
    desk = Desk(chain(M=mapping(chain(T=task()))), list(range(990)), thorough=False)
    while desk.execution.busy:
        desk.tick()
    for number, attempt in enumerate(desk.wanted):
        desk.execution.handle(_started(attempt, number), desk.now)
    encoded = desk.save()
    assert not encoded.overflow
    assert len(encoded.checkpoint) < CORE_BYTES_MAX + 6 * 1024


@pytest.mark.parametrize("uid", ["not-a-uuid", "abcd", "5f0c2a1e-0000-4000-8000-000000000001"])
def test_any_text_may_be_the_uid_of_a_job(uid: str) -> None:
    desk = Desk(chain(parallel(chain(A=task()), chain(B=task()))))
    desk.starts(desk.wanted[0], uid)
    desk.restart()
    command = desk.execution.task(desk.wanted[0])
    assert command is not None
    assert command.uid == uid


def test_missing_names_every_page_until_none_is_missing() -> None:
    desk = Desk(
        chain(P=parallel(chain(A=passing(Result="r" * 6_000), A2=task()), chain(B=waiting()))),
        {"a": incompressible(PAGE_RAW_BYTES_MAX + 9)},
        thorough=False,
    )
    desk.save()
    pages: dict[str, bytes] = {}
    rounds = 0
    while missing := snapshot.missing(desk.checkpoint, pages):
        pages |= {digest: desk.pages[digest] for digest in missing}
        rounds += 1
    assert rounds == 2
    assert shown(desk.restored(desk.checkpoint, pages)) == shown(desk.execution)


def test_a_checkpoint_without_an_overflow_has_no_overflow_pages() -> None:
    desk = a_bit_of_everything()
    desk.save()
    assert snapshot.overflow_of(desk.checkpoint, {}) == frozenset()
    assert snapshot.missing_core(desk.checkpoint, {}) == set()


def test_bytes_of_pages_are_counted_once_and_kept() -> None:
    desk = Desk(chain(passing(Result="x" * 9_000), T=task()))
    desk.save()
    assert desk.execution.memory.pages_bytes == 9_002
    desk.execution = desk.restored(desk.checkpoint, desk.pages)
    assert desk.execution.memory.pages_bytes == 9_002
    desk.save()
    assert desk.execution.memory.pages_bytes == 9_002


# -------------------------------------------------------------------------------------- damage


def _repacked(checkpoint: str, change: Callable[[dict[str, Any]], Any]) -> str:
    version, core, tail = checkpoint.split(".")
    value = orjson.loads(zlib.decompress(base64.b64decode(core)))
    changed = change(value)
    packed = zlib.compress(orjson.dumps(value if changed is None else changed))
    return f"{version}.{base64.b64encode(packed).decode()}.{tail}"


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda core: core.pop(name) and None


DAMAGES: list[Callable[[str], str]] = [
    lambda _: "",
    lambda c: "x" + c,
    lambda c: "999." + c,
    lambda c: f"{snapshot.VERSION + 1}." + c.split(".", 1)[1],
    lambda c: c.rsplit(".", 1)[0],
    lambda c: c[:60],
    lambda c: c.replace(".", "..", 1),
    lambda _: "1.!!!!.",
    lambda _: "1.AAAA.",
    lambda _: "1.@0123.",
    lambda c: c.rsplit(".", 1)[0] + ".????",
    lambda c: _repacked(c, lambda _: []),
    lambda c: _repacked(c, lambda core: {**core, "input": None}),
    lambda c: _repacked(c, lambda core: {**core, "status": "SINGING"}),
    lambda c: _repacked(c, lambda core: {**core, "started": 10**18}),
    lambda c: _repacked(c, lambda core: {**core, "frames": {}}),
    lambda c: _repacked(c, _without("seed")),
    lambda c: _repacked(c, lambda core: core["frames"]["state"].reverse()),
    lambda c: _repacked(c, lambda core: core["frames"]["state"].pop()),
    lambda c: _repacked(c, lambda core: core["frames"]["parent"].__setitem__(1, 99)),
    lambda c: _repacked(c, lambda core: core["frames"]["phase"].__setitem__(1, 77)),
    lambda c: _repacked(c, lambda core: core["frames"]["fork"].clear()),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_unreadable(damage: Callable[[str], str]) -> None:
    desk = a_bit_of_everything()
    desk.save()
    with pytest.raises(Unreadable):
        desk.restored(damage(desk.checkpoint), desk.pages)


def test_a_newer_checkpoint_is_told_from_a_damaged_one() -> None:
    desk = a_bit_of_everything()
    desk.save()
    newer = f"{snapshot.VERSION + 1}." + desk.checkpoint.split(".", 1)[1]
    for read in (snapshot.missing, snapshot.missing_core, snapshot.history_of):
        with pytest.raises(Unreadable, match="this release reads up to"):
            read(newer, {})


@pytest.mark.parametrize("read", [snapshot.missing, snapshot.history_of])
@pytest.mark.parametrize("text", ["1.!!!!.", "1.AAAA.", "", "1", "1.eJyrBgAAewB6.", "9" * 5_000])
def test_whoever_reads_a_damaged_checkpoint_is_told(read: Callable[..., Any], text: str) -> None:
    with pytest.raises(Unreadable):
        read(text, {})


def test_a_snapshot_that_unpacks_to_too_much_is_unreadable() -> None:
    bomb = base64.b64encode(zlib.compress(b" " * (snapshot.UNPACKED_BYTES_MAX + 1))).decode()
    with pytest.raises(Unreadable, match="larger than any snapshot"):
        snapshot.history_of(f"1.{bomb}.", {})


def test_a_tail_that_unpacks_to_too_much_is_unreadable() -> None:
    desk = a_bit_of_everything()
    desk.save()
    core = desk.checkpoint.rsplit(".", 1)[0]
    bomb = base64.b64encode(zlib.compress(b" " * 10_000_000)).decode()
    with pytest.raises(Unreadable, match="larger than any snapshot"):
        desk.restored(f"{core}.{bomb}", desk.pages)


def test_a_page_whose_parts_were_exchanged_is_unreadable() -> None:
    desk = Desk(chain(T=task()), {"a": incompressible(PAGE_RAW_BYTES_MAX + 9)}, thorough=False)
    desk.save()
    digest = desk.execution.memory.input.digest
    part = snapshot.parts_of(desk.pages[digest])[0]
    with pytest.raises(Unreadable, match="damaged"):
        desk.restored(desk.checkpoint, desk.pages | {part: b"other"})


def test_a_checkpoint_of_another_machine_is_unreadable() -> None:
    desk = a_bit_of_everything()
    desk.save()
    other = document.parse(chain(X=passing()))
    with pytest.raises(Unreadable):
        Execution.restore(other, REVISION, IDENTITY, desk.checkpoint, desk.pages)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    desk = _SAVED
    text = desk.checkpoint
    where = data.draw(st.integers(0, len(text) - 1))
    instead = data.draw(st.text(alphabet="AZaz09+/=.@\x00ä", max_size=4))
    damaged = text[:where] + instead + text[where + data.draw(st.integers(0, 9)) :]
    for read in (
        lambda: desk.restored(damaged, desk.pages),
        lambda: snapshot.missing(damaged, desk.pages),
        lambda: snapshot.history_of(damaged, desk.pages),
    ):
        with contextlib.suppress(Unreadable):
            read()


_SAVED = a_bit_of_everything()
_SAVED.save()


def test_an_endless_loop_keeps_its_checkpoint_small() -> None:
    desk = Desk(endless(passing(Result={"x": "y" * 500})), thorough=False)
    while not desk.over:
        desk.tick()
        assert len(desk.save().checkpoint) < 10 * 1024
