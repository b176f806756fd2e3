"""Variables in definitions: who may assign them, and how paths read them."""

from typing import Any

import pytest

from treadle.asl import document
from treadle.asl.chance import Chance
from treadle.asl.paths import PathNotFound, PathSyntaxError, compile_path, compile_reference
from treadle.asl.scope import Scope
from treadle.asl.templates import compile_template

PASS = {"Type": "Pass", "End": True}


def scope(**variables: Any) -> Scope:
    return Scope({"a": "data"}, lambda: {"a": "context"}, Chance(b"seed"), variables=variables)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$x", {"a": [1, 2]}),
        ("$x.a", [1, 2]),
        ("$x.a[1]", 2),
        ("$x['a'][*]", [1, 2]),
        ("$été", 7),
        ("$.a", "data"),
        ("$$.a", "context"),
    ],
)
def test_a_path_reads_a_variable(path: str, value: Any) -> None:
    assert compile_path(path).find(scope(x={"a": [1, 2]}, été=7)) == value


def test_a_variable_is_no_root() -> None:
    assert not compile_path("$x").is_root
    assert compile_path("$x").variable == "x"


def test_one_that_has_no_value_is_not_found() -> None:
    with pytest.raises(PathNotFound) as missing:
        compile_path("$x.a").find(scope(y=1))
    assert missing.value.message == "The variable '$x' has no value"


def test_templates_and_calls_read_them() -> None:
    template = compile_template({"a.$": "$x", "b.$": "States.Format('{}-{}', $x, $y[0])"})
    assert template.render(scope(x=1, y=["z"])) == {"a": 1, "b": "1-z"}


@pytest.mark.parametrize("path", ["$x", "$x.a"])
def test_a_result_is_not_put_into_one(path: str) -> None:
    with pytest.raises(PathSyntaxError, match="cannot point into a variable"):
        compile_reference(path)


def problems(states: Any, start: str = "A") -> list[tuple[str, str]]:
    _, found = document.inspect({"StartAt": start, "States": states})
    return [(problem.pointer, problem.code) for problem in found]


def around(inner: Any, **outer: Any) -> Any:
    branch = {"StartAt": "B", "States": {"B": inner}}
    return {"A": {"Type": "Parallel", "Branches": [branch], "End": True, **outer}}


def test_inner_states_do_not_assign_what_outer_ones_do() -> None:
    inner = {**PASS, "Assign": {"x": 1, "y": 2}}
    found = problems(around(inner, Assign={"x.$": "$"}))
    assert found == [("/States/A/Branches/0/States/B/Assign/x", "variable-outer")]


@pytest.mark.parametrize("member", ["Catch", "Choices"])
def test_also_not_where_only_a_catcher_or_a_rule_does(member: str) -> None:
    inner: Any = {**PASS, "Assign": {"x": 1}}
    if member == "Catch":
        catch = {"ErrorEquals": ["States.ALL"], "Next": "Z", "Assign": {"x": 1}}
        states = around(inner, Catch=[catch])
    else:
        rule = {"Variable": "$.a", "IsNull": True, "Next": "A", "Assign": {"x": 1}}
        states = {**around(inner), "C": {"Type": "Choice", "Choices": [rule], "Default": "A"}}
    states["Z"] = PASS
    codes = [code for _, code in problems(states) if code != "state-unreachable"]
    assert codes == ["variable-outer"]


def test_a_child_of_a_distributed_map_sees_none_and_may_assign_all() -> None:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    inner = {"StartAt": "B", "States": {"B": {**PASS, "Assign": {"x": 1}}}}
    members = {"End": True, "Assign": {"x": 1}}
    assert problems({"A": {"Type": "Map", "ItemProcessor": {**config, **inner}, **members}}) == []
    found = problems({"A": {"Type": "Map", "ItemProcessor": inner, **members}})
    assert [code for _, code in found] == ["variable-outer"]


def test_branches_side_by_side_have_their_own() -> None:
    branches = [
        {"StartAt": name, "States": {name: {**PASS, "Assign": {"x": 1}}}} for name in ("B", "C")
    ]
    assert problems({"A": {"Type": "Parallel", "Branches": branches, "End": True}}) == []


@pytest.mark.parametrize(
    ("member", "state"),
    [
        ("Assign", {**PASS, "Assign": {"x.$": 1}}),
        (
            "Choices/0/Assign",
            {"Type": "Choice", "Choices": [{"Condition": True, "Next": "B", "Assign": {"x.$": 1}}]},
        ),
        (
            "Catch/0/Assign",
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": "f"},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B", "Assign": {"x.$": 1}}],
                "End": True,
            },
        ),
    ],
)
def test_in_jsonata_the_whole_key_is_the_name_of_a_variable(member: str, state: Any) -> None:
    # Nothing could read it: no expression has a name with a dot and a dollar in it.
    states = {"A": {"QueryLanguage": "JSONata", **state}, "B": PASS}
    assert (f"/States/A/{member}/x.$", "variable-name") in problems(states)


def test_a_state_in_jsonata_does_not_assign_what_jsonpath_would() -> None:
    inner = {"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"x.$": 1}, "End": True}
    branch = {"StartAt": "I", "States": {"I": inner}}
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [branch], "End": True},
    }
    where = "/States/P/Branches/0/States/I/Assign/x.$"
    assert problems(states) == [(where, "variable-name")]
