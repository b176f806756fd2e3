"""Reading a path's text into its steps, as Jayway JsonPath reads it.

One rule: what is read here can be evaluated; a path with a function or operator that is not
offered is refused with its position.
"""

import re
from typing import Final, NoReturn

from treadle.asl import filters, limits
from treadle.asl.json import Json
from treadle.asl.patterns import Pattern, PatternError
from treadle.asl.steps import (
    FUNCTIONS,
    Filter,
    Function,
    Index,
    Property,
    Scan,
    Slice,
    Step,
    Steps,
    Test,
    Wildcard,
    is_definite,
)


class PathSyntaxError(ValueError):
    """A text that is no path. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?")
_WORD = re.compile(r"[^\W\d]\w*")
_INTEGER = re.compile(r"-?\d+")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")
_ARGUMENTS = re.compile(r"\(\s*(-?\d{1,9})?\s*\)")
_OPERATOR = re.compile(r"===|!==|==|!=|<=|>=|=~|<|>|[A-Za-z]+")


def read_steps(text: str, at: int) -> Steps:
    """The steps of a path.

    Args:
        text: the whole path.
        at: where its steps begin, behind `$` or `$$`.

    Raises:
        PathSyntaxError: it is no path, or is too long.
    """
    return _Reader(text, at).whole()


class _Reader:
    """Reads one path from a text, starting behind its `$` or `@`."""

    def __init__(self, text: str, at: int = 0, depth: int = 0) -> None:
        self.text = text
        self.at = at
        self.depth = depth

    def whole(self) -> Steps:
        if len(self.text) > limits.PATH_CHARS_MAX:
            self.fail(f"A path has at most {limits.PATH_CHARS_MAX} characters", 0)
        steps = self.steps(in_filter=False)
        if self.at < len(self.text):
            self.fail(f"Illegal character at position {self.at} expected '.' or '['")
        return steps

    def steps(self, *, in_filter: bool) -> Steps:
        """The steps up to where no further one begins."""
        found: list[Step] = []
        while self.at < len(self.text) and self.text[self.at] in ".[":
            if found and isinstance(found[-1], Function):
                self.fail("A function must be the last step of a path")
            found.append(self.step(in_filter=in_filter))
            if len(found) > limits.PATH_STEPS_MAX:
                self.fail(f"A path has at most {limits.PATH_STEPS_MAX} steps")
        return tuple(found)

    def step(self, *, in_filter: bool) -> Step:
        if self.take(".."):
            # `$..['a']` and `$..[0]`, but also `$..a`.
            step = self.bracket() if self.peek("[") else self.dotted(in_filter=in_filter)
            if isinstance(step, Function):
                self.fail("'..' must be followed by a name, '*' or '['")
            return Scan(step)
        if self.take("."):
            return self.bracket() if self.peek("[") else self.dotted(in_filter=in_filter)
        return self.bracket()

    def dotted(self, *, in_filter: bool) -> Step:
        """`name`, `*` or `length()` behind a dot."""
        if self.at >= len(self.text):
            self.fail("Path must not end with a '.' or '..'")
        if self.take("*"):
            return Wildcard()
        began = self.at
        # In a filter a name ends where an operator may begin: `@.a==1`.
        ends = ".[( )=!<>&|,]~" if in_filter else ".[( "
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1
        name = self.text[began : self.at]
        if not name:
            self.fail(f"Could not parse token starting at position {began}")
        if self.peek("("):
            return self.function(name, began)
        if self.peek(" ") and not in_filter:
            self.fail(
                "Use bracket notion ['my prop'] if your property contains blank characters. "
                f"position: {began}",
                began,
            )
        return Property((name,))

    def function(self, name: str, began: int) -> Step:
        if name not in FUNCTIONS:
            self.fail(f"Function with name: {name} does not exist.", began)
        found = _ARGUMENTS.match(self.text, self.at)
        if found is None or (name == "index") != (found[1] is not None):
            wanted = "one integer" if name == "index" else "no argument"
            self.fail(f"Function {name} takes {wanted}")
        self.at = found.end()
        return Function(name, int(found[1] or 0))

    def bracket(self) -> Step:
        """`['a','b']`, `[0,2]`, `[1:3]`, `[*]` or `[?(...)]`."""
        began = self.at
        self.expect("[")
        self.blanks()
        step = self.inside(began)
        self.blanks()
        self.expect("]")
        return step

    def inside(self, began: int) -> Step:
        if self.take("*"):
            return Wildcard()
        if self.take("?"):
            return self.filter()
        if self.peek("'") or self.peek('"'):
            quote = self.text[self.at]
            names = [self.quoted()]
            while self.next_item():
                names.append(self.quoted())
            return Property(tuple(names), quote)
        found = _SLICE.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            start, end = found[1], found[2]
            return Slice(int(start) if start else None, int(end) if end else None)
        if _INTEGER.match(self.text, self.at) is None:
            self.fail(f"Could not parse token starting at position {began}. Expected ?, ', 0-9, * ")
        indexes = [self.integer()]
        while self.next_item():
            indexes.append(self.integer())
        return Index(tuple(indexes))

    def integer(self) -> int:
        found = _INTEGER.match(self.text, self.at)
        if found is None:
            self.fail("Failed to parse token in ArrayIndexOperation: expected an integer")
        self.at = found.end()
        return int(found[0])

    def next_item(self) -> bool:
        self.blanks()
        if not self.take(","):
            return False
        self.blanks()
        return True

    def quoted(self) -> str:
        """A quoted text with Java's escapes, without its quotes."""
        if not (self.peek("'") or self.peek('"')):
            self.fail("Found empty property: expected ' or \"")
        began = self.at
        quote = self.text[began]
        self.at += 1
        parts: list[str] = []
        while not self.peek(quote):
            if self.at >= len(self.text):
                self.fail(f"Property has not been closed - missing closing {quote}", began)
            character = self.text[self.at]
            self.at += 1
            parts.append(self.escape() if character == "\\" else character)
        self.at += 1
        return "".join(parts)

    def escape(self) -> str:
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if character != "u":
            return _ESCAPES.get(character, character)
        digits = self.text[self.at : self.at + 4]
        if not re.fullmatch(r"[0-9A-Fa-f]{4}", digits):
            self.fail("Unable to parse unicode value")
        self.at += 4
        return chr(int(digits, 16))

    # Filters

    def filter(self) -> Filter:
        """The part of `[?(...)]` behind its question mark."""
        self.blanks()
        return Filter(self.group())

    def group(self) -> Test:
        self.deepen()
        self.expect("(")
        test = self.alternatives()
        self.expect(")")
        self.depth -= 1
        return test

    def alternatives(self) -> Test:
        tests = [self.conjunction()]
        while self.operator("||"):
            tests.append(self.conjunction())
        return tests[0] if len(tests) == 1 else filters.either(tuple(tests))

    def conjunction(self) -> Test:
        tests = [self.term()]
        while self.operator("&&"):
            tests.append(self.term())
        return tests[0] if len(tests) == 1 else filters.every(tuple(tests))

    def term(self) -> Test:
        self.blanks()
        if self.peek("("):
            return self.spaced(self.group())
        if not self.peek("!"):
            return self.expression()
        self.at += 1
        self.blanks()
        if self.peek("("):
            return self.spaced(filters.negation(self.group()))
        test = self.expression(alone=True)
        return filters.negation(test)

    def expression(self, *, alone: bool = False) -> Test:
        """`left operator right`, or a path alone: does it exist?"""
        began = self.at
        is_path = self.text[self.at : self.at + 1] in ("@", "$")
        left, definite = self.operand()
        self.blanks()
        if self.at >= len(self.text) or self.text[self.at] in ")&|":
            if not is_path:
                self.fail("Expected path node", began)
            return filters.exists(left, definite=definite)
        if alone:
            self.fail("A negated comparison needs parentheses: !(...)")
        found = _OPERATOR.match(self.text, self.at)
        name = found[0].lower() if found else ""
        if found is None or (name not in filters.OPERATORS and name != "=~"):
            self.fail(f"Filter operator {name or self.text[self.at]} is not supported!")
        self.at = found.end()
        self.blanks()
        if name == "=~":
            return self.spaced(filters.pattern_match(left, self.pattern()))
        return self.spaced(filters.comparison(left, name, self.operand()[0]))

    def operand(self) -> tuple[filters.Operand, bool]:
        """A path or a literal, and whether it is definite."""
        if self.peek("@") or self.peek("$"):
            rooted = self.peek("$")
            self.at += 1
            self.deepen()
            steps = self.steps(in_filter=True)
            self.depth -= 1
            return filters.path(steps, rooted=rooted), is_definite(steps)
        return filters.constant(self.literal()), True

    def literal(self) -> Json:
        """Text, number, word, array or object, as permissive as Jayway reads them."""
        if self.peek("'") or self.peek('"'):
            return self.quoted()
        if self.take("["):
            return self.array()
        if self.take("{"):
            return self.object()
        number = _NUMBER.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            return float(number[0]) if number[1] or number[2] else int(number[0])
        word = _WORD.match(self.text, self.at)
        if word is None:
            self.fail(f"Failed to parse filter, error on position: {self.at}")
        self.at = word.end()
        # Jayway takes bare words for text inside arrays; here they are text everywhere.
        return _WORDS.get(word[0], word[0])

    def array(self) -> Json:
        self.deepen()
        items: list[Json] = []
        self.blanks()
        while not self.take("]"):
            if items:
                self.expect(",")
                self.blanks()
            items.append(self.literal())
            self.blanks()
        self.depth -= 1
        return items

    def object(self) -> Json:
        self.deepen()
        members: dict[str, Json] = {}
        self.blanks()
        while not self.take("}"):
            if members:
                self.expect(",")
                self.blanks()
            name = self.quoted()
            self.blanks()
            self.expect(":")
            self.blanks()
            members[name] = self.literal()
            self.blanks()
        self.depth -= 1
        return members

    def pattern(self) -> Pattern:
        """`/.../` with the flag `i`."""
        began = self.at
        self.expect("/")
        while not self.peek("/"):
            if self.at >= len(self.text):
                self.fail("Expected a pattern to end with /", began)
            self.at += 2 if self.peek("\\") else 1
        source = self.text[began + 1 : self.at]
        self.at += 1
        try:
            return Pattern(source, ignore_case=self.take("i"))
        except PatternError as e:
            raise PathSyntaxError(e.message, began + 1 + e.position) from None

    # Characters

    def deepen(self) -> None:
        self.depth += 1
        if self.depth > limits.PATH_FILTER_DEPTH_MAX:
            self.fail(f"A filter is nested at most {limits.PATH_FILTER_DEPTH_MAX} deep")

    def spaced(self, test: Test) -> Test:
        self.blanks()
        return test

    def operator(self, name: str) -> bool:
        self.blanks()
        return self.take(name)

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1

    def peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if self.peek(text):
            self.at += len(text)
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            self.fail(f"Expected character: {text}")

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise PathSyntaxError(message, min(self.at if at is None else at, len(self.text)))
