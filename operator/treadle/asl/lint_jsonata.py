"""The expressions of a state in JSONata, checked before anything runs.

One rule: what AWS refuses when a machine is created is told here, each expression at its own place.
"""

from collections.abc import Iterator
from typing import Final

from treadle.asl.fields import Fields, shown
from treadle.asl.json import Json
from treadle.asl.jsonata import (
    JsonataSyntaxError,
    compile_expression,
    is_expression,
    is_half_open,
)
from treadle.asl.lint_members import evaluated_members
from treadle.asl.pointers import escaped

_WITH_RESULT: Final = frozenset(("Task", "Map", "Parallel"))


def check_expressions(kind: str, state: Fields) -> None:
    """Tell what is wrong with the expressions of a state.

    Args:
        kind: its type.
        state: its members; what is wrong goes to its report.
    """
    for place, member in evaluated_members(state.value):
        allowed = _allowed(kind, place)
        for suffix, text in _texts(member):
            _check(text, f"{state.pointer}{place}{suffix}", allowed, state)


def _texts(value: Json) -> Iterator[tuple[str, str]]:
    """Every text in a value, with its pointer into it."""
    stack: list[tuple[str, Json]] = [("", value)]
    while stack:
        pointer, node = stack.pop()
        if isinstance(node, dict):
            stack += [(f"{pointer}/{escaped(key)}", item) for key, item in node.items()]
        elif isinstance(node, list):
            stack += [(f"{pointer}/{index}", item) for index, item in enumerate(node)]
        elif isinstance(node, str):
            yield pointer, node


def _allowed(kind: str, place: str) -> frozenset[str]:
    """The members of `$states` that the expressions of a member may read.

    Source: AWS, "Transforming data with JSONata", Reserved variable: $states.
    """
    allowed = {"input", "context"}
    match place.split("/")[1:]:
        case ["Assign" | "Output"] if kind in _WITH_RESULT:
            allowed.add("result")
        case ["Catch", _, "Assign" | "Output"]:
            allowed.add("errorOutput")
    return frozenset(allowed)


def _check(text: str, pointer: str, allowed: frozenset[str], state: Fields) -> None:
    if is_half_open(text):
        state.report.add(
            pointer,
            "jsonata-half-open",
            f"{shown(text)} has one end of an expression; it begins with {{% and ends with %}}.",
        )
    if not is_expression(text):
        if is_expression(text.strip()):
            state.report.add(
                pointer,
                "jsonata-blanks-outside",
                f"{shown(text)} is taken literally, for it has blanks or line ends outside of "
                "{% and %}; in YAML write |- or >- in place of | or >.",
            )
        return
    try:
        expression = compile_expression(text)
    except JsonataSyntaxError as why:
        code = "jsonata-unsupported" if why.is_unsupported else "jsonata-invalid"
        message = f"{shown(text)} cannot be read: {why.message} (position {why.position})."
        if why.is_unsupported:
            message = f"{shown(text)} cannot be evaluated: {why.message}."
        state.report.add(pointer, code, message, aws=why.aws)
        return
    for member in sorted(expression.states - allowed - {"*"}):
        message = (
            f"$states.{member} is not there in this field; there are: "
            f"{', '.join(f'$states.{each}' for each in sorted(allowed))}."
        )
        aws = f"Field '$states.{member}' does not exist."
        state.report.add(pointer, "jsonata-states-member", message, aws=aws)
