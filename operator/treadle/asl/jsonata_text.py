"""What the text of a JSONata expression says that the engine does not tell.

One rule: the text compiles, so only what is looked for has to be understood.

Source: the grammar of JSONata 2.0.6; AWS, "Transforming data with JSONata in Step Functions".
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from jlens import Expression as Compiled

_TOKEN = re.compile(
    r"""
    (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<word>`[^`]*`|[^\s.\[\]{}(),@#;:?+\-*/%|=<>^~&!]+)
    |(?P<signature>(?<=\))\s*<[^{}]{0,200}>(?=\s*\{))
    |(?P<blank>\s+|/\*.*?\*/)
    |(?P<mark>:=|~>|\.\.|\*\*|\?\?|\?:|[<>!]=|.)
    """,
    re.DOTALL | re.VERBOSE,
)

_OPERATORS: Final = frozenset(("and", "or", "in"))
_CONSTANTS: Final = frozenset(("true", "false", "null", "function", "λ"))
_FUNCTION: Final = frozenset(("function", "λ"))
_LATER: Final = frozenset(("??", "?:"))


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    follows: bool  # an operand: what is an operator there is none elsewhere


def later_operator(body: str) -> tuple[str, int] | None:
    """An operator that JSONata has since 2.1, and where it stands: `??` or `?:`."""
    if not any(operator in body for operator in _LATER):
        return None
    for token in _tokens(body):
        if token.kind == "mark" and token.text in _LATER:
            return token.text, token.at
    return None


def assigned_names(body: str) -> Mapping[str, int]:
    """The names that an expression assigns itself, without `$`, and where each is first."""
    found: dict[str, int] = {}
    if ":=" in body:
        for name, operator in pairwise(_tokens(body)):
            if operator.kind == "mark" and operator.text == ":=":
                found.setdefault(name.text[1:], name.at)
    return found


def top_reference(body: str) -> str | None:
    """What an expression reads of the input document at its top, by name: `$$`, `$`, `a`, `*`.

    What stands in a step of a path, a predicate, an order, a group or a transform is not at the
    top: there it has a context.
    """
    reader = _Reader()
    for token in _tokens(body):
        found = reader.read(token)
        if found:
            return found
    return None


def _tokens(body: str) -> Iterator[_Token]:
    at, follows = 0, False
    while at < len(body):
        match = _TOKEN.match(body, at)
        assert match is not None, "a mark is any character"
        kind, text = match.lastgroup or "", match[0]
        if text == "/" and not follows:
            kind, text = "text", body[at : _regex_end(body, at)]
        if kind not in ("blank", "signature"):
            is_operator = kind == "word" and follows and text in _OPERATORS
            yield _Token("mark" if is_operator else kind, text, at, follows)
            follows = not is_operator and (kind != "mark" or _ends_operand(text, follows))
        at += len(text)


def _regex_end(body: str, at: int) -> int:
    """Where a regular expression ends: at the first slash outside of brackets, and its flags."""
    depth, at = 0, at + 1
    while at < len(body) and (depth != 0 or body[at] != "/"):
        if body[at] == "\\":
            at += 1
        elif body[at] in "([{":
            depth += 1
        elif body[at] in ")]}":
            depth -= 1
        at += 1
    at += 1
    while body[at : at + 1] in ("i", "m"):
        at += 1
    return at


def _ends_operand(mark: str, follows: bool) -> bool:
    return mark in (")", "]", "}") or (not follows and mark in ("*", "**", "%", "?"))


class _Bracket(NamedTuple):
    mark: str
    has_context: bool  # what is around it
    is_step: bool  # what it belongs to


class _Reader:
    """Follows the brackets of a text, and knows whether there is a context."""

    def __init__(self) -> None:
        self._open: list[_Bracket] = []
        self._has_context = False
        self._is_step = False  # the operand that is being read is a step of a path
        self._before = ""  # the mark or word before
        self._chained = False  # the operand stands after ~>, which gives it its first argument
        self._callee = ""  # a variable before a parenthesis
        self._bodies = 0  # functions whose body has not begun

    def read(self, token: _Token) -> str | None:
        found = None
        if token.kind == "mark":
            found = self._mark(token)
        else:
            self._is_step = self._before == "."
            self._chained = self._before == "~>"
            if token.kind == "word":
                found = self._word(token.text)
        self._before = token.text
        return found

    def _word(self, text: str) -> str | None:
        if text in _FUNCTION:
            self._bodies += 1
        if text == "$$":
            return text
        is_name = text == "$" or not (text[0] == "$" or text[0].isdigit() or text in _CONSTANTS)
        return text.strip("`") if is_name and not (self._has_context or self._is_step) else None

    def _mark(self, token: _Token) -> str | None:
        mark = token.text
        if mark == "|":
            self._bar()
        elif mark in ("(", "[", "{"):
            self._opens(mark, token.follows)
        elif mark in (")", "]", "}"):
            return self._closes(mark)
        elif mark in ("*", "**") and not token.follows:
            return None if self._has_context or self._before == "." else mark
        elif mark != ".":
            self._is_step = False
        return None

    def _opens(self, mark: str, follows: bool) -> None:
        if not follows:
            self._is_step = self._before == "."
        self._callee = self._before if follows and mark == "(" and not self._chained else ""
        has_context = self._has_context or self._is_step or self._before == "^"
        if mark == "{" and self._bodies:
            self._bodies -= 1
        elif follows and mark != "(":
            has_context = True
        self._push(mark, has_context)

    def _push(self, mark: str, has_context: bool) -> None:
        self._open.append(_Bracket(mark, self._has_context, self._is_step))
        self._has_context = has_context
        self._is_step = False

    def _closes(self, mark: str) -> str | None:
        is_bare_call = mark == ")" and self._before == "("
        bracket = self._open.pop()
        self._has_context, self._is_step = bracket.has_context, bracket.is_step
        if is_bare_call and not (self._has_context or self._is_step):
            return "$" if _reads_context(self._callee) else None
        return None

    def _bar(self) -> None:
        """A transform has three bars: it opens at the first."""
        if not self._open or self._open[-1].mark not in ("|", "||"):
            self._is_step = self._before == "."
            self._push("|", has_context=True)
        elif self._open[-1].mark == "|":
            self._open[-1] = self._open[-1]._replace(mark="||")
        else:
            bracket = self._open.pop()
            self._has_context, self._is_step = bracket.has_context, bracket.is_step


def _reads_context(name: str) -> bool:
    """Whether a function of JSONata takes the context where it is given nothing."""
    if name[:1] != "$":
        return False
    reads = Compiled(f"{name}()").reads()
    return bool(reads.get("input")) and name[1:] not in reads.get("bindings", {})
