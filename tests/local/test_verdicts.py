"""Each kind of expectation holds, and fails with a difference that says where and what."""

import time
from typing import Any

import pytest

from tests.support.treadles import states
from tests.support.workflows import ran, succeed
from treadle.asl.json import Json
from treadle.asl.patterns import Pattern
from treadle.local import verdicts
from treadle.local.verdicts import Expected, compared, differences

GOOD = ran(states(A={"Type": "Pass", "Next": "B"}, B=succeed()), given={"a": {"b": [1, 2]}})
BAD = ran(states(F={"Type": "Fail", "Error": "E", "Cause": "order 7 is lost"}))
HISTORY = [entry.type for entry in GOOD.history]


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(status="Succeeded"),
        Expected(has_output=True, output={"a": {"b": [1, 2.0]}}),
        Expected(has_part=True, part={"a": {}}),
        Expected(has_part=True, part={}),
        Expected(visited=["A", "B"]),
        Expected(visited_part=["B"]),
        Expected(visited_part=[]),
        Expected(history=HISTORY),
    ],
)
def test_what_is_as_expected_has_no_difference(expected: Expected) -> None:
    assert differences(expected, GOOD) == []


@pytest.mark.parametrize(
    "expected",
    [
        Expected(status="Failed", error="E", cause="order 7 is lost"),
        Expected(cause_pattern=Pattern.anywhere(r"order \d")),
        Expected(cause_pattern=Pattern.anywhere("lost$")),
        Expected(visited=["F"]),
    ],
)
def test_a_failure_may_be_expected(expected: Expected) -> None:
    assert differences(expected, BAD) == []


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (Expected(status="Failed"), ("status", "", "Failed", "Succeeded")),
        (
            Expected(has_output=True, output={"a": {"b": [1, 3]}}),
            ("output", "/a/b/1", "3", "2"),
        ),
        (Expected(has_output=True, output=None), ("output", "", "null", '{"a":{"b":[1,2]}}')),
        (Expected(has_output=True, output={"a": {}}), ("output", "/a/b", "nothing", "[1,2]")),
        (
            Expected(has_output=True, output={"a": {"b": [1]}}),
            ("output", "/a/b/1", "nothing", "2"),
        ),
        (
            Expected(has_part=True, part={"a": {"b": [1, 2, 3]}}),
            ("outputContains", "/a/b/2", "3", "nothing"),
        ),
        (Expected(has_part=True, part={"c": 1}), ("outputContains", "/c", "1", "nothing")),
        (Expected(error="E"), ("error", "", '"E"', "nothing")),
        (Expected(cause="c"), ("cause", "", '"c"', "nothing")),
        (
            Expected(cause_pattern=Pattern.anywhere("x+")),
            ("causeMatches", "", "something like x+", "nothing"),
        ),
        (Expected(visited=["A"]), ("visited", "/1", "nothing", '"B"')),
        (Expected(visited=["A", "C"]), ("visited", "/1", '"C"', '"B"')),
        (
            Expected(visited_part=["B", "A"]),
            ("visitedContains", "/1", '"A" after "B"', '["A","B"]'),
        ),
        (Expected(visited_part=["C"]), ("visitedContains", "/0", '"C"', '["A","B"]')),
        (
            Expected(history=HISTORY[:-1]),
            ("history", f"/{len(HISTORY) - 1}", "nothing", '"ExecutionSucceeded"'),
        ),
    ],
)
def test_what_is_not_as_expected_says_where_and_what(
    expected: Expected, difference: tuple[str, ...]
) -> None:
    assert differences(expected, GOOD) == [difference]


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (Expected(status="Succeeded"), ("status", "", "Succeeded", "Failed, E: order 7 is lost")),
        (
            Expected(has_output=True, output=1),
            ("output", "", "1", "no output: Failed, E: order 7 is lost"),
        ),
        (
            Expected(has_part=True, part={}),
            ("outputContains", "", "{}", "no output: Failed, E: order 7 is lost"),
        ),
        (Expected(error="F"), ("error", "", '"F"', '"E"')),
        (Expected(cause="order 7"), ("cause", "", '"order 7"', '"order 7 is lost"')),
        (
            Expected(cause_pattern=Pattern.anywhere("^lost")),
            ("causeMatches", "", "something like ^lost", '"order 7 is lost"'),
        ),
    ],
)
def test_a_failure_that_is_not_expected_is_told_with_its_cause(
    expected: Expected, difference: tuple[str, ...]
) -> None:
    assert differences(expected, BAD) == [difference]


@pytest.mark.parametrize(
    ("wanted", "came", "at"),
    [
        (1, 1.0, []),
        (1, True, [""]),
        (0, False, [""]),
        ([True], [1], ["/0"]),
        (None, 0, [""]),
        ("1", 1, [""]),
        ({}, [], [""]),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, ["/a~1b/~0"]),
        ([1, 2], [2, 1], ["/0", "/1"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        (2**70, 2**70, []),
    ],
)
def test_values_are_compared_as_json(wanted: Json, came: Json, at: list[str]) -> None:
    assert [each.pointer for each in compared("output", wanted, came)] == at


def test_what_is_told_is_bounded() -> None:
    many = compared("output", list(range(1000)), [])
    assert len(many) == verdicts.DIFFERENCES_MAX + 1
    assert many[-1].came == "more of them"
    (long,) = compared("output", "x" * 10_000, 1)
    assert len(long.expected) < verdicts.VALUE_CHARS_MAX + 50
    assert long.expected.endswith("… (10,002 characters)")


def test_all_that_is_wrong_is_told_at_once() -> None:
    expected: dict[str, Any] = {"status": "Succeeded", "error": "F", "visited": ["A"]}
    assert [each.what for each in differences(Expected(**expected), BAD)] == [
        "status",
        "error",
        "visited",
    ]


@pytest.mark.parametrize("source", ["(a+)+$", "(a|a)+$", "a*a*a*a*b", "(?:a?){30}a{30}$"])
def test_no_pattern_makes_a_comparison_hang(source: str) -> None:
    pattern, cause = Pattern.anywhere(source), "a" * 32_000 + "!"
    failed = ran(states(F={"Type": "Fail", "Error": "E", "Cause": cause}))
    began = time.process_time()
    (difference,) = differences(Expected(cause_pattern=pattern), failed)
    assert time.process_time() - began < 10
    assert difference.expected == f"something like {source}"


def test_a_comparison_that_takes_too_long_says_so() -> None:
    cause = "a" * 32_000
    failed = ran(states(F={"Type": "Fail", "Error": "E", "Cause": cause}))
    pattern = Pattern.anywhere("(?:a?){200}b")
    (difference,) = differences(Expected(cause_pattern=pattern), failed)
    assert difference.came.endswith("which takes too long to compare; simplify the pattern")
