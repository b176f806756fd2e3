"""A standby hands what it is asked to the process that leads.

One rule: once. What was handed on already is not handed on again: two that think the other leads
would pass it for ever.
"""

import io
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp import web

from treadle.api.wire import TARGET, NotNow

FORWARDED: Final = "X-Treadle-Forwarded"
_KEPT: Final = ("Authorization", "Content-Type", "X-Amz-Security-Token", TARGET)
_MARGIN_SECONDS: Final = 5.0


class Forwarding:
    """See `callbacks.Forward`. Use it as an async context manager.

    Args:
        leads: whether this process does.
        leader: where the one that leads is asked, as far as this one knows; None where it does not.
    """

    def __init__(self, leads: Callable[[], bool], leader: Callable[[], str | None]) -> None:
        self._leads = leads
        self._leader = leader
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Forwarding":
        # Who is held here is held there: how many these are is bounded where they come in.
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def __call__(
        self, request: web.Request, body: bytes, seconds: float
    ) -> web.Response | None:
        """The leader's answer, which takes so long; None where this one leads. Raises: NotNow."""
        if self._leads():
            return None
        leader = self._leader()
        if leader is None or FORWARDED in request.headers:
            raise NotNow("no process leads now")
        assert self._session is not None
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        headers[FORWARDED] = "1"
        try:
            async with self._session.post(
                leader + request.raw_path,
                data=io.BytesIO(body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds + _MARGIN_SECONDS, connect=2.0),
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers={"Content-Type": answer.headers.get("Content-Type", "")},
                )
        except (aiohttp.ClientError, TimeoutError) as why:
            raise NotNow(f"the process that leads does not answer ({type(why).__name__})") from None
