"""Task: work outside. Spec: "Task State"."""

from treadle.asl.program import Task
from treadle.engine.flow import Visit, arguments, assigned, bounded, output, role_arn
from treadle.engine.payloads import Payload
from treadle.engine.states.numbers import positive_seconds
from treadle.engine.steps import Done, RunTask, Step


def work(state: Task, visit: Visit) -> Step:
    """What an attempt is given, and how long it may take."""
    return RunTask(
        bounded(arguments(visit), visit),
        positive_seconds(state.timeout_seconds, "TimeoutSeconds", visit),
        positive_seconds(state.heartbeat_seconds, "HeartbeatSeconds", visit),
        role_arn(state.credentials, visit),
    )


def finish(state: Task, visit: Visit, result: Payload) -> Step:
    """From an attempt's result to the state's output."""
    given = assigned(state.assign, bounded(result, visit), visit)
    return Done(output(visit, state.data, result), state.next, given)
