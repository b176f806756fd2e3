"""`treadle why`: one cause, and what shows it.

One rule: the cause is the first line, a sentence that says all to who reads no further.
"""

import click

from treadle.app import causes, evidence
from treadle.app.looking import Cluster
from treadle.cli import printing
from treadle.cli.files import printable
from treadle.cli.look import answered


def run(cluster: Cluster, name: str, output: str) -> int:
    """Say why an execution is as it is; gives the exit status. Raises: UsageError."""
    told = causes.verdict(answered(lambda: evidence.read(cluster, name), name))
    if output != "text":
        printing.document(
            {
                "kind": str(told.kind),
                "cause": told.cause,
                "evidence": list(told.evidence),
                "remedy": told.remedy,
            },
            output,
        )
        return 0
    click.echo(printable(f"{name}: {told.cause}"))
    for line in told.evidence:
        click.echo(printable(f"  {line}"))
    if told.remedy:
        click.echo(printable(f"  → {told.remedy}"))
    return 0
