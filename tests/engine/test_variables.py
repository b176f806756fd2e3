"""Variables: assigned when a state is left, read from the next state on, and by inner states."""

from typing import Any

import pytest

from tests.support.desk import Desk
from tests.support.machines import chain, mapping, passing, task
from treadle.asl.limits import Limits


def reads(**paths: str) -> dict[str, Any]:
    return passing(Parameters={f"{name}.$": path for name, path in paths.items()})


def test_what_a_state_assigns_the_next_one_reads() -> None:
    machine = chain(A=passing(Assign={"x.$": "$.a", "y": [1]}), B=reads(x="$x", y="$y[0]"))
    assert Desk(machine, {"a": "v"}).run().output == {"x": "v", "y": 1}


def test_an_expression_sees_the_values_at_the_entry() -> None:
    machine = chain(
        A=passing(Assign={"x": 1, "y": 2}),
        B=passing(Assign={"x.$": "$y", "y.$": "$x"}),
        C=reads(x="$x", y="$y"),
    )
    assert Desk(machine).run().output == {"x": 2, "y": 1}


def test_a_task_assigns_from_its_result_and_not_from_what_becomes_of_it() -> None:
    machine = chain(
        A=task(ResultSelector={"no": 1}, ResultPath="$.r", Assign={"x.$": "$.n"}),
        B=reads(x="$x", all="$"),
    )
    desk = Desk(machine, {"a": 1})
    desk.gives(desk.only, {"n": 7})
    assert desk.output == {"x": 7, "all": {"a": 1, "r": {"no": 1}}}


def test_a_catcher_assigns_instead_of_the_state() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "B", "Assign": {"why.$": "$.Cause"}}]
    machine = chain(A=task(Catch=catch, Assign={"x": 1}), B=reads(why="$why"))
    desk = Desk(machine)
    desk.fails(desk.only, "E", "because")
    assert desk.output == {"why": "because"}


def test_the_history_names_what_was_assigned() -> None:
    desk = Desk(chain(passing(Assign={"x.$": "$.a", "y": None})), {"a": {"b": 1}}).run()
    (left,) = [entry for entry in desk.history() if entry.type == "PassStateExited"]
    assert left.details is not None
    assert left.details["assignedVariables"] == {"x": '{"b":1}', "y": "null"}
    assert left.details["assignedVariablesDetails"] == {"truncated": False}


def test_inner_states_read_outer_variables_and_keep_their_own_to_themselves() -> None:
    each = chain(I=passing(Assign={"mine.$": "$"}), J=reads(mine="$mine", outer="$outer"))
    machine = chain(
        A=passing(Assign={"outer": "o"}, ResultPath="$"),
        M=mapping(each, ItemsPath="$.items", Assign={"count.$": "States.ArrayLength($)"}),
        Z=reads(count="$count", all="$"),
    )
    desk = Desk(machine, {"items": [1, 2]}).run()
    both = [{"mine": 1, "outer": "o"}, {"mine": 2, "outer": "o"}]
    assert desk.output == {"count": 2, "all": both}


def test_what_was_inner_is_not_read_outside() -> None:
    each = chain(I=passing(Assign={"mine": 1}))
    machine = chain(M=mapping(each, ItemsPath="$"), Z=reads(a="$mine"))
    desk = Desk(machine, [1]).run()
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert "$mine" in str(desk.error[1])


def test_variables_survive_a_restart_also_large_ones() -> None:
    machine = chain(A=passing(Assign={"x.$": "$.big", "y": 1}), B=task(), C=reads(x="$x", y="$y"))
    desk = Desk(machine, {"big": "z" * 10_000})
    desk.restart()
    desk.gives(desk.only, {})
    assert desk.output == {"x": "z" * 10_000, "y": 1}


def test_all_variables_together_have_a_bound() -> None:
    states = [passing(Assign={f"v{n}.$": "$.big"}) for n in range(5)]
    limits = Limits(variables_bytes_max=2_000)
    desk = Desk(chain(*states), {"big": "z" * 900}, limits=limits).run()
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"
    assert "variablesBytesMax" in str(desk.error[1])


def test_assigning_one_again_takes_no_more_of_the_bound() -> None:
    states = [passing(Assign={"v.$": "$.big"}) for _ in range(20)]
    limits = Limits(variables_bytes_max=2_500)
    desk = Desk(chain(*states), {"big": "z" * 900}, limits=limits).run()
    assert desk.status == "SUCCEEDED"


@pytest.mark.parametrize(("given", "wanted"), [(1, "one"), (2, "other")])
def test_a_rule_assigns_instead_of_the_choice(given: int, wanted: str) -> None:
    rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "Z", "Assign": {"x": "one"}}
    machine = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [rule], "Default": "Z", "Assign": {"x": "other"}},
            "Z": {**reads(x="$x"), "End": True},
        },
    }
    assert Desk(machine, {"n": given}).run().output == {"x": wanted}


def test_a_catcher_that_cannot_assign_is_no_loop() -> None:
    catch = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "B", "Assign": {"y.$": "$"}}]
    machine = chain(
        A=passing(Assign={"x.$": "$.big"}), T=task(Catch=catch, Assign={"z.$": "$"}), B=passing()
    )
    desk = Desk(machine, {"big": "z" * 900}, limits=Limits(variables_bytes_max=950))
    desk.gives(desk.only, "w" * 100)
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"
