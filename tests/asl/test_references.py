"""Reference paths: where results are put."""

import copy
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl.errors import RESULT_PATH_MATCH_FAILURE, EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.paths import PathSyntaxError, compile_path, compile_reference


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("$", {"a": 1}, "new"),
        ("$", None, "new"),
        ("$.a", {}, {"a": "new"}),
        ("$.a", {"a": 1, "b": 2}, {"a": "new", "b": 2}),
        ("$.a.b.c", {"x": 1}, {"x": 1, "a": {"b": {"c": "new"}}}),
        ("$.a.b", {"a": {"x": 1}}, {"a": {"x": 1, "b": "new"}}),
        ("$['a b']", {}, {"a b": "new"}),
        ("$['a@b']", {}, {"a@b": "new"}),
        ("$.a['b'].c", {}, {"a": {"b": {"c": "new"}}}),
        ("$.a[1]", {"a": [1, 2, 3]}, {"a": [1, "new", 3]}),
        ("$.a[0].b", {"a": [{"x": 1}]}, {"a": [{"x": 1, "b": "new"}]}),
        ("$[0]", [1, 2], ["new", 2]),
        ("$.test-input", {}, {"test-input": "new"}),
    ],
)
def test_a_result_is_put_and_objects_are_made(path: str, document: Json, expected: Json) -> None:
    before = copy.deepcopy(document)
    assert compile_reference(path).put(document, "new") == expected
    assert document == before


@pytest.mark.parametrize(
    ("path", "document", "cause"),
    [
        ("$.a", None, 'Unable to apply step "a" to input null'),
        ("$.a", [1], 'Unable to apply step "a" to input [1]'),
        ("$.a.b", {"a": "text"}, 'Unable to apply step "b" to input "text"'),
        ("$.a.b", {"a": None}, 'Unable to apply step "b" to input null'),
        ("$.a[0]", {"a": {}}, 'Unable to apply step "0" to input {}'),
        ("$.a[2]", {"a": [1, 2]}, 'Unable to apply step "2" to input [1,2]'),
        ("$.a[0]", {}, 'Unable to apply step "0" to input {}'),
    ],
)
def test_a_result_that_does_not_fit_fails_by_name(path: str, document: Json, cause: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        compile_reference(path).put(document, "new")
    assert (caught.value.name, caught.value.cause) == (RESULT_PATH_MATCH_FAILURE, cause)


@pytest.mark.parametrize(
    "path",
    [
        *("$$", "$$.a", "a", "$.", "$.a[*]", "$..a", "$.a[0:1]", "$.a[0,1]", "$.a.length()"),
        *("$.a[?(@.b)]", "$['a','b']", "$.a?", "$.a@b", "$.a:b", "$.a,b", "$.a*"),
    ],
)
def test_what_points_to_more_than_one_place_is_no_reference(path: str) -> None:
    with pytest.raises(PathSyntaxError):
        compile_reference(path)


def test_a_reference_knows_its_text() -> None:
    assert compile_reference("$").is_root
    assert not compile_reference("$.a").is_root
    assert compile_reference("$.a").text == "$.a"
    assert repr(compile_reference("$.a")) == "Reference('$.a')"


def test_only_the_spine_is_new() -> None:
    document = {"a": {"b": 1, "kept": {}}, "other": {}}
    put = compile_reference("$.a.b").put(document, 2)
    assert put["other"] is document["other"]
    assert put["a"]["kept"] is document["a"]["kept"]
    assert put["a"] is not document["a"]


NAMES = st.text(min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def bracketed(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


@given(st.lists(NAMES, min_size=1, max_size=5), st.dictionaries(NAMES, VALUES), VALUES)
def test_what_is_put_is_found(names: list[str], document: Json, value: Json) -> None:
    text = "$" + "".join(map(bracketed, names))
    before = copy.deepcopy(document)
    put: Json = None
    with suppress(EvaluationFailed):
        put = compile_reference(text).put(document, value)
    if put is None:
        assert names[0] in document  # only what is there can be in the way
        return
    assert compile_path(text).find_in(put) == value
    assert document == before
    assert {k: v for k, v in put.items() if k != names[0]} == {
        k: v for k, v in document.items() if k != names[0]
    }
