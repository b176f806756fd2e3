"""The states of an execution as its history tells them.

One rule: nothing is known here that the history does not say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from treadle.cli.files import duration
from treadle.stores.histories import HistoryEntry
from treadle.stores.owners import Owners

NAME_CHARS_MAX = 40


@dataclass(slots=True)
class Row:
    """What is known of one state.

    Attributes:
        running: how often it was entered and not left; and `done`: how often it was left.
        is_group: a Parallel or a Map, which is not where an execution is.
        seconds: how long its last visit took, and `since`: when it was entered last.
        items, items_done: of a Map.
        attempt: of the Task that was begun last; 1 for the first. `asks`: it asks people.
        note: what went wrong last.
        around: the Parallel or Map that it is in.
    """

    running: int = 0
    done: int = 0
    is_group: bool = False
    seconds: float | None = None
    since: datetime | None = None
    items: int = 0
    items_done: int = 0
    attempt: int = 0
    asks: bool = False
    note: str = ""
    around: str | None = None


class Progress:
    """The states of an execution, from its history."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._owners = Owners()
        self._began: dict[int, datetime] = {}
        self._attempts: dict[int, int] = {}  # of the visit that an entry belongs to
        self._left: set[int] = set()  # ids of entries by which a state was left

    def tree(self) -> list[tuple[int, str, Row]]:
        """The states in the order in which they were entered, each with how many are around it."""
        within: dict[str | None, list[str]] = {}
        for name, row in self.rows.items():
            within.setdefault(row.around, []).append(name)

        def grown(around: str | None, depth: int) -> Iterator[tuple[int, str, Row]]:
            for name in within.get(around, ()):
                yield depth, name, self.rows[name]
                yield from grown(name, depth + 1)

        return list(grown(None, 0))

    def take(self, entry: HistoryEntry) -> Row | None:
        """Note an entry; gives the row that it changed."""
        if self._owners.enters_anew(entry):
            for each in self.rows.values():
                each.running = 0
        state = self._owners.take(entry)
        if state is None:
            return None
        row = self.rows.get(state)
        if row is None:
            row = self.rows[state] = Row(around=self._around(entry))
        # An entry follows one of its own visit, except where branches or items have come together.
        same = self._owners.of(entry.previous) == state
        began = self._began.get(entry.previous) if same else row.since
        if began is not None:
            self._began[entry.id] = began
        self._attempts[entry.id] = self._attempts.get(entry.previous, 0) if same else 0
        self._note(entry, row, began)
        return row

    def _note(self, entry: HistoryEntry, row: Row, began: datetime | None) -> None:
        if entry.type.endswith("StateEntered"):
            self._attempts[entry.id] = 0
            self._began[entry.id] = row.since = entry.at
            row.running += 1
            row.is_group = entry.type.startswith(("Parallel", "Map"))
        elif entry.type.endswith("StateExited"):
            self._left.add(entry.id)
            row.running -= 1
            row.done += 1
            row.seconds = (entry.at - began).total_seconds() if began else None
        elif entry.type == "MapStateStarted":
            row.items += int(entry.details.get("length") or 0)
        elif entry.type == "MapIterationSucceeded":
            row.items_done += 1
        elif entry.type.endswith("Scheduled"):
            row.attempt = self._attempts[entry.id] = self._attempts[entry.id] + 1
            row.asks = entry.details.get("resource") == "approval"
        elif entry.type.endswith(("Failed", "TimedOut")) and "error" in entry.details:
            row.note = f"{entry.details.get('error')}"

    def _around(self, entry: HistoryEntry) -> str | None:
        """The state within which a state is entered for the first time."""
        before = self._owners.of(entry.previous)
        if before is None:
            return None
        # What follows a state stands beside it; what follows the start of a group is in it.
        return self.rows[before].around if entry.previous in self._left else before


_WORDS = {
    "ExecutionStarted": "started",
    "ExecutionSucceeded": "Succeeded",
    "ExecutionFailed": "Failed",
    "ExecutionAborted": "Aborted",
    "ExecutionTimedOut": "TimedOut",
    "ExecutionRedriven": "redriven",
    "ExecutionSuspended": "suspended",
    "ExecutionResumed": "resumed",
}


def line_of(entry: HistoryEntry, row: Row | None) -> str:
    """What a line says of an entry; empty where it says nothing."""
    details = entry.details
    name = str(details.get("name", ""))[:NAME_CHARS_MAX]
    wrong = ": ".join(str(details[k])[:300] for k in ("error", "cause") if details.get(k))
    if entry.type in _WORDS:
        with_what = f"with {details['revision']}" if details.get("revision") else ""
        by = f"(by {details['by']})" if details.get("by") else ""
        return " ".join(filter(None, (_WORDS[entry.type], wrong, with_what, by)))
    if entry.type.endswith("StateEntered"):
        return f"{name}: begins"
    if entry.type.endswith("StateExited"):
        took = f" after {duration(row.seconds)}" if row and row.seconds else ""
        return f"{name}: done{took}"
    if entry.type.endswith("Scheduled") and row and row.asks:
        return "  waits for approval"
    if entry.type == "MapIterationSucceeded":
        return f"{name}: {row.items_done} of {row.items} items done" if row else ""
    if entry.type.endswith(("Failed", "TimedOut")) and wrong:
        return f"  {entry.type}: {wrong}"
    return ""
