"""Answers to task tokens, over HTTP: by path for any program, and as AWS's SDKs send them.

One rule: 200 says that the answer is saved; any other status that the caller may send it again.
Source: AWS API, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from aiohttp import web

from treadle.api.polls import Forward, Polls
from treadle.api.wire import (
    AMZ_JSON,
    JSON,
    NotNow,
    Refusal,
    action_of,
    answered,
    invalid,
    not_now,
    read_object,
    refused,
    text,
    unreadable,
)
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
"""Bodies that are read at once."""

LARGE_MAX: Final = 50
"""Large ones among them, of callers of whom nothing is known yet."""

LARGE_BYTES: Final = 16_384
"""A larger body is read as JSON only where a token of ours is in it."""

_TOKEN_MEMBER = re.compile(rb'"taskToken"\s*:\s*"([^"\\]{1,%d})"' % TOKEN_CHARS_MAX)

T = TypeVar("T")


class Tokens(Protocol):
    """Reads tokens."""

    async def read(self, token: str) -> Attempt | None:
        """The attempt that a token is of; None where it is none of ours. Raises: Fault."""


Answer = Callable[[ExecutionKey, Event], Awaitable[bool]]
"""See `Driver.answer`."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Takes answers to tokens.

    Attributes:
        tokens: reads them.
        answer: has an answer handled and saved.
        forward: to who leads.
        clock: when an answer came.
        limits: of results.
        leads: whether this process does, and so knows all keys.
        parsing: held while something is parsed.
    """

    tokens: Tokens
    answer: Answer
    forward: Forward
    clock: Clock
    limits: Limits
    leads: Callable[[], bool] = lambda: True
    parsing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def parsed(self, parse: Callable[[], T]) -> T:
        """Have something parsed: one at a time, between two of which the loop is everybody's."""
        async with self.parsing:
            await asyncio.sleep(0)  # the lock alone goes to the next without a turn of others
            return parse()

    async def known(self, token: Json) -> Attempt:
        """The attempt that a token is of. Raises: Refusal, Fault."""
        attempt = await self.tokens.read(text("taskToken", token, TOKEN_CHARS_MAX))
        if attempt is None:
            raise Refusal("InvalidToken", "Invalid Token: 'Invalid token'")
        return attempt

    async def known_within(self, body: bytes) -> None:
        """Look for a token in a large body before it is parsed, which takes long. Raises: Refusal.

        Whoever may answer has one, and it is written plainly: no character of it needs an escape.
        """
        if len(body) > LARGE_BYTES:
            found = _TOKEN_MEMBER.search(body)
            await self.known(found[1].decode("ascii", "replace") if found else "")

    async def success(self, token: Json, output: Json) -> None:
        """The task gave this JSON text. Raises: Refusal, NotNow."""
        await self.known(token)
        said = text("output", output, self.limits.payload_bytes_max)
        try:
            await self.parsed(lambda: loads(said))
        except ValueError as why:
            raise Refusal("InvalidOutput", f"Invalid Output: '{str(why)[:200]}'") from None
        await self._tell(token, lambda task: TaskSucceeded(task, said, self.clock(), by_token=True))

    async def failure(self, token: Json, error: Json, cause: Json) -> None:
        """The task failed. Raises: Refusal, NotNow."""
        found = StateError(
            None if error is None else text("error", error, self.limits.error_chars_max),
            None if cause is None else text("cause", cause, self.limits.cause_chars_max),
        )
        await self._tell(token, lambda task: TaskFailed(task, found, self.clock(), by_token=True))

    async def heartbeat(self, token: Json) -> None:
        """The task is alive. Raises: Refusal, NotNow."""
        await self._tell(token, lambda task: TaskHeartbeat(task, self.clock()))

    async def _tell(self, token: Json, event: Callable[[TaskId], Event]) -> None:
        attempt = await self.known(token)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                was_taken = await self.answer(attempt.execution, event(attempt.task))
        except TimeoutError:
            raise NotNow("it is not saved yet") from None
        if not was_taken:
            raise Refusal("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")


# ------------------------------------------------------------------------------------------ HTTP


def served(callbacks: Callbacks, polls: Polls | None = None) -> web.Application:
    """The application that takes answers, and hands out work where there are activities."""
    bounds = (asyncio.Semaphore(most) for most in (CALLS_MAX, BODIES_MAX, LARGE_MAX))
    server = _Server(callbacks, polls, *bounds)
    # A result as a text within JSON is longer than itself.
    app = web.Application(client_max_size=2 * callbacks.limits.payload_bytes_max)
    app.router.add_post("/v1/tasks/{token}/{what:success|failure|heartbeat}", server.by_path)
    app.router.add_post("/", server.by_target)
    if polls is not None:
        path = "/v1/namespaces/{namespace}/activities/{name}/poll"
        app.router.add_post(path, polls.by_path)
    return app


@dataclass(frozen=True, slots=True)
class _Server:
    callbacks: Callbacks
    polls: Polls | None
    calls: asyncio.Semaphore
    bodies: asyncio.Semaphore
    large: asyncio.Semaphore

    async def by_path(self, request: web.Request) -> web.Response:
        """`POST /v1/tasks/TOKEN/success`: the body is the output itself."""
        token, what = request.match_info["token"], request.match_info["what"]

        async def act(body: bytes) -> None:
            if what == "success":
                await self.callbacks.success(token, _decoded(body))
            elif what == "failure":
                given = await self.callbacks.parsed(lambda: read_object(body))
                await self.callbacks.failure(token, given.get("error"), given.get("cause"))
            else:
                await self.callbacks.heartbeat(token)

        return await self._served(request, act, JSON, token)

    async def by_target(self, request: web.Request) -> web.Response:
        """As AWS's SDKs and its command send it: the action is in a header."""
        if self.polls is not None and action_of(request) == "GetActivityTask":
            return await self.polls.by_target(request)

        async def act(body: bytes) -> None:
            given = await self.callbacks.parsed(lambda: read_object(body))
            token = given.get("taskToken")
            match action_of(request):
                case "SendTaskSuccess":
                    await self.callbacks.success(token, given.get("output"))
                case "SendTaskFailure":
                    await self.callbacks.failure(token, given.get("error"), given.get("cause"))
                case "SendTaskHeartbeat":
                    await self.callbacks.heartbeat(token)
                case action:
                    message = f"The action {action[:80]} is not served here."
                    raise Refusal("UnknownOperationException", message)

        return await self._served(request, act, AMZ_JSON)

    async def _served(
        self,
        request: web.Request,
        act: Callable[[bytes], Awaitable[None]],
        content_type: str,
        token: str | None = None,
    ) -> web.Response:
        if self.calls.locked():
            return not_now("too many calls at once", content_type)
        async with self.calls, AsyncExitStack() as held:
            try:
                body = await self._read(request, token, held)
                forwarded = await self.callbacks.forward(request, body, ANSWER_SECONDS)
                if forwarded is not None:
                    return forwarded
                await act(body)
            except Refusal as why:
                return refused(why, content_type)
            except web.RequestPayloadError:
                return refused(unreadable(), content_type)
            except web.HTTPRequestEntityTooLarge:
                return refused(invalid("output", "Member is too long"), content_type)
            except TimeoutError:
                message = "The body did not come in time."
                return answered(408, {"__type": "RequestTimeout", "message": message}, content_type)
            except (NotNow, Fault) as why:
                return not_now(str(why), content_type)
        return answered(200, {}, content_type)

    async def _read(self, request: web.Request, token: str | None, held: AsyncExitStack) -> bytes:
        """The body. `held`: a place among the few large ones of whom nothing is known."""
        leads = self.callbacks.leads()
        is_known = leads and token is not None
        if is_known:
            await self.callbacks.known(token)
        length = request.content_length
        # Of what is compressed it is the length before.
        is_large = length is None or length > LARGE_BYTES or "Content-Encoding" in request.headers
        async with asyncio.timeout(BODY_SECONDS), AsyncExitStack() as reading:
            if is_large and not is_known:
                # A standby cannot tell whether a token is in it: it keeps it until it is passed on.
                await (reading if leads else held).enter_async_context(self.large)
            await reading.enter_async_context(self.bodies)
            body = await request.read()
        if leads and token is None:
            await self.callbacks.known_within(body)
        return body


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refusal("InvalidOutput", "Invalid Output: 'it is not UTF-8'") from None
