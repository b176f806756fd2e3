"""JSON values and their exact text.

One rule: the text of a value is compact, keeps the order of keys, and is the same on every run.
"""

import json
import re
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = Any
"""What `loads` gives: None, bool, int, float, str, lists and dicts with text keys."""


def loads(text: str | bytes) -> Json:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON. NaN and Infinity are not; nesting deeper than the parser
            takes is not either.
    """
    long_number = _LONG_NUMBER if isinstance(text, str) else _LONG_NUMBER_BYTES
    if not long_number.search(text):  # type: ignore[arg-type]
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return _loads_slowly(text)


# orjson makes floats of integers past 64 bits, which have 19 digits and more.
_LONG_NUMBER = re.compile(r"\d{19}", re.ASCII)
_LONG_NUMBER_BYTES = re.compile(rb"\d{19}")


def _loads_slowly(text: str | bytes) -> Json:
    # orjson refuses lone surrogates, which AWS takes.
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def dumps(value: Json) -> str:
    """The compact text of a value, keys in their own order; always valid UTF-8.

    Raises:
        ValueError: it is nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Integers past 64 bits, and lone surrogates: those only exist as escapes.
        try:
            return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        except RecursionError:
            raise ValueError("nested too deeply") from None
