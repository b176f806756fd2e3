"""JSONata: values, what is refused, AWS's functions, and bounds."""

from typing import Any

import pytest

from treadle.asl.chance import Chance
from treadle.asl.evaluator import Answer, Asked, answer
from treadle.asl.jsonata import (
    UNDEFINED,
    JsonataFailed,
    JsonataSyntaxError,
    compile_expression,
    is_expression,
    is_half_open,
)
from treadle.asl.scope import Effort, Scope

STATES = {"input": {"id": 2**60 + 1, "items": [{"price": 5, "id": "a"}, {"price": 20, "id": "b"}]}}


def value(text: str, seed: bytes = b"seed", **variables: Any) -> Any:
    expression = compile_expression("{%" + text + "%}")
    scope = Scope(None, dict, Chance(seed), now_ms=1_767_225_600_000)
    return expression.evaluate({"states": STATES, **variables}, scope)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$states.input.id", 2**60 + 1),
        (" $states.input.items[price > 10].id ", "b"),
        ("$sum($states.input.items.price)", 25),
        ("$x.a + 1", 3),
        ("$x", {"a": 2}),
        ("null", None),
        ("{'a': 1, 'b': $states.input.nothing}", {"a": 1}),
        ("$map([1,2], function($v) { $v * 2 })", [2, 4]),
        ("[1,2,3][$ > 1]", [2, 3]),
        ("$partition([1,2,3], 2)", [[1, 2], [3]]),
        ("$partition([1,2,3], 2.9)", [[1, 2], [3]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        ("$range(-1.7, 1, 1)", [-1, 0, 1]),
        ("$range(2, 2, 1)", 2),
        ("$hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
        ("$random(42)", 0.7275636800328681),
        ("$parse('{\"a\": [1]}')", {"a": [1]}),
        ("$now()", "2026-01-01T00:00:00.000Z"),
        ("$uuid() = $uuid()", False),
        ("($p := $partition; $p([1,2], 1))", [[1], [2]]),
        ("($x := $x.a + 1; $x)", 3),
        ("[($x := 1), $x]", [1, {"a": 2}]),
        ("$states.($x.a)", 2),
        ("$split(?, ' ')('a b')", ["a", "b"]),
        ("$partition(?, 2)([1,2,3])", [[1, 2], [3]]),
        ("$count($map([1,2], $uuid))", 2),
    ],
)
def test_a_value(text: str, wanted: Any) -> None:
    assert value(text, x={"a": 2}) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "$states.input.nothing",
        "$nothing",
        "$x.b.c",
        "[][0]",
        "$partition([1], 0)",
        "$partition([], 1)",
        "$range(1, 2)",
        "$range(1, 2, -1)",
        "$range(1, 2, 0)",
        "$hash('x')",
        "$parse($nothing)",
        "function($x) { $x }",
    ],
)
def test_nothing_is_not_null(text: str) -> None:
    assert value(text, x={"a": 2}) is UNDEFINED


@pytest.mark.parametrize("text", ["$uuid()", "$random()", "$random() + $random()"])
def test_the_same_seed_gives_the_same_chances(text: str) -> None:
    assert value(text) == value(text) != value(text, seed=b"other")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1 + 'a'", "T2002"),
        ("$x()", "T1006"),
        ("$error('mine')", "D3137"),
        ("$range(1, 1000000, 1)", "D2014"),
        ("$partition(1, 2)", "T0410"),
        ("$hash('a', 'CRC')", "T0410"),
        ("$hash('a', ['MD5'])", "T0410"),
        ("$hash('a', 'MD5', 1)", "T0410"),
        ("$random(1, 2)", "T0410"),
        ("$range(0, 1e300, 1)", "D2014"),
        ("$parse('{')", "D3120"),
    ],
)
def test_a_failure_has_a_code(text: str, code: str) -> None:
    with pytest.raises(JsonataFailed, match=f"^{code}: "):
        value(text, x=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 +", "S0207"),
        ("1" + "+1" * 5_000, "10,001 characters and may have 10,000"),
        ("'\ud800'", "half of a surrogate pair"),
        ("$states.input[", "S0203"),
        ("$x ?? 1", "S0211"),
        ("$x ?: 1", "S0211"),
        ("$", "no input document"),
        ("$$.a", "no input document"),
        ("a.b", "no input document"),
        ("$eval('1')", "not available"),
        ("$states := 1", "cannot be assigned"),
        ("$string()", "no input document"),
    ],
)
def test_what_aws_refuses_is_refused(text: str, words: str) -> None:
    with pytest.raises(JsonataSyntaxError) as refused:
        compile_expression("{%" + text + "%}")
    assert words in refused.value.message
    assert refused.value.position >= 2


def test_an_expression_costs_what_it_reads_and_no_more() -> None:
    whole = {"input": {"items": list(range(100_000)), "factor": 2, "deep": {"a": [1], "b": 2}}}
    for text, most in (
        ("$states.input.factor * 2", 20),
        ("$sum($states.input.deep.a) + $states.input.deep.b", 20),
        ("$sum($states.input.items)", 2_000),
    ):
        effort = Effort()
        scope = Scope(None, dict, Chance(b"seed"), effort)
        compile_expression("{%" + text + "%}").evaluate({"states": whole}, scope)
        assert effort.nodes <= most, text
    assert effort.nodes > 1_000


def test_a_result_that_nobody_could_write_is_a_failure() -> None:
    deeper = "$f := function($n, $a) {$n = 0 ? $a : $f($n - 1, [[$a]])}"
    assert value(f"({deeper}; $f(200, 1))")
    with pytest.raises(JsonataFailed, match="U1001: The result is nested too deeply"):
        value(f"({deeper}; $f(300, 1))")


def test_what_is_too_deep_or_too_large_to_be_read_is_a_failure() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(JsonataFailed, match="U1001: What the expression reads is nested too deepl"):
        value("$count($x)", x=deep)
    with pytest.raises(JsonataFailed, match="D1001: "):
        value("$x + 1", x=10**400)


def test_who_evaluates_is_asked_again_until_the_steps_are_enough() -> None:
    asked = []

    def evaluator(question: Asked) -> Answer:
        asked.append(question)
        return answer(question)

    scope = Scope(None, dict, Chance(b"seed"), Effort(evaluator=evaluator))
    expression = compile_expression("{% [$uuid(), $count($map([1..500], function($x) {$x}))] %}")
    first, count = expression.evaluate({}, scope)
    assert count == 500
    assert [question.steps_max for question in asked] == [250, 1_000, 10_000]
    assert len({question.drawn for question in asked}) == 1
    second, _ = expression.evaluate({}, scope)
    assert second != first
    assert asked[-1].drawn == asked[0].drawn + 2  # the seed of each evaluation, and the first uuid


def test_an_expression_says_what_it_reads() -> None:
    expression = compile_expression("{% $a + $states.result.n + $sum($b) + $uuid() %}")
    assert expression.variables == {"a", "b"}
    assert expression.states == {"result"}
    assert compile_expression("{% $nofunction(1) %}").variables == {"nofunction"}
    assert compile_expression("{% ($n := $n + $a; $n) %}").variables == {"a"}
    assert compile_expression("{% ($n := $n + $a; $n) %}").names == {"a", "n"}
    assert compile_expression("{% $count + $sum($a) %}").names == {"a", "count"}


@pytest.mark.parametrize("text", ["$sum", "/a/", "$f := function() { 1 }", "|$|{}|"])
def test_a_function_is_told_from_nothing(text: str) -> None:
    scope = Scope(None, dict, Chance(b"seed"))
    assert compile_expression("{%" + text + "%}").gives_function({}, scope)
    assert not compile_expression("{% $nothing %}").gives_function({}, scope)


@pytest.mark.parametrize(
    "text",
    [
        "($f := function($n) { $f($n + 1) }; $f(0))",
        "($f := function($n) { 1 + $f($n + 1) }; $f(0))",
        "[1..10000000]",
        "$pad('', 1000000000)",
        "$reduce([1..60], function($s) { $s & $s }, 'x')",
        "$map([1..2000], function($a) { $map([1..2000], function($b) { $a * $b }) })",
    ],
)
def test_what_would_not_end_is_ended_by_its_steps_or_size(text: str) -> None:
    with pytest.raises(JsonataFailed):
        value(text)


@pytest.mark.parametrize(
    ("text", "whole", "half"),
    [
        ("{% 1 %}", True, False),
        ("{%%}", True, False),
        ("{% 1", False, True),
        ("1 %}", False, True),
        (" {% 1 %}", False, False),
        ("text", False, False),
    ],
)
def test_delimiters(text: str, whole: bool, half: bool) -> None:
    assert (is_expression(text), is_half_open(text)) == (whole, half)
