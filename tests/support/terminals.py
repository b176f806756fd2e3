"""A terminal of a given size, as far as a table that changes in place needs one.

One rule: what it does not know is an error, so that nothing garbles unseen.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len

from tests.support.treadles import WAIT_SECONDS, command, environment

_PART = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|([^\x00-\x1f\x7f])")


@dataclass
class Terminal:
    """See the module.

    Attributes:
        lines: what is on it, and above it.
        wrapped: whether something was ever too long for a line.
        colours: every sequence that sets colours or styles.
    """

    columns: int
    lines: list[str] = field(default_factory=lambda: [""])
    wrapped: bool = False
    colours: set[str] = field(default_factory=set)
    cursor_shown: bool = True
    _row: int = 0
    _column: int = 0

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        at = 0
        while at < len(text):
            found = _PART.match(text, at)
            assert found is not None, f"an unknown sequence: {text[at : at + 20]!r}"
            at = found.end()
            if found[2]:
                self._control(found[1], found[2])
            elif found[3]:
                self._column = 0
            elif found[4]:
                self._row += 1
                self._column = 0
                if self._row == len(self.lines):
                    self.lines.append("")
            else:
                self._put(found[5])

    def _control(self, number: str, kind: str) -> None:
        if kind == "m":
            self.colours.add(number)
        elif kind == "A":
            self._row -= int(number or 1)
            assert self._row >= 0
        elif (number, kind) == ("2", "K"):
            self.lines[self._row] = ""
        elif kind in "lh":
            assert number == "?25"
            self.cursor_shown = kind == "h"
        else:
            raise AssertionError(f"an unknown sequence: {number}{kind}")

    def _put(self, character: str) -> None:
        line = self.lines[self._row]
        assert cell_len(line) <= self._column, "it writes over what is there"
        self.lines[self._row] = line.ljust(len(line) + self._column - cell_len(line)) + character
        self._column += cell_len(character)
        self.wrapped = self.wrapped or self._column > self.columns


@dataclass
class Seen:
    """What a command left on a terminal, and what it gave."""

    terminal: Terminal
    raw: str
    output: str
    exit_code: int


def watched(
    folder: Path,
    *words: str,
    columns: int,
    rows: int = 24,
    out: bool = False,
    poke: Callable[["subprocess.Popen[bytes]", str], None] | None = None,
    **more: str,
) -> Seen:
    """Run a command whose standard error is a terminal.

    Args:
        out: its standard output is one too.
        poke: told of the process and all that it wrote, whenever it writes.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    variables = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **more}
    with subprocess.Popen(
        command(*words),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs if out else subprocess.PIPE,
        stderr=theirs,
        env=environment(**variables),
    ) as process:
        os.close(theirs)
        try:
            raw = _read(ours, lambda text: poke(process, text) if poke else None)
        except BaseException:
            process.kill()
            raise
        output = "" if process.stdout is None else process.stdout.read().decode()
        code = process.wait(timeout=WAIT_SECONDS)
    os.close(ours)
    terminal = Terminal(columns)
    terminal.feed(raw)
    return Seen(terminal, raw, output, code)


def _read(handle: int, told: Callable[[str], None]) -> str:
    """All that is written until nobody has the terminal any more."""
    raw = b""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if not select.select([handle], [], [], 1.0)[0]:
            continue
        try:
            part = os.read(handle, 65536)
        except OSError:
            part = b""  # Linux says so that the other side is closed
        if not part:
            return raw.decode()
        raw += part
        told(raw.decode("utf-8", "replace"))
    raise AssertionError("it did not end")
