"""Wait: until an instant, at no cost. Spec: "Wait State"."""

from datetime import UTC, datetime

from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json, dumps
from treadle.asl.paths import Path, PathNotFound
from treadle.asl.program import Wait
from treadle.asl.queries import Query
from treadle.asl.timestamps import parse_timestamp
from treadle.engine.flow import Visit, assigned, effective_input, output
from treadle.engine.steps import Done, Sleep, Step
from treadle.engine.times import after

# AWS counts the delay in 32 bits of seconds (24,855 days are accepted, 24,856 are not).
_DELAY_SECONDS_MAX = 2**31 - 1
_SECONDS_MAX = 99_999_999


def work(state: Wait, visit: Visit) -> Step:
    """Sleep, or go on at once where the instant has passed."""
    until = _until(state, visit)
    if until <= visit.now:
        return finish(state, visit)
    if (until - visit.now).total_seconds() > _DELAY_SECONDS_MAX:
        raise EvaluationFailed(RUNTIME, "Wait state delay is too long.")
    return Sleep(until)


def finish(state: Wait, visit: Visit) -> Step:
    """The instant has come."""
    effective = effective_input(visit)
    given = assigned(state.assign, effective, visit)
    return Done(output(visit, state.data, effective), state.next, given)


def _until(state: Wait, visit: Visit) -> datetime:
    match state.timestamp:
        case datetime():
            return state.timestamp.replace(microsecond=0)  # as of every other form
        case Path():
            return _instant(_read(state.timestamp, "TimestampPath", visit))
        case Query():
            text = state.timestamp.text(visit.input_scope("Timestamp"))
            return _instant(text, state.timestamp)
    match state.seconds:
        case Path():
            seconds = _seconds(_read(state.seconds, "SecondsPath", visit), state.seconds)
        case Query():
            seconds = state.seconds.whole(visit.input_scope("Seconds"), 0, _SECONDS_MAX)
        case _:
            assert state.seconds is not None
            seconds = state.seconds
    return after(visit.now, seconds)


def _read(path: Path, field: str, visit: Visit) -> Json:
    try:
        return path.find(visit.input_scope(field))
    except PathNotFound:
        sentence = f"The {field} parameter does not reference an input value: {path.text}"
        raise EvaluationFailed(RUNTIME, sentence) from None


def _seconds(value: Json, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise EvaluationFailed(
            RUNTIME,
            f"The SecondsPath parameter cannot be parsed as a long value: {path.text} == "
            f"{dumps(value)}",
        )
    if value < 0:
        raise EvaluationFailed(
            RUNTIME,
            f"The SecondsPath parameter references a negative value: {path.text} == {value}",
        )
    if value > _SECONDS_MAX:
        raise EvaluationFailed(RUNTIME, "Wait state delay is too long.")
    return value


def _instant(value: Json, query: Query | None = None) -> datetime:
    instant = parse_timestamp(value) if isinstance(value, str) else None
    if instant is None:
        text = value if isinstance(value, str) else dumps(value)
        sentence = (
            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format "
            f"string: {text}"
        )
        raise query.refused(sentence) if query else EvaluationFailed(RUNTIME, sentence)
    return instant.astimezone(UTC).replace(microsecond=0)
