"""JSON values and their exact text.

One rule: the text of a value is compact, keeps the order of keys, and is the same on every run.
"""

import json
import math
import re
from typing import Any, TypeAlias

import orjson

from treadle.asl.limits import INTEGER_DIGITS_MAX

Json: TypeAlias = Any
"""What `loads` gives: None, bool, int, float, str, lists and dicts with text keys."""


def loads(text: str | bytes) -> Json:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON. NaN, Infinity and numbers too large for a float are not;
            nesting deeper than the parser takes is not either.
    """
    if not isinstance(text, str):
        try:
            text = text.decode()
        except UnicodeDecodeError as why:
            raise ValueError(f"not UTF-8: {why}") from None
    if is_plain(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return _loads_slowly(text)


def is_plain(text: str) -> bool:
    """Whether orjson reads and writes a text's value exactly, so that texts may be joined.

    It makes floats of integers past 64 bits and nulls of numbers past a float's range, and refuses
    half a surrogate pair.
    """
    return _UNUSUAL.search(text) is None


_UNUSUAL = re.compile(r"\d{19}|[eE]\+?\d{3}|\\u[dD][89a-fA-F]", re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _loads_slowly(text: str) -> Json:
    try:
        return json.loads(
            text, parse_constant=refuse_constant, parse_float=_finite, parse_int=whole
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def refuse_constant(name: str) -> Json:
    """For the standard parser: NaN and its like. Raises: ValueError."""
    raise ValueError(f"{name} is not JSON")


def whole(text: str) -> int:
    """For the standard parser: an integer. Raises: ValueError, where it has too many digits."""
    if len(text) > INTEGER_DIGITS_MAX and len(text.lstrip("-")) > INTEGER_DIGITS_MAX:
        raise ValueError(f"an integer has more than {INTEGER_DIGITS_MAX:,} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def dumps(value: Json) -> str:
    """The compact text of a value, keys in their own order; always valid UTF-8.

    Raises:
        ValueError: it is nested too deeply, or a number in it is not finite.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        pass
    # Integers past 64 bits; half a surrogate pair, which only exists as an escape. The bound on
    # nesting is orjson's own.
    if _is_deep(value):
        raise ValueError("nested too deeply")
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


_LEVELS_MAX = 254


def told(value: Json) -> str:
    """Its text for a sentence, whatever it is."""
    try:
        return dumps(value)
    except ValueError as why:
        return f"({why})"


def is_too_deep(text: str) -> bool:
    """Whether a JSON text is nested more deeply than `dumps` would write it."""
    if _is_shallow(text):
        return False
    try:
        loads_shallow(text)
    except ValueError:
        return True
    return False


def _is_shallow(text: str) -> bool:
    return text.count("[") + text.count("{") <= _LEVELS_MAX


def loads_shallow(text: str) -> Json:
    """The value of a JSON text that `dumps` would write again.

    Raises:
        ValueError: it is nested more deeply than that; or as `loads`.
    """
    value = loads(text)
    if not _is_shallow(text):
        dumps(value)
    return value


def _is_deep(value: Json) -> bool:
    level = [value]
    for _ in range(_LEVELS_MAX):
        below = [part for part in level if isinstance(part, dict | list)]
        if not below:
            return False
        level = [
            inner for part in below for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return True


def is_well_formed(text: str) -> bool:
    """Whether UTF-8 can hold a text: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """A text without halves of surrogate pairs, which no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()
