"""A text inside a text keeps its places."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl.texts import parse_text
from treadle.kube.quoting import Quoted


def places(whole: str) -> list[tuple[str, str]]:
    """Each visible character of the member `d` of a document, and what the file has there."""
    parsed = parse_text(whole)
    at = parsed.place_of("/d")
    assert at is not None
    quoted = Quoted.after_key(whole, at, "d")
    assert quoted is not None
    lines = whole.split("\n")
    found = []
    for number, line in enumerate(parsed.value["d"].split("\n"), 1):
        for column, character in enumerate(line, 1):
            if not character.isspace():
                place = quoted.place(parsed.value["d"], (number, column))
                assert place is not None
                found.append((character, lines[place[0] - 1][place[1] - 1]))
    return found


@pytest.mark.parametrize(
    "whole",
    [
        "d: |\n  a: 1\n\n  # remark\n  b:\n    - c\n",
        "x: 1\nd: |-\n\n\n    deep\n      deeper\n",
        "d: >-\n  one\n  two\n\n    three\n  four\n",
        "d: >2\n    kept\n  less\n",
        "d: &name !!str |+  # why\n  a: 1\n",
        "d: # why\n  |\n  a: 1\n",
        "d: plain {text}\n  goes on # remark\n",
        '{"d": "a b", "e": 1}',
        "'d': 'single quoted\n\n  goes on'\n",
        '"d" : "double \\\n  goes on\\t\\x20x"\n',
    ],
)
def test_every_visible_character_is_found(whole: str) -> None:
    found = places(whole)
    assert found
    assert [seen for _, seen in found] == [character for character, _ in found]


def test_escapes_are_counted_as_what_they_stand_for() -> None:
    whole = json.dumps({"d": 'é"😀\n\u2028z/'}).replace("/", "\\/")
    assert [seen for _, seen in places(whole)] == ["\\", "\\", "\\", "z", "\\"]


def test_a_quote_in_single_quotes_is_written_twice() -> None:
    assert places("d: 'it''s'")[-1] == ("s", "s")


@given(st.text(st.sampled_from("ab{}:\"'\\/ \n\té😀\u2028#-"), max_size=30))
def test_any_json_string_keeps_its_places(text: str) -> None:
    escapes = '"\\/'
    for character, seen in places(json.dumps({"d": text}, ensure_ascii=False)):
        assert seen == ("\\" if character in escapes[:2] else character)


def quoted(whole: str, line: int = 1, column: int = 1) -> Quoted | None:
    return Quoted.after_key(whole, (line, column), "d")


@pytest.mark.parametrize(
    ("whole", "place"),
    [
        ("d: *alias", (1, 1)),
        ("d:", (1, 1)),
        ("e: x", (1, 1)),
        ("d: x", (9, 1)),
    ],
)
def test_what_cannot_be_told_is_not_guessed(whole: str, place: tuple[int, int]) -> None:
    assert quoted(whole, *place) is None


def test_a_header_without_an_end_is_not_guessed() -> None:
    assert quoted("d: |") is None


@pytest.mark.parametrize(("place", "found"), [((1, 3), (2, 5)), ((2, 1), (2, 5)), ((9, 1), None)])
def test_the_end_is_just_behind_the_last_character(place: tuple[int, int], found: Any) -> None:
    there = quoted("d: |\n  ab\n")
    assert there is not None
    assert there.place("ab\n", place) == found


def test_a_text_that_is_not_there_has_no_place() -> None:
    there = quoted("d: ''")
    assert there is not None
    assert there.place("abc", (1, 3)) is None


def test_an_escape_past_all_characters_is_no_white_space() -> None:
    there = quoted('d: "\\UFFFFFFFF a"')
    assert there is not None
    assert there.place("?a", (1, 2)) == (1, 16)
