"""`treadle publish`, `versions` and `unpublish`.

One rule: stdout says what is published, as kubectl says what it changed.
"""

from datetime import UTC, datetime

import click

from treadle.app import publishing
from treadle.app.ages import age
from treadle.app.looking import Cluster
from treadle.asl.timestamps import parse_timestamp
from treadle.cli import printing
from treadle.cli.files import printable
from treadle.cli.look import answered
from treadle.kube import versions
from treadle.kube.kinds import REVISIONS

_HEADS = ("VERSION", "REVISION", "AGE", "ALIASES", "DESCRIPTION")


def publish(
    cluster: Cluster,
    machine: str,
    id_: str | None,
    description: str | None,
    seconds: float,
    output: str,
) -> int:
    """Publish a machine; gives the exit status. Raises: UsageError, ClickException."""
    if id_ == "":
        raise click.UsageError("the id is empty: leave out --id for that of what is published")
    try:
        found = answered(lambda: publishing.publish(cluster, machine, id_, description, seconds))
    except publishing.NotPublished as why:
        raise click.ClickException(printable(str(why))) from None
    if output in ("json", "yaml"):
        about = {"version": found.number, "revision": found.revision, "id": found.id}
        printing.document(about, output)
    else:
        said = "" if output == "name" else f" is version {found.number}"
        click.echo(f"{printing.resource(found.revision, REVISIONS)}{said}")
    return 0


def listed(cluster: Cluster, machine: str, output: str) -> int:
    """Print the versions of a machine; gives the exit status. Raises: UsageError."""
    found = answered(lambda: publishing.listed(cluster, machine))
    if output == "name":
        for each in found:
            click.echo(printing.resource(each.revision["metadata"]["name"], REVISIONS))
    elif output in ("json", "yaml"):
        items = [each.revision for each in found]
        printing.document({"apiVersion": "v1", "kind": "List", "items": items}, output)
    elif found:
        printing.table([_HEADS, *map(_row, found)])
    else:
        said = f"'{machine}' has no versions; `treadle publish {machine}` makes one."
        click.echo(printable(said), err=True)
    return 0


def _row(each: publishing.Listed) -> tuple[str, ...]:
    metadata = each.revision["metadata"]
    notes = metadata.get("annotations") or {}
    at = parse_timestamp(str(notes.get(versions.PUBLISHED_AT)))
    return (
        str(each.number),
        metadata["name"],
        age(at, datetime.now(UTC)),
        ", ".join(f"{name} {weight}%" for name, weight in each.aliases),
        notes.get(versions.DESCRIPTION, ""),
    )


def unpublish(cluster: Cluster, machine: str, number: int) -> int:
    """Take a version back; gives the exit status. Raises: UsageError."""
    found = answered(lambda: publishing.unpublish(cluster, machine, number))
    name = printing.resource(found["metadata"]["name"], REVISIONS)
    click.echo(f"{name} is no version any more")
    return 0
