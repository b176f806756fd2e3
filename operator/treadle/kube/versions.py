"""Published versions of machines, and aliases that name them, as they are kept.

One rule: a version is a StateMachineRevision whose label says its number.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from treadle.asl.limits import ALIASES_MAX
from treadle.engine.times import aws_text
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import ALIASES, REVISIONS

NUMBER = "treadle.dev/version"
"""The label of a revision that is a version."""

# Annotations of one.
ID = "treadle.dev/version-id"
DESCRIPTION = "treadle.dev/version-description"
PUBLISHED_AT = "treadle.dev/version-at"

PUBLISHING = "Publishing"
"""Why a machine's condition Published is False while a number is promised and not yet given."""

ALIAS_CHARS_MAX = 80  # AWS: CreateStateMachineAlias `name`
ALIAS_FORM = r"^[0-9]*[a-zA-Z_.-][0-9a-zA-Z_.-]*$"  # AWS's, which has no name of digits alone

_ALIAS = re.compile(ALIAS_FORM)
_NUMBER_CHARS_MAX = 9


def number(text: object) -> int | None:
    """The number of a version that a text gives; None where it gives none."""
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal():
        return None
    return int(text) if len(text) <= _NUMBER_CHARS_MAX and text[0] != "0" else None


def is_alias(text: str) -> bool:
    """Whether an alias may be called so."""
    return len(text) <= ALIAS_CHARS_MAX and _ALIAS.fullmatch(text) is not None


def reference(machine: str, version: int | None, alias: str | None) -> Obj:
    """A `stateMachineRef`: what an Execution is to run; at most one of the last two is given."""
    given = {"name": machine, "version": version, "alias": alias}
    return {member: value for member, value in given.items() if value is not None}


def number_of(revision: Obj) -> int | None:
    """Which version a revision is; None for one that was not published."""
    return number((revision["metadata"].get("labels") or {}).get(NUMBER))


def id_of(revision: Obj) -> str | None:
    """What asked for a version."""
    text: str | None = (revision["metadata"].get("annotations") or {}).get(ID)
    return text


def publication(revision: Obj, given: int, publish: Mapping[str, Any], at: datetime) -> Obj:
    """The patch that makes a version of a revision, unless somebody changed that since."""
    about = {
        ID: publish["id"],
        DESCRIPTION: publish.get("description"),
        PUBLISHED_AT: aws_text(at),
    }
    version = revision["metadata"]["resourceVersion"]
    return {
        "metadata": {
            "resourceVersion": version,
            "labels": {NUMBER: str(given)},
            "annotations": about,
        }
    }


def withdrawal(revision: Obj) -> Obj:
    """The patch that makes of a version a mere revision again."""
    version = revision["metadata"]["resourceVersion"]
    nothing = dict.fromkeys((ID, DESCRIPTION, PUBLISHED_AT))
    return {
        "metadata": {
            "resourceVersion": version,
            "labels": {NUMBER: None},
            "annotations": nothing,
        }
    }


def is_publishing(machine: Obj) -> bool:
    """Whether a number is promised to a machine's revision and perhaps not yet given."""
    conditions = (machine.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Published" and c["reason"] == PUBLISHING for c in conditions)


async def published(api: Objects, namespace: str, machine: str) -> list[Obj]:
    """The versions of a machine, the first one first. Raises: Fault."""
    fields = f"spec.stateMachine={machine}"
    listing = await api.list(REVISIONS, namespace, labels=NUMBER, fields=fields)
    found = [obj for obj in listing.items if number_of(obj) is not None]
    return sorted(found, key=lambda obj: (number_of(obj) or 0, _age(obj)))


async def version(api: Objects, namespace: str, machine: str, given: int) -> Obj | None:
    """The revision that is a version; None where there is none. Raises: Fault."""
    fields = f"spec.stateMachine={machine}"
    listing = await api.list(REVISIONS, namespace, labels=f"{NUMBER}={given}", fields=fields)
    # Somebody may have labelled a second one by hand.
    return min(listing.items, key=_age, default=None)


async def alias(api: Objects, namespace: str, machine: str, name: str) -> Obj | None:
    """The alias of this name that counts; None where there is none. Raises: Fault."""
    listing = await api.list(ALIASES, namespace, fields=f"spec.stateMachineRef.name={machine}")
    counting = in_order(listing.items)[:ALIASES_MAX]
    return next((obj for obj in counting if name_of(obj) == name), None)


def in_order(aliases: Sequence[Obj]) -> list[Obj]:
    """The oldest first: of two with the same name it is the one that counts."""
    return sorted(aliases, key=_age)


def name_of(alias: Obj) -> str:
    """What an alias is called within its machine."""
    name: str = alias["spec"].get("name") or alias["metadata"]["name"]
    return name


def machine_of(alias: Obj) -> str:
    """The machine that an alias is one of."""
    name: str = alias["spec"]["stateMachineRef"]["name"]
    return name


def routes_of(alias: Obj) -> list[tuple[int, int]]:
    """The versions of an alias, each with its weight."""
    return [(route["version"], route["weight"]) for route in alias["spec"]["routes"]]


def picked(routes: Sequence[tuple[int, int]], chance: float) -> int:
    """The version that an execution runs.

    Args:
        routes: versions, each with its weight; together 100.
        chance: in [0, 1); the execution's own.

    Source: AWS, "Using an alias": at random by the weights.
    """
    left = chance * 100
    for given, weight in routes:
        left -= weight
        if left < 0:
            return given
    return routes[-1][0]


def _age(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]
