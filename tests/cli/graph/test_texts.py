"""What may be shown of a text, how wide it is, where it breaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.cli.graph.texts import shown, width, wrapped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc", "a b c"),
        ("\x00\x1b", "␀␛"),
        ("\x7f\x85\u2028\ufffe\ud800", "\ufffd" * 5),
        ("evil\u202eeman\u2066", "evileman"),
        ("שלום 🎉 é", "שלום 🎉 é"),
    ],
)
def test_what_no_picture_can_hold_is_not_shown(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("", [""]),
        ("two words here", ["two words", "here"]),
        ("CamelCaseNames", ["CamelCase", "Names"]),
        ("snake_case_names", ["snake_", "case_", "names"]),
        ("AWSBatchJob", ["AWSBatch", "Job"]),
        ("xxxxxxxxxxxxxxx", ["xxxxxxxxxx", "xxxxx"]),
    ],
)
def test_a_text_breaks_between_words(text: str, lines: list[str]) -> None:
    assert wrapped(text, 10, 66) == lines


def test_a_character_is_never_broken() -> None:
    family = "👩‍👩‍👧‍👦"
    assert all(line.count(family[0]) == 2 for line in wrapped(family * 5, 13, 60))
    assert wrapped("é" * 9, 10, 30)[0] == "é" * 3


@given(st.text(max_size=80), st.sampled_from([40.0, 150.0, 210.0]))
def test_every_line_fits_and_nothing_is_lost(text: str, room: float) -> None:
    text = shown(text)
    lines = wrapped(text, 13, room)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert width(line, 13) <= room or "\u200d" in line
