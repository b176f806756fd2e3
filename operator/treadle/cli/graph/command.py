"""The command: a file into a picture on standard output.

One rule: a machine with errors is told, not drawn.
"""

from collections.abc import Sequence
from typing import Final, Literal

import click

from treadle.cli.files import printable
from treadle.cli.graph import dot, mermaid, svg
from treadle.cli.graph.model import Graph, graph
from treadle.cli.graph.runs import coloured
from treadle.cli.machines import find, tell
from treadle.stores.histories import HistoryEntry

Output = Literal["mermaid", "dot", "svg"]
_WRITERS: Final = {"mermaid": mermaid.write, "dot": dot.write, "svg": svg.write}


def run(name: str, output: Output, entries: Sequence[HistoryEntry] | None = None) -> int:
    """Print the picture of a file's first machine, coloured by a history where one is given.

    Returns:
        The exit status: 1 where the machine has errors, which are told.

    Raises:
        UsageError: the file cannot be read, or has no machine.
    """
    found = load(name)
    if found is None:
        return 1
    if entries is not None:
        found = coloured(found, entries)
    try:
        click.echo(_WRITERS[output](found), nl=False)
    except ValueError as why:
        raise click.UsageError(f"{printable(name)}: {why}") from None
    return 0


def load(name: str) -> Graph | None:
    """The graph of the first machine of a file or directory; None where errors were told instead.

    Raises:
        UsageError: a file cannot be read, or there is no machine.
    """
    found = find(name)
    if found is None:
        return None
    _, problems = found.machine.inspect()
    errors = [each for each in problems if each.severity == "error"]
    if tell(found.file, errors):
        return None
    return graph(found.machine.value(), found.machine.name)
