"""The other side of the process that evaluates: asks it, waits so long, begins another.

One rule: whatever an expression does to that process, an answer comes back in time.
"""

import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from signal import Signals
from typing import Any, Final

from treadle.asl.evaluator import Answer, Asked, answer
from treadle.asl.limits import EXPRESSION_BYTES_MAX
from treadle.sandbox import frames

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 5.0
"""Waited beyond an evaluation's own time, which is of CPU, where there is little of that."""

_DYING_SECONDS: Final = 0.5
_PIPE_BYTES: Final = 1 << 20
_OUT_OF_MEMORY: Final = "U1001: The expression takes more than {:,} MiB of memory"
_OUT_OF_TIME: Final = "D1012: The expression takes more than {:g} s"


class Sandbox:
    """Evaluates expressions in a process of its own, which begins with the first.

    Args:
        environment: of that process; empty but for what Python needs.
        bytes_max: memory that an evaluation may take.
    """

    def __init__(
        self, environment: Mapping[str, str], bytes_max: int = EXPRESSION_BYTES_MAX
    ) -> None:
        # An allocator that takes a gigabyte at once could not be bounded.
        self._environment = {**environment, "MIMALLOC_ARENA_RESERVE": "0"}
        self._bytes_max = bytes_max
        self._process: subprocess.Popen[bytes] | None = None
        # Several threads may ask; each pays for its own.
        self._lock = threading.Lock()
        self._spent = threading.local()

    def close(self) -> None:
        """End the process. Another begins where one is needed again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    @property
    def process_id(self) -> int | None:
        """Of the process; None where there is none."""
        return None if self._process is None else self._process.pid

    def seconds(self) -> float:
        """CPU that this thread and all evaluations took: a stopwatch."""
        return time.thread_time() + self._seconds

    @property
    def _seconds(self) -> float:
        return getattr(self._spent, "seconds", 0.0)

    @_seconds.setter
    def _seconds(self, seconds: float) -> None:
        self._spent.seconds = seconds

    def answer(self, asked: Asked) -> Answer:
        """Make an evaluation: an `Evaluator`. One at a time, whichever thread asks."""
        with self._lock:
            return self._answer(asked)

    def _answer(self, asked: Asked) -> Answer:
        try:
            process = self._running()
        except OSError as why:
            # There are too many processes, or there is too little memory: it is no state's fault.
            _log.warning("an expression is evaluated without its sandbox: %s", why)
            return answer(asked)
        head = {
            "text": asked.text,
            "now_ms": asked.now_ms,
            "seed": asked.seed,
            "chance": asked.chance,
            "drawn": asked.drawn,
            "steps_max": asked.steps_max,
            "seconds_max": asked.seconds_max,
        }
        message = self._exchanged(process, frames.packed(head, asked.bindings), asked.seconds_max)
        if message is None:
            return Answer(failure=self._why(process, asked))
        told, value = message
        self._seconds += told.pop("seconds")
        is_defined = told.pop("is_defined")
        return Answer(value if is_defined else None, **told)

    def _why(self, process: subprocess.Popen[bytes], asked: Asked) -> str:
        """What became of a process that does not answer."""
        self._seconds += asked.seconds_max
        try:
            code = process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            code = -Signals.SIGPROF  # it lives, and others have the processor
        self.close()
        why = _OUT_OF_MEMORY.format(self._bytes_max >> 20)
        if code == -Signals.SIGPROF:
            why = _OUT_OF_TIME.format(asked.seconds_max)
        _log.info("an evaluation was ended: %s", why)
        return why

    def open(self) -> None:
        """Begin the process now. Raises: OSError."""
        self._running()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "treadle.sandbox.worker", str(self._bytes_max)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                bufsize=0,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
            if self._exchanged(self._process, b"", 0.0) is None:
                self.close()
                raise OSError("the process that evaluates expressions does not begin")
        return self._process

    def _exchanged(
        self, process: subprocess.Popen[bytes], message: bytes, seconds_max: float
    ) -> tuple[dict[str, Any], str] | None:
        """Send a message and read what comes back; None where nothing does."""
        assert process.stdin is not None
        assert process.stdout is not None
        to, of = process.stdin.fileno(), process.stdout.fileno()
        left, got = memoryview(message), bytearray()
        ends_at = time.monotonic() + seconds_max + _PATIENCE_SECONDS
        poll = select.poll()  # any number of files may be open
        poll.register(of, select.POLLIN)
        if left:
            poll.register(to, select.POLLOUT)
        while not frames.is_whole(got):
            ready = dict(poll.poll(max(0.0, ends_at - time.monotonic()) * 1_000))
            if not ready or ready.get(to, 0) & select.POLLERR:
                return None
            if to in ready:
                try:
                    left = left[os.write(to, left[:_PIPE_BYTES]) :]
                except BrokenPipeError:
                    return None
                if not left:
                    poll.unregister(to)
            if of in ready:
                chunk = os.read(of, _PIPE_BYTES)
                if not chunk:
                    return None
                got += chunk
        return frames.unpacked(bytes(got))
