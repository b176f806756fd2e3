"""`treadle approvals`, `treadle approve` and `treadle reject`: questions of machines to people.

One rule: a refusal is shown as the sentence that it is.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click

from treadle.app import deciding
from treadle.app.looking import Cluster
from treadle.asl.timestamps import parse_timestamp
from treadle.cli import printing
from treadle.cli.files import duration, printable
from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS
from treadle.runtime.ports import Fault, Missing, Refused

T = TypeVar("T")

_HEADS = ("NAME", "MACHINE", "MESSAGE", "WHO", "EXPIRES", "DECIDED", "AGE")
_WIDE = ("EXECUTION", "STATE", "PHASE")
_MESSAGE_CHARS_MAX = 60


def approvals(where: Cluster, output: str, *, mine: bool) -> int:
    """Print what there is to decide, the oldest first; gives the exit status."""
    found = _told(lambda: deciding.approvals(where, mine=mine))
    if output in ("text", "wide") and not found:
        click.echo("Nothing waits for you." if mine else "There are no approvals.", err=True)
    elif output in ("text", "wide"):
        is_wide, now = output == "wide", datetime.now(UTC)
        heads = (*_HEADS, *_WIDE) if is_wide else _HEADS
        printing.table([heads, *(_row(obj, now, is_wide=is_wide) for obj in found)])
    elif output == "name":
        for obj in found:
            click.echo(_name(obj))
    else:
        printing.document({"apiVersion": "v1", "kind": "List", "items": found}, output)
    return 0


def decide(where: Cluster, name: str, output: str, *, approve: bool, reason: str | None) -> int:
    """Add a decision, and print what became of the Approval; gives the exit status."""
    name = name.rpartition("/")[2]  # as `-o name` prints it
    obj = _told(lambda: deciding.decide(where, name, approve=approve, reason=reason), name)
    if output == "name":
        click.echo(_name(obj))
    elif output in ("json", "yaml"):
        printing.document(obj, output)
    else:
        verb = "approved" if approve else "rejected"
        click.echo(printable(f"{_name(obj)} {verb} by {obj['spec']['decisions'][-1]['by']}"))
    return 0


def _told(ask: Callable[[], T], name: str = "") -> T:
    """What is given; a fault is told."""
    try:
        return ask()
    except Refused as why:
        raise click.ClickException(printable(deciding.sentence(why))) from None
    except Missing:
        said = f"there is no approval named '{name}'; see `treadle approvals`"
        raise click.ClickException(said) from None
    except Fault as why:
        raise click.ClickException(printable(str(why))) from None
    except ValueError as why:
        raise click.UsageError(str(why)) from None


def _name(obj: Obj) -> str:
    return f"{APPROVALS.name.lower()}.{APPROVALS.group}/{obj['metadata']['name']}"


def _row(obj: Obj, now: datetime, *, is_wide: bool) -> Sequence[str]:
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    message = spec["message"]
    if len(message) > _MESSAGE_CHARS_MAX and not is_wide:
        message = f"{message[: _MESSAGE_CHARS_MAX - 1]}…"
    made_at = parse_timestamp(metadata["creationTimestamp"]) or now
    row = (
        metadata["name"],
        spec.get("stateMachine", ""),
        message,
        spec.get("who", ""),
        spec.get("expiresAt", ""),
        status.get("decided", ""),
        duration(max(0.0, (now - made_at).total_seconds())),
    )
    if not is_wide:
        return row
    return (*row, spec.get("execution", ""), spec.get("state", ""), status.get("phase", "Pending"))
