"""Our own cases, and the recordings where they are there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import cases_of
from tests.conformance.running import row_of
from tests.support.recordings import recorded

ROOT = Path(__file__).parents[2]
OWN = sorted((Path(__file__).parent / "cases").glob("*.jsonl"))

own_cases = [case for path in OWN for case in cases_of(path)]


@pytest.mark.parametrize("case", own_cases, ids=lambda case: case["id"])
def test_our_own_cases(case: dict[str, Any]) -> None:
    row, expected = row_of(case), case["expected"]
    assert row["id"] == case["id"]
    for member in ("status", "output", "error", "cause", "accept"):
        if member in expected or (member in row and member in ("output", "accept")):
            assert row.get(member) == expected.get(member), row
    if "events" in expected:
        assert [event["type"] for event in row["history"]] == expected["events"]


def score(cases: Path, results: Path, *flags: str) -> str:
    command = [sys.executable, str(recorded("score.py")), str(cases), "--results", str(results)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_module(tmp_path: Path, *cases: Path) -> Path:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "tests.conformance", *map(str, cases)]
    subprocess.run([*command, "--results", str(results)], cwd=ROOT, check=True)
    return results


def test_the_recorded_runs_end_as_recorded(tmp_path: Path) -> None:
    cases = recorded("run.jsonl")
    results = run_module(tmp_path, cases)
    every = [f"run/{level}=1.0" for level in ("outcome", "cause", "events", "history")]
    flags = [word for level in every for word in ("--require", level)]
    score(cases, results, "--needs", "none", *flags)
    score(cases, results, "--needs", "lambda", "--require", "run/outcome=1.0")


def test_recorded_verdicts(tmp_path: Path) -> None:
    cases = recorded("validate.jsonl")
    results = run_module(tmp_path, cases)
    score(cases, results, "--require", "validate/outcome=0.99")


def test_every_case_has_a_row_whatever_it_is(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    odd: list[dict[str, Any]] = [
        {"id": "nothing", "kind": "run"},
        {"id": "no-kind", "definition": {}, "input": None},
        {"id": "teststate", "kind": "teststate", "definition": {}},
        {"id": "unknown", "kind": "dance"},
        {"id": "text", "kind": "validate", "definition": "{"},
    ]
    cases.write_text("\n\n".join(map(json.dumps, odd)), encoding="utf-8")
    rows = list(cases_of(run_module(tmp_path, cases)))
    assert [row["id"] for row in rows] == [case["id"] for case in odd]
    assert [row.get("status") for row in rows[:2]] == ["ERROR", "REJECTED"]
    assert [row["accept"] for row in rows[2:]] == [None, None, False]


def test_an_attempt_without_an_answer_leaves_the_execution_running() -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}
    case = {"id": "x", "definition": {"StartAt": "T", "States": {"T": state}}, "input": {}}
    assert row_of(case)["status"] == "RUNNING"


def test_an_input_may_be_a_text_that_is_no_json() -> None:
    state = {"Type": "Pass", "End": True}
    case = {"id": "x", "definition": {"StartAt": "P", "States": {"P": state}}}
    assert row_of({**case, "input": "{", "input_form": "raw-string"})["status"] == "ERROR"
    assert row_of({**case, "input": "{"})["output"] == "{"


def test_a_context_without_a_mock_is_refused() -> None:
    request = {"context": {}}
    state = {"Type": "Pass", "End": True}
    case = {"id": "x", "kind": "teststate", "definition": state, "request": request}
    assert row_of(case)["accept"] is False
