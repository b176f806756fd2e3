"""How long ago something was, as kubectl says it."""

from datetime import datetime


def age(since: datetime | None, now: datetime) -> str:
    """A length of time: 90s, 3m12s, 2d4h; empty where it is not known since when."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _both(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _both(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _both(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _both(many: int, unit: str, rest: int, smaller: str) -> str:
    return f"{many}{unit}{rest}{smaller}" if rest else f"{many}{unit}"
