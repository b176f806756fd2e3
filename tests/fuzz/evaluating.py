"""The sandbox of a fuzzed process, as the operator has one.

One rule: each process has its own; it ends with the process.
"""

import os

from tests.support.programs import python_environment
from treadle.asl.evaluator import Answer, Asked
from treadle.sandbox.sandbox import Sandbox

_sandboxes: dict[int, Sandbox] = {}


def sandbox() -> Sandbox:
    """The one of this process, which a fork does not share."""
    process = os.getpid()
    if process not in _sandboxes:
        _sandboxes[process] = Sandbox(python_environment())
    return _sandboxes[process]


def answer(asked: Asked) -> Answer:
    """An evaluator."""
    return sandbox().answer(asked)


def seconds() -> float:
    """A stopwatch."""
    return sandbox().seconds()
