"""One state alone, as AWS's TestState answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.machines import (
    catcher,
    chain,
    failing,
    mapping,
    parallel,
    passing,
    retrier,
    waiting,
)
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine import teststate
from treadle.engine.payloads import Payload
from treadle.engine.teststate import Mock, Refused, Request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORK = {"Type": "Task", "Resource": "treadle:activity/work", "End": True}
INNER = {"StartAt": "I", "States": {"I": passing(End=True)}}
SPREAD = {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


def answer(definition: Any, given: Any = None, **members: Any) -> dict[str, Any]:
    """The answer, its data as values."""
    text = dumps({} if given is None else given)
    found = teststate.answer(Request(definition, text, NOW, **members))
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Payload):
        return value.value
    return {n: _plain(v) for n, v in value.items()} if isinstance(value, dict) else value


def gives(value: Any, **members: Any) -> Mock:
    return Mock(dumps(value), **members)


def ends(error: str, cause: str | None = None) -> Mock:
    return Mock(error=StateError(error, cause))


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (passing(Next="N"), {"status": "SUCCEEDED", "output": {"n": 1}, "nextState": "N"}),
        (passing(Parameters={"x.$": "$.n"}, End=True), {"status": "SUCCEEDED", "output": {"x": 1}}),
        ({"Type": "Succeed"}, {"status": "SUCCEEDED", "output": {"n": 1}}),
        (waiting(9, Next="N"), {"status": "SUCCEEDED", "output": {"n": 1}, "nextState": "N"}),
        (failing("E", Cause="c"), {"status": "FAILED", "error": "E", "cause": "c"}),
        (
            {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "One"}],
                "Default": "Other",
            },
            {"status": "SUCCEEDED", "output": {"n": 1}, "nextState": "One"},
        ),
        (
            passing(InputPath="$.gone", End=True),
            {
                "status": "FAILED",
                "error": "States.Runtime",
                "cause": "An error occurred while executing the state 'StateName' (entered at the "
                "event id #0). Invalid path '$.gone' : No results for path: $['gone']",
            },
        ),
    ],
)
def test_a_state_without_a_mock(state: Any, wanted: Any) -> None:
    assert answer(state, {"n": 1}) == wanted


def test_a_task_is_answered_by_its_mock() -> None:
    state = {**WORK, "ResultSelector": {"r.$": "$.v"}, "ResultPath": "$.got"}
    found = answer(state, {"n": 1}, mock=gives({"v": 2}), level="DEBUG")
    assert found == {
        "status": "SUCCEEDED",
        "output": {"n": 1, "got": {"r": 2}},
        "inspectionData": {
            "input": {"n": 1},
            "afterInputPath": {"n": 1},
            "afterParameters": {"n": 1},
            "result": {"v": 2},
            "afterResultSelector": {"r": 2},
            "afterResultPath": {"n": 1, "got": {"r": 2}},
        },
    }


LADDER = {
    **WORK,
    "Retry": [
        retrier("A", MaxAttempts=0),
        retrier("B", IntervalSeconds=3, BackoffRate=2, MaxAttempts=2),
    ],
    "Catch": [catcher("X", "C"), catcher("Y", ResultPath="$.e")],
}


@pytest.mark.parametrize(
    ("error", "retries", "wanted", "details"),
    [
        ("B", 0, {"status": "RETRIABLE"}, {"retryIndex": 1, "retryBackoffIntervalSeconds": 3}),
        ("B", 1, {"status": "RETRIABLE"}, {"retryIndex": 1, "retryBackoffIntervalSeconds": 6}),
        (
            "B",
            2,
            {
                "status": "CAUGHT_ERROR",
                "nextState": "Y",
                "output": {"n": 1, "e": {"Error": "B", "Cause": "why"}},
            },
            {"catchIndex": 1},
        ),
        (
            "C",
            0,
            {
                "status": "CAUGHT_ERROR",
                "nextState": "X",
                "output": {"Error": "C", "Cause": "why"},
            },
            {"catchIndex": 0},
        ),
        ("States.Runtime", 0, {"status": "FAILED"}, None),
    ],
)
def test_an_error_climbs_the_ladder(error: str, retries: int, wanted: Any, details: Any) -> None:
    mock = ends(error, "why")
    found = answer(LADDER, {"n": 1}, mock=mock, retries=retries, level="TRACE")
    inspected = found.pop("inspectionData")
    assert found == {**wanted, "error": error, "cause": "why"}
    assert inspected.get("errorDetails") == details


ASSIGN = {"new": "{% 42 %}", "kept": "{% $old %}"}


@pytest.mark.parametrize(
    ("state", "mock"),
    [
        ({"Type": "Pass", "Assign": ASSIGN, "End": True}, None),
        ({**WORK, "Assign": ASSIGN}, gives(1)),
        ({**WORK, "Catch": [catcher("X", Assign=ASSIGN)]}, ends("E")),
        (mapping(INNER, Assign=ASSIGN, End=True), gives([])),
        (
            {
                "Type": "Choice",
                "Choices": [{"Condition": "{% true %}", "Assign": ASSIGN, "Next": "N"}],
            },
            None,
        ),
    ],
)
def test_variables_are_shown_as_the_state_leaves_them(state: Any, mock: Mock | None) -> None:
    jsonata = {**state, "QueryLanguage": "JSONata"}
    found = answer(jsonata, [], mock=mock, variables={"old": 1, "new": 2}, level="DEBUG")
    assert found["inspectionData"]["variables"] == {"old": 1, "new": 42, "kept": 1}


def test_variables_are_shown_where_there_are_any() -> None:
    found = answer(passing(Assign={"a": 1}, End=True), level="DEBUG")
    assert found["inspectionData"]["variables"] == {"a": 1}
    assert "variables" not in answer(passing(End=True), level="DEBUG")["inspectionData"]


def test_what_a_failing_state_assigns_is_not_kept() -> None:
    state = passing(Assign={"a": 1}, OutputPath="$.gone", End=True)
    found = answer(state, variables={"old": 1}, level="DEBUG")
    assert found["inspectionData"]["variables"] == {"old": 1}


def test_a_failing_catcher_fails() -> None:
    jsonata = {
        **WORK,
        "QueryLanguage": "JSONata",
        "Catch": [catcher("X", Output="{% $gone %}")],
    }
    found = answer(jsonata, mock=ends("A"))
    assert (found["status"], found["error"]) == ("FAILED", "States.QueryEvaluationError")


def test_a_map_shows_its_numbers() -> None:
    state = mapping(
        SPREAD,
        ItemsPath="$.items",
        ItemSelector={"v.$": "$$.Map.Item.Value"},
        MaxConcurrency=2,
        ToleratedFailureCountPath="$.most",
        ToleratedFailurePercentage=50,
        End=True,
    )
    given = {"items": [1, 2], "most": 1}
    found = answer(state, given, mock=gives(["a", "b"]), level="DEBUG")
    assert found["output"] == ["a", "b"]
    inspected = found["inspectionData"]
    assert inspected["maxConcurrency"] == 2
    assert inspected["toleratedFailureCount"] == 1
    assert inspected["toleratedFailurePercentage"] == 50.0
    assert inspected["afterItemsPath"] == [1, 2]
    assert inspected["afterItemSelector"] == [{"v": 1}, {"v": 2}]
    failed = answer(state, given, mock=gives([]), failed_items=2)
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"


def test_items_are_shown_as_batches() -> None:
    state = mapping(SPREAD, ItemBatcher={"MaxItemsPerBatch": 2}, End=True)
    found = answer(state, [1, 2, 3], mock=gives([]), level="DEBUG")
    batches = [{"Items": [1, 2]}, {"Items": [3]}]
    assert found["inspectionData"]["afterItemBatcher"] == batches


QUERIED = {
    "QueryLanguage": "JSONata",
    "Items": "{% $states.input %}",
    "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"},
}


def test_a_map_of_queries_shows_what_each_child_is_given() -> None:
    state = mapping(SPREAD, **QUERIED, ItemBatcher={"MaxItemsPerBatch": 2}, End=True)
    inspected = answer(state, [1, 2, 3], mock=gives([]), level="DEBUG")["inspectionData"]
    assert inspected["afterItemSelector"] == [{"v": 1}, {"v": 2}, {"v": 3}]
    batches = [{"Items": [{"v": 1}, {"v": 2}]}, {"Items": [{"v": 3}]}]
    assert inspected["afterItemBatcher"] == batches
    assert "afterItemsPath" not in inspected


def test_a_selector_that_fails_fails_a_map_of_queries() -> None:
    selector = {"x": "{% $states.context.Map.Item.Nope %}"}
    state = mapping(INNER, **{**QUERIED, "ItemSelector": selector}, End=True)
    found = answer(state, [1, 2], mock=gives([1, 2]))
    assert (found["status"], found["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "ItemSelector/x" in found["cause"]


def test_the_items_of_a_map_cost_what_they_may_in_an_execution() -> None:
    state = mapping(INNER, ItemSelector={"every.$": "$..a"}, End=True)
    assert answer(state, [0] * 800, mock=gives([]))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("members", [{"Parameters": {"p.$": "$.a"}}, {"InputPath": "$.nope"}])
def test_a_parallel_that_cannot_be_given_its_input_fails(members: Any) -> None:
    found = answer(parallel(INNER, **members, End=True), mock=gives([1]))
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({}, {}),
        ({"ResultPath": None}, {}),
        ({"Parameters": {"p.$": "$.a"}}, {"afterParameters": {"p": 5}}),
        ({"InputPath": "$.a"}, {"afterInputPath": 5, "afterParameters": 5}),
    ],
)
def test_a_parallel_shows_what_was_filtered(members: Any, wanted: Any) -> None:
    state = parallel(INNER, **members, End=True)
    inspected = answer(state, {"a": 5}, mock=gives([1]), level="DEBUG")["inspectionData"]
    given = ("afterInputPath", "afterParameters")
    assert {name: inspected[name] for name in given if name in inspected} == wanted
    assert inspected["afterResultSelector"] == [1]
    assert "afterResultPath" in inspected


def test_a_parallel_takes_arguments() -> None:
    state = parallel(INNER, QueryLanguage="JSONata", Arguments="{% $x %}", End=True)
    found = answer(state, mock=gives([7]), variables={"x": 4}, level="DEBUG")
    assert found["output"] == [7]
    assert found["inspectionData"]["afterArguments"] == 4
    assert found["inspectionData"]["variables"] == {"x": 4}


def test_a_state_of_a_machine_is_found_at_any_depth() -> None:
    machine = {"StartAt": "M", "States": {"M": mapping(INNER, End=True)}}
    both = {"StartAt": "P", "States": {"P": parallel(machine, End=True)}}
    assert answer(both, 5, state_name="I")["output"] == 5


ITEM = "$$.Map.Item"
ITEM_QUERY = "{% $states.context.Map.Item %}"


@pytest.mark.parametrize(
    "inner",
    [
        passing(Parameters={"i.$": ITEM}, End=True),
        {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"i": ITEM_QUERY}, "End": True},
    ],
)
@pytest.mark.parametrize(
    ("processor", "source"),
    [({}, {}), (SPREAD, {"Source": "STATE_DATA"})],
    ids=["inline", "spread"],
)
def test_a_state_inside_a_map_is_of_its_first_item(inner: Any, processor: Any, source: Any) -> None:
    deep = parallel({"StartAt": "S", "States": {"S": inner}}, End=True)
    each = {**processor, "StartAt": "P", "States": {"P": deep}}
    machine = {"StartAt": "M", "States": {"M": mapping(each, End=True)}}
    found = answer(machine, {"q": 1}, state_name="S")
    assert found["output"] == {"i": {"Index": 0, "Value": {"q": 1}, **source}}


def test_a_state_beside_a_map_is_of_no_item() -> None:
    states = {"M": mapping(INNER, Next="S"), "S": passing(Parameters={"i.$": ITEM}, End=True)}
    found = answer({"StartAt": "M", "States": states}, state_name="S")
    assert found["error"] == "States.Runtime"


def test_a_map_inside_a_map_has_items_of_its_own() -> None:
    inner = mapping(INNER, InputPath=f"{ITEM}.Value", ItemSelector={"i.$": ITEM}, End=True)
    machine = {"StartAt": "M", "States": {"M": mapping(chain(N=inner), End=True)}}
    found = answer(machine, [7], state_name="N", mock=gives([1]), level="DEBUG")
    assert found["inspectionData"]["afterItemSelector"] == [{"i": {"Index": 0, "Value": 7}}]


def test_the_context_is_the_given_one_or_made_up() -> None:
    state = {**WORK, "ResultSelector": {"c.$": "$$"}}
    given = {"Map": {"Item": {"Index": 3}}}
    machine = {"StartAt": "M", "States": {"M": mapping(chain(T=state), End=True)}}
    found = answer(machine, state_name="T", mock=gives(1), context=given)
    assert found["output"] == {"c": given}
    made_up = answer(state, {"n": 1}, mock=gives(1))["output"]["c"]
    assert made_up["Execution"]["Input"] == {"n": 1}
    assert made_up["State"]["Name"] == "StateName"
    selector = mapping(INNER, ItemSelector={"i.$": "$$.Map.Item.Index"}, End=True)
    found = answer(selector, [5], mock=gives([1]), level="DEBUG")
    assert found["inspectionData"]["afterItemSelector"] == [{"i": 0}]
    assert answer(selector, [5], mock=gives([1]), context={})["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("definition", "members", "code", "words"),
    [
        (passing(End=True), {"mock": gives(1)}, "ValidationException", "State type 'Pass'"),
        (WORK, {}, "ValidationException", "needs a mock"),
        (parallel(INNER, End=True), {}, "InvalidDefinition", "does not support Map or Parallel"),
        (WORK, {"mock": Mock("1", StateError("E"))}, "ValidationException", "only one of"),
        (WORK, {"mock": Mock("{")}, "ValidationException", "valid JSON"),
        (parallel(INNER, End=True), {"mock": gives(1)}, "ValidationException", "an array"),
        (parallel(INNER, End=True), {"mock": gives([1, 2])}, "ValidationException", "length"),
        (mapping(INNER, End=True), {"mock": gives({})}, "ValidationException", "an array"),
        (
            mapping(INNER, End=True),
            {"mock": ends("E"), "caused_by": "Z"},
            "ValidationException",
            "inside the tested one",
        ),
        ({"Type": "Pass"}, {}, "InvalidDefinition", "SCHEMA_VALIDATION_FAILED"),
        ({"StartAt": "A", "States": {"A": passing(End=True)}}, {}, "ValidationException", "name"),
        (
            {"StartAt": "A", "States": {"A": passing(End=True)}},
            {"state_name": "B"},
            "ValidationException",
            "State not found: B",
        ),
        (passing(End=True), {"state_name": "A"}, "ValidationException", "of a state machine"),
        (passing(End=True), {"context": {}}, "ValidationException", "when a mock is specified"),
        (WORK, {"mock": gives(1), "failed_items": 1}, "ValidationException", "distributed Map"),
        (
            mapping(INNER, End=True),
            {"mock": gives([]), "failed_items": 1},
            "ValidationException",
            "distributed Map",
        ),
        (
            mapping(SPREAD, Items=[1, 2], QueryLanguage="JSONata", End=True),
            {"mock": gives([]), "failed_items": 3},
            "ValidationException",
            "there are 2 items",
        ),
        (1, {}, "InvalidDefinition", "SCHEMA"),
    ],
)
def test_what_makes_no_test_is_refused(
    definition: Any, members: Any, code: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        answer(definition, **members)
    assert refused.value.code == code
    assert words in refused.value.message


def test_an_input_that_is_not_json_is_refused() -> None:
    with pytest.raises(Refused, match="Execution Input"):
        teststate.answer(Request(passing(End=True), "{", NOW))


def test_an_inner_state_that_caused_it_is_taken() -> None:
    found = answer(mapping(INNER, End=True), [1], mock=ends("E"), caused_by="I")
    assert found["status"] == "FAILED"


SENDING = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
PATH = {"Parameters": {"QueueUrl": "u", "MessageBody": {"t.$": "$$.Task.Token"}}}
QUERY = {
    "QueryLanguage": "JSONata",
    "Arguments": {"QueueUrl": "u", "MessageBody": "{% $states.context.Task.Token %}"},
}


@pytest.mark.parametrize(
    ("members", "stage"), [(PATH, "afterParameters"), (QUERY, "afterArguments")]
)
def test_a_task_has_a_token_that_stands_for_one(members: Any, stage: str) -> None:
    state = {"Type": "Task", "Resource": SENDING, **members, "End": True}
    found = answer(state, mock=gives({}), level="DEBUG")
    assert (found["status"], found["output"]) == ("SUCCEEDED", {})
    assert "<task token>" in dumps(found["inspectionData"][stage])


def test_a_context_that_is_given_has_its_own_token_or_none() -> None:
    state = {"Type": "Task", "Resource": SENDING, **PATH, "End": True}
    own = {"Task": {"Token": "mine"}}
    found = answer(state, mock=gives({}), level="DEBUG", context=own)
    assert found["inspectionData"]["afterParameters"]["MessageBody"] == {"t": "mine"}
    assert answer(state, mock=gives({}), context={})["error"] == "States.Runtime"


def test_a_task_that_waits_for_no_token_has_none() -> None:
    state = {"Type": "Task", "Resource": SENDING.partition(".")[0], **PATH, "End": True}
    assert answer(state, mock=gives({}))["error"] == "States.Runtime"
