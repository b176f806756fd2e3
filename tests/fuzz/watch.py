"""Looks after inputs that run: each in a forked process, with so much time and memory.

One rule: whatever an input does to its process, the campaign goes on and knows which input it was.
"""

import json
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from tests.fuzz.dice import Dice

GROWTH_BYTES_MAX = 300 * 2**20
_STUCK_FACTOR = 2.5  # of what it may take; then nobody waits for the input to end
KILLED_BYTES = 4 * GROWTH_BYTES_MAX
_PAGE_BYTES = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


class Target(Protocol):
    """Something that takes whatever comes, in so much time of CPU."""

    name: str
    seconds_max: float

    def make(self, dice: Dice) -> Any:
        """An input: JSON."""

    def run(self, given: Any) -> str:
        """Give it the input; a word for how it went. What it raises is a finding."""

    def seconds(self) -> float:
        """A stopwatch: CPU that it took so far."""


class Finding(NamedTuple):
    """An input that did what none may: its number, a name for what it did, all about it."""

    number: int
    signature: str
    story: str


@dataclass(frozen=True, slots=True)
class Order:
    """Inputs to run, by number: `given` instead of them where it is not None."""

    target: Target
    seed: int
    first: int
    count: int
    ends_at: float  # of time.monotonic
    given: Any = None


def dice_of(order: Order, number: int) -> Dice:
    """The dice that make an input."""
    return Dice(f"{order.seed}/{order.target.name}/{number}")


class Watched:
    """The running of one order; iterate over its findings."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.done = 0
        self.words: Counter[str] = Counter()
        # The number of the input that runs, for the process that watches.
        self._board = mmap.mmap(-1, 8)
        self._next = order.first

    def findings(self) -> Iterator[Finding]:
        """Run all of them."""
        end = self.order.first + self.order.count
        while self._next < end and time.monotonic() < self.order.ends_at:
            yield from self._one_process(end)

    def _one_process(self, end: int) -> Iterator[Finding]:
        first = self._next
        self._post(first)
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if not child:
            os.close(reading)
            _work(self.order, self._next, end, self._board, writing)
        os.close(writing)
        told: list[Finding] = []
        try:
            with os.fdopen(reading, "rb", buffering=0) as pipe:
                why = self._follow(child, pipe, told)
        finally:
            self._next = self._posted() + 1
            self.done += self._next - first
        yield from told
        if why:
            yield Finding(self._posted(), why, why)

    def _follow(self, child: int, pipe: Any, told: list[Finding]) -> str:
        """Read what a process tells until it ends; why it had to be ended, if it had."""
        number, since, pending, why = -1, 0.0, b"", ""
        base = _resident(child)
        while True:
            if select.select([pipe], [], [], 0.2)[0]:
                chunk = pipe.read(65_536)
                if not chunk:
                    break
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line), told)
            used = _cpu_seconds(child)
            if self._posted() != number:
                number, since = self._posted(), used
            elif used - since > _STUCK_FACTOR * self.order.target.seconds_max:
                why = "it does not end"
            if _resident(child) - base > KILLED_BYTES:
                why = f"it takes more than {KILLED_BYTES >> 20} MiB"
            if why:
                os.kill(child, signal.SIGKILL)
                break
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return why or (f"its process ended with {code}" if code else "")

    def _hear(self, message: dict[str, Any], told: list[Finding]) -> None:
        if "words" in message:
            self.words.update(message["words"])
        else:
            told.append(Finding(**message))

    def _post(self, number: int) -> None:
        self._board[:8] = struct.pack("q", number)

    def _posted(self) -> int:
        return int(struct.unpack("q", self._board[:8])[0])


def _work(order: Order, first: int, end: int, board: mmap.mmap, pipe: int) -> NoReturn:
    """The forked process: run inputs and tell what happens."""
    words: Counter[str] = Counter()
    code = 0

    def tell(message: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(message).encode() + b"\n")

    try:
        for number in range(first, end):
            if time.monotonic() > order.ends_at:
                break
            board[:8] = struct.pack("q", number)
            made = (
                order.given
                if order.given is not None
                else order.target.make(dice_of(order, number))
            )
            word, finding = attempt(order.target, made)
            words[word] += 1
            if finding is not None:
                tell({"number": number, "signature": finding[0], "story": finding[1]})
            if number % 200 == 0:
                tell({"words": words})
                words.clear()
        tell({"words": words})
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


def attempt(target: Target, given: Any) -> tuple[str, tuple[str, str] | None]:
    """Run an input here: a word for how it went; a signature and a story where it is a finding."""
    _forget_peak()
    before = _resident(os.getpid())
    began = target.seconds()
    try:
        word = target.run(given)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as why:
        return "finding", (_signature(why), "".join(traceback.format_exception(why)[-12:]))
    seconds = target.seconds() - began
    if seconds > target.seconds_max:
        return "finding", (f"it takes more than {target.seconds_max:g} s", f"{seconds:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak - before > GROWTH_BYTES_MAX:
        what = f"it takes more than {GROWTH_BYTES_MAX >> 20} MiB"
        return "finding", (what, f"{(peak - before) >> 20} MiB")
    return word, None


def _signature(why: BaseException) -> str:
    """Where it was raised: the innermost function of ours that is on the way."""
    place = "?"
    for frame in traceback.extract_tb(why.__traceback__):
        if "/treadle/" in frame.filename or "/tests/fuzz/" in frame.filename:
            place = f"{Path(frame.filename).name}:{frame.name}"
    return f"{type(why).__name__} from {place}"


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _resident(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/statm").read_text()
    except OSError:
        return 0
    return int(text.split()[1]) * _PAGE_BYTES if text else 0


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
