"""Variables that are read where nothing can have assigned them, and functions that there are not.

One rule: a variable counts as assigned where some way to the state assigns it; whether that way is
taken is not judged. AWS accepts what is told here, and fails when it runs: these are warnings.

Spec: "Variables"; AWS, "Passing data between states with variables".
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from treadle.asl.json import Json
from treadle.asl.jsonata import JsonataSyntaxError, compile_expression, is_expression
from treadle.asl.lint import Report
from treadle.asl.lint_maps import mode_of
from treadle.asl.lint_members import evaluated_members
from treadle.asl.paths import PathSyntaxError, assigned_name, compile_path
from treadle.asl.pointers import escaped

_TEMPLATES: Final = frozenset(
    ("Assign", "BatchInput", "Credentials", "ItemSelector", "Parameters", "ResultSelector")
)
_STEPS_MAX: Final = 100_000  # of following ways; a machine of more is not judged here
_CALLED: Final = re.compile(r"\$(\w+)\s*\(")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'")
_IN_CALL: Final = re.compile(r"(?<![\w$])\$([^\W\d]\w*)")


_UNASSIGNED: Final = "No state on a way to this one assigns ${:.80}; "
_FAILING: Final = ("variable-unassigned", f"{_UNASSIGNED}reading it fails the state.")
_UNDEFINED: Final = ("variable-unassigned", f"{_UNASSIGNED}here it is undefined.")
_NO_FUNCTION: Final = (
    "jsonata-function-unknown",
    "There is no function ${:.80}; calling it fails the state.",
)


class _Read(NamedTuple):
    pointer: str
    name: str
    told: tuple[str, str]
    """The rule and the sentence of a read that finds nothing."""


_Set: TypeAlias = int
"""Variables, a bit each: there may be many of them at each of many states."""


class _Edge(NamedTuple):
    target: str
    assigned: _Set


def check_variables(definition: Mapping[str, Json], report: Report) -> None:
    """Tell about every read of a whole definition that can find nothing.

    Args:
        definition: without errors.
        report: takes `variable-unassigned` and `jsonata-function-unknown`.
    """
    _Check(definition.get("QueryLanguage", "JSONPath"), report).check(definition, "", 0)


class _Check:
    """Of one definition; see `check_variables`."""

    def __init__(self, language: str, report: Report) -> None:
        self._language = language
        self._report = report
        self._bits: dict[str, _Set] = {}
        self._steps = 0

    def check(self, machine: Mapping[str, Json], pointer: str, outer: _Set) -> None:
        """A list of states, with the variables that it sees of those around it."""
        states = machine["States"]
        known = self._known(machine["StartAt"], states, outer)
        for name, state in states.items():
            here = known.get(name)
            if here is None:
                continue  # nothing leads to it, which is told already
            where = f"{pointer}/States/{escaped(name)}"
            for read in _reads(state, where, is_jsonata=self._is_jsonata(state)):
                if not here & self._bits.get(read.name, 0):
                    code, sentence = read.told
                    self._report.add(read.pointer, code, sentence.format(read.name))
            for suffix, inner in _inner(state):
                self.check(inner, where + suffix, 0 if _is_distributed(state) else here)

    def _known(self, start: str, states: Mapping[str, Json], outer: _Set) -> Mapping[str, _Set]:
        """The variables that may have a value when a state is entered, where some way leads."""
        known, waiting = {start: outer}, deque((start,))
        edges: dict[str, tuple[_Edge, ...]] = {}
        is_waiting = {start}
        while waiting:
            name = waiting.popleft()
            is_waiting.discard(name)
            if name not in edges:
                edges[name] = tuple(self._edges(states[name]))
            for edge in edges[name]:
                self._steps += 1
                before = known.get(edge.target)
                after = (before or 0) | known[name] | edge.assigned
                if after == before:
                    continue
                known[edge.target] = after
                if edge.target not in is_waiting:
                    is_waiting.add(edge.target)
                    waiting.append(edge.target)
            if self._steps > _STEPS_MAX:
                return {}
        return known

    def _edges(self, state: Mapping[str, Json]) -> Iterator[_Edge]:
        is_jsonata = self._is_jsonata(state)
        own = self._set(_names(state, is_jsonata=is_jsonata))
        for member in ("Next", "Default"):
            if member in state:
                yield _Edge(state[member], own)
        for member in ("Choices", "Catch"):
            for rule in state.get(member, ()):
                yield _Edge(rule["Next"], self._set(_names(rule, is_jsonata=is_jsonata)))

    def _is_jsonata(self, state: Mapping[str, Json]) -> bool:
        return bool(state.get("QueryLanguage", self._language) == "JSONata")

    def _set(self, names: Iterable[str]) -> _Set:
        found = 0
        for name in names:
            found |= self._bits.setdefault(name, 1 << len(self._bits))
        return found


def _names(holder: Mapping[str, Json], *, is_jsonata: bool) -> Iterator[str]:
    return (assigned_name(key, is_jsonata=is_jsonata) for key in holder.get("Assign", ()))


def _inner(state: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for index, branch in enumerate(state.get("Branches", ())):
        yield f"/Branches/{index}", branch
    for member in ("ItemProcessor", "Iterator"):
        if member in state:
            yield f"/{member}", state[member]


def _is_distributed(state: Mapping[str, Json]) -> bool:
    return bool(mode_of(state) == "DISTRIBUTED")


# ------------------------------------------------------------------------------ what is read


def _reads(state: Mapping[str, Json], pointer: str, *, is_jsonata: bool) -> Iterator[_Read]:
    stack: list[tuple[str, str, Json, bool]] = [
        (f"{pointer}{suffix}", name, value, name in _TEMPLATES)
        for suffix, value in evaluated_members(state)
        for name in (suffix.rpartition("/")[2],)
    ]
    while stack:
        place, name, value, in_template = stack.pop()
        if isinstance(value, dict):
            stack += [
                (f"{place}/{escaped(key)}", key, member, in_template or key in _TEMPLATES)
                for key, member in value.items()
            ]
        elif isinstance(value, list):
            stack += [(f"{place}/{n}", name, item, in_template) for n, item in enumerate(value)]
        elif not isinstance(value, str):
            continue
        elif is_jsonata:
            yield from _reads_of_expression(value, place)
        elif name.endswith(".$" if in_template else ("Path", "Variable")):
            yield from (_Read(place, read, _FAILING) for read in _reads_of_path(value))


def _reads_of_expression(text: str, place: str) -> Iterator[_Read]:
    if not is_expression(text):
        return
    try:
        expression = compile_expression(text)
    except JsonataSyntaxError:
        return  # told already
    called = frozenset(_CALLED.findall(expression.text))
    for name in sorted(expression.variables):
        yield _Read(place, name, _NO_FUNCTION if name in called else _UNDEFINED)


def _reads_of_path(text: str) -> set[str]:
    if text.startswith("States."):
        return set(_IN_CALL.findall(_QUOTED.sub("", text)))
    try:
        path = compile_path(text)
    except PathSyntaxError:
        return set()
    return {path.variable} if path.variable else set()
