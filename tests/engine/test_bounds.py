"""What an execution may cost and say has bounds, and the error says which."""

import itertools
import tracemalloc
from typing import Any

import pytest

from tests.support.desk import Desk, shown
from tests.support.machines import chain, mapping, parallel, passing, task
from treadle.asl.evaluator import Answer, Asked, answer
from treadle.asl.functions import FunctionFailed, fill
from treadle.asl.json import dumps
from treadle.asl.limits import FORMAT_CHARS_MAX, ITEM_NODES, TURN_BYTES_MAX, Limits
from treadle.engine import visits

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


# ------------------------------------------------------------------------------- selectors

ROWS = {"rows": [{"a": number} for number in range(20_000)]}
DEAR = {"all.$": "$.rows[?(@.a > 1)].a"}


def dear_map(**more: Any) -> Any:
    inner = chain(T=passing(Result=1))
    return chain(mapping(inner, ItemSelector=DEAR, ItemsPath="$.rows", MaxConcurrency=1, **more))


def test_all_selectors_of_a_map_share_a_bound_that_outlives_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visits, "ITEMS_NODES_MAX", 90_000)
    monkeypatch.setattr(visits, "ITEM_NODES", 5)
    few = {"rows": ROWS["rows"][:2_000]}
    desk = Desk(dear_map(), few, thorough=False)
    while desk.step():
        desk.restart()
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert "100,000 nodes" in str(desk.error[1])
    assert 5 < desk.types().count("MapIterationStarted") < 30
    again = Desk(dear_map(), few, thorough=False).run()
    assert desk.outcome == again.outcome
    assert desk.types() == again.types()


def test_a_selector_that_costs_little_is_for_many_items() -> None:
    selector = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value.a"}
    inner = chain(T=passing(Result=1))
    machine = chain(
        mapping(
            {**inner, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
            ItemSelector=selector,
            ItemsPath="$.rows",
        )
    )
    desk = Desk(machine, ROWS, thorough=False).run()
    assert desk.output == [1] * 20_000


def test_so_is_one_of_several_expressions() -> None:
    inner = chain(T=passing(Output=1))
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    selector = {f"v{n}": f"{{% $states.context.Map.Item.Value + {n} %}}" for n in range(8)}
    state = mapping(
        {**inner, "ProcessorConfig": config}, Items=list(range(1_000)), ItemSelector=selector
    )
    machine = {"QueryLanguage": "JSONata", **chain(state)}
    desk = Desk(machine, {"large": "x" * 900_000}, thorough=False)
    frame = desk.execution.memory.frames[0]
    spent = []
    while frame.fork is not None:
        spent.append(frame.fork.spent)
        desk.step()
    assert desk.run().output == [1] * 1_000
    # Without that what all items of any Map may share would be needed for these.
    assert 0 < spent[-1] < ITEM_NODES * 1_000


def test_time_bounds_the_selectors_of_a_map_too() -> None:
    clock = itertools.count()
    inner = chain(T=passing())
    machine = chain(mapping(inner, Items=list(range(9)), ItemSelector="{% 1 + 1 %}"))
    desk = Desk(
        {"QueryLanguage": "JSONata", **machine},
        thorough=False,
        stopwatch=lambda: next(clock) * 0.1,
    ).run()
    assert desk.error is not None
    assert desk.error[0] == "States.QueryEvaluationError"
    assert "take more than 1.5 s" in str(desk.error[1])
    assert 1 < desk.types().count("MapIterationStarted") < 9


def test_a_stretch_ends_when_expressions_have_taken_half_a_second() -> None:
    worked = [0.0]

    def slow(asked: Asked) -> Answer:
        worked[0] += 0.2
        return answer(asked)

    states = {f"P{n}": passing(Output="{% 1 + 1 %}", Next=f"P{n + 1}") for n in range(9)}
    machine = {
        "QueryLanguage": "JSONata",
        "StartAt": "P0",
        "States": {**states, "P9": passing(End=True)},
    }
    desk = Desk(machine, stopwatch=lambda: worked[0], evaluator=slow, thorough=False)
    assert desk.execution.transitions == 4  # three were left
    assert desk.run().output == 2


def test_what_was_evaluated_before_a_restart_is_not_hurried_after_it() -> None:
    slow = itertools.count()
    machine = {
        "QueryLanguage": "JSONata",
        **chain(mapping(chain(T=task(Arguments="{% $states.input.n + 1 %}")), Items=[{"n": 1}])),
    }
    desk = Desk(machine, stopwatch=lambda: next(slow) * 0.001, thorough=False)
    before = shown(desk.execution)
    desk.stopwatch = lambda: next(slow) * 10.0
    desk.restart()
    assert shown(desk.execution) == before


# ----------------------------------------------------------------------------------- depth


def test_a_loop_that_nests_its_data_ever_deeper_fails_by_name() -> None:
    again = {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "E"}]}
    states = {
        "P": parallel(chain(passing()), Next="C"),
        "C": {**again, "Default": "P"},
        "E": {"Type": "Succeed"},
    }
    desk = Desk({"StartAt": "P", "States": states}, thorough=False).run()
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    assert "nested too deeply" in str(desk.error[1])


@pytest.mark.parametrize("levels", [250, 253, 254, 300])
@pytest.mark.parametrize("field", ["Output", "Assign", "Items", "Condition", "ItemSelector"])
def test_what_jsonata_nests_too_deeply_fails_by_name(field: str, levels: int) -> None:
    deeper = "$f := function($n, $a) {$n = 0 ? $a : $f($n - 1, {'a': $a})}"
    value = f"{{% ({deeper}; [$f({levels}, 1)]) %}}"
    inner = chain(Y=passing())
    state = {
        "Output": passing(Output=[value]),
        "Assign": passing(Assign={"v": value}),
        "Items": mapping(inner, Items=[value, 1]),
        "ItemSelector": mapping(inner, Items=[1], ItemSelector={"x": value}),
        "Condition": {"Type": "Choice", "Choices": [{"Condition": value, "Next": "Z"}]},
    }[field]
    machine = {"QueryLanguage": "JSONata", **chain(state, Z={"Type": "Succeed"})}
    desk = Desk(machine).run()
    name = (desk.error or ("", ""))[0]
    assert name in ("", "States.Runtime", "States.QueryEvaluationError")
    assert name or (levels < 253 and field != "Condition")
