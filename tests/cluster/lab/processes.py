"""Long-running programs, each with a pid file and a log in `.cluster/`.

The one rule: a process is signalled only if its pid *and* its start time are the ones we wrote
down, so a number that the kernel has handed to somebody else is never killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.lab import places


class LabError(Exception):
    """The test cluster cannot be had; the message says why and, where known, what to do."""


def wait_until(ready: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Poll until `ready()`.

    Raises:
        LabError: `what` did not happen within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"gave up after {seconds:.0f} s waiting: {what}")
        time.sleep(0.1)  # nothing tells of files, ports and processes: they are looked at


def run(*command: str | Path, cwd: Path | None = None, text: str | None = None) -> str:
    """Run a command to its end and give what it printed.

    Raises:
        LabError: it failed; the message holds the command and the end of what it printed.
    """
    argv = [str(word) for word in command]
    done = subprocess.run(argv, cwd=cwd, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"`{' '.join(argv)[:300]}` ended with {done.returncode}:\n{said}")
    return done.stdout


def log_of(name: str) -> Path:
    """The file that holds what the program printed since its last start."""
    return places.LOGS / f"{name}.log"


def start(
    name: str, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None
) -> bool:
    """Start a program in its own session, unless it runs already.

    Returns:
        True if it was started now.
    """
    if running(name):
        return False
    places.PIDS.mkdir(parents=True, exist_ok=True)
    places.LOGS.mkdir(parents=True, exist_ok=True)
    with log_of(name).open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=places.ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    born = _born_at(process.pid)
    _pid_file(name).write_text(f"{process.pid} {born}\n", encoding="ascii")
    # The process outlives this one on purpose; without this, Popen warns about it when collected.
    process.returncode = 0
    return True


def running(name: str) -> int | None:
    """The pid of the program that `start` started, if it is alive."""
    try:
        pid, born = _pid_file(name).read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _born_at(int(pid)) == born else None


def known() -> list[str]:
    """Names of the programs that have a pid file, running or not."""
    return sorted(file.name for file in places.PIDS.glob("*")) if places.PIDS.is_dir() else []


def stop(name: str, *, seconds: float = 10) -> None:
    """Ask the program to end, kill it after `seconds`, and forget it."""
    pid = running(name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        try:
            wait_until(lambda: running(name) is None, f"{name} to end", seconds=seconds)
        except LabError:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: running(name) is None, f"{name} to die", seconds=5)
    _pid_file(name).unlink(missing_ok=True)


def check_alive(name: str) -> None:
    """Fail early, with the end of its log, if a program has died.

    Raises:
        LabError: it is not running.
    """
    if running(name) is None:
        log = log_of(name)
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
        raise LabError(f"{name} has ended; the end of {log}:\n{tail}")


def _pid_file(name: str) -> Path:
    return places.PIDS / name


def _born_at(pid: int) -> str | None:
    """The start time of a living process in clock ticks since boot; None for a dead one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]
