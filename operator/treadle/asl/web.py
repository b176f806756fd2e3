"""URLs and media types, as they stand in definitions and answers.

One rule: what may be called, and what is JSON, is said here and nowhere else.
"""

import re
from urllib.parse import urlsplit

from treadle.asl.fields import shown

_JSON = re.compile(r"(application|text)/json|[^/]+/[^/]+\+json")


def url_problem(text: str) -> str | None:
    """Why a text is no URL that may be called, as a sentence without its full stop.

    A URL with a user or a password is not repeated: causes and statuses are read by many.
    """
    try:
        parts = urlsplit(text)
        if parts.username is not None or parts.password is not None:
            return "it must not hold a user or a password"
        host, _ = parts.hostname or "", parts.port
    except ValueError as why:
        return f"{shown(text)} is no URL: {why}"
    # A space elsewhere is quoted when it is sent.
    if parts.scheme.lower() not in ("http", "https") or not host or re.search(r"\s", host):
        return f"{shown(text)} must be an absolute http or https URL"
    return None


def is_json(content_type: str) -> bool:
    """Whether a media type, with its parameters or without, says JSON.

    Source: RFC 6839, section 3.1.
    """
    media = content_type.partition(";")[0].strip().lower()
    return _JSON.fullmatch(media) is not None
