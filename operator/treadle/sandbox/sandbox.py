"""The other side of the process that evaluates: asks it, waits so long, begins another.

One rule: an answer is about the expression alone. What befalls the process from outside is told as
`EvaluatorLost`, and nothing is ever evaluated without bounds instead.
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

from treadle.asl.evaluator import Answer, Asked, EvaluatorLost
from treadle.asl.limits import EXPRESSION_BYTES_MAX
from treadle.sandbox import frames

_log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 30.0
"""Waited beyond an evaluation's own time, which is of CPU, where there is little of that."""

TRIES: Final = 2
"""An expression is asked again, of a fresh process, before nobody knows of it."""

_DYING_SECONDS: Final = 0.5
_PIPE_BYTES: Final = 1 << 20
_OUT_OF_MEMORY: Final = "U1001: The expression takes more than {:,} MiB of memory"
_OUT_OF_TIME: Final = "D1012: The expression takes more than {:g} s"
_OF_ITS_OWN: Final = {
    # Memory that is not given ends the process in one of these ways.
    **dict.fromkeys((Signals.SIGABRT, Signals.SIGBUS, Signals.SIGILL, Signals.SIGSEGV), True),
    Signals.SIGPROF: False,
}
"""Signals that only an evaluation itself brings about; and whether that is for want of memory."""


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
        self._is_closed = False

    def close(self) -> None:
        """End the process for good. Whoever waits for an answer is told that it is lost."""
        self._is_closed = True
        process = self._process
        if process is not None:
            process.kill()  # whoever waits for it holds the lock, and lets it go now
        with self._lock:
            self._end()

    def _end(self) -> None:
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
        """Make an evaluation: an `Evaluator`. One at a time, whichever thread asks.

        Raises:
            EvaluatorLost: see there.
        """
        why = ""
        for _ in range(TRIES):
            with self._lock:
                try:
                    return self._answer(asked)
                except _Lost as lost:
                    why = str(lost)
                    self._end()
            if self._is_closed:
                break
            _log.warning("an evaluation is lost: %s", why)
        raise EvaluatorLost(why)

    def _answer(self, asked: Asked) -> Answer:
        process = self._running()
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
        if told.pop("is_starved"):
            raise _Lost("the process that evaluates has no processor")
        is_defined = told.pop("is_defined")
        return Answer(value if is_defined else None, **told)

    def _why(self, process: subprocess.Popen[bytes], asked: Asked) -> str:
        """What an expression did to a process that does not answer. Raises: _Lost (nothing)."""
        self._seconds += asked.seconds_max
        try:
            code = process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            # Its own timer would have ended it, had it worked so long.
            raise _Lost("the process that evaluates has no processor") from None
        if -code not in _OF_ITS_OWN or self._is_closed:
            raise _Lost(f"the process that evaluates was ended ({_named(code)})")
        self._end()
        why = _OUT_OF_TIME.format(asked.seconds_max)
        if _OF_ITS_OWN[Signals(-code)]:
            why = _OUT_OF_MEMORY.format(self._bytes_max >> 20)
        _log.info("an evaluation was ended: %s", why)
        return why

    def open(self) -> None:
        """Begin the process now. Raises: EvaluatorLost."""
        with self._lock:
            try:
                self._running()
            except _Lost as lost:
                self._end()
                raise EvaluatorLost(str(lost)) from None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise _Lost("this process ends")
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = self._begun()
            if self._exchanged(self._process, b"", 0.0) is None:
                raise _Lost("the process that evaluates does not begin")
        return self._process

    def _begun(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "treadle.sandbox.worker", str(self._bytes_max)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                bufsize=0,
            )
        except OSError as why:  # too many processes, or too little memory
            raise _Lost(f"no process can begin that evaluates: {why.strerror}") from None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        return process

    def _exchanged(
        self, process: subprocess.Popen[bytes], message: bytes, seconds_max: float
    ) -> tuple[dict[str, Any], str] | None:
        """Send a message and read what comes back; None where nothing does."""
        assert process.stdin is not None
        assert process.stdout is not None
        to, of = process.stdin.fileno(), process.stdout.fileno()
        left, got = memoryview(message), bytearray()
        ends_at = time.monotonic() + seconds_max + PATIENCE_SECONDS
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
        try:
            return frames.unpacked(bytes(got))
        except ValueError as why:
            raise _Lost(f"the process that evaluates answers nonsense: {why}") from None


class _Lost(Exception):  # noqa: N818 - it says what happened
    """What befell the process, for the log."""


def _named(code: int) -> str:
    try:
        return Signals(-code).name
    except ValueError:
        return f"status {code}"
