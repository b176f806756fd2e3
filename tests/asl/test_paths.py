"""Paths: what they find, what they say when they find nothing. Expectations: Jayway JsonPath."""

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.paths import PathNotFound, PathSyntaxError, compile_path
from treadle.asl.scope import Scope

DATA: Json = {
    "a": {"b": {"c": 1}, "l": [1, 2, 3, "x", None]},
    "n": None,
    "s": "txt",
    "arr": [{"p": 1, "q": "u"}, {"p": 2, "r": [{"x": 5}, {"x": 6}]}, {"p": "3"}],
    "nested": [[1, 2], [3, [4, 5]]],
    "delivery-partner": "dp",
    "x y": 1,
    "0": "zero",
    "e": [],
    "o": {},
    'Test""Name"': "odd",
}


def scope_of(data: Json, context: Json = None) -> Scope:
    return Scope(data, lambda: context, Chance(b"seed"))


def find(text: str, data: Json = DATA) -> Json:
    return compile_path(text).find(scope_of(data))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$ ", DATA),
        ("$.a.b.c", 1),
        ("$.n", None),
        ("$.a['b']", {"c": 1}),
        ("$.a.['b'].c", 1),
        ('$["x y"]', 1),
        ("$['x y']", 1),
        ('$[ "s" ]', "txt"),
        ("$.delivery-partner", "dp"),
        ("$.0", "zero"),
        ("$.arr[0].q", "u"),
        ("$.arr[-1]", {"p": "3"}),
        ("$.arr[ 1 ].p", 2),
        ("$.nested[1][1][0]", 4),
        ("$['s','n']", {"s": "txt", "n": None}),
        ("$.a['b','zz']", {"b": {"c": 1}}),
        ("$['zz','yy']", {}),
        ('$[\'Test\\""Name"\']', "odd"),
        ("$['\\u0073']", "txt"),
        ("$.arr.length()", 3),
        ("$.a.length()", 2),
        ("$.s.length()", None),
        ("$.a.l.size()", 5),
        ("$.a.keys()", ["b", "l"]),
        ("$.arr.keys()", None),
        ("$.a.l.first()", 1),
        ("$.a.l.last()", None),
        ("$.a.l.index(1)", 2),
        ("$.a.l.index( -2 )", "x"),
        ("$.a.l.sum()", 6.0),
        ("$.nested[0].min()", 1.0),
        ("$.nested[0].max()", 2.0),
        ("$.nested[0].avg()", 1.5),
        ("$.nested[0].stddev()", 0.5),
    ],
)
def test_a_definite_path_finds_its_node(path: str, value: Json) -> None:
    assert compile_path(path).is_definite
    assert find(path) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.arr[*].q", ["u"]),
        ("$.arr[*].no", []),
        ("$.arr.*.p", [1, 2, "3"]),
        ("$.s.*", []),
        ("$.n[*]", []),
        ("$.a.l[0,2]", [1, 3]),
        ("$.a.l[0, 9]", [1]),
        ("$.arr[9,10].x", []),
        ("$.a['b','l'].c", [1]),
        ("$.a.l[1:]", [2, 3, "x", None]),
        ("$.a.l[:2]", [1, 2]),
        ("$.a.l[:-2]", [1, 2, 3]),
        ("$.a.l[:-9]", []),
        ("$.a.l[-2:]", ["x", None]),
        ("$.a.l[-9:]", [1, 2, 3, "x", None]),
        ("$.a.l[1:3]", [2, 3]),
        ("$.a.l[2:-1]", []),
        ("$.a.l[-3:-1]", [3, "x"]),
        ("$.a.l[-4:1]", [2, 3, "x", None, 1]),
        ("$.a.l[3:1]", []),
        ("$.a.l[1:3:2]", [2, 3]),
        ("$.e[0:1]", []),
        ("$..p", [1, 2, "3"]),
        ("$..no", []),
        ("$..['p','q']", [{"p": 1, "q": "u"}]),
        ("$..['p','x'].y", []),
        ("$..[0]", [1, {"p": 1, "q": "u"}, {"x": 5}, [1, 2], 1, 3, 4]),
        ("$..[1].x", [6]),
        ("$..[0:1]", [1, {"p": 1, "q": "u"}, {"x": 5}, [1, 2], 1, 3, 4]),
        ("$.arr..x", [5, 6]),
        ("$.s..x", []),
        ("$.nested..*", [[1, 2], [3, [4, 5]], 1, 2, 3, [4, 5], 4, 5]),
        ("$.arr[*].length()", [2, 2, 1]),
        ("$..[?(@.x)].x", [5, 6]),
        ("$..[?(@ > 1)]", []),
        ("$.arr[*].p.x", []),
        ("$.arr[*][0]", []),
        ("$.nested[*][?(@ > 1)]", [2, 3]),
        ("$.arr[*].p[?(@.x)]", []),
    ],
)
def test_an_indefinite_path_gives_all_its_matches(path: str, value: Json) -> None:
    assert not compile_path(path).is_definite
    assert find(path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$.no", "No results for path: $['no']"),
        ("$.a.no", "No results for path: $['a']['no']"),
        ("$.no.x", "Missing property in path $['no']"),
        ("$.a.no.x.y", "Missing property in path $['a']['no']"),
        ("$.no[*]", "Missing property in path $['no']"),
        ("$.no..x", "Missing property in path $['no']"),
        ("$.no.length()", "Missing property in path $['no']"),
        ("$.arr[7]", "No results for path: $['arr'][7]"),
        ("$.arr[-9]", "No results for path: $['arr'][-9]"),
        ("$.arr[9].x", "No results for path: $['arr'][9]['x']"),
        ('$["no"]', 'No results for path: $["no"]'),
        ("$.n[0]", "The path $['n'] is null"),
        ("$.s[0]", "Filter: [0] can only be applied to arrays. Current context is: txt"),
        (
            "$.a.b[0].c",
            "Filter: [0]['c'] can only be applied to arrays. Current context is: {c=1}",
        ),
        (
            "$.s[0:1]..p",
            "Filter: [0:1]..['p'] can only be applied to arrays. Current context is: txt",
        ),
        (
            "$.s[0:].length()",
            "Filter: [0:].length() can only be applied to arrays. Current context is: txt",
        ),
        ("$.s[0:1]", "Filter: [0:1] can only be applied to arrays. Current context is: txt"),
        (
            "$.s[?(@.x)]",
            "Filter: [?] can not be applied to primitives. Current context is: txt",
        ),
        ("$.e.first()", "Index 0 out of bounds"),
        ("$.s.index(1)", "Index 1 out of bounds"),
        (
            "$.s.sum()",
            "Aggregation function attempted to calculate value using empty array",
        ),
    ],
)
def test_a_path_that_does_not_fit_says_so_as_jayway_does(path: str, message: str) -> None:
    with pytest.raises(PathNotFound) as caught:
        find(path)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("$.s.t", "java.lang.String"),
        ("$.n.t", "null"),
        ("$.a.b.c.d", "java.lang.Integer"),
        ("$.arr.p", "java.util.ArrayList"),
        ("$.n['p','q']", "null"),
    ],
)
def test_a_member_of_what_is_no_object_is_not_found(path: str, kind: str) -> None:
    with pytest.raises(PathNotFound, match=f"but found '{kind}'"):
        find(path)


def test_an_aggregate_of_a_number_past_all_floats_is_not_found() -> None:
    with pytest.raises(PathNotFound, match="too large"):
        find("$.sum()", [10**400])


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("", 0),
        ("a.b", 0),
        (" $.a", 0),
        ("$1foo", 1),
        ("$foo-bar", 4),
        ("$$23", 2),
        ("$$foo.bar", 2),
        ("$.", 2),
        ("$..", 3),
        ("$.a.", 4),
        ("$...a", 3),
        ("$. s", 2),
        ("$.x y", 2),
        ("$[s]", 2),
        ("$[", 2),
        ("$[]", 2),
        ("$['s", 2),
        ("$['s'", 5),
        ("$['s'x]", 5),
        ("$['s',]", 6),
        ("$['\\u00zz']", 5),
        ("$.a[0", 5),
        ("$.a[0 1]", 6),
        ("$.a[0,]", 6),
        ("$.a[1.5]", 5),
        ("$.a[- 1]", 4),
        ("$.a[0]p", 6),
        ("$.a.*b", 5),
        ("$.a.foo()", 4),
        ("$.a.length(1)", 10),
        ("$.a.index()", 9),
        ("$.a.length().b", 12),
        ("$..length()", 11),
        ("$.a[?]", 5),
        ("$.a[?()]", 6),
        ("$.a[?(@.b]", 9),
        ("$.a[?(@.b)", 10),
        ("$.a[?(1)]", 6),
        ("$.a[?(@.b <> 2)]", 11),
        ("$.a[?(@.b type string)]", 10),
        ("$.a[?(!@.b == 1)]", 11),
        ("$.a[?(@.b == )]", 13),
        ("$.a[?(@.b =~ x)]", 13),
        ("$.a[?(@.b =~ /x)]", 13),
        ("$.a[?(@.b =~ /(x/)]", 16),
        ("$.a[?(@.b in [1 2])]", 16),
        ("$.a[?(@.b == {'x' 1})]", 18),
        ("$.a[?(@.b == {'x':1 'y':2})]", 20),
    ],
)
def test_what_is_no_path_is_refused_where_it_goes_wrong(path: str, position: int) -> None:
    with pytest.raises(PathSyntaxError) as caught:
        compile_path(path)
    assert caught.value.position == position
    assert caught.value.message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$." + "a" * 5000, "at most 4096 characters"),
        ("$" + ".a" * 300, "at most 256 steps"),
        ("$[?(" + "(" * 20 + "@.a" + ")" * 20 + ")]", "nested at most 16"),
        ("$" + "[?(@" * 20 + ")]" * 20, "nested at most 16"),
        ("$[?(@ == " + "[" * 20 + "]" * 20 + ")]", "nested at most 16"),
    ],
)
def test_a_path_has_its_bounds(path: str, message: str) -> None:
    with pytest.raises(PathSyntaxError, match=message):
        compile_path(path)


def test_a_path_that_visits_too_much_ends_with_a_named_error() -> None:
    data = {"l": list(range(1000))}
    with pytest.raises(EvaluationFailed) as caught:
        find("$.l[?(@ in $.l)]", data)
    assert caught.value.name == "States.Runtime"
    assert "visits more than 250,000 nodes" in caught.value.cause


def test_a_pattern_over_long_text_ends_with_a_named_error() -> None:
    with pytest.raises(EvaluationFailed, match="visits more"):
        find("$[?(@ =~ /(a|a?)+b/)]", ["a" * 200_000])


@pytest.mark.parametrize("path", ["$..*..*..*", "$..[0,1]..*..*", "$..*[?(@ == $)]"])
def test_a_path_over_a_broad_tree_ends(path: str) -> None:
    tree: Json = 1
    for _ in range(16):
        tree = [tree, tree]
    with pytest.raises(EvaluationFailed, match="visits more"):
        find(path, tree)


def test_a_scan_takes_data_of_any_depth() -> None:
    deep: Json = {"x": 0}
    for _ in range(3000):
        deep = {"d": deep}
    assert find("$..x", deep) == [0]


def test_two_dollars_read_the_context_object() -> None:
    path = compile_path("$$.Execution.Id")
    assert path.reads_context
    assert not path.is_root
    assert path.find(scope_of({}, {"Execution": {"Id": "e"}})) == "e"
    assert compile_path("$$").find(scope_of({}, {"a": 1})) == {"a": 1}
    assert not compile_path("$$").is_root


def test_only_a_single_dollar_is_the_root() -> None:
    assert compile_path("$").is_root
    assert not compile_path("$.a").is_root


def test_a_path_knows_its_text_and_is_compiled_once() -> None:
    assert compile_path("$.a").text == "$.a"
    assert compile_path("$.a") is compile_path("$.a")
    assert repr(compile_path("$.a")) == "Path('$.a')"


def test_what_a_path_finds_is_shared_not_copied() -> None:
    assert find("$.a") is DATA["a"]
