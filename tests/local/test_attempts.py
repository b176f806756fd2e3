"""An attempt's folder and the supervisor in it: real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.treadles import runs, until
from treadle.local import attempts, supervisor
from treadle.local.attempts import Ended, Folder, Line
from treadle.local.files import write_whole


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "f.1.1"
    path.mkdir()
    return Folder(path)


def started(
    folder: Folder, *argv: str, after_kill: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    lock = folder.lock()
    assert lock is not None
    try:
        environment = {"PATH": "/usr/bin:/bin", "RESULT": str(folder.result)}
        return folder.start(lock, Line(argv, environment, after_kill), folder.path)
    finally:
        os.close(lock)


def ended(folder: Folder, process: "subprocess.Popen[bytes]") -> Ended:
    process.wait(timeout=30)
    found = folder.ended()
    assert found is not None
    return found


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip(), path.name))


def test_what_a_process_left_is_there(folder: Folder) -> None:
    process = started(folder, "sh", "-c", "echo said; pwd; echo 1 > $RESULT; exit 3")
    found = ended(folder, process)
    assert (found.exit_code, found.reason) == (3, "")
    assert folder.message(failed=True) == "1\n"
    assert (folder.path / "log").read_text() == f"said\n{folder.path}\n"
    assert folder.has_started()
    assert not folder.runs()


def test_what_it_printed_is_the_message_of_a_failure_without_one(folder: Folder) -> None:
    process = started(folder, "sh", "-c", "seq 1 200; printf '\\377'; exit 1")
    ended(folder, process)
    lines = folder.message(failed=True).splitlines()
    assert (len(lines), lines[-2], lines[-1]) == (attempts.LOG_LINES_MAX, "200", "�")
    assert folder.message(failed=False) == ""


def test_only_the_last_bytes_of_a_result_are_kept(folder: Folder) -> None:
    folder.result.write_bytes(b"x" * attempts.MESSAGE_BYTES_MAX + b"end")
    message = folder.message(failed=False)
    assert (len(message), message[-3:]) == (attempts.MESSAGE_BYTES_MAX, "end")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/no/such/program"], "No such file"),
        (["no-such-program"], "No such file"),
        (["/"], "Permission denied"),
        (["sh\0"], "null byte"),
    ],
)
def test_what_cannot_be_started_is_told(argv: list[str], reason: str, folder: Folder) -> None:
    found = ended(folder, started(folder, *argv))
    assert found.exit_code == supervisor.NO_SUCH_PROGRAM
    assert reason in found.reason


def test_a_signal_is_an_exit_code_as_in_a_container(folder: Folder) -> None:
    assert ended(folder, started(folder, "sh", "-c", "kill -9 $$")).exit_code == 137


def test_nothing_is_started_twice(folder: Folder) -> None:
    ended(folder, started(folder, "sh", "-c", "echo once"))
    started(folder, "sh", "-c", "echo twice").wait(timeout=30)
    assert (folder.path / "log").read_text() == "once\n"


def test_the_lock_is_held_as_long_as_the_supervisor_lives(folder: Folder) -> None:
    process = started(folder, "sleep", "100")
    assert folder.runs()
    assert folder.lock() is None
    assert folder.stop()
    assert ended(folder, process).exit_code == 143
    folder.wait()
    assert not folder.stop()


def test_a_stop_that_comes_first_is_obeyed(folder: Folder) -> None:
    (folder.path / "stop").touch()
    assert ended(folder, started(folder, "sh", "-c", "echo ran")).exit_code == supervisor.STOPPED
    assert not (folder.path / "log").exists()


def test_who_ignores_sigterm_is_killed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "GRACE_SECONDS", 0.3)
    script = "trap '' TERM; echo $$ > pid; while true; do sleep 0.1; done"
    after = ["touch", str(folder.path / "after")]
    process = started(folder, "sh", "-c", script, after_kill=after)
    pid_in(folder.path / "pid")
    folder.stop()
    assert ended(folder, process).exit_code == 137
    assert (folder.path / "after").exists()


def test_who_obeys_sigterm_may_leave_a_result(folder: Folder) -> None:
    script = "trap 'echo 1 > $RESULT; exit 0' TERM; echo $$ > pid; while true; do sleep 0.1; done"
    process = started(folder, "sh", "-c", script)
    pid_in(folder.path / "pid")
    folder.stop()
    assert ended(folder, process).exit_code == 0
    assert folder.message(failed=False) == "1\n"


def test_what_a_process_leaves_behind_is_ended(folder: Folder) -> None:
    process = started(folder, "sh", "-c", "sleep 100 & echo $! > pid")
    assert ended(folder, process).exit_code == 0
    pid = pid_in(folder.path / "pid")
    until(lambda: not runs(pid), "the end of what was left behind")


def test_ctrl_c_is_not_for_processes(folder: Folder) -> None:
    process = started(folder, "sh", "-c", "echo $$ > pid; sleep 0.3; exit 4")
    pid_in(folder.path / "pid")
    os.kill(process.pid, signal.SIGINT)
    assert ended(folder, process).exit_code == 4
    assert os.getsid(0) != process.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
def test_a_process_dies_with_its_supervisor(folder: Folder) -> None:
    process = started(folder, "sh", "-c", "echo $$ > pid; sleep 100; true")
    pid = pid_in(folder.path / "pid")
    process.kill()
    process.wait(timeout=30)
    until(lambda: not runs(pid), "the end of the process")
    assert (folder.ended(), folder.has_started(), folder.runs()) == (None, True, False)


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "missing")
    assert not folder.stop()
    assert (folder.ended(), folder.has_started(), folder.message(failed=True)) == (None, False, "")


@pytest.mark.parametrize(
    ("argv", "stopped", "code"),
    [
        (["sh", "-c", "kill -TERM $PPID; sleep 100"], False, 143),
        (
            ["sh", "-c", "trap '' TERM; kill -TERM $PPID; while true; do sleep 0.1; done"],
            False,
            137,
        ),
        (["/no/such"], False, supervisor.NO_SUCH_PROGRAM),
        (["true"], True, supervisor.STOPPED),
    ],
)
def test_the_supervisor_itself(argv: list[str], stopped: bool, code: int, folder: Folder) -> None:
    """In this process, so that its lines count; what it does about signals is put back."""
    numbers = (signal.SIGTERM, signal.SIGALRM, signal.SIGINT)
    before = [(number, signal.getsignal(number)) for number in numbers]
    after = ["touch", str(folder.path / "after")]
    task = {"argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/", "graceSeconds": 0.5}
    write_whole(folder.path / "task.json", json.dumps({**task, "afterKill": after}).encode())
    if stopped:
        (folder.path / "stop").touch()
    try:
        supervisor.main(str(folder.path))
        supervisor.main(str(folder.path))
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    found = folder.ended()
    assert found is not None
    assert found.exit_code == code
    assert (folder.path / "after").exists() == (code == 137)


def test_its_grace_is_counted_from_the_first_time(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "GRACE_SECONDS", 0.5)
    script = "trap 'echo told >> told' TERM; echo $$ > pid; while true; do sleep 0.05; done"
    process = started(folder, "sh", "-c", script)
    pid_in(folder.path / "pid")
    # An execution that goes on says so at each of its turns.
    until(lambda: not folder.stop(), "its end")
    assert ended(folder, process).exit_code == 137
    assert (folder.path / "told").read_text() == "told\n"


@pytest.mark.parametrize("content", ["{", "{}", "[]", "1", '{"finishedAt": "now", "exitCode": 0}'])
def test_an_end_that_cannot_be_read_is_none(content: str, folder: Folder) -> None:
    (folder.path / "exit.json").write_text(content)
    assert folder.ended() is None
