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
