"""`treadle approvals`, `treadle approve` and `treadle reject`: questions of machines to people.

One rule: a refusal is shown as the sentence that it is.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click

from treadle.app import deciding
from treadle.app.ages import age
from treadle.app.looking import Cluster
from treadle.asl.timestamps import parse_timestamp
from treadle.cli import printing
from treadle.cli.files import printable
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
            click.echo(printing.resource(obj["metadata"]["name"], APPROVALS))
    else:
        printing.document({"apiVersion": "v1", "kind": "List", "items": found}, output)
    return 0


def decide(where: Cluster, name: str, output: str, *, approve: bool, reason: str | None) -> int:
    """Add a decision, and print what became of the Approval; gives the exit status."""
    name = name.rpartition("/")[2]  # as `-o name` prints it
    obj = _told(lambda: deciding.decide(where, name, approve=approve, reason=reason), name)
    if output in ("json", "yaml"):
        printing.document(obj, output)
        return 0
    said = printing.resource(obj["metadata"]["name"], APPROVALS)
    if output == "text":
        verb = "approved" if approve else "rejected"
        said += f" {verb} by {printable(obj['spec']['decisions'][-1]['by'])}"
    click.echo(said)
    return 0


def _told(ask: Callable[[], T], name: str = "") -> T:
    """What is given. Raises: ClickException, UsageError (a sentence)."""
    try:
        return ask()
    except Refused as why:
        raise click.ClickException(printable(deciding.sentence(why))) from None
    except Missing:
        said = f"there is no approval named '{name}'; see `treadle approvals`"
        raise click.ClickException(printable(said)) from None
    except Fault as why:
        raise click.ClickException(printable(str(why))) from None
    except ValueError as why:
        raise click.UsageError(printable(str(why))) from None


def _row(obj: Obj, now: datetime, *, is_wide: bool) -> Sequence[str]:
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    message = spec["message"]
    if len(message) > _MESSAGE_CHARS_MAX and not is_wide:
        message = f"{message[: _MESSAGE_CHARS_MAX - 1]}…"
    row = (
        metadata["name"],
        spec.get("stateMachine", ""),
        message,
        spec.get("who", ""),
        spec.get("expiresAt", ""),
        status.get("decided", ""),
        age(parse_timestamp(metadata["creationTimestamp"]), now),
    )
    if not is_wide:
        return row
    return (*row, spec.get("execution", ""), spec.get("state", ""), status.get("phase", "Pending"))
