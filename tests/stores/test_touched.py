"""When an object was last touched is anybody's text: what it cannot be is not believed."""

import asyncio
from datetime import timedelta

import pytest

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from treadle.engine.memory import Page
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import PAGES, REVISIONS, STATE_MACHINES
from treadle.stores.machines import SPARE_SECONDS
from treadle.stores.pages import AGE_BEFORE_REMOVAL, Pages, touched_at

BORN = "2026-01-01T00:00:00Z"
STRANGE = ["", "yesterday", "2026-13-01", "2026-06-01T00:00:00", "2026-06-01", "9" * 5_000]
AGE_SECONDS = AGE_BEFORE_REMOVAL.total_seconds()


def an_object(touched: str) -> Obj:
    return {"metadata": {"creationTimestamp": BORN, "annotations": {names.TOUCHED_AT: touched}}}


@pytest.mark.parametrize("text", STRANGE)
def test_a_text_that_is_no_instant_counts_as_never(text: str) -> None:
    born = touched_at({"metadata": {"creationTimestamp": BORN}})
    assert touched_at(an_object(text)) == born
    assert born.tzinfo is not None


def test_an_instant_counts_unless_it_is_before_the_creation() -> None:
    born = touched_at({"metadata": {"creationTimestamp": BORN, "annotations": None}})
    assert touched_at(an_object("2026-01-01T00:01:00+00:00")) == born + timedelta(minutes=1)
    assert touched_at(an_object("2025-01-01T00:00:00Z")) == born


@pytest.mark.parametrize("text", STRANGE)
def test_a_page_that_somebody_wrote_on_goes_all_the_same_and_so_do_the_others(text: str) -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        pages = Pages(stage.api)
        written = {digest: Page("snapshot", digest.encode()) for digest in ("a" * 64, "b" * 64)}
        await pages.write(stage.key, written)
        for digest in written:
            said = {"metadata": {"annotations": {names.TOUCHED_AT: text}}}
            stage.objects.patch(PAGES, "default", names.page(stage.key, digest), said)
        await asyncio.sleep(AGE_SECONDS + 2)
        await pages.remove_stale(stage.key, frozenset(), stage.now())
        assert list(stage.objects.each(PAGES)) == []

    on_a_stage(play)


@pytest.mark.parametrize("text", STRANGE)
def test_nor_does_a_revision_that_somebody_wrote_on_stop_the_sweep(text: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.objects.delete(STATE_MACHINES, "default", "m")
        (revision,) = stage.objects.each(REVISIONS)
        said = {"metadata": {"annotations": {names.TOUCHED_AT: text}}}
        stage.objects.patch(REVISIONS, "default", revision["metadata"]["name"], said)
        await stage.machines.sweep()
        await asyncio.sleep(SPARE_SECONDS + 2)
        await stage.machines.sweep()
        assert list(stage.objects.each(REVISIONS)) == []

    on_a_stage(play)
