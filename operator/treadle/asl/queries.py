"""JSONata where a definition has it: single expressions, and JSON in which `{% … %}` are evaluated.

One rule: an expression that fails names itself and its field, as AWS does, and fails its state.

Spec: "Query Languages"; AWS, "Transforming data with JSONata in Step Functions".
"""

from collections.abc import Mapping
from typing import Final

from treadle.asl import limits
from treadle.asl.errors import QUERY_EVALUATION_ERROR, EvaluationFailed
from treadle.asl.json import Json, told
from treadle.asl.jsonata import (
    STATES,
    UNDEFINED,
    Expression,
    JsonataFailed,
    compile_expression,
    is_expression,
)
from treadle.asl.scope import Scope
from treadle.asl.templates import Build, Template, array_of, object_of
from treadle.asl.values import is_number


class Query:
    """One expression and the field that it is specified for. Build it with `compile_query`."""

    __slots__ = ("_expression", "field")

    def __init__(self, expression: Expression, field: str) -> None:
        self._expression = expression
        self.field = field

    def __repr__(self) -> str:
        return f"Query({self._expression.text!r}, {self.field!r})"

    def value(self, scope: Scope) -> Json:
        """Its value.

        Raises:
            EvaluationFailed: States.QueryEvaluationError; it fails, gives nothing, or costs too
                much.
        """
        expression = self._expression
        is_function = False
        try:
            value = expression.evaluate(_bindings(expression, scope), scope)
            if value is UNDEFINED:
                is_function = expression.gives_function(_bindings(expression, scope), scope)
        except JsonataFailed as why:
            raise self._failed(f"threw an error during evaluation. {why}") from None
        except EvaluationFailed as why:  # what the visit may cost
            raise EvaluationFailed(QUERY_EVALUATION_ERROR, why.cause, self.field) from None
        if is_function:
            raise self._failed("returned an unsupported result type.")
        if value is UNDEFINED:
            raise self._failed("returned nothing (undefined).")
        return value

    def truth(self, scope: Scope) -> bool:
        """Its value, which must be a boolean. Raises: EvaluationFailed."""
        value = self.value(scope)
        if value.__class__ is not bool:
            raise self.unexpected("boolean", value)
        return bool(value)

    def text(self, scope: Scope) -> str:
        """Its value, which must be a text. Raises: EvaluationFailed."""
        value = self.value(scope)
        if not isinstance(value, str):
            raise self.unexpected("string", value)
        return value

    def number(self, scope: Scope, low: float, high: float) -> int | float:
        """Its value, which must be a number in a range. Raises: EvaluationFailed."""
        value = self.value(scope)
        if not is_number(value):
            raise self.unexpected("number", value)
        if not low <= value <= high:
            raise self.refused(f"{self.field} must be between {low} and {high}.")
        found: int | float = value
        return found

    def whole(self, scope: Scope, low: int, high: int) -> int:
        """Its value, which must be a whole number in a range. Raises: EvaluationFailed."""
        value = self.number(scope, low, high)
        if value != int(value):
            raise self.refused(f"The {self.field} field cannot be parsed as an integer: {value}")
        return int(value)

    def unexpected(self, wanted: str, value: Json) -> EvaluationFailed:
        """The failure of a value of another type. Source: AWS's wording."""
        text = told(value)
        return self._failed(
            f"returned an unexpected result type. Expected '{wanted}', but was "
            f"'{type_name(value)}' for value: {text[: limits.PROBLEM_CHARS_MAX]}"
        )

    def refused(self, sentence: str) -> EvaluationFailed:
        """The failure of a value that has the right type."""
        return EvaluationFailed(QUERY_EVALUATION_ERROR, sentence, self.field)

    def _failed(self, what: str) -> EvaluationFailed:
        text = self._expression.text.strip()
        sentence = f"The JSONata expression '{text}' specified for the field '{self.field}' {what}"
        return EvaluationFailed(QUERY_EVALUATION_ERROR, sentence, self.field)


def _bindings(expression: Expression, scope: Scope) -> Mapping[str, Json]:
    """What an expression reads, and nothing else: each value is handed over whole."""
    variables = scope.variables
    bound = {name: variables[name] for name in expression.names if name in variables}
    # It may be read without a member, as in `$states.($n)`.
    bound[STATES] = _states(expression.states, scope)
    return bound


def _states(members: frozenset[str], scope: Scope) -> Json:
    every = "*" in members
    found: dict[str, Json] = {}
    if every or "input" in members:
        found["input"] = scope.data
    for name, value in scope.produced.items():
        if every or name in members:
            found[name] = value
    if every or "context" in members:
        found["context"] = scope.context
    return found


_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "number",
    list: "array",
    str: "string",
    type(None): "null",
}


def type_name(value: Json) -> str:
    """JSONata's name for a value's type."""
    return _TYPES[value.__class__]


def compile_query(text: str, field: str) -> Query:
    """The query of a text `{% … %}`.

    Args:
        text: with its delimiters.
        field: where it stands in its state, as AWS writes it: `Choices[0]/Condition`.

    Raises:
        JsonataSyntaxError: see `compile_expression`.
    """
    return Query(compile_expression(text), field)


def compile_template(value: Json, field: str) -> Template:
    """The template of a value in which texts may be `{% … %}`, at any depth.

    Raises:
        JsonataSyntaxError: see `compile_expression`.
    """
    found: list[Query] = []
    build = _compile(value, field, found)
    if build is None:
        return Template(lambda _: value, is_constant=True)
    return Template(build, is_constant=False, paths=len(found))


def _compile(value: Json, field: str, found: list[Query]) -> Build | None:
    """How to build a value; None where it never changes. A definition's depth is bounded."""
    if isinstance(value, str):
        if not is_expression(value):
            return None
        query = compile_query(value, field)
        found.append(query)
        return query.value
    if isinstance(value, dict):
        members: list[tuple[str, Build]] = []
        for key, member in value.items():
            if (build := _compile(member, f"{field}/{key}", found)) is not None:
                members.append((key, build))
        return object_of(value, members) if members else None
    if isinstance(value, list):
        items: list[tuple[int, Build]] = []
        for index, item in enumerate(value):
            if (build := _compile(item, f"{field}[{index}]", found)) is not None:
                items.append((index, build))
        return array_of(value, items) if items else None
    return None


def compile_text(text: str, field: str) -> Template:
    """The template of a text that is literal, or an expression that gives one.

    Raises:
        JsonataSyntaxError: see `compile_expression`.
    """
    if not is_expression(text):
        return Template(lambda _: text, is_constant=True)
    return Template(compile_query(text, field).text, is_constant=False)
