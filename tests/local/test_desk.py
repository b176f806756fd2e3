"""`treadle run` as a process: Ctrl-C, kill -9, and going on."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import (
    begin,
    command,
    environment,
    gives,
    runs,
    shell,
    states,
    tidy,
    treadle,
    until,
    write,
)
from treadle.local.attempts import Folder

pytestmark = pytest.mark.slow

ONCE = ("run", "machine.json", "--name", "a", "--format", "json")
AGAIN = ("run", "--resume", "a", "--format", "json")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    tidy()
    for attempt in attempts(tmp_path):
        Folder(attempt).stop()


def attempts(folder: Path) -> list[Path]:
    return sorted((folder / ".treadle" / "runs" / "a" / "attempts").glob("*"))


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip(), path.name))


def said(process: "subprocess.Popen[str]") -> tuple[int, Any, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, json.loads(out) if out else None, err


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=60)


GATED = "echo $$ > pid; echo x >> starts; while ! test -e go; do sleep 0.02; done; "


def gated(folder: Path, then: str = "", **more: Any) -> None:
    """A machine of a Task that waits for a file."""
    write(folder, states(A=shell(GATED.replace("$$", "$$$$") + then, **more)))


def test_sigterm_leaves_what_runs_as_a_kill_does(tmp_path: Path) -> None:
    gated(tmp_path, gives("7"))
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert runs(pid)
    process = begin(tmp_path, *AGAIN)
    (tmp_path / "go").touch()
    code, found, _ = said(process)
    assert (code, found["output"]) == (0, 7)
    assert (tmp_path / "starts").read_text() == "x\n"


@pytest.mark.parametrize("ends_meanwhile", [False, True])
def test_what_runs_is_adopted_after_a_kill(tmp_path: Path, ends_meanwhile: bool) -> None:
    gated(tmp_path, gives("7"))
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    kill(process)
    assert runs(pid)
    (attempt,) = attempts(tmp_path)
    if ends_meanwhile:
        (tmp_path / "go").touch()
        until(lambda: Folder(attempt).ended(), "the end of the process")
        process = begin(tmp_path, *AGAIN)
    else:
        process = begin(tmp_path, *AGAIN)
        assert runs(pid)
        (tmp_path / "go").touch()
    code, found, _ = said(process)
    assert (code, found["status"], found["output"]) == (0, "Succeeded", 7)
    assert (tmp_path / "starts").read_text() == "x\n"


def test_a_deadline_that_passed_while_nobody_looked_loses(tmp_path: Path) -> None:
    gated(tmp_path, gives("7"), TimeoutSeconds=3)
    process = begin(tmp_path, *ONCE)
    pid_in(tmp_path / "pid")
    kill(process)
    (tmp_path / "go").touch()
    (attempt,) = attempts(tmp_path)
    ended = until(lambda: Folder(attempt).ended(), "the end of the process")
    until(lambda: _seconds_since(ended.at) > 3.2, "the deadline")
    code, found, _ = said(begin(tmp_path, *AGAIN))
    assert (code, found["output"]) == (0, 7)


def _seconds_since(at: datetime) -> float:
    return (datetime.now(UTC) - at).total_seconds()


def test_what_is_no_longer_wanted_is_stopped_after_a_kill(tmp_path: Path) -> None:
    """A branch failed, that was saved, and then we died before its sibling was told to end."""
    stubborn = "trap '' TERM; echo $$$$ > pid; while ! test -e go; do sleep 0.02; done; "
    quick = "while ! test -s pid; do sleep 0.02; done; exit 3"
    branches = [states(B=shell(stubborn)), states(C=shell(quick))]
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Wait"}]
    machine = states(
        A={"Type": "Parallel", "Branches": branches, "Catch": caught, "Next": "Wait"},
        Wait={"Type": "Wait", "Seconds": 4, "End": True},
    )
    write(tmp_path, machine)
    process = begin(tmp_path, *ONCE)
    pid_in(tmp_path / "pid")
    (stop,) = until(lambda: list(tmp_path.glob(".treadle/runs/a/attempts/*/stop")), "the stop")
    kill(process)
    stop.unlink()  # as if we had died a moment earlier
    process = begin(tmp_path, *AGAIN)
    until(stop.exists, "the stop, again")
    (tmp_path / "go").touch()
    assert said(process)[0] == 0


def test_what_was_adopted_can_be_stopped(tmp_path: Path) -> None:
    gated(tmp_path)
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    kill(process)
    code, found, _ = said(_interrupted(begin(tmp_path, *AGAIN)))
    assert (code, found["status"]) == (1, "Aborted")
    assert not runs(pid)


def _interrupted(process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    # It has seen what runs once it has said what happened before.
    assert process.stderr is not None
    while "begins" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    return process


def test_ctrl_c_stops_and_says_so(tmp_path: Path) -> None:
    gated(tmp_path)
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    code, found, err = said(process)
    assert (code, found["status"], found["error"]) == (1, "Aborted", "Treadle.Interrupted")
    assert "Ctrl-C again ends at once" in err
    assert not runs(pid)
    again = treadle(tmp_path, *AGAIN)
    assert (again.returncode, json.loads(again.stdout)) == (1, found)


def test_a_second_ctrl_c_ends_at_once_and_can_be_gone_on_with(tmp_path: Path) -> None:
    script = "trap '' TERM; " + GATED.replace("$$", "$$$$")
    write(tmp_path, states(A=shell(script)))
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    until(lambda: list(tmp_path.glob(".treadle/runs/a/attempts/*/stop")), "the first Ctrl-C")
    process.send_signal(signal.SIGINT)
    code, out, err = said(process)
    assert (code, out) == (130, None)
    assert "go on with it by: treadle run --resume a" in err
    assert runs(pid)
    (tmp_path / "go").touch()
    until(lambda: not runs(pid), "the end of the process")
    code, found, _ = said(begin(tmp_path, *AGAIN))
    assert (code, found["status"]) == (1, "Aborted")


def test_a_supervisor_that_is_killed_takes_its_process_along(tmp_path: Path) -> None:
    retry = [{"ErrorEquals": ["Kubernetes.NodeLost"], "IntervalSeconds": 1}]
    gated(tmp_path, Retry=retry)
    process = begin(tmp_path, *ONCE)
    pid = pid_in(tmp_path / "pid")
    (attempt,) = attempts(tmp_path)
    os.kill(int((attempt / "started").read_text()), signal.SIGKILL)
    (tmp_path / "pid").unlink()
    if sys.platform == "linux":
        until(lambda: not runs(pid), "the end of the process")
    pid_in(tmp_path / "pid")
    (tmp_path / "go").touch()
    assert said(process)[0] == 0
    assert (tmp_path / "starts").read_text() == "x\nx\n"


def test_two_runs_of_one_name_at_once(tmp_path: Path) -> None:
    gated(tmp_path)
    process = begin(tmp_path, *ONCE)
    pid_in(tmp_path / "pid")
    for words in (ONCE, AGAIN):
        second = treadle(tmp_path, *words)
        assert (second.returncode, second.stdout) == (2, "")
        assert "is being run by another process" in second.stderr
    (tmp_path / "go").touch()
    assert said(process)[0] == 0
    assert "there is an execution named 'a'" in treadle(tmp_path, *ONCE).stderr


def test_a_race_for_one_name_has_one_winner(tmp_path: Path) -> None:
    write(tmp_path, states(A={"Type": "Pass", "End": True}))
    racers = [begin(tmp_path, *ONCE, "--input", str(number)) for number in range(4)]
    ends = [said(racer) for racer in racers]
    (winner,) = [number for number, end in enumerate(ends) if end[0] == 0]
    assert ends[winner][1]["output"] == winner
    assert sorted(end[0] for end in ends) == [0, 2, 2, 2]


def test_machines_of_one_name_at_once_do_not_mix(tmp_path: Path) -> None:
    racers = []
    for number in range(4):
        machine = states(A={"Type": "Pass", "Result": number, "End": True})
        write(tmp_path, {**_named("same"), "spec": {"definition": machine}}, f"{number}.json")
        racers.append(begin(tmp_path, "run", f"{number}.json", "--format", "json"))
    for number, racer in enumerate(racers):
        code, result, told = said(racer)
        assert code == 0, told
        assert result["output"] == number


def _named(name: str) -> dict[str, Any]:
    kind = {"apiVersion": "treadle.dev/v1alpha1", "kind": "StateMachine"}
    return {**kind, "metadata": {"name": name}}


def test_a_state_directory_that_fails_meanwhile_is_told_and_waited_for(tmp_path: Path) -> None:
    gated(tmp_path)
    process = begin(tmp_path, *ONCE)
    pid_in(tmp_path / "pid")
    objects, away = tmp_path / ".treadle" / "executions", tmp_path / "away"
    objects.rename(away)
    objects.touch()
    (tmp_path / "go").touch()
    assert process.stderr is not None
    lines = []
    while not (lines and "trying again" in lines[-1]):
        lines.append(process.stderr.readline())
        assert process.poll() is None, lines
    objects.unlink()
    away.rename(objects)
    assert said(process)[0] == 0


def test_three_months_cost_nothing(tmp_path: Path) -> None:
    waits = {"Type": "Wait", "Seconds": 90 * 86_400, "Next": "End"}
    write(tmp_path, states(W=waits, End=shell("true")), "long.json")
    write(tmp_path, states(W={**waits, "Seconds": 0}, End=shell("true")), "0.json")
    costs = {}
    for name in ("0.json", "long.json"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = treadle(tmp_path, "run", name, "--time", "virtual", "--history", f"{name}.history")
        assert done.returncode == 0, done.stderr
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs[name] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert costs["long.json"] - costs["0.json"] < 0.2
    times = [
        e["timestamp"] for e in json.loads((tmp_path / "long.json.history").read_text())["events"]
    ]
    assert times == sorted(times)


def test_a_hundred_years_of_virtual_time_are_the_end(tmp_path: Path) -> None:
    waits = {"Type": "Wait", "Seconds": 99_999_999, "Next": "W"}
    ends = {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "E"}]}
    definition = states(W={**waits, "Next": "C"}, C={**ends, "Default": "W"}, E={"Type": "Succeed"})
    write(tmp_path, definition)
    done = treadle(tmp_path, "run", "machine.json", "--name", "a", "--time", "virtual")
    said = "'a': the execution has lasted a hundred years; shorten what it waits for"
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    again = treadle(tmp_path, "run", "--resume", "a")
    assert again.returncode == 2
    assert said in again.stderr


def test_an_error_of_ours_names_the_log_of_its_run(tmp_path: Path) -> None:
    write(tmp_path, states(A={"Type": "Wait", "Seconds": 5, "End": True}))
    program = (
        "import sys\nfrom treadle.engine import walk\nfrom treadle.cli.main import main\n"
        "walk.Walk.run = None\nmain(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "machine.json", "--name", "a"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    log = tmp_path / ".treadle" / "runs" / "a" / "treadle.log"
    assert (done.returncode, done.stdout) == (2, "")
    assert f"an internal error; see {log}" in done.stderr
    assert "TypeError" in log.read_text()


def test_virtual_time_does_not_go_back_after_a_kill(tmp_path: Path) -> None:
    waits = {"Type": "Wait", "Seconds": 90 * 86_400, "Next": "A"}
    last = {**waits, "End": True}
    del last["Next"]
    script = GATED.replace("$$", "$$$$")
    write(tmp_path, states(W=waits, A=shell(script, Next="Last"), Last=last))
    process = begin(tmp_path, *ONCE, "--time", "virtual")
    pid_in(tmp_path / "pid")
    kill(process)
    (tmp_path / "go").touch()
    code, _, _ = said(begin(tmp_path, *AGAIN, "--history", "h"))
    events = json.loads((tmp_path / "h").read_text())["events"]
    times = [event["timestamp"] for event in events]
    assert code == 0
    assert times == sorted(times)
    assert (tmp_path / "starts").read_text() == "x\n"


def test_nothing_of_a_cluster_is_loaded(tmp_path: Path) -> None:
    write(tmp_path, states(A=shell(gives("1"))))
    program = (
        "import sys\nfrom treadle.cli.main import main\ntry:\n    main(sys.argv[1:])\n"
        "finally:\n    print([n for n in ('kopf', 'kubernetes', 'uvloop') if n in sys.modules])"
    )
    for words in (ONCE, ("ls",), ("history", "a")):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
            env=environment(),
        )
        assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("where", ["pipe", "/dev/full"])
def test_a_result_that_nobody_takes(tmp_path: Path, where: str, form: str) -> None:
    write(tmp_path, states(A={"Type": "Pass", "End": True}))
    out = os.open(where, os.O_WRONLY) if where != "pipe" else _broken_pipe()
    try:
        done = subprocess.run(
            command("run", "machine.json", "--name", "a", "--format", form),
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env=environment(),
        )
    finally:
        os.close(out)
    assert done.returncode == 2
    assert "the result cannot be printed" in done.stderr
    assert "treadle run --resume a" in done.stderr
    assert "Traceback" not in done.stderr
    assert treadle(tmp_path, *AGAIN).returncode == 0


def _broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_a_run_goes_on_when_nobody_reads_what_happens(tmp_path: Path) -> None:
    write(tmp_path, states(A=shell(gives("1"))))
    err = _broken_pipe()
    done = subprocess.run(
        command("run", "machine.json"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=err,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
    )
    os.close(err)
    assert (done.returncode, done.stdout) == (0, "1\n")
