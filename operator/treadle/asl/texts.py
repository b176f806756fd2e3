"""Definitions, and tests of them, as texts: JSON or YAML, and where in the text each value stands.

One rule: a text gives JSON values or problems with line and column; it never runs code, never grows
beyond its bounds, and never turns a text into something else than it looks like.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Final, NamedTuple, TypeAlias

from treadle.asl import limits
from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.json import Json, is_well_formed, refuse_constant, whole
from treadle.asl.limits import OF_DEFINITIONS, TextBounds
from treadle.asl.pointers import escaped, unescaped
from treadle.asl.rules import RULES
from treadle.asl.yaml_events import YamlProblem, compose
from treadle.asl.yaml_versions import Unlike

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""


class Marks(NamedTuple):
    """Where a value stands, and its members or items."""

    place: Place
    inner: "Mapping[str, Marks]"


class Parsed(NamedTuple):
    """A text's value, and the place of a JSON pointer into it.

    `unlike` is what kubectl reads otherwise, if it is for kubectl too.
    """

    value: Json
    place_of: Callable[[str], Place | None]
    unlike: Sequence[Unlike] = ()


def loads_document(text: str, bounds: TextBounds = OF_DEFINITIONS) -> Json:
    """The value of a text, JSON or YAML 1.2.

    Raises:
        InvalidDocument: it is neither, repeats a key, or goes beyond its bounds; with line and
            column.
    """
    return parse_text(text, bounds).value


def parse_text(
    text: str, bounds: TextBounds = OF_DEFINITIONS, *, for_kubectl: bool = False
) -> Parsed:
    """A text's value with its places. Raises as `loads_document` does.

    Args:
        text: JSON or YAML 1.2.
        bounds: of it.
        for_kubectl: whether it may be for kubectl, so that what YAML 1.1 reads otherwise is
            gathered; else only `<<` is refused, which looks as if it did something.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > bounds.bytes_max:
        raise _invalid(
            "document-too-large",
            f"The {bounds.what} has {size:,} bytes; it may have {bounds.bytes_max:,}.",
            (1, 1),
        )
    try:
        value = _parse_json(text)
    except json.JSONDecodeError as e:
        return _parse_yaml(text, e, bounds, for_kubectl=for_kubectl)
    except RecursionError:
        raise _invalid("document-too-deep", bounds.too_deep, (1, 1)) from None
    except ValueError as e:
        message = f"The JSON cannot be read: {e}."
        raise _invalid("document-not-parsed", message, _place_of_number(text)) from None
    return _checked(Parsed(value, _LazyPlaces(text).find), bounds)


def _parse_json(text: str) -> Json:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=refuse_constant, parse_int=whole
        )
    except _DuplicateKeyError:
        # The places of keys are found in what is JSON: this was not read to its end.
        json.loads(text, parse_constant=refuse_constant, parse_int=whole)
        raise InvalidDocument(_duplicates(text)) from None


def _checked(parsed: Parsed, bounds: TextBounds) -> Parsed:
    problems = problems_of_value(parsed.value, bounds)
    if problems:
        placed = []
        for problem in problems:
            line, column = parsed.place_of(problem.pointer) or (1, 1)
            placed.append(replace(problem, line=line, column=column))
        raise InvalidDocument(placed)
    return parsed


def problems_of_value(value: Json, bounds: TextBounds = OF_DEFINITIONS) -> list[Problem]:
    """What keeps a value from being JSON within bounds: its depth, size, keys and classes.

    Nothing here recurses or compiles, so that whatever follows may.
    """
    stack: list[tuple[Json, str, int]] = [(value, "", 0)]
    weight = 0
    counts = _Counts() if bounds.is_program else None
    while stack:
        node, pointer, depth = stack.pop()
        weight += 1
        if weight > bounds.bytes_max:
            return [_problem("document-too-large", f"The {bounds.what} holds too many values.")]
        if depth > bounds.depth_max:
            return [_problem("document-too-deep", bounds.too_deep)]
        if len(pointer) > limits.DEFINITION_POINTER_CHARS_MAX:
            return [
                _problem(
                    "document-too-deep",
                    "The names on the way to one value have more than "
                    f"{limits.DEFINITION_POINTER_CHARS_MAX:,} characters; shorten them.",
                )
            ]
        if node.__class__ is dict:
            for name, member in node.items():
                if wrong := _wrong_key(name):
                    return [_problem("document-not-json", wrong, pointer=pointer)]
                stack.append((member, f"{pointer}/{escaped(name)}", depth + 1))
        elif node.__class__ is list:
            stack.extend((item, f"{pointer}/{i}", depth + 1) for i, item in enumerate(node))
        elif problem := _problem_of_scalar(node, pointer, counts):
            return [problem]
    return []


def _problem_of_scalar(value: Json, pointer: str, counts: "_Counts | None") -> Problem | None:
    if wrong := _wrong_scalar(value):
        return _problem("document-not-json", wrong, pointer=pointer)
    if counts is not None and (wrong := counts.too_many_with(value)):
        return _problem("too-many-expressions", wrong, pointer=pointer)
    return None


class _Counts:
    """What is dear to compile, counted before anything is."""

    def __init__(self) -> None:
        self.expressions = self.assignments = self.patterns = self.terms = 0

    def too_many_with(self, value: Json) -> str:
        """Count a scalar; a sentence where it is one too many."""
        if value.__class__ is not str:
            return ""
        if value.startswith("{%"):
            self.expressions += 1
            self.assignments += value.count(":=")
        else:
            self.patterns += value.count("=~")
            if value.startswith(_PATHS):
                self.terms += value.count("@")
        for count, most, what in (
            (self.expressions, limits.EXPRESSIONS_MAX, "expressions of JSONata"),
            (self.assignments, limits.ASSIGNMENTS_MAX, "assignments (:=) in its JSONata"),
            (self.patterns, limits.PATTERNS_MAX, "patterns (=~)"),
            (self.terms, limits.FILTER_TERMS_MAX, "terms (@) in the filters of its paths"),
        ):
            if count > most:
                return (
                    f"The definition has more than {most:,} {what}; "
                    "make a part of it a machine of its own."
                )
        return ""


_PATHS: Final = ("$", "States.")

_HALF: Final = (
    r"Here stands half of a surrogate pair (\ud800 to \udfff), which no UTF-8 can hold; "
    "write the whole character."
)


class _DuplicateKeyError(Exception):
    pass


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKeyError
    return value


def _wrong_key(name: Json) -> str:
    if name.__class__ is not str:
        return f"The key {name!r:.40} is no text."
    return "" if is_well_formed(name) else _HALF


def _wrong_scalar(value: Json) -> str:
    kind = value.__class__
    if kind is str:
        return "" if is_well_formed(value) else _HALF
    if kind in (int, bool) or value is None or (kind is float and isfinite(value)):
        return ""
    return f"{value!r:.40} is not a JSON value."


def _problem(code: str, message: str, place: Place | None = None, *, pointer: str = "") -> Problem:
    line, column = place or (None, None)
    return Problem(pointer, code, message, RULES[code].spec, line=line, column=column)


def _invalid(code: str, message: str, place: Place, *, pointer: str = "") -> InvalidDocument:
    return InvalidDocument([_problem(code, message, place, pointer=pointer)])


_LOOKS_LIKE_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*["{\[\]])')


def _parse_yaml(
    text: str, error: json.JSONDecodeError, bounds: TextBounds, *, for_kubectl: bool
) -> Parsed:
    try:
        root, unlike = compose(text, bounds)
    except YamlProblem as e:
        if e.code == "document-not-parsed" and _LOOKS_LIKE_JSON.match(text):
            raise _invalid(
                e.code, f"The JSON cannot be read: {error.msg}.", (error.lineno, error.colno)
            ) from None
        raise _invalid(e.code, e.message, (e.line, e.column), pointer=e.pointer) from None
    if not for_kubectl and (merges := problems_of_merges(unlike)):
        raise InvalidDocument(merges)
    marks = root.marks(Marks)
    return _checked(Parsed(root.value, lambda pointer: _find(marks, pointer), unlike), bounds)


def problems_of_merges(unlike: Sequence[Unlike]) -> list[Problem]:
    """Each `<<`, which no reading of a definition follows."""
    return [
        _problem("document-merge-key", each.message, (each.line, each.column), pointer=each.pointer)
        for each in unlike
        if each.is_merge
    ]


def _find(marks: Marks, pointer: str) -> Place | None:
    """The place of a pointer, or of what is nearest around it."""
    for token in pointer.split("/")[1:]:
        inner = marks.inner.get(unescaped(token))
        if inner is None:
            break
        marks = inner
    return marks.place


class _LazyPlaces:
    """Places of a JSON text, read when the first problem asks."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._marks: Marks | None = None

    def find(self, pointer: str) -> Place | None:
        """The place of a pointer."""
        if self._marks is None:
            self._marks, _ = _marks_of_json(self._text)
        return _find(self._marks, pointer)


def _duplicates(text: str) -> list[Problem]:
    _, repeated = _marks_of_json(text)
    return [
        _problem(
            "document-duplicate-key",
            f"The key '{pointer.rpartition('/')[2]:.80}' is given twice in one object.",
            place,
            pointer=pointer,
        )
        for pointer, place in repeated[: limits.PROBLEMS_MAX]
    ]


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


_NOT_NUMBERS: Final = frozenset(("NaN", "Infinity", "-Infinity"))


def _place_of_number(text: str) -> Place:
    """The place of the first number that is none in JSON, or that has too many digits."""
    for token in _TOKEN.finditer(text):
        word = token[0]
        is_long = len(word) > limits.INTEGER_DIGITS_MAX and word.lstrip("-").isdecimal()
        if is_long or word in _NOT_NUMBERS:
            before = text[: token.start()]
            return before.count("\n") + 1, len(before) - before.rfind("\n")
    return 1, 1


def _marks_of_json(text: str) -> tuple[Marks, list[tuple[str, Place]]]:
    """The marks of a valid JSON text, and its repeated keys."""
    root: dict[str, Marks] = {}
    # Each open container: its marks, its pointer, and the key or index that comes next.
    stack: list[tuple[dict[str, Marks], str, bool]] = [(root, "", False)]
    repeated: list[tuple[str, Place]] = []
    line, line_began = 1, 0
    key, key_place, at = "", (1, 1), 0
    wants_key = False
    for token in _TOKEN.finditer(text):
        breaks = text.count("\n", at, token.start())
        if breaks:
            line += breaks
            line_began = text.rindex("\n", at, token.start()) + 1
        at = token.start()
        place = (line, at - line_began + 1)
        inner, pointer, is_object = stack[-1]
        mark = token[0]
        if mark in ("}", "]"):
            stack.pop()
            wants_key = stack[-1][2]
        elif mark == ",":
            wants_key = is_object
        elif mark == ":":
            wants_key = False
        elif wants_key:
            key, key_place = json.loads(mark), place
            if key in inner:
                repeated.append((f"{pointer}/{escaped(key)}", place))
        else:
            name = key if is_object else str(len(inner))
            began = key_place if is_object else place
            members: dict[str, Marks] = {}
            inner[name] = Marks(began, members)
            if mark in ("{", "["):
                wants_key = mark == "{"
                deeper = f"{pointer}/{escaped(name)}" if len(stack) > 1 else ""
                stack.append((members, deeper, wants_key))
    return root["0"], repeated
