"""A file of tests from what really happened: the history of an execution becomes mocks.

One rule: only what a history says is written down; what it does not hold is named, not guessed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from treadle.asl.errors import TIMEOUT
from treadle.asl.json import Json, loads
from treadle.asl.limits import SECONDS_MAX
from treadle.asl.program import Map, Program, Task
from treadle.engine.times import aws_text
from treadle.local.trails import Visit, visits
from treadle.stores.histories import HistoryEntry
from treadle.stores.judgement import states

_ENDS: Final[Mapping[str, str]] = {
    "ExecutionSucceeded": "Succeeded",
    "ExecutionFailed": "Failed",
    "ExecutionTimedOut": "TimedOut",
}
_OUTCOMES: Final = ("Succeeded", "Failed", "TimedOut")
_NEVER: Final = {"Return": None, "Delay": SECONDS_MAX}
"""The answer of an attempt that had none: it comes when all is over."""


class NotRecordable(ValueError):  # noqa: N818 - a sentence for whoever asked
    """An execution of which no test can be made."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An execution that has ended.

    Attributes:
        name: of the execution, as its definition saw it.
        program: what it ran.
        history: all of it.
    """

    name: str
    program: Program
    history: Sequence[HistoryEntry]


def as_test(recorded: Recorded, *, delays: bool) -> dict[str, Json]:
    """The test that the execution passes, as a file of tests has it.

    Args:
        recorded: the execution.
        delays: whether answers come as late as they did; needed where that decided something.

    Raises:
        NotRecordable: it has not ended by itself.
    """
    last = recorded.history[-1] if recorded.history else None
    status = _ENDS.get(last.type) if last is not None else None
    if last is None or status is None:
        stopped = last is not None and last.type == "ExecutionAborted"
        why = "was stopped by somebody" if stopped else "has not ended yet"
        raise NotRecordable(f"'{recorded.name}' {why}; only what ends by itself makes a test")
    first = recorded.history[0]
    expect: dict[str, Json] = {"status": status}
    if "output" in last.details:
        expect["output"] = loads(str(last.details["output"]))
    expect |= {name: last.details[name] for name in ("error", "cause") if name in last.details}
    entered = (e for e in recorded.history if e.type.endswith("StateEntered"))
    expect["visited"] = [e.details["name"] for e in entered]
    test: dict[str, Json] = {
        "name": f"{recorded.name} ended {status}",
        "input": loads(str(first.details["input"])),
        "mocks": _mocks(recorded, delays),
        "executionName": recorded.name,
        "startTime": aws_text(first.at),
        "expect": expect,
    }
    return test if test["mocks"] else {name: test[name] for name in test if name != "mocks"}


def untold(program: Program) -> list[str]:
    """Tasks within distributed Maps: no history tells what they were answered."""
    found: list[str] = []
    within: list[str] = []
    for pointer, state, _ in states(program.machine, program.definition):
        if isinstance(state, Map) and state.is_distributed:
            within.append(f"{pointer}/")
        elif isinstance(state, Task) and pointer.startswith(tuple(within)):
            found.append(state.name)
    return found


# ------------------------------------------------------------------------------------- the answers


def _mocks(recorded: Recorded, delays: bool) -> dict[str, Json]:
    """Answers of every Task that ran, by state."""
    told: dict[str, dict[tuple[int, ...], list[Json]]] = defaultdict(lambda: defaultdict(list))
    for visit in visits(recorded.program, recorded.history):
        if isinstance(visit.state, Task):
            answers = list(_answers(visit, delays))
            if answers:  # else its Parameters failed: no attempt began, and no mock is asked
                told[visit.state.name][visit.items].append(answers)
    found = {}
    for state, by_items in told.items():
        rows = {items: _joined(dict(enumerate(each)), "Visits") for items, each in by_items.items()}
        found[state] = _by_items(rows)
    return found


def _by_items(rows: Mapping[tuple[int, ...], Json]) -> Json:
    """The answers of one state, whose rows all have as many indices."""
    if list(rows) == [()]:
        return rows[()]
    groups: dict[int, dict[tuple[int, ...], Json]] = defaultdict(dict)
    for (first, *rest), answers in rows.items():
        groups[first][tuple(rest)] = answers
    return _joined({index: _by_items(groups[index]) for index in sorted(groups)}, "Items")


def _joined(rows: Mapping[int, Json], what: str) -> Json:
    """Answers by number, neighbours that are the same put together; one for all if all are."""
    values = list(rows.values())
    if all(value == values[0] for value in values):
        # Items of an inner Map are named within the outer one, also where all those are alike.
        is_inner = isinstance(values[0], dict) and "Items" in values[0]
        return {what: {"*": values[0]}} if is_inner else values[0]
    spans: list[list[Any]] = []
    for number, value in rows.items():
        if spans and spans[-1][1] == number - 1 and spans[-1][2] == value:
            spans[-1][1] = number
        else:
            spans.append([number, number, value])
    return {
        what: {
            str(first) if first == last else f"{first}-{last}": value
            for first, last, value in spans
        }
    }


def _answers(visit: Visit, delays: bool) -> Iterator[Json]:
    """What each attempt of a visit was answered."""
    scheduled: HistoryEntry | None = None
    for entry in visit.entries:
        if entry.type.endswith("Scheduled"):
            scheduled = entry
        elif scheduled is not None and entry.type.endswith(_OUTCOMES):
            yield _answer(scheduled, entry, delays)
            scheduled = None
    if scheduled is not None:
        yield dict(_NEVER)


def _answer(scheduled: HistoryEntry, ended: HistoryEntry, delays: bool) -> Json:
    details = ended.details
    answer: dict[str, Json]
    if ended.type.endswith("Succeeded"):
        answer = {"Return": loads(str(details["output"]))}
    else:
        error = {"Error": details.get("error", "")}
        if "cause" in details:
            error["Cause"] = details["cause"]
        is_timed = scheduled.details.keys() & {"timeoutInSeconds", "heartbeatInSeconds"}
        if is_timed and error == {"Error": TIMEOUT}:
            return dict(_NEVER)  # the engine's own timer ended it
        answer = {"Throw": error}
    seconds = round((ended.at - scheduled.at).total_seconds(), 3)
    return {**answer, "Delay": seconds} if delays and seconds > 0 else answer
