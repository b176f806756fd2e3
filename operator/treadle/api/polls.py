"""Workers of activities ask for work, over HTTP: by path for any program, and as AWS's SDKs do.

One rule: a request that is held costs what it holds, and nothing outside; what is answered is saved
to be this worker's.
Source: AWS API, GetActivityTask.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import orjson
from aiohttp import web

from treadle.api.wire import (
    AMZ_JSON,
    JSON,
    NotNow,
    Refusal,
    answered,
    invalid,
    not_now,
    read_object,
    refused,
    text,
    unreadable,
)
from treadle.asl.json import well_formed
from treadle.kube.kinds import ACTIVITIES
from treadle.kube.reviews import AUDIENCE, Reviews, User
from treadle.runners.activities import (
    HANDING_SECONDS,
    POLL_SECONDS,
    POLLERS_MAX,
    ActivityRunner,
    Handed,
    Place,
    TooManyPollers,
)
from treadle.runtime.ports import Fault

VERB: Final = "work"
"""What a worker must be allowed to do to its Activity: a verb of RBAC that is ours."""

ARN_CHARS_MAX: Final = 256  # AWS: Arn
WORKER_CHARS_MAX: Final = 80  # AWS: Name
BODY_BYTES_MAX: Final = 4_096
BODY_SECONDS: Final = 10.0
BODIES_MAX: Final = 200
ANSWER_SECONDS: Final = POLL_SECONDS + HANDING_SECONDS
"""The longest that a worker is held, once it is known; its own timeout is to be longer."""

Forward = Callable[[web.Request, bytes, float], Awaitable[web.Response | None]]
"""Sends a request to the process that leads and waits so long; None where it is this one."""

_Ask = Callable[[User, bytes], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Polls:
    """See the module.

    Attributes:
        activities: the queues.
        reviews: who calls, and what they may.
        forward: to who leads.
    """

    activities: ActivityRunner
    reviews: Reviews
    forward: Forward
    held: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POLLERS_MAX))
    bodies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BODIES_MAX))

    async def by_path(self, request: web.Request) -> web.Response:
        """`POST /v1/namespaces/NAMESPACE/activities/NAME/poll?worker=NAME`."""
        found = request.match_info

        async def ask(user: User, body: bytes) -> web.Response:
            del body
            worker = text("worker", request.query.get("worker", ""), WORKER_CHARS_MAX)
            place = Place(found["namespace"], found["name"])
            handed = await self._poll(user, place, well_formed(worker))
            if handed is None:
                return web.Response(status=204)
            token = orjson.dumps(handed.token)
            body = b'{"taskToken":%s,"input":%s}' % (token, handed.input.encode())
            return web.Response(body=body, headers={"Content-Type": JSON})

        return await self._served(request, ask, JSON)

    async def by_target(self, request: web.Request) -> web.Response:
        """`GetActivityTask`: the token comes as that of AWS's session."""

        async def ask(user: User, body: bytes) -> web.Response:
            given = read_object(body)
            arn = text("activityArn", given.get("activityArn"), ARN_CHARS_MAX)
            worker = text("workerName", given.get("workerName") or "", WORKER_CHARS_MAX)
            place = self.activities.named_by(arn, user.namespace)
            if place is None:
                raise _does_not_exist(arn)
            handed = await self._poll(user, place, well_formed(worker))
            said = {} if handed is None else {"taskToken": handed.token, "input": handed.input}
            return answered(200, said, AMZ_JSON)

        return await self._served(request, ask, AMZ_JSON)

    async def _poll(self, user: User, place: Place, worker: str) -> Handed | None:
        if not place.may_be:  # nothing is asked of that, nor kept
            raise _does_not_exist(f"{place.namespace}/{place.name}")
        if not await self.reviews.may(user, VERB, ACTIVITIES, *place):
            message = (
                f"{user.name} may not `{VERB}` on activities.{ACTIVITIES.group} {place.name} in "
                f"the namespace {place.namespace}"
            )
            raise Refusal("AccessDeniedException", message, 403)
        if not await self.activities.exists(place):
            raise _does_not_exist(f"{place.namespace}/{place.name}")
        try:
            return await self.activities.poll(place, worker)
        except TooManyPollers:
            message = f"Activity Worker Limit Exceeded: 'there are {POLLERS_MAX:,} workers'"
            raise Refusal("ActivityWorkerLimitExceeded", message) from None

    async def _served(self, request: web.Request, ask: _Ask, content_type: str) -> web.Response:
        if self.held.locked():
            return not_now("too many workers at once", content_type)
        async with self.held:
            try:
                body = await self._body(request)
                forwarded = await self.forward(request, body, ANSWER_SECONDS)
                if forwarded is not None:
                    return forwarded
                return await ask(await self._user(request), body)
            except Refusal as why:
                return refused(why, content_type)
            except web.RequestPayloadError:
                return refused(unreadable(), content_type)
            except TimeoutError:
                message = "The body did not come in time."
                return answered(408, {"__type": "RequestTimeout", "message": message}, content_type)
            except (NotNow, Fault) as why:
                return not_now(str(why), content_type)

    async def _body(self, request: web.Request) -> bytes:
        body = bytearray()
        async with asyncio.timeout(BODY_SECONDS), self.bodies:
            # How long it is, its sender says, or nobody.
            async for part in request.content.iter_any():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    raise invalid("body", "Member is too long")
        return bytes(body)

    async def _user(self, request: web.Request) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            # An SDK signs with keys that nobody here has: its session token tells who it is.
            token = request.headers.get("X-Amz-Security-Token", "")
        user = await self.reviews.user(token.strip()) if token.strip() else None
        if user is None:
            message = (
                f"A token of Kubernetes is needed, of the audience `{AUDIENCE}`: as the header "
                "`Authorization: Bearer TOKEN`, or as the session token of AWS's credentials."
            )
            raise Refusal("UnrecognizedClientException", message, 401)
        return user


def _does_not_exist(what: str) -> Refusal:
    return Refusal("ActivityDoesNotExist", f"Activity Does Not Exist: '{what[:300]}'")
