"""A Choice rule in a few words.

One rule: it is for reading, not for evaluating; what is long is cut.
"""

import re
from collections.abc import Mapping
from typing import Final

from treadle.asl.json import Json, dumps

CHARS_MAX: Final = 80
_DEPTH_MAX: Final = 4

_RELATIONS: Final = {
    "Equals": "=",
    "LessThan": "<",
    "LessThanEquals": "≤",
    "GreaterThan": ">",
    "GreaterThanEquals": "≥",
}
_COMPARISON: Final = re.compile(r"(String|Numeric|Boolean|Timestamp)(\w+?)(Path)?")
_KINDS: Final = {
    "IsBoolean": "a boolean",
    "IsNull": "null",
    "IsNumeric": "a number",
    "IsPresent": "present",
    "IsString": "a text",
    "IsTimestamp": "a timestamp",
}


def condition(rule: Mapping[str, Json]) -> str:
    """What must hold, at most `CHARS_MAX` characters; "?" where it cannot be read."""
    text = " ".join(_words(rule, _DEPTH_MAX).split())
    return text if len(text) <= CHARS_MAX else f"{text[: CHARS_MAX - 1]}…"


def _words(rule: Json, depth: int) -> str:
    if not isinstance(rule, dict) or depth == 0:
        return "…" if depth == 0 else "?"
    for name, joint in (("And", " and "), ("Or", " or ")):
        if isinstance(parts := rule.get(name), list):
            return joint.join(_part(part, depth) for part in parts)
    if "Not" in rule:
        return f"not {_part(rule['Not'], depth)}"
    if isinstance(written := rule.get("Condition"), str):
        return written.strip().removeprefix("{%").removesuffix("%}")
    variable = rule.get("Variable")
    for name, operand in rule.items():
        if found := _comparison(name, operand):
            return f"{variable} {found}" if isinstance(variable, str) else found
    return "?"


def _part(rule: Json, depth: int) -> str:
    words = _words(rule, depth - 1)
    return f"({words})" if isinstance(rule, dict) and {"And", "Or"} & rule.keys() else words


def _comparison(name: str, operand: Json) -> str:
    if name in _KINDS:
        return f"is {'' if operand is True else 'not '}{_KINDS[name]}"
    if name == "StringMatches":
        return f"matches {_value(operand)}"
    found = _COMPARISON.fullmatch(name)
    if found is None or found[2] not in _RELATIONS:
        return ""
    is_bare = found[3] or (found[1] == "Timestamp" and isinstance(operand, str))
    return f"{_RELATIONS[found[2]]} {operand if is_bare else _value(operand)}"


def _value(operand: Json) -> str:
    return dumps(operand)
