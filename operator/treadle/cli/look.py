"""`treadle ls` and `treadle history`: what there is, on the desk and on a cluster.

One rule: both are read through the same interface, so that both look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from treadle.app import looking
from treadle.asl.json import dumps
from treadle.cli.files import duration, printable
from treadle.cli.screens import Progress, line_of
from treadle.engine.snapshot import Unreadable
from treadle.kube.api import Obj
from treadle.runtime.ports import Fault, Missing
from treadle.stores.histories import HistoryEntry, as_aws

_HEADS = ("NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "STARTED")


@dataclass(frozen=True, slots=True)
class Where:
    """Where executions are; on the desk unless something of a cluster is named."""

    state_dir: str
    kubeconfig: str | None
    context: str | None
    namespace: str | None

    def place(self) -> looking.Place:
        """For `app`."""
        if self.kubeconfig or self.context or self.namespace:
            return looking.Cluster(self.kubeconfig, self.context, self.namespace or "default")
        return looking.Desk(Path(self.state_dir).absolute())


def ls(where: Where, output: str) -> int:
    """Print the executions, the newest first; gives the exit status."""
    try:
        found = looking.executions(where.place())
    except (Fault, OSError, ValueError) as why:
        raise click.UsageError(str(why)) from None
    if output == "name":
        for obj in found:
            click.echo(obj["metadata"]["name"])
    elif output == "json":
        click.echo(dumps({"apiVersion": "v1", "kind": "List", "items": found}))
    elif found:
        _table([_HEADS, *(_row(obj) for obj in found)])
    else:
        click.echo("There are no executions; `treadle run MACHINE` makes one.", err=True)
    return 0


def _row(obj: Obj) -> Sequence[str]:
    status, places = obj.get("status") or {}, (obj.get("status") or {}).get("currentStates") or [{}]
    return (
        obj["metadata"]["name"],
        ((obj.get("spec") or {}).get("stateMachineRef") or {}).get("name", ""),
        status.get("phase", ""),
        places[0].get("name", "") if places else "",
        (status.get("progress") or {}).get("text", ""),
        status.get("startTime", ""),
    )


def _table(rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        click.echo("   ".join(cells).rstrip())


def entries(where: Where, name: str) -> list[HistoryEntry]:
    """The history of an execution, oldest first. Raises: UsageError."""
    try:
        return looking.history(where.place(), name)
    except Missing:
        raise click.UsageError(f"there is no execution named '{name}'; see `treadle ls`") from None
    except (Fault, Unreadable, OSError, ValueError) as why:
        raise click.UsageError(str(why)) from None


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
