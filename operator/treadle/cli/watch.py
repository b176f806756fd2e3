"""`treadle watch`: an execution as it goes on, until it has ended.

One rule: looking changes nothing; who stops looking leaves everything as it is.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO, cast

import click

from treadle.app import following
from treadle.app.looking import Place
from treadle.cli.files import printable
from treadle.cli.look import Where, answered
from treadle.cli.screens import Forgiving, Screen, screen_for
from treadle.kube.api import Obj
from treadle.stores.histories import HistoryEntry

EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class _Watched:
    name: str
    machine: str
    virtual: bool = False


def run(where: Where, name: str) -> int:
    """Show an execution until it has ended; gives the exit status. Raises: UsageError."""
    return shown(where.place(), name, where.listed)


def shown(place: Place, name: str, listed: str = "treadle get") -> int:
    """The same of an execution of a place."""
    try:
        ended = answered(lambda: _follow(place, name), name, listed)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (following.Deleted, following.Stuck) as why:
        raise click.ClickException(printable(str(why))) from None
    if ended is None:
        return 1
    return told(ended)


def told(ended: Obj) -> int:
    """Say why an execution failed, if it did; gives the exit status."""
    status = ended.get("status") or {}
    if status.get("phase") == "Succeeded":
        return 0
    wrong = [status[member] for member in ("error", "cause") if status.get(member)]
    click.echo(printable(": ".join(wrong) or str(status.get("phase"))), err=True)
    return 1


class _NobodyLooks(Exception):  # noqa: N818 - it says what happened
    """What is written is not read any more."""


def _follow(place: Place, name: str) -> Obj | None:
    out = Forgiving(sys.stdout)
    screen: Screen | None = None

    def show(entries: Sequence[HistoryEntry], obj: Obj, now: datetime) -> None:
        nonlocal screen
        if screen is None:
            machine = str(((obj.get("spec") or {}).get("stateMachineRef") or {}).get("name", ""))
            screen = screen_for(cast(TextIO, out), _Watched(name, machine)).__enter__()
        screen.show(entries, obj.get("status") or {}, now)
        if out.is_gone:
            raise _NobodyLooks

    def trouble(why: str) -> None:
        if screen is not None:
            screen.trouble(why)
        else:
            click.echo(printable(f"{why}; trying again"), err=True)

    try:
        return following.follow(place, name, show, trouble)
    except _NobodyLooks:
        return None
    finally:
        if screen is not None:
            screen.close()
