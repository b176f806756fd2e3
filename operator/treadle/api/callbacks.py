"""Answers to task tokens, over HTTP: by path for any program, and as AWS's SDKs send them.

One rule: 200 says that the answer is saved; any other status that the caller may send it again.
Source: AWS API, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from treadle.asl.errors import StateError
from treadle.asl.json import Json, loads
from treadle.asl.limits import Limits
from treadle.engine.events import Event, TaskFailed, TaskHeartbeat, TaskId, TaskSucceeded
from treadle.runtime.ports import Attempt, Clock, ExecutionKey, Fault

TOKEN_CHARS_MAX: Final = 2_048  # AWS: TaskToken
BODY_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 25.0
"""How long a caller waits for the save; after that it asks again."""

CALLS_MAX: Final = 2_000
"""At once; further ones are asked to come again."""

BODIES_MAX: Final = 200
"""Bodies that are read at once, of callers whom nothing is known of yet."""

_AWS = "AWSStepFunctions."
_TARGET = "X-Amz-Target"
_AMZ_JSON = "application/x-amz-json-1.0"
_JSON = "application/json"


class Refusal(Exception):  # noqa: N818 - it says what it is
    """AWS's error: its type and sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class NotNow(Exception):  # noqa: N818 - it says when
    """Nothing is wrong with the request; it may be sent again."""


class Tokens(Protocol):
    """Reads tokens."""

    async def read(self, token: str) -> Attempt | None:
        """The attempt that a token is of; None where it is none of ours. Raises: Fault."""


Answer = Callable[[ExecutionKey, Event], Awaitable[bool]]
"""See `Driver.answer`."""

Forward = Callable[[web.Request, bytes], Awaitable[web.Response | None]]
"""Sends a request to the process that leads, where that is another; None where it is this one."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Takes answers to tokens.

    Attributes:
        tokens: reads them.
        answer: has an answer handled and saved.
        forward: to who leads.
        clock: when an answer came.
        limits: of results.
    """

    tokens: Tokens
    answer: Answer
    forward: Forward
    clock: Clock
    limits: Limits

    async def success(self, token: Json, output: Json) -> None:
        """The task gave this JSON text. Raises: Refusal, NotNow."""
        text = _text("output", output, self.limits.payload_bytes_max)
        try:
            loads(text)
        except ValueError as why:
            raise Refusal("InvalidOutput", f"Invalid Output: '{str(why)[:200]}'") from None
        await self._tell(token, lambda task: TaskSucceeded(task, text, self.clock(), by_token=True))

    async def failure(self, token: Json, error: Json, cause: Json) -> None:
        """The task failed. Raises: Refusal, NotNow."""
        found = StateError(
            None if error is None else _text("error", error, self.limits.error_chars_max),
            None if cause is None else _text("cause", cause, self.limits.cause_chars_max),
        )
        await self._tell(token, lambda task: TaskFailed(task, found, self.clock(), by_token=True))

    async def heartbeat(self, token: Json) -> None:
        """The task is alive. Raises: Refusal, NotNow."""
        await self._tell(token, lambda task: TaskHeartbeat(task, self.clock()))

    async def _tell(self, token: Json, event: Callable[[TaskId], Event]) -> None:
        attempt = await self.tokens.read(_text("taskToken", token, TOKEN_CHARS_MAX))
        if attempt is None:
            raise Refusal("InvalidToken", "Invalid Token: 'Invalid token'")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                was_taken = await self.answer(attempt.execution, event(attempt.task))
        except TimeoutError:
            raise NotNow("it is not saved yet") from None
        if not was_taken:
            raise Refusal("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")


def _text(name: str, value: Json, chars_max: int) -> str:
    if value is None:
        raise _invalid(name, "Member must not be null")
    if not isinstance(value, str):
        raise _invalid(name, "Member must be a text")
    if len(value) > chars_max:
        raise _invalid(name, f"Member must have length less than or equal to {chars_max}")
    return value


def _invalid(name: str, constraint: str) -> Refusal:
    said = f"Value at '{name}' failed to satisfy constraint: {constraint}"
    return Refusal("ValidationException", f"1 validation error detected: {said}")


# ------------------------------------------------------------------------------------------ HTTP


def served(callbacks: Callbacks) -> web.Application:
    """The application that takes answers."""
    server = _Server(callbacks, asyncio.Semaphore(CALLS_MAX), asyncio.Semaphore(BODIES_MAX))
    # A result as a text within JSON is longer than itself.
    app = web.Application(client_max_size=2 * callbacks.limits.payload_bytes_max)
    app.router.add_post("/v1/tasks/{token}/{what:success|failure|heartbeat}", server.by_path)
    app.router.add_post("/", server.by_target)
    return app


@dataclass(frozen=True, slots=True)
class _Server:
    callbacks: Callbacks
    calls: asyncio.Semaphore
    bodies: asyncio.Semaphore

    async def by_path(self, request: web.Request) -> web.Response:
        """`POST /v1/tasks/TOKEN/success`: the body is the output itself."""
        token, what = request.match_info["token"], request.match_info["what"]

        async def act(body: bytes) -> None:
            if what == "success":
                await self.callbacks.success(token, _decoded(body))
            elif what == "failure":
                given = _object(body)
                await self.callbacks.failure(token, given.get("error"), given.get("cause"))
            else:
                await self.callbacks.heartbeat(token)

        return await self._served(request, act, _JSON)

    async def by_target(self, request: web.Request) -> web.Response:
        """As AWS's SDKs and its command send it: the action is in a header."""

        async def act(body: bytes) -> None:
            given = _object(body)
            token = given.get("taskToken")
            match request.headers.get(_TARGET, "").removeprefix(_AWS):
                case "SendTaskSuccess":
                    await self.callbacks.success(token, given.get("output"))
                case "SendTaskFailure":
                    await self.callbacks.failure(token, given.get("error"), given.get("cause"))
                case "SendTaskHeartbeat":
                    await self.callbacks.heartbeat(token)
                case action:
                    message = f"The action {action[:80]} is not served here."
                    raise Refusal("UnknownOperationException", message)

        return await self._served(request, act, _AMZ_JSON)

    async def _served(
        self, request: web.Request, act: Callable[[bytes], Awaitable[None]], content_type: str
    ) -> web.Response:
        if self.calls.locked():
            return _not_now("too many calls at once", content_type)
        async with self.calls:
            try:
                async with asyncio.timeout(BODY_SECONDS), self.bodies:
                    body = await request.read()
                forwarded = await self.callbacks.forward(request, body)
                if forwarded is not None:
                    return forwarded
                await act(body)
            except Refusal as why:
                return _refused(why, content_type)
            except web.HTTPRequestEntityTooLarge:
                return _refused(_invalid("output", "Member is too long"), content_type)
            except TimeoutError:
                message = "The body did not come in time."
                return _answer(408, {"__type": "RequestTimeout", "message": message}, content_type)
            except (NotNow, Fault) as why:
                return _not_now(str(why), content_type)
        return _answer(200, {}, content_type)


def _refused(why: Refusal, content_type: str) -> web.Response:
    return _answer(400, {"__type": why.kind, "message": why.message}, content_type)


def _not_now(why: str, content_type: str) -> web.Response:
    said = {"__type": "ServiceUnavailable", "message": f"{why}; send it again"}
    answer = _answer(503, said, content_type)
    answer.headers["Retry-After"] = "1"
    return answer


def _answer(status: int, body: dict[str, Any], content_type: str) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(body), headers={"Content-Type": content_type}
    )


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refusal("InvalidOutput", "Invalid Output: 'it is not UTF-8'") from None


def _object(body: bytes) -> dict[str, Json]:
    try:
        given = loads(body.decode()) if body.strip() else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refusal("SerializationException", "The body must be a JSON object.")
    return given
