"""What each kind of state does with its input."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.desk import BEGIN, Desk
from tests.support.machines import (
    WORK,
    chain,
    endless,
    failing,
    mapping,
    parallel,
    passing,
    task,
    waiting,
)
from treadle.asl.limits import Limits

Members = dict[str, Any]
RUNTIME = "States.Runtime"


def cause_of(desk: Desk, error: str = RUNTIME) -> str:
    assert desk.status == "FAILED"
    assert desk.error is not None
    assert desk.error[0] == error
    return str(desk.error[1])


# -------------------------------------------------------------------------------- Pass, Succeed


PASSES: list[tuple[Members, Any, Any]] = [
    ({}, {"a": 1}, {"a": 1}),
    ({"Result": {"b": 2}}, {"a": 1}, {"b": 2}),
    ({"Result": None}, {"a": 1}, None),
    ({"Result": 2, "ResultPath": "$.b"}, {"a": 1}, {"a": 1, "b": 2}),
    ({"Result": 2, "ResultPath": None}, {"a": 1}, {"a": 1}),
    ({"InputPath": "$.a"}, {"a": 1}, 1),
    ({"InputPath": None}, {"a": 1}, {}),
    ({"OutputPath": "$.a"}, {"a": 1}, 1),
    ({"OutputPath": None}, {"a": 1}, {}),
    ({"Parameters": {"x.$": "$.a", "y": 3}}, {"a": 1}, {"x": 1, "y": 3}),
    ({"Parameters": {"x.$": "$"}, "InputPath": "$.a"}, {"a": 1}, {"x": 1}),
    (
        {"InputPath": "$.a", "Parameters": {"x.$": "$"}, "ResultPath": "$.r", "OutputPath": "$.r"},
        {"a": 1},
        {"x": 1},
    ),
    ({"InputPath": "$$.Execution.Name"}, {}, "e"),
]


@pytest.mark.parametrize(("members", "given", "output"), PASSES)
def test_pass_moves_data(members: Members, given: Any, output: Any) -> None:
    desk = Desk(chain(passing(**members)), given)
    assert desk.outcome == ("SUCCEEDED", output, None)
    assert desk.types() == [
        "ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "output"), [({}, {"a": 1}), ({"InputPath": "$.a"}, 1), ({"OutputPath": "$.a"}, 1)]
)
def test_succeed_ends_its_list(members: Members, output: Any) -> None:
    desk = Desk(chain({"Type": "Succeed", **members}), {"a": 1})
    assert desk.outcome == ("SUCCEEDED", output, None)
    assert desk.types()[1:3] == ["SucceedStateEntered", "SucceedStateExited"]


def test_a_path_that_finds_nothing_fails_the_state_by_its_entry() -> None:
    desk = Desk(chain(passing(), P=passing(InputPath="$.no")))
    cause = cause_of(desk)
    assert cause.startswith(
        "An error occurred while executing the state 'P' (entered at the event id #4). "
        "Invalid path '$.no' : "
    )


# ----------------------------------------------------------------------------------------- Fail


FAILS: list[tuple[Members, tuple[str | None, str | None]]] = [
    ({"Error": "E", "Cause": "C"}, ("E", "C")),
    ({}, (None, None)),
    ({"ErrorPath": "$.e", "CausePath": "$.c"}, ("An", "Why")),
    ({"ErrorPath": "States.Format('{}!', $.e)", "CausePath": "$.n"}, ("An!", "[1,2]")),
]


@pytest.mark.parametrize(("members", "error"), FAILS)
def test_fail_ends_with_an_error(members: Members, error: tuple[str | None, str | None]) -> None:
    desk = Desk(chain({"Type": "Fail", **members}), {"e": "An", "c": "Why", "n": [1, 2]})
    assert desk.outcome == ("FAILED", None, error)
    assert desk.types()[-1] == "ExecutionFailed"


def test_an_error_made_of_data_is_no_longer_than_it_may_be() -> None:
    limits = Limits(error_chars_max=4, cause_chars_max=8)
    desk = Desk(
        chain({"Type": "Fail", "ErrorPath": "$", "CausePath": "$"}), "x" * 99, limits=limits
    )
    assert desk.error == ("xxxx", "xxxxxxxx")
    desk = Desk(chain(passing(InputPath="$.no")), limits=limits)
    assert len(cause_of(desk)) == 8


# --------------------------------------------------------------------------------------- Choice


def _choosing(**members: Any) -> dict[str, Any]:
    rules = [
        {"Variable": "$.n", "NumericLessThan": 0, "Next": "Less"},
        {"Variable": "$.n", "NumericEquals": 0, "Next": "Zero"},
    ]
    end = {name: {"Type": "Pass", "Result": name, "End": True} for name in ("Less", "Zero", "More")}
    choice = {"Type": "Choice", "Choices": rules, **members}
    return {"StartAt": "C", "States": {"C": choice, **end}}


@pytest.mark.parametrize(("n", "way"), [(-1, "Less"), (0, "Zero"), (1, "More")])
def test_the_first_rule_that_holds_decides(n: int, way: str) -> None:
    assert Desk(_choosing(Default="More"), {"n": n}).output == way


def test_no_rule_and_no_default_is_an_error() -> None:
    desk = Desk(_choosing(), {"n": 1})
    assert "does not point to a next state" in cause_of(desk, "States.NoChoiceMatched")


def test_choice_filters_its_input_and_output() -> None:
    definition = _choosing(Default="More", InputPath="$.in", OutputPath="$.n")
    desk = Desk(definition, {"in": {"n": 0}})
    assert desk.history()[2].details == {"name": "C", "output": 0}


# ----------------------------------------------------------------------------------------- Wait


WAITS: list[tuple[Members, Any, float]] = [
    ({"Seconds": 5}, {}, 5),
    ({"Seconds": 0}, {}, 0),
    ({"SecondsPath": "$.s"}, {"s": 7}, 7),
    ({"SecondsPath": "$.s", "InputPath": "$.in"}, {"in": {"s": 7}}, 7),
    ({"Timestamp": "2026-01-01T00:01:00Z"}, {}, 60),
    ({"Timestamp": "2025-12-31T23:59:59Z"}, {}, 0),
    ({"Timestamp": "2026-01-01T00:00:09.9Z"}, {}, 9),
    ({"TimestampPath": "$.t"}, {"t": "2026-01-01T01:00:00+01:00"}, 0),
    ({"TimestampPath": "$.t"}, {"t": "2026-01-01T00:00:09.9Z"}, 9),
]


@pytest.mark.parametrize(("members", "given", "seconds"), WAITS)
def test_wait_lasts_until_its_instant(members: Members, given: Any, seconds: float) -> None:
    desk = Desk(chain({"Type": "Wait", **members}), given).run()
    assert desk.status == "SUCCEEDED"
    assert desk.now == BEGIN + timedelta(seconds=seconds)
    assert desk.types()[1:3] == ["WaitStateEntered", "WaitStateExited"]


def test_wait_passes_its_input_on() -> None:
    desk = Desk(chain(waiting(3, InputPath="$.a", OutputPath="$.b")), {"a": {"b": 1}}).run()
    assert desk.output == 1


WRONG_WAITS: list[tuple[Members, Any, str]] = [
    (
        {"SecondsPath": "$.s"},
        {},
        "The SecondsPath parameter does not reference an input value: $.s",
    ),
    ({"SecondsPath": "$.s"}, {"s": "5"}, 'cannot be parsed as a long value: $.s == "5"'),
    ({"SecondsPath": "$.s"}, {"s": True}, "cannot be parsed as a long value: $.s == true"),
    ({"SecondsPath": "$.s"}, {"s": -1}, "references a negative value: $.s == -1"),
    ({"SecondsPath": "$.s"}, {"s": 100_000_000}, "Wait state delay is too long."),
    ({"TimestampPath": "$.t"}, {"t": "soon"}, "date-time format string: soon"),
    ({"TimestampPath": "$.t"}, {"t": 5}, "date-time format string: 5"),
    ({"TimestampPath": "$.t"}, {"t": "2099-01-01T00:00:00Z"}, "Wait state delay is too long."),
]


@pytest.mark.parametrize(("members", "given", "sentence"), WRONG_WAITS)
def test_wait_fails_where_it_has_no_instant(members: Members, given: Any, sentence: str) -> None:
    assert cause_of(Desk(chain({"Type": "Wait", **members}), given)).endswith(sentence)


def test_wait_can_fail_when_its_time_has_come() -> None:
    desk = Desk(chain(waiting(5, OutputPath="$.no"))).run()
    assert "Invalid path '$.no'" in cause_of(desk)


# ----------------------------------------------------------------------------------------- Task


def test_a_task_moves_data() -> None:
    members = {
        "InputPath": "$.in",
        "Parameters": {"p.$": "$.x"},
        "ResultSelector": {"r.$": "$.y"},
        "ResultPath": "$.out",
        "OutputPath": "$.out",
    }
    desk = Desk(chain(task(**members)), {"in": {"x": 1}})
    command = desk.execution.task(desk.only)
    assert command is not None
    assert (command.parameters, command.input) == ({"p": 1}, {"x": 1})
    desk.gives(desk.only, {"y": 2, "z": 3})
    assert desk.output == {"r": 2}


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({"TimeoutSeconds": 5}, 5),
        ({"TimeoutSecondsPath": "$.t"}, 6),
        ({"TimeoutSeconds": 9, "HeartbeatSecondsPath": "$.h"}, 9),
    ],
)
def test_a_task_is_given_so_much_time(members: Members, seconds: int) -> None:
    desk = Desk(chain(task(Resource=WORK, **members)), {"t": 6, "h": 2})
    assert desk.execution.next_due() == BEGIN + timedelta(seconds=seconds)
    command = desk.execution.task(desk.only)
    assert command is not None
    assert command.deadline_at == BEGIN + timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [0, -1, True, "5", 1.5, None, [1]])
def test_a_timeout_must_be_a_positive_integer(value: Any) -> None:
    desk = Desk(chain(task(TimeoutSecondsPath="$.t")), {"t": value})
    assert "is not a valid positive integer: $.t" in cause_of(desk)


@pytest.mark.parametrize(
    ("resource", "types"),
    [
        ("treadle:activity/a", ["TaskScheduled", "TaskStarted", "TaskSucceeded"]),
        ("arn:aws:states:::sqs:sendMessage", ["TaskScheduled", "TaskStarted", "TaskSucceeded"]),
        ("arn:aws:states:::lambda:invoke", ["TaskScheduled", "TaskStarted", "TaskSucceeded"]),
        (
            "arn:aws:lambda:us-east-1:111111111111:function:f",
            ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"],
        ),
        (
            "arn:aws:states:us-east-1:111111111111:activity:a",
            ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"],
        ),
    ],
)
def test_the_history_names_an_attempt_as_aws_does(resource: str, types: list[str]) -> None:
    desk = Desk(chain(task(Resource=resource))).run()
    assert desk.types()[2:5] == types


def test_the_history_says_what_was_scheduled() -> None:
    desk = Desk(
        chain(
            A=task(
                Resource="arn:aws:states:::sqs:sendMessage",
                Parameters={"QueueUrl": "q", "MessageBody.$": "$"},
                TimeoutSeconds=60,
                HeartbeatSeconds=20,
            ),
            B=task(Resource="arn:aws:lambda:us-east-1:111111111111:function:f"),
        ),
        {"m": 1},
    ).run()
    of_type = {entry.type: entry.details for entry in desk.history()}
    assert of_type["TaskScheduled"] == {
        "resourceType": "sqs",
        "resource": "sendMessage",
        "region": "us-east-1",
        "parameters": {"QueueUrl": "q", "MessageBody": {"m": 1}},
        "timeoutInSeconds": 60,
        "heartbeatInSeconds": 20,
    }
    assert of_type["TaskStarted"] == {"resourceType": "sqs", "resource": "sendMessage"}
    assert of_type["LambdaFunctionScheduled"] == {
        "resource": "arn:aws:lambda:us-east-1:111111111111:function:f",
        "input": {"QueueUrl": "q", "MessageBody": {"m": 1}},
    }
    assert of_type["LambdaFunctionStarted"] is None


@pytest.mark.parametrize(
    ("resource", "event", "members"),
    [
        ("lambda:us-east-1:111111111111:function:f", "LambdaFunction", {"taskCredentials"}),
        ("states:us-east-1:111111111111:activity:a", "Activity", {"heartbeatInSeconds"}),
        ("states:::lambda:invoke", "Task", {"taskCredentials", "heartbeatInSeconds"}),
    ],
)
def test_only_what_aws_tells_of_a_kind_is_told_of_it(
    resource: str, event: str, members: set[str]
) -> None:
    # Source: the API's LambdaFunctionScheduledEventDetails and its kin.
    resource = f"arn:aws:{resource}"
    state = task(Resource=resource, HeartbeatSeconds=5, Credentials={"RoleArn": "arn:r"})
    desk = Desk(chain(state)).run()
    details = next(entry.details for entry in desk.history() if entry.type == f"{event}Scheduled")
    assert {"taskCredentials", "heartbeatInSeconds"} & set(details or {}) == members


@pytest.mark.parametrize(
    ("members", "sentence"),
    [({"ResultSelector": {"r.$": "$.no"}}, "$.no"), ({"ResultPath": "$.a.b"}, "")],
)
def test_a_result_that_does_not_fit_fails_the_state(members: Members, sentence: str) -> None:
    desk = Desk(chain(task(**members)), {"a": 1})
    desk.gives(desk.only, {})
    assert desk.status == "FAILED"
    assert desk.error is not None
    assert sentence in str(desk.error[1])
    assert "TaskSucceeded" in desk.types()


# ------------------------------------------------------------------------------- payload limits


TOO_LARGE: list[tuple[Members, Any]] = [
    (passing(Result="x" * 100), {}),
    (passing(), "x" * 100),
    ({"Type": "Succeed"}, "x" * 100),
    (waiting(0), "x" * 100),
    (task(Parameters={"x": "x" * 100}), {}),
    (parallel(chain(passing()), Parameters={"x": "x" * 100}), {}),
    (mapping(chain(passing()), ItemSelector={"x": "x" * 100}), [1]),
    (mapping(chain(passing(Result="x" * 40))), [1, 2, 3]),
]


@pytest.mark.parametrize(("state", "given"), TOO_LARGE)
def test_data_has_a_largest_size(state: Members, given: Any) -> None:
    desk = Desk(chain(Big=state), given, limits=Limits(payload_bytes_max=90))
    cause = cause_of(desk, "States.DataLimitExceeded")
    assert cause == (
        "The state/task 'Big' returned a result with a size exceeding the maximum number of "
        "bytes service limit."
    )


def test_the_size_is_counted_in_bytes_of_utf8() -> None:
    limits = Limits(payload_bytes_max=12)
    assert Desk(chain(passing(Result="ä" * 5)), limits=limits).status == "SUCCEEDED"
    assert Desk(chain(passing(Result="ä" * 6)), limits=limits).status == "FAILED"


def test_an_attempts_result_that_is_too_large_fails_the_attempt() -> None:
    desk = Desk(chain(T=task()), limits=Limits(payload_bytes_max=90))
    desk.gives(desk.only, "x" * 100)
    cause = cause_of(desk, "States.DataLimitExceeded")
    assert "'treadle:activity/work'" in cause
    assert "TaskFailed" in desk.types()


def test_a_document_that_grows_too_deep_fails_the_state() -> None:
    desk = Desk(endless(passing(Parameters={"a.$": "$"})), thorough=False)
    while not desk.over:
        desk.tick()
        desk.restart()
    assert cause_of(desk).endswith("The data is nested too deeply.")


# ------------------------------------------------------------------------------- context object


def test_the_context_object_says_where_it_is() -> None:
    desk = Desk(chain(T=task(Parameters={"c.$": "$$"})), {"i": 1})
    command = desk.execution.task(desk.only)
    assert command is not None
    assert command.parameters["c"] == {
        "Execution": {
            "Id": "arn:aws:states:us-east-1:111111111111:execution:m:e",
            "Input": {"i": 1},
            "Name": "e",
            "RoleArn": "",
            "StartTime": "2026-01-01T00:00:00Z",
            "RedriveCount": 0,
        },
        "State": {"EnteredTime": "2026-01-01T00:00:00Z", "Name": "T", "RetryCount": 0},
        "StateMachine": {"Id": "arn:aws:states:us-east-1:111111111111:stateMachine:m", "Name": "m"},
    }


def test_the_context_object_counts_retries_of_states_that_retry() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]
    desk = Desk(chain(T=task(Parameters={"n.$": "$$.State.RetryCount"}, Retry=retry)))
    desk.fails(desk.only)
    desk.tick(1)
    command = desk.execution.task(desk.only)
    assert command is not None
    assert command.parameters == {"n": 1}
    desk = Desk(chain(passing(Parameters={"s.$": "$$.State"})))
    assert "RetryCount" not in desk.output["s"]


def test_the_context_object_has_the_nearest_item() -> None:
    seen = passing(Parameters={"m.$": "$$.Map.Item"})
    inner = mapping(
        chain(In=seen), ItemSelector={"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}
    )
    side = parallel(chain(Side=passing(Parameters={"m.$": "$$.Map.Item.Index"})))
    outer = mapping(chain(Both=parallel(chain(Inner=inner), chain(Branch=side))))
    desk = Desk(chain(Outer=outer), [["a"], ["b"]])
    first = {"m": {"Index": 0, "Value": "a"}}
    second = {"m": {"Index": 0, "Value": "b"}}
    assert desk.output == [[[first], [{"m": 0}]], [[second], [{"m": 1}]]]


def test_what_was_random_is_the_same_after_a_restart() -> None:
    parameters = {"u.$": "States.UUID()", "r.$": "States.MathRandom(0, 1000000)"}
    desk = Desk(chain(T=task(Parameters=parameters)))
    before = desk.execution.task(desk.only)
    desk.restart()
    assert desk.execution.task(desk.only) == before


def test_equal_random_calls_of_two_entries_differ() -> None:
    draw = {"u.$": "States.UUID()"}
    desk = Desk(
        chain(
            passing(Parameters=draw, ResultPath="$.a"), passing(Parameters=draw, ResultPath="$.b")
        )
    )
    assert desk.output["a"] != desk.output["b"]


def test_times_are_whole_milliseconds() -> None:
    desk = Desk(chain(T=task(Parameters={"t.$": "$$.State.EnteredTime"})))
    desk.now = datetime(2026, 1, 1, 0, 0, 1, 234_999, tzinfo=UTC)
    desk.gives(desk.only)
    assert desk.execution.memory.ended_at == datetime(2026, 1, 1, 0, 0, 1, 234_000, tzinfo=UTC)


def test_failing_ends_its_machine() -> None:
    assert Desk(chain(failing("A", Cause="b"))).error == ("A", "b")
