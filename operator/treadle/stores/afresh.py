"""Reads that many ask for at once.

One rule: an answer was read after whoever is given it had asked.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Afresh(Generic[K, T]):
    """Reads by key; calls that wait for the same read share it.

    A thousand executions that start at once share one, which still begins after each has asked.
    """

    def __init__(self, read: Callable[[K], Coroutine[Any, Any, T]]) -> None:
        self._read_now = read
        self._waiting: dict[K, asyncio.Task[T]] = {}

    async def __call__(self, key: K) -> T:
        """What a read gives that begins after this call, and what it raises."""
        reading = self._waiting.get(key)
        if reading is None:
            reading = asyncio.ensure_future(self._read(key))
            self._waiting[key] = reading
        return await asyncio.shield(reading)

    async def _read(self, key: K) -> T:
        await asyncio.sleep(0)  # so that all of them have asked
        del self._waiting[key]
        return await self._read_now(key)
