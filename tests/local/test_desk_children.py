"""`treadle run` of machines that start one another: of one file, across Ctrl-C and kill -9."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import (
    begin,
    gives,
    manifest,
    runs,
    shell,
    states,
    tidy,
    treadle,
    until,
)
from treadle.local.attempts import Folder

pytestmark = pytest.mark.slow

ONCE = ("run", "all.yaml", "--name", "a", "--format", "json")
AGAIN = ("run", "--resume", "a", "--format", "json")
AWS = "arn:aws:states:::states:startExecution"
HANGS = "echo $$$$ > pid; sleep 60 & wait"


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    tidy()
    for task in (tmp_path / ".treadle" / "runs" / "a").rglob("task.json"):
        Folder(task.parent).stop()


def starts(machine: str, resource: str = "treadle:execution.sync", **more: Any) -> dict[str, Any]:
    if resource.startswith(AWS):
        arn = f"arn:aws:states:eu-west-1:123456789012:stateMachine:{machine}"
        parameters = {"StateMachineArn": arn, "Input.$": "$"}
    else:
        parameters = {"stateMachine": machine, "input.$": "$", **more.pop("also", {})}
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}


def write(folder: Path, main: dict[str, Any], **others: dict[str, Any]) -> None:
    """A file of machines, the one to run first."""
    documents = [manifest(main, "main"), *(manifest(d, name) for name, d in others.items())]
    (folder / "all.yaml").write_text("\n---\n".join(map(json.dumps, documents)))


def said(process: "subprocess.Popen[str]") -> tuple[int, Any, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, json.loads(out) if out else None, err


def ran(folder: Path, *words: str) -> Any:
    done = treadle(folder, *(words or ONCE))
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip(), path.name))


def children(folder: Path) -> list[Any]:
    found = (folder / ".treadle" / "runs" / "a" / "executions").glob("*.json")
    return [json.loads(each.read_text()) for each in found]


def test_a_machine_of_the_same_file_is_started(tmp_path: Path) -> None:
    first = starts("b", ResultPath="$.b", Next="C")
    del first["End"]
    write(
        tmp_path,
        states(A=first, C=starts("c", f"{AWS}.sync:2")),
        b=states(B=shell(gives("7"))),
        c=states(C={"Type": "Pass", "InputPath": "$.b.output", "End": True}),
    )
    found = ran(tmp_path)
    assert (found["status"], found["output"]["Output"]) == ("Succeeded", 7)
    shown = treadle(tmp_path, "history", "a").stdout
    assert "TaskSubmitted" in shown
    assert "a" in treadle(tmp_path, "ls").stdout
    assert len(children(tmp_path)) == 2


def test_a_machine_of_another_namespace_is_one_of_the_same_file(tmp_path: Path) -> None:
    own = starts("b", also={"namespace": "team-b"}, OutputPath="$.output")
    write(tmp_path, states(A=own), b=states(B={"Type": "Pass", "Result": 7, "End": True}))
    assert ran(tmp_path)["output"] == 7
    assert len(children(tmp_path)) == 1


@pytest.mark.parametrize("qualifier", [{"version": 3}, {"alias": "live"}])
def test_a_version_is_the_machine_as_it_is(tmp_path: Path, qualifier: Any) -> None:
    own, named = starts("b", also=qualifier, OutputPath="$.output"), next(iter(qualifier.values()))
    given = starts(f"b:{named}", f"{AWS}.sync:2", OutputPath="$.Output")
    both = {"Type": "Parallel", "End": True, "Branches": [states(A=own), states(B=given)]}
    write(tmp_path, states(P=both), b=states(C={"Type": "Pass", "Result": 7, "End": True}))
    assert ran(tmp_path)["output"] == [7, 7]


def test_a_child_that_fails_is_told(tmp_path: Path) -> None:
    fails = {"Type": "Fail", "Error": "Own", "Cause": "because"}
    write(tmp_path, states(A=starts("b")), b=states(B=fails))
    found = ran(tmp_path)
    assert found["error"] == "States.TaskFailed"
    assert json.loads(found["cause"])["error"] == "Own"


def test_a_child_that_is_merely_started_is_waited_for_at_the_end(tmp_path: Path) -> None:
    write(
        tmp_path,
        states(A=starts("b", "treadle:execution")),
        b=states(B=shell("sleep 1; touch done; " + gives("7"))),
    )
    assert ran(tmp_path)["status"] == "Succeeded"
    assert (tmp_path / "done").exists()
    (child,) = children(tmp_path)
    assert child["status"]["phase"] == "Succeeded"


def test_in_virtual_time(tmp_path: Path) -> None:
    write(
        tmp_path,
        states(A=starts("b", TimeoutSeconds=7200, OutputPath="$.output")),
        b=states(B={"Type": "Wait", "Seconds": 3600, "End": True}),
    )
    found = ran(tmp_path, *ONCE, "--time", "virtual", "--input", '{"v": 1}')
    assert (found["status"], found["output"]) == ("Succeeded", {"v": 1})


def test_a_timeout_stops_the_child_and_its_process(tmp_path: Path) -> None:
    write(tmp_path, states(A=starts("b", TimeoutSeconds=1)), b=states(B=shell(HANGS)))
    assert ran(tmp_path)["error"] == "States.Timeout"
    (child,) = children(tmp_path)
    assert child["status"]["error"] == "Treadle.ParentEnded"
    pid = pid_in(tmp_path / "pid")
    until(lambda: not runs(pid), "its end")


def test_ctrl_c_stops_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, states(A=starts("b")), b=states(B=starts("c")), c=states(C=shell(HANGS)))
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    os.kill(process.pid, signal.SIGINT)
    _, found, _ = said(process)
    assert (found["status"], found["error"]) == ("Aborted", "Treadle.Interrupted")
    assert {child["status"]["phase"] for child in children(tmp_path)} == {"Aborted"}
    until(lambda: not runs(pid), "its end")


def test_it_goes_on_after_a_kill_and_starts_nothing_again(tmp_path: Path) -> None:
    gate = "echo x >> starts; while ! test -e go; do sleep 0.02; done; "
    write(
        tmp_path,
        states(A=starts("b", OutputPath="$.output.output")),
        b=states(B=starts("c")),
        c=states(C=shell(gate + gives("7"))),
    )
    process = begin(tmp_path, *ONCE)
    until((tmp_path / "starts").exists, "the start")
    process.kill()
    process.communicate(timeout=60)
    (tmp_path / "go").touch()
    found = ran(tmp_path, *AGAIN)
    assert (found["status"], found["output"]) == ("Succeeded", 7)
    assert (tmp_path / "starts").read_text() == "x\n"
    assert len(children(tmp_path)) == 2


def test_a_name_is_the_runs_own(tmp_path: Path) -> None:
    also = {"also": {"name": "nightly", "input": {}}}
    state = starts("b", **also)
    del state["Parameters"]["input.$"]
    write(tmp_path, states(A=state), b=states(B=shell("echo x >> starts; " + gives("7"))))
    for name in ("a", "b"):
        words = ("run", "all.yaml", "--name", name, "--format", "json")
        assert ran(tmp_path, *words)["output"]["output"] == 7
    assert (tmp_path / "starts").read_text() == "x\nx\n"


def test_a_machine_that_is_not_in_the_file(tmp_path: Path) -> None:
    write(tmp_path, states(A=starts("nowhere", f"{AWS}.sync")))
    assert ran(tmp_path)["error"] == "StepFunctions.StateMachineDoesNotExistException"
