"""One evaluation as data: whatever is asked, there is an answer."""

import dataclasses

import pytest

from treadle.asl.evaluator import Answer, Asked, answer

ASKED = Asked("1 + 1", "{}", 0, 1, "", 0, 250, 1.5)


def asked(text: str, **more: object) -> Answer:
    return answer(dataclasses.replace(ASKED, text=text, **more))


def test_a_value_is_json_and_undefined_is_none() -> None:
    assert asked("{'a': $x + 1}", bindings='{"x": 1}') == Answer('{"a":2}')
    assert asked("null") == Answer("null")
    assert asked("$nothing") == Answer(None)


def test_too_few_steps_are_told_from_other_failures() -> None:
    many = "$map([1..1000], function($x) { $x })"
    assert asked(many).lacks_steps
    assert not asked(many, steps_max=100_000).failure
    assert asked("1 + 'a'") == Answer(failure=asked("1 + 'a'").failure)
    assert asked("1 + 'a'").failure.startswith("T2002: ")


def test_a_stream_of_chance_goes_on_where_it_was() -> None:
    first = asked("$uuid()", chance="aa")
    assert first.drawn == 1
    second = asked("$uuid()", chance="aa", drawn=1)
    assert second.value != first.value
    both = asked("[$uuid(), $uuid()]", chance="aa")
    assert (both.value, both.drawn) == (f"[{first.value},{second.value}]", 2)


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("$x + 1", '{"x": 1' + "0" * 400 + "}"),  # no float holds it
        ('$formatNumber(1, "#." & $pad("", 100000, "0"))', "{}"),  # the engine panics
        ("$hash('a', ['MD5'])", "{}"),
        ("$range(1, 1e300, 1)", "{}"),
        ("$parse('1' & $pad('', 400, '0'))", "{}"),
    ],
)
def test_whatever_the_engine_does_is_a_failure_with_a_code(text: str, bindings: str) -> None:
    made = asked(text, bindings=bindings, steps_max=10_000)
    assert made.value is None
    assert made.failure[5:7] == ": ", made
    assert not made.lacks_steps
