"""What a definition is read into."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treadle.asl import document
from treadle.asl.chance import Chance
from treadle.asl.errors import InvalidDocument
from treadle.asl.paths import Path, compile_path
from treadle.asl.program import (
    Choice,
    Fail,
    Map,
    Parallel,
    Pass,
    PathData,
    Program,
    Retrier,
    State,
    Succeed,
    Task,
    Wait,
)
from treadle.asl.scope import Scope

END = {"Type": "Succeed"}
ROOT = compile_path("$")
DISCARDS = PathData(ROOT, None, ROOT)


def scope(data: object) -> Scope:
    return Scope(data, dict, Chance(b"seed"))


def only(state: dict[str, Any]) -> State:
    """The one state of a machine; every state that it names exists too."""
    names = {"S": state, "Z": END}
    if state.get("End") is True or state.get("Type") in ("Succeed", "Fail"):
        del names["Z"]
    program = document.parse({"StartAt": "S", "States": names})
    return program.machine.states["S"]


def test_the_top_level_is_read() -> None:
    definition = {
        "Comment": "c",
        "Version": "1.0",
        "QueryLanguage": "JSONPath",
        "TimeoutSeconds": 9,
        "StartAt": "Z",
        "States": {"Z": END},
    }
    program = document.parse(definition)
    assert isinstance(program, Program)
    assert (program.comment, program.version, program.timeout_seconds) == ("c", "1.0", 9)
    assert program.definition is definition
    assert program.machine.start_at == "Z"
    assert list(program.machine.states) == ["Z"]


def test_a_text_is_read_like_an_object() -> None:
    yaml = "StartAt: A\nStates:\n  A: {Type: Wait, Timestamp: 2026-01-31T12:00:00Z, End: true}\n"
    json = (
        '{"StartAt":"A","States":'
        '{"A":{"Type":"Wait","Timestamp":"2026-01-31T12:00:00Z","End":true}}}'
    )
    wait = document.parse(yaml).machine.states["A"]
    assert isinstance(wait, Wait)
    assert wait.timestamp == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert document.parse(json).definition == document.parse(yaml).definition


def test_data_paths_have_their_defaults() -> None:
    state = only({"Type": "Pass", "End": True})
    assert isinstance(state, Pass)
    data = state.data
    assert isinstance(data, PathData)
    assert data.input_path is not None
    assert data.input_path.is_root
    assert data.output_path is not None
    assert data.result_path is not None
    assert data.result_path.is_root
    assert (state.next, state.has_result, data.parameters) == (None, False, None)


def test_null_paths_are_none() -> None:
    state = only(
        {
            "Type": "Pass",
            "InputPath": None,
            "OutputPath": None,
            "ResultPath": None,
            "Result": None,
            "End": True,
        }
    )
    assert isinstance(state, Pass)
    data = state.data
    assert isinstance(data, PathData)
    assert (data.input_path, data.output_path, data.result_path) == (None, None, None)
    assert state.has_result


def test_end_false_beside_next_is_no_end() -> None:
    assert only({"Type": "Pass", "End": False, "Next": "Z"}).next == "Z"


def test_a_task_is_read() -> None:
    state = only(
        {
            "Type": "Task",
            "Resource": "treadle:job",
            "Parameters": {"image": "a", "args.$": "$.args"},
            "ResultSelector": {"r.$": "$"},
            "ResultPath": "$.r",
            "Credentials": {"RoleArn.$": "$.role"},
            "TimeoutSeconds": 60,
            "HeartbeatSecondsPath": "$.beat",
            "Retry": [
                {"ErrorEquals": ["A"]},
                {
                    "ErrorEquals": ["States.ALL"],
                    "IntervalSeconds": 2,
                    "MaxAttempts": 0,
                    "BackoffRate": 1,
                    "MaxDelaySeconds": 3,
                    "JitterStrategy": "FULL",
                    "Comment": "c",
                },
            ],
            "Catch": [
                {"ErrorEquals": ["B", "C"], "Next": "Z", "ResultPath": None},
                {"ErrorEquals": ["States.ALL"], "Next": "Z"},
            ],
            "Next": "Z",
        }
    )
    assert isinstance(state, Task)
    assert state.resource == "treadle:job"
    data = state.data
    assert isinstance(data, PathData)
    assert data.parameters is not None
    assert data.parameters.render(scope({"args": [1]})) == {"image": "a", "args": [1]}
    assert state.timeout_seconds == 60
    assert isinstance(state.heartbeat_seconds, Path)
    assert state.credentials is not None
    assert state.retry == (
        Retrier(("A",)),
        Retrier(("States.ALL",), 2, 0, 1.0, 3, "FULL"),
    )
    assert [(c.errors, c.next, c.data == DISCARDS) for c in state.catch] == [
        (("B", "C"), "Z", True),
        (("States.ALL",), "Z", False),
    ]


def test_a_choice_is_read() -> None:
    rule = {"Variable": "$.a", "NumericEquals": 1, "Next": "Z", "Comment": "c"}
    state = only({"Type": "Choice", "Choices": [rule], "Default": "Z"})
    assert isinstance(state, Choice)
    assert (state.default, state.next, state.rules[0].next) == ("Z", None, "Z")
    assert state.rules[0].condition.matches(scope({"a": 1}))


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"Seconds": 0}, "seconds", 0),
        (
            {"Timestamp": "2026-01-31T12:00:00+02:00"},
            "timestamp",
            datetime(2026, 1, 31, 10, tzinfo=UTC),
        ),
    ],
)
def test_a_wait_is_read(members: dict[str, Any], field: str, value: object) -> None:
    assert getattr(only({"Type": "Wait", **members, "End": True}), field) == value


def test_the_paths_of_a_wait_are_read() -> None:
    seconds = only({"Type": "Wait", "SecondsPath": "$.s", "End": True})
    timestamp = only({"Type": "Wait", "TimestampPath": "$$.Execution.StartTime", "End": True})
    assert isinstance(seconds, Wait)
    assert isinstance(timestamp, Wait)
    assert isinstance(seconds.seconds, Path)
    assert isinstance(timestamp.timestamp, Path)
    assert timestamp.timestamp.reads_context


def test_succeed_and_fail_are_read() -> None:
    assert isinstance(only({"Type": "Succeed", "InputPath": "$.a"}), Succeed)
    fixed = only({"Type": "Fail", "Error": "E", "Cause": "C"})
    assert isinstance(fixed, Fail)
    assert fixed.error is not None
    assert fixed.cause is not None
    assert (fixed.error.render(scope({})), fixed.cause.render(scope({}))) == ("E", "C")
    read = only({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('x{}', $.c)"})
    assert isinstance(read, Fail)
    assert read.error is not None
    assert read.cause is not None
    assert read.error.render(scope({"e": "E"})) == "E"
    assert read.cause.render(scope({"c": 1})) == "x1"


def test_a_parallel_is_read() -> None:
    branches = [
        {"StartAt": "B1", "States": {"B1": END}, "Comment": "c"},
        {"StartAt": "B2", "States": {"B2": {"Type": "Fail"}}},
    ]
    state = only({"Type": "Parallel", "Branches": branches, "End": True})
    assert isinstance(state, Parallel)
    assert [branch.start_at for branch in state.branches] == ["B1", "B2"]


@pytest.mark.parametrize("processor", ["ItemProcessor", "Iterator"])
@pytest.mark.parametrize("selector", ["ItemSelector", "Parameters"])
def test_a_map_is_read_under_old_and_new_names(processor: str, selector: str) -> None:
    state = only(
        {
            "Type": "Map",
            processor: {"StartAt": "I", "States": {"I": END}},
            selector: {"i.$": "$$.Map.Item.Value"},
            "ItemsPath": "$.items",
            "MaxConcurrency": 3,
            "End": True,
        }
    )
    assert isinstance(state, Map)
    assert state.processor.start_at == "I"
    assert state.item_selector is not None
    assert isinstance(state.items, Path)
    assert (state.items.text, state.concurrency_max) == ("$.items", 3)


def test_a_map_has_its_defaults() -> None:
    processor = {
        "StartAt": "I",
        "States": {"I": END},
        "ProcessorConfig": {"Mode": "INLINE"},
    }
    state = only({"Type": "Map", "ItemProcessor": processor, "End": True})
    assert isinstance(state, Map)
    assert state.items is None
    assert (state.concurrency_max, state.item_selector) == (0, None)


def test_parse_raises_the_errors_and_inspect_tells_warnings_too() -> None:
    definition = {
        "StartAt": "A",
        "States": {"A": {"Type": "Fail", "Error": "$.e", "Cause": 1}, "B": END},
    }
    with pytest.raises(InvalidDocument) as caught:
        document.parse(definition)
    assert [p.code for p in caught.value.problems] == ["member-type"]
    program, problems = document.inspect(definition)
    assert program is None
    assert sorted((p.severity, p.code) for p in problems) == [
        ("error", "member-type"),
        ("warning", "member-looks-like-path"),
        ("warning", "state-unreachable"),
    ]


def test_problems_of_a_text_have_lines() -> None:
    text = "StartAt: A\nStates:\n  A:\n    Type: Pass\n    Next: B\n"
    _, problems = document.inspect(text)
    found = {p.code: (p.line, p.column) for p in problems}
    assert found == {"target-missing": (5, 5), "terminal-missing": (2, 1)}


def test_an_object_that_is_too_large_is_refused() -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "x" * 1_048_576}}}
    _, problems = document.inspect(definition)
    assert [p.code for p in problems] == ["document-too-large"]


def test_ten_thousand_states_are_read() -> None:
    count = 10_000
    states: dict[str, Any] = {
        f"S{n}": {"Type": "Pass", "Parameters": {"a.$": "$.a"}, "Next": f"S{n + 1}"}
        for n in range(count - 1)
    }
    states[f"S{count - 1}"] = END
    assert len(document.parse({"StartAt": "S0", "States": states}).machine.states) == count
    states["One"] = END
    _, problems = document.inspect({"StartAt": "S0", "States": states})
    assert "too-many-states" in [p.code for p in problems]
