"""`treadle get`, `ls` and `history`: what there is, on the desk and on a cluster.

One rule: both are read through the same interface, so that both look alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from treadle.app import looking
from treadle.app.ages import age
from treadle.asl.json import dumps
from treadle.asl.timestamps import parse_timestamp
from treadle.cli import printing
from treadle.cli.files import duration, printable
from treadle.cli.progress import Progress, line_of
from treadle.engine.snapshot import Unreadable
from treadle.kube.api import Obj
from treadle.runtime.ports import Fault, Missing
from treadle.stores.histories import HistoryEntry, as_aws

_HEADS = ("NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE")
_WIDE = ("STARTED", "ENDED", "ERROR", "REVISION", "VERSION")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Where:
    """Where executions are: what an option names, or the usual place of the command."""

    state_dir: str | None
    kubeconfig: str | None
    context: str | None
    namespace: str | None
    on_cluster: bool = False
    all_namespaces: bool = False

    def place(self) -> looking.Place:
        """For `app`."""
        named = self.kubeconfig or self.context or self.namespace or self.all_namespaces
        if named or (self.on_cluster and self.state_dir is None):
            return looking.Cluster(
                self.kubeconfig, self.context, self.namespace, self.all_namespaces
            )
        return looking.Desk(Path(self.state_dir or ".treadle").absolute())

    @property
    def listed(self) -> str:
        """The command that lists what there is."""
        return "treadle ls" if isinstance(self.place(), looking.Desk) else "treadle get"


def answered(ask: Callable[[], T], name: str | None = None, listed: str = "treadle get") -> T:
    """What a place answers. Raises: UsageError (a sentence).

    Args:
        ask: asks it.
        name: of the execution that is asked for.
        listed: the command that lists what there is.
    """
    try:
        return ask()
    except Missing as why:
        said = f"there is no execution named '{name}'; see `{listed}`" if name else str(why)
        raise click.UsageError(printable(said)) from None
    except BrokenPipeError:
        raise  # nobody reads on, which is nobody's fault
    except (Fault, Unreadable, OSError, ValueError) as why:
        raise click.UsageError(printable(str(why))) from None


def get(where: Where, name: str | None, output: str) -> int:
    """Print one execution, or all of them, the newest first; gives the exit status."""
    if name is not None and where.all_namespaces:
        raise click.UsageError("a name is one of a namespace: leave out --all-namespaces")
    if name is not None:
        found = [answered(lambda: looking.execution(where.place(), name), name, where.listed)]
    else:
        found = answered(lambda: looking.executions(where.place()))
    if output == "name":
        for obj in found:
            click.echo(printing.resource(obj["metadata"]["name"]))
    elif output in ("json", "yaml"):
        listed = {"apiVersion": "v1", "kind": "List", "items": found}
        printing.document(listed if name is None else found[0], output)
    elif found:
        _table(found, where.all_namespaces, output == "wide")
    else:
        click.echo("There are no executions; `treadle start` or `treadle run` makes one.", err=True)
    return 0


def _table(found: Sequence[Obj], with_namespaces: bool, wide: bool) -> None:
    now = datetime.now(UTC)
    rows = [(*_HEADS, *(_WIDE if wide else ())), *(_row(obj, now, wide) for obj in found)]
    if with_namespaces:
        spaces = ["NAMESPACE", *(obj["metadata"].get("namespace", "") for obj in found)]
        rows = [(space, *row) for space, row in zip(spaces, rows, strict=True)]
    printing.table(rows)


def _row(obj: Obj, now: datetime, wide: bool) -> tuple[str, ...]:
    status = obj.get("status") or {}
    places = status.get("currentStates") or [{}]

    def ago(instant: object) -> str:
        return age(parse_timestamp(instant) if isinstance(instant, str) else None, now)

    row = (
        obj["metadata"]["name"],
        ((obj.get("spec") or {}).get("stateMachineRef") or {}).get("name", ""),
        status.get("phase", ""),
        places[0].get("name", ""),
        (status.get("progress") or {}).get("text", ""),
        ago(obj["metadata"].get("creationTimestamp")),
    )
    if not wide:
        return row
    times = (ago(status.get("startTime")), ago(status.get("completionTime")))
    version = f"{status.get('version', '')} {status.get('alias', '')}".strip()
    return (*row, *times, status.get("error", ""), status.get("revision", ""), version)


def entries(where: Where, name: str) -> list[HistoryEntry]:
    """The history of an execution, oldest first. Raises: UsageError."""
    return answered(lambda: looking.history(where.place(), name), name, where.listed)


def history(where: Where, name: str, output: str) -> int:
    """Print a history, oldest first; gives the exit status."""
    found = entries(where, name)
    if output == "json":
        click.echo(dumps({"events": [as_aws(entry) for entry in found]}))
        return 0
    progress = Progress()
    for entry in found:
        row = progress.take(entry)
        seconds = (entry.at - found[0].at).total_seconds()
        said = line_of(entry, row)
        click.echo(
            printable(f"{entry.id:>6} {duration(seconds):>8}  {entry.type}  {said}").rstrip()
        )
    return 0
