"""Numbers that a state is told: written, at a path, or of an expression.

One rule: a number that does not fit fails the state with AWS's sentence, in the error name of the
language that gave it.
"""

from treadle.asl.errors import ITEM_READER_FAILED, RUNTIME, EvaluationFailed
from treadle.asl.json import Json, told
from treadle.asl.limits import SECONDS_MAX
from treadle.asl.paths import Path
from treadle.asl.program import Whole
from treadle.asl.queries import Query
from treadle.asl.scope import Scope
from treadle.asl.values import is_number
from treadle.engine.flow import Visit, find

_SHOWN_BITS = 64


def positive_seconds(given: Whole | None, field: str, visit: Visit) -> int | None:
    """TimeoutSeconds and HeartbeatSeconds; None where nothing is given.

    Source: recorded causes; a path is read in the raw input.
    """
    match given:
        case Query():
            return given.whole(visit.scope(visit.raw.value, field), 1, SECONDS_MAX)
        case Path():
            value = find(given, visit.scope(visit.raw.value, field))
            if value.__class__ is not int or value <= 0:
                raise _refused(given, field, value, "positive integer")
            return _at_most(SECONDS_MAX, value, field)
        case _:
            return given


def count(given: Whole, field: str, scope: Scope, most: int) -> int:
    """A whole number from 0 to the member's bound. Source: recorded causes."""
    match given:
        case Query():
            return given.whole(scope, 0, most)
        case Path():
            value = find(given, scope)
            if value.__class__ is not int:
                raise _refused(given, field, value, "integer")
            if value < 0 and field.startswith("Tolerated"):
                raise EvaluationFailed(RUNTIME, f"{field} cannot be negative.")
            if value < 0 and field == "MaxItems":
                raise EvaluationFailed(ITEM_READER_FAILED, f"field {field} must be positive")
            if value < 0:
                raise _refused(given, field, value, "integer")
            return _at_most(most, value, field)
        case _:
            return given


def positive(given: Whole, field: str, scope: Scope, most: int) -> int:
    """A whole number from 1 to the member's bound, of an ItemBatcher."""
    match given:
        case Query():
            return given.whole(scope, 1, most)
        case Path():
            value = find(given, scope)
            if value.__class__ is not int or value <= 0:
                raise _refused(given, field, value, "positive integer")
            return _at_most(most, value, field)
        case _:
            return given


def percentage(given: float | Path | Query, field: str, scope: Scope) -> float:
    """A number from 0 to 100. Source: recorded causes."""
    match given:
        case Query():
            return float(given.number(scope, 0, 100))
        case Path():
            value = find(given, scope)
            if not is_number(value):
                raise _refused(given, field, value, "float")
            if not 0 <= value <= 100:
                raise EvaluationFailed(RUNTIME, f"{field} must be between 0 and 100.")
            return float(value)
        case _:
            return given


def _at_most(most: int, value: int, field: str) -> int:
    if value > most:
        text = f"{value:,}" if value.bit_length() <= _SHOWN_BITS else "larger"
        raise EvaluationFailed(RUNTIME, f"{field} is {text}; it may be {most:,} at most.")
    return value


def _refused(path: Path, field: str, value: Json, wanted: str) -> EvaluationFailed:
    text = value if isinstance(value, str) else told(value)
    return EvaluationFailed(
        RUNTIME,
        f'The {field}Path field refers to value "{text}" which is not a valid {wanted}: '
        f"{path.text}",
    )
