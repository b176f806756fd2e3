"""`treadle test`: workflow tests, once or whenever a file changes.

One rule: what is wrong with any file is told before a test runs, and then none does.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from treadle.app import testing
from treadle.asl.json import dumps
from treadle.cli import reports
from treadle.cli.files import printable
from treadle.cli.validate import as_json, as_text
from treadle.local import testfiles
from treadle.local.testfiles import TestFile, Wrong

EXIT_FAILED = 1
EXIT_WRONG = 2

SUFFIXES = (".test.yaml", ".test.yml", ".test.json")
FILES_MAX = 1_000
"""Of tests, in one call."""

FOLDERS_MAX = 10_000
"""That are searched."""

POLL_SECONDS = 0.5
"""Files are looked at so often: what tells of changes does not on every file system."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags of the command, as they were given."""

    paths: Sequence[str]
    text: str
    coverage_min: float | None
    junit: str | None
    watch: bool
    output: str


@dataclass(slots=True)
class _Round:
    """One run of all: its exit status, and the files that decide what the next one does."""

    status: int
    paths: list[Path] = field(default_factory=list)


def run(asked: Asked) -> int:
    """Run tests and say what came of them; gives the exit status. Raises: UsageError."""
    if asked.junit is not None and not Path(asked.junit).absolute().parent.is_dir():
        raise click.UsageError(f"--junit: there is no folder for {printable(asked.junit)}")
    if not asked.watch:
        return _round(asked).status
    return watch(asked, time.sleep)  # a parameter, so that a test decides what passes meanwhile


def watch(asked: Asked, sleep: Callable[[float], None]) -> int:
    """Run tests again whenever a file has changed, until Ctrl-C; gives the last exit status."""
    status = 0
    try:
        while True:
            try:
                found = _round(asked)
            except click.UsageError as why:
                click.echo(f"Error: {why.message}", err=True)
                found = _Round(EXIT_WRONG, [Path(name) for name in asked.paths])
            status, before = found.status, _stamps(asked, found.paths)
            click.echo("waiting for a change; Ctrl-C ends", err=True)
            while _stamps(asked, found.paths) == before:
                sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return status


def _stamps(asked: Asked, paths: Sequence[Path]) -> Mapping[Path, tuple[int, int]]:
    """What changes when a file does, or when there is another one."""
    try:
        every = {*paths, *(path for path, _ in _search(asked.paths))}
    except click.UsageError:
        every = set(paths)
    found = {}
    for path in every:
        try:
            stat = path.stat()
        except (OSError, ValueError):
            continue  # it is not there, or no file can have such a name
        found[path] = (stat.st_mtime_ns, stat.st_size)
    return found


def _round(asked: Asked) -> _Round:
    files = [testfiles.read(path, label) for path, label in _search(asked.paths)]
    paths = [path for file in files for path in file.paths]
    if any(file.problems for file in files):
        _tell(files, asked.output)
        return _Round(EXIT_WRONG, paths)
    is_text = asked.output == "text"
    try:
        named = testing.names()
    except ValueError as why:
        raise click.UsageError(str(why)) from None
    show = reports.Lines().show if is_text else _silent
    report = testing.run_all(files, asked.text, named, show)
    if not report.outcomes:
        raise click.UsageError(f"no test has '{printable(asked.text)}' in its name")
    if is_text:
        _say(report)
    else:
        click.echo(dumps({"problems": [], **testing.as_json(report)}))
    if asked.junit is not None:
        try:
            reports.write_junit(report, Path(asked.junit))
        except OSError as why:
            raise click.UsageError(f"--junit: {asked.junit}: {why.strerror}") from None
    low = report.too_low(asked.coverage_min) if asked.coverage_min is not None else []
    for label in low:
        percent = report.coverages[label].percent
        told = f"{printable(label)} is covered by {percent:.1f} %, less than {asked.coverage_min:g}"
        click.echo(told, err=True)
    return _Round(EXIT_FAILED if report.failed or low else 0, paths)


def _silent(_: testing.Outcome) -> None:
    """All is said at the end."""


def _say(report: testing.Report) -> None:
    click.echo()
    for label, coverage in report.coverages.items():
        for line in reports.coverage_lines(label, coverage):
            click.echo(line)
    click.echo(reports.summary(report))


def _tell(files: Sequence[TestFile], output: str) -> None:
    # A machine of several files is told once.
    wrong = {(each.file, each.problem): None for file in files for each in _in_order(file)}
    if output == "json":
        click.echo(dumps({"problems": [as_json(file, problem) for file, problem in wrong]}))
        return
    for file, problem in wrong:
        click.echo(as_text(file, problem), err=True)


def _in_order(file: TestFile) -> list[Wrong]:
    """Its problems by their places; those of its machine's file are behind them."""
    return sorted(
        file.problems,
        key=lambda each: (each.file != file.file, each.problem.line or 0, each.problem.column or 0),
    )


# -------------------------------------------------------------------------------------- the files


def _search(names: Sequence[str]) -> list[tuple[Path, str]]:
    """The files of tests that arguments name, each once, and what they are called.

    Raises:
        UsageError: there is none, or too many.
    """
    found: dict[Path, str] = {}
    for name in names:
        path = Path(name)
        each = list(_within(path)) if path.is_dir() else [path]
        if not each:
            kinds = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            raise click.UsageError(f"there is no {kinds} in '{click.format_filename(path)}'")
        for file in each:
            found.setdefault(file, click.format_filename(file))
        if len(found) > FILES_MAX:
            raise click.UsageError(f"there are more than {FILES_MAX:,} files of tests; name fewer")
    return list(found.items())


def _within(folder: Path) -> Iterator[Path]:
    """Files of tests in a folder and in those within it; hidden ones are passed over."""
    for count, (place, folders, files) in enumerate(os.walk(folder)):
        if count >= FOLDERS_MAX:
            shown = click.format_filename(folder)
            raise click.UsageError(f"'{shown}' has more than {FOLDERS_MAX:,} folders; name one")
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(files):
            if file.endswith(SUFFIXES) and not file.startswith("."):
                yield Path(place) / file
