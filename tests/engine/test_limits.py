"""Limits that an installation or a machine chooses, and what becomes of what is beyond them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.desk import BEGIN, Desk, Gives, Silent, script
from tests.support.machines import chain, mapping, passing, task
from treadle.asl.limits import AWS, DEFAULT, Limits

TOO_LARGE = "States.DataLimitExceeded"


def assigning(**names: int) -> dict[str, Any]:
    """A state that assigns texts of so many characters."""
    return passing(Assign={name: "z" * length for name, length in names.items()})


# -------------------------------------------------------------------------------------- Assign


@pytest.mark.parametrize(
    ("limits", "state", "said"),
    [
        # As JSON: {"x":"zzz"} has 8 more bytes than the text, "zzz" has 2 more.
        (Limits(assign_bytes_max=108), assigning(x=100), None),
        (Limits(assign_bytes_max=107), assigning(x=100), "state 'S1' assigns takes 108 bytes"),
        (Limits(variable_bytes_max=102), assigning(x=100, y=100, z=9), None),
        (Limits(variable_bytes_max=101), assigning(x=9, y=100), "variable 'y' takes 102 bytes"),
        (Limits(variables_bytes_max=107), assigning(x=100), "of the execution take 108 bytes"),
        (AWS, assigning(x=262_144 - 8), None),
        (AWS, assigning(x=262_144 - 7), "the setting assignBytesMax allows 262144."),
        (AWS, assigning(x=200_000, y=200_000), "the setting assignBytesMax allows 262144."),
        (DEFAULT, assigning(x=200_000, y=200_000), None),
        # What is assigned need not fit in a payload that a machine has made smaller.
        (Limits(payload_bytes_max=300), assigning(x=1_000), None),
    ],
)
def test_what_one_assign_gives_and_each_variable_is_bounded(
    limits: Limits, state: dict[str, Any], said: str | None
) -> None:
    desk = Desk(chain(state), limits=limits, thorough=False).run()
    if said is None:
        assert desk.status == "SUCCEEDED"
    else:
        assert desk.error is not None
        assert desk.error[0] == TOO_LARGE
        assert said in str(desk.error[1])


def test_too_large_a_variable_can_be_caught() -> None:
    catch = [{"ErrorEquals": [TOO_LARGE], "Next": "B"}]
    machine = chain(A=task(Assign={"x.$": "$"}, Catch=catch), B=passing(Result="caught"))
    desk = Desk(machine, limits=Limits(variable_bytes_max=300))
    desk.gives(desk.only, "z" * 400)
    assert desk.output == "caught"


# --------------------------------------------------------------------------------- concurrency


@pytest.mark.parametrize(
    ("most", "asked", "items", "live"),
    [
        (40, 0, 100, 40),
        (40, 50, 100, 40),
        (40, 7, 100, 7),
        (40, 0, 40, 40),
        (0, 0, 100, 100),
        (0, 50, 100, 50),
    ],
)
def test_an_inline_map_has_no_more_iterations_at_once(
    most: int, asked: int, items: int, live: int
) -> None:
    state = mapping(chain(T=task()), MaxConcurrency=asked)
    limits = replace(DEFAULT, map_concurrency_max=most)
    desk = Desk(chain(state), list(range(items)), limits=limits, thorough=False)
    while desk.execution.busy:
        desk.tick()
    assert len(desk.wanted) == live
    desk.run()
    assert desk.output == list(range(items))


def test_a_distributed_map_is_not_held_to_the_bound_of_an_inline_one() -> None:
    state = mapping(
        chain(T=task()),
        ItemProcessor={
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **chain(T=task()),
        },
    )
    desk = Desk(chain(state), list(range(60)), limits=AWS, thorough=False)
    while desk.execution.busy:
        desk.tick()
    assert len(desk.wanted) == 60


# ------------------------------------------------------------------------------------- seconds


@pytest.mark.parametrize(
    ("most", "asked", "ends_after", "is_limit"),
    [
        (300, None, 300, True),
        (300, 400, 300, True),
        (300, 300, 300, False),
        (300, 200, 200, False),
        (0, 200, 200, False),
    ],
)
def test_an_execution_lasts_no_longer_than_it_may(
    most: int, asked: int | None, ends_after: int, is_limit: bool
) -> None:
    machine = chain(task())
    if asked is not None:
        machine["TimeoutSeconds"] = asked
    limits = Limits(execution_seconds_max=most)
    desk = Desk(machine, answer=script(S1=Silent()), limits=limits).run()
    assert (desk.status, desk.now) == ("TIMED_OUT", BEGIN + timedelta(seconds=ends_after))
    assert desk.error is not None
    assert desk.error[0] == "States.Timeout"
    cause = f"The setting executionSecondsMax allows an execution {ends_after} seconds."
    assert desk.error[1] == (cause if is_limit else None)


def test_without_a_bound_an_execution_has_no_deadline() -> None:
    assert Desk(chain(task())).execution.next_due() is None


def test_a_deadline_stays_where_it_was_at_the_start() -> None:
    limits = Limits(execution_seconds_max=300)
    desk = Desk(chain(task()), answer=script(S1=Silent()), limits=limits)
    desk.save()
    desk.limits = Limits(execution_seconds_max=100)
    desk.restart()
    assert desk.execution.next_due() == BEGIN + timedelta(seconds=300)


# ---------------------------------------------------------- a limit that is lowered meanwhile


def test_what_had_passed_a_limit_is_computed_again_under_a_lower_one() -> None:
    each = chain(T=task(Parameters={"all.$": "$"}), U=task())
    state = mapping(each, ItemSelector={"padding": "z" * 1_000, "item.$": "$$.Map.Item.Value"})
    desk = Desk(chain(state), [1, 2], answer=script(T=Gives(7)))
    desk.save()
    desk.limits = Limits(payload_bytes_max=600)
    desk.restart()
    for found in desk.wanted:
        task_ = desk.execution.task(found)
        assert task_ is not None
        assert len(task_.parameters["all"]["padding"]) == 1_000
    desk.run()
    assert desk.output == [7, 7]


def test_what_comes_after_is_held_to_the_lower_limit() -> None:
    desk = Desk(chain(task(), passing()), answer=script(S1=Gives("z" * 1_000, after=5)))
    desk.save()
    desk.limits = Limits(payload_bytes_max=600)
    desk.restart()
    desk.run()
    assert desk.error is not None
    assert desk.error[0] == TOO_LARGE
