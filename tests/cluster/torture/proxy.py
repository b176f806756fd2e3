"""A loopback proxy before the API server: it notes what is sent and can stop the world there.

The one rule: a request that has arrived here is carried to its end, whatever becomes of the one
who sent it, as a network would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from kubernetes import client, config
from yarl import URL

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
    """

    kind: str
    method: str
    path: str
    received_at: float
    answered_at: float = 0.0
    status: int = 0
    audit_id: str = ""
    body: Obj = field(default_factory=dict)


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


class Upstream:
    """Where the API server is and how one signs in, from a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        found = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=found)
        self.server = found.host.rstrip("/")
        self.context: ssl.SSLContext | bool = True
        if self.server.startswith("https"):
            context = ssl.create_default_context(cafile=found.ssl_ca_cert)
            if not found.verify_ssl:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if found.cert_file:
                context.load_cert_chain(found.cert_file, found.key_file)
            self.context = context
        token = found.api_key.get("authorization") or found.api_key.get("BearerToken")
        if token and " " not in token:
            token = f"Bearer {token}"
        self.headers = {"Authorization": token} if token else {}


class Proxy:
    """See the module. `async with` serves it; `kubeconfig` then points to it."""

    def __init__(self, upstream: Upstream, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.writes: list[Write] = []
        self.reads = 0
        self._upstream = upstream
        self._trap: Trap | None = None
        self._flying: set[asyncio.Task[web.Response]] = set()

    async def __aenter__(self) -> Proxy:
        self._session = aiohttp.ClientSession(
            headers=self._upstream.headers,
            connector=aiohttp.TCPConnector(ssl=self._upstream.context, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A watch ends when its reader has gone; everything else goes on (`shield`).
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=0.1)
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
                headers=_passed_on(request.headers),
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
                await asyncio.Event().wait()  # whoever asked is dead
        return web.Response(
            status=answer.status, body=content, headers=_passed_on(answer.headers)
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.reads += 1
        async with self._session.get(
            URL(self._upstream.server + request.raw_path, encoded=True),
            headers=_passed_on(request.headers),
        ) as answer:
            passing = web.StreamResponse(
                status=answer.status, headers=_passed_on(answer.headers)
            )
            await passing.prepare(request)
            async for chunk in answer.content.iter_any():
                await passing.write(chunk)
            return passing

    def _note(self, request: web.Request, body: bytes) -> Write | None:
        if request.method in ("GET", "HEAD"):
            self.reads += 1
            return None
        kind = kind_of(request.method, request.path)
        write = Write(kind, request.method, request.path, time.monotonic())
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
    kept = _HOP_BY_HOP - {"date"}
    return [(name, value) for name, value in headers.items() if name.lower() not in kept]


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


def page_text(spec: Obj) -> bytes:
    """The packed content of a page."""
    return base64.b64decode(spec["data"])
