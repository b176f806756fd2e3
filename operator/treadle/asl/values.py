"""How JSON values compare and how Java prints them.

One rule: true is not 1, but 1 is 1.0, however deep they lie.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import NoReturn

from treadle.asl import errors, limits
from treadle.asl.json import Json, dumps


def is_number(value: Json) -> bool:
    """Whether a value is a JSON number; Python's booleans are not."""
    kind = value.__class__
    return kind is int or kind is float


def is_container(value: Json) -> bool:
    """Whether a value is an array or an object."""
    kind = value.__class__
    return kind is list or kind is dict


def text_of(value: Json) -> str:
    """The compact JSON text of a value.

    Raises:
        EvaluationFailed: the value is nested too deeply to be written.
    """
    try:
        return dumps(value)
    except ValueError:
        _refuse_depth()


def same(left: Json, right: Json, spend: Callable[[int], None], depth: int = 0) -> bool:
    """Whether two values are equal as JSON.

    Args:
        left: any value.
        right: any value.
        spend: is told of each pair compared, so that the caller can end a long comparison.
        depth: how deep the pair lies.

    Raises:
        EvaluationFailed: equal down to `VALUE_DEPTH_MAX` levels, and deeper still.
    """
    if is_number(left):
        return is_number(right) and bool(left == right)
    kind = left.__class__
    if kind is not right.__class__:
        return False
    if kind is not list and kind is not dict:
        return bool(left == right)
    if len(left) != len(right):
        return False
    spend(1 + len(left))
    if depth >= limits.VALUE_DEPTH_MAX:
        _refuse_depth()
    if kind is list:
        return all(same(a, b, spend, depth + 1) for a, b in zip(left, right, strict=True))
    return all(
        key in right and same(value, right[key], spend, depth + 1) for key, value in left.items()
    )


def key_of(value: Json, depth: int = 0) -> str:
    """A text that equal values share and different ones do not. For sets of values.

    Raises:
        EvaluationFailed: nested deeper than `VALUE_DEPTH_MAX` levels.
    """
    if depth > limits.VALUE_DEPTH_MAX:
        _refuse_depth()
    kind = value.__class__
    if kind is list:
        return "[" + ",".join([key_of(item, depth + 1) for item in value]) + "]"
    if kind is dict:
        members = [f"{name!r}:{key_of(value[name], depth + 1)}" for name in sorted(value)]
        return "{" + ",".join(members) + "}"
    if kind is float and value.is_integer():
        return repr(int(value))
    return repr(value)


def java_text(value: Json, depth: int = 0) -> str:
    """A value as Java's `toString` prints it: `{a=1, b=[x, null]}`, 1.0E7, text as it is.

    Raises:
        EvaluationFailed: nested deeper than `VALUE_DEPTH_MAX` levels.
    """
    if depth > limits.VALUE_DEPTH_MAX:
        _refuse_depth()
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is list:
        return "[" + ", ".join([java_text(item, depth + 1) for item in value]) + "]"
    if kind is dict:
        members = [f"{name}={java_text(item, depth + 1)}" for name, item in value.items()]
        return "{" + ", ".join(members) + "}"
    if kind is float:
        return _java_double(value)
    if value is None:
        return "null"
    return str(value).lower()  # booleans; integers have no letters


def _java_double(number: float) -> str:
    # Java writes plain digits from 0.001 up to 10,000,000, and d.dddE±n outside.
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    size = abs(number)
    if number == 0 or 1e-3 <= size < 1e7:
        return repr(number)
    shortest = Decimal(repr(size)).normalize()
    digits = "".join(map(str, shortest.as_tuple().digits))
    sign = "-" if number < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{shortest.adjusted()}"


def round_half_up(number: float) -> int:
    """The nearest integer, halves towards positive infinity, as Java's `Math.round`.

    Spec: AWS, "Intrinsic functions": non-integer arguments are rounded to the nearest integer.
    """
    if isinstance(number, int):
        return number
    below = math.floor(number)
    return below + 1 if number - below >= 0.5 else below


def utf16(text: str) -> bytes:
    """A text as bytes that sort in the order of its UTF-16 code units, as Java compares text."""
    return text.encode("utf-16-be", "surrogatepass")


def text_before(left: str, right: str) -> bool:
    """Whether one text sorts before another, code unit by code unit."""
    if left.isascii() and right.isascii():
        return left < right
    return utf16(left) < utf16(right)


def _refuse_depth() -> NoReturn:
    raise errors.EvaluationFailed(
        errors.RUNTIME,
        f"The value is nested deeper than {limits.VALUE_DEPTH_MAX} levels.",
    )
