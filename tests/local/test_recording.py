"""What happened becomes a test, and the test gives what happened."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.treadles import states
from tests.support.workflows import LOOP, ran, succeed, task
from treadle.asl import document
from treadle.asl.json import Json
from treadle.local import recording
from treadle.local.recording import NotRecordable, Recorded, as_test
from treadle.stores.histories import HistoryEntry

BUSY = {"Throw": {"Error": "Busy", "Cause": "later"}}
RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 3}]
CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "Z"}]


def mapping(processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Map", "ItemProcessor": processor, **end, **more}


SIDE_BY_SIDE = {
    "Type": "Parallel",
    "Branches": [states(A=task()), states(B=task())],
    "Catch": CATCH,
    "Next": "Z",
}
GIVES = {n: {"Return": n} for n in range(9)}

# (definition, mocks that it ran with, input, mocks that are recorded)
CASES: dict[str, tuple[dict[str, Any], dict[str, Json], Json, dict[str, Json]]] = {
    "a result": (states(A=task()), {"A": GIVES[1]}, {"i": 1}, {"A": [GIVES[1]]}),
    "an error without a cause": (
        states(A=task()),
        {"A": {"Throw": {"Error": "E"}}},
        {},
        {"A": [{"Throw": {"Error": "E"}}]},
    ),
    "attempts": (
        states(A=task(Retry=RETRY)),
        {"A": [BUSY, BUSY, GIVES[1]]},
        {},
        {"A": [BUSY, BUSY, GIVES[1]]},
    ),
    "visits": (
        LOOP,
        {"A": {"Visits": {"0-2": GIVES[1], "3": GIVES[2]}}},
        {},
        {"A": {"Visits": {"0-2": [GIVES[1]], "3": [GIVES[2]]}}},
    ),
    "items that are alike": (
        states(M=mapping(states(A=task()))),
        {"A": GIVES[1]},
        [0] * 3,
        {"A": [GIVES[1]]},
    ),
    "items that are not": (
        states(M=mapping(states(A=task(Retry=RETRY)))),
        {"A": {"Items": {"0-1": GIVES[1], "2": [BUSY, GIVES[2]], "3": GIVES[1]}}},
        [0] * 4,
        {"A": {"Items": {"0-1": [GIVES[1]], "2": [BUSY, GIVES[2]], "3": [GIVES[1]]}}},
    ),
    "maps within maps": (
        states(M=mapping(states(N=mapping(states(A=task()))))),
        {"A": {"Items": {"0": GIVES[0], "1": {"Items": {"0": GIVES[1], "1": GIVES[2]}}}}},
        [[0], [0, 0]],
        {"A": {"Items": {"0": [GIVES[0]], "1": {"Items": {"0": [GIVES[1]], "1": [GIVES[2]]}}}}},
    ),
    "maps within one item of a map": (
        states(M=mapping(states(N=mapping(states(A=task()))))),
        {"A": {"Items": {"0": {"Items": {"0": GIVES[1], "1": GIVES[2]}}}}},
        [[0, 0]],
        {"A": {"Items": {"*": {"Items": {"0": [GIVES[1]], "1": [GIVES[2]]}}}}},
    ),
    "a map that is tried again": (
        states(M=mapping(states(A=task()), Retry=RETRY)),
        {"A": {"Items": {"0": {"Visits": {"0": BUSY, "1": GIVES[1]}}, "1": GIVES[1]}}},
        [0, 0],
        {
            "A": {
                "Items": {
                    "0": {"Visits": {"0": [BUSY], "1": [GIVES[1]]}},
                    "1": {"Visits": {"0": [recording._NEVER], "1": [GIVES[1]]}},
                }
            }
        },
    ),
    "a visit without an attempt": (
        states(
            C={
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "IsPresent": True, "Next": "A"}],
                "Default": "A",
            },
            A=task(
                Parameters={"m.$": "States.StringToJson($.n)"},
                ResultPath="$.r",
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Mend"}],
                Next="Again",
            ),
            Mend={"Type": "Pass", "Result": {"n": "1"}, "Next": "A"},
            Again={
                "Type": "Choice",
                "Choices": [{"Variable": "$.r", "NumericEquals": 1, "Next": "A"}],
                "Default": "Z",
            },
            Z=succeed(),
        ),
        {"A": {"Visits": {"0": GIVES[1], "1": GIVES[2]}}},
        {"n": "{"},
        {"A": {"Visits": {"0": [GIVES[1]], "1": [GIVES[2]]}}},
    ),
    "a timeout": (
        states(A=task(TimeoutSeconds=9, Catch=CATCH, Next="Z"), Z=succeed()),
        {"A": {"Return": 1, "Delay": 10}},
        {},
        {"A": [recording._NEVER]},
    ),
    "a timeout that the task told": (
        states(A=task()),
        {"A": {"Throw": {"Error": "States.Timeout"}}},
        {},
        {"A": [{"Throw": {"Error": "States.Timeout"}}]},
    ),
    "a branch that was stopped": (
        states(P=SIDE_BY_SIDE, Z=succeed()),
        {"A": {"Throw": {"Error": "E"}, "Delay": 2}, "B": {"Return": 1, "Delay": 3}},
        {},
        {"A": [{"Throw": {"Error": "E"}}], "B": [recording._NEVER]},
    ),
    "an execution that took too long": (
        {**states(A=task(Next="B"), B=task()), "TimeoutSeconds": 9},
        {"A": GIVES[1], "B": {"Return": 1, "Delay": 10}},
        {},
        {"A": [GIVES[1]], "B": [recording._NEVER]},
    ),
    "no task": (states(Z=succeed()), {}, {"a": [None]}, {}),
}


def recorded(definition: dict[str, Any], answers: Mapping[str, Json], given: Json) -> Recorded:
    found = ran(definition, answers, given)
    assert not found.trouble, found.trouble
    return Recorded("e", document.parse(definition), found.history)


@pytest.mark.parametrize("what", CASES)
def test_what_happened_is_recorded_and_happens_again(what: str) -> None:
    definition, answers, given, expected = CASES[what]
    first = ran(definition, answers, given)
    test = as_test(recorded(definition, answers, given), delays=False)
    assert test.get("mocks", {}) == expected
    assert test["input"] == given
    again = ran(definition, test.get("mocks", {}), test["input"])
    assert (again.status, again.output, again.error, again.cause) == (
        first.status,
        first.output,
        first.error,
        first.cause,
    )
    assert test["expect"]["visited"] == again.visited == first.visited
    assert test["expect"]["status"] == first.status


def test_an_order_that_delays_decided_is_recorded_with_them() -> None:
    first = {
        "A": {"Throw": {"Error": "E"}, "Delay": 2.5},
        "B": {"Throw": {"Error": "F"}, "Delay": 1},
    }
    found = recorded(states(P=SIDE_BY_SIDE, Z=succeed()), first, {})
    quick, slow = (as_test(found, delays=delays)["mocks"] for delays in (False, True))
    assert quick == {"A": [recording._NEVER], "B": [{"Throw": {"Error": "F"}}]}
    assert slow == {"A": [recording._NEVER], "B": [{"Throw": {"Error": "F"}, "Delay": 1.0}]}


def test_all_that_is_expected_is_what_came() -> None:
    found = as_test(
        recorded(states(A=task()), {"A": {"Throw": {"Error": "E", "Cause": "c"}}}, 1), delays=False
    )
    assert found == {
        "name": "e ended Failed",
        "input": 1,
        "mocks": {"A": [{"Throw": {"Error": "E", "Cause": "c"}}]},
        "executionName": "e",
        "startTime": "2026-01-01T00:00:00Z",
        "expect": {"status": "Failed", "error": "E", "cause": "c", "visited": ["A"]},
    }


def test_that_it_was_suspended_is_no_matter() -> None:
    found = recorded(states(A=task()), {"A": {"Return": 1}}, 1)
    first, *others = found.history
    between = [
        HistoryEntry(97, 0, "ExecutionSuspended", first.at, {"by": "ada"}),
        HistoryEntry(98, 0, "ExecutionResumed", first.at, {}),
    ]
    suspended = Recorded("e", found.program, [first, *between, *others])
    assert as_test(suspended, delays=True) == as_test(found, delays=True)


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("ExecutionAborted", "'e' was stopped by somebody"),
        ("TaskStarted", "'e' has not ended yet"),
        (None, "'e' has not ended yet"),
    ],
)
def test_what_did_not_end_by_itself_makes_no_test(last: str | None, sentence: str) -> None:
    found = recorded(states(Z=succeed()), {}, {})
    history = (
        []
        if last is None
        else [
            *found.history,
            HistoryEntry(99, 0, last, found.history[0].at, {}),
        ]
    )
    with pytest.raises(NotRecordable, match=sentence):
        as_test(Recorded("e", found.program, history), delays=False)


def test_tasks_that_no_history_tells_of_are_named() -> None:
    processor = {
        **states(A=task(Next="B"), B=task()),
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    }
    machine = states(M=mapping(processor, Next="C"), C=task())
    assert recording.untold(document.parse(machine)) == ["A", "B"]
    found = recorded(machine, {"A": GIVES[1], "B": GIVES[2], "C": GIVES[3]}, [0])
    assert as_test(found, delays=False)["mocks"] == {"C": [GIVES[3]]}
