"""Pydantic models turned into structural OpenAPI v3 schemas, as CRDs want them.

One rule: whatever a structural schema cannot say is an error here, never left out silently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from treadle.kube.kinds import Kind

Schema: TypeAlias = dict[str, Any]

CATEGORY = "treadle"

# In the order in which they are written.
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "required",
    "items",
    "additionalProperties",
    "properties",
)
_DROPPED = ("title", "default")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; a wide one is shown by `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""


AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Resource:
    """A custom resource.

    Attributes:
        kind: what it is.
        singular, short: its other names.
        model: of the whole object but its apiVersion, kind and metadata.
        columns: of `kubectl get`, after the name.
        selectable: JSON paths that field selectors may use.
        rules: CEL rules about the whole object.
        categories: words by which `kubectl get` knows several kinds.
    """

    kind: Kind
    singular: str
    short: str
    model: type[BaseModel]
    columns: Sequence[Column]
    selectable: Sequence[str] = ()
    rules: Sequence[Mapping[str, str]] = ()
    categories: Sequence[str] = (CATEGORY,)


def definition(resource: Resource) -> Schema:
    """The CustomResourceDefinition of a resource."""
    kind = resource.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": resource.singular,
                "shortNames": [resource.short],
                "categories": list(resource.categories),
            },
            "versions": [_version(resource)],
        },
    }


def _version(resource: Resource) -> Schema:
    version: Schema = {"name": resource.kind.version, "served": True, "storage": True}
    if "status" in resource.model.model_fields:
        version["subresources"] = {"status": {}}
    if resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable]
    version["additionalPrinterColumns"] = [_column(column) for column in resource.columns]
    version["schema"] = {"openAPIV3Schema": _whole(resource)}
    return version


def _column(column: Column) -> Schema:
    shown: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        shown["description"] = column.description
    if column.wide:
        shown["priority"] = 1
    return shown


def _whole(resource: Resource) -> Schema:
    schema = structural(resource.model)
    about = {
        "apiVersion": {
            "description": f"{resource.kind.api_version}.",
            "type": "string",
        },
        "kind": {"description": f"{resource.kind.name}.", "type": "string"},
        "metadata": {"type": "object"},
    }
    schema["properties"] = about | schema["properties"]
    if resource.rules:
        schema["x-kubernetes-validations"] = [dict(rule) for rule in resource.rules]
    return _in_order(schema)


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model.

    Raises:
        ValueError: the model says what a structural schema cannot; the sentence names the place.
    """
    whole = model.model_json_schema(by_alias=True)
    return _converted(whole, whole.get("$defs", {}), model.__name__)


def _converted(schema: Mapping[str, Any], defs: Mapping[str, Any], place: str) -> Schema:
    flat = _flat(schema, defs, place)
    found: Schema = {}
    for name, value in flat.items():
        if name == "properties":
            found[name] = {
                member: _converted(each, defs, f"{place}.{member}")
                for member, each in value.items()
            }
        elif name == "items":
            found[name] = _converted(value, defs, f"{place}[]")
        elif name == "additionalProperties":
            # Unknown members are pruned anyway, or kept by x-kubernetes-preserve-unknown-fields.
            if isinstance(value, dict):
                found[name] = _converted(value, defs, f"{place}.*")
        elif name == "description":
            found[name] = " ".join(value.split())
        elif name in _KEPT:
            found[name] = value
        elif name not in _DROPPED:
            raise ValueError(f"{place}: a structural schema has no {name}")
    _check(found, place)
    return _in_order(found)


def _flat(schema: Mapping[str, Any], defs: Mapping[str, Any], place: str) -> Schema:
    """A schema with its references followed and its "or nothing" gone: that is `required`'s."""
    flat = {name: value for name, value in schema.items() if name != "$defs"}
    while "$ref" in flat or "anyOf" in flat:
        if "$ref" in flat:
            target = defs[flat.pop("$ref").removeprefix("#/$defs/")]
        else:
            ways = [way for way in flat.pop("anyOf") if way != {"type": "null"}]
            if len(ways) != 1:
                raise ValueError(f"{place}: a structural schema has one type")
            target = ways[0]
        # What a member says of itself is stronger than what its type says.
        flat = {**target, **flat}
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    return flat


def _check(schema: Schema, place: str) -> None:
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    if "type" not in schema and not free:
        raise ValueError(f"{place}: a structural schema has a type")
    typed = any(schema.get(name) for name in ("properties", "additionalProperties"))
    if schema.get("type") == "object" and not typed and not free:
        raise ValueError(f"{place}: all members of this object would be pruned")
    if not schema.get("description") and not place.endswith(("[]", ".*")):
        raise ValueError(f"{place}: it has no description")


def _in_order(schema: Schema) -> Schema:
    return {name: schema[name] for name in _KEPT if name in schema}
