"""Expressions of JSONata are checked before anything runs."""

from typing import Any

import pytest

from treadle.asl import document

TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
PASS = {"Type": "Pass", "End": True}
ERRORS = ["States.ALL"]


def found(state: Any) -> list[tuple[str, str]]:
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state, "Z": PASS}}
    _, problems = document.inspect(definition)
    return [(p.pointer, p.code) for p in problems if p.severity == "error"]


@pytest.mark.parametrize(
    "state",
    [
        {**PASS, "Output": {"a": ["{% $states.input.a %}", "{% $x + 1 %}", "text"]}},
        {**TASK, "Arguments": "{% {'image': $states.input.image} %}"},
        {**TASK, "Output": "{% $states.result.n %}", "Assign": {"n": "{% $states.result.n %}"}},
        {
            **TASK,
            "Catch": [{"ErrorEquals": ERRORS, "Next": "Z", "Output": "{% $states.errorOutput %}"}],
        },
        {**PASS, "Comment": "{% not an expression"},
        {**PASS, "Output": "{% 'never $states := 1' %}"},
        {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% true %}", "Next": "Z", "Comment": "{% broken( %}"},
                {"Condition": "{% true %}", "Next": "Z", "Comment": "uses $x %}"},
            ],
        },
        {
            **TASK,
            "Retry": [{"ErrorEquals": ["{% x"], "Comment": "{% broken( %}"}],
            "Catch": [{"ErrorEquals": ["y %}"], "Next": "Z", "Comment": "{% $states.result %}"}],
        },
    ],
)
def test_what_aws_takes_has_no_problem(state: Any) -> None:
    assert found(state) == []


@pytest.mark.parametrize(
    ("state", "pointer", "code"),
    [
        ({**PASS, "Output": "{% 1 + %}"}, "/Output", "jsonata-invalid"),
        ({**PASS, "Output": {"a": [1, "{% a.b %}"]}}, "/Output/a/1", "jsonata-unsupported"),
        ({**PASS, "Output": "{% 1"}, "/Output", "jsonata-half-open"),
        ({**PASS, "Output": " {% 1 %} x"}, "/Output", "jsonata-half-open"),
        ({**PASS, "Output": {"Comment": "{% 1 + %}"}}, "/Output/Comment", "jsonata-invalid"),
        ({**TASK, "Arguments": {"Next": "{% 1"}}, "/Arguments/Next", "jsonata-half-open"),
        (
            {**PASS, "Assign": {"ErrorEquals": ["{% 1"]}},
            "/Assign/ErrorEquals/0",
            "jsonata-half-open",
        ),
        (
            {**TASK, "Catch": [{"ErrorEquals": ERRORS, "Next": "Z", "Output": {"Retry": "{% 1"}}]},
            "/Catch/0/Output/Retry",
            "jsonata-half-open",
        ),
        (
            {
                **TASK,
                "Catch": [{"ErrorEquals": ERRORS, "Next": "Z", "Output": "{% $states.result %}"}],
            },
            "/Catch/0/Output",
            "jsonata-states-member",
        ),
        ({**PASS, "Output": "{% $states.result %}"}, "/Output", "jsonata-states-member"),
        ({**TASK, "Arguments": "{% $states.result %}"}, "/Arguments", "jsonata-states-member"),
        ({**TASK, "Output": "{% $states.errorOutput %}"}, "/Output", "jsonata-states-member"),
        (
            {**TASK, "Catch": [{"ErrorEquals": ERRORS, "Next": "Z", "Assign": {"x": "{% $ %}"}}]},
            "/Catch/0/Assign/x",
            "jsonata-unsupported",
        ),
    ],
)
def test_what_aws_refuses_is_told_at_its_place(state: Any, pointer: str, code: str) -> None:
    assert found(state) == [(f"/States/A{pointer}", code)]


CHOICES = [{"Condition": "{% true %}", "Next": "Z", "Output": {"a": "{% 1 %}\n"}}]


@pytest.mark.parametrize(
    ("state", "pointer"),
    [
        ({**PASS, "Output": "{% 1 %}\n"}, "/Output"),
        ({**PASS, "Output": {"a": [" {% 1 %} "]}}, "/Output/a/0"),
        ({**PASS, "Assign": {"x": "\t{% 1 %}"}}, "/Assign/x"),
        ({"Type": "Choice", "Choices": CHOICES, "Default": "Z"}, "/Choices/0/Output/a"),
    ],
)
def test_an_expression_with_blanks_outside_is_literal_and_told(state: Any, pointer: str) -> None:
    states = {"A": state, "Z": PASS}
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": states}
    program, problems = document.inspect(definition)
    assert program is not None
    told = [(p.pointer, p.code, p.severity) for p in problems if p.pointer.startswith("/States/A")]
    assert told == [(f"/States/A{pointer}", "jsonata-blanks-outside", "warning")]


def test_in_jsonpath_and_in_a_comment_it_is_a_text_like_others() -> None:
    states = {"A": {**PASS, "Result": "{% 1 %}\n"}}
    assert document.inspect({"StartAt": "A", "States": states})[1] == ()
    states = {"A": {**PASS, "QueryLanguage": "JSONata", "Comment": "{% 1 %} "}}
    commented = {"StartAt": "A", "States": states}
    assert document.inspect(commented)[1] == ()


def test_the_usual_block_of_yaml_is_told_with_the_remedy() -> None:
    text = (
        "QueryLanguage: JSONata\nStartAt: A\nStates:\n  A:\n    Type: Pass\n"
        "    Output: |\n      {% $states.input %}\n    End: true\n"
    )
    _, (problem,) = document.inspect(text)
    assert (problem.code, problem.line) == ("jsonata-blanks-outside", 6)
    assert "write |- or >-" in problem.message
    assert document.inspect(text.replace("|", "|-"))[1] == ()
