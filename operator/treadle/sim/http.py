"""A simulated HTTP service, and how an operator reaches it.

One rule: the service does as the request's body scripts it, and remembers what it answered to an
Idempotency-Key, as a good service does; whether it was asked twice is for the checkers.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from treadle.runners.transport import AddressDenied, HttpAnswer, HttpRequest, SocketFailed
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import later
from treadle.sim.faults import Faults
from treadle.sim.holders import Holders

KEY = "idempotency-key"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it reached the service."""

    at: float
    who: str
    url: str
    key: str
    status: int


class SimHttp:
    """One service behind every URL.

    The body of a request is JSON with a member `pretend`: `{"status", "body", "seconds",
    "failTimes", "hang", "fragile"}`. So many first keys of the same URL and body are answered 500.
    A `fragile` request may lose its answer: its state retries that. A member `token` is for whoever
    `pretend.callback` scripts.
    """

    def __init__(self, cluster: SimCluster, holders: Holders) -> None:
        self._cluster = cluster
        self._holders = holders
        self.asked: list[Asked] = []
        self._answers: dict[str, HttpAnswer] = {}
        self._keys_of: dict[bytes, list[str]] = {}

    def serve(self, who: str, request: HttpRequest) -> HttpAnswer:
        """Do the work of a request, or remember that it was done."""
        key = key_of(request)
        answer = self._answers.get(key) if key else None
        if answer is None:
            answer = self._answer(request, key)
            self._answers[key] = answer
        at = asyncio.get_running_loop().time()
        self.asked.append(Asked(at, who, request.url, key, answer.status))
        self._cluster.note(f"{who} http {request.method} {request.url} {key}: {answer.status}")
        return answer

    def _answer(self, request: HttpRequest, key: str) -> HttpAnswer:
        script = script_of(request)
        if "callback" in script:
            self._hand_on(request, script["callback"])
        keys = self._keys_of.setdefault(request.url.encode() + (request.body or b""), [])
        keys.append(key)
        status = 500 if len(keys) <= script.get("failTimes", 0) else script.get("status", 200)
        body = orjson.dumps(script.get("body"))
        headers = {"content-type": ["application/json"]}
        return HttpAnswer(status, _REASONS.get(status, "Other"), headers, body)

    def _hand_on(self, request: HttpRequest, script: dict[str, Any]) -> None:
        body = orjson.loads(request.body or b"{}")
        token = body.pop("token")
        whose = f"{request.url} {orjson.dumps(body).decode()}"
        self._holders.told(whose, token, script)


class SimTransport:
    """Implements `runners.transport.Transport` for one life of an operator."""

    def __init__(self, service: SimHttp, api: SimApi, faults: Faults, seed: str) -> None:
        self._service = service
        self._api = api
        self._faults = faults
        self._dice = random.Random(f"{seed}/http")
        self.on_send: list[Callable[[HttpRequest], None]] = []

    async def call(self, request: HttpRequest) -> HttpAnswer:
        """Send one request and read its whole answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[HttpAnswer] = loop.create_future()
        if self._api.step() == "before":
            return await answer
        for hook in self.on_send:
            hook(request)
        if request.url.startswith("http://169.254."):
            raise AddressDenied("169.254.0.0/16 is denied")
        later(self._dice.uniform(0.001, 0.02), self._arrive, request, answer)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await answer
        except TimeoutError:
            raise SocketFailed(f"no answer in {request.timeout_seconds} s") from None

    def _arrive(self, request: HttpRequest, answer: "asyncio.Future[HttpAnswer]") -> None:
        script = script_of(request)
        got = self._service.serve(self._api.who, request)
        now = asyncio.get_running_loop().time()
        plan = self._faults.plan
        if script.get("hang"):
            return
        if script.get("fragile") and now < plan.until and self._dice.random() < plan.lost:
            later(0.5, self._fail, answer)
            return
        later(float(script.get("seconds", 0.0)), self._reply, answer, got)

    def _reply(self, answer: "asyncio.Future[HttpAnswer]", got: HttpAnswer) -> None:
        if not self._api.process.dead and not answer.done():
            answer.set_result(got)

    def _fail(self, answer: "asyncio.Future[HttpAnswer]") -> None:
        if not self._api.process.dead and not answer.done():
            answer.set_exception(SocketFailed("connection reset"))


def key_of(request: HttpRequest) -> str:
    """The Idempotency-Key of a request; empty where it has none."""
    return next((value for name, value in request.headers if name.lower() == KEY), "")


def script_of(request: HttpRequest) -> dict[str, Any]:
    """What a request wants the service to do."""
    try:
        body = orjson.loads(request.body or b"null")
    except orjson.JSONDecodeError:
        return {}
    script = body.get("pretend") if isinstance(body, dict) else None
    return script if isinstance(script, dict) else {}
