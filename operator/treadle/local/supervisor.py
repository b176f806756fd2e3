"""The parent of one task's process: it outlives whoever started it, and leaves how it ended.

One rule: it stands alone, on the standard library, and starts its command once: whoever finds
`started` in the attempt's folder does not start it again.

Run as `python -I -S supervisor.py FOLDER`, with the folder's lock among its file descriptors, held
for as long as this process lives. The folder has `task.json`: `argv`, `env`, `cwd`, `graceSeconds`
and `afterKill`, a command for what SIGKILL does not reach. It gets `started` (our process id),
`log` (what the command printed), `stop` (from whoever wants it to end) and, at the end,
`exit.json`: `exitCode`, `finishedAt`, and `reason` where the command could not be started.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

NO_SUCH_PROGRAM = 128  # as the kubelet reports a StartError
STOPPED = 143
CLEAN_UP_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class _Ending:
    """What is done about signals: SIGTERM goes to the command, and after its grace SIGKILL."""

    def __init__(self, grace_seconds: float) -> None:
        self.group = 0
        self.asked = False
        self.killed = False
        self._told = False
        self._grace_seconds = grace_seconds
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGALRM, self._kill)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch(self, group: int) -> None:
        """The command runs, as the leader of this process group."""
        self.group = group
        if self.asked:
            self._ask()

    def finish(self) -> None:
        """The command has ended: whatever it left running ends too, as in a container."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._send(signal.SIGKILL)

    def _ask(self, *_: Any) -> None:
        self.asked = True
        # Whoever wants it to end says so at every turn: its grace is counted from the first time.
        if self.group and not self._told:
            self._told = True
            self._send(signal.SIGTERM)
            signal.setitimer(signal.ITIMER_REAL, max(self._grace_seconds, 0.001))

    def _kill(self, *_: Any) -> None:
        self.killed = True
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        # It may be gone; on macOS a group of the dead is refused.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)


def main(folder: str) -> None:
    """Run the folder's task to its end."""
    with open(os.path.join(folder, "task.json"), encoding="utf-8") as file:
        task = json.load(file)
    ending = _Ending(task["graceSeconds"])
    try:
        marker = os.open(
            os.path.join(folder, "started"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
        )
    except FileExistsError:
        return
    os.write(marker, str(os.getpid()).encode())
    os.fsync(marker)
    _sync(folder)
    _sync(os.path.dirname(os.path.abspath(folder)))  # or a crash could take it away, marker and all
    if ending.asked or os.path.exists(os.path.join(folder, "stop")):
        _leave(folder, {"exitCode": STOPPED})
        return
    with open(os.path.join(folder, "log"), "ab") as log:
        try:
            process = subprocess.Popen(
                task["argv"],
                env=task["env"],
                cwd=task["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 - there is one thread
            )
        except (OSError, ValueError, subprocess.SubprocessError) as why:
            _leave(folder, {"exitCode": NO_SUCH_PROGRAM, "reason": str(why)})
            return
    ending.watch(process.pid)
    code = process.wait()
    ending.finish()
    if ending.killed and task["afterKill"]:
        _clean_up(task)
    _leave(folder, {"exitCode": code if code >= 0 else 128 - code})


def _clean_up(task: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            task["afterKill"],
            env=task["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=CLEAN_UP_SECONDS,
        )


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What makes a child die with its parent, so that nothing runs that nobody watches.

    Only Linux has it; elsewhere a supervisor that is killed leaves its command running.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(STOPPED)

    return ask


def _leave(folder: str, ended: dict[str, Any]) -> None:
    ended["finishedAt"] = time.time()
    part = os.path.join(folder, "exit.part")
    with open(part, "w", encoding="utf-8") as file:
        json.dump(ended, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, os.path.join(folder, "exit.json"))
    _sync(folder)


def _sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    main(sys.argv[1])
