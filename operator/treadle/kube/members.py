"""What the members of the custom resources are made of.

One rule: a type is here if several kinds have it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from treadle.asl import limits

NAME_CHARS_MAX = 253

_FREE = {"x-kubernetes-preserve-unknown-fields": True}

Free: TypeAlias = Annotated[dict[str, Any], Field(json_schema_extra=dict(_FREE))]
"""An object with any members."""

Anything: TypeAlias = Annotated[Any, Field(json_schema_extra=dict(_FREE))]
"""Any JSON at all."""

Count: TypeAlias = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Instant: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Name: TypeAlias = Annotated[
    str, Field(max_length=NAME_CHARS_MAX, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""The name of another object: a lowercase RFC 1123 subdomain."""

NamespaceOrAll: TypeAlias = Annotated[
    str, Field(max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")
]
"""The name of a namespace, an RFC 1123 label; or * for all."""

Who: TypeAlias = Annotated[str, Field(min_length=1, max_length=limits.APPROVAL_WHO_CHARS_MAX)]
"""A user or a group, as the API server knows them."""


class Model(BaseModel):
    """A part of a resource; its members are spelled as Kubernetes spells them."""

    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


def ruled(*rules: Mapping[str, str], **extra: Any) -> ConfigDict:
    """A model's config, with CEL rules about it, and what else its schema says."""
    if rules:
        extra["x-kubernetes-validations"] = [dict(rule) for rule in rules]
    return ConfigDict(json_schema_extra=extra)


WHOLE: Mapping[str, str] = {"x-kubernetes-map-type": "atomic"}
"""Of an object whose members belong together: server-side apply replaces all of them."""


def fixed(member: str, message: str) -> Mapping[str, str]:
    """The rule that an optional member is neither changed, nor added, nor removed."""
    same = f"!has(self.{member}) || self.{member} == oldSelf.{member}"
    rule = f"has(self.{member}) == has(oldSelf.{member}) && ({same})"
    return {"rule": rule, "message": message, "fieldPath": f".{member}"}


class Condition(Model):
    """One aspect of the object's state, as Kubernetes' own conditions."""

    type: str
    """What it says something about, one CamelCase word."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """Why, one CamelCase word."""
    message: str
    """Why, for people."""
    last_transition_time: Instant
    """When the status last changed."""
    observed_generation: Count | None = None
    """The metadata.generation that this is about."""


Conditions: TypeAlias = Annotated[
    list[Condition],
    Field(
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]
