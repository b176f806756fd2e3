"""Threads for what takes long, given first to whoever took least of late.

One rule: who pays is a machine, and its namespace with it: one whose expressions are slow holds up
itself before it holds up others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from treadle.runtime.ports import Payer, T

HALF_LIFE_SECONDS: Final = 10.0
"""What somebody took counts half after so long."""

FORGOTTEN_SECONDS: Final = 0.001


@dataclass(slots=True)
class _Taken:
    """Seconds that somebody took, as they counted at an instant."""

    seconds: float
    at: float

    def now(self, now: float) -> float:
        return float(self.seconds * 0.5 ** ((now - self.at) / HALF_LIFE_SECONDS))


@dataclass(eq=False, slots=True)
class _Waiting:
    payer: Payer
    turn: asyncio.Future[None]


class Fair:
    """See `runtime.ports.Aside`.

    Args:
        in_thread: has a thread do something.
        threads: how many there are.
    """

    def __init__(
        self, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]], threads: int
    ) -> None:
        self._in_thread = in_thread
        self._free = threads
        self._waiting: list[_Waiting] = []
        self._taken: dict[Any, _Taken] = {}

    async def __call__(self, work: Callable[[], T], payer: Payer) -> T:
        """See `Aside`."""
        loop = asyncio.get_running_loop()
        await self._turn(payer)
        began_at = loop.time()
        try:
            done: T = await self._in_thread(work)
            return done
        finally:
            self._charge(payer, began_at, loop.time())
            self._pass_on(loop.time())

    async def _turn(self, payer: Payer) -> None:
        if self._free:
            self._free -= 1
            return
        waiting = _Waiting(payer, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:  # it was this one's turn already
                self._pass_on(asyncio.get_running_loop().time())
            raise

    def _pass_on(self, now: float) -> None:
        if not self._waiting:
            self._free += 1
            self._forget(now)
            return
        first = min(self._waiting, key=lambda waiting: self._owed(waiting.payer, now))
        self._waiting.remove(first)
        first.turn.set_result(None)

    def _owed(self, payer: Payer, now: float) -> float:
        nothing = _Taken(0.0, now)
        return sum(self._taken.get(who, nothing).now(now) for who in (payer, payer.namespace))

    def _charge(self, payer: Payer, began_at: float, now: float) -> None:
        for who in (payer, payer.namespace):
            before = self._taken.get(who)
            owed = 0.0 if before is None else before.now(now)
            self._taken[who] = _Taken(owed + now - began_at, now)

    def _forget(self, now: float) -> None:
        """Nobody waits: those whose debt is gone need not be remembered."""
        small = [who for who, taken in self._taken.items() if taken.now(now) < FORGOTTEN_SECONDS]
        for who in small:
            del self._taken[who]
