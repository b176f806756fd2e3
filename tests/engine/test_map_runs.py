"""Distributed Maps: children that are executions, batches of items, and failures that may be."""

from typing import Any

import pytest

from tests.support.desk import Desk, Fails, Gives, script
from tests.support.machines import (
    Definition,
    catcher,
    chain,
    failing,
    mapping,
    passing,
    retrier,
    task,
)
from treadle.asl.limits import Limits

ITEMS = [1, 2, 3, 4, 5]


def spread(processor: Definition, **members: Any) -> dict[str, Any]:
    """A distributed Map."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    return mapping({"ProcessorConfig": config, **processor}, **members)


def odd_fails() -> Definition:
    """Fails for odd items, with their number."""
    even = {"Variable": "$", "NumericEquals": 2, "Next": "Good"}
    other = {"Variable": "$", "NumericEquals": 4, "Next": "Good"}
    choice = {"Type": "Choice", "Choices": [even, other], "Default": "Bad"}
    states = {"Ask": choice, "Good": {"Type": "Succeed"}, "Bad": failing("Odd", Cause="so")}
    return {"StartAt": "Ask", "States": states}


def test_its_history_shows_the_run_and_not_the_children() -> None:
    desk = Desk(chain(spread(chain(I=passing()))), ITEMS).run()
    assert desk.output == ITEMS
    assert desk.types() == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    started = desk.history()[3].details
    assert started is not None
    assert started["mapRunArn"].startswith("arn:aws:states:us-east-1:111111111111:mapRun:m/")


def test_a_child_is_an_execution_of_its_own() -> None:
    child = chain(
        I=passing(
            Parameters={
                "execution.$": "$$.Execution.Id",
                "name.$": "$$.Execution.Name",
                "input.$": "$$.Execution.Input",
                "machine.$": "$$.StateMachine.Id",
            }
        )
    )
    first, second = Desk(chain(spread(child, Label="each")), ITEMS[:2]).run().output
    assert first["execution"].endswith(f":execution:m/each:{first['name']}")
    assert first["machine"].endswith(":stateMachine:m/each")
    assert (first["input"], second["input"]) == (1, 2)
    assert first["name"] != second["name"]


def test_a_child_counts_its_own_entries() -> None:
    child = chain(I=passing(), J=passing(InputPath="$.gone"))
    run = spread(child, ToleratedFailureCount=1, Catch=[catcher("S2")])
    (row,) = Desk(chain(run, passing()), [{}]).run().output
    assert row["Cause"].startswith(
        "An error occurred while executing the state 'J' (entered at the event id #4)."
    )


def test_a_child_sees_no_variable_from_around_it() -> None:
    child = chain(I=passing(Parameters={"x.$": "$x"}))
    desk = Desk(chain(passing(Assign={"x": 1}), spread(child)), ITEMS).run()
    assert desk.error is not None
    assert desk.error[0] == "States.ExceedToleratedFailureThreshold"


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, "FAILED"),
        ({"ToleratedFailureCount": 2}, "FAILED"),
        ({"ToleratedFailureCount": 3}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 59.9}, "FAILED"),
        ({"ToleratedFailurePercentage": 60}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 100, "ToleratedFailureCount": 1}, "FAILED"),
    ],
)
def test_so_many_items_may_fail(members: dict[str, Any], status: str) -> None:
    desk = Desk(chain(spread(odd_fails(), **members)), ITEMS).run()
    assert desk.status == status
    if status == "FAILED":
        cause = "The specified tolerated failure threshold was exceeded"
        assert desk.error == ("States.ExceedToleratedFailureThreshold", cause)
        assert desk.types()[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
    else:
        assert desk.execution.progress.failed == 3
        rows = desk.output
        assert [rows[1], rows[3]] == [2, 4]
        assert {name: rows[0][name] for name in ("Error", "Cause", "Input", "Status")} == {
            "Error": "Odd",
            "Cause": "so",
            "Input": "1",
            "Status": "FAILED",
        }


@pytest.mark.parametrize(
    "members",
    [
        {"ItemSelector": {"x.$": "$.gone"}},
        {"ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"x.$": "$.gone"}}},
    ],
)
def test_a_run_that_cannot_make_its_items_fails_as_a_whole(members: dict[str, Any]) -> None:
    desk = Desk(chain(spread(chain(I=passing()), **members)), ITEMS).run()
    assert desk.types()[2:] == [
        *("MapStateStarted", "MapRunStarted"),
        *("MapRunFailed", "MapStateFailed", "ExecutionFailed"),
    ]


def test_the_last_item_that_may_not_fail_stops_the_others() -> None:
    answers = script(I=[Gives(after=9), Fails(after=1), Gives(after=9)])
    desk = Desk(chain(spread(chain(I=task()))), [1, 2, 3], answers).run()
    assert desk.status == "FAILED"
    progress = desk.execution.progress
    assert (desk.wanted, progress.done, progress.total) == ([], 0, 3)


def test_a_retry_is_another_run() -> None:
    answers = script(I=[Fails(), Gives(1)])
    run = spread(chain(I=task()), Retry=[retrier(MaxAttempts=1)])
    desk = Desk(chain(run), [1], answers).run()
    assert desk.output == [1]
    started = [e.details for e in desk.history() if e.type == "MapRunStarted"]
    assert len({str(details) for details in started}) == 2


@pytest.mark.parametrize(
    ("batcher", "wanted"),
    [
        ({"MaxItemsPerBatch": 2}, [{"Items": [1, 2]}, {"Items": [3, 4]}, {"Items": [5]}]),
        ({"MaxItemsPerBatchPath": "$.most"}, [{"Items": [1, 2, 3]}, {"Items": [4, 5]}]),
        # {"Items":[1,2]} has 15 bytes.
        ({"MaxInputBytesPerBatch": 15}, [{"Items": [1, 2]}, {"Items": [3, 4]}, {"Items": [5]}]),
        (
            {"MaxInputBytesPerBatch": 16, "MaxItemsPerBatch": 3},
            [{"Items": [1, 2]}, {"Items": [3, 4]}, {"Items": [5]}],
        ),
        (
            {"MaxItemsPerBatch": 3, "BatchInput": {"k.$": "$.most"}},
            [
                {"BatchInput": {"k": 3}, "Items": [1, 2, 3]},
                {"BatchInput": {"k": 3}, "Items": [4, 5]},
            ],
        ),
    ],
)
def test_items_are_put_together(batcher: dict[str, Any], wanted: list[Any]) -> None:
    run = spread(chain(I=passing()), ItemsPath="$.items", ItemBatcher=batcher)
    desk = Desk(chain(run), {"items": ITEMS, "most": 3}).run()
    assert desk.output == wanted
    started = next(e.details for e in desk.history() if e.type == "MapStateStarted")
    assert started == {"length": 5}
    assert (desk.execution.progress.done, desk.execution.progress.total) == (5, 5)


def test_a_failed_batch_counts_all_its_items() -> None:
    run = spread(chain(I=failing()), ItemBatcher={"MaxItemsPerBatch": 3}, ToleratedFailureCount=3)
    assert Desk(chain(run), ITEMS).run().status == "FAILED"
    assert Desk(chain(run), ITEMS[:3]).run().status == "SUCCEEDED"


def test_a_batched_map_without_items_is_over_at_once() -> None:
    run = spread(chain(I=passing()), ItemBatcher={"MaxInputBytesPerBatch": 99})
    assert Desk(chain(run), []).run().output == []


def test_an_object_is_mapped_by_its_members() -> None:
    given = {"a": 1, "b": {"x": 2}}
    desk = Desk(chain(spread(chain(I=passing()))), given).run()
    assert desk.output == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": {"x": 2}}]
    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}
    desk = Desk(chain(spread(chain(I=passing()), ItemSelector=selector)), given).run()
    assert desk.output[1] == {"k": "b", "v": {"x": 2}, "i": 1}


def test_a_child_has_its_own_bound_of_events() -> None:
    states = {"A": passing(Next="B"), "B": passing(Next="A"), "C": {"Type": "Succeed"}}
    loop = {"StartAt": "A", "States": states}
    run = spread(loop, ToleratedFailurePercentage=100)
    desk = Desk(chain(run), [1], limits=Limits(history_events_max=40), thorough=False).run()
    (row,) = desk.output
    assert row["Error"] == "States.Runtime"
    assert "maximum number of history events (40)" in row["Cause"]


def test_a_run_survives_being_cut_anywhere() -> None:
    inner = spread(
        chain(J=task()), ItemBatcher={"MaxItemsPerBatch": 2}, ToleratedFailurePercentage=50
    )
    outer = spread(
        chain(W={"Type": "Wait", "Seconds": 1}, P=passing(Assign={"x": 1}), M=inner),
        MaxConcurrency=2,
        ToleratedFailureCount=1,
    )
    given = [[1, 2, 3], [4], [5, 6, 7, 8]]
    answers = [Gives(1, after=2), Fails(after=1), Gives(2)]
    whole = Desk(chain(outer), given, script(J=answers)).run()
    cut = Desk(chain(outer), given, script(J=answers))
    while cut.step():
        cut.restart()
    assert cut.outcome == whole.outcome
    assert [(e.id, e.type) for e in cut.history()] == [(e.id, e.type) for e in whole.history()]


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        (
            {"ToleratedFailureCountPath": "$.x"},
            'The ToleratedFailureCountPath field refers to value "no" which is not a valid '
            "integer: $.x",
        ),
        ({"ToleratedFailureCountPath": "$.m"}, "ToleratedFailureCount cannot be negative."),
        (
            {"ToleratedFailurePercentagePath": "$.m"},
            "ToleratedFailurePercentage must be between 0 and 100.",
        ),
    ],
)
def test_a_wrong_tolerance_ends_the_execution_as_on_aws(members: Any, cause: str) -> None:
    given = {"items": [1], "x": "no", "m": -1}
    desk = Desk(chain(spread(chain(I=passing()), ItemsPath="$.items", **members)), given).run()
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert str(desk.error[1]).endswith(cause)
    assert desk.types()[-2:] == ["MapStateStarted", "ExecutionFailed"]
