"""Visits to states, as a history tells them: which entries belong to which, in which items.

One rule: nothing but a history and a program is read, so that a run of long ago has a trail too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from treadle.asl.errors import HEARTBEAT_TIMEOUT
from treadle.asl.json import Json
from treadle.asl.program import Fail, Machine, Map, Parallel, Program, State
from treadle.stores.histories import HistoryEntry
from treadle.stores.judgement import states

_GROUPS: Final = ("Parallel", "Map")
_ITERATION: Final = "MapIteration"
_SILENT: Final = ("Exited", "Aborted")
"""What an entry ends with that says nothing of how the work ended."""


@dataclass(eq=False, slots=True)
class Visit:
    """One entry into a state, and all that the history has of it.

    Attributes:
        state: the state.
        parent: the visit of the Parallel or Map that it is within.
        items: indices in the Maps around it, the outermost first.
        entries: of the history, without those of states within it.
        next: the visit that followed it in its list of states.
        error: the name of what its work failed with last, as a catcher sees it; None where it did
            not, or where that is not told: a Fail state's may be computed, and no history has it.
    """

    state: State
    parent: "Visit | None"
    items: tuple[int, ...]
    entries: list[HistoryEntry] = field(default_factory=list)
    next: "Visit | None" = None
    error: str | None = None


def visits(program: Program, history: Iterable[HistoryEntry]) -> list[Visit]:
    """All visits, in the order in which the states were entered.

    Those of states within a distributed Map are not among them: each of its children is an
    execution with a history of its own.
    """
    trail = _Trail(program)
    for entry in history:
        trail.take(entry)
    return trail.visits


class _Trail:
    """One history being read, oldest entry first."""

    def __init__(self, program: Program) -> None:
        self.visits: list[Visit] = []
        self._states: dict[str, State] = {}
        self._around: dict[str, str | None] = {}
        self._entries: dict[int, HistoryEntry] = {}
        self._places: dict[int, tuple[Visit | None, tuple[int, ...]]] = {}
        self._errors: dict[int, str | None] = {}
        every = states(program.machine, program.definition)
        self._written = {state.name: source for _, state, source in every}
        todo: list[tuple[str | None, Machine]] = [(None, program.machine)]
        for around, machine in todo:  # it grows meanwhile
            for name, state in machine.states.items():
                self._states[name], self._around[name] = state, around
                if isinstance(state, Parallel):
                    todo += [(name, branch) for branch in state.branches]
                elif isinstance(state, Map):
                    todo.append((name, state.processor))

    def take(self, entry: HistoryEntry) -> None:
        """The next entry."""
        if entry.type.startswith("Execution"):
            return  # it follows a visit, and is of none
        self._entries[entry.id] = entry
        visit, items = self._places.get(entry.previous, (None, ()))
        name = entry.details.get("name")
        if entry.type.endswith("StateEntered") and name in self._states:
            visit = self._entered(self._states[str(name)], visit, items, entry)
            items = visit.items
        elif entry.type.startswith(_ITERATION):
            visit = _up_to(visit, name)
            index = entry.details.get("index")
            items = (*visit.items, int(index)) if visit and index is not None else ()
        elif entry.type.endswith("StateExited"):
            visit = _up_to(visit, name)
            items = visit.items if visit else ()
        elif entry.type.startswith(_GROUPS):
            visit = self._of_group(entry, visit)
            items = visit.items if visit else ()
        if visit is not None:
            visit.entries.append(entry)
            self._note_error(entry, visit)
        self._places[entry.id] = (visit, items)

    def _entered(
        self, state: State, before: Visit | None, items: tuple[int, ...], entry: HistoryEntry
    ) -> Visit:
        exited = self._entries.get(entry.previous)
        if before is not None and exited is not None and exited.type.endswith("StateExited"):
            found = before.next = Visit(state, before.parent, before.items)
            self.visits.append(found)
            return found
        parent = _up_to(before, self._around[state.name])
        if parent is not before:
            items = parent.items if parent else ()
        found = Visit(state, parent, items)
        self.visits.append(found)
        return found

    def _of_group(self, entry: HistoryEntry, visit: Visit | None) -> Visit | None:
        """The Parallel or Map that an entry without a name is of: the nearest of its type."""
        group = _GROUPS[0] if entry.type.startswith(_GROUPS[0]) else _GROUPS[1]
        before = self._entries.get(entry.previous)
        if before is not None and before.type == f"{group}StateFailed" and visit is not None:
            visit = visit.parent
        while visit is not None and type(visit.state).__name__ != group:
            visit = visit.parent
        return visit

    def _note_error(self, entry: HistoryEntry, visit: Visit) -> None:
        error: str | None = None
        if "error" in entry.details:
            error = str(entry.details["error"])
        elif isinstance(visit.state, Fail):
            template = visit.state.error
            is_known = template is not None and template.is_constant
            error = str(self._written[visit.state.name]["Error"]) if is_known else None
        elif entry.type.endswith(("StateFailed", "IterationFailed")):
            error = self._errors.get(entry.previous)
        self._errors[entry.id] = error
        if not entry.type.startswith(_ITERATION) and not entry.type.endswith(_SILENT):
            visit.error = HEARTBEAT_TIMEOUT if _is_silent(visit, entry) else error


def _is_silent(visit: Visit, ended: HistoryEntry) -> bool:
    """Whether an attempt missed its heartbeat: that is told as a timeout, before its time is up."""
    if not ended.type.endswith("TimedOut"):
        return False
    began = next(each for each in reversed(visit.entries) if each.type.endswith("Scheduled"))
    limit = began.details.get("timeoutInSeconds")
    seconds = (ended.at - began.at).total_seconds()
    return "heartbeatInSeconds" in began.details and (limit is None or seconds < float(limit))


def _up_to(visit: Visit | None, name: Json) -> Visit | None:
    """The nearest visit around, or this one, to a state of that name."""
    while visit is not None and visit.state.name != name:
        visit = visit.parent
    return visit
