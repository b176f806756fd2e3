"""Variables that are read where nothing can have assigned them, and functions that there are not.

One rule: a variable counts as assigned where some way to the state assigns it; whether that way is
taken is not judged. AWS accepts what is told here, and fails when it runs: these are warnings.

Spec: "Variables"; AWS, "Passing data between states with variables".
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from treadle.asl.json import Json
from treadle.asl.jsonata import JsonataSyntaxError, compile_expression, is_expression
from treadle.asl.lint import Report
from treadle.asl.paths import PathSyntaxError, compile_path
from treadle.asl.pointers import escaped

_ELSEWHERE: Final = frozenset(
    ("Branches", "Comment", "ItemProcessor", "Iterator", "Label", "Next", "Resource", "Result")
)
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'")
_IN_CALL: Final = re.compile(r"(?<![\w$])\$([^\W\d]\w*)")


class _Read(NamedTuple):
    pointer: str
    name: str
    is_called: bool


class _Edge(NamedTuple):
    target: str
    assigned: frozenset[str]


def check_variables(definition: Mapping[str, Json], report: Report) -> None:
    """Tell about every read of a whole definition that can find nothing.

    Args:
        definition: without errors.
        report: takes `variable-unassigned` and `jsonata-function-unknown`.
    """
    language = definition.get("QueryLanguage", "JSONPath")
    _check_list(definition, "", language, frozenset(), report)


def _check_list(
    machine: Mapping[str, Json],
    pointer: str,
    language: str,
    outer: frozenset[str],
    report: Report,
) -> None:
    states = machine["States"]
    known = _known(machine["StartAt"], states, outer)
    for name, state in states.items():
        here = known.get(name)
        if here is None:
            continue  # nothing leads to it, which is told already
        where = f"{pointer}/States/{escaped(name)}"
        is_jsonata = state.get("QueryLanguage", language) == "JSONata"
        for read in _reads(state, where, is_jsonata=is_jsonata):
            if read.name not in here:
                _tell(read, report)
        for suffix, inner in _inner(state):
            seen = frozenset() if _is_distributed(state) else here
            _check_list(inner, where + suffix, language, seen, report)


def _tell(read: _Read, report: Report) -> None:
    if read.is_called:
        message = f"There is no function ${read.name:.80}; calling it fails the state."
        report.add(read.pointer, "jsonata-function-unknown", message)
        return
    message = f"No state on a way to this one assigns ${read.name:.80}; reading it fails the state."
    report.add(read.pointer, "variable-unassigned", message)


def _known(
    start: str, states: Mapping[str, Json], outer: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    """The variables that may have a value when a state is entered, of each state that can be."""
    known = {start: outer}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for edge in _edges(states[name]):
            before = known.get(edge.target)
            after = (before or frozenset()) | known[name] | edge.assigned
            if after != before:
                known[edge.target] = after
                waiting.append(edge.target)
    return known


def _edges(state: Mapping[str, Json]) -> Iterator[_Edge]:
    own = _names(state)
    for member in ("Next", "Default"):
        if member in state:
            yield _Edge(state[member], own)
    for member in ("Choices", "Catch"):
        for rule in state.get(member, ()):
            yield _Edge(rule["Next"], _names(rule))


def _names(holder: Mapping[str, Json]) -> frozenset[str]:
    return frozenset(name.removesuffix(".$") for name in holder.get("Assign", ()))


def _inner(state: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for index, branch in enumerate(state.get("Branches", ())):
        yield f"/Branches/{index}", branch
    for member in ("ItemProcessor", "Iterator"):
        if member in state:
            yield f"/{member}", state[member]


def _is_distributed(state: Mapping[str, Json]) -> bool:
    config = state.get("ItemProcessor", {}).get("ProcessorConfig", {})
    return bool(config.get("Mode") == "DISTRIBUTED")


# ------------------------------------------------------------------------------ what is read


def _reads(state: Mapping[str, Json], pointer: str, *, is_jsonata: bool) -> Iterator[_Read]:
    stack: list[tuple[str, str, Json]] = [
        (f"{pointer}/{escaped(name)}", name, value)
        for name, value in state.items()
        if name not in _ELSEWHERE
    ]
    while stack:
        place, name, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{place}/{escaped(key)}", key, member) for key, member in value.items()]
        elif isinstance(value, list):
            stack += [(f"{place}/{index}", name, item) for index, item in enumerate(value)]
        elif isinstance(value, str) and is_jsonata:
            yield from _reads_of_expression(value, place)
        elif isinstance(value, str) and name.endswith((".$", "Path", "Variable")):
            yield from (_Read(place, read, False) for read in _reads_of_path(value))


def _reads_of_expression(text: str, place: str) -> Iterator[_Read]:
    if not is_expression(text):
        return
    try:
        expression = compile_expression(text)
    except JsonataSyntaxError:
        return  # told already
    for name in sorted(expression.variables):
        is_called = re.search(rf"\${re.escape(name)}\s*\(", expression.text) is not None
        yield _Read(place, name, is_called)


def _reads_of_path(text: str) -> set[str]:
    if text.startswith("States."):
        return set(_IN_CALL.findall(_QUOTED.sub("", text)))
    try:
        path = compile_path(text)
    except PathSyntaxError:
        return set()
    return {path.variable} if path.variable else set()
