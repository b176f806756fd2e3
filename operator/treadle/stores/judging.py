"""Judging machines, one after the other, as they change.

One rule: a machine is named here as often as it changes and judged at least once after.
"""

import asyncio
import logging
from collections.abc import Callable

from treadle.runtime.ports import Fault
from treadle.stores.machines import RevisionMachines

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


class Judging:
    """A queue of machines to judge. `judged` is told of each that was."""

    def __init__(self, machines: RevisionMachines, judged: Callable[[str, str], None]) -> None:
        self._machines = machines
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
                    await self._machines.judge(*key)
                    self._judged(*key)
                except Fault as fault:
                    _log.warning("judging StateMachine %s/%s: %r", *key, fault)
                    # The others go on meanwhile.
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self.post, *key)
                except Exception:
                    # One machine that we cannot judge keeps no other from being judged.
                    _log.exception("judging StateMachine %s/%s", *key)
