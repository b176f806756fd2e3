"""The process that evaluates: one question after the other, until its input ends.

One rule: it takes no more memory and no more time than it is told; then the system ends it.
"""

import contextlib
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from treadle.asl.evaluator import TIMED_OUT, Answer, Asked, answer
from treadle.sandbox import frames

_WALL_SECONDS = 20.0
"""The engine's own clock goes on while others have the processor; it may show so much more."""

_SHARE = 0.8
"""Of its time that an evaluation has at least worked where time has ended it."""


def main(bytes_max: int) -> None:
    """Answer what comes on the standard input.

    Args:
        bytes_max: of memory, beyond what the process has when it begins.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides, and ends the input
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # it ends the process
    _bound_memory(bytes_max)
    given, out = sys.stdin.buffer, sys.stdout.buffer
    out.write(frames.packed({}))
    out.flush()
    while (message := frames.read(given)) is not None:
        head, bindings = message
        asked = Asked(bindings=bindings, **head)
        began = time.process_time()
        made = _timed(asked)
        seconds = time.process_time() - began
        out.write(
            frames.packed(
                {
                    "failure": made.failure,
                    "lacks_steps": made.lacks_steps,
                    "drawn": made.drawn,
                    "is_defined": made.value is not None,
                    "seconds": seconds,
                    "is_starved": _is_timeout(made) and seconds < _SHARE * asked.seconds_max,
                },
                made.value or "",
            )
        )
        out.flush()


def _timed(asked: Asked) -> Answer:
    signal.setitimer(signal.ITIMER_PROF, asked.seconds_max)
    try:
        return answer(replace(asked, seconds_max=asked.seconds_max + _WALL_SECONDS))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _is_timeout(made: Answer) -> bool:
    return made.failure.startswith(TIMED_OUT)


def _bound_memory(bytes_max: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where the system is no Linux, nobody but its developers runs this: time alone bounds it there.
    with contextlib.suppress(OSError):
        most = _data_bytes() + bytes_max
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        # Where memory runs out all the same, the system ends this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _data_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmData:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]))
