"""What can be wrong: a document, an evaluation, a state.

One rule: a state that failed is a value; only a wrong document and a failing evaluation are raised,
and the latter becomes a value at one edge of the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from treadle.asl.json import Json

ALL = "States.ALL"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
BRANCH_FAILED = "States.BranchFailed"
EXCEED_TOLERATED_FAILURE_THRESHOLD = "States.ExceedToleratedFailureThreshold"
INTRINSIC_FAILURE = "States.IntrinsicFailure"
ITEM_READER_FAILED = "States.ItemReaderFailed"
NO_CHOICE_MATCHED = "States.NoChoiceMatched"
PARAMETER_PATH_FAILURE = "States.ParameterPathFailure"
PERMISSIONS = "States.Permissions"
QUERY_EVALUATION_ERROR = "States.QueryEvaluationError"
RESULT_PATH_MATCH_FAILURE = "States.ResultPathMatchFailure"
RUNTIME = "States.Runtime"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"

INVALID_RESULT = "Treadle.InvalidResult"
"""Of a native Task whose result cannot be used; AWS has no name for it."""


@dataclass(frozen=True, slots=True)
class StateError:
    """Why a state failed: AWS's error name and a sentence for people.

    Both may be absent: a Fail state and a worker need not give them.
    """

    name: str | None
    cause: str | None = None

    def as_output(self) -> Json:
        """The error output that a catcher receives. Spec: Errors, "Fallback states"."""
        return {"Error": self.name or "", "Cause": self.cause or ""}


class EvaluationFailed(Exception):  # noqa: N818 - the field's word for it
    """A path, template, expression, choice or intrinsic function could not be evaluated.

    `location` names the field whose JSONata expression failed, as `Output/a[0]`; else it is empty.
    """

    def __init__(self, name: str, cause: str, location: str = "") -> None:
        super().__init__(name, cause)
        self.name = name
        self.cause = cause
        self.location = location


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document: where, by which rule, what and how to mend it."""

    pointer: str
    code: str
    message: str
    spec: str = ""
    severity: str = "error"
    line: int | None = None
    column: int | None = None


class InvalidDocument(Exception):  # noqa: N818 - style.md names it
    """A definition with problems, all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.pointer}: {p.message}" for p in problems))
        self.problems = tuple(problems)
