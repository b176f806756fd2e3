"""Task: work outside. Spec: "Task State"."""

from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json, dumps
from treadle.asl.paths import Path
from treadle.asl.program import Task
from treadle.engine.flow import Visit, assigned, bounded, effective_input, find, output, render
from treadle.engine.payloads import Payload
from treadle.engine.steps import Done, RunTask, Step


def work(state: Task, visit: Visit) -> Step:
    """What an attempt is given, and how long it may take."""
    effective = effective_input(visit)
    parameters = bounded(render(state.parameters, effective, visit, "Parameters"), visit)
    return RunTask(
        parameters,
        _seconds(state.timeout_seconds, state.timeout_seconds_path, "TimeoutSecondsPath", visit),
        _seconds(
            state.heartbeat_seconds, state.heartbeat_seconds_path, "HeartbeatSecondsPath", visit
        ),
    )


def finish(state: Task, visit: Visit, result: Payload) -> Step:
    """From an attempt's result to the state's output."""
    given = assigned(state.assign, bounded(result, visit), visit)
    return Done(output(visit, result, state.result_selector, state.result_path), state.next, given)


def _seconds(fixed: int | None, path: Path | None, field: str, visit: Visit) -> int | None:
    if path is None:
        return fixed
    value: Json = find(path, visit.scope(visit.raw.value, field))
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise EvaluationFailed(
            RUNTIME,
            f'The {field} field refers to value "{_plain(value)}" which is not a valid positive '
            f"integer: {path.text}",
        )
    return value


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)
