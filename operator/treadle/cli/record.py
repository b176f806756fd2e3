"""`treadle record`: a test from an execution.

One rule: the test goes to a file or to stdout, whole, and everything else to stderr.
"""

from pathlib import Path

import click

from treadle.app import recording
from treadle.cli import reports
from treadle.cli.files import content_of, printable
from treadle.cli.look import Where
from treadle.cli.validate import as_text
from treadle.engine.snapshot import Unreadable
from treadle.runtime.ports import Fault, Missing

USUAL = "recorded.test.yaml"
"""What a file that is only printed would be called."""


def run(where: Where, name: str, output: str | None, machine: str | None) -> int:
    """Record an execution; gives the exit status. Raises: UsageError."""
    path = Path(output or USUAL)
    if output is not None and path.exists():
        raise click.UsageError(f"{printable(output)} is there already; choose another file")
    try:
        if machine is not None:
            content_of(machine, 1)  # it can be read, before anything is said
        found = recording.record(where.place(), name, path, Path(machine) if machine else None)
        if output is not None:
            path.write_text(found.text, encoding="utf-8")
        else:
            click.echo(found.text, nl=False)
    except Missing:
        raise click.UsageError(
            f"there is no execution named '{name}'; see `{where.listed}`"
        ) from None
    except OSError as why:
        raise click.UsageError(f"{why.filename or output}: {why.strerror}") from None
    except (Fault, Unreadable, ValueError) as why:
        raise click.UsageError(str(why)) from None
    return _told(found)


def _told(found: recording.Recording) -> int:
    """Say whether what was written passes; gives the exit status."""
    if found.wrong:
        click.echo("the test cannot be run as it is written:", err=True)
    for each in found.wrong:
        click.echo(as_text(each.file, each.problem), err=True)
    if found.untold:
        tasks = ", ".join(map(printable, found.untold))
        told = (
            f"no history tells what Tasks of a distributed Map were answered; add mocks of {tasks}"
        )
        click.echo(told, err=True)
    if found.outcome is None:
        return 1
    if not found.outcome.has_passed:
        click.echo("the test does not pass as it is written:", err=True)
        for line in reports.wrong(found.outcome):
            click.echo(f"  {line}", err=True)
        return 1
    return 0
