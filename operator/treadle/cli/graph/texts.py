"""Texts of people on a picture: what may be shown, how wide it is, where it breaks.

One rule: widths are those of the widest common sans-serif fonts, so that a text fits in any.
"""

import re
import unicodedata
from typing import Final

from treadle.cli.files import duration
from treadle.cli.graph.model import Run

_MARKS: Final = {
    "Running": "▶",
    "Succeeded": "✓",
    "Caught": "!",
    "Failed": "✗",
    "Aborted": "■",
}
# Directions of writing that a text could force on what stands beside it.
_DIRECTIONS: Final = frozenset(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def shown(text: str) -> str:
    """A text on one line, without what no picture can hold: controls, halves of characters."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code) if character not in "\n\r\t" else " "
    if character in _DIRECTIONS:
        return ""
    if 0x7F <= code < 0xA0 or code in (0x2028, 0x2029) or code & 0xFFFE == 0xFFFE:
        return "\ufffd"
    return "\ufffd" if 0xD800 <= code < 0xE000 else character


def run_words(run: Run) -> str:
    """What an execution did in a state."""
    times = f" ×{run.count}" if run.count > 1 else ""
    if times and run.status == "Caught":
        times = f" {run.caught} of {run.count}"
    return f"{_MARKS[run.status]} {run.status}{times}, {duration(run.seconds)}"


_NARROW: Final = frozenset("iljI.,:;'|!")
_SLIM: Final = frozenset('frt()[]{}-/\\ `"*')
_BROAD: Final = frozenset("mwMW@%&…")


def width(text: str, size: float) -> float:
    """Pixels that a text takes at a font size."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _SLIM:
        return 0.46
    if character in _BROAD:
        return 1.0
    if character.isascii():
        return 0.72 if character.isupper() else 0.65
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Cf", "Me"):
        return 0.0
    return 1.3 if unicodedata.east_asian_width(character) in "WF" else 0.85


_PIECE: Final = re.compile(
    r"\s*(?:[A-Z]+(?![a-z])|[A-Z]?[^\sA-Z_\-./:,]+|[^\s])[_\-./:,]*", re.DOTALL
)


def wrapped(text: str, size: float, room: float) -> list[str]:
    """A text on lines that fit in a width; broken between words, within one where it must be."""
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        if width(line + piece, size) <= room:
            line += piece
            continue
        if width(piece, size) > room:
            line += piece
        else:
            lines += [line.strip()] if line.strip() else []
            line = piece.lstrip()
        while width(line, size) > room:
            cut = _cut(line, size, room)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.strip()] if line.strip() or not lines else lines


def _cut(text: str, size: float, room: float) -> int:
    taken, cut = 0.0, 0
    for index, character in enumerate(text):
        taken += size * _em(character)
        if taken > room and cut:
            return cut
        following = text[index + 1 : index + 2]
        if following and _em(following) > 0 and character != "\u200d":
            cut = index + 1
    return cut or len(text)
