"""Definitions, expressions and data that mean harm.

One rule: a case says what harms, never how it is stopped; `errors` are the names that may end it.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.support.machines import Definition, State, chain, mapping, passing

FAILED = ("States.QueryEvaluationError", "States.Runtime", "States.DataLimitExceeded")
CALL = ("States.IntrinsicFailure", *FAILED)

MIB = 2**20
GROW = "$f := function($n, $a) {$n <= 0 ? $a : $f($n - 1, %s)}"
TREE = "(" + GROW % '{"a": $a, "b": $a}' + "; $f(60, 1))"
CHAIN = "(" + GROW % '{"a": $a}' + "; $f(100000, 1))"
LONG = '($x := $pad("", 4000000, "ab"); %s)'
MANY = "($x := [1..800000]; %s)"


@dataclass(frozen=True, slots=True)
class Case:
    """An execution: a definition, its input, and the errors that may end it.

    `given` may be a function that makes the input. `harmless` where it may also succeed: what it
    asks for is much, and allowed.
    """

    definition: Definition
    given: Any = None
    errors: tuple[str, ...] = FAILED
    harmless: bool = False


def query(expression: str, given: Any = None, *, harmless: bool = False) -> Case:
    """A case of one expression."""
    machine = {"QueryLanguage": "JSONata", **chain(passing(Output=f"{{% {expression} %}}"))}
    return Case(machine, given, FAILED, harmless)


def path(expression: str, given: Any, *, harmless: bool = False) -> Case:
    """A case of one path or call."""
    return Case(chain(passing(Parameters={"x.$": expression})), given, CALL, harmless)


def deep(levels: int) -> Any:
    """Data so many levels deep."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def table(count: int) -> Callable[[], Any]:
    """Data of so many rows."""
    return lambda: {"rows": [{"a": n, "b": [n, str(n)], "c": {"d": n}} for n in range(count)]}


RECURSION = {
    "endless-tail-recursion": query("($f := function($n) {$f($n + 1)}; $f(0))"),
    "endless-recursion": query("($f := function($n) {1 + $f($n + 1)}; $f(0))"),
    "exponential-recursion": query(
        "($f := function($n) {$n <= 1 ? 1 : $f($n - 1) + $f($n - 2)}; $f(90))"
    ),
    "mutual-recursion": query(
        "($f := function($n) {$g($n + 1)}; $g := function($n) {$f($n) & 'x'}; $f(0))"
    ),
    "y-combinator": query("($u := function($x) {$x($x)}; $u($u))"),
    "billions-of-steps": query(
        "$map([1..3000], function($a) {$map([1..3000], function($b) {$a * $b})})"
    ),
}
GROWTH = {
    "doubled-text": query("$reduce([1..60], function($s, $i) {$s & $s}, 'x')"),
    "doubled-array": query("$reduce([1..60], function($s, $i) {$append($s, $s)}, [1])"),
    "doubled-object": query(TREE),
    "doubled-objects-compared": query(f"{TREE} = {TREE}"),
    "doubled-objects-sought": query(f"{TREE} in [[{TREE}], [{TREE}]]", harmless=True),
    "doubled-objects-told-apart": query(f"$distinct([{TREE}, {TREE}])"),
    "doubled-objects-as-text": query(f"$string({TREE})"),
    "doubled-objects-hashed": query(f"$hash($string({TREE}), 'MD5')"),
    "doubled-objects-walked": query(f"$count({TREE}.**)"),
    "doubled-objects-changed": query(f"{TREE} ~> |**|{{'c': 1}}|"),
    "deep-object": query(CHAIN),
    "deep-objects-compared": query(f"{CHAIN} = {CHAIN}"),
    "wide-range": query("[1..1e9]"),
    "widest-range-as-text": query("$string([1..9e5])"),
    "range-in-a-range": query("[1..899999].[1..899999]"),
    "ranges-held": query(MANY % "$count([1..1000].[$reverse($x)])"),
    "arrays-held": query(MANY % '$count([1..1000].{"a": $append($x, $)})'),
    "aws-ranges-held": query("$map([1..1000], function($i) {$range(0, 360000, 1)})"),
    "aws-parts-held": query(MANY % "$map([1..1000], function($i) {$partition($x, 1)})"),
    "padding": query("$pad('', 1e9)"),
    "texts-held": query(LONG % "$count([1..100000].($uppercase($x)))"),
    "texts-joined": query(LONG % "$count([1..1000].($x & $string($)))"),
    "texts-split": query(LONG % "$map([1..1000], function($i) {$count($split($x, 'a'))})"),
    "replaced-by-more": query(LONG % "$replace($x, 'a', $x)"),
    "objects-grouped": query("[1..800000]{$string($): [$, $, $]}"),
    "four-mebibytes-as-output": query("$pad('', 4194000)"),
}
SLOW = {
    "sorted-by-a-function": query("$sort([1..800000], function($l, $r) {$l < $r})"),
    "sorted-texts": query("$count($sort([1..300000].$string($)))", harmless=True),
    "sorted-again-and-again": query(MANY % "$map([1..1000], function($i) {$count($sort($x))})"),
    "told-apart": query("$count($distinct([1..800000]))"),
    "keys-of-many": query("$count($keys([1..100000].{$string($): 1}))"),
    "merged-many": query("$count($keys($merge([1..200000].{$string($): 1})))"),
    "hashed-again-and-again": query(LONG % "$map([1..10000], function($i) {$hash($x, 'SHA-512')})"),
    "sought-again-and-again": query(LONG % "$map([1..10000], function($i) {$contains($x, 'c')})"),
    "read-again-and-again": query(
        "($s := $string([1..400000]); $map([1..1000], function($i) {$count($parse($s))}))"
    ),
    "regular-expression-nested": query("$match($pad('', -60, 'a') & 'b', /(a+)+$/)"),
    "regular-expression-alike": query("$match($pad('', -100000, 'a'), /a*a*a*a*a*b/)"),
    "regular-expression-replaced": query("$replace($pad('', -60, 'x') & 'z', /(x+x+)+y/, 'b')"),
    "regular-expression-split": query("$split($pad('', -100000, 'a'), /(a*)*b/)"),
    "regular-expression-sought": query("$contains($pad('', -100000, 'a'), /(.*)*(.*)*(.*)*b/)"),
    "regular-expression-counted": query("$match($pad('', -9999, 'a'), /((a{1,99}){1,99}){1,99}b/)"),
    "regular-expression-often": query("$count($match($pad('', -1000000, 'a'), /a/))"),
    "number-picture": query("$formatNumber(1e300, '#,##0.' & $pad('', 1000000, '0'))"),
    "date-picture": query("$fromMillis(0, '[Y,1000000000-1000000000]')", harmless=True),
    "date-pictures": query("$fromMillis(0, $pad('', 1000000, '[Y]'))"),
    "integer-picture": query("$formatInteger(1e300, $pad('', 1000000, '0'))", harmless=True),
    "deep-text-parsed": query("$parse($pad('', 2000000, '['))"),
    "wide-text-parsed": query(
        "$parse('[' & $join($map([1..900000], function($v) {'{}'}), ',') & ']')"
    ),
}
DATA = {
    "deep-data-walked": query("$count($states.input.**.**.**)", deep(240), harmless=True),
    "wide-data-walked": query("$count($states.input.**.**.**)", table(10_000), harmless=True),
    "wide-data-joined": query("$states.input.rows@$x.rows@$y[$x.a = $y.b].{'n': $x}", table(9_000)),
    "wide-data-sorted": query("$states.input.rows^(b[1], c.d, a).b", table(15_000), harmless=True),
    "path-over-everything": path("$..*..*..*", table(9_000)),
    "path-filtered-by-paths": path("$..[?(@..[?(@.a in $..a)])]", table(9_000)),
    "path-compared-deeply": path("$.rows[?(@ in $.rows)]", table(9_000)),
    "path-nested-patterns": path("$..[?(@.x =~ /(a+)+(a+)+(a*)*b/)]", {"x": "a" * (MIB - 99)}),
    "format-of-formats": path(
        f"States.Format('{'{}' * 9}', {', '.join(['$.x'] * 9)})", {"x": "y" * (MIB - 99)}
    ),
    "call-with-everything": path(
        f"States.ArrayUnique(States.Array({', '.join(['$..*'] * 40)}))", table(9_000)
    ),
}


def _several(name: str, items: Iterable[Any], given: Any = None, language: str = "JSONata") -> Case:
    machine = {"QueryLanguage": language, **chain(passing(**{name: list(items)}))}
    return Case(machine, given, CALL)


def _selecting(selector: Any, given: Any, **more: Any) -> Case:
    state = mapping(chain(Inner=passing()), ItemSelector=selector, **more)
    is_query = "Items" in more
    language = {"QueryLanguage": "JSONata"} if is_query else {}
    return Case({**language, **chain(state)}, given, CALL)


def _choosing(rules: list[State], given: Any, **more: Any) -> Case:
    ruled = [{**rule, "Next": "End"} for rule in rules]
    states = {
        "S": {"Type": "Choice", "Choices": ruled, "Default": "End"},
        "End": {"Type": "Succeed"},
    }
    return Case({"StartAt": "S", "States": states, **more}, given, CALL)


def _remembering() -> Case:
    """Variables of ten mebibytes, read whole by a thousand expressions."""
    text = "y" * (MIB - 9_000)
    keep = [passing(Assign={f"v{n}": f"{{% $states.input.x & '{n}' %}}"}) for n in range(10)]
    reads = " & ".join(f"$substring($v{n}, 0, 1)" for n in range(10))
    every = passing(Output=[f"{{% {reads} & '{n}' %}}" for n in range(1_000)])
    return Case({"QueryLanguage": "JSONata", **chain(*keep, every)}, {"x": text}, CALL)


STEPS = "$count($map([1..%d], function($x) {$x * 2}))"
MANY_TIMES = {
    "slow-expressions-in-one-output": _several(
        "Output", (f"{{% {STEPS % 30_000} + {n} %}}" for n in range(1_000))
    ),
    "slow-expressions-uncounted": _several(
        "Output", (f"{{% $count($sort([1..500000])) + {n} %}}" for n in range(1_000))
    ),
    "regular-expressions-uncounted": _several(
        "Output",
        (f"{{% $match($pad('', -25, 'a') & 'b', /(a+)+$/) = {n} %}}" for n in range(1_000)),
    ),
    "four-mebibytes-a-thousand-times": _several(
        "Output", (f"{{% $pad('', 4194000 - {n}) %}}" for n in range(1_000))
    ),
    "four-mebibytes-assigned": Case(
        {
            "QueryLanguage": "JSONata",
            **chain(passing(Assign={f"v{n}": "{% $pad('', 4194000) %}" for n in range(1_000)})),
        }
    ),
    "input-a-thousand-times": _several(
        "Output", (f"{{% $string($states.input) & '{n}' %}}" for n in range(1_000)), table(9_000)
    ),
    "variables-a-thousand-times": _remembering(),
    "slow-selectors": _selecting("{% " + STEPS % 90_000 + " %}", None, Items="{% [1..10000] %}"),
    "selectors-that-nobody-counts": _selecting(
        "{% $count($sort([1..400000])) %}", None, Items="{% [1..10000] %}"
    ),
    "selectors-of-everything": _selecting(
        {"x.$": "$..*"}, {"rows": list(range(10_000))}, ItemsPath="$.rows"
    ),
    "slow-batches": _selecting(
        "{% " + STEPS % 90_000 + " %}",
        None,
        Items="{% [1..10000] %}",
        ItemBatcher={"MaxInputBytesPerBatch": 100_000},
    ),
    "slow-conditions": _choosing(
        [{"Condition": f"{{% {STEPS % 30_000} = {n} %}}"} for n in range(1_000)],
        None,
        QueryLanguage="JSONata",
    ),
    "slow-rules": _choosing(
        [{"Variable": f"$..[?(@.a > {n})]..a", "IsNull": True} for n in range(1_000)], table(9_000)
    ),
    "paths-a-thousand-times": Case(
        chain(passing(Parameters={f"v{n}.$": f"$..[?(@.a > {n})]" for n in range(1_000)})),
        table(9_000),
        CALL,
    ),
    "whole-input-ten-thousand-times": Case(
        chain(passing(Parameters={f"v{n}.$": "$" for n in range(10_000)})),
        {"x": "y" * 900_000},
        CALL,
    ),
}
MANY_TIMES["slow-batches"].definition["States"]["S1"]["ItemProcessor"]["ProcessorConfig"] = {
    "Mode": "DISTRIBUTED",
    "ExecutionType": "STANDARD",
}

CASES: dict[str, Case] = {**RECURSION, **GROWTH, **SLOW, **DATA, **MANY_TIMES}


# ------------------------------------------------------------------------------- definitions


def _query_text(expression: str) -> str:
    state = {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}
    return json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}})


def _path_text(paths: Iterable[str]) -> str:
    parameters = {f"v{n}.$": text for n, text in enumerate(paths)}
    return json.dumps(chain(passing(Parameters=parameters)))


def _outputs_text(expressions: Iterable[str]) -> str:
    outputs = [f"{{% {text} %}}" for text in expressions]
    return json.dumps({"QueryLanguage": "JSONata", **chain(passing(Output=outputs))})


Make = Callable[[], str]
DOCUMENTS: dict[str, tuple[Make, str]] = {
    "parentheses": (lambda: _query_text("(" * 100_000 + "1" + ")" * 100_000), "jsonata-invalid"),
    "brackets": (lambda: _query_text("[" * 100_000 + "1" + "]" * 100_000), "jsonata-invalid"),
    "minuses": (lambda: _query_text("-" * 100_000 + "1"), "jsonata-invalid"),
    "brackets-within-the-length": (lambda: _query_text("[" * 9_900), "jsonata-invalid"),
    "minuses-within-the-length": (lambda: _query_text("-" * 9_900 + "1"), "jsonata-invalid"),
    "filters-within-filters": (lambda: _query_text("$v" + "[$v" * 3_000), "jsonata-invalid"),
    "long-path": (lambda: _query_text("$v" + ".a" * 400_000), "jsonata-invalid"),
    "variable-that-is-itself": (
        lambda: _query_text("($a := $v;" + "$a := $a.b;" * 60_000 + "$a)"),
        "too-many-expressions",
    ),
    "variables-that-are-themselves": (
        lambda: _outputs_text(
            ["($a := $v;" + "$a := $a.b;" * 800 + f"$a.x{n})" for n in range(100)]
        ),
        "too-many-expressions",
    ),
    "as-many-assignments-as-may-be": (
        lambda: _outputs_text(
            "($a := $v;"
            + "".join(f"$a := [$a.x{m}, $a.b{m}, $a.c{m}, $a.d{m}];" for m in range(119))
            + f"$a.z{n})"
            for n in range(5)
        ),
        "",
    ),
    "as-many-expressions-as-may-be": (
        lambda: _outputs_text(f"$v{n}.a + {n} & $string($states.input.x{n})" for n in range(4_000)),
        "",
    ),
    "more-expressions-than-may-be": (
        lambda: _outputs_text(f"$v{n}.a + {n}" for n in range(30_000)),
        "too-many-expressions",
    ),
    "as-many-patterns-as-may-be": (
        lambda: _path_text(f"$[?(@.a{n} =~ /(a{{1,990}})x/)]" for n in range(100)),
        "",
    ),
    "more-patterns-than-may-be": (
        lambda: _path_text(f"$[?(@.a{n} =~ /(a{{1,990}})x/)]" for n in range(15_000)),
        "too-many-expressions",
    ),
    "patterns-in-patterns": (
        lambda: _path_text(f"$[?(@.a{n} =~ /((((a{{1,9}}){{1,9}}){{1,9}})x/)]" for n in range(100)),
        "template-invalid",
    ),
    "as-many-filters-as-may-be": (
        lambda: _path_text(
            "$[?(" + "||".join(f"@.a{n}=={m}" for m in range(200)) + ")]" for n in range(200)
        ),
        "",
    ),
    "more-filters-than-may-be": (
        lambda: _path_text(
            "$[?(" + "||".join(f"@.a{n}=={m}" for m in range(200)) + ")]" for n in range(201)
        ),
        "too-many-expressions",
    ),
    "nested-calls": (
        lambda: _path_text("States.Array(" * 9 + f"$.a{n}" + ")" * 9 for n in range(5_000)),
        "",
    ),
    "yaml-of-many-parts": (lambda: "[" + "a," * 500_000 + "]", "document-too-large"),
    "yaml-of-aliases": (
        lambda: "a: &a [x, x, x]\n" + "\n".join(f"b{n}: *a" for n in range(80_000)),
        "document-too-large",
    ),
    "yaml-that-laughs": (
        lambda: "\n".join(
            ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
            + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
        ),
        "document-too-large",
    ),
    "yaml-of-one-text": (lambda: "a: " + "b " * 500_000, "member-unknown"),
    "yaml-of-brackets": (lambda: "[" * 999_999 + "a", "document-too-deep"),
    "json-of-brackets": (lambda: "[" * 1_000_000, "document-too-deep"),
    "json-of-one-key": (lambda: "{" + '"a": 2,' * 149_000 + '"b": 1}', "document-duplicate-key"),
    "json-of-one-number": (lambda: "[" + "1" * 1_000_000 + "]", "document-not-parsed"),
    "states-without-end": (
        lambda: json.dumps(
            {"StartAt": "S", "States": {f"S{n}": {"Type": "Pass"} for n in range(20_000)}}
        ),
        "next-or-end",
    ),
}
