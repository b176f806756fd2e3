"""Choice: the first rule that holds decides. Spec: "Choice State"."""

from treadle.asl.errors import NO_CHOICE_MATCHED, EvaluationFailed
from treadle.asl.program import Choice
from treadle.engine.flow import Visit, assigned, effective_input, output
from treadle.engine.steps import Done, Step


def work(state: Choice, visit: Visit) -> Step:
    """Where to go next. What the state itself assigns and gives counts for `default` alone."""
    effective = effective_input(visit)
    for number, rule in enumerate(state.rules):
        if rule.condition.matches(visit.scope(effective.value, f"Choices/{number}")):
            given = assigned(rule.assign, effective, visit)
            return Done(output(visit, rule.data, effective), rule.next, given)
    if state.default is None:
        raise EvaluationFailed(
            NO_CHOICE_MATCHED,
            "Failed to transition out of the state. The state does not point to a next state.",
        )
    given = assigned(state.assign, effective, visit)
    return Done(output(visit, state.data, effective), state.default, given)
