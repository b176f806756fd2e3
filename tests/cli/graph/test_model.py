"""A definition as states and the ways between them; conditions in a few words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.machines import catcher, chain, failing, mapping, parallel, passing, task
from treadle.cli.graph.conditions import CHARS_MAX, condition
from treadle.cli.graph.model import Edge, Flow, graph, nodes_of


def test_a_chain_has_a_start_and_an_end() -> None:
    found = graph(chain(passing(), task(), {"Type": "Succeed"}) | {"Comment": "why"}, "m")
    assert (found.name, found.comment) == ("m", "why")
    assert (found.flow.start, found.flow.ends) == ("s1", ("s3",))
    assert [(node.name, node.type) for node in found.flow.nodes] == [
        ("S1", "Pass"),
        ("S2", "Task"),
        ("S3", "Succeed"),
    ]
    assert found.flow.edges == (Edge("s1", "s2", "next"), Edge("s2", "s3", "next"))


def test_each_way_out_has_its_words() -> None:
    rules = [{"Variable": "$.n", "NumericLessThan": 3, "Next": "A"}]
    work = task(
        Catch=[catcher("A"), catcher("A", "X", "Y", "Z", "V", "W"), {"Next": "A"}], Next="C"
    )
    states = {"C": {"Type": "Choice", "Choices": rules, "Default": "W"}, "W": work, "A": failing()}
    found = graph({"StartAt": "C", "States": states}).flow
    assert [(edge.way, edge.label) for edge in found.edges] == [
        ("choice", "$.n < 3"),
        ("default", "otherwise"),
        ("next", ""),
        ("catch", "any error"),
        ("catch", "X, Y, Z and 2 more"),
        ("catch", ""),
    ]
    assert found.ends == ()


def test_groups_are_nested() -> None:
    inner = chain(mapping(chain(Deep=passing())))
    old = {"Type": "Map", "Iterator": chain(Old=passing()), "End": True}
    found = graph(chain(parallel(inner, chain(Side=old)), mapping(chain(Item=passing())))).flow
    fork, each = found.nodes
    assert [group.label for group in fork.groups] == ["Branch 1", "Branch 2"]
    assert [group.label for group in each.groups] == [""]
    names = [node.name for node in nodes_of(found)]
    assert names == ["S1", "S1", "Deep", "Side", "Old", "S2", "Item"]
    assert len({node.id for node in nodes_of(found)}) == len(names)


@pytest.mark.parametrize(
    ("state", "detail"),
    [
        (task(), "treadle:activity/work"),
        (task(Resource="arn:aws:states:::lambda:invoke"), "lambda:invoke"),
        (task(Resource="arn:aws:lambda:us-east-1:123456789012:function:Pay:1"), "lambda:Pay:1"),
        (task(Resource="arn:aws:states:::sqs:sendMessage"), "sqs:sendMessage"),
        (task(Resource="arn:short"), "arn:short"),
        ({"Type": "Wait", "Seconds": 5}, "5 s"),
        ({"Type": "Wait", "SecondsPath": "$.s"}, "$.s s"),
        ({"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z"}, "until 2026-01-01T00:00:00Z"),
        ({"Type": "Wait", "TimestampPath": "$.t"}, "until $.t"),
        ({"Type": "Wait"}, ""),
        (failing("Boom"), "Boom"),
        (mapping(chain(passing()), MaxConcurrency=4), "at most 4 at once"),
        (mapping(chain(passing())), ""),
        (passing(), ""),
    ],
)
def test_a_state_says_what_it_does(state: dict[str, Any], detail: str) -> None:
    (node,) = graph({"StartAt": "A", "States": {"A": state}}).flow.nodes
    assert node.detail == detail


@pytest.mark.parametrize("broken", [None, 1, [], {}, {"States": 1}, {"States": {"A": 1}}])
def test_what_is_no_machine_is_empty(broken: Any) -> None:
    assert graph(broken).flow == Flow(None, (), (), ())


def test_what_leads_nowhere_is_left_out() -> None:
    states = {"A": {"Next": "B", "Choices": [1, {"Next": 2}], "Type": 7, "Catch": 3}}
    found = graph({"StartAt": "C", "States": states}).flow
    assert (found.start, found.edges) == (None, ())
    assert found.nodes[0].type == "?"


A = {"Variable": "$.a"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.a", "StringEquals": "x"}, '$.a = "x"'),
        ({"Variable": "$.a", "StringEqualsPath": "$.b"}, "$.a = $.b"),
        ({"Variable": "$.a", "NumericGreaterThanEquals": 1.5}, "$.a ≥ 1.5"),
        ({"Variable": "$.a", "NumericLessThanEqualsPath": "$.b"}, "$.a ≤ $.b"),
        ({"Variable": "$.a", "BooleanEquals": True}, "$.a = true"),
        ({"Variable": "$.a", "TimestampGreaterThan": "2026-01-01T00:00:00Z"}, "$.a > 2026"),
        ({"Variable": "$.a", "IsPresent": False}, "$.a is not present"),
        ({"Variable": "$.a", "IsNull": True}, "$.a is null"),
        ({"Variable": "$.a", "StringMatches": "x*"}, '$.a matches "x*"'),
        ({"Not": {"Variable": "$.a", "IsString": True}}, "not $.a is a text"),
        (
            {"Or": [{**A, "IsNull": True}, {"And": [{**A, "IsString": True}, 1]}]},
            "$.a is null or ($.a is a text and ?)",
        ),
        ({"Condition": "{% $states.input.n > 5 %}"}, "$states.input.n > 5"),
        ({"Variable": "$.a"}, "?"),
        ({"StringMuch": 1}, "?"),
        ({"NumericEquals": 1}, "= 1"),
        ({"Not": {"Not": {"Not": {"Not": {"Not": 1}}}}}, "not not not not …"),
    ],
)  # fmt: skip
def test_a_condition_is_short_to_read(rule: dict[str, Any], words: str) -> None:
    assert condition(rule).startswith(words)


def test_a_long_condition_is_cut() -> None:
    found = condition({"Variable": "$." + "x" * 500, "IsNull": True})
    assert len(found) == CHARS_MAX
    assert found.endswith("…")


MEMBERS = (
    "StartAt States Type Next A Choices Catch Branches ItemProcessor And Or Not Variable IsNull "
    "StringEquals ErrorEquals Resource Seconds Default End"
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 1, 1.5, "A", "Choice", "Map", "Parallel", "$.x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS.split()), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_json_raises(value: Any) -> None:
    graph(value)
    graph({"StartAt": "A", "States": {"A": value, "B": value}})
