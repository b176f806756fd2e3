"""Small and large damage to texts and JSON values.

One rule: what comes out is of the same kind, and no larger than a definition may be.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.fuzz.dice import Dice

TEXT_CHARS_MAX = 200_000
_BITS = (*"()[]{}.,:;'\"\\/$@?*+-=<>!&|~^%#`_ \t\n\r", "..", "&&", "||", ":=", "~>", "{%", "%}",
         "/*", "\ufeff", "\x00", "\ud800", "é", "0", "1e9", "&a", "*a", "? ", "---")  # fmt: skip


def text(dice: Dice, whole: str, others: Sequence[str] = ()) -> str:
    """A text with one to four changes."""
    for _ in range(dice.one((1, 1, 1, 2, 4))):
        whole = _changed(dice, whole, others)[:TEXT_CHARS_MAX]
    return whole


def _changed(dice: Dice, whole: str, others: Sequence[str]) -> str:
    start, end = sorted((dice.randint(0, len(whole)), dice.randint(0, len(whole))))
    if end - start > 40 and not dice.one_in(8):
        end = start + dice.randint(0, 40)
    before, part, after = whole[:start], whole[start:end], whole[end:]
    kind = dice.randint(0, 7)
    if kind == 0:
        return before + after
    if kind == 1:
        return before + part + part + after
    if kind == 2:
        times = dice.one((3, 20, 300, 2_000))
        return before + part * min(times, TEXT_CHARS_MAX // max(1, len(part)) + 1) + after
    if kind == 3 and others:
        other = dice.one(others)
        at = dice.randint(0, len(other))
        return before + other[at : at + dice.randint(1, 60)] + after
    if kind == 4:
        wrapped = dice.one(("()", "[]", "{}", "''", '""', "//"))
        times = dice.one((1, 1, 2, 30, 1_000))
        return before + wrapped[0] * times + part + wrapped[1] * times + after
    if kind == 5:
        return before + dice.text() + after
    return before + dice.one(_BITS) + (part if dice.one_in(2) else "") + after


def value(dice: Dice, whole: Any, others: Sequence[Any] = (), words: Sequence[str] = ()) -> Any:
    """A JSON value with one to four of its parts changed; the given one stays as it is."""
    for _ in range(dice.one((1, 1, 2, 4))):
        places = list(_places(whole))
        place = dice.one(places)
        whole = _put(
            whole, place, _other(dice, _at(whole, place), whole, others, words), dice, words
        )
    return whole


def _places(whole: Any, most: int = 2_000) -> Iterator[tuple[Any, ...]]:
    stack: list[tuple[tuple[Any, ...], Any]] = [((), whole)]
    while stack and most:
        place, node = stack.pop()
        most -= 1
        yield place
        if isinstance(node, dict):
            stack += [((*place, key), item) for key, item in node.items()]
        elif isinstance(node, list):
            stack += [((*place, index), item) for index, item in enumerate(node)]


def _at(node: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        node = node[key]
    return node


_GONE = object()


def _other(dice: Dice, node: Any, whole: Any, others: Sequence[Any], words: Sequence[str]) -> Any:
    kind = dice.randint(0, 9)
    if kind == 0:
        return _GONE
    if kind <= 2:
        return dice.scalar()
    if kind == 3:
        return dice.value(2)
    if kind == 4:
        source = dice.one(others) if others and dice.one_in(2) else whole
        return _at(source, dice.one(list(_places(source))))
    if kind == 5:
        for _ in range(dice.one((1, 2, 100, 260))):
            node = [node] if dice.one_in(2) else {dice.one(words or ("a",)): node}
        return node
    if kind == 6 and isinstance(node, list):
        return node * dice.one((0, 2, 50))
    return _alike(dice, node, words)


def _alike(dice: Dice, node: Any, words: Sequence[str]) -> Any:
    """Another value, mostly of the same kind."""
    if isinstance(node, str):
        return dice.one(words) if words and dice.one_in(3) else text(dice, node)
    if isinstance(node, bool) or node is None:
        return dice.one((True, False, None, 0, "true"))
    if isinstance(node, int | float):
        return dice.one((node + 1, node - 1, -node, dice.number(), str(node)))
    if isinstance(node, dict) and words:
        return {**node, dice.one(words): dice.scalar()}
    return [node]


def _put(node: Any, place: tuple[Any, ...], new: Any, dice: Dice, words: Sequence[str]) -> Any:
    if not place:
        return {} if new is _GONE else new
    key, rest = place[0], place[1:]
    inner = new if not rest else _put(node[key], rest, new, dice, words)
    if isinstance(node, list):
        found = list(node)
        found[key : key + 1] = [] if inner is _GONE else [inner]
        return found
    renamed = dice.one(words) if not rest and words and dice.one_in(6) else key
    made = {renamed if name == key else name: inner if name == key else item
            for name, item in node.items()}  # fmt: skip
    if inner is _GONE:
        del made[renamed]
    return made


# ------------------------------------------------------------------------------------- smaller


def smaller(given: Any, depth: int = 40) -> Iterator[Any]:
    """Simpler versions of a JSON value, the boldest first; so many levels of it."""
    if depth == 0:
        return
    if isinstance(given, str):
        yield from _shorter(given)
    elif isinstance(given, list):
        yield from _shorter(given)
        for index, item in enumerate(given[:50]):
            yield from (
                [*given[:index], less, *given[index + 1 :]] for less in smaller(item, depth - 1)
            )
    elif isinstance(given, dict):
        for key in given:
            yield {name: item for name, item in given.items() if name != key}
        for key, item in given.items():
            parts = item.values() if isinstance(item, dict) else item
            if isinstance(item, dict | list):
                yield from ({**given, key: part} for part in [*parts][:20])
            yield from ({**given, key: less} for less in smaller(item, depth - 1))
    elif given.__class__ in (int, float) and given not in (0, 1):
        yield from (0, 1)


def _shorter(given: Any) -> Iterator[Any]:
    size = len(given)
    part = size
    while part:
        for start in range(0, size, part):
            yield given[:start] + given[start + part :]
        part //= 2
