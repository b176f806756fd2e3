"""A layered layout: nothing lies on anything else."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.cli.graph.layers import Link, Size, crossings, layered
from treadle.cli.graph.layout import Layout, Point, Rect, laid_out

BOX = Size(120, 44)
LABEL = Size(60, 19)

Sides = tuple[float, float, float, float]


def sides(rect: Rect) -> Sides:
    return rect.left, rect.top, rect.left + rect.size.width, rect.bottom


def stretch(one: Point, other: Point) -> Sides:
    return min(one.x, other.x), min(one.y, other.y), max(one.x, other.x), max(one.y, other.y)


def meet(one: Sides, other: Sides) -> bool:
    """Whether two rectangles share more than an edge, to a tenth of a pixel."""
    near = 0.1
    across = one[0] < other[2] - near and other[0] < one[2] - near
    return across and one[1] < other[3] - near and other[1] < one[3] - near


def check(layout: Layout) -> None:
    boxes = {name: sides(rect) for name, rect in layout.boxes.items()}
    labels = [sides(line.label) for line in layout.lines if line.label]
    for one, other in combinations([*boxes.values(), *labels], 2):
        assert not meet(one, other)
    for left, top, right, bottom in (*boxes.values(), *labels):
        assert left > -0.1
        assert top > -0.1
        assert right < layout.size.width + 0.1
        assert bottom < layout.size.height + 0.1
    for line in layout.lines:
        ends = (line.link.source, line.link.target)
        others = [rect for name, rect in boxes.items() if name not in ends]
        others += [sides(each.label) for each in layout.lines if each.label and each is not line]
        for pair in pairwise(line.points):
            # Straight up and down within a layer, where a line has no width of its own.
            left, top, right, bottom = stretch(*pair)
            assert not any(meet((left, top, right + 0.2, bottom), other) for other in others)


def chain(count: int) -> tuple[dict[str, Size], list[Link]]:
    names = [f"b{number}" for number in range(count)]
    return dict.fromkeys(names, BOX), [Link(*pair) for pair in pairwise(names)]


def test_nothing_has_no_size() -> None:
    assert laid_out({}, []) == Layout(Size(0, 0), {}, ())


def test_a_chain_is_a_straight_line_downwards() -> None:
    layout = laid_out(*chain(40))
    check(layout)
    assert len({round(rect.x, 3) for rect in layout.boxes.values()}) == 1
    tops = [rect.top for rect in layout.boxes.values()]
    assert tops == sorted(tops)


def test_errors_of_a_chain_share_a_trunk_and_leave_it_straight() -> None:
    boxes, links = chain(40)
    boxes["handler"] = BOX
    links += [Link(f"b{n}", "handler", LABEL, is_dashed=True, weight=1.0) for n in range(40)]
    layout = laid_out(boxes, links)
    check(layout)
    assert len({round(layout.boxes[f"b{n}"].x, 3) for n in range(40)}) == 1
    assert sum(not line.joins for line in layout.lines[39:]) == 2  # the trunk, and the last one
    found = layered(boxes, links)
    assert crossings(found.layers) == 0
    assert sum(map(len, found.layers)) < 41 + 40 + 4 * 40


def test_a_circle_goes_back_up() -> None:
    boxes, links = chain(3)
    layout = laid_out(boxes, [*links, Link("b2", "b0", LABEL), Link("b1", "b1")])
    check(layout)
    upward = layout.lines[2]
    assert upward.points[0].y > upward.points[-1].y
    assert upward.points[-1].y == pytest.approx(layout.boxes["b0"].bottom)
    assert len(layout.lines) == 3


def test_a_way_around_crosses_nothing() -> None:
    names = dict.fromkeys("abcd", BOX)
    links = [Link("a", "d"), Link("a", "b"), Link("b", "c"), Link("c", "d"), Link("a", "c")]
    assert crossings(layered(names, links).layers) == 0


def test_crossings_are_counted() -> None:
    names = dict.fromkeys("abcdef", BOX)
    links = [Link(one, other) for one in "abc" for other in "def"]
    # Trunks make one line of what leads to the same box: each box has three that cross others.
    assert crossings(layered(names, links).layers) == 9


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Size], list[Link]]:
    names = [f"b{number}" for number in range(draw(st.integers(1, 12)))]
    sizes = st.builds(Size, st.integers(8, 400), st.integers(8, 300))
    some = st.none() | st.builds(Size, st.integers(10, 160), st.integers(19, 60))
    name = st.sampled_from(names)
    link = st.builds(Link, name, name, some, st.booleans(), st.sampled_from([1.0, 2.0, 4.0]))
    return {each: draw(sizes) for each in names}, draw(st.lists(link, max_size=24))


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_nothing_lies_on_anything_else(graph: tuple[dict[str, Size], list[Link]]) -> None:
    check(laid_out(*graph))


def test_the_same_graph_is_laid_out_the_same() -> None:
    assert laid_out(*chain(9)) == laid_out(*chain(9))
