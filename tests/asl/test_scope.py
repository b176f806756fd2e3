"""All paths of one visit share what they may cost."""

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.intrinsics import compile_call
from treadle.asl.limits import (
    AGAIN_SECONDS_MAX,
    EXPRESSION_SECONDS_MAX,
    VISIT_NODES_MAX,
    VISIT_SECONDS_MAX,
)
from treadle.asl.paths import compile_path
from treadle.asl.scope import Effort, Scope
from treadle.asl.templates import compile_template

DEAR = "$..[?(@.a>1)]"


def a_scope(effort: Effort) -> Scope:
    data = {"rows": [{"a": number} for number in range(1_000)]}
    return Scope(data, dict, Chance(b"seed"), effort)


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda scope: compile_path(DEAR).find(scope),
        lambda scope: compile_template({"k.$": DEAR}).render(scope),
        lambda scope: compile_call(f"States.ArrayLength({DEAR})").evaluate(scope),
    ],
    ids=["path", "template", "call"],
)
def test_what_an_evaluation_costs_is_counted_for_the_whole_visit(evaluate) -> None:  # type: ignore[no-untyped-def]
    whole = Effort()
    effort = Effort(VISIT_NODES_MAX, whole)
    evaluate(a_scope(effort))
    assert effort.nodes == whole.nodes > 1_000
    with pytest.raises(EvaluationFailed, match="expressions of the state cost more than"):
        evaluate(a_scope(Effort(effort.nodes - 1)))


def test_what_was_evaluated_before_is_not_hurried() -> None:
    hurried = Effort(stopwatch=iter([0.0, 1.0, 2.0]).__next__)
    assert hurried.seconds_left() == VISIT_SECONDS_MAX - 1.0
    with pytest.raises(EvaluationFailed, match=r"take more than 1\.5 s"):
        hurried.seconds_left()
    assert Effort(stopwatch=iter([0.0]).__next__, again=True).seconds_left() == AGAIN_SECONDS_MAX
    assert Effort().seconds_left() == EXPRESSION_SECONDS_MAX
    assert Effort().seconds == 0.0


def test_an_effort_may_have_less_time_than_a_visit() -> None:
    assert Effort(stopwatch=iter([3.0, 3.0]).__next__, seconds_max=0.25).seconds_left() == 0.25
