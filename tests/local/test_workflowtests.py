"""A test's execution: virtual time, mocks by attempt, visit and item, and what cannot go on."""

import time
from typing import Any

import pytest

from tests.support.treadles import states
from tests.support.workflows import RESOURCE, ran, succeed, task
from treadle.asl import document
from treadle.local import coverage, workflowtests
from treadle.local.workflowtests import BEGIN

RETRY = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 10, "MaxAttempts": 5}]
BUSY = {"Throw": {"Error": "Busy", "Cause": "later"}}


def test_an_answer_is_the_result_of_its_task() -> None:
    found = ran(states(A=task()), {"A": {"Return": {"paid": True}}})
    assert (found.status, found.output, found.seconds) == ("Succeeded", {"paid": True}, 0)
    assert [entry.type for entry in found.history] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_attempts_are_answered_in_order_and_waiting_costs_nothing() -> None:
    began = time.monotonic()
    found = ran(states(A=task(Retry=RETRY)), {"A": [BUSY, BUSY, {"Return": 3}]})
    assert (found.output, found.seconds) == (3, 30)
    assert time.monotonic() - began < 5


def test_an_error_is_the_error_of_its_task() -> None:
    found = ran(states(A=task()), {"A": {"Throw": {"Error": "E", "Cause": "why"}}})
    assert (found.status, found.has_output, found.error, found.cause) == (
        "Failed",
        False,
        "E",
        "why",
    )


def test_a_wait_takes_virtual_time() -> None:
    found = ran(states(A={"Type": "Wait", "Seconds": 86_400, "End": True}), given={"a": 1})
    assert (found.status, found.output, found.seconds) == ("Succeeded", {"a": 1}, 86_400)


@pytest.mark.parametrize(
    ("delay", "status", "error"),
    [(59, "Succeeded", None), (60, "Succeeded", None), (60.001, "Failed", "States.Timeout")],
)
def test_an_answer_that_comes_too_late_is_a_timeout(
    delay: float, status: str, error: str | None
) -> None:
    found = ran(states(A=task(TimeoutSeconds=60)), {"A": {"Return": 1, "Delay": delay}})
    assert (found.status, found.error) == (status, error)
    assert found.seconds == min(delay, 60)


def test_a_whole_execution_may_take_too_long() -> None:
    machine = {**states(A=task()), "TimeoutSeconds": 5}
    found = ran(machine, {"A": {"Return": 1, "Delay": 6}})
    assert (found.status, found.error, found.seconds) == ("TimedOut", "States.Timeout", 5)


def test_a_silent_worker_misses_its_heartbeat() -> None:
    waits = task(Resource=f"{RESOURCE}.waitForTaskToken", HeartbeatSeconds=5, TimeoutSeconds=50)
    found = ran(states(A=waits), {"A": {"Return": 1, "Delay": 20}})
    assert (found.error, found.seconds) == ("States.Timeout", 5)


LOOP = states(
    Look=task(ResultPath="$.found", Next="Enough"),
    Enough={
        "Type": "Choice",
        "Choices": [{"Variable": "$.found", "NumericGreaterThan": 2, "Next": "Done"}],
        "Default": "Rest",
    },
    Rest={"Type": "Wait", "Seconds": 60, "Next": "Look"},
    Done=succeed(),
)


def test_a_state_that_is_visited_again_may_be_answered_otherwise() -> None:
    visits = {"0-1": {"Return": 1}, "2": [{"Return": 9}]}
    found = ran(LOOP, {"Look": {"Visits": visits}})
    assert (found.output, found.seconds) == ({"found": 9}, 120)
    assert found.visited.count("Look") == 3


def test_attempts_are_counted_anew_in_each_visit() -> None:
    machine = {**LOOP, "States": {**LOOP["States"]}}
    machine["States"]["Look"] = task(ResultPath="$.found", Next="Enough", Retry=RETRY)
    answers = {"Look": {"Visits": {"0": [BUSY, {"Return": 1}], "*": [BUSY, {"Return": 5}]}}}
    assert ran(machine, answers).seconds == 10 + 60 + 10


def mapping(processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Map", "ItemProcessor": processor, **end, **more}


def test_items_may_be_answered_otherwise() -> None:
    machine = states(M=mapping(states(A=task())))
    answers = {"A": {"Items": {"1": {"Return": "one"}, "2-3": {"Return": "some"}, "*": [_OTHER]}}}
    found = ran(machine, answers, [0] * 5)
    assert found.output == ["other", "one", "some", "some", "other"]


_OTHER = {"Return": "other"}


def test_items_of_nested_maps_are_told_from_the_outermost_inwards() -> None:
    machine = states(M=mapping(states(N=mapping(states(A=task())))))
    inner = {"Items": {"0": {"Return": "b0"}, "1": {"Return": "b1"}}}
    answers = {"A": {"Items": {"0": {"Return": "a"}, "1": inner}}}
    assert ran(machine, answers, [[1], [1, 2]]).output == [["a"], ["b0", "b1"]]


def test_an_item_that_is_tried_again_is_visited_again() -> None:
    machine = states(M=mapping(states(A=task()), Retry=RETRY))
    answers = {"A": {"Items": {"0": {"Visits": {"0": BUSY, "1": {"Return": 1}}}, "1": _OTHER}}}
    found = ran(machine, answers, [0, 0])
    assert (found.output, found.seconds) == ([1, "other"], 10)


def test_items_of_a_distributed_map_are_answered_as_well() -> None:
    processor = {
        **states(A=task()),
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    }
    found = ran(
        states(M=mapping(processor)), {"A": {"Items": {"0": {"Return": 0}, "*": _OTHER}}}, [0, 0]
    )
    assert found.output == [0, "other"]
    assert found.visited == ["M"]


def test_branches_are_answered_by_state() -> None:
    branches = [states(A=task()), states(B=task())]
    machine = states(P={"Type": "Parallel", "Branches": branches, "End": True})
    answers = {"A": {"Return": 1, "Delay": 3}, "B": {"Return": 2, "Delay": 2}}
    found = ran(machine, answers)
    assert (found.output, found.seconds) == ([1, 2], 3)


def test_a_task_without_a_mock_is_named_with_what_to_write() -> None:
    found = ran(states(A=task(Next="B"), B=task()), {"A": [{"Return": 1}]})
    assert found.status == "Running"
    assert found.trouble.startswith("'B' ran and has no mock; add to `mocks`")
    assert '"B": [{Return: {}}]' in found.trouble


def test_a_catcher_does_not_hide_that_a_mock_is_missing() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    found = ran(states(A=task(Catch=catch, Next="B"), B=succeed()))
    assert "'A' ran and has no mock" in found.trouble


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([BUSY], "no answer for attempt 1 (from 0) of visit 0;"),
        ({"0": BUSY, "2": {"Return": 1}}, "no answer for attempt 1 (from 0) of visit 0;"),
        ({"Visits": {"1": {"Return": 1}}}, "no answer for attempt 0 (from 0) of visit 0;"),
        ({"Items": {"0": {"Return": 1}}}, "no answer for attempt 0 (from 0) of visit 0;"),
    ],
)
def test_answers_that_run_out_are_told(answers: Any, sentence: str) -> None:
    found = ran(states(A=task(Retry=RETRY)), {"A": answers})
    assert sentence in found.trouble, found.trouble


def test_an_item_without_an_answer_is_told_with_its_index() -> None:
    found = ran(states(M=mapping(states(A=task()))), {"A": {"Items": {"0": _OTHER}}}, [0, 0])
    assert "of visit 0 of item 1;" in found.trouble


def test_a_test_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflowtests, "STEPS_MAX", 100)
    found = ran(LOOP, {"Look": {"Return": 0}})
    assert found.trouble.startswith("the execution has not ended after 100 events")


def test_a_test_that_lasts_for_centuries_is_ended() -> None:
    found = ran(LOOP, {"Look": {"Return": 0, "Delay": 99_999_999}})
    assert found.trouble.startswith("the execution has lasted a hundred years")


def test_a_loop_for_ever_ends_with_its_history() -> None:
    found = ran(LOOP, {"Look": {"Return": 0}})
    assert (found.status, found.error) == ("Failed", "States.Runtime")
    assert len(found.history) == 25_000


def test_time_begins_where_the_test_says_and_a_second_run_is_the_same() -> None:
    machine = states(
        A={
            "Type": "Pass",
            "Parameters": {
                "at.$": "$$.Execution.StartTime",
                "name.$": "$$.Execution.Name",
                "id.$": "States.UUID()",
            },
            "End": True,
        }
    )
    first, second = ran(machine), ran(machine)
    assert first.output == second.output
    assert (first.output["at"], first.output["name"]) == ("2026-01-01T00:00:00Z", "e")
    assert first.history[0].at == BEGIN


def test_a_history_of_large_data_is_whole() -> None:
    text = "x" * 300_000  # pages of its own, in parts
    found = ran(states(A=task(Next="B"), B=succeed()), {"A": {"Return": text}})
    assert found.output == text
    outputs = [e.details["output"] for e in found.history if "output" in e.details]
    assert outputs == [f'"{text}"'] * 4


def test_what_watches_changes_nothing() -> None:
    """The same machine, watched or not, gives the same history."""
    from tests.support.desk import Desk, Gives, script

    answers = script(Look=[Gives(1), Gives(1), Gives(9)])
    plain = Desk(LOOP, {}, answers).run()
    watched = ran(LOOP, {"Look": {"Visits": {"0-1": {"Return": 1}, "2": {"Return": 9}}}})
    assert [e.type for e in watched.history] == [e.type for e in plain.history()]


def test_maps_that_wait_for_room_are_gone_on_with() -> None:
    inner = mapping(states(A=task(Next="B"), B=task()), Next="C")
    machine = states(M=mapping(states(N=inner, C=task())))
    answers = {"A": {"Return": 1, "Delay": 1}, "B": {"Return": 2}, "C": {"Return": 3}}
    found = ran(machine, answers, [[0] * 40] * 40)  # more than may live at once
    assert (found.trouble, found.output) == ("", [3] * 40)
    assert [found.visited.count(name) for name in "MNABC"] == [1, 40, 1600, 1600, 40]


def test_a_very_large_distributed_map_is_quick() -> None:
    processor = {
        **states(A=task()),
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    }
    began = time.monotonic()
    found = ran(states(M=mapping(processor)), {"A": {"Return": 1}}, [0] * 10_000)
    assert len(found.output) == 10_000
    assert time.monotonic() - began < 20


def test_a_large_map_is_quick() -> None:
    program = document.parse(states(M=mapping(states(A=task()))))
    began = time.monotonic()
    found = ran(program.definition, {"A": {"Return": 1}}, list(range(1000)), coverage.of(program))
    assert len(found.output) == 1000
    assert time.monotonic() - began < 10
