"""A graph as SVG.

One rule: nothing depends on the page around it: it brings its own background, light or dark as the
reader prefers, and says in words what colours say.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from treadle.cli.graph.layers import Link, Size
from treadle.cli.graph.layout import Layout, Line, Point, Rect, laid_out
from treadle.cli.graph.model import Edge, Flow, Graph, Group, Node, nodes_of
from treadle.cli.graph.styles import STYLE
from treadle.cli.graph.texts import run_words, shown, width, wrapped

STATES_MAX: Final = 500
"""More are no picture."""

_NAME_PX: Final = 13.0
_SMALL_PX: Final = 11.0
_TEXT_ROOM: Final = 210.0
_LABEL_ROOM: Final = 150.0
_LINE: Final = 16.0
_SMALL_LINE: Final = 14.0
_PAD: Final = 12.0
_MARGIN: Final = 24.0
_GROUP_PAD: Final = 16.0
_ROW_MAX: Final = 1_400.0
_LOOP: Final = 34.0
_ARROW: Final = 7.0
_DOT: Final = Size(16, 16)
_SMALL_DOT: Final = Size(9, 9)


def write(graph: Graph) -> str:
    """The text of a picture.

    Raises:
        ValueError: the machine has more than `STATES_MAX` states.
    """
    count = sum(1 for _ in nodes_of(graph.flow))
    if count > STATES_MAX:
        raise ValueError(f"{count:,} states are too many for a picture; use dot or mermaid")
    flow = _Drawn(graph.flow, is_outer=True)
    size = flow.layout.size
    wide, high = round(size.width + 2 * _MARGIN), round(size.height + 2 * _MARGIN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" role="img" aria-labelledby="machine-title machine-desc">',
        f'<title id="machine-title">{_text(graph.name or "State machine")}</title>',
        f'<desc id="machine-desc">{_text(_described(graph, count))}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="machine-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        '<path class="head" d="M0,0.5 L8,4 L0,7.5 z"/></marker></defs>',
        f'<rect class="page" width="{wide}" height="{high}" rx="8"/>',
        *flow.drawn(Point(_MARGIN, _MARGIN)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _described(graph: Graph, count: int) -> str:
    words = [f"{graph.comment.rstrip('.')}." if graph.comment else ""]
    words.append(f"A state machine of {count} state{'' if count == 1 else 's'}.")
    if graph.status:
        words.append(f"An execution of it: {graph.status}.")
    return " ".join(word for word in words if word)


def _text(text: str) -> str:
    return escape(shown(text))


# -------------------------------------------------------------------------------------- boxes


@dataclass(slots=True)
class _Box:
    """A state with its texts on lines, and its groups laid out."""

    node: Node
    name: list[str]
    kind: list[str]
    groups: "list[tuple[Point, _Frame]]"
    size: Size
    loops: list[Edge]

    @property
    def head(self) -> float:
        """Height of the texts."""
        return _head(self.name, self.kind, self.node)


def _head(name: Sequence[str], kind: Sequence[str], node: Node) -> float:
    small = len(kind) + (node.run is not None)
    return len(name) * _LINE + small * _SMALL_LINE + 2 * _PAD - 6


def _box(node: Node, loops: list[Edge]) -> _Box:
    room = _TEXT_ROOM * (1.6 if node.groups else 1)
    name = wrapped(shown(node.name), _NAME_PX * 1.06, room)
    words = shown(f"{node.type} · {node.detail}" if node.detail else node.type)
    kind = wrapped(words, _SMALL_PX, room)
    texts = [width(line, _NAME_PX * 1.06) for line in name]
    texts += [width(line, _SMALL_PX) for line in kind]
    texts += [width(run_words(node.run), _SMALL_PX)] if node.run else []
    sides = 2 * _PAD + (16 if node.type in ("Choice", "Succeed", "Fail") else 6)
    wide, high = max(*texts, 70.0) + sides, _head(name, kind, node)
    groups, size = _rows([_Frame(group) for group in node.groups], high)
    if groups:
        wide, high = max(wide, size.width), size.height
    return _Box(node, name, kind, groups, Size(wide, high), loops)


def _rows(frames: "list[_Frame]", top: float) -> "tuple[list[tuple[Point, _Frame]], Size]":
    """Frames side by side, in rows that are not too long."""
    placed: list[tuple[Point, _Frame]] = []
    x, y, row, wide = _GROUP_PAD, top, 0.0, 0.0
    for frame in frames:
        if x > _GROUP_PAD and x + frame.size.width > _ROW_MAX:
            x, y, row = _GROUP_PAD, y + row + _GROUP_PAD, 0.0
        placed.append((Point(x, y), frame))
        x += frame.size.width + _GROUP_PAD
        row, wide = max(row, frame.size.height), max(wide, x)
    return placed, Size(wide, y + row + _GROUP_PAD)


class _Frame:
    """A group: its label, and its list of states."""

    def __init__(self, group: Group) -> None:
        self.label = shown(group.label)
        self.flow = _Drawn(group.flow, is_outer=False)
        pad = _PAD if self.label else 0.0
        size = self.flow.layout.size
        self.at = Point(pad, pad + (_SMALL_LINE if self.label else 0.0))
        wide = max(size.width, width(self.label, _SMALL_PX)) + 2 * pad
        self.at = Point((wide - size.width) / 2, self.at.y)
        self.size = Size(wide, size.height + self.at.y + pad)

    def drawn(self, at: Point) -> Iterator[str]:
        """The frame and what is in it."""
        if self.label:
            yield _rect("branch", Rect(*_middle(at, self.size), self.size), 8)
            yield _line_of_text("small", at.x + _PAD, at.y + 17, self.label, "start")
        yield from self.flow.drawn(Point(at.x + self.at.x, at.y + self.at.y))


def _middle(at: Point, size: Size) -> Point:
    return Point(at.x + size.width / 2, at.y + size.height / 2)


# --------------------------------------------------------------------------------------- flows


class _Drawn:
    """A list of states, laid out."""

    def __init__(self, flow: Flow, *, is_outer: bool) -> None:
        self._flow = flow
        self._dot = _DOT if is_outer else _SMALL_DOT
        loops: dict[str, list[Edge]] = {node.id: [] for node in flow.nodes}
        for edge in flow.edges:
            if edge.source == edge.target:
                loops[edge.source].append(edge)
        self._boxes = {node.id: _box(node, loops[node.id]) for node in flow.nodes}
        sizes = {"start": self._dot} if flow.start else {}
        sizes |= {name: _with_loops(box) for name, box in self._boxes.items()}
        sizes |= {"end": self._dot} if flow.ends else {}
        found = [(_link(edge), edge.label) for edge in flow.edges if edge.source != edge.target]
        found += [(Link(end, "end", weight=2.0), "") for end in flow.ends]
        found += [(Link("start", flow.start), "")] if flow.start else []
        found.sort(key=lambda each: each[0].is_dashed)  # errors to the right
        self._labels = [label for _, label in found]
        self.layout: Layout = laid_out(sizes, [link for link, _ in found])

    def drawn(self, at: Point) -> Iterator[str]:
        """Lines first, so that boxes and labels lie on them."""
        yield f'<g transform="translate({at.x:.1f} {at.y:.1f})">'
        for line in self.layout.lines:
            yield _path(line)
        for line, label in zip(self.layout.lines, self._labels, strict=True):
            if line.label is not None:
                yield from _label(line.label, label)
        for name, rect in self.layout.boxes.items():
            if name in self._boxes:
                yield from _state(self._boxes[name], rect)
            else:
                yield from _dot(rect, is_end=name == "end")
        yield "</g>"


def _link(edge: Edge) -> Link:
    is_catch = edge.way == "catch"
    size = _label_size(edge.label)
    return Link(edge.source, edge.target, size, is_catch, 1.0 if is_catch else 4.0)


def _with_loops(box: _Box) -> Size:
    """A box's room: lines to itself lie beside it, and it stays in the middle."""
    beside = max((_LOOP + _loop_label(edge).width for edge in box.loops), default=0.0)
    high = max(box.size.height, 30.0 * len(box.loops))
    return Size(box.size.width + 2 * beside, high)


def _loop_label(edge: Edge) -> Size:
    return _label_size(edge.label) or Size(0, 0)


def _label_lines(label: str) -> list[str]:
    return wrapped(shown(label), _SMALL_PX, _LABEL_ROOM)


def _label_size(label: str) -> Size | None:
    if not label:
        return None
    lines = _label_lines(label)
    wide = max(width(line, _SMALL_PX) for line in lines)
    return Size(wide + 12, len(lines) * 13 + 6)


# -------------------------------------------------------------------------------------- shapes


def _path(line: Line) -> str:
    points = line.points
    parts = [f"M{points[0].x:.1f},{points[0].y:.1f}"]
    for one, other in pairwise(points):
        if abs(one.x - other.x) < 0.05:
            if abs(one.y - other.y) > 0.05:
                parts.append(f"L{other.x:.1f},{other.y:.1f}")
            continue
        # An arrow needs a straight end to point the right way.
        down = 1 if other.y > one.y else -1
        end = other.y - down * _ARROW if abs(other.y - points[-1].y) < 0.05 else other.y
        half = (one.y + end) / 2
        bend = f"{one.x:.1f},{half:.1f} {other.x:.1f},{half:.1f} {other.x:.1f},{end:.1f}"
        parts.append(f"C{bend}")
        if end != other.y:
            parts.append(f"L{other.x:.1f},{other.y:.1f}")
    style = "way catch" if line.link.is_dashed else "way"
    arrow = "" if line.joins else ' marker-end="url(#machine-arrow)"'
    return f'<path class="{style}" d="{" ".join(parts)}"{arrow}/>'


def _label(rect: Rect, label: str) -> Iterator[str]:
    yield _rect("label", rect, 4)
    lines = _label_lines(label)
    top = rect.y - len(lines) * 13 / 2
    for number, text in enumerate(lines):
        yield _line_of_text("small", rect.x, top + number * 13 + 10, text)


def _state(box: _Box, room: Rect) -> Iterator[str]:
    node, rect = box.node, Rect(room.x, room.y, box.size)
    style = f"state {node.type.lower()}" if node.type.isalpha() else "state"
    style += f" {node.run.status.lower()}" if node.run else ""
    status = f' data-status="{node.run.status}"' if node.run else ""
    yield f'<g class="{style}" data-state={quoteattr(shown(node.name))}{status}>'
    words = [node.name, node.type, *([node.detail] if node.detail else [])]
    words += [run_words(node.run)] if node.run else []
    yield f"<title>{_text(', '.join(words))}</title>"
    yield _outline(node, rect)
    yield from _texts(box, rect)
    for at, frame in box.groups:
        wide = max(place.x + other.size.width + _GROUP_PAD for place, other in box.groups)
        centred = (rect.size.width - wide) / 2
        yield from frame.drawn(Point(rect.left + at.x + centred, rect.top + at.y))
    yield from _loops(box, rect)
    yield "</g>"


def _outline(node: Node, rect: Rect) -> str:
    if node.type == "Choice":
        left, right = rect.left, rect.left + rect.size.width
        cut = 11.0
        corners = [
            Point(left + cut, rect.top),
            Point(right - cut, rect.top),
            Point(right, rect.y),
            Point(right - cut, rect.bottom),
            Point(left + cut, rect.bottom),
            Point(left, rect.y),
        ]
        points = " ".join(f"{corner.x:.1f},{corner.y:.1f}" for corner in corners)
        return f'<polygon class="box" points="{points}"/>'
    radius = min(rect.size.height / 2, 22) if node.type in ("Succeed", "Fail") else 7
    return _rect("box", rect, radius)


def _texts(box: _Box, rect: Rect) -> Iterator[str]:
    y = rect.top + _PAD - 3
    for line in box.name:
        yield _line_of_text("name", rect.x, y + 12, line)
        y += _LINE
    for line in box.kind:
        yield _line_of_text("small kind", rect.x, y + 11, line)
        y += _SMALL_LINE
    if box.node.run:
        yield _line_of_text("small run", rect.x, y + 11, run_words(box.node.run))


def _loops(box: _Box, rect: Rect) -> Iterator[str]:
    """Lines from a state to itself, on its right side."""
    side = rect.left + rect.size.width
    step = rect.size.height / max(len(box.loops), 1)
    for number, edge in enumerate(box.loops):
        y = rect.top + step * (number + 0.5)
        upper, lower, out = y - step / 4, y + step / 4, side + _LOOP - 6
        style = "way catch" if edge.way == "catch" else "way"
        yield (
            f'<path class="{style}" d="M{side:.1f},{upper:.1f} C{out:.1f},{upper - 4:.1f} '
            f'{out:.1f},{lower + 4:.1f} {side:.1f},{lower:.1f}" '
            'marker-end="url(#machine-arrow)"/>'
        )
        size = _label_size(edge.label)
        if size is not None:
            yield from _label(Rect(side + _LOOP - 8 + size.width / 2, y, size), edge.label)


def _dot(rect: Rect, *, is_end: bool) -> Iterable[str]:
    radius = rect.size.width / 2
    inner = radius - 3 if is_end else radius
    words = "End" if is_end else "Start"
    yield f'<g class="{words.lower()}"><title>{words}</title>'
    if is_end:
        yield f'<circle class="ring" cx="{rect.x:.1f}" cy="{rect.y:.1f}" r="{radius - 0.75:.2f}"/>'
    yield f'<circle class="dot" cx="{rect.x:.1f}" cy="{rect.y:.1f}" r="{max(inner, 1.5):.2f}"/></g>'


def _rect(style: str, rect: Rect, radius: float) -> str:
    return (
        f'<rect class="{style}" x="{rect.left:.1f}" y="{rect.top:.1f}" '
        f'width="{rect.size.width:.1f}" height="{rect.size.height:.1f}" rx="{radius:.1f}"/>'
    )


def _line_of_text(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {place}>{escape(text)}</text>'
