"""What a path's filter compares: the tests behind `[?(...)]`.

One rule: what cannot be compared is not equal and not ordered; it never fails.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from treadle.asl.json import Json
from treadle.asl.patterns import Pattern
from treadle.asl.steps import PathNotFound, Steps, Test, Walk, evaluate, is_definite
from treadle.asl.values import is_container, is_number, java_text, same, text_before

Operand: TypeAlias = Callable[[Json, Walk], Json]
Operator: TypeAlias = Callable[[Json, Json, Walk], bool]

MISSING: Final = object()
"""What an operand gives whose path matches nothing."""

_NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_NUMERAL_CHARS_MAX = 64  # longer text is no number that anybody compares


def constant(value: Json) -> Operand:
    """An operand that is a literal."""
    return lambda _node, _walk: value


def path(steps: Steps, *, rooted: bool) -> Operand:
    """An operand that is a path: `@.x`, or `$.x` where `rooted`.

    An indefinite one gives the array of what it matches.
    """
    definite = is_definite(steps)

    def read(node: Json, walk: Walk) -> Json:
        try:
            found = evaluate(steps, walk.root if rooted else node, walk)
        except PathNotFound:
            return MISSING
        if not definite:
            return found
        return found[-1] if found else MISSING

    return read


def exists(operand: Operand, *, definite: bool) -> Test:
    """The test of a path that stands alone: does it match anything?"""

    def test(node: Json, walk: Walk) -> bool:
        value = operand(node, walk)
        return value is not MISSING and (definite or bool(value))

    return test


def comparison(left: Operand, name: str, right: Operand) -> Test:
    """The test of `left operator right`."""
    operator = OPERATORS[name]

    def test(node: Json, walk: Walk) -> bool:
        walk.spend(1)
        return operator(left(node, walk), right(node, walk), walk)

    return test


def pattern_match(left: Operand, pattern: Pattern) -> Test:
    """The test of `left =~ /pattern/`: the whole text must match."""

    def test(node: Json, walk: Walk) -> bool:
        value = left(node, walk)
        if value is MISSING or value is None or is_container(value):
            return False
        return pattern.matches(java_text(value), walk.spend)

    return test


def negation(test: Test) -> Test:
    """`!(...)`."""
    return lambda node, walk: not test(node, walk)


def every(tests: tuple[Test, ...]) -> Test:
    """`a && b`."""
    return lambda node, walk: all(test(node, walk) for test in tests)


def either(tests: tuple[Test, ...]) -> Test:
    """`a || b`."""
    return lambda node, walk: any(test(node, walk) for test in tests)


def _equal(left: Json, right: Json, walk: Walk) -> bool:
    # As in Jayway a number equals its text; a text that is no numeral equals no number.
    if left is MISSING or right is MISSING:
        return False
    if left.__class__ is str:
        if right.__class__ is str:
            walk.spend(len(left) >> 12)
            return bool(left == right)
        return is_number(right) and left == java_text(right)
    if right.__class__ is str:
        return is_number(left) and _numeral(right) == left
    return same(left, right, walk.spend)


def _numeral(text: str) -> Decimal | None:
    if len(text) > _NUMERAL_CHARS_MAX or not _NUMERAL.fullmatch(text):
        return None
    return Decimal(text)


def _identical(left: Json, right: Json, walk: Walk) -> bool:
    alike = is_number(left) == is_number(right) and (left.__class__ is str) == (
        right.__class__ is str
    )
    return alike and _equal(left, right, walk)


def _before(left: Json, right: Json, walk: Walk) -> bool:
    if is_number(left) and is_number(right):
        return bool(left < right)
    if left.__class__ is str and right.__class__ is str:
        walk.spend((len(left) + len(right)) >> 12)
        return text_before(left, right)
    return False


def _no_later(left: Json, right: Json, walk: Walk) -> bool:
    ordered = is_number(left) and is_number(right)
    ordered = ordered or (left.__class__ is str and right.__class__ is str)
    return ordered and not _before(right, left, walk)


def _holds(items: Json, wanted: Json, walk: Walk) -> bool:
    if items.__class__ is not list:
        return False
    walk.spend(len(items))
    return any(_equal(item, wanted, walk) for item in items)


def _contains(left: Json, right: Json, walk: Walk) -> bool:
    if left.__class__ is str and right.__class__ is str:
        walk.spend(len(left) >> 8)
        return right in left
    return _holds(left, right, walk)


def _size(value: Json) -> int | None:
    return len(value) if value.__class__ is str or is_container(value) else None


def _has_size(left: Json, right: Json, _walk: Walk) -> bool:
    # Jayway gives an object no size, although it may be empty.
    size = None if left.__class__ is dict else _size(left)
    return size is not None and is_number(right) and size == right


def _is_empty(left: Json, right: Json, _walk: Walk) -> bool:
    size = _size(left)
    return size is not None and right.__class__ is bool and (size == 0) == right


def _holds_all(left: Json, right: Json, walk: Walk) -> bool:
    return right.__class__ is list and all(_holds(left, wanted, walk) for wanted in right)


def _holds_any(left: Json, right: Json, walk: Walk) -> bool:
    return right.__class__ is list and any(_holds(left, wanted, walk) for wanted in right)


def _holds_none(left: Json, right: Json, walk: Walk) -> bool:
    both = left.__class__ is list and right.__class__ is list
    return both and not _holds_any(left, right, walk)


OPERATORS: Final[dict[str, Operator]] = {
    "==": _equal,
    "!=": lambda left, right, walk: not _equal(left, right, walk),
    "===": _identical,
    "!==": lambda left, right, walk: not _identical(left, right, walk),
    "<": _before,
    "<=": _no_later,
    ">": lambda left, right, walk: _before(right, left, walk),
    ">=": lambda left, right, walk: _no_later(right, left, walk),
    "in": lambda left, right, walk: _holds(right, left, walk),
    "nin": lambda left, right, walk: not _holds(right, left, walk),
    "contains": _contains,
    "size": _has_size,
    "empty": _is_empty,
    "all": _holds_all,
    "anyof": _holds_any,
    "noneof": _holds_none,
    "subsetof": lambda left, right, walk: left.__class__ is list and _holds_all(right, left, walk),
}
