"""Pass, Succeed and Fail: states that are over when they are entered."""

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.asl.program import Fail, Pass, Succeed
from treadle.asl.templates import Template
from treadle.engine.flow import (
    Visit,
    assigned,
    bounded,
    effective_input,
    output,
    render,
    select,
    short,
)
from treadle.engine.payloads import Payload
from treadle.engine.steps import Done, Failed, Step


def pass_through(state: Pass, visit: Visit) -> Step:
    """Spec: "Pass State"."""
    if state.has_result:
        result = Payload(state.result)
    else:
        result = render(state.parameters, effective_input(visit), visit, "Parameters")
    given = assigned(state.assign, result, visit)
    return Done(output(visit, result, None, state.result_path), state.next, given)


def succeed(state: Succeed, visit: Visit) -> Step:
    """Spec: "Succeed State"."""
    effective = effective_input(visit)
    return Done(bounded(select(state.output_path, effective, visit, "OutputPath"), visit), None)


def fail(state: Fail, visit: Visit) -> Step:
    """Spec: "Fail State"."""
    error = StateError(
        _text(state.error, state.error_path, visit, "ErrorPath"),
        _text(state.cause, state.cause_path, visit, "CausePath"),
    )
    return Failed(short(error, visit.limits))


def _text(fixed: str | None, path: Template | None, visit: Visit, stage: str) -> str | None:
    if path is None:
        return fixed
    value: Json = path.render(visit.scope(visit.raw.value, stage))
    return value if isinstance(value, str) else dumps(value)
