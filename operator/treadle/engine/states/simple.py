"""Pass, Succeed and Fail: states that are over when they are entered."""

from treadle.asl.errors import StateError
from treadle.asl.json import told
from treadle.asl.program import Fail, Pass, Succeed
from treadle.asl.templates import Template
from treadle.engine.flow import Visit, arguments, assigned, effective_input, output, short
from treadle.engine.payloads import Payload
from treadle.engine.steps import Done, Failed, Step


def pass_through(state: Pass, visit: Visit) -> Step:
    """Spec: "Pass State"."""
    written = Payload(state.result)
    result = visit.noted("result", written) if state.has_result else arguments(visit)
    given = assigned(state.assign, result, visit)
    return Done(output(visit, state.data, result), state.next, given)


def succeed(state: Succeed, visit: Visit) -> Step:
    """Spec: "Succeed State"."""
    return Done(output(visit, state.data, arguments(visit)), None)


def fail(state: Fail, visit: Visit) -> Step:
    """Spec: "Fail State"."""
    effective_input(visit)  # all of the raw one, for who looks on
    error = StateError(_text(state.error, visit, "Error"), _text(state.cause, visit, "Cause"))
    return Failed(short(error, visit.limits))


def _text(template: Template | None, visit: Visit, stage: str) -> str | None:
    if template is None:
        return None
    value = template.render(visit.scope(visit.raw.value, stage))
    return value if isinstance(value, str) else told(value)
