"""An operator's API as a worker sees it: it gives tasks, and keeps what is said of them.

One rule: what it answers, the test says; nothing of ours stands behind it.
"""

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import web

from treadle.api.server import Server


class TaskGiver:
    """See the module.

    Attributes:
        tasks: inputs that are given, in this order; each task's token is its number.
        said: what was said: (token, what, body).
        answers: what is answered instead: (status, body), the next first.
        let_go: set to answer those who are held.
        polls: (namespace, activity, worker, Authorization) of each poll.
    """

    def __init__(self, *tasks: Any) -> None:
        self.tasks = deque(enumerate(tasks))
        self.said: list[tuple[str, str, Any]] = []
        self.answers: dict[str, deque[tuple[int, Any]]] = {}
        self.polls: list[tuple[str, str, str, str]] = []
        self.heard = asyncio.Condition()
        self.url = ""
        self.let_go = asyncio.Event()

    async def __aenter__(self) -> "TaskGiver":
        app = web.Application(client_max_size=4 * 1_048_576)
        app.router.add_post("/v1/namespaces/{namespace}/activities/{name}/poll", self._poll)
        app.router.add_post("/v1/tasks/{token}/{what}", self._told)
        self._server = Server(app, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{await self._server.open()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def answer(self, what: str, status: int, **body: Any) -> None:
        """Say what is answered next to a poll, a success and so on."""
        self.answers.setdefault(what, deque()).append((status, body))

    async def until(self, *expected: tuple[str, str, Any]) -> None:
        """Wait until this was said, and nothing else but heartbeats."""
        async with self.heard:
            await self.heard.wait_for(lambda: self.ends() == list(expected))

    async def until_said(self, what: str, times: int = 1) -> None:
        """Wait until such a thing was said so often."""
        async with self.heard:
            await self.heard.wait_for(lambda: [w for _, w, _ in self.said].count(what) >= times)

    async def until_polled(self, times: int) -> None:
        """Wait until it was asked for work so often."""
        async with self.heard:
            await self.heard.wait_for(lambda: len(self.polls) >= times)

    def ends(self) -> list[tuple[str, str, Any]]:
        return [each for each in self.said if each[1] != "heartbeat"]

    async def _poll(self, request: web.Request) -> web.Response:
        found = request.match_info
        worker, token = request.query["worker"], request.headers["Authorization"]
        async with self.heard:
            self.polls.append((found["namespace"], found["name"], worker, token))
            self.heard.notify_all()
        if self.answers.get("poll"):
            status, body = self.answers["poll"].popleft()
            return web.json_response(body, status=status)
        if not self.tasks:
            await self.let_go.wait()
            return web.Response(status=204)
        number, given = self.tasks.popleft()
        return web.json_response({"taskToken": str(number), "input": given})

    async def _told(self, request: web.Request) -> web.Response:
        token, what = request.match_info["token"], request.match_info["what"]
        body = await request.text()
        async with self.heard:
            self.said.append((token, what, json.loads(body) if body else None))
            self.heard.notify_all()
        status: int = 200
        answer: Any = {}
        if self.answers.get(what):
            status, answer = self.answers[what].popleft()
        return web.json_response(answer, status=status)
