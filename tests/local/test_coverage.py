"""What tests have covered: each state, rule, retrier and catcher, and nothing that was not used."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.treadles import states
from tests.support.workflows import RESOURCE, ran, succeed, task
from treadle.asl import document
from treadle.asl.json import Json
from treadle.local import coverage
from treadle.local.coverage import Coverage


def covered(
    definition: dict[str, Any], answers: Mapping[str, Json] | None = None, *inputs: Json
) -> Coverage:
    found = coverage.of(document.parse(definition))
    for given in inputs or ({},):
        result = ran(definition, answers, given, found)
        assert not result.trouble, result.trouble
    return found


def catch(*targets: tuple[str, str], **more: Any) -> list[dict[str, Any]]:
    return [{"ErrorEquals": [error], "Next": target, **more} for error, target in targets]


def throws(error: str, cause: str = "why") -> dict[str, Any]:
    return {"Throw": {"Error": error, "Cause": cause}}


def seen(found: Coverage, kind: str) -> list[str]:
    return [p for p, its in found.points.items() if its == kind and p in found.seen]


# Two rules, and the Default, that lead to the same state: the history cannot tell them apart.
SAME = states(
    C={
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.n", "NumericEquals": 1, "Next": "Done"},
            {"Variable": "$.n", "NumericEquals": 2, "Next": "Done"},
        ],
        "Default": "Done",
    },
    Done=succeed(),
)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([1], ["/States/C/Choices/0"]),
        ([2], ["/States/C/Choices/1"]),
        ([3], ["/States/C/Default"]),
        ([1, 3], ["/States/C/Choices/0", "/States/C/Default"]),
        ([1, 2, 3], ["/States/C/Choices/0", "/States/C/Choices/1", "/States/C/Default"]),
    ],
)
def test_the_rule_of_a_choice_is_told_whatever_it_leads_to(
    inputs: list[int], expected: list[str]
) -> None:
    found = covered(SAME, {}, *({"n": n} for n in inputs))
    assert seen(found, "choices") == expected
    assert found.counts()["choices"] == (len(expected), 3)


def test_a_choice_in_jsonata_is_told_as_well() -> None:
    rules = [{"Condition": "{% $states.input.n = 1 %}", "Next": "Done"}]
    choice = {"Type": "Choice", "Choices": rules, "Default": "Done"}
    machine = {**states(C=choice, Done=succeed()), "QueryLanguage": "JSONata"}
    assert seen(covered(machine, {}, {"n": 2}), "choices") == ["/States/C/Default"]
    assert seen(covered(machine, {}, {"n": 1}), "choices") == ["/States/C/Choices/0"]


def test_a_choice_without_a_default_has_none_to_cover() -> None:
    choice = {"Type": "Choice", "Choices": SAME["States"]["C"]["Choices"]}
    machine = states(C=choice, Done=succeed())
    found = covered(machine, {}, {"n": 3})  # States.NoChoiceMatched
    assert (seen(found, "choices"), found.counts()["choices"]) == ([], (0, 2))


def test_states_are_those_that_were_entered() -> None:
    machine = states(A=task(Next="B"), B=task())
    found = covered(machine, {"A": throws("E")})
    assert (found.seen, found.missed, found.percent) == ({"/States/A"}, ["/States/B"], 50)


def test_names_are_escaped_in_pointers() -> None:
    found = covered(states(**{"a/b~c": succeed()}))
    assert found.seen == {"/States/a~1b~0c"}


RETRY = [
    {"ErrorEquals": ["Slow"], "MaxAttempts": 1},
    {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2},
]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"Return": 1}, []),
        ([throws("Slow"), {"Return": 1}], [0]),
        ([throws("Other"), {"Return": 1}], [1]),
        ([throws("Other"), throws("Slow"), {"Return": 1}], [0, 1]),
        ([throws("States.Runtime")], []),
    ],
)
def test_retriers_are_those_that_waited(answers: Json, expected: list[int]) -> None:
    found = covered(states(A=task(Retry=RETRY)), {"A": answers})
    assert seen(found, "retriers") == [f"/States/A/Retry/{n}" for n in expected]


def test_the_retrier_of_a_parallel_that_a_fail_state_ends_is_told() -> None:
    branch = states(F={"Type": "Fail", "Error": "Slow"})
    machine = states(P={"Type": "Parallel", "Branches": [branch], "Retry": RETRY, "End": True})
    assert seen(covered(machine), "retriers") == ["/States/P/Retry/0"]


MANY = catch(("X", "Done"), ("Y", "Done"), ("States.TaskFailed", "Other"), ("States.ALL", "Done"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Return": 1}, []),
        (throws("X"), [0]),
        (throws("Y"), [1]),
        (throws("Z"), [2]),
        ({"Return": 1, "Delay": 9}, [3]),  # States.Timeout is no States.TaskFailed
        (throws("States.Runtime"), []),
    ],
)
def test_catchers_that_lead_to_the_same_state_are_told_by_the_error(
    answer: Json, expected: list[int]
) -> None:
    machine = states(
        A=task(Catch=MANY, Next="Done", TimeoutSeconds=5), Done=succeed(), Other=succeed()
    )
    found = covered(machine, {"A": answer})
    assert seen(found, "catchers") == [f"/States/A/Catch/{n}" for n in expected]
    assert found.unclear == set()


@pytest.mark.parametrize(
    ("resource", "expected"),
    [(f"{RESOURCE}.waitForTaskToken", 0), (RESOURCE, 1)],  # of the other no heartbeat is expected
)
def test_a_missed_heartbeat_is_told_from_a_timeout(resource: str, expected: int) -> None:
    both = catch(("States.HeartbeatTimeout", "Done"), ("States.Timeout", "Done"))
    waits = task(Resource=resource, HeartbeatSeconds=3, TimeoutSeconds=5, Catch=both, Next="Done")
    found = covered(states(A=waits, Done=succeed()), {"A": {"Return": 1, "Delay": 20}})
    assert seen(found, "catchers") == [f"/States/A/Catch/{expected}"]


def test_an_error_that_was_tried_again_is_not_the_one_that_was_caught() -> None:
    retry = [{"ErrorEquals": ["X"], "MaxAttempts": 1}]
    machine = states(A=task(Catch=MANY, Retry=retry, Next="Done"), Done=succeed(), Other=succeed())
    found = covered(machine, {"A": [throws("X"), throws("Y")]})
    assert seen(found, "catchers") == ["/States/A/Catch/1"]
    again = covered(machine, {"A": [throws("X"), {"Return": 1}]})
    assert seen(again, "catchers") == []


@pytest.mark.parametrize("error", ["X", "Y"])
@pytest.mark.parametrize("outer", ["Parallel", "Map"])
@pytest.mark.parametrize("inner", ["Task", "Fail", "Parallel", "Map"])
def test_what_failed_deep_inside_is_caught_by_its_name(inner: str, outer: str, error: str) -> None:
    task_or_fail = {
        "Task": states(In=task()),
        "Fail": states(In={"Type": "Fail", "Error": error}),
        "Parallel": states(In={"Type": "Parallel", "Branches": [states(Deep=task())], "End": True}),
        "Map": states(In={"Type": "Map", "ItemProcessor": states(Deep=task()), "End": True}),
    }[inner]
    inside = (
        {"Branches": [task_or_fail]} if outer == "Parallel" else {"ItemProcessor": task_or_fail}
    )
    both = catch(("X", "Done"), ("Y", "Done"))
    machine = states(Out={"Type": outer, **inside, "Catch": both, "Next": "Done"}, Done=succeed())
    if outer == "Map":
        machine["States"]["Out"]["ItemsPath"] = "$.items"
    if inner == "Map":
        within = machine["States"]["Out"]
        holder = within["Branches"][0] if outer == "Parallel" else within["ItemProcessor"]
        holder["States"]["In"]["ItemsPath"] = "$.items"
    given = {"items": [{"items": [1]}]}
    answers = {} if inner == "Fail" else {"In" if inner == "Task" else "Deep": throws(error)}
    found = covered(machine, answers, given)
    assert seen(found, "catchers") == [f"/States/Out/Catch/{'XY'.index(error)}"]
    assert found.unclear == set()


def test_a_catcher_of_what_follows_a_result_is_told_where_it_leads() -> None:
    broken = task(ResultSelector={"a.$": "$.no"}, Catch=catch(("States.ALL", "Other")), Next="Done")
    machine = states(A=broken, Done=succeed(), Other=succeed())
    found = covered(machine, {"A": {"Return": {}}})
    # States.Runtime is taken by no catcher; the execution fails.
    assert seen(found, "catchers") == []
    text = "States.StringToJson('{')"
    broken = task(ResultSelector={"a.$": text}, Catch=catch(("States.ALL", "Other")), Next="Done")
    found = covered(states(A=broken, Done=succeed(), Other=succeed()), {"A": {"Return": {}}})
    assert seen(found, "catchers") == ["/States/A/Catch/0"]


def test_catchers_that_cannot_be_told_apart_are_said_to_be_so() -> None:
    fails = {"Type": "Fail", "ErrorPath": "$.error"}
    both = catch(("X", "Done"), ("Y", "Done"))
    machine = states(
        P={"Type": "Parallel", "Branches": [states(F=fails)], "Catch": both, "Next": "Done"},
        Done=succeed(),
    )
    found = covered(machine, {}, {"error": "Y"})
    pointers = ["/States/P/Catch/0", "/States/P/Catch/1"]
    assert (found.unclear, seen(found, "catchers")) == (set(pointers), [])
    assert found.missed == ["/States/P/Catch/0", "/States/P/Catch/1"]


def test_what_is_within_a_distributed_map_is_covered_as_well() -> None:
    processor = {
        **states(
            C=SAME["States"]["C"],
            Done=task(
                Retry=RETRY[:1], Catch=catch(("X", "Caught"), ("Y", "Caught")), Next="Caught"
            ),
            Caught=succeed(),
            Never=succeed(),
        ),
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    }
    processor["States"]["C"] = {**SAME["States"]["C"], "Default": "Never"}
    machine = states(M={"Type": "Map", "ItemProcessor": processor, "End": True})
    found = covered(machine, {"Done": [throws("Slow"), throws("Y")]}, [{"n": 2}])
    within = "/States/M/ItemProcessor/States"
    assert found.seen == {
        "/States/M",
        f"{within}/C",
        f"{within}/C/Choices/1",
        f"{within}/Done",
        f"{within}/Done/Retry/0",
        f"{within}/Done/Catch/1",
        f"{within}/Caught",
    }


def test_tests_add_to_what_others_covered() -> None:
    found = covered(SAME, {}, {"n": 1}, {"n": 2}, {"n": 3})
    assert (found.percent, found.missed) == (100, [])
