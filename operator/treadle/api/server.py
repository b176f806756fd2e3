"""The operator's own small server: `/healthz`, `/readyz`, `/metrics`.

One rule: it serves nothing that changes anything, so it needs no login; it holds nothing secret.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from treadle.api.health import Check, verdict
from treadle.api.metrics import CONTENT_TYPE, Metrics

# A probe sends next to nothing.
_BODY_BYTES_MAX = 1_024
_SHUTDOWN_SECONDS = 2.0

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def application(
    alive: Mapping[str, Check], ready: Mapping[str, Check], metrics: Metrics
) -> web.Application:
    """The server's routes.

    Args:
        alive: a failing one of these makes the kubelet restart us: the loop.
        ready: the first list of Jobs and Pods, where this process leads.
        metrics: what `/metrics` shows.
    """
    app = web.Application(client_max_size=_BODY_BYTES_MAX)
    app.router.add_get("/healthz", _probe(alive))
    app.router.add_get("/readyz", _probe(ready))

    async def scrape(request: web.Request) -> web.Response:
        del request
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/metrics", scrape)
    return app


def _probe(checks: Mapping[str, Check]) -> _Handler:
    async def probe(request: web.Request) -> web.Response:
        del request
        healthy, text = verdict(checks)
        return web.Response(status=200 if healthy else 503, text=text)

    return probe


class Server:
    """Serves an application on a port until it is closed."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        # Who hangs up waits no more: a worker of an activity gives its place back.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, handler_cancellation=True
        )
        self._host = host
        self._port = port

    async def open(self) -> int:
        """Begin to serve.

        Returns:
            The port, which the system chose where it was asked for 0.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()
