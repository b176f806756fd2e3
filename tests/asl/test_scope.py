"""All paths of one visit share what they may cost."""

import pytest

from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed
from treadle.asl.intrinsics import compile_call
from treadle.asl.limits import VISIT_NODES_MAX
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
