"""Objects and tables on stdout, as kubectl prints them.

One rule: what came from elsewhere is printable before it is printed.
"""

import io
from collections.abc import Sequence
from datetime import datetime

import click

from treadle.asl.json import Json, dumps
from treadle.cli.files import printable
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of them the names of columns."""
    from rich.cells import cell_len

    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        click.echo("   ".join(cells).rstrip())


def document(value: Json, form: str) -> None:
    """Print JSON, or the same as YAML."""
    if form == "json":
        click.echo(dumps(value))
        return
    from ruamel.yaml import YAML

    writer, text = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = False
    writer.dump(value, text)
    click.echo(text.getvalue(), nl=False)


def resource(name: str) -> str:
    """An execution as kubectl names it."""
    return f"{EXECUTIONS.name.lower()}.{EXECUTIONS.group}/{printable(name)}"


def one(obj: Obj, form: str, deed: str = "") -> None:
    """Print an execution; with a deed and as text, that this was done to it."""
    if form in ("json", "yaml"):
        document(obj, form)
    else:
        said = f" {deed}" if deed and form != "name" else ""
        click.echo(f"{resource(obj['metadata']['name'])}{said}")


def age(since: datetime | None, now: datetime) -> str:
    """How long ago something was, as kubectl says it: 90s, 3m12s, 2d4h."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _both(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _both(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _both(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _both(many: int, unit: str, rest: int, smaller: str) -> str:
    return f"{many}{unit}{rest}{smaller}" if rest else f"{many}{unit}"
