"""Where in a file the characters of a quoted text stand: block scalars, quotes, plain.

One rule: white space may be folded, stripped or escaped on the way, every other character is there
in its order; so the n-th of them in the text is the n-th in the file.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from treadle.asl.pointers import unescaped
from treadle.asl.texts import Place

_PROPERTIES: Final = r"(?:[&!]\S*\s+)*"
_GAP: Final = r"(?:\s|#[^\n]*\n)*"
_BLOCK: Final = re.compile(r"[|>][^\n]*\n")
_DOUBLE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\\.|[^\\]",
    re.DOTALL,
)
_SINGLE: Final = re.compile(r"''|.", re.DOTALL)
_ANY: Final = re.compile(r".", re.DOTALL)
_SPACES: Final = frozenset(f"\\{letter}" for letter in "ntrfvNLP_ \t\n")


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text within another: the whole, and where the inner one's characters begin."""

    whole: str
    begins: int
    unit: re.Pattern[str]

    @classmethod
    def after_key(cls, whole: str, place: Place, token: str) -> "Quoted | None":
        """The value of a member whose key stands at a place; None where that cannot be told.

        Args:
            whole: the text of the document.
            place: line and column of the key.
            token: the key, as in a JSON pointer.
        """
        line, column = place
        starts = _line_starts(whole)
        if line > len(starts):
            return None
        name = re.escape(unescaped(token))
        key = re.compile(rf"""(?:"{name}"|'{name}'|{name})\s*:{_GAP}{_PROPERTIES}""")
        found = key.match(whole, starts[line - 1] + column - 1)
        if found is None:
            return None
        at = found.end()
        match whole[at : at + 1]:
            case "|" | ">":
                header = _BLOCK.match(whole, at)
                return cls(whole, header.end(), _ANY) if header else None
            case '"':
                return cls(whole, at + 1, _DOUBLE)
            case "'":
                return cls(whole, at + 1, _SINGLE)
            case "*" | "":
                return None
        return cls(whole, at, _ANY)

    def place(self, text: str, place: Place) -> Place | None:
        """The place in the whole of a place in the inner text."""
        line, column = place
        starts = _line_starts(text)
        if line > len(starts):
            return None
        at = starts[line - 1] + column - 1
        ink = sum(not character.isspace() for character in text[:at])
        last = sum(not character.isspace() for character in text)
        offset = self._offset(min(ink, max(last - 1, 0)))
        if offset is None:
            return None
        if ink == last:
            offset += 1  # just behind the last one
        begun = _line_starts(self.whole)
        number = bisect_right(begun, offset)
        return number, offset - begun[number - 1] + 1

    def _offset(self, ink: int) -> int | None:
        """Of the character that has so many before it that are not white space."""
        for offset in self._ink():
            if ink == 0:
                return offset
            ink -= 1
        return None

    def _ink(self) -> Iterator[int]:
        for unit in self.unit.finditer(self.whole, self.begins):
            text = unit[0]
            if len(text) > 1 and self.unit is _DOUBLE:
                is_space = text in _SPACES or _is_coded(text)
            else:
                is_space = text.isspace()
            if not is_space:
                yield unit.start()


def _is_coded(escape: str) -> bool:
    """Whether a numeric escape stands for white space."""
    return escape[1] in "uUx" and len(escape) < 12 and _character(escape).isspace()


def _character(escape: str) -> str:
    number = int(escape[2:], 16)
    return chr(number) if number < 0x110000 else "\ufffd"


def _line_starts(text: str) -> list[int]:
    """Offsets at which lines begin, and one behind the last."""
    return [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
