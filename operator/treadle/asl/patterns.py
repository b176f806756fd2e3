"""Regular expressions that end: time grows with pattern times text, never faster.

One rule: a pattern is simulated as a set of places and never backtracks. A definition's author is
not trusted with the operator's event loop, which `re` would hand over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from treadle.asl import limits

Accepts: TypeAlias = Callable[[str], bool]


class PatternError(ValueError):
    """A pattern that cannot be read, or uses what is not offered. `position` counts from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(slots=True)
class _Place:
    """A place in the pattern: consumes a character, or splits without consuming."""

    accepts: Accepts | None = None
    at: str = ""  # "^" or "$" where it holds only at an end of the text
    then: "list[_Place]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the pattern: its first place, and the places that lead out of it."""

    first: _Place
    ends: list[_Place]


class Pattern:
    """A compiled regular expression. `matches` takes the whole text, as Jayway's `=~` does."""

    __slots__ = ("_final", "_first", "source")

    def __init__(self, source: str, *, ignore_case: bool = False) -> None:
        self.source = source
        parser = _Parser(source, ignore_case=ignore_case)
        part = parser.parse()
        self._final = _Place()
        for end in part.ends:
            end.then.append(self._final)
        self._first = part.first

    @classmethod
    def anywhere(cls, source: str) -> "Pattern":
        """One that also takes a text in which the pattern matches somewhere."""
        cls(source)  # by itself, so that what is wrong has its place
        found = cls(rf"[\s\S]*(?:{source})[\s\S]*")
        found.source = source
        return found

    def matches(self, text: str, spend: Callable[[int], None]) -> bool:
        """Whether the whole text matches.

        Args:
            text: any text.
            spend: is told of the work for each character, so that the caller can end it.
        """
        current: dict[int, _Place] = {}
        _enter(self._first, current, start=True, end=not text)
        for position, character in enumerate(text):
            spend(1 + len(current) // 2)  # two places cost about as much as a node of a path
            following: dict[int, _Place] = {}
            last = position == len(text) - 1
            for place in current.values():
                if place.accepts is not None and place.accepts(character):
                    for target in place.then:
                        _enter(target, following, start=False, end=last)
            if not following:
                return False
            current = following
        return id(self._final) in current


def _enter(place: _Place, into: dict[int, _Place], *, start: bool, end: bool) -> None:
    stack = [place]
    while stack:
        current = stack.pop()
        if id(current) in into:
            continue
        if (current.at == "^" and not start) or (current.at == "$" and not end):
            continue
        into[id(current)] = current
        if current.accepts is None:
            stack += current.then


_CLASSES: Final[dict[str, Accepts]] = {
    "d": lambda c: "0" <= c <= "9",
    "D": lambda c: not "0" <= c <= "9",
    "w": lambda c: c.isascii() and (c.isalnum() or c == "_"),
    "W": lambda c: not (c.isascii() and (c.isalnum() or c == "_")),
    "s": lambda c: c in " \t\n\x0b\f\r",
    "S": lambda c: c not in " \t\n\x0b\f\r",
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_COUNT_CHARS_MAX = 4


class _Parser:
    def __init__(self, source: str, *, ignore_case: bool) -> None:
        self.source = source
        self.at = 0
        self.ignore_case = ignore_case
        self.places = 0
        self.depth = 0

    def parse(self) -> _Part:
        part = self.alternatives()
        if self.at < len(self.source):
            raise self.error("unmatched ')'")
        return part

    def alternatives(self) -> _Part:
        self.depth += 1
        if self.depth > limits.PATH_FILTER_DEPTH_MAX:
            raise self.error("groups are nested too deeply")
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        self.depth -= 1
        if len(parts) == 1:
            return parts[0]
        fork = self.place(then=[part.first for part in parts])
        return _Part(fork, [end for part in parts for end in part.ends])

    def sequence(self) -> _Part:
        first = self.place()
        ends = [first]
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            part = self.repeated()
            for end in ends:
                end.then.append(part.first)
            ends = part.ends
        return _Part(first, ends)

    def repeated(self) -> _Part:
        began = self.at
        part = self.atom()
        least, most = self.counts()
        if (least, most) == (1, 1):
            return part
        ended = self.at
        first = self.place()
        ends, exits = [first], []
        for number in range(max(least, 1) if most is None else most):
            if number >= least:
                exits += ends
            if number:
                # Read again for each copy: that costs places, which have a bound.
                self.at = began
                part = self.atom()
            for end in ends:
                end.then.append(part.first)
            ends = part.ends
        if most is None:
            for end in ends:
                end.then.append(part.first)
        self.at = ended
        return _Part(first, [*exits, *ends])

    def counts(self) -> tuple[int, int | None]:
        least: int
        most: int | None
        if self.take("*"):
            least, most = 0, None
        elif self.take("+"):
            least, most = 1, None
        elif self.take("?"):
            least, most = 0, 1
        elif self.take("{"):
            least, most = self.braces()
        else:
            return 1, 1
        self.take("?")  # lazy or greedy is one: only whether the whole text matches is asked
        if self.at < len(self.source) and self.source[self.at] in "*+?{":
            raise self.error("a repetition cannot be repeated")
        return least, most

    def braces(self) -> tuple[int, int | None]:
        closing = self.source.find("}", self.at)
        low, comma, high = self.source[self.at : max(closing, self.at)].partition(",")
        numbers = (low, high) if high else (low,)
        if not all(n.isascii() and n.isdigit() and len(n) <= _COUNT_CHARS_MAX for n in numbers):
            raise self.error("expected {n}, {n,} or {n,m}")
        self.at = closing + 1
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if most is not None and (most < least or most == 0):
            raise self.error("a repetition needs 1 or more, and its end not below its start")
        return least, most

    def atom(self) -> _Part:
        character = self.next()
        if character == "(":
            if self.take("?"):
                self.expect(":")
            part = self.alternatives()
            self.expect(")")
            return part
        if character in "^$":
            return self.single(self.place(at=character))
        if character in "*+?{":
            raise self.error("nothing to repeat")
        accepts = self.accepts(character)
        return self.single(self.place(accepts=accepts))

    def accepts(self, character: str) -> Accepts:
        if character == ".":
            return lambda c: c != "\n"
        if character == "[":
            return self.bracket()
        if character == "\\":
            return self.escape()
        return self.literal(character)

    def escape(self) -> Accepts:
        character = self.next()
        if character in _CLASSES:
            return _CLASSES[character]
        return self.literal(self.escaped(character))

    def escaped(self, character: str) -> str:
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isalnum():
            raise self.error(f"'\\{character}' is not supported")
        return character

    def literal(self, character: str) -> Accepts:
        if self.ignore_case:
            folded = character.lower()
            return lambda c: c.lower() == folded
        return lambda c: c == character

    def bracket(self) -> Accepts:
        negated = self.take("^")
        tests: list[Accepts] = []
        while not tests or not self.take("]"):
            tests.append(self.member())
        if self.ignore_case:
            cased = tuple(tests)
            tests = [lambda c: any(t(c.lower()) or t(c.upper()) for t in cased)]
        return lambda c: any(test(c) for test in tests) is not negated

    def member(self) -> Accepts:
        low = self.next()
        if low == "\\":
            low = self.next()
            if low in _CLASSES:
                return _CLASSES[low]
            low = self.escaped(low)
        rest = self.source[self.at : self.at + 2]
        if len(rest) == 2 and rest[0] == "-" and rest[1] != "]":
            self.at += 1
            high = self.next()
            high = self.escaped(self.next()) if high == "\\" else high
            if high < low:
                raise self.error("the range is empty")
            return lambda c: low <= c <= high
        return lambda c: c == low

    def place(
        self,
        *,
        accepts: Accepts | None = None,
        at: str = "",
        then: list[_Place] | None = None,
    ) -> _Place:
        self.places += 1
        if self.places > limits.PATTERN_STATES_MAX:
            raise self.error("the pattern is too large")
        return _Place(accepts, at, then if then is not None else [])

    def single(self, place: _Place) -> _Part:
        return _Part(place, [place])

    def next(self) -> str:
        if self.at >= len(self.source):
            raise self.error("the pattern ends too early")
        self.at += 1
        return self.source[self.at - 1]

    def take(self, character: str) -> bool:
        if self.source.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise self.error(f"expected '{character}'")

    def error(self, message: str) -> PatternError:
        return PatternError(f"Invalid pattern: {message}", min(self.at, len(self.source)))
