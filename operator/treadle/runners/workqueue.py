"""Work that waits its turn: each piece at most once in the queue, and with one worker at a time.

One rule: what is put while it is being worked on is worked on once more afterwards.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys in the order of their first `put`."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._working)

    def put(self, key: K) -> None:
        """Have a key worked on."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._filled.set()

    async def take(self) -> K:
        """The next key; `done` must follow."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._waiting))
        self.begin(key)
        return key

    def begin(self, key: K) -> bool:
        """Take a certain key out of turn; False where somebody is working on it."""
        if key in self._working:
            self._again.add(key)
            return False
        self._waiting.pop(key, None)
        self._working.add(key)
        return True

    def done(self, key: K) -> None:
        """The work on a key is over."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.put(key)
