"""Commands. One rule: a command reads its arguments, calls `app`, and turns faults to sentences."""

from typing import TYPE_CHECKING

import click

from treadle import __version__

if TYPE_CHECKING:
    from treadle.cli.graph.command import Output


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="treadle")
def main() -> None:
    """Amazon States Language state machines on Kubernetes, without a database."""


@main.command()
@click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, the service account.")
@click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="Serve this namespace only; repeatable."
)
@click.option("--lease/--no-lease", default=None, help="Hold a Lease. Without one, run one only.")
@click.option("--lease-namespace", metavar="NAME", help="Where the Lease is.")
@click.option("--health-port", type=click.IntRange(0, 65535), help="0 for none. Default: 8080.")
@click.option("--log-format", type=click.Choice(["json", "text"]), help="Default: json.")
def operator(**flags: object) -> None:
    """Run the operator: in a cluster, or outside it against a kubeconfig."""
    from treadle.app import operator as operators
    from treadle.app import settings as settings_

    try:
        settings = settings_.from_environment(flags)
        code = operators.run(settings)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    raise SystemExit(code)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def validate(files: tuple[str, ...], output: str) -> None:
    """Say what is wrong with definitions and manifests.

    FILE is a definition or manifests, in JSON or YAML; - for stdin, or a directory.
    """
    from treadle.cli import validate as validating

    raise SystemExit(validating.run(files, output))


@main.command()
@click.argument("machine", metavar="MACHINE")
@click.option("-o", "--output", type=click.Choice(["mermaid", "dot", "svg"]), default="mermaid")
def graph(machine: str, output: "Output") -> None:
    """Draw a machine: the first StateMachine of a file, or a definition; - for stdin."""
    from treadle.cli.graph import command

    raise SystemExit(command.run(machine, output))
