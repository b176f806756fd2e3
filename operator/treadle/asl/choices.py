"""Conditions of Choice rules.

One rule: a value of another kind than the operator's is no match and no error; only a path that
matches nothing is one.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from treadle.asl import limits
from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json
from treadle.asl.paths import Path, PathNotFound, PathSyntaxError, compile_path
from treadle.asl.pointers import escaped
from treadle.asl.scope import Scope
from treadle.asl.timestamps import parse_timestamp
from treadle.asl.values import is_number, utf16

Test: TypeAlias = Callable[[Scope], bool]
Problems: TypeAlias = list[tuple[str, str]]
Read: TypeAlias = Callable[[Json], Json]
"""The value in a form that compares; None where it is of another kind."""


class ConditionSyntaxError(ValueError):
    """A rule that is no condition. `problems`: each a JSON pointer into it and a sentence."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {message}" for pointer, message in problems))
        self.problems = list(problems)


class Condition:
    """A compiled condition. Build it with `compile_condition`."""

    __slots__ = ("matches",)

    def __init__(self, matches: Test) -> None:
        self.matches = matches
        """Whether the condition holds over a scope.

        Raises:
            EvaluationFailed: States.Runtime; a path that is needed matches nothing.

        Spec: "Choice State".
        """


def compile_condition(rule: Json) -> Condition:
    """The condition of a Choice rule; `Next`, `Comment` and `Assign` of the rule are not read.

    Raises:
        ConditionSyntaxError: with everything that is wrong in it.

    Spec: "Choice State".
    """
    problems: Problems = []
    test = _compile(rule, "", problems, limits.CONDITION_DEPTH_MAX)
    if problems:
        raise ConditionSyntaxError(problems)
    return Condition(test)


def _never(_: Scope) -> bool:
    return False  # pragma: no cover - it stands for what has a problem, and is not evaluated


def _compile(rule: Json, pointer: str, problems: Problems, depth: int) -> Test:
    if rule.__class__ is not dict:
        problems.append((pointer, "A choice rule must be an object"))
        return _never
    if depth == 0:
        problems.append((pointer, f"Rules are nested at most {limits.CONDITION_DEPTH_MAX} deep"))
        return _never
    known = [name for name in rule if name in _COMBINED or name in OPERATORS]
    others = {name: value for name, value in rule.items() if name not in known}
    problems += _problems_of_others(others, pointer)
    if len(known) != 1:
        given = ", ".join(known) if known else "none"
        problems.append((pointer, f"A choice rule has exactly one operator; given: {given}"))
        return _never
    name = known[0]
    if name in _COMBINED:
        if "Variable" in rule:
            problems.append((f"{pointer}/Variable", f"Variable cannot stand beside {name}"))
        return _combine(name, rule[name], f"{pointer}/{name}", problems, depth - 1)
    return _compare(rule, name, pointer, problems)


def _problems_of_others(members: dict[str, Json], pointer: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the members of a rule that are no operators."""
    for name, value in members.items():
        place = f"{pointer}/{escaped(name)}"
        if name not in _OTHER_MEMBERS:
            yield place, f"A choice rule has no member '{name}'"
        elif pointer and name in _OF_OUTERMOST:
            yield place, f"{name} is only allowed in the outermost rule"
        elif name == "Comment" and not isinstance(value, str):
            yield place, "Comment must be a text"


def _combine(name: str, value: Json, pointer: str, problems: Problems, depth: int) -> Test:
    if name == "Not":
        inner = _compile(value, pointer, problems, depth)
        return lambda scope: not inner(scope)
    if value.__class__ is not list or not value:
        problems.append((pointer, f"{name} must be a non-empty array of choice rules"))
        return _never
    tests = tuple(
        _compile(item, f"{pointer}/{index}", problems, depth) for index, item in enumerate(value)
    )
    if name == "And":
        return lambda scope: all(test(scope) for test in tests)
    return lambda scope: any(test(scope) for test in tests)


def _compare(rule: dict[str, Json], name: str, pointer: str, problems: Problems) -> Test:
    variable = _compile_path(rule.get("Variable"), "Variable", pointer, problems)
    make = OPERATORS[name]
    operand = rule[name]
    if name.endswith("Path"):
        other = _compile_path(operand, name, pointer, problems)
        return make(variable, other) if variable and other else _never
    wanted = _KINDS_WANTED[name]
    if wanted.read(operand) is None:
        problems.append((f"{pointer}/{name}", f"{name} must be {wanted.name}"))
        return _never
    return make(variable, operand) if variable else _never


def _compile_path(text: Json, name: str, pointer: str, problems: Problems) -> Path | None:
    if text is None and name == "Variable":
        problems.append((pointer, "A comparison needs a Variable"))
        return None
    if not isinstance(text, str):
        problems.append((f"{pointer}/{name}", f"{name} must be a path"))
        return None
    try:
        return compile_path(text)
    except PathSyntaxError as e:
        message = f"{name} must be a path: {e.message} (position {e.position})"
        problems.append((f"{pointer}/{name}", message))
        return None


def _value_of(path: Path, scope: Scope) -> Json:
    try:
        return path.find(scope)
    except PathNotFound:
        raise EvaluationFailed(
            RUNTIME,
            f"Invalid path '{path.text}': "
            "The choice state's condition path references an invalid value.",
        ) from None


def _text(value: Json) -> Json:
    return value if isinstance(value, str) else None


def _ordered_text(value: Json) -> Json:
    # Spec: strings compare as sequences of UTF-16 code units, without folding.
    return utf16(value) if isinstance(value, str) else None


def _number(value: Json) -> Json:
    return value if is_number(value) else None


def _boolean(value: Json) -> Json:
    return value if value.__class__ is bool else None


def _timestamp(value: Json) -> Json:
    return parse_timestamp(value) if isinstance(value, str) else None


class _Kind:
    def __init__(self, name: str, read: Read) -> None:
        self.name = name
        self.read = read


_TEXT: Final = _Kind("a string", _text)
_NUMBER: Final = _Kind("a number", _number)
_BOOLEAN: Final = _Kind("true or false", _boolean)
_TIMESTAMP: Final = _Kind("an RFC3339 timestamp such as 2026-01-31T12:00:00Z", _timestamp)

_RELATIONS: Final[dict[str, Callable[[Json, Json], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}

Make: TypeAlias = Callable[[Path, Json], Test]


def _relation(read: Read, holds: Callable[[Json, Json], bool]) -> Make:
    """Variable against a literal."""

    def make(variable: Path, operand: Json) -> Test:
        wanted = read(operand)

        def test(scope: Scope) -> bool:
            value = read(_value_of(variable, scope))
            return value is not None and holds(value, wanted)

        return test

    return make


def _path_relation(read: Read, holds: Callable[[Json, Json], bool]) -> Make:
    """Variable against what another path finds."""

    def make(variable: Path, other: Path) -> Test:
        def test(scope: Scope) -> bool:
            value = read(_value_of(variable, scope))
            wanted = read(_value_of(other, scope))
            return value is not None and wanted is not None and holds(value, wanted)

        return test

    return make


def _kind_test(is_kind: Callable[[Json], bool]) -> Make:
    def make(variable: Path, wanted: bool) -> Test:
        return lambda scope: is_kind(_value_of(variable, scope)) is wanted

    return make


def _is_present(variable: Path, wanted: bool) -> Test:
    def test(scope: Scope) -> bool:
        try:
            value = variable.find(scope)
        except PathNotFound:
            return not wanted
        present = variable.is_definite or bool(value)
        return present is wanted

    return test


def _string_matches(variable: Path, pattern: str) -> Test:
    segments = _segments(pattern)

    def test(scope: Scope) -> bool:
        value = _value_of(variable, scope)
        return isinstance(value, str) and _fits(value, segments)

    return test


def _segments(pattern: str) -> list[str]:
    r"""The texts between the pattern's `*`. Spec: `\*` is an asterisk, `\\` a backslash."""
    segments: list[str] = []
    segment: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
            at += 1
            segment.append(pattern[at])
        elif character == "*":
            segments.append("".join(segment))
            segment = []
        else:
            segment.append(character)
        at += 1
    segments.append("".join(segment))
    return segments


def _fits(text: str, segments: list[str]) -> bool:
    """Whether a text is the segments with anything between. Each is sought once: linear time."""
    first, last = segments[0], segments[-1]
    if len(segments) == 1:
        return text == first
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for segment in segments[1:-1]:
        found = text.find(segment, at, end)
        if found < 0:
            return False
        at = found + len(segment)
    return True


_COMBINED: Final = frozenset({"And", "Or", "Not"})
_OF_OUTERMOST: Final = frozenset({"Assign", "Next"})
_OTHER_MEMBERS: Final = frozenset({"Variable", "Comment", *_OF_OUTERMOST})

OPERATORS: Final[dict[str, Make]] = {
    "BooleanEquals": _relation(_boolean, operator.eq),
    "BooleanEqualsPath": _path_relation(_boolean, operator.eq),
    "IsBoolean": _kind_test(lambda value: value.__class__ is bool),
    "IsNull": _kind_test(lambda value: value is None),
    "IsNumeric": _kind_test(is_number),
    "IsPresent": _is_present,
    "IsString": _kind_test(lambda value: isinstance(value, str)),
    "IsTimestamp": _kind_test(lambda value: _timestamp(value) is not None),
    "StringMatches": _string_matches,
}
_KINDS_WANTED: Final[dict[str, _Kind]] = {
    **dict.fromkeys(OPERATORS, _BOOLEAN),
    "StringMatches": _TEXT,
}

for _family, _kind, _read in (
    ("String", _TEXT, _ordered_text),
    ("Numeric", _NUMBER, _number),
    ("Timestamp", _TIMESTAMP, _timestamp),
):
    for _relation_name, _holds in _RELATIONS.items():
        OPERATORS[f"{_family}{_relation_name}"] = _relation(_read, _holds)
        OPERATORS[f"{_family}{_relation_name}Path"] = _path_relation(_read, _holds)
        _KINDS_WANTED[f"{_family}{_relation_name}"] = _kind
