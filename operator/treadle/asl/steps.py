"""The steps of a path and what each selects.

One rule: a step maps the nodes before it to the nodes after it, in document order, and pays for
every node that it looks at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from treadle.asl import errors, limits
from treadle.asl.json import Json
from treadle.asl.scope import Effort
from treadle.asl.values import is_container, is_number, java_text


class PathNotFound(Exception):  # noqa: N818 - what Jayway calls it
    """A path matches nothing.

    The sentence is made when it is asked for: it may print the whole document, and a filter meets
    this error for every item.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        super().__init__()
        self._make = make

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """Jayway's sentence, which AWS shows."""
        return self._make()


class Walk:
    """One evaluation: the document that `$` means in a filter, and what may still be visited.

    `effort` counts for all evaluations of one visit to a state.
    """

    __slots__ = ("budget", "effort", "root")

    def __init__(self, root: Json, effort: Effort | None = None) -> None:
        self.root = root
        self.budget = limits.PATH_NODES_MAX
        self.effort = effort

    def spend(self, nodes: int) -> None:
        """Count visited nodes.

        Raises:
            EvaluationFailed: more than `PATH_NODES_MAX` in this evaluation, or than
                `VISIT_NODES_MAX` in all of the visit.
        """
        if self.effort is not None:
            self.effort.spend(nodes)
        self.budget -= nodes
        if self.budget < 0:
            raise errors.EvaluationFailed(
                errors.RUNTIME,
                f"The path visits more than {limits.PATH_NODES_MAX:,} nodes of the input.",
            )


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in its path a step stands.

    While everything before a step is definite, a document that does not fit is an error; behind
    an indefinite step it is merely no match.
    """

    steps: "tuple[Step, ...]"
    position: int
    definite: bool

    @property
    def last(self) -> bool:
        """Whether no step follows."""
        return self.position == len(self.steps) - 1

    @property
    def text(self) -> str:
        """The path so far, as Jayway writes it: `$['a'][0]`."""
        return "$" + "".join([step.text for step in self.steps[: self.position]])

    @property
    def rest(self) -> str:
        """This step and what follows it."""
        return "".join([step.text for step in self.steps[self.position :]])


class Step(Protocol):
    """One step. `definite`: it selects at most one node of each."""

    @property
    def text(self) -> str:
        """The step as Jayway writes it."""

    @property
    def definite(self) -> bool:
        """Whether it selects at most one node of each."""

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """The nodes that it selects of one node."""


Steps: TypeAlias = tuple[Step, ...]
Test: TypeAlias = Callable[[Json, Walk], bool]


@dataclass(frozen=True, slots=True)
class Property:
    """`.name`, `['name']` or `['a','b']`. Several names at the end give one object."""

    names: tuple[str, ...]
    quote: str = "'"

    @property
    def text(self) -> str:
        """As Jayway writes it."""
        return "[" + ",".join([f"{self.quote}{name}{self.quote}" for name in self.names]) + "]"

    @property
    def definite(self) -> bool:
        """Several names are definite only as the last step: see `is_definite`."""
        return len(self.names) == 1

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """The values of the members."""
        if node.__class__ is not dict:
            if spot.definite:
                raise PathNotFound(lambda: _not_an_object(self, node, spot))
            return []
        walk.spend(len(self.names) - 1)
        present = [name for name in self.names if name in node]
        if len(self.names) > 1 and spot.last:
            return [{name: node[name] for name in present}]
        if not present and self.definite and spot.definite and not spot.last:
            raise PathNotFound(lambda: f"Missing property in path {spot.text}{self.text}")
        return [node[name] for name in present]


@dataclass(frozen=True, slots=True)
class Index:
    """`[0]`, `[-1]` or `[0,2]`."""

    indexes: tuple[int, ...]

    @property
    def text(self) -> str:
        """As Jayway writes it."""
        return "[" + ",".join(map(str, self.indexes)) + "]"

    @property
    def definite(self) -> bool:
        """One index is."""
        return len(self.indexes) == 1

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """The items at the indexes that exist."""
        if not _is_array(node, spot):
            return []
        walk.spend(len(self.indexes) - 1)
        return [node[index] for index in self.indexes if -len(node) <= index < len(node)]


@dataclass(frozen=True, slots=True)
class Slice:
    """`[1:]`, `[:2]`, `[1:3]`. Jayway has no step and lets a negative start run through the end."""

    start: int | None
    end: int | None

    definite = False

    @property
    def text(self) -> str:
        """As Jayway writes it."""
        return (
            f"[{'' if self.start is None else self.start}:{'' if self.end is None else self.end}]"
        )

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """The items of the slice."""
        if not _is_array(node, spot):
            return []
        size = len(node)
        start, end = self.start, self.end
        if start is None or end is None:
            items: list[Json] = node[slice(start, end)]
            walk.spend(len(items))
            return items
        end = min(end, size)
        if start >= end:
            return []
        indexes = range(max(start, -size), end)
        walk.spend(len(indexes))
        return [node[index] for index in indexes]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`.*` or `[*]`."""

    definite = False
    text = "[*]"

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:  # noqa: ARG002
        """All values of an object or items of an array."""
        nodes = children(node)
        walk.spend(len(nodes))
        return nodes


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(...)]`. On an object it tests the object itself."""

    test: Test

    definite = False
    text = "[?]"

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """What passes the test."""
        if node.__class__ is list:
            walk.spend(len(node))
            return [item for item in node if self.test(item, walk)]
        if node.__class__ is dict:
            return [node] if self.test(node, walk) else []
        if spot.definite:
            raise PathNotFound(
                lambda: (
                    "Filter: [?] can not be applied to primitives. "
                    f"Current context is: {java_text(node)}"
                )
            )
        return []


@dataclass(frozen=True, slots=True)
class Scan:
    """`..` and the step behind it, which is tried on every array and object below."""

    step: Step

    definite = False

    @property
    def text(self) -> str:
        """As Jayway writes it."""
        return f"..{self.step.text}"

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:
        """What the step selects, container by container, outer ones first."""
        step = self.step
        below = Spot(spot.steps, spot.position, definite=False)
        found: list[Json] = []
        for container in containers(node, walk):
            if isinstance(step, Property) and spot.last and len(step.names) > 1:
                # As the last step, several names are looked for together.
                if container.__class__ is not dict or not all(n in container for n in step.names):
                    continue
            elif isinstance(step, Filter) and not step.test(container, walk):
                # Items of an array are visited themselves if they can be tested.
                continue
            found += step.select(container, walk, below)
        return found


@dataclass(frozen=True, slots=True)
class Function:
    """`.length()` and its kin, the last step of a path."""

    name: str
    index: int = 0

    definite = True

    @property
    def text(self) -> str:
        """As Jayway writes it."""
        return f".{self.name}()"

    def select(self, node: Json, walk: Walk, spot: Spot) -> list[Json]:  # noqa: ARG002
        """The value of the function for one node."""
        walk.spend(len(node) if is_container(node) else 0)
        if self.name in SHAPES:
            return [SHAPES[self.name](node)]
        if self.name == "index":
            return [_item(node, self.index)]
        numbers = [item for item in node if is_number(item)] if node.__class__ is list else []
        if not numbers:
            raise PathNotFound(
                lambda: "Aggregation function attempted to calculate value using empty array"
            )
        try:
            return [AGGREGATES[self.name]([float(number) for number in numbers])]
        except OverflowError:
            raise PathNotFound(
                lambda: "Aggregation function met a number that is too large"
            ) from None


def _length(node: Json) -> Json:
    return len(node) if is_container(node) else None


def _keys(node: Json) -> Json:
    return list(node) if node.__class__ is dict else None


def _item(node: Json, index: int) -> Json:
    if node.__class__ is not list or not -len(node) <= index < len(node):
        raise PathNotFound(lambda: f"Index {index} out of bounds")
    return node[index]


def _deviation(numbers: list[float]) -> float:
    mean = sum(numbers) / len(numbers)
    return float((sum((number - mean) ** 2 for number in numbers) / len(numbers)) ** 0.5)


SHAPES: dict[str, Callable[[Json], Json]] = {
    "length": _length,
    "size": _length,
    "keys": _keys,
    "first": lambda node: _item(node, 0),
    "last": lambda node: _item(node, -1),
}
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "stddev": _deviation,
}
FUNCTIONS = frozenset({*SHAPES, *AGGREGATES, "index"})


def is_definite(steps: Steps) -> bool:
    """Whether a path selects at most one node. Several names at the end give one object."""
    return all(
        step.definite or (isinstance(step, Property) and position == len(steps) - 1)
        for position, step in enumerate(steps)
    )


def evaluate(steps: Steps, document: Json, walk: Walk) -> list[Json]:
    """All nodes that a path selects, in document order.

    Raises:
        PathNotFound: the document does not fit where the path is still definite.
        EvaluationFailed: it visits too many nodes.
    """
    nodes = [document]
    definite = True
    for position, step in enumerate(steps):
        spot = Spot(steps, position, definite)
        walk.spend(len(nodes))
        found: list[Json] = []
        for node in nodes:
            found += step.select(node, walk, spot)
        nodes = found
        definite = definite and step.definite
    return nodes


def children(node: Json) -> list[Json]:
    """The values of an object, the items of an array, nothing of anything else."""
    if node.__class__ is dict:
        return list(node.values())
    return list(node) if node.__class__ is list else []


def containers(node: Json, walk: Walk) -> Iterator[Json]:
    """Every array and object of a tree, outer ones first. An explicit stack: data may be deep."""
    stack = [node]
    while stack:
        current = stack.pop()
        if not is_container(current):
            continue
        walk.spend(1 + len(current))
        yield current
        stack += [child for child in reversed(children(current)) if is_container(child)]


def _is_array(node: Json, spot: Spot) -> bool:
    if node.__class__ is list:
        return True
    if not spot.definite:
        return False
    if node is None:
        raise PathNotFound(lambda: f"The path {spot.text} is null")
    raise PathNotFound(
        lambda: (
            f"Filter: {spot.rest} can only be applied to arrays. "
            f"Current context is: {java_text(node)}"
        )
    )


_JAVA_KINDS: dict[type, str] = {
    str: "java.lang.String",
    int: "java.lang.Integer",
    float: "java.lang.Double",
    bool: "java.lang.Boolean",
    list: "java.util.ArrayList",
}


def _not_an_object(step: Step, node: Json, spot: Spot) -> str:
    kind = _JAVA_KINDS.get(node.__class__, "null")
    return (
        f"Expected to find an object with property {step.text} in path {spot.text} "
        f"but found '{kind}'. This is not a json object according to the JsonProvider: "
        "'com.jayway.jsonpath.spi.json.JacksonJsonProvider'."
    )
