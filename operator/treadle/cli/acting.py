"""`treadle start`, `stop`, `suspend` and `resume`.

One rule: stdout says what was asked for, as kubectl says what it changed.
"""

from collections.abc import Callable
from typing import TypeVar

import click

from treadle.app import acting, following
from treadle.app.looking import Cluster
from treadle.cli import printing, watch
from treadle.cli.files import json_text, printable
from treadle.cli.look import answered
from treadle.kube.api import Obj

T = TypeVar("T")


def start(
    cluster: Cluster,
    wanted: acting.Wanted,
    given: str | None,
    name: str | None,
    output: str,
    *,
    then_watch: bool,
) -> int:
    """Start an execution; gives the exit status. Raises: UsageError, ClickException."""

    def work() -> Obj:
        text = None if given is None else json_text(given, "the input")
        return acting.start(cluster, acting.Start(wanted, name, text))

    made = _done(work)
    printing.one(made, output, "created")
    return watch.shown(cluster, made["metadata"]["name"]) if then_watch else 0


def stop(
    cluster: Cluster, name: str, error: str | None, cause: str | None, output: str, *, wait: bool
) -> int:
    """Stop an execution; gives the exit status. Raises: as `start`."""
    asked = _done(lambda: acting.stop(cluster, name, error, cause), name)
    if not wait or asked.was_over:
        return _said(asked, output, "stopping")
    try:
        ended = _done(lambda: following.follow(cluster, name, lambda *_: None, _trouble), name)
    except KeyboardInterrupt:
        return watch.EXIT_INTERRUPTED
    return _said(acting.Asked(ended, was_over=False), output, ended["status"]["phase"])


def suspend(cluster: Cluster, name: str, suspended: bool, output: str) -> int:
    """Suspend an execution, or let it go on; gives the exit status. Raises: as `start`."""
    asked = _done(lambda: acting.suspend(cluster, name, suspended), name)
    return _said(asked, output, "suspended" if suspended else "resumed")


def _said(asked: acting.Asked, output: str, deed: str) -> int:
    if asked.was_over:
        phase = (asked.execution.get("status") or {}).get("phase")
        name = printable(asked.execution["metadata"]["name"])
        click.echo(f"'{name}' has ended before: {phase}", err=True)
    printing.one(asked.execution, output, "unchanged" if asked.was_over else deed)
    return 0


def _trouble(why: str) -> None:
    click.echo(printable(f"{why}; trying again"), err=True)


def _done(work: Callable[[], T], name: str | None = None) -> T:
    """What was asked of a cluster. Raises: UsageError, ClickException (a sentence)."""
    try:
        return answered(work, name)
    except acting.NotAllowed as why:
        raise click.ClickException(printable(f"you may not do this: {why}")) from None
    except following.Deleted as why:
        raise click.ClickException(printable(str(why))) from None
