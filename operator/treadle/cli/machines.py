"""MACHINE, as several commands take it: the first StateMachine of a file or a directory.

One rule: a file that is wrong is told before anything of the others is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from treadle.asl.errors import Problem
from treadle.asl.json import Json
from treadle.cli.files import Input, printable, read_all
from treadle.cli.validate import as_text
from treadle.kube import sources


@dataclass(frozen=True, slots=True)
class Found:
    """What MACHINE names.

    Attributes:
        file: where the machine is.
        machine: the first one.
        machines: those after it.
        others: the manifests beside it, of all files.
    """

    file: str
    machine: sources.Machine
    machines: Sequence[sources.Machine]
    others: Sequence[Mapping[str, Json]]


def find(name: str) -> Found | None:
    """The machine, or None where problems of its files were told instead.

    Raises:
        UsageError: a file cannot be read, or there is no machine.
    """
    return among(name, list(read_all((name,))))


def among(name: str, inputs: Sequence[Input]) -> Found | None:
    """The same of files that were read already.

    Raises:
        UsageError: there is no machine.
    """
    files = [(each.name, sources.read(each.data, is_chosen=each.is_chosen)) for each in inputs]
    told = [tell(file, found.problems) for file, found in files]
    if True in told:
        return None
    machines = [(file, machine) for file, found in files for machine in found.machines]
    if not machines:
        raise click.UsageError(f"there is no StateMachine in {printable(name)}")
    others = [obj for _, found in files for obj in found.others]
    (file, first), *more = machines
    return Found(file, first, [machine for _, machine in more], others)


def tell(file: str, problems: Sequence[Problem]) -> bool:
    """Print problems on standard error; gives whether there were any."""
    for problem in problems:
        click.echo(as_text(file, problem), err=True)
    return bool(problems)
