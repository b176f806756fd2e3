"""Conditions: 39 operators, three connectives, what is no match and what is an error."""

import time

import pytest

from treadle.asl.chance import Chance
from treadle.asl.choices import OPERATORS, ConditionSyntaxError, compile_condition
from treadle.asl.errors import EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.scope import Scope

EVERYTHING: list[Json] = [None, 0, 1.5, True, False, "", "a", [], [""], {}, {"A": 0}]
EARLY, LATE = "2016-03-14T01:59:00Z", "2016-03-14T01:59:01Z"


def holds(rule: Json, data: Json) -> bool:
    context = {"State": {"Name": "s"}}
    return compile_condition(rule).matches(Scope(data, lambda: context, Chance(b"seed")))


def compares(operator: str, variable: Json, operand: Json) -> bool:
    """The literal form and, where there is one, the path form, which must agree."""
    literal = holds({"Variable": "$.v", operator: operand}, {"v": variable})
    if operator + "Path" in OPERATORS:
        rule = {"Variable": "$.v", operator + "Path": "$.o"}
        assert holds(rule, {"v": variable, "o": operand}) is literal
    return literal


@pytest.mark.parametrize(
    ("operator", "variable", "operand", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", " ", "  ", False),
        ("StringLessThan", "A", "AB", True),
        ("StringLessThan", "AB", "A", False),
        ("StringLessThan", "\U0001f600", "\uff5e", True),
        ("StringGreaterThan", "b", "a", True),
        ("StringGreaterThan", "a", "a", False),
        ("StringLessThanEquals", "a", "a", True),
        ("StringGreaterThanEquals", "", "", True),
        ("StringGreaterThanEquals", "A", "AB", False),
        ("StringEquals", EARLY, EARLY, True),
        ("NumericEquals", 1, 1.0, True),
        ("NumericEquals", 2.22, 2.22, True),
        ("NumericEquals", 9007199254740993, 9007199254740992, False),
        ("NumericLessThan", 0, 1, True),
        ("NumericLessThan", 1, 1, False),
        ("NumericGreaterThan", 1.5, 1, True),
        ("NumericLessThanEquals", 1, 1, True),
        ("NumericGreaterThanEquals", 0, 1, False),
        ("BooleanEquals", True, True, True),
        ("BooleanEquals", False, False, True),
        ("BooleanEquals", False, True, False),
        ("TimestampEquals", EARLY, "2016-03-14T02:59:00+01:00", True),
        ("TimestampEquals", EARLY, "2016-03-14T01:59:00.000Z", True),
        ("TimestampLessThan", EARLY, LATE, True),
        ("TimestampLessThan", LATE, EARLY, False),
        ("TimestampGreaterThan", "2016-03-14T01:59:00.5Z", EARLY, True),
        ("TimestampLessThanEquals", EARLY, EARLY, True),
        ("TimestampGreaterThanEquals", EARLY, LATE, False),
        ("TimestampEquals", "2016-03-14T01:59:00", EARLY, False),
        ("TimestampEquals", "2016-03-14t01:59:00Z", EARLY, False),
        ("TimestampEquals", "2016-02-30T01:59:00Z", EARLY, False),
        ("IsNull", None, True, True),
        ("IsNull", 0, False, True),
        ("IsNumeric", 1.5, True, True),
        ("IsNumeric", True, True, False),
        ("IsNumeric", "1", False, True),
        ("IsString", "", True, True),
        ("IsString", None, True, False),
        ("IsBoolean", False, True, True),
        ("IsBoolean", 0, False, True),
        ("IsTimestamp", EARLY, True, True),
        ("IsTimestamp", "2012-10-09T19:00:55", True, False),
        ("IsTimestamp", "2012-10-09T19:00:55+01:00", True, True),
        ("IsTimestamp", "2023-02-24", False, True),
        ("IsTimestamp", 0, True, False),
        ("IsPresent", None, True, True),
        ("IsPresent", "a", False, False),
    ],
)
def test_an_operator_compares(operator: str, variable: Json, operand: Json, expected: bool) -> None:
    assert compares(operator, variable, operand) is expected


@pytest.mark.parametrize(
    ("operator", "operand"),
    [
        ("StringEquals", "a"),
        ("StringLessThan", "b"),
        ("StringMatches", "*"),
        ("NumericEquals", 0),
        ("NumericLessThanEquals", 9),
        ("BooleanEquals", True),
        ("TimestampLessThan", LATE),
    ],
)
def test_a_value_of_another_kind_is_no_match(operator: str, operand: Json) -> None:
    kinds = {"S": str, "B": bool, "T": str}
    for value in EVERYTHING:
        if isinstance(value, kinds.get(operator[0], int | float)) and (
            operator[0] != "N" or not isinstance(value, bool)
        ):
            continue
        assert compares(operator, value, operand) is False


@pytest.mark.parametrize("operand", EVERYTHING)
def test_an_operand_of_another_kind_is_no_match(operand: Json) -> None:
    rule = {"Variable": "$.v", "TimestampEqualsPath": "$.o"}
    assert holds(rule, {"v": EARLY, "o": operand}) is False


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("log-2026.txt", "log-*.txt", True),
        ("log-2026.txt", "log-*", True),
        ("log-2026.txt", "*", True),
        ("log-2026.txt", "log", False),
        ("log", "log", True),
        ("", "*", True),
        ("", "", True),
        ("ab", "a*b", True),
        ("a", "a*a", False),
        ("aXbYc", "a*b*c", True),
        ("aXYc", "a*b*c", False),
        ("abcbc", "a*bc*bc", True),
        ("abc", "a*bc*bc", False),
        ("a*b", "a\\*b", True),
        ("aXb", "a\\*b", False),
        ("a\\b", "a\\\\b", True),
        ("a\\Xb", "a\\\\*b", True),
        ("a\\nb", "a\\nb", True),
        ("a\nb", "a*b", True),
        ("a.b", "a?b", False),
    ],
)
def test_a_pattern_matches_with_asterisks(text: str, pattern: str, expected: bool) -> None:
    assert holds({"Variable": "$", "StringMatches": pattern}, text) is expected


def test_a_pattern_of_many_asterisks_takes_linear_time() -> None:
    began = time.perf_counter()
    assert not holds({"Variable": "$", "StringMatches": "*a" * 2000 + "b"}, "a" * 200_000)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "rule",
    [
        {"Variable": "$.no", "StringEquals": "a"},
        {"Variable": "$.no", "IsNull": True},
        {"Variable": "$.no", "IsString": False},
        {"Variable": "$.no.deeper", "NumericEquals": 1},
        {"Variable": "$.a", "StringEqualsPath": "$.no"},
        {"Not": {"Variable": "$.no", "StringEquals": "a"}},
    ],
)
def test_a_path_that_finds_nothing_fails_as_aws_words_it(rule: Json) -> None:
    path = "$.no.deeper" if "deeper" in str(rule) else "$.no"
    with pytest.raises(EvaluationFailed) as caught:
        holds(rule, {"a": "x"})
    assert (caught.value.name, caught.value.cause) == (
        "States.Runtime",
        f"Invalid path '{path}': The choice state's condition path references an invalid value.",
    )


@pytest.mark.parametrize(
    ("path", "present"),
    [("$.a", True), ("$.no", False), ("$.no.no", False), ("$.l[*]", True), ("$.l[?(@.x)]", False)],
)
def test_presence_never_fails(path: str, present: bool) -> None:
    data = {"a": None, "l": [1]}
    assert holds({"Variable": path, "IsPresent": True}, data) is present
    assert holds({"Variable": path, "IsPresent": False}, data) is not present


def test_connectives_stop_where_the_answer_is_known() -> None:
    yes = {"Variable": "$.a", "NumericEquals": 1}
    no = {"Variable": "$.a", "NumericEquals": 2}
    fails = {"Variable": "$.no", "NumericEquals": 2}
    data = {"a": 1}
    assert holds({"And": [yes, yes]}, data)
    assert not holds({"And": [no, fails]}, data)
    assert holds({"Or": [no, yes, fails]}, data)
    assert not holds({"Or": [no, no]}, data)
    assert holds({"Not": no}, data)
    assert holds({"And": [{"Not": {"Or": [no, no]}}, yes], "Next": "X", "Comment": "c"}, data)


def test_a_variable_may_be_of_the_context_object() -> None:
    assert holds({"Variable": "$$.State.Name", "StringEquals": "s", "Next": "X"}, {})


def test_there_are_39_operators() -> None:
    assert len(OPERATORS) == 39


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        ("x", {"": "must be an object"}),
        ({}, {"": "exactly one operator; given: none"}),
        ({"Variable": "$.a"}, {"": "exactly one operator"}),
        (
            {"Variable": "$.a", "IsNull": True, "IsString": True},
            {"": "given: IsNull, IsString"},
        ),
        ({"IsNull": True}, {"": "needs a Variable"}),
        ({"Variable": 1, "IsNull": True}, {"/Variable": "must be a path"}),
        ({"Variable": "$.", "IsNull": True}, {"/Variable": "must be a path: Path must not end"}),
        ({"Variable": "$", "StringEquals": 1}, {"/StringEquals": "must be a string"}),
        ({"Variable": "$", "StringMatches": None}, {"/StringMatches": "must be a string"}),
        ({"Variable": "$", "NumericEquals": True}, {"/NumericEquals": "must be a number"}),
        ({"Variable": "$", "BooleanEquals": "true"}, {"/BooleanEquals": "must be true or false"}),
        ({"Variable": "$", "IsPresent": "x"}, {"/IsPresent": "must be true or false"}),
        ({"Variable": "$", "TimestampEquals": "2016"}, {"/TimestampEquals": "RFC3339"}),
        ({"Variable": "$", "StringEqualsPath": "x"}, {"/StringEqualsPath": "must be a path"}),
        ({"Variable": "$", "StringEqualsPath": None}, {"/StringEqualsPath": "must be a path"}),
        ({"Variable": "$", "IsNull": True, "A/b": 1}, {"/A~1b": "has no member 'A/b'"}),
        ({"And": []}, {"/And": "non-empty array"}),
        ({"Or": {}}, {"/Or": "non-empty array"}),
        ({"Not": []}, {"/Not": "must be an object"}),
        ({"Variable": "$", "Not": {"Variable": "$", "IsNull": True}}, {"/Variable": "beside Not"}),
        (
            {
                "And": [
                    {"Variable": "$", "IsNull": True, "Next": "X"},
                    {"Or": [{"Variable": "$", "NumericEquals": "1"}, 1]},
                ]
            },
            {
                "/And/0/Next": "only allowed in the outermost rule",
                "/And/1/Or/0/NumericEquals": "must be a number",
                "/And/1/Or/1": "must be an object",
            },
        ),
        (
            {"Not": {"Variable": "$", "IsNull": True, "Assign": {"v": 1}, "Comment": 5}},
            {"/Not/Assign": "only allowed in the outermost rule", "/Not/Comment": "be a text"},
        ),
        (
            {"And": [{"Variable": "$", "IsNull": True, "Output": 1}]},
            {"/And/0/Output": "has no member 'Output'"},
        ),
    ],
)
def test_all_problems_of_a_rule_are_told(rule: Json, problems: dict[str, str]) -> None:
    with pytest.raises(ConditionSyntaxError) as caught:
        compile_condition(rule)
    told = dict(caught.value.problems)
    assert list(told) == list(problems)
    for pointer, message in problems.items():
        assert message in told[pointer]


def test_rules_have_a_depth() -> None:
    def negated(times: int) -> Json:
        rule: Json = {"Variable": "$", "IsNull": True}
        for _ in range(times):
            rule = {"Not": rule}
        return rule

    assert holds(negated(98), None)
    with pytest.raises(ConditionSyntaxError, match="nested at most 100 deep"):
        compile_condition(negated(100))
