"""Commands. One rule: a command reads its arguments, calls `app`, and turns faults to sentences."""

import sys
from dataclasses import replace
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from treadle import __version__
from treadle.cli import activities, executions, options, questions, versions
from treadle.cli import completion as completing
from treadle.cli.files import let_go

if TYPE_CHECKING:
    from treadle.cli.graph.command import Output
    from treadle.cli.look import Where


class _Commands(click.Group):
    """Where what is printed cannot be written, that is a sentence, for every command."""

    def main(self, *given: Any, **more: Any) -> Any:
        """See click.Group."""
        if isinstance(sys.stdout, TextIOWrapper):  # a name may be of characters that it has not
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().main(*given, **more)
        except OSError as why:  # click itself ends where nobody reads on
            let_go(sys.stdout)
            click.ClickException(f"it cannot be printed: {why.strerror}").show()
            raise SystemExit(1) from None


_files: Any = {"shell_complete": completing.files, "callback": options.not_empty}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="treadle")
def main() -> None:
    """Amazon States Language state machines on Kubernetes, without a database."""


def plugin() -> None:
    """The same commands where kubectl runs them, of its cluster unless an option says otherwise."""
    main(prog_name=options.PLUGIN)


for _each in (
    *executions.COMMANDS,
    *questions.COMMANDS,
    *versions.COMMANDS,
    activities.activity,
):
    main.add_command(_each)


@main.command()
@options.credentials
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="Serve this namespace only; repeatable."
)
@click.option("--lease/--no-lease", default=None, help="Hold a Lease. Without one, run one only.")
@click.option("--lease-namespace", metavar="NAME", help="Where the Lease is.")
@click.option("--health-port", type=click.IntRange(0, 65535), help="0 for none. Default: 8080.")
@click.option("--api-port", type=click.IntRange(0, 65535), help="0 for none. Default: 8081.")
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
@click.argument("files", nargs=-1, required=True, metavar="FILE...", **_files)
@options.output("text", "json")
def validate(files: tuple[str, ...], output: str) -> None:
    """Say what is wrong with definitions and manifests.

    FILE is a definition or manifests, in JSON or YAML; - for stdin, or a directory.
    """
    from treadle.cli import validate as validating

    raise SystemExit(validating.run(files, output))


_state_dir = click.option(
    "--state-dir",
    metavar="DIR",
    default=".treadle",
    show_default=True,
    shell_complete=completing.folders,
    callback=options.not_empty,
)
_machine: Any = {"metavar": "MACHINE", **_files}


@main.command()
@options.where(usually="desk", everywhere=True)
@options.output(*executions.LISTS)
def ls(output: str, where: "Where") -> None:
    """List executions: of this computer, or of a cluster."""
    from treadle.cli import look

    raise SystemExit(look.get(where, None, output))


@main.command()
@options.execution("name", shell_complete=completing.names)
@options.where(usually="desk")
@options.output("text", "json")
def history(name: str, output: str, where: "Where") -> None:
    """Show the history of an execution: of this computer, or of a cluster."""
    from treadle.cli import look

    raise SystemExit(look.history(where, name, output))


@main.command()
@click.argument("machine", required=False, **_machine)
@click.option(
    "--input", metavar="JSON|@FILE|-", help="Default: of the Execution in MACHINE, or {}."
)
@click.option("--name", help="Of the execution. Default: the machine's and the time.")
@_state_dir
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Go on; default: the newest.",
    shell_complete=completing.names,
)
@click.option(
    "--runner",
    type=click.Choice(["process", "podman", "docker"]),
    default="process",
    show_default=True,
    help="What stands for a Pod.",
)
@click.option(
    "--volume", "volumes", multiple=True, metavar="NAME=DIR", help="A folder for a volume."
)
@click.option(
    "--command", "commands", multiple=True, metavar="IMAGE=CMD", help="What an image would run."
)
@click.option(
    "--worker", "workers", multiple=True, metavar="NAME=CMD", help="What an activity's worker runs."
)
@click.option(
    "--mocks",
    metavar="FILE[#CASE]",
    help="Answers to give instead of running Tasks.",
    **_files,
)
@click.option(
    "--approve", multiple=True, metavar="STATE=yes|no", help="Decide a question; repeatable."
)
@click.option("--time", type=click.Choice(["real", "virtual"]), default="real", show_default=True)
@click.option(
    "--limits",
    type=click.Choice(["default", "aws"]),
    help="A profile of limits. Default: $TREADLE_LIMITS_PROFILE.",
)
@click.option(
    "--history",
    metavar="FILE",
    help="Write the history there, as AWS gives it.",
    **_files,
)
@options.output("text", "json")
def run(**flags: Any) -> None:
    """Run a machine on this computer.

    MACHINE is a definition or a manifest, in JSON or YAML; a file, a directory of them, or - for
    stdin. Exit status: 0 Succeeded; 1 Failed, TimedOut or Aborted; 2 a wrong document or usage.
    """
    from treadle.cli import run as running

    raise SystemExit(running.run(running.Asked(**flags)))


@main.command("test-state")
@click.argument("machine", **_machine)
@click.option("--state", metavar="NAME", help="The state of a machine; a bare state has none.")
@click.option("--input", default="{}", metavar="JSON|@FILE|-", show_default=True)
@click.option("--variables", metavar="JSON|@FILE", help="What the state can read, by name.")
@click.option("--context", metavar="JSON|@FILE", help="The whole context object, with a mock.")
@click.option("--result", metavar="JSON|@FILE", help="What the state's work gives.")
@click.option("--error", metavar="NAME", help="The error that the state's work ends with.")
@click.option("--cause", metavar="TEXT", help="Its cause.")
@click.option(
    "--validation",
    type=click.Choice(("STRICT", "PRESENT", "NONE")),
    default="STRICT",
    show_default=True,
    help="How --result is compared with what the service answers.",
)
@click.option(
    "--level",
    type=click.Choice(("INFO", "DEBUG", "TRACE")),
    default="INFO",
    show_default=True,
    help="How much of the data between the steps is shown.",
)
@click.option("--retries", type=click.IntRange(0), default=0, help="Retries made before.")
@click.option("--caused-by", metavar="NAME", help="The state inside a Map or Parallel that failed.")
@click.option("--failed-items", type=click.IntRange(0), default=0, help="Of a distributed Map.")
@click.option("--reader-data", metavar="TEXT|@FILE", help="What the ItemReader of a Map reads.")
def test_state(**flags: Any) -> None:
    """Say what one state would do with an input, as AWS's TestState does.

    MACHINE is a definition, a manifest, or a state alone. A Task, Map or Parallel is answered by
    --result or --error.
    """
    from treadle.cli import teststate

    raise SystemExit(teststate.run(teststate.Asked(**flags)))


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", **_files)
@click.option("-k", "--select", "text", metavar="TEXT", default="", help="Of a name: run those.")
@click.option(
    "--coverage-min",
    type=options.Number(0, 100),
    metavar="PERCENT",
    help="Fail where a machine is covered less.",
)
@click.option(
    "--junit", metavar="FILE", help="Write the results there, as JUnit has them.", **_files
)
@click.option("--watch", is_flag=True, help="Run again whenever a file changes, until Ctrl-C.")
@options.output("text", "json")
def test(**flags: Any) -> None:
    """Run tests of machines: in virtual time, with mocks, and nothing outside.

    PATH is a file of tests, or a folder of *.test.yaml, *.test.yml and *.test.json. Exit status: 0
    all have passed; 1 one has not, or too little is covered; 2 a wrong file or usage.
    """
    from treadle.cli import testing

    raise SystemExit(testing.run(testing.Asked(**flags)))


@main.command()
@options.execution("execution", shell_complete=completing.names)
@options.where(usually="desk")
@click.option("-o", "--output", metavar="FILE", help="Write it there, a new file.", **_files)
@click.option("--machine", metavar="FILE", help="Test this one, not a copy of what ran.", **_files)
def record(execution: str, output: str | None, machine: str | None, where: "Where") -> None:
    """Write a test from what an execution did: of this computer, or of a cluster."""
    from treadle.cli import record

    raise SystemExit(record.run(where, execution, output, machine))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which a shell completes what is typed."""
    click.echo(completing.script(shell, main))


@main.command()
@click.argument("machine", **_machine)
@options.output("mermaid", "dot", "svg")
@click.option(
    "--execution", metavar="NAME", help="Colour what it did.", shell_complete=completing.names
)
@options.where(usually="desk")
def graph(machine: str, output: "Output", execution: str | None, where: "Where") -> None:
    """Draw a machine: the first StateMachine of a file, or a definition; - for stdin."""
    from treadle.cli import look
    from treadle.cli.graph import command

    entries = None if execution is None else look.entries(where, execution)
    raise SystemExit(command.run(machine, output, entries))


@main.command("free-pods")
@options.credentials
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Of this one; repeatable.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all of them.")
def free_pods(all_namespaces: bool, namespaces: tuple[str, ...], **flags: object) -> None:
    """Let go of Pods that wait for an operator which will not come back.

    Results that they hold are given up. Executions stay.
    """
    from treadle.app import freeing
    from treadle.app import settings as settings_
    from treadle.runtime.ports import Fault

    if all_namespaces == bool(namespaces):
        raise click.UsageError("say which namespaces: --namespace, or --all-namespaces")
    try:
        settings = settings_.from_environment(flags)
        freed = freeing.run(replace(settings, namespaces=namespaces))
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    except Fault as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(f"{freed} Pods freed.")


@main.command("try")
@options.credentials
@click.option("-n", "--namespace", default="default", help="Where. Default: default.")
@click.option("--seconds", type=options.Number(min=0), default=60.0, help="Default: 60.")
def try_(namespace: str, seconds: float, **flags: object) -> None:
    """See whether the operator works: run a tiny Execution to its end, and remove it."""
    from treadle.app import settings as settings_
    from treadle.app import trial
    from treadle.runtime.ports import Fault

    try:
        click.echo(trial.run(settings_.from_environment(flags), namespace, seconds))
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    except (Fault, trial.TrialFailed) as why:
        raise click.ClickException(str(why)) from None
