"""What is said of workflow tests: lines for people, and JUnit's XML for programs.

One rule: a line is told when its test has ended, and what it says is bounded.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import click

from treadle.app.testing import Outcome, Report
from treadle.cli.files import duration, printable
from treadle.local.coverage import Coverage
from treadle.local.testfiles import TestFile

NAME_CHARS_MAX = 70
MISSED_MAX = 50
_UNPRINTED = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold."""


class Lines:
    """Tests as lines."""

    def __init__(self) -> None:
        self._file: TestFile | None = None

    def show(self, outcome: Outcome) -> None:
        """A test has ended."""
        if outcome.file is not self._file:
            self._file = outcome.file
            title, file = self._file.title, self._file.file
            click.echo(printable(title if title == file else f"{title} ({file})"))
        longest = max(len(case.name) for case in outcome.file.cases)
        name = printable(outcome.case.name)[:NAME_CHARS_MAX].ljust(min(longest, NAME_CHARS_MAX))
        mark = "✓" if outcome.has_passed else "✗"
        virtual, real = duration(outcome.ran.seconds), outcome.real_seconds * 1000
        click.echo(f"  {mark} {name}  {virtual:>7}  {real:>5.0f} ms")
        for line in wrong(outcome):
            click.echo(f"      {line}")


def wrong(outcome: Outcome) -> Iterator[str]:
    """What is not as expected, in lines; none where all is."""
    if not outcome.has_passed:
        yield printable(f"{outcome.file.file}:{outcome.case.line}")
    if outcome.ran.trouble:
        yield printable(outcome.ran.trouble)
        visited = outcome.ran.visited
        if visited:
            yield printable(f"it had come to '{visited[-1]}' by then")
    for what, pointer, expected, came in outcome.differences:
        yield printable(f"{what} at {pointer}" if pointer else what)
        yield printable(f"  expected  {expected}")
        yield printable(f"  came      {came}")


def coverage_lines(label: str, coverage: Coverage) -> Iterator[str]:
    """The coverage of a machine, in lines."""
    missed, total = coverage.missed, len(coverage.points)
    seen = total - len(missed)
    yield f"{printable(label)}: {seen} of {total} covered, {coverage.percent:.0f} %"
    counts = coverage.counts().items()
    yield "  " + ", ".join(f"{kind} {some} of {all_}" for kind, (some, all_) in counts)
    for pointer in missed[:MISSED_MAX]:
        unclear = (
            "; or another one that leads there was used" if pointer in coverage.unclear else ""
        )
        yield printable(f"  not covered: {pointer}{unclear}")
    if len(missed) > MISSED_MAX:
        yield f"  and {len(missed) - MISSED_MAX} more"


def summary(report: Report) -> str:
    """The last line."""
    passed = len(report.outcomes) - report.failed
    return f"{passed} passed, {report.failed} failed"


def write_junit(report: Report, path: Path) -> None:
    """Write a report as JUnit has it. Raises: OSError."""
    root = ElementTree.Element("testsuites")
    suites: dict[str, ElementTree.Element] = {}
    for outcome in report.outcomes:
        file = outcome.file.file
        if file not in suites:
            suites[file] = ElementTree.SubElement(root, "testsuite", name=_xml(file))
        _add(suites[file], outcome)
    for element, outcomes in [(root, report.outcomes)] + [
        (suite, [each for each in report.outcomes if each.file.file == file])
        for file, suite in suites.items()
    ]:
        element.set("tests", str(len(outcomes)))
        element.set("failures", str(sum(not each.has_passed for each in outcomes)))
        element.set("time", f"{sum(each.real_seconds for each in outcomes):.3f}")
    ElementTree.indent(root)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _add(suite: ElementTree.Element, outcome: Outcome) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_xml(outcome.file.title),
        name=_xml(outcome.case.name),
        time=f"{outcome.real_seconds:.3f}",
    )
    if not outcome.has_passed:
        lines = list(wrong(outcome))
        failure = ElementTree.SubElement(case, "failure", message=_xml(lines[1]))
        failure.text = _xml("\n".join(lines))


def _xml(text: str) -> str:
    return _UNPRINTED.sub("�", text)
