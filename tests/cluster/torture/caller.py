"""The HTTP server that the mix calls: it answers as a request's body says, and remembers keys.

The one rule: the same key gets the same answer, however often it comes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

KEY = "Idempotency-Key"


@dataclass
class Heard:
    """What one run has asked.

    Args:
        keys: of each logical call, in the order in which they were first heard.
        times: how often each key was heard.
        bodies: of each key.
        violations: what must not be.
    """

    keys: dict[str, list[str]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """Requests beyond the first of their key."""
        return sum(self.times.values()) - len(self.times)


class Caller:
    """See the module. `async with` serves it; `begin` starts another run's notes."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.url = ""

    def begin(self) -> Heard:
        """New notes for a new run."""
        self.heard = Heard()
        return self.heard

    async def __aenter__(self) -> Caller:
        app = web.Application()
        app.router.add_post("/call", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        heard = self.heard
        raw = await request.read()
        told = await request.json()
        call, key = told["call"], request.headers.get(KEY, "")
        if not key:
            heard.violations.append(f"{call}: a request without {KEY}")
        keys = heard.keys.setdefault(call, [])
        if key not in keys:
            keys.append(key)
        heard.times[key] = heard.times.get(key, 0) + 1
        if heard.bodies.setdefault(key, raw) != raw:
            heard.violations.append(f"{call}: key {key} came with another body")
        await asyncio.sleep(told["seconds"])
        refused = keys.index(key) < told["failTimes"]
        status = told["status"] if refused else 200
        # Nothing in an answer may tell two runs apart.
        fixed = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Server": "caller"}
        said = {"said": f"{'no' if refused else 'yes'} to {call}"}
        return web.json_response(said, status=status, headers=fixed)
