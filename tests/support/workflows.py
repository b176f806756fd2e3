"""Tests of machines, as tests of their runner need them.

One rule: a definition, mocks and an input are all that is said; the rest is as ever.
"""

from collections.abc import Mapping
from typing import Any

from tests.support.treadles import states
from treadle.asl import document
from treadle.asl.json import Json
from treadle.engine.context import Identity
from treadle.local import coverage, mocks, workflowtests
from treadle.local.coverage import Coverage
from treadle.local.workflowtests import Ran, Trial

RESOURCE = "arn:aws:states:::sqs:sendMessage"
"""That needs no Parameters, and that nothing here runs: only a mock answers it."""

IDENTITY = Identity(
    "arn:aws:states:us-east-1:111111111111:execution:m:e",
    "e",
    "arn:aws:states:us-east-1:111111111111:stateMachine:m",
    "m",
)


def task(**more: Any) -> dict[str, Any]:
    """A Task; the last of its list unless it has a Next."""
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Task", "Resource": RESOURCE, **end, **more}


def succeed() -> dict[str, Any]:
    """The end of a list of states."""
    return {"Type": "Succeed"}


LOOP = states(
    A=task(Next="C"),
    C={
        "Type": "Choice",
        "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "A"}],
        "Default": "Z",
    },
    Z=succeed(),
)
"""Goes round until its Task gives something other than 1."""


def ran(
    definition: Mapping[str, Any],
    answers: Mapping[str, Json] | None = None,
    given: Json = None,
    covered: Coverage | None = None,
) -> Ran:
    """Run a definition with mocks; what is reached is noted in `covered`."""
    program = document.parse(dict(definition))
    trial = Trial(program, {} if given is None else given, mocks.parse(answers or {}), IDENTITY)
    return workflowtests.run(trial, covered or coverage.of(program))
