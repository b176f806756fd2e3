"""`treadle ls` and `treadle history` on the desk."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.treadles import shell, states, write
from treadle.app.looking import Cluster, Desk
from treadle.cli.look import Where
from treadle.cli.main import main


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, list(words))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two executions: one that failed in a state of an odd name."""
    monkeypatch.chdir(tmp_path)
    odd = "日本\u202e\x1b"
    machine: dict[str, Any] = {"StartAt": odd, "States": {odd: shell("echo so; exit 3")}}
    write(tmp_path, machine, "odd.json")
    write(tmp_path, states(A={"Type": "Pass", "End": True}), "ok.json")
    assert call("run", "odd.json", "--name", "first").exit_code == 1
    assert call("run", "ok.json", "--name", "second").exit_code == 0
    return tmp_path


def test_a_list_for_people(desk: Path) -> None:
    lines = call("ls").stdout.splitlines()
    assert lines[0].split() == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "STARTED"]
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:]}
    assert rows == {"first": ["odd", "Failed"], "second": ["ok", "Succeeded"]}
    column = lines[0].index("PHASE")
    assert sorted(line[column:].split()[0] for line in lines[1:]) == ["Failed", "Succeeded"]


def test_a_list_for_programs(desk: Path) -> None:
    assert sorted(call("ls", "-o", "name").stdout.split()) == ["first", "second"]
    items = json.loads(call("ls", "-o", "json").stdout)["items"]
    assert {item["metadata"]["name"] for item in items} == {"first", "second"}


def test_nothing_to_list(tmp_path: Path) -> None:
    found = call("ls", "--state-dir", str(tmp_path))
    assert (found.exit_code, found.stdout) == (0, "")
    assert "There are no executions" in found.stderr


def test_a_history_for_people(desk: Path) -> None:
    lines = call("history", "first").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(n + 1) for n in range(len(lines))]
    assert lines[0].split()[2] == "ExecutionStarted"
    assert "日本\\u202e\\x1b: begins" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert "Kubernetes.ExitCode.3" in lines[-1]


def test_a_history_for_programs(desk: Path) -> None:
    events = json.loads(call("history", "first", "-o", "json").stdout)["events"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "ExecutionFailed"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["history", "x"], "there is no execution named 'x'"),
        (["history", "../x"], "cannot be the name"),
        (["ls", "--kubeconfig", "/no/such"], "no credentials for a cluster"),
        (["history", "x", "--kubeconfig", "/no/such"], "no credentials for a cluster"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = call(*words)
    assert (found.exit_code, sentence in found.stderr) == (2, True), found.stderr


def test_a_damaged_object_is_told(desk: Path) -> None:
    (desk / ".treadle" / "executions" / "first.json").write_text("{")
    for words in (["ls"], ["history", "first"]):
        found = call(*words)
        assert (found.exit_code, "is damaged" in found.stderr) == (2, True)


def test_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    found = call("history", "a", "--state-dir", str(path))
    assert (found.exit_code, "cannot be read" in found.stderr) == (2, True)


def test_the_newest_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, states(A={"Type": "Pass", "End": True}))
    for name in ("b", "c", "a"):
        assert call("run", "machine.json", "--name", name).exit_code == 0
    assert call("ls", "-o", "name").stdout.split() == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, Desk(Path("/d"))),
        ({"namespace": "n"}, Cluster(None, None, "n")),
        ({"context": "c"}, Cluster(None, "c", "default")),
        ({"kubeconfig": "k", "context": "c", "namespace": "n"}, Cluster("k", "c", "n")),
    ],
)
def test_where_it_looks(given: dict[str, str], place: Desk | Cluster) -> None:
    named: dict[str, str | None] = {"kubeconfig": None, "context": None, "namespace": None}
    assert Where("/d", **{**named, **given}).place() == place


def test_an_execution_without_a_machine_is_listed(desk: Path) -> None:
    path = desk / ".treadle" / "executions" / "first.json"
    obj = json.loads(path.read_text())
    path.write_text(json.dumps({**obj, "spec": {}}))
    assert "first" in call("ls").stdout


def test_a_checkpoint_that_cannot_be_read_is_a_sentence(desk: Path) -> None:
    path = desk / ".treadle" / "executions" / "first.json"
    obj = json.loads(path.read_text())
    obj["status"]["checkpoint"] = "99.x.y"
    path.write_text(json.dumps(obj))
    for words in (("history", "first"), ("run", "--resume", "first")):
        found = call(*words)
        assert (found.exit_code, "has version 99" in found.stderr) == (2, True)
