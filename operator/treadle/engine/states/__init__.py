"""What each state does when its work is due, one module a family."""

from typing import assert_never

from treadle.asl.program import Choice, Fail, Map, Parallel, Pass, State, Succeed, Task, Wait
from treadle.engine.flow import Visit
from treadle.engine.states import choice, fork, simple, task, wait
from treadle.engine.steps import Step


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
