"""The functions that AWS adds to JSONata.

One rule: what gives None is undefined, as on AWS where an argument is missing or makes no sense.

Source: AWS, "Transforming data with JSONata", functions provided by Step Functions.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from jlens import Expression

from treadle.asl.chance import Chance, JavaRandom
from treadle.asl.json import Json, loads

_RANGE_ITEMS_MAX = 360_145  # AWS takes so many of $range and refuses one more


class FunctionFailed(Exception):  # noqa: N818 - on its way to a JsonataFailed
    """A function has no value for its arguments; the message begins with a code."""


def drawing(chance: Chance) -> Mapping[str, Callable[..., Any]]:
    """The functions that draw from chance."""

    def uuid(*_: Any) -> str:  # as in $map(…, $uuid), which hands it each item
        return chance.uuid()

    def random(seed: Any = None, *more: Any) -> float:
        if more:
            raise FunctionFailed("T0410: $random takes a seed and no more")
        return chance.unit() if seed is None else JavaRandom(_whole(seed, "seed")).unit()

    return {"uuid": uuid, "random": random}


DRAWING: Final = frozenset(("uuid", "random"))


def _whole(value: Any, what: str) -> int:
    """An integer argument, without its fraction. Source: measured on AWS (its guide: "down")."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FunctionFailed(f"T0410: the {what} must be a number")
    return int(value)


def _partition(items: Any = None, size: Any = None) -> list[Any] | None:
    if items is None or size is None:
        return None
    count = _whole(size, "size of the parts")
    if not isinstance(items, list):
        raise FunctionFailed("T0410: $partition needs an array")
    if count < 1 or not items:
        return None
    return [items[at : at + count] for at in range(0, len(items), count)]


def _range(first: Any = None, last: Any = None, delta: Any = None) -> list[int] | int | None:
    if first is None or last is None or delta is None:
        return None
    start, end, step = (_whole(value, "argument of $range") for value in (first, last, delta))
    if step == 0:
        return None
    count = (end - start) // step + 1
    if count > _RANGE_ITEMS_MAX:
        raise FunctionFailed(f"D2014: $range gives at most {_RANGE_ITEMS_MAX:,} numbers")
    if count < 1:
        return None
    return start if count == 1 else [start + step * n for n in range(count)]


_ALGORITHMS: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"} | {
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


def _hash(data: Any = None, algorithm: Any = None) -> str | None:
    if data is None or algorithm is None:
        return None
    if not (isinstance(data, str) and isinstance(algorithm, str) and algorithm in _ALGORITHMS):
        known = ", ".join(_ALGORITHMS)
        raise FunctionFailed(f"T0410: $hash needs a text and one of {known}")
    return hashlib.new(_ALGORITHMS[algorithm], data.encode(), usedforsecurity=False).hexdigest()


def _parse(text: Any = None) -> Json:
    if text is None:
        return None
    if not isinstance(text, str):
        raise FunctionFailed("T0410: $parse needs a text")
    try:
        return loads(text)
    except ValueError as why:
        raise FunctionFailed(f"D3120: $parse: {why}") from None


def nothing(*_: Any) -> None:
    """Stands for a function where only its name counts."""


# With its signature the engine knows how many arguments a function takes, and refuses more. Those
# that draw are given to each evaluation.
FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], str]]] = {
    "partition": (_partition, "<x?x?:x>"),
    "range": (_range, "<x?x?x?:x>"),
    "hash": (_hash, "<x?x?:x>"),
    "parse": (_parse, "<x?:x>"),
    "uuid": (nothing, "<:s>"),
    "random": (nothing, "<x?:n>"),
}


def registered(compiled: Expression, text: str) -> Expression:
    """An expression that has those of AWS's functions that its text names."""
    for name, (function, signature) in FUNCTIONS.items():
        if f"${name}" in text:
            compiled.register_function(name, function, signature)
    return compiled
