"""A history as tests read it: payloads as values, pages already walked.

One rule: it reads what `encode` gives and nothing of the engine's own memory.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from treadle.asl.json import Json, loads
from treadle.engine import snapshot
from treadle.engine.history import tail_lines


class Entry(NamedTuple):
    """One line of a history."""

    id: int
    previous: int
    type: str
    at_ms: int
    details: Mapping[str, Json] | None

    def timeless(self) -> tuple[int, int, str, Mapping[str, Json] | None]:
        """All of it but the time."""
        return (self.id, self.previous, self.type, self.details)


def entries(checkpoint: str, pages: Mapping[str, bytes]) -> list[Entry]:
    """The whole history behind a checkpoint, oldest first."""
    tail, head, _ = snapshot.history_of(checkpoint, pages)
    stretches = [[loads(line) for line in tail_lines(tail)]]
    while head is not None:
        page = loads(snapshot.whole(head, pages))
        stretches.append(page["entries"])
        head = page["previous"]
    return [_entry(row, pages) for stretch in reversed(stretches) for row in stretch]


def types(history: list[Entry]) -> list[str]:
    """AWS's event types alone."""
    return [entry.type for entry in history]


def _entry(row: list[Any], pages: Mapping[str, bytes]) -> Entry:
    number, previous, kind, at_ms, details = row
    if details is not None:
        details = {name: _plain(value, pages) for name, value in details.items()}
    return Entry(number, previous, kind, at_ms, details)


def _plain(value: Json, pages: Mapping[str, bytes]) -> Json:
    if not isinstance(value, dict):
        return value
    if "~" in value:
        return value["~"]
    return loads(snapshot.whole(value["#"], pages))
