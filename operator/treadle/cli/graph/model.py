"""A machine as states and the ways between them.

One rule: it is made from a definition's JSON and nothing else, and holds no mark of any language
that draws; a transition never leaves its list of states, so groups nest and no edge crosses one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

from treadle.asl.json import Json
from treadle.cli.graph.conditions import condition

Way: TypeAlias = Literal["next", "choice", "default", "catch"]
Status: TypeAlias = Literal["Running", "Succeeded", "Caught", "Failed", "Aborted"]

_ERRORS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Run:
    """What an execution did in a state.

    Attributes:
        status: how it stands there; Caught where an error of it led on.
        count: of visits.
        seconds: of all visits together.
        caught: visits that ended with an error that was caught.
    """

    status: Status
    count: int
    seconds: float
    caught: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A state.

    Attributes:
        id: unique in the graph, a letter and digits.
        detail: what it runs or waits for, a few words; may be empty.
        groups: the branches of a Parallel, or the processor of a Map.
    """

    id: str
    name: str
    type: str
    detail: str = ""
    groups: "tuple[Group, ...]" = ()
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one state to another of the same list; both are ids."""

    source: str
    target: str
    way: Way
    label: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """One list of states. `start` is None where StartAt leads nowhere; `ends` succeed."""

    start: str | None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A list of states inside a state. `label` may be empty."""

    label: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole machine. `status` is that of the execution which colours it."""

    name: str
    comment: str
    flow: Flow
    status: str = ""


def graph(definition: Json, name: str = "") -> Graph:
    """The graph of a definition; what is wrong in it is left out.

    Args:
        definition: as JSON.
        name: of the machine; empty where it has none.
    """
    numbers = count(1)
    comment = definition.get("Comment") if isinstance(definition, dict) else None
    return Graph(name, comment if isinstance(comment, str) else "", _flow(definition, numbers))


def nodes_of(flow: Flow) -> Iterator[Node]:
    """Every state, also those inside others, outer ones first."""
    for node in flow.nodes:
        yield node
        for group in node.groups:
            yield from nodes_of(group.flow)


def _flow(machine: Json, numbers: "count[int]") -> Flow:
    states = _map(_map(machine).get("States"))
    found = {name: state for name, state in states.items() if isinstance(state, dict)}
    ids = {name: f"s{next(numbers)}" for name in found}
    nodes = tuple(_node(ids[name], name, state, numbers) for name, state in found.items())
    edges = tuple(
        Edge(ids[name], ids[target], way, label)
        for name, state in found.items()
        for target, way, label in _ways(state)
        if target in ids
    )
    ends = tuple(
        ids[name]
        for name, state in found.items()
        if state.get("End") is True or state.get("Type") == "Succeed"
    )
    start = _map(machine).get("StartAt")
    return Flow(ids.get(start) if isinstance(start, str) else None, nodes, edges, ends)


def _node(node_id: str, name: str, state: Mapping[str, Json], numbers: "count[int]") -> Node:
    kind = state.get("Type")
    groups: list[Group] = []
    if kind == "Parallel" and isinstance(branches := state.get("Branches"), list):
        groups = [
            Group(f"Branch {number}", _flow(branch, numbers))
            for number, branch in enumerate(branches, 1)
        ]
    elif kind == "Map":
        groups = [Group("", _flow(state.get("ItemProcessor", state.get("Iterator")), numbers))]
    shown = kind if isinstance(kind, str) else "?"
    return Node(node_id, name, shown, _detail(state, shown), tuple(groups))


def _ways(state: Mapping[str, Json]) -> Iterator[tuple[Json, Way, str]]:
    """Target, way and label of each transition."""
    for rule in _maps(state.get("Choices")):
        yield _text(rule.get("Next")), "choice", condition(rule)
    if "Default" in state:
        yield _text(state["Default"]), "default", "otherwise"
    if "Next" in state:
        yield _text(state["Next"]), "next", ""
    for catcher in _maps(state.get("Catch")):
        yield _text(catcher.get("Next")), "catch", _errors(catcher.get("ErrorEquals"))


def _errors(names: Json) -> str:
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    if texts == ["States.ALL"]:
        return "any error"
    more = len(texts) - _ERRORS_SHOWN
    return ", ".join(texts[:_ERRORS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _detail(state: Mapping[str, Json], kind: str) -> str:
    match kind:
        case "Task":
            return _resource(_text(state.get("Resource")))
        case "Wait":
            return _waiting(state)
        case "Fail":
            return _text(state.get("Error"))
        case "Map":
            most = state.get("MaxConcurrency")
            return f"at most {most} at once" if isinstance(most, int) and most > 0 else ""
    return ""


def _resource(resource: str) -> str:
    """The part of an ARN that people know it by; a native name as it is."""
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return resource
    if parts[2] == "lambda":
        return f"lambda:{parts[5].removeprefix('function:')}"
    return parts[5].lstrip(":")


def _waiting(state: Mapping[str, Json]) -> str:
    for member, shape in (
        ("Seconds", "{} s"),
        ("SecondsPath", "{} s"),
        ("Timestamp", "until {}"),
        ("TimestampPath", "until {}"),
    ):
        value = state.get(member)
        if isinstance(value, str | int):
            return shape.format(value)
    return ""


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _maps(value: Json) -> list[Mapping[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
