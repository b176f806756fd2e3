"""The commands for versions of machines on a cluster: their arguments.

One rule: as in `main`.
"""

from typing import TYPE_CHECKING, Final

import click

from treadle.cli import options

if TYPE_CHECKING:
    from treadle.app.looking import Cluster


@click.command()
@click.argument("machine")
@click.option("--id", "id_", metavar="TEXT", help="Default: the digest of what is published.")
@click.option("--description", metavar="TEXT", help="What it is, for people.")
@click.option("--seconds", type=options.Number(min=0), default=60.0, help="Default: 60.")
@options.on_cluster
@options.output("text", "json", "yaml", "name")
def publish(
    cluster: "Cluster",
    machine: str,
    id_: str | None,
    description: str | None,
    seconds: float,
    output: str,
) -> None:
    """Publish what a StateMachine is now, and say which version that is.

    What was published before has its number again.
    """
    from treadle.cli import publishing

    raise SystemExit(publishing.publish(cluster, machine, id_, description, seconds, output))


@click.command()
@click.argument("machine")
@options.on_cluster
@options.output("text", "json", "yaml", "name")
def versions(cluster: "Cluster", machine: str, output: str) -> None:
    """List the versions of a StateMachine, and the aliases that name them."""
    from treadle.cli import publishing

    raise SystemExit(publishing.listed(cluster, machine, output))


@click.command()
@click.argument("machine")
@click.argument("version", type=click.IntRange(1))
@options.on_cluster
def unpublish(cluster: "Cluster", machine: str, version: int) -> None:
    """Take a version of a StateMachine back. Its number is not given again.

    What runs it goes on. A version that an alias names is not taken back.
    """
    from treadle.cli import publishing

    raise SystemExit(publishing.unpublish(cluster, machine, version))


COMMANDS: Final = (publish, versions, unpublish)
