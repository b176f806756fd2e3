"""Regular expressions that cannot run away."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl.patterns import Pattern, PatternError

TEXTS = ["", "a", "b", "ab", "aab", "abab", "A", "1", "12", "-", "a.b", "a\nb", "]", "_", " "]


def free(_: int) -> None:
    return


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a",
        "ab|b",
        "a*",
        "a+b",
        "a?b?",
        "(ab)+",
        "(?:ab){2}",
        "a{0,2}b",
        "a{1,}b",
        "(a|b)*",
        "(a*)*b",
        "(a?){2,3}",
        ".",
        "a.b",
        r"a\.b",
        r"\d+",
        r"\D",
        r"\w+",
        r"\W",
        r"\s",
        r"\S",
        "[ab]+",
        "[^ab]",
        "[a-z]+",
        r"[\]\-a]",
        "[]a]",
        r"[\d_]",
        "[a-]",
        "^a$",
        "^$",
        "a^b",
        "a$b",
        "a*?b+?",
        r"a\nb",
        "()",
        "a|",
    ],
)
def test_a_pattern_matches_what_python_matches(source: str) -> None:
    for text in TEXTS:
        expected = re.fullmatch(source, text, re.ASCII) is not None
        assert Pattern(source).matches(text, free) is expected, text


@pytest.mark.parametrize("source", ["AB", "[a-b]+", "[^a]", r"\d"])
def test_case_may_be_ignored(source: str) -> None:
    for text in TEXTS:
        expected = re.fullmatch(source, text, re.ASCII | re.IGNORECASE) is not None
        assert Pattern(source, ignore_case=True).matches(text, free) is expected, text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(", "expected '\\)'"),
        (")", "unmatched"),
        ("(?=a)", "expected ':'"),
        ("*", "nothing to repeat"),
        ("a**", "cannot be repeated"),
        ("a{", "expected {n}"),
        ("a{x}", "expected {n}"),
        ("a{2,1}", "a repetition needs"),
        ("a{0}", "a repetition needs"),
        ("a{99999}", "expected {n}"),
        ("[a", "ends too early"),
        ("[b-a]", "range is empty"),
        ("\\", "ends too early"),
        ("\\b", "not supported"),
        ("(a{100}){100}", "too large"),
        ("(" * 20 + ")" * 20, "nested too deeply"),
    ],
)
def test_a_pattern_that_is_not_offered_is_refused(source: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        Pattern(source)


def test_a_pattern_that_makes_others_run_away_is_quick() -> None:
    assert not Pattern("(a+)+b").matches("a" * 2000, free)
    assert not Pattern("(a|aa)+$b").matches("a" * 2000, free)
    assert Pattern("(a*)*").matches("a" * 2000, free)


@given(st.text(alphabet="ab()|*+?[]{}^$\\d1,.-", max_size=20), st.text("ab1", max_size=10))
def test_no_pattern_fails_otherwise_than_by_its_error(source: str, text: str) -> None:
    with suppress(PatternError):
        Pattern(source).matches(text, free)


def test_a_refused_pattern_says_where() -> None:
    with pytest.raises(PatternError) as caught:
        Pattern("ab(c")
    assert caught.value.position == 4


@pytest.mark.parametrize("source", ["b", "^a", "b$", "^ab$", "a|b", "a.b", "", r"\d"])
def test_a_pattern_is_found_anywhere_as_python_finds_it(source: str) -> None:
    pattern = Pattern.anywhere(source)
    assert pattern.source == source
    for text in TEXTS:
        assert pattern.matches(text, free) is (re.search(source, text) is not None), text
    with pytest.raises(PatternError, match="unmatched"):
        Pattern.anywhere(f"{source})(")
