"""What kubectl reads otherwise than we do; its answers are those of kubectl 1.36."""

from typing import Any

import pytest

from treadle.asl.texts import parse_text


def said(text: str) -> list[str]:
    return [each.message for each in parse_text(text, for_kubectl=True).unlike]


@pytest.mark.parametrize(
    ("text", "theirs", "ours"),
    [
        ("no", "false", '"no"'),
        ("y", "true", '"y"'),
        ("N", "false", '"N"'),
        ("Off", "false", '"Off"'),
        ("ON", "true", '"ON"'),
        ("Yes", "true", '"Yes"'),
        ("0755", "493", "755"),
        ("-0755", "-493", "-755"),
        ("1_000", "1000", '"1_000"'),
        ("-1_0.5", "-10.5", '"-1_0.5"'),
        (".5_5", "0.55", '".5_5"'),
        ("1e5_0", "1e+50", '"1e5_0"'),
        ("0b11", "3", '"0b11"'),
        ("-0B11", "-3", '"-0B11"'),
        ("0X1F", "31", '"0X1F"'),
        ("-0x1F", "-31", '"-0x1F"'),
        ("0x_F", "15", '"0x_F"'),
        ("0O17", "15", '"0O17"'),
        ("-0o17", "-15", '"-0o17"'),
        ("0_7", "7", '"0_7"'),
    ],
)
def test_a_value_that_kubectl_reads_otherwise_is_told_with_both_spellings(
    text: str, theirs: str, ours: str
) -> None:
    (message,) = said(f"a: {text}")
    assert message.startswith(
        f"kubectl takes {text} for {theirs} (YAML 1.1), and here it is {ours}"
    )
    assert message.endswith(f"write {theirs} or {ours}, whichever is meant.")
    for spelling in (theirs, ours):
        assert said(f"a: {spelling}") == []


@pytest.mark.parametrize(
    "text",
    [
        *("1:30", "2024-01-01", "2024-01-01T00:00:00Z", "0o17", "0x1F", "1e3", ".5", "+.5", "~"),
        *("null", "Null", "True", "FALSE", "08", "+5", "1.", "_1", "1_x", "0b12", "0x1p4", "="),
        *("._5", "0", "-0", "00", "007", "0123.5", "1.0", "100e-2", "Inf", "nan", "yEs", "nO"),
        *("9223372036854775807", "x"),
    ],
)
def test_a_value_that_both_read_alike_is_not(text: str) -> None:
    assert said(f"[{text}]") == []


def test_a_quoted_text_is_a_text_to_both() -> None:
    assert said("a: ['no', \"0755\", !!str 1_0, |\n yes\n]".replace("|\n yes\n", "'y'")) == []
    assert said("a: |\n  no\n'y': 'on'\n") == []


def test_a_number_past_64_bits_is_told_by_itself() -> None:
    (message,) = said("a: 12345678901234567890123")
    assert "past 64 bits: 12345678901234567890123 becomes 1.2345678901234568e+22" in message
    assert said("a: 18446744073709551616") == []  # it is a float too
    assert len(said("a: 18446744073709551615")) == 1
    assert len(said("a: " + "9" * 300)) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("y", "true"),
        ("no", "false"),
        ("True", "true"),
        ("0755", "493"),
        ("007", "7"),
        ("0x10", "16"),
        ("1_0", "10"),
        ("1.0", "another name"),
        ("1e3", "another name"),
        ("123456.75", "another name"),
    ],
)
def test_a_key_of_which_kubectl_makes_another_is_told(key: str, name: str) -> None:
    (message,) = said(f"{key}: 1")
    assert message.startswith(f'kubectl takes the key "{key}" for a ')
    assert f"makes {name} of it" in message
    assert said(f'"{key}": 1') == []


@pytest.mark.parametrize("key", ["a", "1", "-7", "2.5", "-0.25", "1:30", "2024-01-01", "true", "_"])
def test_a_key_that_stays_what_it_is_is_not(key: str) -> None:
    assert said(f"{key}: 1") == []


def test_a_key_that_is_null_is_refused_by_kubectl() -> None:
    (message,) = said("~: 1")
    assert "takes this key for null, and refuses it" in message


def test_each_has_its_place() -> None:
    text = "a:\n- b/c: [1, no]\n  y: 1\n  <<: {}\n"
    found = parse_text(text, for_kubectl=True).unlike
    told: list[Any] = [(each.pointer, each.line, each.column, each.is_merge) for each in found]
    assert told == [
        ("/a/0/b~1c/1", 2, 12, False),
        ("/a/0/y", 3, 3, False),
        ("/a/0/<<", 4, 3, True),
    ]


def test_a_merge_is_told_however_much_else_there_is() -> None:
    found = parse_text("a: [" + "no, " * 1_000 + "no]\n<<: {}\n", for_kubectl=True).unlike
    assert len(found) == 201
    assert found[-1].is_merge
