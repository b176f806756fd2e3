"""Workflow tests, put together: files, what their executions are called, and what came of them.

One rule: all of a file is read, and all files are right, before a test of any of them runs.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from treadle.app import settings as settings_
from treadle.app.identify import Identities
from treadle.engine.context import Identity
from treadle.local import coverage
from treadle.local.coverage import Coverage
from treadle.local.files import NAMESPACE
from treadle.local.testfiles import Case, Machine, TestFile
from treadle.local.verdicts import Difference, differences
from treadle.local.workflowtests import Ran, Trial, run
from treadle.runtime.ports import ExecutionKey, Request


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test; `real_seconds` is what it took, `ran.seconds` what it lasted."""

    file: TestFile
    case: Case
    ran: Ran
    differences: Sequence[Difference]
    real_seconds: float

    @property
    def has_passed(self) -> bool:
        """Whether all is as expected."""
        return not self.differences and not self.ran.trouble


@dataclass(slots=True)
class Report:
    """All that was run. `coverages`: of each machine, by where it stands, over all its tests."""

    outcomes: list[Outcome] = field(default_factory=list)
    coverages: dict[str, Coverage] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many tests have failed."""
        return sum(not each.has_passed for each in self.outcomes)

    def too_low(self, percent: float) -> list[str]:
        """Machines that are covered less."""
        return [label for label, found in self.coverages.items() if found.percent < percent]


Named = Callable[[str, str], Identity]
"""(machine, execution) -> what the execution is called"""


def run_all(
    files: Iterable[TestFile], text: str, named: Named, show: Callable[[Outcome], None]
) -> Report:
    """Run the tests of files.

    Args:
        files: without a problem.
        text: only tests with this in the name of their file or in their own; letter case is one.
        named: see `names`.
        show: told of each test when it has ended.
    """
    report = Report()
    for file in files:
        assert file.machine is not None
        cases = [case for case in file.cases if _is_chosen(text, file, case)]
        if not cases:
            continue
        # Tests of one machine may be in several files.
        empty = coverage.of(file.machine.program)
        covered = report.coverages.setdefault(file.machine.label, empty)
        for case in cases:
            outcome = run_one(file, case, covered, named)
            report.outcomes.append(outcome)
            show(outcome)
    return report


def _is_chosen(text: str, file: TestFile, case: Case) -> bool:
    return text.casefold() in f"{file.file} {file.title} {case.name}".casefold()


def names() -> Named:
    """What executions are called: as on a desk, whose settings are this environment's.

    Raises:
        ValueError: a setting is wrong.
    """
    settings = settings_.from_environment({})
    identify = Identities(settings.region, settings.account)

    def named(machine: str, execution: str) -> Identity:
        key = ExecutionKey(NAMESPACE, execution, "")
        return identify(key, Request(machine, "", execution))

    return named


def run_one(file: TestFile, case: Case, covered: Coverage, named: Named) -> Outcome:
    """Run one test."""
    machine = file.machine
    assert isinstance(machine, Machine)
    identity = named(machine.name, case.execution_name)
    trial = Trial(machine.program, case.input, case.mocks, identity, case.begins_at)
    began = time.perf_counter()
    ran = run(trial, covered, time.thread_time)
    found = differences(case.expected, ran) if not ran.trouble else []
    return Outcome(file, case, ran, found, time.perf_counter() - began)


def as_json(report: Report) -> Mapping[str, object]:
    """A report for programs."""
    return {
        "passed": len(report.outcomes) - report.failed,
        "failed": report.failed,
        "tests": [_outcome(each) for each in report.outcomes],
        "coverage": [
            {
                "machine": label,
                "percent": round(found.percent, 1),
                **{
                    kind: {"covered": seen, "total": total}
                    for kind, (seen, total) in found.counts().items()
                },
                "missed": found.missed,
                "unclear": sorted(found.unclear - found.seen),
            }
            for label, found in report.coverages.items()
        ],
    }


def _outcome(outcome: Outcome) -> Mapping[str, object]:
    ran = outcome.ran
    return {
        "file": outcome.file.file,
        "name": outcome.case.name,
        "pointer": outcome.case.pointer,
        "line": outcome.case.line,
        "passed": outcome.has_passed,
        "status": ran.status,
        "seconds": ran.seconds,
        "realMilliseconds": round(outcome.real_seconds * 1000, 1),
        "visited": ran.visited,
        "trouble": ran.trouble,
        "differences": [each._asdict() for each in outcome.differences],
    }
