"""Filters of paths. Expectations: Jayway JsonPath, where it does not crash."""

import pytest

from treadle.asl.json import Json
from treadle.asl.paths import compile_path

ITEMS: Json = [
    {"id": 1, "p": 1, "q": "u", "t": True},
    {"id": 2, "p": 2, "r": [{"x": 5}, {"x": 6}], "e": []},
    {"id": 3, "p": "3", "n": None, "o": {"k": 1}},
    {"id": 4, "p": 1.0, "q": "\uff5e", "l": [1, 2, 3]},
]
DATA: Json = {"items": ITEMS, "wanted": 2, "list": [1, "u"], "flag": True}


def ids(test: str) -> list[int]:
    found = compile_path(f"$.items[?({test})]").find_in(DATA)
    return [item["id"] for item in found]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("@.q", [1, 4]),
        ("@.n", [3]),
        ("!@.q", [2, 3]),
        ("@", [1, 2, 3, 4]),
        ("@.r[*].x", [2]),
        ("@.r[*].y", []),
        ("@.r[?(@.x == 5)]", [2]),
        ("$.wanted", [1, 2, 3, 4]),
        ("$.missing", []),
        ("@.p == 1", [1, 4]),
        ("@.p==1", [1, 4]),
        ("1 == @.p", [1, 4]),
        ("@.p == 3", [3]),
        ("@.p == '3'", [3]),
        ("@.p == '1'", [1, 4]),
        ("@.p == '1.0'", [1, 4]),
        ("'1.0' == @.p", [4]),
        ("@.q == u", [1]),
        ('@.q == "u"', [1]),
        ("@['q'] == 'u'", [1]),
        ("@.t == true", [1]),
        ("@.p == true", []),
        ("@.n == null", [3]),
        ("@.missing == null", []),
        ("@.missing != 1", [1, 2, 3, 4]),
        ("@.p != 1", [2, 3]),
        ("@.p === 1", [1, 4]),
        ("@.p === 3", []),
        ("@.p !== 3", [1, 2, 3, 4]),
        ("@.p === '3'", [3]),
        ("@.o == {'k': 1}", [3]),
        ('@.o == {"k": 2, "m": [1]}', []),
        ("@.l == [1, 2, 3]", [4]),
        ("@.e == []", [2]),
        ("@.p < 2", [1, 4]),
        ("@.p <= 2", [1, 2, 4]),
        ("@.p > 1", [2]),
        ("@.p >= 2", [2]),
        ("@.p > 'a'", []),
        ("@.q > 'a'", [1, 4]),
        ("@.q <= 'u'", [1]),
        ("@.p > -1.5e0", [1, 2, 4]),
        ("@.t < 2", []),
        ("@.p == $.wanted", [2]),
        ("@.p in [1, 2]", [1, 2, 4]),
        ("@.p nin [1, 2]", [3]),
        ("@.p in $.list", [1, 4]),
        ("@.p in 1", []),
        ("@.q contains 'u'", [1]),
        ("@.l contains 2", [4]),
        ("@.r[*].x contains 6", [2]),
        ("@.p contains 1", []),
        ("@.l size 3", [4]),
        ("@.q size 1", [1, 4]),
        ("@.o size 1", []),
        ("@.e empty true", [2]),
        ("@.q empty false", [1, 4]),
        ("@.l all [1, 3]", [4]),
        ("@.l all 1", []),
        ("@.l anyof [9, 1]", [4]),
        ("@.l noneof [9]", [4]),
        ("@.l noneof [1]", []),
        ("@.l subsetof [1, 2, 3, 4]", [4]),
        ("@.l subsetof [1, 2]", []),
        ("@.l SIZE 3", [4]),
        ("@.q =~ /[a-z]/", [1]),
        ("@.q =~ /U/", []),
        ("@.q =~ /U/i", [1]),
        ("@.p =~ /\\d/", [1, 2, 3]),
        ("@.o =~ /.*/", []),
        ("@.missing =~ /.*/", []),
        ("@.t =~ /tr.e/", [1]),
        ("@.p == 1 && @.q", [1, 4]),
        ("@.p == 2 || @.p == 3", [2, 3]),
        ("@.p==2||@.p==3", [2, 3]),
        ("@.p == 2 || @.p == 1 && @.t", [1, 2]),
        ("(@.p == 2 || @.p == 1) && @.q", [1, 4]),
        ("!(@.p == 1)", [2, 3]),
        ("! (@.q) && !@.n", [2]),
        ("@.l.length() == 3", [4]),
    ],
)
def test_a_filter_keeps_what_passes(test: str, expected: list[int]) -> None:
    assert ids(test) == expected


def test_a_filter_on_an_object_tests_the_object_itself() -> None:
    data = {"a": {"b": 1}}
    assert compile_path("$.a[?(@.b == 1)]").find_in(data) == [{"b": 1}]
    assert compile_path("$.a[?(@.b == 2)]").find_in(data) == []


def test_a_text_that_is_no_numeral_equals_no_number() -> None:
    data = ["x", "1_0", " 1", "NaN", "1" * 100, "1e0", ".5"]
    assert compile_path("$[?(1 == @)]").find_in(data) == ["1e0"]
    assert compile_path("$[?(10 == @)]").find_in(data) == []
    assert compile_path("$[?(0.5 == @)]").find_in(data) == [".5"]


def test_a_scan_with_a_filter_finds_objects_at_any_depth() -> None:
    data = {"x": {"k": 1, "in": [{"k": 2}, 3]}}
    assert compile_path("$..[?(@.k)].k").find_in(data) == [1, 2]
