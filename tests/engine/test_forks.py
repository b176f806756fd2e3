"""Parallel and Map: children that run side by side, and what becomes of them."""

from typing import Any

import pytest

from tests.support.desk import Desk, Fails, Gives, Script, Silent, script
from tests.support.machines import (
    catcher,
    chain,
    failing,
    mapping,
    parallel,
    passing,
    retrier,
    task,
    waiting,
)
from treadle.asl.limits import Limits
from treadle.engine.commands import Task


def by_input(**answers: Any) -> Script:
    """Answers by the text of the attempt's parameters."""

    def answer(asked: Task) -> Any:
        return answers.get(str(asked.parameters), Gives(asked.parameters))

    return answer


# ------------------------------------------------------------------------------------ Parallel


def test_branches_get_the_same_input_and_their_outputs_keep_their_order() -> None:
    branches = [
        chain(A=passing(Result="a")),
        chain(B=passing()),
        chain(C=waiting(5), C2=passing(Result="c")),
    ]
    desk = Desk(chain(P=parallel(*branches)), {"x": 1}).run()
    assert desk.output == ["a", {"x": 1}, "c"]


def test_a_parallel_moves_data() -> None:
    members = {
        "InputPath": "$.in",
        "Parameters": {"p.$": "$"},
        "ResultSelector": {"first.$": "$[0]"},
        "ResultPath": "$.out",
        "OutputPath": "$.out",
    }
    desk = Desk(chain(P=parallel(chain(A=passing()), chain(B=passing()), **members)), {"in": 1})
    assert desk.output == {"first": {"p": 1}}


def test_the_history_of_a_parallel_links_each_branch_to_its_start() -> None:
    desk = Desk(chain(P=parallel(chain(A=passing()), chain(B=passing()))))
    assert [(e.id, e.previous, e.type) for e in desk.history()] == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "ParallelStateEntered"),
        (3, 2, "ParallelStateStarted"),
        (4, 3, "PassStateEntered"),
        (5, 3, "PassStateEntered"),
        (6, 4, "PassStateExited"),
        (7, 5, "PassStateExited"),
        (8, 7, "ParallelStateSucceeded"),
        (9, 7, "ParallelStateExited"),
        (10, 9, "ExecutionSucceeded"),
    ]


def test_a_failing_branch_stops_its_siblings() -> None:
    definition = chain(
        P=parallel(
            chain(A=task()),
            chain(B=waiting(50)),
            chain(C=passing(), C2=task()),
            chain(D=parallel(chain(D1=task()), chain(D2=mapping(chain(D3=task()))))),
        )
    )
    desk = Desk(definition, [1, 2])
    failed = desk.wanted[0]
    left = {t: desk.execution.task(t) for t in desk.wanted[1:]}
    assert desk.fails(failed, "E", "why")
    assert desk.outcome == ("FAILED", None, ("E", "why"))
    assert desk.wanted == []
    # Nobody had seen them: their names stay taken.
    assert {t: c.digest for t, c in desk.execution.closing().items()} == {
        t: task and task.digest for t, task in left.items()
    }
    types = desk.types()
    for aborted, count in [
        ("TaskStateAborted", 4),
        ("WaitStateAborted", 1),
        ("MapStateAborted", 1),
        ("MapIterationAborted", 2),
        ("ParallelStateAborted", 1),
        ("ParallelStateFailed", 1),
        ("PassStateAborted", 0),
    ]:
        assert types.count(aborted) == count, aborted
    assert types[-2:] == ["ParallelStateFailed", "ExecutionFailed"]


def test_an_event_of_a_stopped_sibling_changes_nothing() -> None:
    states = {
        "P": parallel(chain(A=task()), chain(B=task()), Catch=[catcher("W")], End=True),
        "W": waiting(End=True),
    }
    desk = Desk({"StartAt": "P", "States": states})
    one, two = desk.wanted
    desk.fails(one)
    assert not desk.gives(two)
    assert not desk.fails(two)
    assert desk.starts(two, "")  # it existed after all
    assert not desk.starts(two, "")
    assert [p.name for p in desk.execution.places(9)] == ["W"]


def test_a_parallel_that_failed_can_be_caught() -> None:
    states = {
        "P": parallel(chain(A=failing("E", Cause="c")), Catch=[catcher("C", "E")], End=True),
        "C": passing(End=True),
    }
    desk = Desk({"StartAt": "P", "States": states})
    assert desk.output == {"Error": "E", "Cause": "c"}
    assert desk.types()[3:6] == ["FailStateEntered", "ParallelStateFailed", "ParallelStateExited"]


def test_a_parallel_that_failed_is_run_anew_by_a_retry() -> None:
    state = parallel(chain(A=task()), chain(B=task()), Retry=[retrier(IntervalSeconds=5)])
    desk = Desk(chain(P=state), answer=script(A=[Fails("E"), Gives("a")], B=Gives("b", after=2)))
    desk.run()
    assert desk.outcome == ("SUCCEEDED", ["a", "b"], None)
    assert [(t.id.frame, t.id.entry) for t in desk.attempts] == [(1, 2), (2, 3), (3, 4), (4, 5)]
    assert desk.types().count("ParallelStateStarted") == 2
    assert desk.types().count("ParallelStateEntered") == 1
    assert "ParallelStateFailed" not in desk.types()


def test_a_child_that_catches_its_own_error_does_not_fail_its_parent() -> None:
    branch = {
        "StartAt": "A",
        "States": {"A": task(Catch=[catcher("C")], End=True), "C": passing(End=True)},
    }
    desk = Desk(chain(P=parallel(branch, chain(B=passing()))), answer=script(A=Fails("E"))).run()
    assert desk.status == "SUCCEEDED"


def test_an_error_rises_through_every_fork_until_one_catches() -> None:
    inner = mapping(chain(P=parallel(chain(F=failing("Deep")))))
    states = {
        "M": mapping(chain(In=inner), Catch=[catcher("C", "Deep")], End=True),
        "C": passing(End=True),
    }
    desk = Desk({"StartAt": "M", "States": states}, [[1]])
    assert desk.output == {"Error": "Deep", "Cause": ""}
    assert [t for t in desk.types() if t.endswith("Failed")] == [
        "ParallelStateFailed", "MapIterationFailed", "MapStateFailed", "MapIterationFailed",
        "MapStateFailed",
    ]  # fmt: skip


def test_a_state_whose_result_does_not_fit_climbs_the_ladder_too() -> None:
    state = parallel(chain(A=passing()), ResultSelector={"x.$": "$[5]"})
    desk = Desk(chain(P=state))
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert desk.wanted == []


# ------------------------------------------------------------------------------------------ Map


def test_items_are_run_and_their_outputs_keep_their_order() -> None:
    answer = by_input(**{"1": Gives("one", after=3), "2": Gives("two", after=1)})
    desk = Desk(chain(M=mapping(chain(T=task()))), [1, 2, 3], answer).run()
    assert desk.output == ["one", "two", 3]
    order = [e.details["index"] for e in desk.history() if e.type == "MapIterationSucceeded"]  # type: ignore[index]
    assert order == [2, 1, 0]


def test_a_map_of_nothing_gives_nothing() -> None:
    desk = Desk(chain(M=mapping(chain(T=task()))), [])
    assert desk.output == []
    assert [t for t in desk.types() if t.startswith("Map")] == [
        "MapStateEntered", "MapStateStarted", "MapStateSucceeded", "MapStateExited",
    ]  # fmt: skip


def test_a_map_moves_data() -> None:
    members = {
        "InputPath": "$.in",
        "ItemsPath": "$.list",
        "ItemSelector": {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "c.$": "$.c"},
        "ResultSelector": {"all.$": "$"},
        "ResultPath": "$.out",
        "OutputPath": "$.out",
    }
    desk = Desk(chain(M=mapping(chain(A=passing()), **members)), {"in": {"list": [7], "c": 8}})
    assert desk.output == {"all": [{"v": 7, "i": 0, "c": 8}]}


def test_a_map_takes_its_older_names() -> None:
    state = {
        "Type": "Map",
        "Iterator": chain(A=passing()),
        "Parameters": {"v.$": "$$.Map.Item.Value"},
    }
    assert Desk(chain(M=state), [1, 2]).output == [{"v": 1}, {"v": 2}]


NOT_LISTS = [
    ({"a": 1}, "object"), ("x", "string"), (1, "number"), (1.5, "number"), (True, "boolean"),
    (None, "null"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind"), NOT_LISTS)
def test_a_map_needs_an_array(value: Any, kind: str) -> None:
    desk = Desk(chain(M=mapping(chain(T=task()), ItemsPath="$.l")), {"l": value})
    assert desk.error is not None
    assert str(desk.error[1]).endswith(f"Map state input must be an array but was: {kind}")


def _most_at_once(definition: Any, given: Any, **more: Any) -> int:
    desk = Desk(definition, given, answer=lambda _: Gives(1, after=1), **more)
    most = len(desk.wanted)
    while desk.step():
        most = max(most, len(desk.wanted))
    assert desk.status == "SUCCEEDED"
    return most


@pytest.mark.parametrize(
    ("members", "given", "most"),
    [
        ({}, list(range(7)), 7),
        ({"MaxConcurrency": 0}, list(range(7)), 7),
        ({"MaxConcurrency": 3}, list(range(7)), 3),
        ({"MaxConcurrency": 1}, list(range(7)), 1),
        ({"MaxConcurrencyPath": "$.n", "ItemsPath": "$.l"}, {"n": 2, "l": [1, 2, 3]}, 2),
        ({"MaxConcurrencyPath": "$.n", "ItemsPath": "$.l"}, {"n": 0, "l": [1, 2, 3]}, 3),
    ],
)
def test_so_many_items_run_at_once(members: dict[str, Any], given: Any, most: int) -> None:
    assert _most_at_once(chain(M=mapping(chain(T=task()), **members)), given) == most


@pytest.mark.parametrize("value", [-1, True, "2", 1.5, None])
def test_a_concurrency_must_be_a_number(value: Any) -> None:
    state = mapping(chain(T=task()), MaxConcurrencyPath="$.n", ItemsPath="$.l")
    desk = Desk(chain(M=state), {"n": value, "l": [1]})
    assert desk.error is not None
    assert "which is not a valid integer: $.n" in str(desk.error[1])


def test_a_failing_item_stops_the_others_and_is_counted() -> None:
    desk = Desk(chain(M=mapping(chain(T=task()))), [1, 2, 3])
    one, two, _ = desk.wanted
    desk.gives(one)
    desk.fails(two, "E")
    assert desk.outcome == ("FAILED", None, ("E", None))
    progress = desk.execution.progress
    assert (progress.done, progress.total, progress.failed) == (1, 3, 1)
    types = desk.types()
    assert types.count("MapIterationFailed") == 1
    assert types.count("MapIterationAborted") == 1


def test_a_map_that_failed_is_run_anew_by_a_retry() -> None:
    state = mapping(chain(T=task()), MaxConcurrency=2, Retry=[retrier(IntervalSeconds=1)])
    answer = script(T=[Gives("a"), Fails("E"), Gives("b"), Gives("c"), Gives("d"), Gives("e")])
    desk = Desk(chain(M=state), [1, 2, 3], answer).run()
    assert desk.status == "SUCCEEDED"
    assert len(desk.output) == 3
    progress = desk.execution.progress
    assert (progress.done, progress.total, progress.failed) == (3, 3, 1)


def test_an_item_that_cannot_be_selected_fails_the_map() -> None:
    state = mapping(chain(T=task()), ItemSelector={"v.$": "$$.Map.Item.Value.x"})
    desk = Desk(chain(M=state), [{"x": 1}, {"y": 2}, {"x": 3}])
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert desk.wanted == []


def test_an_items_error_in_a_later_turn_fails_the_map_as_well() -> None:
    state = mapping(chain(T=task()), MaxConcurrency=1, ItemSelector={"v.$": "$$.Map.Item.Value.x"})
    states = {"M": {**state, "Catch": [catcher("C", "States.ALL")], "End": True}}
    desk = Desk({"StartAt": "M", "States": {**states, "C": passing(End=True)}}, [{"x": 1}, {}])
    desk.gives(desk.only)
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"  # which no catcher takes


def test_a_retried_item_keeps_its_place() -> None:
    state = mapping(chain(T=task(Retry=[retrier(IntervalSeconds=9)])), MaxConcurrency=2)
    desk = Desk(chain(M=state), [1, 2, 3], script(T=[Fails("E"), Gives("b"), Gives("c")])).run()
    assert desk.status == "SUCCEEDED"
    assert len(desk.output) == 3


# ------------------------------------------------------------------------------- live frames


@pytest.mark.parametrize("live_frames_max", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("restarts", [False, True])
def test_nested_maps_never_wait_for_each_other(live_frames_max: int, restarts: bool) -> None:
    inner = mapping(chain(In=mapping(chain(T=task()))))
    desk = Desk(
        chain(Out=mapping(chain(Mid=inner))),
        [[[1, 2, 3], [4]], [[], [5, 6]], []],
        answer=lambda t: Gives(t.parameters, after=t.parameters % 3),
        limits=Limits(live_frames_max=live_frames_max),
    )
    while desk.step():
        if restarts:
            desk.restart()
    assert desk.outcome == ("SUCCEEDED", [[[1, 2, 3], [4]], [[], [5, 6]], []], None)


def test_a_map_has_no_more_frames_than_may_live() -> None:
    limits = Limits(live_frames_max=10)
    assert _most_at_once(chain(M=mapping(chain(T=task()))), list(range(50)), limits=limits) == 9


def test_branches_of_a_parallel_do_not_wait_for_room() -> None:
    branches = [chain(**{f"T{n}": task()}) for n in range(6)]
    most = _most_at_once(chain(P=parallel(*branches)), {}, limits=Limits(live_frames_max=2))
    assert most == 6


def test_a_map_that_failed_gives_its_room_to_the_others() -> None:
    one = mapping(chain(A=task()), ItemsPath="$.a", Catch=[catcher("C1")], End=True)
    two = mapping(chain(B=task()), ItemsPath="$.b")
    first = {"StartAt": "M1", "States": {"M1": one, "C1": passing(End=True)}}
    desk = Desk(
        chain(P=parallel(first, chain(M2=two))),
        {"a": [1, 2, 3], "b": [4, 5, 6]},
        script(A=[Silent(), Fails("E", after=5)], B=Gives("b", after=2)),
        limits=Limits(live_frames_max=5),
    ).run()
    assert desk.status == "SUCCEEDED"
    assert desk.output[1] == ["b", "b", "b"]


def test_a_turn_that_ends_among_the_branches_goes_on_with_them() -> None:
    branches = [chain(**{f"T{n}": task()}) for n in range(6)]
    desk = Desk(chain(P=parallel(*branches)), limits=Limits(turn_transitions_max=2)).run()
    assert desk.status == "SUCCEEDED"
    assert len(desk.attempts) == 6


def test_many_items_fit_and_come_back() -> None:
    limits = Limits(live_frames_max=150)
    desk = Desk(chain(M=mapping(chain(T=task()))), list(range(200)), limits=limits, thorough=False)
    while desk.execution.busy:
        desk.tick()
    assert len(desk.wanted) == 149
    desk.restart()
    desk.run()
    assert desk.output == list(range(200))


def test_items_of_batches_are_counted_alike_before_and_after_a_restart() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    members = {"ItemBatcher": {"MaxItemsPerBatch": 2}, "ResultSelector": {"x.$": "$nothing"}}
    inner = {**chain(A=passing(Result=1), T=task()), "ProcessorConfig": config}
    desk = Desk(chain(M=mapping(inner, **members)), [1, 2, 3], thorough=False)
    first, second = desk.wanted
    desk.restart()
    desk.gives(first)
    assert desk.execution.progress.done == 2
    desk.restart()
    desk.gives(second)  # and the Map fails, which a redrive would finish
    assert desk.status == "FAILED"
    progress = desk.execution.progress
    assert (progress.done, progress.total) == (3, 3)


BATCHED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def bounded(language: str, field: str, value: Any) -> Desk:
    """A Map of one item whose number is written, at a path, or of an expression."""
    inner: Any = chain(I=passing())
    batch: dict[str, Any] = {field: value}
    if language == "Path":
        batch = {f"{field}Path": "$.n"}
    elif language == "Query":
        batch = {field: f"{{% {value} %}}"}
    members: dict[str, Any] = batch
    if field.startswith("MaxI"):
        inner, members = {**inner, "ProcessorConfig": BATCHED}, {"ItemBatcher": batch}
    if language == "Query":
        members |= {"QueryLanguage": "JSONata", "Items": "{% [1] %}"}
    else:
        members |= {"ItemsPath": "$.l"}
    return Desk(chain(mapping(inner, **members)), {"l": [1], "n": value})


@pytest.mark.parametrize("language", ["Written", "Path", "Query"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MaxConcurrency", 100_000_000),
        ("MaxConcurrency", 2**53),
        ("MaxItemsPerBatch", 99_999_999),
        ("MaxInputBytesPerBatch", 262_144),
    ],
)
def test_a_number_may_be_as_large_wherever_it_comes_from(
    language: str, field: str, value: int
) -> None:
    assert bounded(language, field, value).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("language", "field", "value", "cause"),
    [
        ("Path", "MaxConcurrency", 2**63, "may be 9,223,372,036,854,775,807 at most"),
        ("Path", "MaxConcurrency", 10**400, "MaxConcurrency is larger; it may be"),
        ("Path", "MaxItemsPerBatch", 100_000_000, "is 100,000,000; it may be 99,999,999 at most"),
        ("Path", "MaxInputBytesPerBatch", 262_145, "is 262,145; it may be 262,144 at most"),
        ("Query", "MaxItemsPerBatch", 100_000_000, "between 1 and 99999999"),
        ("Query", "MaxInputBytesPerBatch", 262_145, "between 1 and 262144"),
    ],
)
def test_a_number_beyond_is_refused_with_its_own_bound(
    language: str, field: str, value: int, cause: str
) -> None:
    desk = bounded(language, field, value)
    assert desk.status == "FAILED"
    assert desk.error is not None
    assert cause in str(desk.error[1])
