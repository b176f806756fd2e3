"""Choices that a seed decides, and JSON that is seldom kind.

One rule: the same seed makes the same choices on every machine and in every order of inputs.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 10, 100, 999, 1_000, 65_536, 1_000_000, 1_000_000_000),
    *(
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**53,
        2**53 + 1,
        2**63,
        2**64,
        -(2**63) - 1,
        10**30,
        10**400,
    ),
    *(0.5, -0.5, 1.5, -0.0, 0.1, 1e-7, 5e-324, 1e21, 1e300, 1.7976931348623157e308),
)
WORDS = ("a", "b", "c", "x y", "", "a.b", "d.$", "$", "États", "名", "\u2028", "_", "0", "length")
TEXTS = (
    *("", "a", "ab", "true", "null", "1", "-1.5", "[1,2]", '{"a":1}', "{", "2026-01-31T12:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "{}", "\\", "'", '"', "\ud800", "\udc00x", "\x00", "😀", "İ"),
    *(
        "é" * 9,
        "a" * 300,
        "a" * 5_000,
        "9" * 5_000,
        "%",
        "~",
        "$.a",
        "{% 1 %}",
        "=",
        "SGVsbG8",
        "\r",
    ),
)


class Dice(random.Random):
    """A seeded source of choices."""

    def one(self, among: Sequence[T]) -> T:
        """One of several."""
        return among[int(self.random() * len(among))]

    def one_in(self, many: int) -> bool:
        """True once in so many."""
        return self.random() * many < 1

    def several(self, make: Callable[[], T], most: int) -> list[T]:
        """None to `most` of what is made."""
        return [make() for _ in range(int(self.random() * (most + 1)))]

    def number(self) -> Any:
        """A number, often one at an edge."""
        if self.one_in(2):
            return self.one(NUMBERS)
        return self.randint(-9, 99) if self.one_in(2) else self.uniform(-1e6, 1e6)

    def text(self) -> str:
        """A text, often one that means something somewhere."""
        if self.one_in(2):
            return self.one(TEXTS)
        return "".join(self.several(lambda: chr(self.one((97, 98, 32, 46, 233, 0x1F600, 39))), 8))

    def scalar(self) -> Any:
        """A JSON value without parts."""
        return self.one((self.number, self.text, lambda: None, lambda: True, lambda: False))()

    def value(self, depth: int = 4) -> Any:
        """A JSON value."""
        kind = self.random()
        if depth == 0 or kind < 0.4:
            return self.scalar()
        if kind < 0.65:
            return self.several(lambda: self.value(depth - 1), 5)
        return {self.name(): self.value(depth - 1) for _ in range(self.randint(0, 5))}

    def name(self) -> str:
        """A key of an object."""
        return self.one(WORDS) if self.one_in(3) else self.one(("a", "b", "c"))

    def data(self) -> Any:
        """Data to evaluate something over: mostly ordinary, now and then large, deep or odd."""
        kind = self.random()
        if kind < 0.7:
            return {**_ordinary(self), self.name(): self.value()}
        if kind < 0.9:
            return self.value(6)
        return self.one((_deep, _wide, _rows))(self)


def _ordinary(dice: Dice) -> dict[str, Any]:
    rows = [
        {"a": n, "b": {"c": dice.scalar()}, "c": dice.text()} for n in range(dice.randint(0, 6))
    ]
    return {"a": rows, "b": {"a": dice.scalar(), "b": [1, [2, [3]]], "c": {}}, "c": dice.number()}


def _deep(dice: Dice) -> Any:
    value: Any = dice.scalar()
    for _ in range(dice.one((50, 150, 220, 240, 252))):
        value = [value] if dice.one_in(2) else {"a": value}
    return value


def _wide(dice: Dice) -> Any:
    many = dice.one((100, 1_000, 20_000))
    return {"a": [dice.one((1, "a", None, 2.5)) for _ in range(many)], "b": "x" * many, "c": many}


def _rows(dice: Dice) -> Any:
    row = {"a": list(range(20)), "b": {"c": "x" * 50, "a": [1, "a"]}, "c": None}
    return {"a": [row] * dice.one((10, 300)), "b": [[row] * 20] * dice.one((2, 20)), "c": row}
