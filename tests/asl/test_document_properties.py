"""Whatever comes in, a definition is a Program or a list of problems."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.asl import document
from treadle.asl.errors import InvalidDocument
from treadle.asl.lint import aws_message
from treadle.asl.lint_states import MEMBERS
from treadle.asl.rules import RULES

WORDS = [
    *sorted({name for names in MEMBERS.values() for name in names}),
    "States", "StartAt", "Branches", "ErrorEquals", "ProcessorConfig", "Mode", "Variable", "And",
    "Not", "IsNull", "StringEquals", "Version", "TimeoutSeconds", "RoleArn.$", "a.$",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(
        ["S", "T", *MEMBERS, "$", "$.a", "$$.b", "$[", "treadle:job", "States.UUID()", "JSONata",
         "States.ALL", "DISTRIBUTED", "arn:aws:states:::dynamodb:query", "2026-01-31T12:00:00Z"]
    ),
    st.text(max_size=8),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), inner, max_size=5),
    ),
    max_leaves=30,
)
STATES = st.builds(
    lambda kind, members: {"Type": kind, **members},
    st.sampled_from(sorted(MEMBERS)),
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=6),
)
MACHINES = st.builds(
    lambda states, more: {"StartAt": "S", "States": states, **more},
    st.dictionaries(st.sampled_from(["S", "T", "U"]), STATES, min_size=1),
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=2),
)


def judge(definition: Any) -> None:
    program, problems = document.inspect(definition)
    errors = [p for p in problems if p.severity == "error"]
    assert (program is None) == bool(errors)
    assert all(p.code in RULES for p in problems)
    assert aws_message(problems).startswith("Invalid State Machine Definition: '")
    if errors:
        with pytest.raises(InvalidDocument) as caught:
            document.parse(definition)
        assert list(caught.value.problems) == errors


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_any_json_is_judged(value: Any) -> None:
    judge(value)


@given(MACHINES)
@settings(max_examples=100, deadline=None)
def test_anything_like_a_machine_is_judged(value: Any) -> None:
    judge(value)
    judge(json.dumps(value))


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%#\\ \n\t01.~"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_judged(text: str) -> None:
    judge(text)


@given(MACHINES)
@settings(max_examples=100, deadline=None)
def test_a_text_has_the_problems_of_its_value_with_lines(value: Any) -> None:
    _, expected = document.inspect(value)
    _, problems = document.inspect(json.dumps(value, indent=1))
    assert [(p.pointer, p.code) for p in problems] == [(p.pointer, p.code) for p in expected]
    assert all(p.line and p.column for p in problems)
