"""The commands for approvals on a cluster: their arguments.

One rule: as in `main`.
"""

from typing import TYPE_CHECKING, Final

import click

from treadle.cli import options
from treadle.cli.executions import DEEDS, LISTS

if TYPE_CHECKING:
    from treadle.app.looking import Cluster

_REASON = click.option("--reason", metavar="TEXT", help="Why, for people.")


@click.command()
@click.option("--mine", is_flag=True, help="Those that wait for me, and that I may decide.")
@options.on_cluster
@options.output(*LISTS)
def approvals(cluster: "Cluster", mine: bool, output: str) -> None:
    """List what machines ask people."""
    from treadle.cli import approvals as asked

    raise SystemExit(asked.approvals(cluster, output, mine=mine))


@click.command()
@click.argument("name")
@_REASON
@options.on_cluster
@options.output(*DEEDS)
def approve(cluster: "Cluster", name: str, reason: str | None, output: str) -> None:
    """Decide for what an Approval asks, in my own name."""
    from treadle.cli import approvals as asked

    raise SystemExit(asked.decide(cluster, name, output, approve=True, reason=reason))


@click.command()
@click.argument("name")
@_REASON
@options.on_cluster
@options.output(*DEEDS)
def reject(cluster: "Cluster", name: str, reason: str | None, output: str) -> None:
    """Decide against what an Approval asks, in my own name."""
    from treadle.cli import approvals as asked

    raise SystemExit(asked.decide(cluster, name, output, approve=False, reason=reason))


COMMANDS: Final = (approvals, approve, reject)
