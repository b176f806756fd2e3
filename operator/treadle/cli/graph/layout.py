"""A layered layout, second half: where each box lies, and the lines between them.

One rule: lines bend between layers and are straight within one, so that none touches a box that it
neither leaves nor reaches.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from treadle.cli.graph.layers import Layers, Link, Place, Route, Size, layered
from treadle.cli.graph.straight import straighten

_PASSES: Final = 25
_BOX_GAP: Final = 26.0
_LINE_GAP: Final = 12.0
_LAYER_GAP: Final = 13.0
_LAYER_GAP_MAX: Final = 46.0
_PORT_GAP: Final = 18.0


class Point(NamedTuple):
    """Pixels from the left and from the top."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle by its middle."""

    x: float
    y: float
    size: Size

    @property
    def left(self) -> float:
        """Its left side."""
        return self.x - self.size.width / 2

    @property
    def top(self) -> float:
        """Its upper side."""
        return self.y - self.size.height / 2

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.size.height / 2


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn link. It bends between the points `2n` and `2n + 1`, and is straight elsewhere.

    Attributes:
        label: where its label lies.
        joins: whether it ends in another line, which then has the arrow.
    """

    link: Link
    points: tuple[Point, ...]
    label: Rect | None
    joins: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, from (0, 0)."""

    size: Size
    boxes: Mapping[str, Rect]
    lines: tuple[Line, ...]


def laid_out(boxes: Mapping[str, Size], links: Sequence[Link]) -> Layout:
    """Places for boxes and lines for links; the first box is where reading begins."""
    if not boxes:
        return Layout(Size(0, 0), {}, ())
    found = layered(boxes, links)
    _set_x(found.layers)
    straighten(found.layers, _apart)
    left, right = _edges(found.layers)
    for place in (place for layer in found.layers for place in layer):
        place.x -= left
    bands = _bands(found.layers)
    rects = {name: _rect(place, bands) for name, place in found.boxes.items()}
    lines = tuple(_Lines(found, bands).all())
    return Layout(Size(right - left, bands[-1].bottom), rects, lines)


# ------------------------------------------------------------------------------------- across


def _set_x(layers: list[list[Place]]) -> None:
    for layer in layers:
        at = 0.0
        for index, place in enumerate(layer):
            at += _apart(layer[index - 1], place) if index else 0.0
            place.x = at
    for turn in range(_PASSES):
        both = turn >= _PASSES - 6
        for layer in layers if turn % 2 == 0 else reversed(layers):
            _settle(layer, down=turn % 2 == 0, both=both)


def _apart(left: Place, right: Place) -> float:
    """How far apart the middles of two neighbours are at least."""
    gap = _BOX_GAP if left.is_box and right.is_box else _LINE_GAP
    return (left.size.width + right.size.width) / 2 + gap


def _settle(layer: list[Place], *, down: bool, both: bool) -> None:
    """Move a layer's places towards what they are joined to, in their order, without overlap.

    The least squares for a fixed order are found by pooling neighbours that are in each other's
    way (isotonic regression).
    """
    offsets = [0.0]
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + _apart(left, right))
    pools: list[tuple[float, float, int]] = []  # middle, weight, places
    for place, offset in zip(layer, offsets, strict=True):
        wanted, weight = _wanted(place, down=down, both=both)
        pool = (wanted - offset, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            middle, other, count = pools.pop()
            total = other + pool[1]
            pool = ((middle * other + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    middles = [middle for middle, _, count in pools for _ in range(count)]
    for place, middle, offset in zip(layer, middles, offsets, strict=True):
        place.x = middle + offset


def _wanted(place: Place, *, down: bool, both: bool) -> tuple[float, float]:
    """Where a place would like to be, and how much."""
    near = [*place.above, *place.below] if both else place.above if down else place.below
    if not near:
        return place.x, 0.1
    total = sum(weight for _, weight in near)
    # Cubed, so that where there is no room for both, the lighter line gives way and not a bit each.
    return _median([(other.x, weight) for other, weight in near], total), total**3


def _median(values: list[tuple[float, float]], total: float) -> float:
    values.sort()
    passed = 0.0
    for index, (value, weight) in enumerate(values):
        passed += weight
        if passed * 2 == total and index + 1 < len(values):
            return (value + values[index + 1][0]) / 2
        if passed * 2 > total:
            return value
    return values[-1][0]


def _edges(layers: list[list[Place]]) -> tuple[float, float]:
    places = [place for layer in layers for place in (layer[:1] + layer[-1:])]
    left = min(place.x - place.size.width / 2 for place in places)
    right = max(place.x + place.size.width / 2 for place in places)
    return left, right


# --------------------------------------------------------------------------------------- down


class _Band(NamedTuple):
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def _bands(layers: list[list[Place]]) -> list[_Band]:
    """Top and bottom of each layer; wide bends get more room."""
    bands, top = [], 0.0
    for layer in layers:
        bottom = top + max((place.size.height for place in layer), default=0.0)
        bands.append(_Band(top, bottom))
        reach = max((abs(place.x - b.x) for place in layer for b, _ in place.below), default=0.0)
        top = bottom + min(_LAYER_GAP + reach / 12, _LAYER_GAP_MAX)
    return bands


def _rect(place: Place, bands: Sequence[_Band]) -> Rect:
    return Rect(place.x, bands[place.layer].middle, place.size)


class _Lines:
    """Draws routes, each shared stretch once."""

    def __init__(self, found: Layers, bands: Sequence[_Band]) -> None:
        self._routes = found.routes
        self._bands = bands
        self._drawn: set[int] = set()
        self._ports = self._all_ports()

    def all(self) -> list[Line]:
        """Every line, in the order of the links."""
        lines: dict[int, Line] = {}
        # The longest first: it draws the trunk that the others join.
        for index, route in sorted(enumerate(self._routes), key=lambda each: -len(each[1].places)):
            lines[index] = self._line(route)
        return [lines[index] for index in range(len(self._routes))]

    def _line(self, route: Route) -> Line:
        points: list[Point] = []
        last = len(route.places) - 1
        for index, place in enumerate(route.places):
            near = route.places[index - 1 if index else 1]
            port = self._ports.get((id(place), id(near)), 0.0) if index in (0, last) else 0.0
            points += self._passing(place, place.x + port, route, index)
            if 0 < index < last and place is not route.label:
                if id(place) in self._drawn:
                    return Line(route.link, tuple(points[:-1]), self._label(route), True)
                self._drawn.add(id(place))
        return Line(route.link, tuple(points), self._label(route), False)

    def _passing(self, place: Place, x: float, route: Route, index: int) -> list[Point]:
        """Where a line comes into a layer and leaves it again."""
        band = self._bands[place.layer]
        other = route.places[1 if index == 0 else index - 1]
        is_down = (other.layer > place.layer) == (index == 0)
        inner = [band.top, band.bottom] if is_down else [band.bottom, band.top]
        if 0 < index < len(route.places) - 1:
            return [Point(x, inner[0]), Point(x, inner[1])]
        rect = _rect(place, self._bands)
        side = rect.bottom if is_down == (index == 0) else rect.top
        # From the box to the end of its layer, or the other way.
        return (
            [Point(x, side), Point(x, inner[1])]
            if index == 0
            else [Point(x, inner[0]), Point(x, side)]
        )

    def _label(self, route: Route) -> Rect | None:
        return _rect(route.label, self._bands) if route.label else None

    def _all_ports(self) -> dict[tuple[int, int], float]:
        """Offsets from a box's middle at which lines leave and reach it, by box and neighbour."""
        sides: dict[tuple[int, bool], dict[int, Place]] = defaultdict(dict)
        boxes: dict[int, Place] = {}
        for route in self._routes:
            for box, near in (route.places[:2], route.places[:-3:-1]):
                boxes[id(box)] = box
                sides[id(box), near.layer > box.layer][id(near)] = near
        found: dict[tuple[int, int], float] = {}
        for (box_id, _), near_by in sides.items():
            box = boxes[box_id]
            near_all = sorted(near_by.values(), key=lambda place: place.x)
            middle = min(range(len(near_all)), key=lambda i: abs(near_all[i].x - box.x))
            for index, near in enumerate(near_all):
                found[box_id, id(near)] = _port(index - middle, len(near_all), box.size.width)
        return found


def _port(steps: int, count: int, width: float) -> float:
    gap = min(_PORT_GAP, (width / 2 - 14) / max(count - 1, 1))
    return steps * max(gap, 0.0)
