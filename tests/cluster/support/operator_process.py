"""`python -m treadle operator` as a process that tests start, kill and look at.

The one rule: it is started as a user would start it outside a cluster: a kubeconfig, flags and
TREADLE_* variables; nothing of the product is imported here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.cluster.lab import places

START_SECONDS = 60.0
_TURNS_BEGIN = "turns begin"
_LEADING = "leading as"


class OperatorProcess:
    """One operator; `with` starts it and ends it.

    Args:
        kubeconfig: of the cluster to serve.
        log: where what it prints is kept; every start appends.
        namespaces: to serve; none for all of them.
        flags: further flags of the command.
        **variables: TREADLE_* variables, without that prefix and in lower case.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        namespaces: Sequence[str] = (),
        flags: Sequence[str] = (),
        **variables: str,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._flags = [*flags, *(f"--namespace={name}" for name in namespaces)]
        self._variables = {f"TREADLE_{name.upper()}": value for name, value in variables.items()}
        if namespaces:
            # A Lease of its own: operators of different tests do not wait for each other.
            self._variables.setdefault("TREADLE_LEASE_NAMESPACE", namespaces[0])
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.api_port = _free_port()
        self._began_at = 0

    def __enter__(self) -> OperatorProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self.terminate()

    # --------------------------------------------------------------------------------- its life

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it makes turns; with `wait` false, only start it."""
        assert not self.running, "it runs already"
        self._port = _free_port()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._began_at = self._log.stat().st_size if self._log.exists() else 0
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TREADLE_")}
        env = {
            **inherited,
            "KUBECONFIG": str(self._kubeconfig),
            "PYTHONPATH": str(places.ROOT / "operator"),
            **self._variables,
        }
        command = [sys.executable, "-m", "treadle", "operator", f"--health-port={self._port}"]
        command.append(f"--api-port={self.api_port}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._flags],
                cwd=places.ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            self.wait_for(lambda: _TURNS_BEGIN in self.said, "its first turn", START_SECONDS)

    def kill(self) -> None:
        """End it at once, as `kill -9` and the kernel do."""
        self._signal(signal.SIGKILL)
        self._wait(10)

    def ask_to_end(self) -> None:
        """Send SIGTERM and return."""
        self._signal(signal.SIGTERM)

    def terminate(self, seconds: float = 30) -> int:
        """Send SIGTERM and wait; gives the exit status. It is killed after `seconds`."""
        self.ask_to_end()
        try:
            return self._wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {seconds:.0f} s of SIGTERM\n{self.tail}") from None

    def ended(self, seconds: float = 30) -> int:
        """Wait for its own end; gives the exit status."""
        return self._wait(seconds)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the present process."""
        assert self._process is not None
        return self._process.pid

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _wait(self, seconds: float) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    # ------------------------------------------------------------------------------ what it says

    @property
    def said(self) -> str:
        """All that it has printed since its last start."""
        with self._log.open("rb") as log:
            log.seek(self._began_at)
            return log.read().decode(errors="replace")

    @property
    def tail(self) -> str:
        """The end of that."""
        return self.said[-4000:]

    @property
    def leads(self) -> bool:
        """Whether it has ever held the Lease since its start."""
        return _LEADING in self.said

    def records(self) -> list[dict[str, Any]]:
        """Its log records; lines that are not JSON are left out."""
        found = []
        for line in self.said.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                found.append(record)
        return found

    def get(self, path: str) -> tuple[int, str]:
        """Ask its own server: status and text; 0 where nothing answers."""
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError as broken:
            return 0, str(broken)

    def metric(self, line: str) -> float:
        """The value of one line of `/metrics`, named with its labels; 0 where it is not there."""
        for each in self.get("/metrics")[1].splitlines():
            name, _, value = each.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    @property
    def rss_mib(self) -> float:
        """Memory that it holds now."""
        return _memory_mib(self.pid, "VmRSS")

    @property
    def rss_peak_mib(self) -> float:
        """The most memory that it has ever held, by the kernel's own mark."""
        return _memory_mib(self.pid, "VmHWM")

    def wait_for(self, probe: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait for something of the process; its death ends the wait.

        Raises:
            AssertionError: it died, or `what` was not seen in time; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not probe():
            assert self.running, f"the operator ended with {self._exit_code()}:\n{self.tail}"
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.tail}"
            time.sleep(0.05)  # /metrics, logs and an exit status tell nobody: they are looked at

    def _exit_code(self) -> int | None:
        return self._process.returncode if self._process is not None else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _memory_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise AssertionError(f"the kernel says no {field} of {pid}")
