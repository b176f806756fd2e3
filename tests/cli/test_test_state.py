"""`treadle test-state`: arguments, files, what is printed and the exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from treadle.cli.main import main

TASK = {"Type": "Task", "Resource": "treadle:activity/work", "Next": "N"}


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A file with one state."""
    file = tmp_path / "state.json"
    file.write_text(json.dumps(TASK))
    return str(file)


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    found = CliRunner().invoke(main, ["test-state", *arguments], input=stdin)
    return found.exit_code, found.stdout, found.stderr


def test_a_state_alone(state: str) -> None:
    status, out, _ = run(state, "--input", '{"a":1}', "--result", '{"r":2}', "--level", "DEBUG")
    answer = json.loads(out)
    assert (status, answer["output"], answer["nextState"]) == (0, {"r": 2}, "N")
    assert answer["inspectionData"]["afterInputPath"] == {"a": 1}


def test_an_error_ends_with_status_1(state: str) -> None:
    status, out, _ = run(state, "--error", "Boom", "--cause", "why")
    assert (status, json.loads(out)) == (1, {"status": "FAILED", "error": "Boom", "cause": "why"})


def test_a_state_of_a_machine(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("StartAt: A\nStates:\n  A: {Type: Pass, Assign: {b: 1}, End: true}\n")
    variables = tmp_path / "variables.json"
    variables.write_text('{"x": 1}')
    status, out, _ = run(str(file), "--state", "A", "--variables", f"@{variables}")
    assert (status, json.loads(out)) == (0, {"status": "SUCCEEDED", "output": {}})


def test_a_machine_and_a_state_can_come_from_stdin() -> None:
    passing = {"Type": "Pass", "End": True}
    machine = {"StartAt": "A", "States": {"A": passing}}
    for definition, arguments in ((machine, ["--state", "A"]), (passing, [])):
        status, out, error = run("-", *arguments, stdin=json.dumps(definition))
        assert (status, error) == (0, "")
        assert json.loads(out)["status"] == "SUCCEEDED"


def test_a_reader_reads_a_file(tmp_path: Path) -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
    }
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": {"Type": "Pass", "End": True}},
    }
    state = {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, "End": True}
    file, rows = tmp_path / "state.json", tmp_path / "rows.csv"
    file.write_text(json.dumps(state))
    rows.write_text("a\n1\n")
    options = ("--result", "[]", "--level", "DEBUG", "--reader-data")
    status, out, _ = run(str(file), *options, f"@{rows}")
    assert status == 0
    assert json.loads(out)["inspectionData"]["afterItemsPath"] == [{"a": "1"}]
    assert run(str(file), *options, "a\n1\n")[1] == out
    rows.write_bytes(b"\xff")
    status, _, error = run(str(file), *options, f"@{rows}")
    assert status == 2
    assert "the data of the reader is not UTF-8" in error


def test_stdin_without_a_machine_is_told() -> None:
    status, _, error = run("-", stdin="{")
    assert status == 2
    assert "<stdin>" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "ValidationException: A Task needs a mock"),
        (["--input", "{"], "the input is not JSON"),
        (["--cause", "c"], "--cause goes with --error"),
        (["--result", "1", "--caused-by", "N"], "--caused-by goes with --error"),
        (["--result", "1", "--failed-items", "2"], "distributed Map"),
        (["--result", "1", "--state", "N"], "must be one of a state machine"),
        (["--result", "1", "--reader-data", "[]"], "a Map that has one"),
        (["--reader-data", "@/no/such"], "Error: /no/such: No such file or directory"),
        (["--variables", "[]"], "--variables must be an object"),
        (["--input", "@/no/such"], "Error: /no/such: No such file or directory"),
        (["--level", "LOUD"], "'LOUD' is not one of"),
    ],
)
def test_what_makes_no_test_ends_with_status_2(
    state: str, arguments: list[str], words: str
) -> None:
    status, out, error = run(state, *arguments)
    assert (status, out) == (2, "")
    assert words in error


def test_a_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    file.write_text("{")
    status, _, error = run(str(file))
    assert status == 2
    assert "machine.json" in error
