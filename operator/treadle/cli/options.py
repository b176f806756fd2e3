"""Options that commands share.

One rule: nothing is imported here that is slow, for every start pays for it.
"""

import functools
from collections.abc import Callable
from math import isfinite
from typing import Any, TypeVar

import click

from treadle.cli import completion as completing

PLUGIN = "kubectl treadle"
"""What the program is called where kubectl runs it."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def not_empty(_: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """An empty name of a file is a mistake, such as of a script's variable, and no folder."""
    if "" in (value if isinstance(value, tuple) else (value,)):
        raise click.BadParameter("the name is empty", param=parameter)
    return value


class Number(click.FloatRange):
    """A number in a range. NaN is not, though it is not outside of one either."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See click. Raises: BadParameter."""
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def credentials(command: _Command) -> _Command:
    """The options that say how a cluster is reached."""
    context = click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
    usual = "Default: $KUBECONFIG, the service account."
    return click.option("--kubeconfig", metavar="FILE", help=usual)(context(command))


def output(*forms: str) -> Callable[[_Command], _Command]:
    """The option that says what is printed; the first is the default."""
    names = ("-o", "--output", "--format", "output")
    return click.option(*names, type=click.Choice(forms), default=forms[0], show_default=True)


_PREFIXES = (
    "execution.treadle.dev/",
    "executions.treadle.dev/",
    "execution/",
    "executions/",
    "ex/",
)


def execution(argument: str, **how: Any) -> Callable[[_Command], _Command]:
    """The name of an execution, also as kubectl writes it: `execution.treadle.dev/NAME`."""

    def bare(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        del context, parameter
        return value if value is None else _bare(value)

    return click.argument(argument, callback=bare, **how)


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def executions(command: Any) -> Any:
    """Several executions, by names or by labels; the command is given them as `chosen`."""

    @functools.wraps(command)
    def with_chosen(*, names: tuple[str, ...], selector: str | None, **others: Any) -> Any:
        from treadle.app.acting import Chosen

        if bool(names) == (selector is not None):
            raise click.UsageError("say which executions: either their names, or --selector")
        if selector is not None and not selector.strip():
            raise click.UsageError("the selector is empty, and would choose all executions")
        return command(chosen=Chosen(tuple(map(_bare, names)), selector), **others)

    given = click.argument("names", nargs=-1, metavar="[NAME...]")(with_chosen)
    labels = "Those with these labels, as kubectl chooses them."
    return click.option("-l", "--selector", metavar="LABELS", help=labels)(given)


_NAMESPACE = click.option(
    "-n", "--namespace", metavar="NAME", help="Default: that of the kubeconfig's context."
)


def on_cluster(command: Any) -> Any:
    """The options of what is done on a cluster; the command is given a `cluster`."""

    @functools.wraps(command)
    def placed(
        *, kubeconfig: str | None, context: str | None, namespace: str | None, **others: Any
    ) -> Any:
        from treadle.app.looking import Cluster

        return command(cluster=Cluster(kubeconfig, context, namespace), **others)

    return credentials(_NAMESPACE(placed))


def where(*, usually: str, everywhere: bool = False) -> Callable[[Any], Any]:
    """The options that say where executions are; the command is given a `where`.

    Args:
        usually: "desk" or "cluster": where they are unless an option says it. With kubectl it is
            always the cluster.
        everywhere: whether all namespaces may be asked for.
    """

    def with_options(command: Any) -> Any:
        @functools.wraps(command)
        def placed(
            *,
            state_dir: str | None,
            kubeconfig: str | None,
            context: str | None,
            namespace: str | None,
            all_namespaces: bool = False,
            **others: Any,
        ) -> Any:
            from treadle.cli.look import Where

            root = click.get_current_context().find_root()
            found = Where(
                state_dir,
                kubeconfig,
                context,
                namespace,
                on_cluster=usually == "cluster" or root.info_name == PLUGIN,
                all_namespaces=all_namespaces,
            )
            return command(where=found, **others)

        made = placed
        if everywhere:
            made = click.option("-A", "--all-namespaces", is_flag=True)(made)
        for option in (
            _NAMESPACE,
            click.option("--context", metavar="NAME", help="A context of the kubeconfig."),
            click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG."),
            click.option(
                "--state-dir",
                metavar="DIR",
                help="Executions of this computer. Default: .treadle."
                if usually == "desk"
                else "Executions of this computer, by `treadle run`.",
                shell_complete=completing.folders,
                callback=not_empty,
            ),
        ):
            made = option(made)
        return made

    return with_options
