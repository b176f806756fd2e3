"""Whatever a machine did, its record gives the same again, and its coverage is what it did."""

import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from tests.support.desk import BEGIN, IDENTITY, Desk, Script
from tests.support.machines import Definition
from tests.support.strategies import machines, worlds
from treadle.asl import document
from treadle.asl.json import Json, dumps
from treadle.local import coverage, mocks, recording, workflowtests
from treadle.local.recording import Recorded
from treadle.local.trails import visits
from treadle.local.workflowtests import Trial
from treadle.stores import histories
from treadle.stores.histories import HistoryEntry

STEPS_MAX = 300
ordinary = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


INSTEAD = {
    "$random()": "0.5",
    "$uuid()": "'u'",
    '"FULL"': '"NONE"',
    "States.UUID()": "$",
    '"DISTRIBUTED"': '"INLINE"',
}


def recordable(definition: Definition) -> Definition:
    """A record replays what the history tells: not what was drawn, nor children of map runs."""
    text = json.dumps(definition)
    for one, other in INSTEAD.items():
        text = text.replace(one, other)
    return dict(json.loads(text))


def types(history: Sequence[HistoryEntry]) -> list[str]:
    """Event types; that an attempt is seen to have started, or was submitted, is not recorded."""
    unrecorded = ("TaskStarted", "ActivityStarted", "TaskSubmitted")
    return [e.type for e in history if e.type not in unrecorded]


def timeless(value: Json) -> str:
    """A value without numbers of events, which depend on when an attempt was seen."""
    return re.sub(r"event id #\d+", "", dumps(value))


@ordinary
@given(machines(), worlds())
def test_what_a_machine_did_is_recorded_and_done_again(
    machine: tuple[Definition, Any], world: Script
) -> None:
    definition = recordable(machine[0])
    program = document.parse(definition)
    desk = Desk(definition, machine[1], world, thorough=False).run(STEPS_MAX)
    assume(desk.over)
    history = histories.of(desk.execution.encode())
    assert [v.state.name for v in visits(program, history)] == [
        entry.details["name"] for entry in history if entry.type.endswith("StateEntered")
    ]
    test = recording.as_test(Recorded("e", program, history), delays=True)
    trial = Trial(program, test["input"], mocks.parse(test.get("mocks", {})), IDENTITY, BEGIN)
    covered = coverage.of(program)
    ran = workflowtests.run(trial, covered)
    assert ran.trouble == ""
    assert types(ran.history) == types(history)
    # The name of an error that has none is recorded as an empty one.
    expected = {"error": "", **test["expect"]}
    came = {"status": ran.status, "error": ran.error or "", "visited": ran.visited}
    assert {name: expected[name] for name in came} == came
    assert timeless(ran.output) == timeless(test["expect"].get("output"))
    entered = {v.state.name for v in visits(program, ran.history)}
    pointers = {p for p, kind in covered.points.items() if kind == "states" and p in covered.seen}
    assert {pointer.rpartition("/")[2] for pointer in pointers} == entered
    assert covered.seen <= covered.points.keys()
