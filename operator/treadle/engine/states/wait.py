"""Wait: until an instant, at no cost. Spec: "Wait State"."""

from datetime import UTC, datetime, timedelta

from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json, dumps
from treadle.asl.paths import Path, PathNotFound
from treadle.asl.program import Wait
from treadle.asl.timestamps import parse_timestamp
from treadle.engine.flow import Visit, assigned, bounded, effective_input, select
from treadle.engine.steps import Done, Sleep, Step

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
    output = bounded(select(state.output_path, effective, visit, "OutputPath"), visit)
    return Done(output, state.next, assigned(state.assign, effective, visit))


def _until(state: Wait, visit: Visit) -> datetime:
    if state.timestamp is not None:
        return state.timestamp
    if state.timestamp_path is not None:
        return _instant(_read(state.timestamp_path, "TimestampPath", visit))
    seconds = state.seconds
    if state.seconds_path is not None:
        value = _read(state.seconds_path, "SecondsPath", visit)
        seconds = _seconds(value, state.seconds_path)
    assert seconds is not None
    return visit.now + timedelta(seconds=seconds)


def _read(path: Path, field: str, visit: Visit) -> Json:
    try:
        return path.find(visit.scope(effective_input(visit).value, field))
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


def _instant(value: Json) -> datetime:
    instant = parse_timestamp(value) if isinstance(value, str) else None
    if instant is None:
        text = value if isinstance(value, str) else dumps(value)
        raise EvaluationFailed(
            RUNTIME,
            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format "
            f"string: {text}",
        )
    return instant.astimezone(UTC).replace(microsecond=0)
