"""`treadle ls` and `treadle history` on the desk."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.support.clusters import reached
from tests.support.treadles import shell, states, write
from treadle.app.ages import age
from treadle.app.looking import Cluster, Desk
from treadle.cli.look import Where
from treadle.cli.main import main
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import Refused


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
    assert lines[0].split() == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE"]
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:]}
    assert rows == {"first": ["odd", "Failed"], "second": ["ok", "Succeeded"]}
    column = lines[0].index("PHASE")
    assert sorted(line[column:].split()[0] for line in lines[1:]) == ["Failed", "Succeeded"]


def test_a_list_for_programs(desk: Path) -> None:
    named = call("ls", "-o", "name").stdout.split()
    assert sorted(named) == ["execution.treadle.dev/first", "execution.treadle.dev/second"]
    # What is printed is taken again.
    assert [call("history", name).exit_code for name in (*named, "ex/first", "first")] == [0] * 4
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
        (["history", "../x"], "cannot be its name"),
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
    assert [line.split()[0] for line in call("ls").stdout.splitlines()[1:]] == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, Desk(Path("/d"))),
        ({"namespace": "n"}, Cluster(None, None, "n")),
        ({"context": "c"}, Cluster(None, "c", None)),
        ({"all_namespaces": True}, Cluster(None, None, None, everywhere=True)),
        ({"on_cluster": True, "state_dir": None}, Cluster(None, None, None)),
        ({"on_cluster": True}, Desk(Path("/d"))),
        ({"kubeconfig": "k", "context": "c", "namespace": "n"}, Cluster("k", "c", "n")),
    ],
)
def test_where_it_looks(given: dict[str, Any], place: Desk | Cluster) -> None:
    named = {"state_dir": "/d", "kubeconfig": None, "context": None, "namespace": None}
    assert Where(**{**named, **given}).place() == place


def test_the_usual_desk_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Where(None, None, None, None).place() == Desk(tmp_path / ".treadle")


def test_where_each_command_looks(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = reached(tmp_path / "cluster", monkeypatch)
    cluster.put(EXECUTIONS, "afar")

    def listed(*words: str, **how: Any) -> str:
        said = CliRunner().invoke(main, [*words, "-o", "name"], **how).stdout
        return said.replace("execution.treadle.dev/", "")

    assert listed("ls") == listed("get", "--state-dir", ".treadle") == "second\nfirst\n"
    assert listed("get") == listed("ls", "-n", "x") == "afar\n"
    assert listed("ls", prog_name="kubectl treadle") == "afar\n"
    assert cluster.asked == ["team", "x", "team"]
    assert listed("get", "-A", "--context", "c", "--kubeconfig", "k") == "afar\n"
    assert cluster.asked[-1] is None
    assert cluster.places[-1] == Cluster("k", "c", None, everywhere=True)


def test_one_execution_alone(desk: Path) -> None:
    found = call("get", "first", "--state-dir", ".treadle", "-o", "json")
    assert json.loads(found.stdout)["metadata"]["name"] == "first"
    as_yaml = call("get", "first", "--state-dir", ".treadle", "-o", "yaml").stdout
    assert YAML(typ="safe").load(as_yaml) == json.loads(found.stdout)
    assert call("ls", "-o", "yaml").stdout.startswith("apiVersion: v1\n")


def test_a_wide_list(desk: Path) -> None:
    head, second, first = (line.split() for line in call("ls", "-o", "wide").stdout.splitlines())
    assert head[-6:] == ["AGE", "STARTED", "ENDED", "ERROR", "REVISION", "VERSION"]
    assert first[-2] == "Kubernetes.ExitCode.3"
    assert len(second) == len(first) - 1  # it has no error


def test_a_list_of_all_namespaces_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached(tmp_path, monkeypatch).put(EXECUTIONS, "afar")
    head, row = (line.split() for line in call("get", "-A").stdout.splitlines())
    assert (head[:2], row[:2]) == (["NAMESPACE", "NAME"], ["desk", "afar"])
    assert "is one of a namespace" in call("get", "afar", "-A").stderr


def test_what_is_missing_is_said_with_the_command_that_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = reached(tmp_path, monkeypatch)
    found = call("get", "nobody")
    assert found.exit_code == 2
    assert "no execution named 'nobody'; see `treadle get`" in found.stderr
    cluster.refuses["list", "executions"] = Refused(403, "Forbidden", "you cannot\x1b list")
    found = call("get")
    assert (found.exit_code, "you cannot\\x1b list" in found.stderr) == (2, True)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (601, "10m"),
        (3 * 3_600 - 1, "179m"),
        (3 * 3_600, "3h"),
        (4 * 3_600 + 61, "4h1m"),
        (47 * 3_600, "47h"),
        (49 * 3_600, "2d1h"),
        (8 * 86_400, "8d"),
    ],
)
def test_an_age_is_as_kubectl_says_it(seconds: float, said: str) -> None:
    now = datetime.now(UTC)
    assert age(now - timedelta(seconds=seconds), now) == said
    assert age(None, now) == ""


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
