"""Work that waits its turn: each piece at most once in the queue, and with one worker at a time.

One rule: what is put while it is being worked on is worked on once more afterwards.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys in the order of their first `put`."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._takers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._working)

    def put(self, key: K) -> None:
        """Have a key worked on."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._wake_one()

    async def take(self) -> K:
        """The next key; `done` must follow."""
        while not self._waiting:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if self._waiting and not taker.cancelled():
                    self._wake_one()  # it was woken for a key, and goes: another takes it
                raise
        key = next(iter(self._waiting))
        self.begin(key)
        return key

    def _wake_one(self) -> None:
        """One for each key: to wake all for one would cost more than most of the work does."""
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

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
