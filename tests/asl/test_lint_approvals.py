"""What is wrong with a question to people, whatever the input is."""

from typing import Any

import pytest

from treadle.asl import document

Found = list[tuple[str, str]]


def found(parameters: Any, *, express: bool = False, jsonata: bool = False) -> Found:
    member = "Arguments" if jsonata else "Parameters"
    language = {"QueryLanguage": "JSONata"} if jsonata else {}
    state = {"Type": "Task", "Resource": "treadle:approval", member: parameters, "End": True}
    definition = {"StartAt": "S", "States": {"S": state}, **language}
    where = f"/States/S/{member}"
    _, problems = document.inspect(definition, express=express)
    return [(p.pointer.removeprefix(where), p.code) for p in problems if p.severity == "error"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"message": "Ship it?"},
        {"message.$": "$.question", "details.$": "$", "quorum.$": "$.n"},
        {
            "message": "Ship it?",
            "details": {"order.$": "$.order"},
            "approvers": {"users.$": "$.people", "groups": ["finance"]},
            "quorum": 2,
            "expiresSeconds": 60,
            "reasonRequired": True,
        },
        {"message": "Ship it?", "approvers": {}},
    ],
)
def test_what_can_be_asked(parameters: Any) -> None:
    assert found(parameters) == []


@pytest.mark.parametrize(
    "parameters",
    [
        "{% $states.input %}",
        {"message": "{% $states.input.question %}"},
        {"message": "Ship it?", "approvers": {"users": "{% $states.input.people %}"}},
    ],
)
def test_what_can_be_asked_in_jsonata(parameters: Any) -> None:
    assert found(parameters, jsonata=True) == []


@pytest.mark.parametrize(
    ("parameters", "where", "code"),
    [
        ({}, "", "task-parameter-missing"),
        ({"message": " "}, "/message", "task-parameter-value"),
        ({"message": 1}, "/message", "task-parameter-value"),
        ({"message": "m" * 1_025}, "/message", "task-parameter-value"),
        ({"message": "m", "text": "m"}, "/text", "task-parameter-unknown"),
        ({"message": "m", "details": "d"}, "/details", "task-parameter-value"),
        ({"message": "m", "approvers": ["ada"]}, "/approvers", "task-parameter-value"),
        ({"message": "m", "approvers": {"people": []}}, "/approvers", "task-parameter-value"),
        ({"message": "m", "approvers": {"users": [1]}}, "/approvers", "task-parameter-value"),
        ({"message": "m", "approvers": {"groups": 1}}, "/approvers", "task-parameter-value"),
        ({"message": "m", "quorum": 0}, "/quorum", "task-parameter-value"),
        ({"message": "m", "quorum": 101}, "/quorum", "task-parameter-value"),
        ({"message": "m", "quorum": True}, "/quorum", "task-parameter-value"),
        ({"message": "m", "expiresSeconds": 0.5}, "/expiresSeconds", "task-parameter-value"),
        ({"message": "m", "reasonRequired": 1}, "/reasonRequired", "task-parameter-value"),
    ],
)
def test_what_cannot_be_asked(parameters: Any, where: str, code: str) -> None:
    assert found(parameters) == [(where, code)]


def test_an_express_machine_asks_nobody() -> None:
    assert ("/States/S/Resource", "resource-express") in found({"message": "m"}, express=True)
