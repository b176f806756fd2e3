"""Payload templates: what changes is built, the rest is shared."""

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.scope import Scope
from treadle.asl.templates import TemplateSyntaxError, compile_template, compile_value

DATA: Json = {"a": 1, "l": [0, 10, 20, 30], "n": None}
CONTEXT: Json = {"Execution": {"Id": "e"}}


def scope_of(data: Json = DATA) -> Scope:
    return Scope(data, lambda: CONTEXT, Chance(b"seed"))


def render(template: Json, data: Json = DATA) -> Json:
    return compile_template(template).render(scope_of(data))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ({"x.$": "$.a"}, {"x": 1}),
        ({"x.$": "$"}, {"x": DATA}),
        ({"x.$": "$$.Execution.Id"}, {"x": "e"}),
        ({"x.$": "States.Format('{}', $.a)"}, {"x": "1"}),
        ({"x.$": "$.n"}, {"x": None}),
        (
            {"flag": True, "p": {"f.$": "$.l[0]", "r.$": "$.l[2:]"}, "s": "$.a"},
            {"flag": True, "p": {"f": 0, "r": [20, 30]}, "s": "$.a"},
        ),
        ([{"x.$": "$.a"}, "$.a", [{"y.$": "$.n"}]], [{"x": 1}, "$.a", [{"y": None}]]),
        ({".$": "$.a"}, {"": 1}),
        ({"x.$.$": "$.a"}, {"x.$": 1}),
        ({"x$": "$.a", "y.$z": "$.a"}, {"x$": "$.a", "y.$z": "$.a"}),
        ("$.a", "$.a"),
        (None, None),
        ({}, {}),
    ],
)
def test_a_template_is_rendered(template: Json, value: Json) -> None:
    assert render(template) == value


def test_keys_keep_their_order() -> None:
    template = {"z": 1, "y.$": "$.a", "x": {"b": 1, "a.$": "$.a"}, "w.$": "$.a"}
    rendered = render(template)
    assert list(rendered) == ["z", "y", "x", "w"]
    assert list(rendered["x"]) == ["b", "a"]


def test_what_never_changes_is_shared() -> None:
    constant = {"a": [1, {"b": 2}]}
    template = compile_template(constant)
    assert template.is_constant
    assert template.render(scope_of()) is constant
    mixed = {"kept": {"x": 1}, "y.$": "$.a"}
    rendered = compile_template(mixed).render(scope_of())
    assert rendered["kept"] is mixed["kept"]
    assert not compile_template(mixed).is_constant


def test_two_renderings_share_nothing_that_changes() -> None:
    template = compile_template({"l": [{"x.$": "$.a"}]})
    first, second = template.render(scope_of()), template.render(scope_of())
    assert first == second
    assert first["l"] is not second["l"]


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        (
            {"address.$": "$.application.address"},
            "The JSONPath '$.application.address' specified for the field 'address.$' could not "
            "be found in the input '{\"flagged\":false}'",
        ),
        (
            {"o": [{"x.$": "$.no[0]"}]},
            "The JSONPath '$.no[0]' specified for the field 'x.$' could not be found in the input "
            "'{\"flagged\":false}'",
        ),
        (
            {"x.$": "$$.Task.Token"},
            "The JSONPath '$$.Task.Token' specified for the field 'x.$' could not be found in the "
            'input \'{"Execution":{"Id":"e"}}\'',
        ),
    ],
)
def test_a_path_that_finds_nothing_fails_as_aws_words_it(template: Json, cause: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        render(template, {"flagged": False})
    assert (caught.value.name, caught.value.cause) == ("States.Runtime", cause)


def test_a_function_that_fails_is_an_intrinsic_failure() -> None:
    with pytest.raises(EvaluationFailed) as caught:
        render({"x.$": "States.ArrayLength($.a)"})
    assert caught.value.name == "States.IntrinsicFailure"


def test_all_problems_of_a_template_are_told() -> None:
    template = {
        "bad1.$": 23,
        "bad2.$": "23",
        "bad5.$": "$$23",
        "f3": {"bad3.$": [1], "f5": ["f6", {"bad4.$": {"f9": 1}, "ok.$": "$.x.y.z[2]"}]},
        "a/b~c.$": "States.Nope()",
        "twice": 1,
        "twice.$": "$.a",
        "ok": "$$",
    }
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template(template)
    problems = dict(caught.value.problems)
    assert list(problems) == [
        "/bad1.$",
        "/bad2.$",
        "/bad5.$",
        "/f3/bad3.$",
        "/f3/f5/1/bad4.$",
        "/a~1b~0c.$",
        "/twice.$",
    ]
    assert problems["/bad1.$"] == "The value for the field 'bad1.$' must be a STRING"
    assert problems["/bad2.$"].startswith(
        "The value for the field 'bad2.$' must be a valid JSONPath or a valid intrinsic function "
        "call: "
    )
    assert "given twice" in problems["/twice.$"]
    assert "/bad1.$: " in str(caught.value)


def test_a_template_has_a_depth() -> None:
    deep: Json = {"x.$": "$.a"}
    for _ in range(199):
        deep = {"d": deep}
    compile_template(deep).render(scope_of())
    with pytest.raises(TemplateSyntaxError, match="nested deeper than 200"):
        compile_template([deep])


@pytest.mark.parametrize(
    ("text", "value"),
    [("$.a", 1), ("$$.Execution.Id", "e"), ("States.Format('{}!', $.a)", "1!"), ("$", DATA)],
)
def test_a_single_value_is_a_path_or_a_call(text: str, value: Json) -> None:
    template = compile_value(text)
    assert not template.is_constant
    assert template.render(scope_of()) == value


@pytest.mark.parametrize("text", ["", "a", "$1foo", "States.Format("])
def test_a_single_value_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_value(text, "CausePath")
    assert caught.value.problems[0][0] == ""
    assert "CausePath" in caught.value.problems[0][1]


def test_a_single_path_that_finds_nothing_fails_with_or_without_a_field() -> None:
    with pytest.raises(EvaluationFailed) as caught:
        compile_value("$.no").render(scope_of({}))
    assert caught.value.cause == "Invalid path '$.no' : No results for path: $['no']"
    with pytest.raises(EvaluationFailed) as caught:
        compile_value("$.no", "ErrorPath").render(scope_of({}))
    assert caught.value.cause == (
        "The JSONPath '$.no' specified for the field 'ErrorPath' could not be found in the input "
        "'{}'"
    )
