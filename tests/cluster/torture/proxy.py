"""A loopback proxy before the API server: it notes what is sent and can stop the world there.

The one rule: a request that has arrived here is carried to its end, whatever becomes of the one
who sent it, as a network would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from treadle.kube.credentials import Endpoint

Obj = dict[str, Any]

STATUS = "status"
JOB = "job"
PAGE = "page"
LEASE = "lease"
OTHER = "other"

_HOP_BY_HOP = frozenset(
    {"connection", "host", "keep-alive", "transfer-encoding", "content-length", "upgrade"}
)


@dataclass
class Write:
    """One request that changes something, in the order of its arrival.

    Args:
        kind: STATUS (PUT of an Execution's), JOB or PAGE (POST), LEASE, OTHER.
        received_at: when it arrived here, by the monotonic clock.
        answered_at: when the API server's answer arrived here.
        status: of that answer; 0 while there is none.
        audit_id: of the API server's audit log.
        body: as it was sent; only of STATUS, JOB and PAGE.
        sender: which process sent it; each start of an operator is another.
    """

    kind: str
    method: str
    path: str
    received_at: float
    answered_at: float = 0.0
    status: int = 0
    audit_id: str = ""
    body: Obj = field(default_factory=dict)
    sender: str = ""


@dataclass
class Trap:
    """Waits for the answer to a request of a kind.

    Args:
        kind: STATUS or JOB.
        skip: so many of them are let through first.
        sprung: called right when the answer has arrived here, before anybody else sees it; gives
            whether the answer may go on to who asked.
    """

    kind: str
    skip: int
    sprung: Callable[[Write], bool]


class Proxy:
    """See the module. `async with` serves it; `kubeconfig` then points to it."""

    def __init__(self, upstream: Endpoint, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.writes: list[Write] = []
        self.reads = 0
        self.sender = ""
        self._upstream = upstream
        self._trap: Trap | None = None
        self._flying: set[asyncio.Task[web.Response]] = set()

    async def __aenter__(self) -> Proxy:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._upstream.tls or True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A watch ends when its reader has gone; everything else goes on (`shield`).
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{port}"), encoding="utf-8")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        if self._flying:
            await asyncio.wait(self._flying, timeout=5)
        await self._session.close()

    # -------------------------------------------------------------------------------- the traps

    def set_trap(self, trap: Trap) -> None:
        """Set a trap; the one before is forgotten."""
        self._trap = trap

    def lift_trap(self) -> None:
        """Forget the trap."""
        self._trap = None

    def _spring(self, write: Write) -> bool:
        """Whether the answer may go on."""
        trap = self._trap
        if trap is None or write.kind != trap.kind or write.status not in (200, 201):
            return True
        if trap.skip > 0:
            trap.skip -= 1
            return True
        self._trap = None
        return trap.sprung(write)

    # ------------------------------------------------------------------------------ the requests

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request)
        body = await request.read()
        task = asyncio.create_task(self._carry(request, body))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)
        return await asyncio.shield(task)

    async def _carry(self, request: web.Request, body: bytes) -> web.Response:
        write = self._note(request, body)
        try:
            async with self._session.request(
                request.method,
                URL(self._upstream.server + request.raw_path, encoded=True),
                data=body or None,
                headers=self._signed(request),
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError as broken:
            return web.Response(status=502, text=f"proxy: {broken!r}")
        if write is not None:
            write.answered_at = time.monotonic()
            write.status = answer.status
            write.audit_id = answer.headers.get("Audit-Id", "")
            if not self._spring(write):
                return web.Response(status=503)  # to nobody: whoever asked is dead
        return web.Response(status=answer.status, body=content, headers=_passed_on(answer.headers))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.reads += 1
        async with self._session.get(
            URL(self._upstream.server + request.raw_path, encoded=True),
            headers=self._signed(request),
        ) as answer:
            passing = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
            # Either side may be gone in the middle of it; who is left begins again.
            with contextlib.suppress(ConnectionResetError, aiohttp.ClientError):
                await passing.prepare(request)
                async for chunk in answer.content.iter_any():
                    await passing.write(chunk)
            return passing

    def _signed(self, request: web.Request) -> list[tuple[str, str]]:
        ours = self._upstream.headers()
        theirs = _passed_on(request.headers)
        kept = [(name, value) for name, value in theirs if name.lower() != "authorization"]
        return [*kept, *ours.items()]

    def _note(self, request: web.Request, body: bytes) -> Write | None:
        if request.method in ("GET", "HEAD"):
            self.reads += 1
            return None
        kind = kind_of(request.method, request.path)
        write = Write(kind, request.method, request.path, time.monotonic(), sender=self.sender)
        if kind in (STATUS, JOB, PAGE):
            write.body = orjson.loads(body)
        self.writes.append(write)
        return write


def kind_of(method: str, path: str) -> str:
    """What a request changes."""
    if "/leases" in path:
        return LEASE
    if method == "PUT" and "/executions/" in path and path.endswith("/status"):
        return STATUS
    if method == "POST" and path.endswith("/jobs"):
        return JOB
    if method == "POST" and path.endswith("/executionpages"):
        return PAGE
    return OTHER


def _passed_on(headers: Any) -> list[tuple[str, str]]:
    # The Date goes through as it is: the product reads the API server's time from it.
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]


def _kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
            # Kubeconfigs without any credentials are refused by some clients; nobody reads this.
            "users": [{"name": "nobody", "user": {"token": "none"}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "current-context": "proxy",
        }
    )
