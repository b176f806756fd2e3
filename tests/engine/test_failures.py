"""The ladder of a failed state: retry, catch, give up."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.desk import BEGIN, Desk, Fails, Gives, script
from tests.support.machines import catcher, chain, failing, passing, retrier, task, waiting
from treadle.asl.limits import Limits


def starts_of(desk: Desk) -> list[float]:
    return [(attempt.due_at - BEGIN).total_seconds() for attempt in desk.attempts]


RETRIES: list[tuple[dict[str, Any], list[float]]] = [
    ({}, [0, 1, 3, 7]),
    ({"IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 2}, [0, 3, 9]),
    ({"IntervalSeconds": 5, "BackoffRate": 1, "MaxAttempts": 3}, [0, 5, 10, 15]),
    ({"IntervalSeconds": 5, "MaxDelaySeconds": 8, "MaxAttempts": 3}, [0, 5, 13, 21]),
    ({"BackoffRate": 1.5, "MaxAttempts": 2}, [0, 1, 2.5]),
    ({"MaxAttempts": 0}, [0]),
]


@pytest.mark.parametrize(("members", "starts"), RETRIES)
def test_a_retrier_waits_longer_and_longer_and_stops_after_its_last_attempt(
    members: dict[str, Any], starts: list[float]
) -> None:
    desk = Desk(chain(T=task(Retry=[retrier(**members)])), answer=script(T=Fails("E", "why"))).run()
    assert starts_of(desk) == starts
    assert [attempt.id.attempt for attempt in desk.attempts] == list(range(1, len(starts) + 1))
    assert desk.outcome == ("FAILED", None, ("E", "why"))


def test_a_retry_that_succeeds_goes_on() -> None:
    desk = Desk(chain(T=task(Retry=[retrier()])), answer=script(T=[Fails(), Gives(1)])).run()
    assert desk.outcome == ("SUCCEEDED", 1, None)
    assert desk.types() == [
        "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed",
        "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def test_each_retrier_counts_for_itself() -> None:
    retry = [retrier("A", MaxAttempts=1), retrier("B", MaxAttempts=2)]
    answers = [Fails("A"), Fails("B"), Fails("B"), Fails("A")]
    desk = Desk(chain(T=task(Retry=retry)), answer=script(T=answers)).run()
    assert len(desk.attempts) == 4
    assert desk.error == ("A", None)


def test_a_later_retrier_does_not_step_in_for_an_exhausted_one() -> None:
    retry = [retrier("A", MaxAttempts=1), retrier(MaxAttempts=5)]
    desk = Desk(chain(T=task(Retry=retry)), answer=script(T=Fails("A"))).run()
    assert len(desk.attempts) == 2


def test_an_error_that_no_retrier_takes_is_not_retried() -> None:
    desk = Desk(chain(T=task(Retry=[retrier("A")])), answer=script(T=Fails("B"))).run()
    assert len(desk.attempts) == 1


def test_the_counts_begin_anew_when_a_state_is_entered_again() -> None:
    definition = {
        "StartAt": "T",
        "States": {
            "T": task(Retry=[retrier(MaxAttempts=1, IntervalSeconds=1)], Next="C"),
            "C": {
                "Type": "Choice",
                "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "End"}],
                "Default": "T",
            },
            "End": {"Type": "Succeed"},
        },
    }
    desk = Desk(definition, answer=script(T=[Fails(), Gives(1), Fails(), Gives(2)])).run()
    assert desk.outcome == ("SUCCEEDED", 2, None)
    assert [(a.id.entry, a.id.attempt) for a in desk.attempts] == [(1, 1), (1, 2), (3, 1), (3, 2)]


def test_full_jitter_waits_at_most_as_long_and_the_seed_decides() -> None:
    members = {"IntervalSeconds": 1000, "JitterStrategy": "FULL", "BackoffRate": 1}
    definition = chain(T=task(Retry=[retrier(**members)]))
    one = Desk(definition, answer=script(T=Fails())).run()
    two = Desk(definition, answer=script(T=Fails())).run()
    delays = [b - a for a, b in zip(starts_of(one), starts_of(one)[1:], strict=False)]
    assert all(0 <= delay < 1000 for delay in delays)
    assert len(set(delays)) == 3
    assert starts_of(one) == starts_of(two)


def test_no_delay_is_longer_than_time_itself() -> None:
    members = {"IntervalSeconds": 99_999_999, "BackoffRate": 1e9, "MaxAttempts": 3}
    desk = Desk(chain(T=task(Retry=[retrier(**members)])))
    desk.fails(desk.only)
    due_at = desk.execution.next_due()
    assert due_at is not None
    assert due_at - BEGIN <= timedelta(seconds=99_999_999)


CAUGHT: list[tuple[dict[str, Any], Any]] = [
    ({}, {"Error": "E", "Cause": "why"}),
    ({"ResultPath": "$.err"}, {"in": 1, "err": {"Error": "E", "Cause": "why"}}),
    ({"ResultPath": None}, {"in": 1}),
]


@pytest.mark.parametrize(("members", "output"), CAUGHT)
def test_a_catcher_takes_the_error_on(members: dict[str, Any], output: Any) -> None:
    states = {"T": task(Catch=[catcher("C", **members)], End=True), "C": passing(End=True)}
    desk = Desk({"StartAt": "T", "States": states}, {"in": 1}, script(T=Fails("E", "why"))).run()
    assert desk.outcome == ("SUCCEEDED", output, None)
    assert desk.types()[4:7] == ["TaskFailed", "TaskStateExited", "PassStateEntered"]


def test_an_error_without_a_name_or_cause_is_caught_with_empty_texts() -> None:
    states = {"T": task(Catch=[catcher("C")], End=True), "C": passing(End=True)}
    desk = Desk({"StartAt": "T", "States": states}, answer=script(T=Fails(None))).run()
    assert desk.output == {"Error": "", "Cause": ""}


def test_the_first_catcher_that_takes_the_error_decides_and_only_after_the_retries() -> None:
    catch = [catcher("A", "A"), catcher("B", "E"), catcher("A")]
    states = {
        "T": task(Retry=[retrier("E", MaxAttempts=2)], Catch=catch, End=True),
        "A": passing(End=True),
        "B": passing(Result="b", End=True),
    }
    desk = Desk({"StartAt": "T", "States": states}, answer=script(T=Fails("E"))).run()
    assert desk.output == "b"
    assert len(desk.attempts) == 3


def test_a_runtime_error_is_never_retried_or_caught() -> None:
    members = {"Retry": [retrier()], "Catch": [catcher("C", "States.Runtime"), catcher("C")]}
    states = {"T": task(InputPath="$.no", **members, End=True), "C": passing(End=True)}
    desk = Desk({"StartAt": "T", "States": states})
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"


def test_an_error_that_cannot_be_put_into_the_input_is_a_new_error() -> None:
    states = {"T": task(Catch=[catcher("C", ResultPath="$.a.b")], End=True), "C": passing(End=True)}
    desk = Desk({"StartAt": "T", "States": states}, {"a": 1}, script(T=Fails("E"))).run()
    assert desk.error is not None
    assert desk.error[0] == "States.ResultPathMatchFailure"
    assert "entered at the event id #2" in str(desk.error[1])


def test_an_error_that_is_too_large_for_the_input_is_a_new_error() -> None:
    states = {"T": task(Catch=[catcher("C", ResultPath="$.e")], End=True), "C": passing(End=True)}
    limits = Limits(payload_bytes_max=100)
    answer = script(T=Fails("E", "x" * 90))
    desk = Desk({"StartAt": "T", "States": states}, answer=answer, limits=limits).run()
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"


def _catching(*errors: str) -> dict[str, Any]:
    states = {
        "T": task(Retry=[retrier(*errors)], Catch=[catcher("C", *errors)], End=True),
        "C": passing(Result="caught", End=True),
    }
    return {"StartAt": "T", "States": states}


@pytest.mark.parametrize(
    ("errors", "caught"),
    [(["States.ALL"], True), (["States.TaskFailed"], True), (["Other"], False)],
)
def test_a_result_that_is_too_large_is_caught_by_wildcards_but_not_retried(
    errors: list[str], caught: bool
) -> None:
    limits = Limits(payload_bytes_max=200)
    desk = Desk(_catching(*errors), answer=script(T=Gives("x" * 300)), limits=limits).run()
    assert len(desk.attempts) == 1
    assert (desk.output == "caught") is caught


def test_data_that_is_too_large_before_an_attempt_is_not_caught_by_all() -> None:
    definition = _catching("States.ALL")
    definition["States"]["T"]["Parameters"] = {"x": "x" * 300}
    desk = Desk(definition, limits=Limits(payload_bytes_max=200))
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"


@pytest.mark.parametrize("state", [passing(InputPath="$.no"), waiting(0, InputPath="$.no")])
def test_states_without_a_ladder_give_up(state: dict[str, Any]) -> None:
    assert Desk(chain(state)).status == "FAILED"


def test_a_failed_state_leaves_no_entry_of_its_exit() -> None:
    assert Desk(chain(failing())).types() == [
        "ExecutionStarted", "FailStateEntered", "ExecutionFailed",
    ]  # fmt: skip
