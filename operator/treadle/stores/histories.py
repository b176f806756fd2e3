"""The history of an execution as people read it: from its checkpoint and its pages.

One rule: it reads what a status refers to, and needs no program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from treadle.asl.json import Json, dumps, loads
from treadle.engine import snapshot
from treadle.engine.history import tail_lines
from treadle.engine.times import aws_text, from_ms
from treadle.kube import decode
from treadle.kube.api import Obj, Objects
from treadle.runtime.ports import ExecutionKey
from treadle.stores.pages import Pages


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a history.

    Attributes:
        id: counts from 1.
        previous: id of the entry that led to this one; 0 for none.
        type: AWS's event type.
        at: when it happened.
        details: AWS's detail members; `input` and `output` are JSON texts, as AWS gives them.
    """

    id: int
    previous: int
    type: str
    at: datetime
    details: Mapping[str, Json]


async def read(
    api: Objects, execution: Obj, *, after: int = 0, payloads: bool = True
) -> list[HistoryEntry]:
    """The history of an Execution as it stands in this object, oldest first.

    Args:
        api: where its pages are.
        execution: with its status.
        after: an id; only later entries are given, and no page is read that holds none. Counted
            from the end where it is negative: -1 gives the last one.
        payloads: whether inputs and outputs are read that have pages of their own; otherwise they
            are left out.

    Raises:
        Unreadable: the checkpoint is damaged, or newer than this release.
        UnreadableSnapshot: a page is missing or damaged.
        Fault: ask again.
    """
    rows, reader = await _read(api, execution, after)
    if not payloads:
        return [_entry(_without_pages(row), reader.pages) for row in rows]
    for row in rows:
        await reader.payloads(row)
    return [_entry(row, reader.pages) for row in rows]


async def last_input(api: Objects, execution: Obj, state: str) -> str | None:
    """The input, as JSON text, with which a state was entered last; None where it never was.

    Raises:
        Unreadable, UnreadableSnapshot, Fault: as `read`.
    """
    rows, reader = await _read(api, execution, 0)
    for row in reversed(rows):
        if row[2].endswith("StateEntered") and row[4]["name"] == state:
            await reader.payloads(row)
            found: Any = _entry(row, reader.pages).details["input"]
            return str(found)
    return None


async def _read(api: Objects, execution: Obj, after: int) -> tuple[list[Any], "_Reader"]:
    """The encoded entries after an id, and what has read them."""
    reader = _Reader(Pages(api), decode.key(execution))
    checkpoint = (execution.get("status") or {}).get("checkpoint")
    if not checkpoint:
        return [], reader
    while missing := snapshot.missing_core(checkpoint, reader.pages):
        for digest in sorted(missing):
            await reader.read(digest)
    tail, head, next_id = snapshot.history_of(checkpoint, reader.pages)
    stretches = [[loads(line) for line in tail_lines(tail)]]
    after = after if after >= 0 else next_id - 1 + after
    first = next_id - len(stretches[0])
    while head is not None and first > after + 1:
        page = loads(await reader.whole(head))
        stretches.append(page["entries"])
        first = page["entries"][0][0]
        head = page["previous"]
    return [row for row in _rows(stretches) if row[0] > after], reader


def of(encoded: snapshot.Encoded) -> list[HistoryEntry]:
    """The history of an execution that was never saved: all its pages are at hand."""
    pages = {digest: page.raw for digest, page in encoded.pages.items()}
    tail, head, _ = snapshot.history_of(encoded.checkpoint, pages)
    stretches = [[loads(line) for line in tail_lines(tail)]]
    while head is not None:
        page = loads(snapshot.whole(head, pages))
        stretches.append(page["entries"])
        head = page["previous"]
    return [_entry(row, pages) for row in _rows(stretches)]


def as_aws(entry: HistoryEntry) -> dict[str, Json]:
    """An entry as AWS's GetExecutionHistory gives it; the timestamp is text.

    Spec: AWS API, HistoryEvent.
    """
    event: dict[str, Json] = {
        "timestamp": aws_text(entry.at),
        "type": entry.type,
        "id": entry.id,
        "previousEventId": entry.previous,
    }
    if entry.details:
        kind = entry.type
        for common in ("StateEntered", "StateExited"):
            if kind.endswith(common):
                kind = common
        event[f"{kind[0].lower()}{kind[1:]}EventDetails"] = dict(entry.details)
    return event


_OBJECTS = frozenset({"assignedVariables", "assignedVariablesDetails"})
"""Details that AWS gives as objects; all others are texts of JSON."""


def _rows(stretches: list[list[Any]]) -> list[Any]:
    """The encoded entries of stretches that are given newest first."""
    return [row for stretch in reversed(stretches) for row in stretch]


def _without_pages(row: list[Any]) -> list[Any]:
    *others, details = row
    return [*others, {k: v for k, v in (details or {}).items() if _digest(v) is None}]


def _digest(value: Any) -> str | None:
    """The page that holds a detail, where it has one of its own."""
    return value.get("#") if isinstance(value, dict) else None


def _entry(row: list[Any], pages: Mapping[str, bytes]) -> HistoryEntry:
    """An encoded entry, with its payloads as texts."""
    number, previous, kind, at_ms, details = row
    found: dict[str, Json] = dict(details or {})
    for member, value in found.items():
        if isinstance(value, dict):  # nothing else in an entry is one
            digest = _digest(value)
            text = dumps(value["~"]) if digest is None else snapshot.whole(digest, pages).decode()
            found[member] = loads(text) if member in _OBJECTS else text
    return HistoryEntry(number, previous, kind, from_ms(at_ms), found)


class _Reader:
    """Reads pages of one execution, each once."""

    def __init__(self, pages: Pages, key: ExecutionKey) -> None:
        self._pages = pages
        self._key = key
        self.pages: dict[str, bytes] = {}

    async def read(self, digest: str) -> bytes:
        """One page as it is stored."""
        if digest not in self.pages:
            self.pages[digest] = await self._pages.read(self._key, digest)
        return self.pages[digest]

    async def payloads(self, row: list[Any]) -> None:
        """The pages that an encoded entry refers to."""
        for digest in filter(None, map(_digest, (row[4] or {}).values())):
            await self.whole(digest)

    async def whole(self, digest: str) -> bytes:
        """What a digest stands for, also where it was split."""
        for part in snapshot.parts_of(await self.read(digest)):
            await self.read(part)
        return snapshot.whole(digest, self.pages)
