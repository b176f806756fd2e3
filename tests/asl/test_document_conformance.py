"""Recorded verdicts on definitions, where the recordings are there."""

import json
from typing import Any

from tests.support.recordings import recorded
from treadle.asl import document
from treadle.asl.lint import aws_message

LATER = {"jsonata", "assign", "distributed-map"}
# AWS demands RoleArn in Credentials (recorded); this validator's fixture does not.
CONTESTED = {"extra/statelint/task-with-credentials.json"}


def rows(name: str) -> list[dict[str, Any]]:
    path = recorded(name)
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        case
        for case in cases
        if not LATER & set(case["features"]) and "JSONata" not in json.dumps(case["definition"])
    ]


def test_recorded_verdicts_are_ours() -> None:
    wrong = {}
    for case in rows("validate.jsonl"):
        program, problems = document.inspect(case["definition"], express=case["type"] == "EXPRESS")
        if (program is not None) != case["expected"]["accept"]:
            wrong[case["id"]] = problems
    assert set(wrong) <= CONTESTED, wrong


def test_recorded_messages_are_ours() -> None:
    for case in rows("validate.jsonl"):
        told = case["expected"].get("message")
        if told is not None:
            _, problems = document.inspect(case["definition"], express=case["type"] == "EXPRESS")
            assert told.endswith(aws_message(problems))


def test_what_ran_on_aws_is_read() -> None:
    wrong = {}
    for case in rows("run.jsonl"):
        program, problems = document.inspect(case["definition"], express=case["type"] == "EXPRESS")
        if (program is None) != (case["expected"].get("status") == "REJECTED"):
            wrong[case["id"]] = problems
    assert wrong == {}
