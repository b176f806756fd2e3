"""Attempts that a runner looks after, each with what this process knows of it.

One rule: an attempt is brought in line by one worker at a time, and looked at again when it is due.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from treadle.runners.observed import Watch
from treadle.runners.telling import Telling
from treadle.runners.workqueue import WorkQueue
from treadle.runtime.ports import Attempt, Standing, Standings, Unavailable

_LEAST_SECONDS = 0.05  # what is due at once must not be looked at in a circle


async def saved_end(standings: Standings, attempt: Attempt) -> Standing | None:
    """How an attempt's end is saved, OVER or GONE; None where it is not over.

    A process stops only what its saved snapshot knows to be over, whoever asks for it.

    Raises:
        Fault: nobody can tell now.
    """
    standing = await standings(attempt)
    if standing is Standing.UNKNOWN:
        raise Unavailable("it is not known whether the attempt is over")
    return standing if standing in (Standing.OVER, Standing.GONE) else None


class Watches:
    """Attempts, and the workers that bring them in line. `run` must be running.

    Args:
        handle: brings an attempt in line; whatever it raises ends the workers.
        telling: counts those that are over.
        workers: attempts that are brought in line at once.
        due: called with an attempt that is due; unless given, it is brought in line.
    """

    def __init__(
        self,
        handle: Callable[[Attempt], Awaitable[None]],
        telling: Telling,
        workers: int,
        due: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._handle = handle
        self._telling = telling
        self._workers = workers
        self._due = due or self.put
        self._watches: dict[Attempt, Watch] = {}
        self._queue: WorkQueue[Attempt] = WorkQueue()

    def __contains__(self, attempt: Attempt) -> bool:
        return attempt in self._watches

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._watches)

    def get(self, attempt: Attempt) -> Watch | None:
        """What is known of an attempt; None where nothing is."""
        return self._watches.get(attempt)

    def of(self, attempt: Attempt) -> Watch:
        """The same, begun where there was nothing."""
        return self._watches.setdefault(attempt, Watch())

    def put(self, attempt: Attempt) -> None:
        """Have an attempt brought in line."""
        self._queue.put(attempt)

    def over(self, attempt: Attempt, *, gone: bool = False) -> Watch:
        """An attempt's end is saved; `gone`: its execution is. Gives what is known of it."""
        watch = self.of(attempt)
        if watch.over_at is None:
            watch.over_at = asyncio.get_running_loop().time()
            self._telling.over(watch)
        watch.gone = watch.gone or gone
        return watch

    def look_after(self, attempt: Attempt, seconds: float) -> None:
        """Look at an attempt again, at the latest after so long."""
        watch, loop = self.of(attempt), asyncio.get_running_loop()
        due = loop.time() + max(_LEAST_SECONDS, seconds)
        if watch.timer is not None:
            if watch.timer.when() <= due:
                return
            watch.timer.cancel()
        watch.timer = loop.call_at(due, self._timed, attempt, watch)

    def _timed(self, attempt: Attempt, watch: Watch) -> None:
        watch.timer = None
        if self._watches.get(attempt) is watch:
            self._due(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Nothing is to be known of an attempt any more."""
        watch = self._watches.pop(attempt, None)
        if watch is not None and watch.timer is not None:
            watch.timer.cancel()

    async def sweep(self, seen: Iterable[Attempt]) -> None:
        """Bring in line what is seen outside and what is known here, once each."""
        todo = iter([*(dict.fromkeys(seen) | dict.fromkeys(self._watches))])

        async def work() -> None:
            for attempt in todo:
                if self._queue.begin(attempt):
                    await self._bring_in_line(attempt)

        await asyncio.gather(*(work() for _ in range(self._workers)))

    async def run(self) -> None:
        """Bring in line what is put, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            for watch in self._watches.values():
                if watch.timer is not None:
                    watch.timer.cancel()

    async def _work(self) -> None:
        while True:
            await self._bring_in_line(await self._queue.take())

    async def _bring_in_line(self, attempt: Attempt) -> None:
        try:
            await self._handle(attempt)
        finally:
            self._queue.done(attempt)
