"""What the text of an expression says: later operators, what it assigns and reads at its top."""

import pytest

from treadle.asl.jsonata import compile_expression
from treadle.asl.jsonata_text import assigned_names, later_operator, top_reference


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$a ?? 1", ("??", 3)),
        ("$a?:1", ("?:", 2)),
        ("/* ?: */ $a[/[?]?:/($)] ?: 1", ("?:", 24)),
        ("$a ? 1 : 2", None),
        ("'??' & \"?:\" & `?:`", None),
        ("$match($a, /(?:x\\/[/?:])a??/im)", None),
        ("$match($a, /(((a)/b))??/) ?: 2", ("?:", 26)),
        ("4 / $a /* ?? */ / 2", None),
        ("function($x, $y)<n-n?:n> { $x / $y }(1)", None),
        ("$f(?, 1)", None),
    ],
)
def test_an_operator_of_a_later_jsonata_is_found(text: str, found: tuple[str, int] | None) -> None:
    assert later_operator(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("($a := 1; $b:=$a; $a := $c)", {"a": 1, "b": 10}),
        ("($f := function($x) { ($y := $x) })", {"f": 1, "y": 23}),
        ("$a /* $b := 1 */ := 1", {"a": 0}),
        ("'$a := 1' & `$b := 1` & $c", {}),
        ("$match($a, /$b := 1/)", {}),
        ("$a = 1 ? $b : $c", {}),
    ],
)
def test_what_an_expression_assigns_is_found(text: str, found: dict[str, int]) -> None:
    assert assigned_names(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$", "$"),
        ("$f($)", "$"),
        ("$a & $", "$"),
        ("{'a': $}", "$"),
        ("[$]", "$"),
        ("function($x)<x:x> { $ }", "$"),
        ("λ() { name }", "name"),
        ("$a[$$ = 1]", "$$"),
        ("$f(name)", "name"),
        ("`a b` + 1", "a b"),
        ("and and true", "and"),
        ("* + 1", "*"),
        ("[**]", "**"),
        ("$a.b; name", "name"),
        ("$a.(b).c + d", "d"),
        ("$a ~> |b|{'c': d}, e| ~> f", "f"),
        ("$a{b: c} & d", "d"),
        ("$string()", "$"),
        ("$f(1) & $string()", "$"),
    ],
)
def test_what_has_no_context_is_read_at_the_top(text: str, found: str) -> None:
    assert top_reference(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "$a.$",
        "$a.b.`c`",
        "$a.($ + b)",
        "$a.{'x': b, c: $}",
        "$a.[$, b]",
        "$a.$f($)",
        "$a.function($x) { b }($)",
        "$a[$ > 1].b[c]",
        "$a{b: $}",
        "$a^(>b, $)",
        "$a^(b){c: $sum(d)}",
        "$a.*.**",
        "2 * $a ** 3",
        "$a ~> |b[c]|{'d': $ & e}, 'f'|",
        "$a.(($ ~> |b|{'c': d}|).e)",
        "$a@$b.c#$i[d]",
        "$f(1)(2)",
        "$f(?, 1)(true, false, null, 1.5e3)",
        "$a.b.$string()",
        "$a ~> $uppercase()",
        "$f() & $uuid()",
        "function() { 1 }()",
        "{'f': 1}.f()",
        "1 in 2 and $a or $b",
        "'text' & \"text\"",
        "$f(/[/(\\)](a/b)/im) ~> $g",
    ],
)
def test_what_has_a_context_is_not_at_the_top(text: str) -> None:
    assert top_reference(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "($n := $n + 1; $n)",
        "($f := $substring(?, 1); $f('ab'))",
        "$split(?, ' ')('a b')",
        "($f := $uppercase ~> $trim; $f('a'))",
        "function($x)<s-> { $x }()",
        "($f := [$uppercase]; $f[0]('a'))",
        "$x{k: v} ~> $f",
    ],
)
def test_a_value_that_cannot_be_followed_reads_no_input(text: str) -> None:
    compile_expression("{%" + text + "%}")
