"""Label and field selectors in kubectl's text form.

One rule: what a real API server refuses is refused.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, EVENTS, EXECUTIONS, JOBS, PODS, REVISIONS, Kind
from treadle.runtime.ports import Refused

Match = Callable[[Obj], bool]

_TERM = re.compile(
    r"^\s*(?:(?P<no>!)\s*(?P<absent>[^\s=!,()]+)"
    r"|(?P<key>[^\s=!,()]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[^\s,()]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*$"
)

# design.md, section 4: selectableFields; for built-in kinds those that the real one takes.
_FIELDS = {
    EXECUTIONS: ("status.phase", "spec.stateMachineRef.name", "status.revision"),
    REVISIONS: ("spec.stateMachine",),
    ALIASES: ("spec.stateMachineRef.name",),
    PODS: ("status.phase", "spec.nodeName"),
    JOBS: ("status.successful",),
    EVENTS: ("involvedObject.uid",),
}
_FIELDS_OF_ALL = ("metadata.name", "metadata.namespace")


def everything(_: Obj) -> bool:
    """No selector."""
    return True


@lru_cache(maxsize=256)
def labels(text: str | None) -> Match:
    """Compile a label selector. Raises: Refused."""
    if not text:
        return everything
    terms = [_label_term(term) for term in _split(text)]
    if len(terms) == 1:
        only = terms[0]
        return lambda obj: only(obj["metadata"].get("labels") or {})
    return lambda obj: all(term(obj["metadata"].get("labels") or {}) for term in terms)


@lru_cache(maxsize=256)
def fields(kind: Kind, text: str | None) -> Match:
    """Compile a field selector. Raises: Refused (a field that this kind does not select by)."""
    if not text:
        return everything
    terms = [_field_term(kind, term) for term in text.split(",")]
    return lambda obj: all(term(obj) for term in terms)


def _split(text: str) -> Iterable[str]:
    return re.split(r",(?![^(]*\))", text)


def _label_term(text: str) -> Callable[[dict[str, str]], bool]:
    found = _TERM.match(text)
    if found is None:
        raise Refused(400, "BadRequest", f"unable to parse requirement: {text!r}")
    if found["no"]:
        absent = found["absent"]
        return lambda have: absent not in have
    key = found["key"]
    if found["op"]:
        value = found["value"]
        if found["op"] == "!=":
            return lambda have: have.get(key) != value
        return lambda have: have.get(key) == value
    if found["set"]:
        values = frozenset(value.strip() for value in found["values"].split(","))
        if found["set"] == "in":
            return lambda have: have.get(key) in values
        return lambda have: have.get(key) not in values
    return lambda have: key in have


def _field_term(kind: Kind, text: str) -> Match:
    negative = "!=" in text
    name, _, value = text.replace("==", "=").replace("!=", "=").partition("=")
    if name not in (*_FIELDS_OF_ALL, *_FIELDS.get(kind, ())):
        raise Refused(400, "BadRequest", f"field label not supported: {name}")
    steps = name.split(".")
    return lambda obj: (_text_at(obj, steps) == value) is not negative


def _text_at(obj: Any, steps: list[str]) -> str:
    for step in steps:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)
