"""Timestamps as AWS reads them: ISO 8601 extended offset date-times with capital `T` and `Z`.

Spec: "Timestamps" (RFC 3339 with capital letters).
"""

import re
from datetime import UTC, datetime, timedelta, timezone

_SHAPE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d{2}):(\d{2}))",
    re.ASCII,
)


def parse_timestamp(text: str) -> datetime | None:
    """The aware instant, to the microsecond; None where the text is not a timestamp."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    *numbers, fraction, zulu, sign, hours, minutes = match.groups()
    micros = int((fraction or "0").ljust(9, "0")[:6])
    try:
        zone = UTC
        if not zulu:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(-offset if sign == "-" else offset)
        year, month, day, hour, minute, second = map(int, numbers)
        return datetime(year, month, day, hour, minute, second, micros, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
