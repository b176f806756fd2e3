"""What each state does when its work is due, one module a family."""

from typing import assert_never

from treadle.asl.errors import StateError
from treadle.asl.program import (
    Catcher,
    Choice,
    Fail,
    Map,
    Parallel,
    Pass,
    State,
    Succeed,
    Task,
    Wait,
)
from treadle.engine.flow import Visit, assigned, output
from treadle.engine.payloads import Payload
from treadle.engine.states import choice, fork, simple, task, wait
from treadle.engine.steps import Done, Step


def work(state: State, visit: Visit) -> Step:
    """A state's step. Raises: EvaluationFailed."""
    match state:
        case Pass():
            return simple.pass_through(state, visit)
        case Task():
            return task.work(state, visit)
        case Choice():
            return choice.work(state, visit)
        case Wait():
            return wait.work(state, visit)
        case Succeed():
            return simple.succeed(state, visit)
        case Fail():
            return simple.fail(state, visit)
        case Parallel():
            return fork.parallel(state, visit)
        case Map():
            return fork.iterate(state, visit)
        case _:
            assert_never(state)


def caught(catcher: Catcher, error: StateError, visit: Visit) -> Step:
    """The step of a state whose error is caught. Raises: EvaluationFailed.

    Spec: Errors, "Fallback states".
    """
    result = Payload(error.as_output())
    after = output(visit, catcher.data, result, failed=True)
    return Done(after, catcher.next, assigned(catcher.assign, result, visit, failed=True))
