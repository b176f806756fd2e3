"""Commands. One rule: a command reads its arguments, calls `app`, and turns faults to sentences."""

from dataclasses import replace

import click

from treadle import __version__


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


@main.command("free-pods")
@click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, the service account.")
@click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
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
@click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, the service account.")
@click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
@click.option("-n", "--namespace", default="default", help="Where. Default: default.")
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, help="Default: 60.")
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
