"""Calls of intrinsic functions: `States.Format('{}', $.a)`.

One rule: a call is read once and can then only fail by its arguments; every failure names the
whole text of the call, as AWS does.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Final, NoReturn, TypeAlias

from treadle.asl import limits
from treadle.asl.errors import INTRINSIC_FAILURE, RUNTIME, EvaluationFailed
from treadle.asl.functions import (
    FUNCTIONS,
    Function,
    FunctionFailed,
    fill,
    split_template,
    unescaped,
)
from treadle.asl.json import Json
from treadle.asl.paths import Path, PathNotFound, PathSyntaxError, compile_path
from treadle.asl.scope import Scope
from treadle.asl.values import text_of

Value: TypeAlias = Callable[[Scope], Json]


class IntrinsicSyntaxError(ValueError):
    """A text that is no call. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class Call:
    """A compiled call. Build it with `compile_call`."""

    __slots__ = ("_value", "name", "text")

    def __init__(self, text: str, name: str, value: Value) -> None:
        self.text = text
        self.name = name
        self._value = value

    def __repr__(self) -> str:
        return f"Call({self.text!r})"

    def evaluate(self, scope: Scope) -> Json:
        """The value of the call.

        Raises:
            EvaluationFailed: States.IntrinsicFailure; or States.Runtime where an argument's path
                matches nothing, which is what AWS reports.

        Spec: "Intrinsic Functions".
        """
        try:
            return self._value(scope)
        except FunctionFailed as e:
            raise EvaluationFailed(INTRINSIC_FAILURE, self._cause(e.message)) from None
        except _ArgumentMissing as e:
            raise EvaluationFailed(RUNTIME, self._cause(e.message)) from None

    def _cause(self, message: str) -> str:
        return f"The function '{self.text}' had the following error: {message}"


@lru_cache(maxsize=limits.PATH_CACHE_MAX)
def compile_call(text: str) -> Call:
    """The call of a text.

    Raises:
        IntrinsicSyntaxError: the text is no call of one of the eighteen functions with as many
            arguments as it takes.

    Spec: "Intrinsic Functions".
    """
    reader = _Reader(text)
    reader.blanks()
    name, value = reader.call(0)
    reader.blanks()
    if reader.at < len(text):
        reader.fail("Expected nothing behind the closing ')'")
    return Call(text, name, value)


class _ArgumentMissing(Exception):  # noqa: N818 - a state of affairs
    def __init__(self, path: Path, document: Json) -> None:
        super().__init__(path)
        self.path = path
        self.document = document

    @property
    def message(self) -> str:
        return (
            f"The JsonPath argument for the field '{self.path.text}' "
            f"could not be found in the input '{text_of(self.document)}'"
        )


_NAME = re.compile(r"[A-Za-z0-9._]+")
_NUMBER = re.compile(r"[-+]?(\d+)(\.\d+)?([eE][+-]?\d{1,3})?(?![\w.])", re.ASCII)
_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}
_NUMBER_CHARS_MAX: Final = 400


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def call(self, depth: int) -> tuple[str, Value]:
        if depth > limits.INTRINSIC_NESTING_MAX:
            self.fail(f"At most {limits.INTRINSIC_NESTING_MAX} functions may be nested")
        began = self.at
        found = _NAME.match(self.text, self.at)
        if found is None:
            self.fail("Expected the name of an intrinsic function")
        name = found[0]
        self.at = found.end()
        self.blanks()
        if not self.take("("):
            self.fail(f"Expected '(' behind {name}")
        function = FUNCTIONS.get(name)
        if function is None:
            self.fail(f"There is no intrinsic function {name}", began)
        values, pieces = self.arguments(depth)
        self.check_count(name, function, len(values), began)
        if name == "States.Format" and pieces is not None:
            return name, _filling(pieces, tuple(values[1:]))
        return name, _calling(function, tuple(values))

    def arguments(self, depth: int) -> tuple[list[Value], "_Pieces | None"]:
        """The arguments up to `)`, and the first one as a template where it is a literal text."""
        values: list[Value] = []
        pieces: _Pieces | None = None
        self.blanks()
        if self.take(")"):
            return values, pieces
        while True:
            self.blanks()
            if not values and self.peek("'"):
                raw = self.quoted()
                pieces = _Pieces(raw)
                values.append(_literal(raw))
            else:
                values.append(self.argument(depth))
            self.blanks()
            if self.take(")"):
                return values, pieces
            if not self.take(","):
                self.fail("Expected ',' or ')'")

    def argument(self, depth: int) -> Value:
        if self.peek("'"):
            return _literal(self.quoted())
        if self.peek("$"):
            return self.path()
        number = _NUMBER.match(self.text, self.at)
        if number is not None and len(number[0]) <= _NUMBER_CHARS_MAX:
            self.at = number.end()
            value = float(number[0]) if number[2] or number[3] else int(number[0])
            if value.__class__ is float and not isfinite(value):
                self.fail("The number is too large", number.start())
            return lambda _: value
        word = _NAME.match(self.text, self.at)
        if word is not None and word[0] in _WORDS:
            self.at = word.end()
            constant = _WORDS[word[0]]
            return lambda _: constant
        if word is None:
            self.fail("Expected a text in '', a number, true, false, null, a path or a function")
        return self.call(depth + 1)[1]

    def path(self) -> Value:
        began = self.at
        self.skip_path()
        text = self.text[began : self.at].rstrip()
        try:
            path = compile_path(text)
        except PathSyntaxError as e:
            raise IntrinsicSyntaxError(e.message, began + e.position) from None
        return _reading(path)

    def skip_path(self) -> None:
        """To the `,` or `)` that ends a path: one outside its brackets, quotes and parentheses."""
        open_count = 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if open_count == 0 and character in ",)":
                return
            if open_count and character in "'\"":
                self.skip_quoted(character)
                continue
            if character in "[(":
                open_count += 1
            elif character in "])":
                open_count -= 1
            self.at += 1

    def skip_quoted(self, quote: str) -> None:
        self.at += 1
        while self.at < len(self.text) and not self.peek(quote):
            self.at += 2 if self.peek("\\") else 1
        self.at += 1

    def quoted(self) -> str:
        """The raw text between quotes, its escapes kept."""
        began = self.at
        self.skip_quoted("'")
        if self.at > len(self.text):
            self.fail("The text is not closed: expected '", began)
        return self.text[began + 1 : self.at - 1]

    def check_count(self, name: str, function: Function, count: int, began: int) -> None:
        least, most = function.arguments_min, function.arguments_max
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if least == most else f"{least} to {most}"
            wanted = f"at least {least}" if most is None else wanted
            self.fail(f"{name} takes {wanted} arguments, but {count} are given", began)

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

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise IntrinsicSyntaxError(message, min(self.at if at is None else at, len(self.text)))


class _Pieces:
    """A literal template, split once; what is wrong with it is said at evaluation, as on AWS."""

    def __init__(self, raw: str) -> None:
        self.pieces: tuple[str, ...] = ()
        self.problem: str | None = None
        try:
            self.pieces = split_template(raw)
        except FunctionFailed as e:
            self.problem = e.message


def _literal(raw: str) -> Value:
    # Spec: an open backslash is a runtime error, so it does not make the document wrong.
    if "\\" not in raw:
        return lambda _: raw
    try:
        text = _resolved(raw)
    except FunctionFailed as e:
        return _failing(e.message)
    return lambda _: text


def _resolved(raw: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(raw):
        escaped = raw[at] == "\\"
        parts.append(unescaped(raw, at) if escaped else raw[at])
        at += 2 if escaped else 1
    return "".join(parts)


def _failing(message: str) -> Value:
    def fail(_: Scope) -> Json:
        raise FunctionFailed(message)

    return fail


def _reading(path: Path) -> Value:
    def read(scope: Scope) -> Json:
        document: Json = None
        try:
            document = path.document(scope)
            return path.find_in(document, scope.effort)
        except PathNotFound:
            raise _ArgumentMissing(path, document) from None

    return read


def _calling(function: Function, values: tuple[Value, ...]) -> Value:
    body = function.body
    return lambda scope: body([value(scope) for value in values], scope.chance)


def _filling(template: _Pieces, values: tuple[Value, ...]) -> Value:
    if template.problem is not None:
        return _failing(template.problem)
    pieces = template.pieces
    return lambda scope: fill(pieces, [value(scope) for value in values])
