"""Nearly straight lines become straight.

One rule: order and distances in a layer are kept. Places in one line are moved as one; of the
positions furthest left and furthest right that keep all distances, the middle keeps them too.

After the blocks of Brandes and Köpf (2001).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from treadle.cli.graph.layers import Place

_BENT_MAX: Final = 30.0  # pixels; what bends more is meant to


def straighten(layers: Sequence[Sequence[Place]], apart: Callable[[Place, Place], float]) -> None:
    """Set the `x` of places anew.

    Args:
        layers: in their order, with an `x` that keeps the distances.
        apart: how far apart the middles of two neighbours are at least.
    """
    blocks = _blocks(layers)
    after: dict[int, list[tuple[int, float]]] = defaultdict(list)
    before: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for layer in layers:
        for left, right in pairwise(layer):
            one, other, gap = blocks[id(left)], blocks[id(right)], apart(left, right)
            after[one].append((other, gap))
            before[other].append((one, gap))
    wanted = _wanted(layers, blocks)
    order = _sorted(list(wanted), after, before)
    most, least = dict(wanted), dict(wanted)
    for block in order:
        most[block] = max([most[block], *(most[left] + gap for left, gap in before[block])])
    for block in reversed(order):
        least[block] = min([least[block], *(least[right] - gap for right, gap in after[block])])
    for place in (place for layer in layers for place in layer):
        block = blocks[id(place)]
        place.x = (most[block] + least[block]) / 2


def _blocks(layers: Sequence[Sequence[Place]]) -> dict[int, int]:
    """The number of the block of each place: places in one line, of which no two cross."""
    blocks = {
        id(place): number for number, place in enumerate(p for layer in layers for p in layer)
    }
    for upper, lower in pairwise(layers):
        index = {id(place): number for number, place in enumerate(lower)}
        found = sorted(
            (-weight, abs(place.x - below.x), at, index[id(below)])
            for at, place in enumerate(upper)
            for below, weight in place.below
            if abs(place.x - below.x) <= _BENT_MAX
        )
        chosen: list[tuple[int, int]] = []
        for _, _, at, under in found:
            if all((at - one) * (under - other) > 0 for one, other in chosen):
                chosen.append((at, under))
                blocks[id(lower[under])] = blocks[id(upper[at])]
    return blocks


def _wanted(layers: Sequence[Sequence[Place]], blocks: dict[int, int]) -> dict[int, float]:
    """Where each block would like to be: where most of its length is."""
    found: dict[int, list[float]] = defaultdict(list)
    for place in (place for layer in layers for place in layer):
        found[blocks[id(place)]].append(place.x)
    return {block: sorted(values)[len(values) // 2] for block, values in found.items()}


def _sorted(
    blocks: list[int],
    after: dict[int, list[tuple[int, float]]],
    before: dict[int, list[tuple[int, float]]],
) -> list[int]:
    """Each block after those on its left."""
    missing = {block: len(before[block]) for block in blocks}
    ready = [block for block in blocks if not missing[block]]
    order: list[int] = []
    while ready:
        block = ready.pop()
        order.append(block)
        for right, _ in after[block]:
            missing[right] -= 1
            if not missing[right]:
                ready.append(right)
    assert len(order) == len(blocks), "blocks do not cross"
    return order
