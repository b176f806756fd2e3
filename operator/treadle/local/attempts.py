"""The folder of one attempt: what a supervisor was given, and what it left.

One rule: whether an attempt runs is told by the lock on its folder, which its supervisor holds from
before its first line to its death; never by a process id, which may be another's by now.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from treadle.asl.json import dumps, loads
from treadle.local import supervisor
from treadle.local.files import write_whole

GRACE_SECONDS = 30.0  # Kubernetes: terminationGracePeriodSeconds
MESSAGE_BYTES_MAX = 4096  # kubelet: the last bytes of a termination message are kept
LOG_BYTES_MAX, LOG_LINES_MAX = 2048, 80  # kubelet: FallbackToLogsOnError


@dataclass(frozen=True, slots=True)
class Line:
    """A command line and its environment; `after_kill` ends what SIGKILL does not reach."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    after_kill: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt's process ended. `reason` is set where it could not be started."""

    exit_code: int
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """See the module."""

    path: Path

    @property
    def input(self) -> Path:
        """TREADLE_INPUT_FILE."""
        return self.path / "input.json"

    @property
    def result(self) -> Path:
        """TREADLE_RESULT_FILE."""
        return self.path / "result"

    def has_started(self) -> bool:
        """Whether its command was ever started, or was about to be."""
        return (self.path / "started").exists()

    def ended(self) -> Ended | None:
        """How it ended; None where nobody has said so."""
        try:
            said = loads((self.path / "exit.json").read_bytes())
            at = datetime.fromtimestamp(said["finishedAt"], UTC)
            return Ended(said["exitCode"], at, said.get("reason", ""))
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def message(self, *, failed: bool) -> str:
        """Its termination message, as a kubelet would give it."""
        text = _last_bytes(self.result, MESSAGE_BYTES_MAX)
        if not text and failed:
            lines = _last_bytes(self.path / "log", LOG_BYTES_MAX).splitlines()
            text = "\n".join(lines[-LOG_LINES_MAX:])
        return text

    def lock(self) -> int | None:
        """Take the lock; gives a file descriptor that holds it, None where it is held."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def wait(self) -> None:
        """Block until nobody holds the lock: until its supervisor has died."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)

    def start(self, lock: int, line: Line, cwd: Path) -> "subprocess.Popen[bytes]":
        """Start its supervisor, which takes over the lock."""
        task = {
            "argv": list(line.argv),
            "env": dict(line.environment),
            "cwd": str(cwd),
            "graceSeconds": GRACE_SECONDS,
            "afterKill": list(line.after_kill),
        }
        write_whole(self.path / "task.json", dumps(task).encode())
        return subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
        )

    def runs(self) -> bool:
        """Whether a supervisor is at it."""
        handle = self.lock()
        if handle is not None:
            os.close(handle)
        return handle is None

    def stop(self) -> bool:
        """Ask its supervisor to end it; gives whether there was one."""
        if not self.path.is_dir() or not self.runs():
            return False
        # A supervisor that is not so far yet finds this; one that is gets a signal. It holds the
        # lock, so the process id is its own.
        write_whole(self.path / "stop", b"")
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.path / "started").read_text()), signal.SIGTERM)
        return True


def _last_bytes(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""
