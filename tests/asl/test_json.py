"""JSON values and their exact text, also where the fast parser would change them."""

from typing import Any

import pytest

from treadle.asl.json import dumps, is_plain, loads, well_formed

HALF = "\ud83d"


@pytest.mark.parametrize(
    "text", ["1e400", "-1e400", '{"a":[1E+999]}', "NaN", "[Infinity]", "-Infinity", "1e" + "9" * 40]
)
def test_a_number_that_no_float_holds_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"too large|is not JSON"):
        loads(text)


@pytest.mark.parametrize("text", ["1e308", "1e-400", "123456789.5e300", "-0.0"])
def test_one_that_a_float_holds_is(text: str) -> None:
    assert loads(text) == float(text)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40])
def test_integers_are_exact_whatever_their_size(number: int) -> None:
    text = f'{{"n":{number}}}'
    assert loads(text) == {"n": number}
    assert type(loads(text)["n"]) is int
    assert dumps(loads(text)) == text


@pytest.mark.parametrize("value", [{"é": "日本"}, {"é": 2**70}, [2**70, "😀"], {"é": "a" + HALF}])
def test_a_text_is_written_as_it_is_and_in_utf_8(value: Any) -> None:
    text = dumps(value)
    assert "\\u00e9" not in text
    assert "\\ud83d\\ude00" not in text
    assert text.encode().decode() == text
    assert loads(text) == value


def test_the_same_value_has_the_same_text_however_it_has_to_be_written() -> None:
    quick, slow = dumps(["é😀"]), dumps(["é😀", 2**70])
    assert slow == f"{quick[:-1]},{2**70}]"


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert loads('"\\ud83d"') == HALF
    assert dumps(HALF) == '"\\ud83d"'
    assert dumps({HALF: 1}) == '{"\\ud83d":1}'
    assert loads('"\\ud83d\\ude00"') == "😀"
    assert well_formed("a" + HALF) == "a?"


@pytest.mark.parametrize(
    "text",
    [str(2**64), "[1,18446744073709551616]", "1e400", "1E+400", '"\\ud83d"', '{"\\uDC00":1}'],
)
def test_what_the_fast_parser_would_change_is_not_plain(text: str) -> None:
    assert not is_plain(text)


@pytest.mark.parametrize("text", ["1", '{"a":"é😀"}', "[1.5e10]", '"\\u00e9"', str(10**17)])
def test_most_texts_are_plain(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "'a'", b"\xff", '{"a":1}x', "[" * 100_000])
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**70])
def test_no_more_than_254_levels_are_written(value: Any) -> None:
    deep: Any = value if isinstance(value, int) else 1
    for _ in range(255):
        deep = [deep]
    with pytest.raises(ValueError, match=r".+"):
        dumps(deep)


def test_an_integer_with_too_many_digits_is_told_in_our_words() -> None:
    assert loads("-" + "9" * 4_300) == -int("9" * 4_300)
    with pytest.raises(ValueError, match=r"^an integer has more than 4,300 digits$"):
        loads("9" * 4_301)
