"""The commands for executions on a cluster: their arguments.

One rule: as in `main`.
"""

from typing import TYPE_CHECKING, Final

import click

from treadle.cli import completion as completing
from treadle.cli import options

if TYPE_CHECKING:
    from treadle.cli.look import Where

LISTS = ("text", "wide", "json", "yaml", "name")


@click.command()
@click.argument("name", required=False, shell_complete=completing.kept_names)
@options.where(usually="cluster", everywhere=True)
@options.output(*LISTS)
def get(name: str | None, output: str, where: "Where") -> None:
    """Show executions of a cluster: one, or all of them."""
    from treadle.cli import look

    raise SystemExit(look.get(where, name, output))


COMMANDS: Final = (get,)
