"""Judging machines, and their aliases, one after the other, as they change.

One rule: a machine is named here as often as it changes and judged at least once after.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import Fault

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
BROKEN_SECONDS = 60.0


class Judging:
    """A queue of machines that `judge` is asked to judge. `judged` is told of each that was."""

    def __init__(
        self,
        judge: Callable[[str, str], Awaitable[bool]],
        judged: Callable[[str, str], None],
        meter: Meter | None = None,
    ) -> None:
        self._judge = judge
        self._meter = meter or NoMeter()
        self._judged = judged
        self._waiting: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()

    def post(self, namespace: str, name: str) -> None:
        """Have a machine judged."""
        self._waiting[(namespace, name)] = None
        self._wake.set()

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                key = next(iter(self._waiting))
                del self._waiting[key]
                try:
                    await self._judge(*key)
                    self._judged(*key)
                except Fault as fault:
                    _log.warning("judging StateMachine %s/%s: %r", *key, fault)
                    self._again(key, RETRY_SECONDS)
                except Exception:
                    # We are wrong. The other machines are judged all the same; this one is not
                    # forgotten, for its executions wait for a judgement.
                    _log.exception("judging StateMachine %s/%s", *key)
                    self._meter.failed("stores")
                    self._again(key, BROKEN_SECONDS)

    def _again(self, key: tuple[str, str], seconds: float) -> None:
        # The others go on meanwhile.
        asyncio.get_running_loop().call_later(seconds, self.post, *key)
