"""Activities on a desk: a process for each task, of the command that was named for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import begin, manifest, states, tidy, treadle, write

ARN = "arn:aws:states:us-east-1:123456789012:activity:Pack-Orders"
ECHO = 'sh -c "cat $TREADLE_INPUT_FILE >$TREADLE_RESULT_FILE"'


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    tidy()


def asking(resource: str = "treadle:activity/pack", **more: Any) -> dict[str, Any]:
    return states(Pack={"Type": "Task", "Resource": resource, "End": True, **more})


def run(folder: Path, definition: Any, *words: str, **more: str) -> dict[str, Any]:
    path = write(folder, definition)
    done = treadle(folder, "run", str(path), "-o", "json", "--history", "h.json", *words, **more)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def types(folder: Path) -> list[str]:
    return [each["type"] for each in json.loads((folder / "h.json").read_text())["events"]]


@pytest.mark.parametrize(
    ("resource", "name", "family"),
    [("treadle:activity/pack", "pack", "Task"), (ARN, "Pack-Orders", "Activity")],
)
def test_a_task_is_a_process_of_its_workers_command(
    tmp_path: Path, resource: str, name: str, family: str
) -> None:
    definition = asking(resource, Parameters={"n.$": "$.n"})
    ended = run(tmp_path, definition, "--input", '{"n": [1]}', "--worker", f"{name}={ECHO}")
    assert (ended["status"], ended["output"]) == ("Succeeded", {"n": [1]})
    assert types(tmp_path)[2:5] == [
        f"{family}{end}" for end in ("Scheduled", "Started", "Succeeded")
    ]


@pytest.mark.parametrize("time", ["real", "virtual"])
def test_a_process_is_alive_for_as_long_as_it_runs(tmp_path: Path, time: str) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    slow = "pack=sh -c 'sleep 2.5; echo 7 >$TREADLE_RESULT_FILE'"
    definition = asking(HeartbeatSeconds=1, Retry=retry)
    ended = run(tmp_path, definition, "--worker", slow, "--time", time)
    assert (ended["status"], ended["output"]) == ("Succeeded", 7)
    assert types(tmp_path).count("TaskTimedOut") == 0


def test_its_failure_is_a_containers(tmp_path: Path) -> None:
    ended = run(tmp_path, asking(), "--worker", "pack=sh -c 'exit 3'")
    assert (ended["status"], ended["error"]) == ("Failed", "Kubernetes.ExitCode.3")


def test_the_machines_pod_template_is_not_for_workers(tmp_path: Path) -> None:
    env = [{"name": "WHO", "value": "a Pod"}]
    template = {"spec": {"containers": [{"name": "main", "env": env}]}}
    whole = manifest(asking(), podTemplate=template)
    told = 'sh -c "printf \\"\\\\\\"${WHO:-nobody}\\\\\\"\\" >$TREADLE_RESULT_FILE"'
    ended = run(tmp_path, whole, "--worker", f"pack={told}")
    assert ended["output"] == "nobody"


def test_where_nobody_does_the_work_that_is_said_before_it_begins(tmp_path: Path) -> None:
    definition = states(
        One={"Type": "Task", "Resource": "treadle:activity/pack", "Next": "Two"},
        Two={"Type": "Task", "Resource": ARN, "End": True},
    )
    path = write(tmp_path, definition)
    done = treadle(tmp_path, "run", str(path), "--worker", "pack=true")
    assert done.returncode == 2
    assert "these states wait for a worker: 'Two' (Pack-Orders)." in done.stderr
    assert "--worker Pack-Orders=CMD" in done.stderr


def test_a_mock_answers_for_a_worker(tmp_path: Path) -> None:
    mocks = {
        "StateMachines": {"it": {"TestCases": {"one": {"Pack": "Packed"}}}},
        "MockedResponses": {"Packed": {"0": {"Return": {"packed": True}}}},
    }
    write(tmp_path, mocks, "mocks.json")
    ended = run(tmp_path, asking(), "--mocks", "mocks.json#one")
    assert ended["output"] == {"packed": True}


def test_a_child_finds_no_worker_when_it_runs(tmp_path: Path) -> None:
    start = {
        "Type": "Task",
        "Resource": "treadle:execution.sync",
        "Parameters": {"stateMachine": "lower"},
        "End": True,
    }
    whole = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [manifest(states(Start=start)), manifest(asking(), "lower")],
    }
    ended = run(tmp_path, whole)
    assert ended["error"] == "States.TaskFailed"
    assert "no --worker pack=CMD is given" in ended["cause"]


def test_what_is_left_is_gone_on_with(tmp_path: Path) -> None:
    path = write(tmp_path, asking())
    script = tmp_path / "worker.sh"
    script.write_text(
        f"touch {tmp_path}/began; while ! test -e {tmp_path}/go; do sleep 0.02; done\n"
        "echo 7 >$TREADLE_RESULT_FILE\n"
    )
    first = begin(tmp_path, "run", str(path), "--name", "it", "--worker", f"pack=sh {script}")
    while not (tmp_path / "began").exists():
        assert first.poll() is None
    first.kill()
    first.wait()
    (tmp_path / "go").touch()
    done = treadle(tmp_path, "run", "--resume", "it")
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


def test_a_command_that_is_no_line_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, asking())
    for word, said in (("pack='", "--worker: '"), ("pack", "'pack' is not --worker NAME=CMD")):
        done = treadle(tmp_path, "run", str(path), "--worker", word)
        assert done.returncode == 2
        assert said in done.stderr
