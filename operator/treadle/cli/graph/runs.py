"""What an execution did, told by its history, onto the states of a graph.

One rule: names of states are unique in a machine, so a history's names say which state is meant.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from treadle.cli.graph.model import Flow, Graph, Group, Node, Run, Status
from treadle.stores.histories import HistoryEntry
from treadle.stores.owners import Owners

_ENTERED: Final = "StateEntered"
_EXITED: Final = "StateExited"
_FAILURES: Final = ("Failed", "TimedOut", "Aborted")
_ENDS: Final = {
    **{f"Execution{ended}": ended for ended in ("Succeeded", *_FAILURES)},
    "ExecutionRedriven": "",
}


@dataclass(slots=True)
class _Visits:
    """All visits to one state."""

    type: str
    entered: list[datetime]
    exited: list[datetime]
    caught: int = 0
    has_failed: bool = False

    @property
    def open(self) -> int:
        """Visits without an end."""
        return len(self.entered) - len(self.exited)


def coloured(graph: Graph, entries: Sequence[HistoryEntry]) -> Graph:
    """The graph with what an execution did in each state that it entered.

    Args:
        graph: of the machine that the execution ran.
        entries: its history, oldest first, whole or as far as it is.
    """
    visits: dict[str, _Visits] = {}
    ended, now = "", None
    for entry, state, after_failure in _told(entries):
        now = entry.at
        if entry.type in _ENDS:
            ended = _ENDS[entry.type]
        elif entry.type.endswith(_ENTERED):
            kind = entry.type.removesuffix(_ENTERED)
            found = visits.setdefault(state, _Visits(kind, [], []))
            found.entered.append(entry.at)
            found.has_failed = False
        elif state not in visits:
            continue
        elif entry.type.endswith(_EXITED):
            visits[state].exited.append(entry.at)
            visits[state].caught += after_failure
        elif entry.type.endswith(_FAILURES):
            visits[state].has_failed = True
    is_over = {"Failed": "Failed", "TimedOut": "Failed", "Aborted": "Aborted"}.get(ended, "")
    told = _Told(visits, ended or ("Running" if entries else ""), now)
    return replace(graph, flow=told.flow(graph.flow, is_over), status=told.status)


def _told(entries: Sequence[HistoryEntry]) -> Iterator[tuple[HistoryEntry, str, bool]]:
    """Each entry, the name of the state it is about, and whether a failure led to it."""
    owners, types = Owners(), {0: ""}
    for entry in entries:
        types[entry.id] = entry.type
        state = owners.take(entry) or ""
        yield entry, state, types.get(entry.previous, "").endswith(_FAILURES)


@dataclass(frozen=True, slots=True)
class _Told:
    visits: Mapping[str, _Visits]
    status: str
    now: datetime | None

    def flow(self, flow: Flow, over: str) -> Flow:
        """A list of states. `over`: how what holds it ended, if visits in it are over."""
        return replace(flow, nodes=tuple(self.node(node, over) for node in flow.nodes))

    def node(self, node: Node, over: str) -> Node:
        """A state with its run, and all within it."""
        found = self.visits.get(node.name)
        run = self.run(found, over) if found else None
        # What is still open inside a state that has been left was cut off.
        inner = over or ("Aborted" if found is None or not found.open else "")
        groups = tuple(Group(group.label, self.flow(group.flow, inner)) for group in node.groups)
        return replace(node, run=run, groups=groups)

    def run(self, visits: _Visits, over: str) -> Run:
        """How a state stands."""
        last = max((*visits.entered, *visits.exited, *([self.now] if self.now else [])))
        ends = [*visits.exited, *[last] * visits.open]
        pairs = zip(visits.entered, ends, strict=False)
        seconds = sum((end - begun).total_seconds() for begun, end in pairs)
        status = self._status(visits, over)
        return Run(status, len(visits.entered), max(seconds, 0.0), visits.caught)

    def _status(self, visits: _Visits, over: str) -> Status:
        if not visits.open:
            return "Caught" if visits.caught else "Succeeded"
        if visits.type == "Fail" or (over and visits.has_failed):
            return "Failed"
        if not over:
            return "Running"
        is_group = visits.type in ("Parallel", "Map")
        return "Failed" if is_group and over == "Failed" else "Aborted"
