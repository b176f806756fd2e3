"""Visits to states as a history tells them, against what the engine itself knew."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.treadles import states
from tests.support.workflows import LOOP, ran, succeed, task
from treadle.asl import document
from treadle.asl.json import Json
from treadle.local.trails import Visit, visits

BUSY = {"Throw": {"Error": "Busy"}}
RETRY = [{"ErrorEquals": ["Busy"], "MaxAttempts": 3}]


def trail(
    definition: dict[str, Any], answers: Mapping[str, Json], given: Json = None
) -> list[Visit]:
    found = ran(definition, answers, given)
    assert not found.trouble, found.trouble
    trailed = visits(document.parse(definition), found.history)
    assert [visit.state.name for visit in trailed] == found.visited
    return trailed


def told(trailed: list[Visit]) -> list[tuple[str, str | None, tuple[int, ...], str | None]]:
    return [
        (
            v.state.name,
            v.parent.state.name if v.parent else None,
            v.items,
            v.next.state.name if v.next else None,
        )
        for v in trailed
    ]


def mapping(processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Map", "ItemProcessor": processor, **end, **more}


def parallel(*branches: dict[str, Any], **more: Any) -> dict[str, Any]:
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Parallel", "Branches": list(branches), **end, **more}


def test_states_one_after_the_other() -> None:
    found = trail(states(A=task(Next="B"), B=succeed()), {"A": {"Return": 1}})
    assert told(found) == [("A", None, (), "B"), ("B", None, (), None)]
    assert [entry.type for entry in found[0].entries] == [
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
    ]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_items_and_what_follows_them(most: int) -> None:
    processor = states(A=task(Next="B"), B=task())
    machine = states(M=mapping(processor, MaxConcurrency=most, Next="C"), C=succeed())
    found = trail(machine, {"A": {"Return": 1}, "B": {"Return": 2, "Delay": 1}}, [0, 0, 0])
    rows = told(found)
    assert rows[0] == ("M", None, (), "C")
    assert sorted(rows[1:-1]) == [
        *(("A", "M", (n,), "B") for n in range(3)),
        *(("B", "M", (n,), None) for n in range(3)),
    ]
    assert rows[-1] == ("C", None, (), None)


def test_maps_within_maps_and_branches() -> None:
    inner = parallel(states(A=task()), states(N=mapping(states(B=task()))), Next="C")
    machine = states(M=mapping(states(P=inner, C=task())))
    answers = {"A": {"Return": 1}, "B": {"Return": 2, "Delay": 2}, "C": {"Return": 3}}
    rows = told(trail(machine, answers, [[0, 0], [0]]))
    assert sorted(row for row in rows if row[0] in ("B", "C")) == [
        ("B", "N", (0, 0), None),
        ("B", "N", (0, 1), None),
        ("B", "N", (1, 0), None),
        ("C", "M", (0,), None),
        ("C", "M", (1,), None),
    ]


def test_many_branches_that_begin_late_are_no_successors_of_one_another() -> None:
    branches = [states(**{f"S{n}": {"Type": "Pass", "End": True}}) for n in range(250)]
    machine = states(P=parallel(*branches, Next="Z"), Z=succeed())
    rows = told(trail(machine, {}))
    assert rows[0] == ("P", None, (), "Z")
    assert {row[1:] for row in rows[1:-1]} == {("P", (), None)}


@pytest.mark.parametrize("group", ["Map", "Parallel"])
def test_a_group_that_is_tried_again_stays_one_visit(group: str) -> None:
    inner = states(A=task())
    state = mapping(inner, Retry=RETRY) if group == "Map" else parallel(inner, Retry=RETRY)
    state = {k: v for k, v in state.items() if k != "End"} | {"Next": "Z"}
    found = trail(
        states(G=state, Z=succeed()), {"A": {"Visits": {"0": BUSY, "1": {"Return": 1}}}}, [0]
    )
    first = (0,) if group == "Map" else ()
    assert told(found) == [
        ("G", None, (), "Z"),
        ("A", "G", first, None),
        ("A", "G", first, None),
        ("Z", None, (), None),
    ]
    assert [visit.error for visit in found] == [None, "Busy", None, None]
    assert [e.type for e in found[0].entries].count(f"{group}StateStarted") == 2


def test_a_failure_that_is_caught_far_out_keeps_its_name() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Z"}]
    deep = mapping(states(Q=parallel(states(A=task()))))
    machine = states(P=parallel(states(M=deep), Catch=catch, Next="Z"), Z=succeed())
    found = trail(machine, {"A": BUSY}, [0])
    assert told(found)[0] == ("P", None, (), "Z")
    assert {v.state.name: v.error for v in found} == {
        "P": "Busy",
        "M": "Busy",
        "Q": "Busy",
        "A": "Busy",
        "Z": None,
    }


def test_a_loop_is_many_visits() -> None:
    found = trail(LOOP, {"A": {"Visits": {"0": {"Return": 1}, "1": {"Return": 2}}}})
    assert [row[3] for row in told(found)] == ["C", "A", "C", "Z", None]


def test_what_an_execution_ends_with_is_of_no_visit() -> None:
    machine = {**states(A=task()), "TimeoutSeconds": 5}
    (visit,) = trail(machine, {"A": {"Return": 1, "Delay": 6}})
    assert (visit.entries[-1].type, visit.error) == ("TaskStarted", None)
