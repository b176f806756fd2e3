"""The whole test: a tortured run, an undisturbed one of the same executions, and the checks."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.cluster.lab import places
from tests.cluster.torture import checks, show
from tests.cluster.torture.caller import Caller, Heard
from tests.cluster.torture.killing import UNFINISHED_MIN, Torture
from tests.cluster.torture.mix import Mix, Plan
from tests.cluster.torture.proxy import STATUS, Write
from tests.cluster.torture.stage import Result, Stage, kubeconfig, stage

END_SECONDS = 300.0
TIDY_SECONDS = 90.0


@dataclass
class Report:
    """What came of it: lines to print, and what must not be."""

    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Print a line now and keep it."""
        print(line, flush=True)
        self.lines.append(line)


@dataclass
class Calm:
    """An undisturbed run."""

    results: dict[str, Result]
    heard: Heard
    seconds: float


async def tortured(seed: int, kills: int, executions: int) -> Report:
    """The torture test."""
    report = Report()
    offset = audit_offset()
    began_at = time.monotonic()
    async with Caller() as caller, stage("torture") as torn:
        mix = Mix.of(seed, caller.url)
        await torn.install(mix)
        operator = await torn.operator("operator")
        heard = caller.begin()
        report.say(f"seed {seed}: {kills} kills in namespace {torn.namespace}")
        report.say(show.head())
        draw = random.Random(f"{seed}/kills")
        torture = Torture(torn, operator, mix, draw, lambda kill: report.say(show.row(kill)))
        await torture.run(kills, executions)
        late = await torn.all_over(END_SECONDS)
        took = time.monotonic() - began_at
        report.violations += torture.violations
        report.violations += [f"{name} has not ended" for name in late]
        few = [kill for kill in torture.kills if kill.unfinished < UNFINISHED_MIN]
        report.violations += [f"kill {k.number}: {k.unfinished} were unfinished" for k in few]
        for line in show.figures(torture.kills):
            report.say(line)
        report.say(
            f"executions: {len(torn.plans)} ({torture.fed} of them created before the last kill), "
            f"{_phases(torn)}; all over after {took:.0f} s"
        )
        # What is left outside is tidied up while the other run goes on.
        calm = await undisturbed(mix, torn.plans, caller)
        report.say(f"undisturbed: the same executions in {calm.seconds:.0f} s")
        await compare(report, calm, torn, torture.deletions)
        wrong = checks.call_violations(calm.heard, heard)
        report.violations += wrong
        report.say(
            f"HTTP: {len(heard.keys)} calls, {len(heard.times)} keys, {heard.repeats} requests "
            f"repeated with the key of their first; {len(wrong)} calls with a key or body too many"
        )
        await check_writes(report, torn, mix, offset)
        report.violations += await tidy_violations(torn)
    return report


async def undisturbed(mix: Mix, plans: Sequence[Plan], caller: Caller) -> Calm:
    """The same executions, in another namespace, under an operator that nobody disturbs.

    Raises:
        AssertionError: they do not end.
    """
    heard = caller.begin()
    began_at = time.monotonic()
    async with stage("calm") as calm:
        await calm.install(mix)
        operator = await calm.operator("operator")
        operator.start()
        for plan in plans:
            await calm.submit(plan)
        late = await calm.all_over(END_SECONDS)
        assert not late, f"undisturbed and not ended: {late}\n{operator.process.tail}"
        seconds = time.monotonic() - began_at
        return Calm(await calm.results(), heard, seconds)


async def compare(
    report: Report, calm: Calm, torn: Stage, deletions: Mapping[tuple[str, str], int]
) -> None:
    """Status, output, error and history of every execution, against the undisturbed run."""
    found = checks.compared(calm.results, await torn.results(), deletions)
    report.violations += found.violations
    report.say(
        f"compared: {found.equal} executions equal in status, output, error and history "
        f"({found.frames} frames, {found.steps} entries), {found.excused} equal but for "
        f"{found.retries} attempts whose Pod or Job was deleted"
    )


async def check_writes(report: Report, torn: Stage, mix: Mix, offset: int | None) -> None:
    """Job names and the order of saves and creates, by the audit log and the proxies' notes."""
    writes = all_writes(torn)
    machine_of = {plan.name: plan.machine for plan in torn.plans}
    saved = checks.saves(writes, checks.Programs(mix.machines), machine_of)
    times: dict[str, checks.Audited] = {}
    if offset is not None:
        await asyncio.sleep(1.0)  # the log is written in batches of a quarter of a second
        times = checks.audited(places.AUDIT_LOG, offset, torn.namespace)
        doubled = checks.audit_violations(times.values(), writes)
    else:
        report.say("there is no audit log of this cluster: the proxies' notes must do")
        doubled = checks.twice(writes)
    untimely = checks.order_violations(writes, saved, times)
    report.violations += [*doubled, *untimely]
    jobs = checks.made_jobs(writes)
    status = Counter(write.status for write in writes if write.kind == STATUS)
    report.say(
        f"written: {len(jobs)} Jobs, {len(doubled)} names twice, {len(untimely)} before their "
        f"decision or after their result was saved ({len(times)} lines of the audit log); "
        f"{status[200]} saves, {status[409]} conflicts"
    )


async def tidy_violations(torn: Stage) -> list[str]:
    """What is still running or held outside although everything is over."""
    deadline = time.monotonic() + TIDY_SECONDS
    while True:
        left = await torn.left_running()
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(1.0)


def all_writes(torn: Stage) -> list[Write]:
    """What all operators of a stage have written."""
    return [write for each in torn.operators.values() for write in each.proxy.writes]


def audit_offset() -> int | None:
    """Where the audit log ends now; None where there is none."""
    ours = kubeconfig() == places.KUBECONFIG and places.AUDIT_LOG.exists()
    return places.AUDIT_LOG.stat().st_size if ours else None


def _phases(torn: Stage) -> str:
    phases = Counter(
        (obj.get("status") or {}).get("phase", "none") for obj in torn.executions.items()
    )
    return ", ".join(f"{count} {phase}" for phase, count in phases.most_common())
