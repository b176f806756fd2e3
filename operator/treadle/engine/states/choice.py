"""Choice: the first rule that holds decides. Spec: "Choice State"."""

from treadle.asl.errors import NO_CHOICE_MATCHED, EvaluationFailed
from treadle.asl.program import Choice
from treadle.engine.flow import Visit, assigned, bounded, effective_input, select
from treadle.engine.steps import Done, Step


def work(state: Choice, visit: Visit) -> Step:
    """Where to go next."""
    effective = effective_input(visit)
    output = bounded(select(state.output_path, effective, visit, "OutputPath"), visit)
    for number, rule in enumerate(state.rules):
        if rule.condition.matches(visit.scope(effective.value, f"Choices/{number}")):
            return Done(output, rule.next, assigned(rule.assign, effective, visit))
    if state.default is None:
        raise EvaluationFailed(
            NO_CHOICE_MATCHED,
            "Failed to transition out of the state. The state does not point to a next state.",
        )
    return Done(output, state.default, assigned(state.assign, effective, visit))
