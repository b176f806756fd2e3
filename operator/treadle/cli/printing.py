"""Objects and tables on stdout, as kubectl prints them.

One rule: what came from elsewhere is printable before it is printed.
"""

import io
from collections.abc import Sequence
from typing import Any

import click

from treadle.asl.json import Json, dumps
from treadle.asl.yaml_versions import value_unlike
from treadle.cli.files import printable
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, Kind


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
    writer.representer.add_representer(str, _text)
    writer.dump(value, text)
    click.echo(text.getvalue(), nl=False)


def _text(representer: Any, value: str) -> Any:
    """In quotes, too, where kubectl reads another value than YAML 1.2 does: `yes`, or `010`."""
    style = "'" if value_unlike(value, value) else None
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def resource(name: str, kind: Kind = EXECUTIONS) -> str:
    """An object, an execution unless said otherwise, as kubectl names it."""
    return f"{kind.name.lower()}.{kind.group}/{printable(name)}"


def one(obj: Obj, form: str, deed: str = "") -> None:
    """Print an execution; with a deed and as text, that this was done to it."""
    if form in ("json", "yaml"):
        document(obj, form)
    else:
        said = f" {deed}" if deed and form != "name" else ""
        click.echo(f"{resource(obj['metadata']['name'])}{said}")
