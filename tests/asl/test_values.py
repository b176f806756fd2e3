"""How values compare, round and print."""

import pytest

from treadle.asl.errors import EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.values import (
    java_text,
    key_of,
    round_half_up,
    same,
    text_before,
    text_of,
)


def nested(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def free(_: int) -> None:
    return


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ([1, [True]], [1.0, [True]], True),
        ([1], [True], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ([], {}, False),
    ],
)
def test_equality_is_that_of_json(left: Json, right: Json, equal: bool) -> None:
    assert same(left, right, free) is equal
    assert (key_of(left) == key_of(right)) is equal


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (1, 1),
        (1.49, 1),
        (1.5, 2),
        (2.5, 3),
        (-1.5, -1),
        (-1.51, -2),
        (-2.5, -2),
        (0.49999999999999994, 0),
        (-0.5, 0),
        (1e15, 10**15),
    ],
)
def test_halves_round_up_as_in_java(number: float, rounded: int) -> None:
    assert round_half_up(number) == rounded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (12, "12"),
        (1.1, "1.1"),
        (100.0, "100.0"),
        (1e7, "1.0E7"),
        (9999999.5, "9999999.5"),
        (12345678.9, "1.23456789E7"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (-2.5e-10, "-2.5E-10"),
        (1e21, "1.0E21"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        ("a", "a"),
        ({"a": 1, "b": [None, "x y", False]}, "{a=1, b=[null, x y, false]}"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_values_print_as_java_prints_them(value: Json, text: str) -> None:
    assert java_text(value) == text


def test_text_sorts_by_code_unit() -> None:
    # U+1F600 is D83D DE00, which sorts before U+FF5E although its code point is higher.
    assert text_before("\U0001f600", "\uff5e")
    assert not text_before("\uff5e", "\U0001f600")
    assert text_before("A", "AB")
    assert not text_before("a", "B")


@pytest.mark.parametrize(
    "use",
    [
        java_text,
        key_of,
        lambda value: same(value, value.copy(), free),
    ],
)
def test_a_value_that_is_too_deep_is_refused_by_name(use: Json) -> None:
    use(nested(190))
    with pytest.raises(EvaluationFailed, match="nested deeper than 200 levels"):
        use(nested(900))


def test_a_value_that_cannot_be_written_is_refused_by_name() -> None:
    assert text_of({"a": [1, "é"]}) == '{"a":[1,"é"]}'
    with pytest.raises(EvaluationFailed, match="nested deeper"):
        text_of(nested(5000))
