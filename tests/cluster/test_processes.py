"""Starting and stopping programs by pid file, without a cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cluster.lab import places, processes


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PIDS", tmp_path / "pid")
    monkeypatch.setattr(places, "LOGS", tmp_path / "log")


def test_a_program_runs_once_and_stops() -> None:
    assert processes.start("sleeper", ["sleep", "100"])
    pid = processes.running("sleeper")
    assert pid
    assert not processes.start("sleeper", ["sleep", "100"])
    assert processes.running("sleeper") == pid
    processes.stop("sleeper")
    assert processes.running("sleeper") is None
    assert processes.known() == []


def test_a_program_that_will_not_end_is_killed() -> None:
    command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    processes.start("deaf", command)
    processes.wait_until(lambda: "ready" in processes.log_of("deaf").read_text(), "its trap")
    processes.stop("deaf", seconds=0.3)
    assert processes.running("deaf") is None


def test_a_pid_that_was_handed_to_somebody_else_is_left_alone() -> None:
    processes.start("sleeper", ["sleep", "100"])
    pid = processes.running("sleeper")
    assert pid
    file = places.PIDS / "sleeper"
    file.write_text(f"{pid} 1\n", encoding="ascii")
    processes.stop("sleeper")
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


def test_a_dead_program_is_told_with_the_end_of_its_log() -> None:
    processes.start("failing", ["sh", "-c", "echo no such thing"])
    processes.wait_until(lambda: processes.running("failing") is None, "its end")
    with pytest.raises(processes.LabError, match="no such thing"):
        processes.check_alive("failing")
