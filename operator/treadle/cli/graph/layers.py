"""A layered layout, first half: in which layer each box lies, and in which order.

One rule: layers are numbered from the top; boxes lie in even ones, labels of edges in odd ones, and
an edge that goes past a layer has a place of its own in it. Edges to the same box share a trunk.

After Sugiyama, Tagawa and Toda (1981), with barycentres and exchanges of neighbours.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

SWEEPS: Final = 12
EDGES_SWEPT: Final = 40_000  # by all sweeps together, but for two
EXCHANGED_MAX: Final = 60  # places in a layer, above which neighbours are not exchanged


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Link:
    """An edge to lay out.

    Attributes:
        is_dashed: such ones share no trunk with the others.
        weight: how much it had better be straight.
    """

    source: str
    target: str
    label: Size | None = None
    is_dashed: bool = False
    weight: float = 4.0


@dataclass(slots=True)
class Place:
    """Something that takes room in a layer: a box, a label, or an edge going past.

    Attributes:
        layer: counts from 0.
        x: of its middle; set by the second half.
    """

    size: Size
    layer: int
    is_box: bool = False
    x: float = 0.0
    above: "list[tuple[Place, float]]" = field(default_factory=list)
    below: "list[tuple[Place, float]]" = field(default_factory=list)


@dataclass(slots=True)
class Route:
    """The places that a link goes through from its source to its target, both included."""

    link: Link
    places: list[Place]
    label: Place | None = None


@dataclass(slots=True)
class Layers:
    """Boxes and routes in their layers, each in its order from the left."""

    boxes: dict[str, Place]
    routes: list[Route]
    layers: list[list[Place]]


def layered(boxes: Mapping[str, Size], links: Sequence[Link]) -> Layers:
    """Boxes and the routes of links between them. Links from a box to itself are left out.

    Args:
        boxes: by id; the first is where reading begins.
        links: between boxes.
    """
    links = [link for link in links if link.source != link.target]
    upward = _upward(boxes, links)
    numbers = _numbers(boxes, links, upward)
    places = {name: Place(size, 2 * numbers[name], True) for name, size in boxes.items()}
    building = _Building(places)
    routes = [building.route(link, index in upward) for index, link in enumerate(links)]
    return Layers(places, routes, _ordered(building.layers()))


def _upward(boxes: Iterable[str], links: Sequence[Link]) -> set[int]:
    """Links that close a circle: they are drawn upwards."""
    leaving: dict[str, list[int]] = defaultdict(list)
    for index, link in enumerate(links):
        leaving[link.source].append(index)
    found: set[int] = set()
    done: set[str] = set()
    open_: set[str] = set()
    for root in boxes:
        stack = [] if root in done else [(root, iter(leaving[root]))]
        open_.add(root)
        while stack:
            name, rest = stack[-1]
            index = next(rest, -1)
            if index < 0:
                stack.pop()
                open_.discard(name)
                done.add(name)
                continue
            target = links[index].target
            if target in open_:
                found.add(index)
            elif target not in done:
                open_.add(target)
                stack.append((target, iter(leaving[target])))
        open_.discard(root)
    return found


def _numbers(boxes: Iterable[str], links: Sequence[Link], upward: set[int]) -> dict[str, int]:
    """Each box as high as what leads to it allows."""
    numbers = dict.fromkeys(boxes, 0)
    missing = dict.fromkeys(numbers, 0)
    below: dict[str, list[str]] = defaultdict(list)
    for index, link in enumerate(links):
        source, target = link.source, link.target
        if index in upward:
            source, target = target, source
        below[source].append(target)
        missing[target] += 1
    ready = [name for name, count in missing.items() if not count]
    while ready:
        name = ready.pop()
        for target in below[name]:
            numbers[target] = max(numbers[target], numbers[name] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    return numbers


_NOTHING: Final = Size(0, 0)


class _Building:
    """Makes the places between boxes."""

    def __init__(self, boxes: dict[str, Place]) -> None:
        self._boxes = boxes
        self._trunks: dict[tuple[str, bool, bool, int], Place] = {}
        self._others: list[Place] = []
        self._joined: set[tuple[int, int]] = set()

    def route(self, link: Link, is_upward: bool) -> Route:
        """The route of a link, its label next to its source."""
        source, target = self._boxes[link.source], self._boxes[link.target]
        step = -1 if is_upward else 1
        places, label = [source], None
        for layer in range(source.layer + step, target.layer, step):
            if link.label is not None and layer == source.layer + step:
                label = Place(link.label, layer)
                self._others.append(label)
                places.append(label)
            else:
                places.append(self._trunk(link, is_upward, layer))
        places.append(target)
        for one, other in pairwise(places):
            is_trunk = one.size is _NOTHING and other.size is _NOTHING
            weight = link.weight * 16 if is_trunk else link.weight
            self._join(*((other, one) if is_upward else (one, other)), weight)
        return Route(link, places, label)

    def _trunk(self, link: Link, is_upward: bool, layer: int) -> Place:
        key = (link.target, link.is_dashed, is_upward, layer)
        if key not in self._trunks:
            self._trunks[key] = Place(_NOTHING, layer)
        return self._trunks[key]

    def _join(self, upper: Place, lower: Place, weight: float) -> None:
        key = (id(upper), id(lower))
        if key in self._joined:
            return
        self._joined.add(key)
        upper.below.append((lower, weight))
        lower.above.append((upper, weight))

    def layers(self) -> list[list[Place]]:
        """All places by layer."""
        everything = [*self._boxes.values(), *self._trunks.values(), *self._others]
        found: list[list[Place]] = [[] for _ in range(1 + max(each.layer for each in everything))]
        for place in everything:
            found[place.layer].append(place)
        return found


# ------------------------------------------------------------------------------------- order


def _ordered(layers: list[list[Place]]) -> list[list[Place]]:
    """The layers with as few crossings as a few sweeps find, from two beginnings."""
    best, fewest = layers, -1
    edges = sum(len(place.below) for layer in layers for place in layer)
    sweeps = max(2, min(SWEEPS, EDGES_SWEPT // (edges + 1)))
    for mirrored in (False, True):
        order = _as_reached(layers, mirrored=mirrored)
        for sweep in range(sweeps + 1):
            if sweep:
                _sweep(order, down=sweep % 2 == 1, mirrored=sweep % 4 > 1)
                _exchange(order)
            found = crossings(order)
            if fewest < 0 or found < fewest:
                best, fewest = [list(layer) for layer in order], found
            if not fewest:
                return best
    return best


def _as_reached(layers: list[list[Place]], *, mirrored: bool) -> list[list[Place]]:
    order: list[list[Place]] = [[] for _ in layers]
    seen: set[int] = set()
    for root in (place for layer in layers for place in layer):
        stack = [root]
        while stack:
            place = stack.pop()
            if id(place) not in seen:
                seen.add(id(place))
                order[place.layer].append(place)
                stack += [below for below, _ in (place.below[:: 1 if mirrored else -1])]
    return order


def _sweep(order: list[list[Place]], *, down: bool, mirrored: bool) -> None:
    """Sort each layer by where its places' neighbours are; `mirrored` turns those of one place."""
    numbers = range(1, len(order)) if down else range(len(order) - 2, -1, -1)
    for number in numbers:
        fixed = order[number - 1 if down else number + 1]
        position = {id(place): index for index, place in enumerate(fixed)}
        keys: dict[int, float] = {}
        for index, place in enumerate(order[number]):
            near = [position[id(other)] for other, _ in (place.above if down else place.below)]
            keys[id(place)] = sum(near) / len(near) if near else float(index)
        if mirrored:
            order[number].reverse()
        order[number].sort(key=lambda place: keys[id(place)])


def _exchange(order: list[list[Place]]) -> None:
    """Exchange neighbours as long as that takes crossings away."""
    for number, layer in enumerate(order):
        if len(layer) > EXCHANGED_MAX:
            continue
        beside = {
            id(place): index
            for near in (number - 1, number + 1)
            if 0 <= near < len(order)
            for index, place in enumerate(order[near])
        }
        for _ in range(len(layer)):
            exchanged = False
            for index in range(len(layer) - 1):
                one, other = layer[index : index + 2]
                if _crossed(one, other, beside) > _crossed(other, one, beside):
                    layer[index : index + 2] = [other, one]
                    exchanged = True
            if not exchanged:
                break


def _crossed(left: Place, right: Place, position: Mapping[int, int]) -> int:
    found = 0
    for lefts, rights in ((left.above, right.above), (left.below, right.below)):
        others = sorted(position[id(place)] for place, _ in rights)
        found += sum(bisect_left(others, position[id(place)]) for place, _ in lefts)
    return found


def crossings(order: Sequence[Sequence[Place]]) -> int:
    """How many edges cross."""
    found = 0
    for upper, lower in pairwise(order):
        position = {id(place): index for index, place in enumerate(lower)}
        passed: list[int] = []
        for place in upper:
            ends = sorted(position[id(below)] for below, _ in place.below)
            found += sum(len(passed) - _not_after(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return found


def _not_after(passed: list[int], end: int) -> int:
    return bisect_left(passed, end + 1)
