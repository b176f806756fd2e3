"""Which state each entry of a history is about.

One rule: nothing is known here that the history does not say. An entry follows one of its own
state; Tasks that a redrive goes on with follow the redrive, in the order of their entering.
"""

from collections import deque

from treadle.stores.histories import HistoryEntry

_ENTERED, _EXITED = "StateEntered", "StateExited"


class Owners:
    """States by the entries that are about them; entries are taken in their order."""

    def __init__(self) -> None:
        self._states: dict[int, str] = {}
        self._groups: dict[str, int] = {}  # which entry the last visit of each begins with
        self._tasks: dict[int, str] = {}  # by the same of those that were not left
        self._halted: deque[str] = deque()
        self._redriven = 0

    def of(self, entry: int) -> str | None:
        """The state that an entry was about, by its id."""
        return self._states.get(entry)

    def enters_anew(self, entry: HistoryEntry) -> bool:
        """Whether a redrive goes on with this entry alone."""
        return bool(self._redriven) and self._follows(entry) and entry.type.endswith(_ENTERED)

    def take(self, entry: HistoryEntry) -> str | None:
        """The state that an entry is about, if any."""
        if entry.type == "ExecutionRedriven":
            self._redriven = entry.id
            self._halted = deque(self._tasks.values())
            return None
        found = self._named(entry)
        if found is None and self._follows(entry) and entry.type.endswith("Scheduled"):
            found = self._halted.popleft() if self._halted else None
        elif found is None:
            found = self._states.get(entry.previous)
        if found is not None:
            self._states[entry.id] = found
            self._note(entry, found)
        return found

    def _follows(self, entry: HistoryEntry) -> bool:
        return entry.previous == self._redriven

    def _named(self, entry: HistoryEntry) -> str | None:
        named = entry.type.endswith((_ENTERED, _EXITED)) or "Iteration" in entry.type
        name = entry.details.get("name") if named else None
        return None if name is None else str(name)

    def _note(self, entry: HistoryEntry, state: str) -> None:
        if entry.type.endswith(_ENTERED):
            if self.enters_anew(entry):
                self._tasks.clear()
            if _is_group(entry):
                self._groups[state] = entry.id
            elif entry.type.startswith("Task"):
                self._tasks[entry.id] = state
        elif entry.type.endswith(_EXITED) and _is_group(entry):
            # What was cut off inside it is not gone on with once it is left.
            begun = self._groups.get(state, 0)
            self._tasks = {id_: name for id_, name in self._tasks.items() if id_ < begun}
        elif entry.type.endswith(_EXITED):
            mine = (id_ for id_, name in self._tasks.items() if name == state)
            self._tasks.pop(next(mine, 0), None)


def _is_group(entry: HistoryEntry) -> bool:
    return entry.type.startswith(("Parallel", "Map"))
