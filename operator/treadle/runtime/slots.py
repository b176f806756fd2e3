"""Slots: how many turns are made at once, and that long ones go on one at a time.

One rule: a turn that waits for a thread has no slot, so that it holds up nobody.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TURNS_AT_ONCE = 32


class Slots:
    """See the module."""

    def __init__(self, at_once: int = TURNS_AT_ONCE) -> None:
        self._any = asyncio.Semaphore(at_once)
        # Those that have more to do than one turn may go on one at a time: they hold up each other,
        # and everybody else for the length of one turn.
        self._long = asyncio.Semaphore(1)

    @asynccontextmanager
    async def held(self, *, is_long: bool) -> AsyncIterator[None]:
        """A slot for a turn."""
        await self._take(is_long)
        try:
            yield
        finally:
            self._give(is_long)

    @asynccontextmanager
    async def lent(self, *, is_long: bool) -> AsyncIterator[None]:
        """Without the slot that is held, which is taken again afterwards."""
        self._give(is_long)
        try:
            yield
        finally:
            await self._take(is_long)

    async def _take(self, is_long: bool) -> None:
        if is_long:
            await self._long.acquire()
        await self._any.acquire()

    def _give(self, is_long: bool) -> None:
        self._any.release()
        if is_long:
            self._long.release()
