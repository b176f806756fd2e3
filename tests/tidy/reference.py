"""docs/resources.md from the custom resource definitions; `make crds` writes it.

The one rule: every member of every schema has a row, and what a row says is the schema's own.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from treadle.kube.kinds import GROUP, VERSION
from treadle.kube.schemas import RESOURCES
from treadle.kube.structural import Resource, definition

Schema = Mapping[str, Any]

_TOP = f"""\
# Custom resources

Group `{GROUP}`, version `{VERSION}`; all are of a namespace. `make crds` writes this page from the
same models as `crds/`; `kubectl explain ex.spec` says the same. A field with * must be there. What
holds where another is absent is in its description. `[]` is each item of a list, `.*` each member
of an object that has names of your own.
"""

_BOUNDS = {
    "pattern": "matches `{}`",
    "minimum": "≥ {:,}",
    "maximum": "≤ {:,}",
    "minLength": "at least {:,} characters",
    "maxLength": "at most {:,} characters",
    "minItems": "at least {:,} items",
    "maxItems": "at most {:,} items",
    "maxProperties": "at most {:,} members",
}


def page() -> str:
    """The whole page."""
    return "\n".join([_TOP, *("\n".join(_section(each)) for each in RESOURCES)]).rstrip() + "\n"


def _section(resource: Resource) -> Iterator[str]:
    crd = definition(resource)["spec"]
    (version,) = crd["versions"]
    whole, names = version["schema"]["openAPIV3Schema"], crd["names"]
    shorts = ", ".join(f"`{name}`" for name in names["shortNames"])
    yield f"## {names['kind']}\n"
    yield f"`{names['plural']}`, in short {shorts}. {whole['description']}\n"
    columns = [
        f"`{each['name'].upper()}`" for each in version["additionalPrinterColumns"] if _plain(each)
    ]
    wide = [
        f"`{each['name'].upper()}`"
        for each in version["additionalPrinterColumns"]
        if not _plain(each)
    ]
    also = f"; with `-o wide` {', '.join(wide)} too" if wide else ""
    yield f"`kubectl get` shows {', '.join(columns)}{also}."
    selectable = [f"`{each['jsonPath'][1:]}`" for each in version.get("selectableFields", [])]
    if selectable:
        yield f"`--field-selector` takes {', '.join(selectable)}."
    yield ""
    for part in ("spec", "status"):
        if part in whole["properties"]:
            yield f"### {names['kind']} {part}\n"
            yield f"{whole['properties'][part]['description']}\n"
            yield "| field | type | |\n|---|---|---|"
            for place, schema, required in _members(whole["properties"][part], part):
                yield _row(place, schema, required)
            yield ""
    rules = [*_rules(whole, "the object")]
    if rules:
        yield "The API server refuses what breaks one of these:\n"
        yield from rules
        yield ""


def _plain(column: Schema) -> bool:
    return not column.get("priority")


def _members(schema: Schema, place: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, each in schema.get("properties", {}).items():
        here = f"{place}.{name}"
        yield here, each, name in schema.get("required", ())
        yield from _inside(each, here)


def _inside(schema: Schema, place: str) -> Iterator[tuple[str, Schema, bool]]:
    yield from _members(schema, place)
    for member, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if member in schema:
            yield from _inside(schema[member], place + mark)


def _row(place: str, schema: Schema, required: bool) -> str:
    star = " *" if required else ""
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    told = " ".join([schema["description"], *([f"({'; '.join(bounds)})"] if bounds else [])])
    cells = [f"`{place}`{star}", type_of(schema), told]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_of(schema: Schema) -> str:
    """The type of a member, for people."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind is None:
        return "any JSON"
    if kind == "array":
        return f"list of {type_of(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"object of {type_of(schema['additionalProperties'])}"
    if kind == "string" and schema.get("format") == "date-time":
        return "time"
    return str(kind)


def _rules(schema: Schema, place: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        yield f"- {place}: {rule['message']}"
    for name, each in schema.get("properties", {}).items():
        yield from _rules(each, f"`{name}`" if place == "the object" else f"{place[:-1]}.{name}`")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
