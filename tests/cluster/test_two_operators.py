"""Two operators of one scope: with the Lease one of them acts, without it both may."""

from __future__ import annotations

import time

import pytest

from tests.cluster.torture import checks, runs
from tests.cluster.torture.caller import Caller
from tests.cluster.torture.mix import Mix
from tests.cluster.torture.proxy import JOB, LEASE, STATUS, Write
from tests.cluster.torture.stage import Operator, comes, stage

TAKE_OVER_SECONDS = 20.0
SEED = 3
WATCHED = 24
BOTH = 100

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds", "pretend")]


@pytest.mark.timeout(600)
async def test_the_second_waits_for_the_lease_and_takes_over_after_a_kill() -> None:
    report = runs.Report()
    offset = runs.audit_offset()
    async with Caller() as caller, stage("lease") as torn:
        mix = Mix.of(SEED, caller.url)
        await torn.install(mix)
        first, second = await torn.operator("first"), await torn.operator("second")
        first.start()
        assert await comes(lambda: first.process.leads, 30), first.process.tail
        second.start()
        for number in range(WATCHED):
            await torn.submit(mix.plan(number))
        # Enough has happened for a second that does anything to show it.
        assert await comes(lambda: torn.over() >= 6, 120)
        assert second.process.running
        assert second.proxy.reads
        assert [w for w in second.proxy.writes if w.kind != LEASE] == []
        assert torn.unfinished() >= 6

        killed_at = time.monotonic()
        first.process.kill()
        assert await comes(lambda: bool(_acts(second)), 2 * TAKE_OVER_SECONDS)
        took = _acts(second)[0].received_at - killed_at
        report.say(f"the second writes {took:.1f} s after the first was killed")
        assert took < TAKE_OVER_SECONDS
        assert await torn.all_over(runs.END_SECONDS) == []
        await runs.check_writes(report, torn, mix, offset)
    assert report.violations == []


@pytest.mark.timeout(900)
async def test_without_a_lease_both_act_and_nothing_is_doubled() -> None:
    report = runs.Report()
    offset = runs.audit_offset()
    async with Caller() as caller, stage("both") as torn:
        mix = Mix.of(SEED, caller.url)
        await torn.install(mix)
        both = [await torn.operator(name, "--no-lease") for name in ("one", "other")]
        heard = caller.begin()
        for operator in both:
            operator.start()
        for number in range(BOTH):
            await torn.submit(mix.plan(number))
        assert await torn.all_over(runs.END_SECONDS) == []
        for operator in both:
            assert operator.process.running
            saves, jobs = (_taken(operator, kind) for kind in (STATUS, JOB))
            report.say(f"{operator.name}: {len(saves)} saves and {len(jobs)} creates of Jobs taken")
            assert saves
        calm = await runs.undisturbed(mix, torn.plans, caller)
        await runs.compare(report, calm, torn, {})
        report.violations += checks.call_violations(calm.heard, heard)
        await runs.check_writes(report, torn, mix, offset)
        report.violations += await runs.tidy_violations(torn)
    assert report.violations == []


def _acts(operator: Operator) -> list[Write]:
    return [write for write in operator.proxy.writes if write.kind in (STATUS, JOB)]


def _taken(operator: Operator, kind: str) -> list[Write]:
    return [w for w in operator.proxy.writes if w.kind == kind and w.status in (200, 201)]
