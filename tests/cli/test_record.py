"""`treadle record`: real executions become tests that pass at once."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.treadles import gives, manifest, shell, states, write
from treadle.asl.texts import loads_document
from treadle.cli import run as cli_run
from treadle.cli.main import main
from treadle.local import testfiles

FAILS = shell("echo no; exit 3", Next="Z", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Z"}])
AGAIN = shell(
    "test -e done || { touch done; exit 4; }; " + gives('{"n": 1}'),
    Retry=[{"ErrorEquals": ["Kubernetes.ExitCode.4"], "IntervalSeconds": 1}],
    Next="Z",
)
Z = {"Type": "Succeed"}


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, list(words))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: Path, machine: Any, *words: str) -> int:
    write(folder, machine)
    return call("run", "machine.json", "--name", "r", *words).exit_code


@pytest.mark.parametrize(
    ("machine", "given"),
    [
        (states(A=shell(gives('{"a": [1, null]}'), Next="Z"), Z=Z), "{}"),
        (states(A=FAILS, Z=Z), '{"x": "2026-01-01"}'),
        (states(A=AGAIN, Z=Z), "{}"),
        (states(A=shell("exit 1")), '"yes"'),
        (
            states(
                M={
                    "Type": "Map",
                    "ItemProcessor": states(
                        A=shell('cp "$TREADLE_INPUT_FILE" "$TREADLE_RESULT_FILE"')
                    ),
                    "End": True,
                }
            ),
            "[1, 2, 2]",
        ),
        ({**states(A=shell("sleep 30")), "TimeoutSeconds": 1}, "{}"),
    ],
)
def test_what_really_happened_is_a_test_that_passes(machine: Any, given: str, here: Path) -> None:
    run(here, machine, "--input", given)
    found = call("record", "r")
    assert (found.exit_code, found.stderr) == (0, "")
    (here / "r.test.yaml").write_text(found.stdout)
    checked = call("test", "r.test.yaml")
    assert checked.exit_code == 0, checked.output
    document = loads_document(found.stdout)
    assert document["machine"]["spec"]["definition"] == machine
    assert document["tests"][0]["input"] == json.loads(given)


def test_a_record_that_no_longer_holds_fails(here: Path) -> None:
    run(here, states(A=shell(gives("1"), Next="Z"), Z=Z))
    assert call("record", "r", "-o", "r.test.yaml", "--machine", "machine.json").exit_code == 0
    assert "machine: machine.json" in (here / "r.test.yaml").read_text()
    assert call("test", ".").exit_code == 0
    write(here, states(A=shell(gives("1"), Next="Z"), Z={"Type": "Pass", "Result": 2, "End": True}))
    changed = call("test", ".")
    assert (changed.exit_code, "expected  1" in changed.stdout) == (1, True)


def test_it_is_json_where_the_file_is_called_so_and_relative_to_it(here: Path) -> None:
    (here / "deep").mkdir()
    run(here, manifest(states(A=shell(gives("null"), Next="Z"), Z=Z), "named"))
    words = ("-o", "deep/r.test.json", "--machine", "machine.json")
    assert call("record", "r", *words).exit_code == 0
    text = (here / "deep" / "r.test.json").read_text()
    assert len(text.splitlines()) > 10
    document = json.loads(text)
    assert document["machine"] == "../machine.json"
    assert document["tests"][0]["expect"]["output"] is None
    assert call("test", "deep").exit_code == 0


def test_names_and_times_of_the_context_come_again(here: Path) -> None:
    parameters = {
        "name.$": "$$.Execution.Name",
        "id.$": "$$.Execution.Id",
        "machine.$": "$$.StateMachine.Name",
        "at.$": "$$.Execution.StartTime",
    }
    state = {"Type": "Pass", "Parameters": parameters, "End": True}
    run(here, manifest(states(A=state), "named"), "--time", "virtual")
    found = call("record", "r")
    assert (found.exit_code, found.stderr) == (0, "")
    expected = loads_document(found.stdout)["tests"][0]["expect"]["output"]
    assert (expected["name"], expected["machine"]) == ("r", "named")


def test_what_does_not_come_again_is_told(here: Path) -> None:
    uuid = {"Type": "Pass", "Parameters": {"id.$": "States.UUID()"}, "End": True}
    run(here, states(A=uuid))
    found = call("record", "r", "-o", "r.test.yaml")
    assert found.exit_code == 1
    lines = found.stderr.splitlines()
    assert lines[0] == "the test does not pass as it is written:"
    assert "  output at /id" in lines
    assert (here / "r.test.yaml").exists()


def test_odd_data_is_kept_as_it_is(here: Path) -> None:
    odd = {
        "": "",
        "no": "yes",
        "1": "1e3",
        "日本": "\u202e\x07\n",
        "null": "~",
        "big": 2**70,
        "float": 1e-300,
        "list": [[], {}, [[None]]],
        "lines": "a\nb\n\n",
        "blank": "  x  ",
        "time": "2026-01-01T00:00:00Z",
        "#": "# no comment",
        "*": "*alias",
    }
    run(here, states(A={"Type": "Pass", "Result": odd, "End": True}), "--input", json.dumps(odd))
    found = call("record", "r", "-o", "r.test.yaml", "--machine", "machine.json")
    assert (found.exit_code, found.stderr) == (0, "")
    text = (here / "r.test.yaml").read_text(encoding="utf-8")
    assert text.startswith("machine: machine.json\n")  # and not one line of JSON
    (test,) = loads_document(text)["tests"]
    assert test["input"] == test["expect"]["output"] == odd


@pytest.mark.parametrize(
    "given", [["x" * 1_000_000], [[]] * 20_000, "deep"], ids=["", "many", "deep"]
)
def test_what_is_large_or_deep_is_recorded_and_tested(given: Any, here: Path) -> None:
    text = "[" * 200 + "]" * 200 if given == "deep" else json.dumps(given)
    (here / "i.json").write_text(text)
    run(here, states(A={"Type": "Pass", "End": True}), "--input", "@i.json")
    found = call("record", "r", "-o", "r.test.yaml")
    assert (found.exit_code, found.stderr) == (0, "")
    assert call("test", "r.test.yaml").exit_code == 0


def test_mocks_may_be_as_large_as_a_file_of_tests(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = states(A=shell("exit 1"))
    write(here, {"A": {"Return": "x" * 5_000_000}}, "mocks.json")
    assert run(here, machine, "--mocks", "mocks.json") == 1
    monkeypatch.setattr(cli_run, "TESTS_BYTES_MAX", 1_000_000)
    write(here, machine)
    found = call("run", "machine.json", "--mocks", "mocks.json")
    assert (found.exit_code, "the mocks have more than 1,000,000 bytes" in found.output) == (
        2,
        True,
    )


def test_what_is_too_large_for_a_file_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testfiles, "TESTS_BYTES_MAX", 1_000_000)
    given = json.dumps(["x" * 600_000])
    (here / "i.json").write_text(given)
    run(here, states(A={"Type": "Pass", "End": True}), "--input", "@i.json")
    found = call("record", "r", "-o", "r.test.yaml")
    told = "A file of tests has at most 1,000,000 bytes; make two of it."
    assert (found.exit_code, told in found.stderr) == (1, True)


def test_a_file_that_is_there_is_not_written_over(here: Path) -> None:
    run(here, states(Z=Z))
    (here / "r.test.yaml").write_text("mine")
    found = call("record", "r", "-o", "r.test.yaml")
    assert (found.exit_code, "is there already" in found.stderr) == (2, True)
    assert (here / "r.test.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x"], "there is no execution named 'x'"),
        (["../x"], "cannot be"),
        (["r", "-o", "no/such/r.test.yaml"], "No such file or directory"),
        (["r", "--machine", "nofile"], "nofile: No such file or directory"),
        (["r", "--kubeconfig", "/no/such"], "no credentials for a cluster"),
    ],
)
def test_what_is_wrong_is_a_sentence(words: list[str], sentence: str, here: Path) -> None:
    run(here, states(Z=Z))
    found = call("record", *words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert sentence in found.stderr


def test_a_machine_that_is_wrong_is_told_with_its_line(here: Path) -> None:
    run(here, states(Z=Z))
    (here / "other.yaml").write_text("StartAt: Z\nStates:\n  Z: {Type: Succed}\n")
    found = call("record", "r", "--machine", "other.yaml", "-o", "r.test.yaml")
    assert found.exit_code == 1
    told, at, *_ = found.stderr.splitlines()
    assert told == "the test cannot be run as it is written:"
    assert at.startswith("other.yaml:3:")
