"""AWS's JSON protocol over HTTP: what is refused, what may be sent again, and how both are said.

One rule: an answer is JSON, with AWS's names; no status but 200 says that anything was done.
"""

from typing import Any, Final

from aiohttp import web

from treadle.asl.json import Json, dumps, loads

TARGET: Final = "X-Amz-Target"
AMZ_JSON: Final = "application/x-amz-json-1.0"
JSON: Final = "application/json"
_AWS = "AWSStepFunctions."


class Refusal(Exception):  # noqa: N818 - it says what it is
    """AWS's error: its type and sentence, and the status where it is not 400."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


class NotNow(Exception):  # noqa: N818 - it says when
    """Nothing is wrong with the request; it may be sent again."""


def action_of(request: web.Request) -> str:
    """What a request to `/` asks for; empty where it does not say."""
    return request.headers.get(TARGET, "").removeprefix(_AWS)


def text(name: str, value: Json, chars_max: int) -> str:
    """A member that must be a text of at most so many characters. Raises: Refusal."""
    if value is None:
        raise invalid(name, "Member must not be null")
    if not isinstance(value, str):
        raise invalid(name, "Member must be a text")
    if len(value) > chars_max:
        raise invalid(name, f"Member must have length less than or equal to {chars_max}")
    return value


def invalid(name: str, constraint: str) -> Refusal:
    """What is said of a member that is not as it must be."""
    said = f"Value at '{name}' failed to satisfy constraint: {constraint}"
    return Refusal("ValidationException", f"1 validation error detected: {said}")


def unreadable() -> Refusal:
    """What is said of a body that is not packed as its header says."""
    return Refusal("SerializationException", "The body cannot be read.")


def read_object(body: bytes) -> dict[str, Json]:
    """A body that is a JSON object; nothing is an empty one. Raises: Refusal."""
    try:
        given = loads(body.decode()) if body.strip() else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refusal("SerializationException", "The body must be a JSON object.")
    return given


def answered(status: int, body: dict[str, Any], content_type: str) -> web.Response:
    """An answer; what it repeats of a question may be no text that UTF-8 can hold."""
    said = dumps(body).encode()
    return web.Response(status=status, body=said, headers={"Content-Type": content_type})


def refused(why: Refusal, content_type: str) -> web.Response:
    """The answer that a request is refused."""
    return answered(why.status, {"__type": why.kind, "message": why.message}, content_type)


def not_now(why: str, content_type: str) -> web.Response:
    """The answer that a request may be sent again."""
    said = {"__type": "ServiceUnavailable", "message": f"{why}; send it again"}
    answer = answered(503, said, content_type)
    answer.headers["Retry-After"] = "1"
    return answer
