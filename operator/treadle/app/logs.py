"""Structured logs: one JSON object a line, or plain text for people."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


def set_up(log_format: str, level: str) -> None:
    """Send all logs to stderr in a format, "json" or "text"."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(
            JsonFormatter(_FIELDS, rename_fields={"levelname": "level", "asctime": "time"})
        )
    else:
        handler.setFormatter(logging.Formatter(_FIELDS))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Kopf logs each object's handling; what matters there is in our own logs.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    # It warns that it does not see signals: we do.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
