"""Whether what came is what a test expects, and where it is not.

One rule: a difference names its place, what was expected there and what came, and is bounded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Final, NamedTuple

from treadle.asl.json import Json, dumps
from treadle.asl.limits import VISIT_NODES_MAX
from treadle.asl.patterns import Pattern
from treadle.asl.pointers import escaped
from treadle.local.workflowtests import Ran

DIFFERENCES_MAX: Final = 10
"""Of one expectation; the first ones."""

VALUE_CHARS_MAX: Final = 300
"""Of a value that is shown."""

NOTHING: Final = "nothing"
"""What stands for a member or an item that is not there."""


class Difference(NamedTuple):
    """Something that is not as expected.

    Attributes:
        what: the member of `expect`.
        pointer: into what is compared; empty for all of it.
        expected: JSON text, or words.
        came: likewise.
    """

    what: str
    pointer: str
    expected: str
    came: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a test expects; a member of None, and `output` unless `has_output`, is not looked at."""

    status: str | None = None
    has_output: bool = False
    output: Json = None
    has_part: bool = False
    part: Json = None
    error: str | None = None
    cause: str | None = None
    cause_pattern: Pattern | None = None
    visited: Sequence[str] | None = None
    visited_part: Sequence[str] | None = None
    history: Sequence[str] | None = field(default=None)


def differences(expected: Expected, ran: Ran) -> list[Difference]:
    """All that is not as expected, each expectation bounded."""
    found: list[Difference] = []
    if expected.status is not None and expected.status != ran.status:
        found.append(Difference("status", "", expected.status, _ending(ran)))
    for what, is_asked, wanted, part in (
        ("output", expected.has_output, expected.output, False),
        ("outputContains", expected.has_part, expected.part, True),
    ):
        if is_asked and not ran.has_output:
            found.append(Difference(what, "", shown(wanted), f"no output: {_ending(ran)}"))
        elif is_asked:
            found += compared(what, wanted, ran.output, part=part)
    found += _texts(expected, ran)
    if expected.visited is not None:
        found += compared("visited", list(expected.visited), ran.visited)
    if expected.visited_part is not None:
        found += _in_order(expected.visited_part, ran.visited)
    if expected.history is not None:
        types = [entry.type for entry in ran.history]
        found += compared("history", list(expected.history), types)
    return found


def _ending(ran: Ran) -> str:
    wrong = ": ".join(filter(None, (ran.error, ran.cause)))
    return _bounded(f"{ran.status}, {wrong}" if wrong else ran.status)


def _texts(expected: Expected, ran: Ran) -> Iterator[Difference]:
    for what, wanted, came in (
        ("error", expected.error, ran.error),
        ("cause", expected.cause, ran.cause),
    ):
        if wanted is not None and wanted != came:
            yield Difference(what, "", shown(wanted), NOTHING if came is None else shown(came))
    pattern = expected.cause_pattern
    if pattern is not None and (came := _unlike(pattern, ran.cause)):
        yield Difference("causeMatches", "", f"something like {_bounded(pattern.source)}", came)


class _Spent(Exception):  # noqa: N818 - no error, but the end of the work
    """A comparison takes too much work."""


def _unlike(pattern: Pattern, cause: str | None) -> str:
    """What came instead of a cause that a pattern matches in; empty where it does."""
    if cause is None:
        return NOTHING
    left = VISIT_NODES_MAX

    def spend(work: int) -> None:
        nonlocal left
        left -= work
        if left < 0:
            raise _Spent

    try:
        return "" if pattern.matches(cause, spend) else shown(cause)
    except _Spent:
        return f"{shown(cause)}, which takes too long to compare; simplify the pattern"


def _in_order(wanted: Sequence[str], came: Sequence[str]) -> Iterator[Difference]:
    """The names must occur in this order; others may stand between them."""
    rest = iter(came)
    for number, name in enumerate(wanted):
        if name not in rest:  # it is used up to where the name is found
            after = f" after {shown(wanted[number - 1])}" if number else ""
            told = f"{shown(name)}{after}"
            yield Difference("visitedContains", f"/{number}", told, shown(list(came)))
            return


# ----------------------------------------------------------------------------------------- values


def compared(what: str, wanted: Json, came: Json, *, part: bool = False) -> list[Difference]:
    """Where a value is not the one that is wanted, the first places.

    Args:
        what: is compared.
        wanted: the value.
        came: the one that came.
        part: objects may have more members than are wanted.
    """
    found = islice(_compare(wanted, came, "", part), DIFFERENCES_MAX + 1)
    told = [Difference(what, *each) for each in found]
    if len(told) > DIFFERENCES_MAX:
        told[DIFFERENCES_MAX:] = [Difference(what, "", "no further difference", "more of them")]
    return told


def _compare(wanted: Json, came: Json, at: str, part: bool) -> Iterator[tuple[str, str, str]]:
    """Differences in the order of the values. Depth is bounded where both were read."""
    if isinstance(wanted, dict) and isinstance(came, dict):
        yield from _compare_objects(wanted, came, at, part)
    elif isinstance(wanted, list) and isinstance(came, list):
        for number, (one, other) in enumerate(zip_longest(wanted, came, fillvalue=_Absent)):
            if one is _Absent or other is _Absent:
                yield f"{at}/{number}", _or_nothing(one), _or_nothing(other)
            else:
                yield from _compare(one, other, f"{at}/{number}", part)
    elif not _same(wanted, came):
        yield at, shown(wanted), shown(came)


class _Absent:
    """What no value is."""


def _or_nothing(value: Json) -> str:
    return NOTHING if value is _Absent else shown(value)


def _compare_objects(
    wanted: Mapping[str, Json], came: Mapping[str, Json], at: str, part: bool
) -> Iterator[tuple[str, str, str]]:
    for name, value in wanted.items():
        where = f"{at}/{escaped(name)}"
        if name in came:
            yield from _compare(value, came[name], where, part)
        else:
            yield where, shown(value), NOTHING
    for name in () if part else came.keys() - wanted.keys():
        yield f"{at}/{escaped(name)}", NOTHING, shown(came[name])


def _same(one: Json, other: Json) -> bool:
    # To Python true is 1; to JSON it is not. 1 and 1.0 are one number to both.
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def shown(value: Json) -> str:
    """A value as JSON text, cut where it is long."""
    return _bounded(dumps(value))


def _bounded(text: str) -> str:
    cut = f"{text[:VALUE_CHARS_MAX]}… ({len(text):,} characters)"
    return text if len(text) <= VALUE_CHARS_MAX else cut
