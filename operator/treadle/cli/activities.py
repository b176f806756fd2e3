"""`treadle activity worker`: any program as a worker of an activity.

One rule: what is told goes to stderr; stdout is the program's own.
"""

from typing import Any

import click

from treadle.cli import completion as completing
from treadle.cli import options
from treadle.cli.files import printable

CONCURRENCY_MAX = 1_000


@click.group()
def activity() -> None:
    """Do the work of activities."""


@activity.command()
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option(
    "-n", "--namespace", metavar="NAME", help="Default: of the Pod it runs in, or default."
)
@click.option("--url", metavar="URL", help="Of the operator's API. Default: $TREADLE_API_URL.")
@click.option(
    "--token-file",
    metavar="FILE",
    help="A service account's token. Default: /var/run/secrets/treadle.dev/token.",
    shell_complete=completing.files,
    callback=options.not_empty,
)
@click.option("--worker", metavar="NAME", help="How it calls itself. Default: the host's name.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, CONCURRENCY_MAX),
    default=1,
    show_default=True,
    help="Tasks at once.",
)
@click.option("--once", is_flag=True, help="End after one task.")
@click.option(
    "--heartbeat",
    "heartbeat_seconds",
    type=options.Number(0.1, 3_600),
    metavar="SECONDS",
    default=20.0,
    show_default=True,
    help="How often a task is said to be alive.",
)
def worker(name: str, command: tuple[str, ...], **given: Any) -> None:
    """Run COMMAND for each task of the activity NAME.

    The input is its stdin, and in the file $TREADLE_INPUT_FILE; the result is what it writes to
    $TREADLE_RESULT_FILE. SIGTERM and Ctrl-C let what was begun end; a second one cuts it off.
    """
    from treadle.app import worker as working

    try:
        asked = working.wanted(name, command, **given)
    except ValueError as why:
        raise click.UsageError(printable(str(why))) from None
    working.run(asked, lambda said: click.echo(printable(said), err=True))
