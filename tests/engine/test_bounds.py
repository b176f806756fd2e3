"""What an execution may cost and say has bounds, and the error says which."""

import tracemalloc
from typing import Any

import pytest

from tests.support.desk import Desk
from tests.support.machines import chain, mapping, passing, task
from treadle.asl.functions import FunctionFailed, fill
from treadle.asl.json import dumps
from treadle.asl.limits import FORMAT_CHARS_MAX, TURN_BYTES_MAX, Limits

MIB = 2**20
HALF = "\ud83d"  # half of a surrogate pair: JSON can hold it, UTF-8 cannot
TASK = chain(A=task())


# ---------------------------------------------------------------------------------- errors


def test_an_error_that_no_utf_8_can_hold_is_written_all_the_same() -> None:
    desk = Desk(TASK)
    desk.fails(desk.only, f"E{HALF}", f"because {HALF}")
    assert desk.error == ("E?", "because ?")
    for text in (*desk.error, dumps([entry.details for entry in desk.history()])):
        assert text is not None
        text.encode()


def test_such_an_error_can_be_caught_and_reads_the_same_after_a_restart() -> None:
    catch = [{"ErrorEquals": ["E?"], "Next": "B"}]
    desk = Desk(chain(A=task(Catch=catch), B=passing()))
    desk.fails(desk.only, f"E{HALF}", HALF)
    assert desk.outcome == ("SUCCEEDED", {"Error": "E?", "Cause": "?"}, None)
    desk.restart()
    assert desk.output == {"Error": "E?", "Cause": "?"}


def test_a_long_error_is_cut() -> None:
    limits = Limits(error_chars_max=4, cause_chars_max=8)
    desk = Desk(TASK, limits=limits)
    desk.fails(desk.only, "E" * 5, "c" * 9)
    assert desk.error == ("EEEE", "c" * 8)


# ------------------------------------------------------------------------------- templates


def peak_bytes(definition: Any, given: Any) -> tuple[Desk, int]:
    """How much memory was in use at once while a machine ran, beyond what was before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        desk = Desk(definition, given, thorough=False).run()
        return desk, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("inside", [False, True])
def test_a_template_that_would_be_huge_fails_before_it_is_written(inside: bool) -> None:
    # Values are shared until they are written: 80 times `$` costs nothing, its text is 72 MiB.
    many = {f"v{n}.$": "$" for n in range(80)}
    parameters = {"a": [many]} if inside else many
    machine = chain(passing(Parameters=parameters, ResultPath="$.b"))
    desk, most = peak_bytes(machine, {"x": "y" * (MIB * 9 // 10)})
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"
    assert "'S1'" in str(desk.error[1])
    assert most < 16 * MIB


def test_many_paths_whose_values_are_small_are_no_bulk() -> None:
    many = {f"v{n}.$": "$.x" for n in range(200)}
    desk = Desk(chain(passing(Parameters=many)), {"x": 1, "y": "z" * 1_000}).run()
    assert desk.output == {f"v{n}": 1 for n in range(200)}


# ------------------------------------------------------------------------------- functions


def test_a_text_that_no_payload_could_hold_is_not_made() -> None:
    piece = "x" * (FORMAT_CHARS_MAX // 4)
    assert len(fill(("",) * 5, [piece] * 4)) == FORMAT_CHARS_MAX
    with pytest.raises(FunctionFailed, match="more than 4,194,304 characters"):
        fill(("",) * 6, [piece] * 4 + ["x"])


def test_a_state_that_asks_for_one_fails_by_the_functions_name() -> None:
    call = f"States.Format('{'{}' * 5}', $.x, $.x, $.x, $.x, $.x)"
    desk = Desk(
        chain(passing(Parameters={"a.$": call})), {"x": "y" * 900_000}, thorough=False
    ).run()
    assert desk.error is not None
    assert desk.error[0] == "States.IntrinsicFailure"
    assert f"{FORMAT_CHARS_MAX:,}" in str(desk.error[1])


# ----------------------------------------------------------------------------------- turns


def test_a_turn_ends_after_so_many_bytes_and_the_next_goes_on() -> None:
    states = 20
    large = {"x": "y" * (MIB - 100)}
    most = TURN_BYTES_MAX // (MIB - 100) + 2
    desk = Desk(chain(*[passing()] * states), large, thorough=False)
    assert desk.execution.busy
    assert desk.execution.transitions <= most
    before = desk.execution.transitions
    desk.tick()
    assert before < desk.execution.transitions <= 2 * most
    desk.run()
    assert (desk.status, desk.output) == ("SUCCEEDED", large)


def test_so_does_one_that_starts_children_with_large_inputs() -> None:
    selector = {"whole.$": "$"}
    machine = chain(mapping(chain(T=task()), ItemsPath="$.items", ItemSelector=selector))
    desk = Desk(machine, {"items": [1] * 20, "x": "y" * (MIB - 400)}, thorough=False)
    assert desk.execution.busy
    assert 1 < len(desk.execution.memory.frames) <= TURN_BYTES_MAX // (MIB - 400) + 2
    while desk.execution.busy:
        desk.tick()
    assert len(desk.wanted) == 20


def test_small_states_are_counted_by_transitions_alone() -> None:
    desk = Desk(chain(*[passing()] * 20), {"x": "y" * 100}, thorough=False)
    assert (desk.status, desk.execution.busy) == ("SUCCEEDED", False)
