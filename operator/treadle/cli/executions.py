"""The commands for executions on a cluster: their arguments.

One rule: as in `main`.
"""

from typing import TYPE_CHECKING, Any, Final

import click

from treadle.cli import completion as completing
from treadle.cli import options

if TYPE_CHECKING:
    from treadle.app.acting import Chosen
    from treadle.app.looking import Cluster
    from treadle.cli.look import Where

LISTS = ("text", "wide", "json", "yaml", "name")


@click.command()
@options.execution("name", required=False, shell_complete=completing.kept_names)
@options.where(usually="cluster", everywhere=True)
@options.output(*LISTS)
def get(name: str | None, output: str, where: "Where") -> None:
    """Show executions of a cluster: one, or all of them."""
    from treadle.cli import look

    raise SystemExit(look.get(where, name, output))


DEEDS = ("text", "json", "yaml", "name")


@click.command()
@click.argument("machine")
@click.option("--input", "given", metavar="JSON|@FILE|-", help="Default: {}.")
@click.option("--name", help="Of the execution. Default: the machine's and five letters more.")
@click.option("--version", type=click.IntRange(1), help="A published version of it.")
@click.option("--alias", metavar="NAME", help="What names the version.")
@click.option("--watch", "then_watch", is_flag=True, help="Show it until it has ended.")
@options.on_cluster
@options.output(*DEEDS)
def start(
    cluster: "Cluster",
    machine: str,
    given: str | None,
    name: str | None,
    version: int | None,
    alias: str | None,
    then_watch: bool,
    output: str,
) -> None:
    """Start an execution of a StateMachine of a cluster."""
    from treadle.app.acting import Wanted
    from treadle.cli import acting

    if version is not None and alias is not None:
        raise click.UsageError("give --version or --alias, not both: an alias names versions")
    wanted = Wanted(machine, version, alias)
    raise SystemExit(acting.start(cluster, wanted, given, name, output, then_watch=then_watch))


@click.command()
@options.execution("name", shell_complete=completing.kept_names)
@options.where(usually="cluster")
def watch(name: str, where: "Where") -> None:
    """Show an execution until it has ended: its states, times, attempts and items.

    Exit status: 0 Succeeded; 1 Failed, TimedOut, Aborted or deleted; 130 after Ctrl-C, which
    leaves the execution as it is.
    """
    from treadle.cli import watch as watching

    raise SystemExit(watching.run(where, name))


@click.command()
@options.executions
@click.option("--error", metavar="NAME", help="The error that they end with.")
@click.option("--cause", metavar="TEXT", help="Why, for people.")
@click.option("--wait", is_flag=True, help="Return once they have ended.")
@options.on_cluster
@options.output(*DEEDS)
def stop(
    cluster: "Cluster",
    chosen: "Chosen",
    error: str | None,
    cause: str | None,
    wait: bool,
    output: str,
) -> None:
    """Stop executions of a cluster: whatever runs is stopped, and they become Aborted."""
    from treadle.cli import acting

    raise SystemExit(acting.stop(cluster, chosen, error, cause, output, wait=wait))


@click.command()
@options.executions
@options.on_cluster
@options.output(*DEEDS)
def suspend(cluster: "Cluster", chosen: "Chosen", output: str) -> None:
    """Suspend executions of a cluster: nothing new starts; what runs may end."""
    from treadle.cli import acting

    raise SystemExit(acting.suspend(cluster, chosen, True, output))


@click.command()
@options.executions
@options.on_cluster
@options.output(*DEEDS)
def resume(cluster: "Cluster", chosen: "Chosen", output: str) -> None:
    """Let suspended executions of a cluster go on."""
    from treadle.cli import acting

    raise SystemExit(acting.suspend(cluster, chosen, False, output))


@click.command()
@options.executions
@click.option("--from", "state", metavar="STATE", help="The outermost state to enter anew.")
@click.option("--input", "given", metavar="JSON|@FILE|-", help="For that state, or the last one.")
@click.option("--variables", metavar="JSON|@FILE", help="To assign before that, by name.")
@click.option("--revision", metavar="NAME", help="Go on with this StateMachineRevision.")
@click.option("--latest", is_flag=True, help="Go on with the StateMachine as it is now.")
@options.on_cluster
@options.output(*DEEDS)
def redrive(cluster: "Cluster", chosen: "Chosen", output: str, **asked: Any) -> None:
    """Let executions go on that failed, timed out or were aborted.

    They go on from where they were: what had succeeded is not run again.
    """
    from treadle.cli import acting

    raise SystemExit(acting.redrive(cluster, chosen, acting.Redrive(**asked), output))


@click.command()
@options.execution("name")
@click.argument("state", required=False)
@click.option("-f", "--follow", is_flag=True, help="Until the container ends.")
@click.option("--attempt", type=click.IntRange(1), help="Default: the last one.")
@click.option("--index", metavar="N", help="Of the item of a Map; of nested ones N.N.")
@options.on_cluster
def logs(
    cluster: "Cluster",
    name: str,
    state: str | None,
    follow: bool,
    attempt: int | None,
    index: str | None,
) -> None:
    """Print what the container of a state has printed.

    Without STATE it is the only Pod there is, or the only one that runs.
    """
    from treadle.app.podlogs import Wanted
    from treadle.cli import logs as reading

    raise SystemExit(reading.run(cluster, Wanted(name, state, attempt, index), follow=follow))


@click.command()
@options.execution("name")
@options.on_cluster
@options.output("text", "json", "yaml")
def why(cluster: "Cluster", name: str, output: str) -> None:
    """Say why an execution is as it is: one cause, and what shows it."""
    from treadle.cli import why as asking

    raise SystemExit(asking.run(cluster, name, output))


COMMANDS: Final = (get, start, watch, stop, suspend, resume, redrive, logs, why)
