"""Instants: aware UTC inside, whole milliseconds in a snapshot, AWS's text in the context object.

One rule: the engine is told the time; it never asks.
"""

from datetime import UTC, datetime, timedelta

LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No clock of ours goes on from here: a datetime cannot."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def after(instant: datetime, seconds: float) -> datetime:
    """So many seconds, from 0 to 1e9, behind an instant; `LATEST` where that would be later."""
    try:
        return min(instant + timedelta(seconds=seconds), LATEST)
    except OverflowError:
        return LATEST


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return (instant - EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """The instant of `to_ms`."""
    return EPOCH + timedelta(milliseconds=ms)


def whole_ms(instant: datetime) -> datetime:
    """The instant as a snapshot will keep it, so that a restart sees the same one."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def aws_text(instant: datetime) -> str:
    """As the context object shows it: `2026-01-31T12:00:00.123Z`, `2026-01-31T12:00:00Z`.

    Source: AWS's recordings; no fraction where it is zero.
    """
    text = instant.strftime("%Y-%m-%dT%H:%M:%S")
    ms = instant.microsecond // 1000
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"
