"""Workers of an activity: they ask for work, hang up, die with it, and answer what they were given.

One rule: an attempt is one worker's: who is told of it is held against what was saved then.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from treadle.asl.json import loads
from treadle.runners.activities import Handed, Place
from treadle.runtime.ports import Attempt, Fault
from treadle.sim.api import SimApi
from treadle.sim.clock import OUTSIDE
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import Plan
from treadle.sim.holders import Holders

Door: TypeAlias = Callable[[Place, str], Awaitable[tuple[Attempt, Handed] | None]]
"""Where an operator is asked for work, with the attempt that it gives. Raises: Fault."""

Seen: TypeAlias = Callable[[str, Attempt], None]
"""Told of each hand-out, with the worker, when an operator answers it."""

NAME: Final = "work"
COUNT = 3
LOOK_SECONDS = 5.0
PATIENCES_SECONDS = (0.5, 3.0, 20.0, 70.0)


class Workers:
    """All workers of the activity `work`.

    An input has `pretend`, a script for `Holders`, and beside that `dies`: so many workers die with
    it before one does it.

    Args:
        cluster: where it is noted.
        holders: they answer for the workers.
        seen: see there.
    """

    def __init__(
        self, cluster: SimCluster, holders: Holders, plan: Plan, seed: int | str, seen: Seen
    ) -> None:
        self._cluster = cluster
        self._holders = holders
        self._plan = plan
        self._seen = seen
        self._dice = random.Random(f"{seed}/workers")
        self._doors: list[tuple[SimApi, Door]] = []
        self._died: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, api: SimApi, door: Door) -> None:
        """An operator begins to hand out work."""
        self._doors.append((api, door))

    def start(self, namespace: str) -> None:
        """They begin to ask for it."""
        loop = asyncio.get_running_loop()
        for number in range(COUNT):
            working = self._work(Place(namespace, NAME), f"worker-{number}")
            self._tasks.append(loop.create_task(working, context=OUTSIDE.copy()))

    async def _work(self, place: Place, worker: str) -> None:
        while True:
            serving = [(api, door) for api, door in self._doors if not api.process.dead]
            handed = (
                await self._ask(*self._dice.choice(serving), place, worker) if serving else None
            )
            if handed is None:
                await asyncio.sleep(self._dice.uniform(0.1, 1.0))
            else:
                self._take(handed)

    async def _ask(self, api: SimApi, door: Door, place: Place, worker: str) -> Handed | None:
        """One request; None where nothing came of it, as far as the worker knows."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._dice.choice(PATIENCES_SECONDS)
        asking = api.process.start(self._asked(api, door, place, worker))
        while not (asking.done() or api.process.dead or loop.time() >= ends_at):
            await asyncio.wait({asking}, timeout=min(LOOK_SECONDS, ends_at - loop.time()))
        if not asking.done():
            if not api.process.dead:
                asking.cancel()  # it hangs up, and the server notices
            return None
        handed = asking.result()
        return None if self._is_lost() else handed

    async def _asked(self, api: SimApi, door: Door, place: Place, worker: str) -> Handed | None:
        try:
            found = await door(place, worker)
        except Fault:
            return None
        if found is None:
            return None
        attempt, handed = found
        self._cluster.note(
            f"{api.who} hands {attempt.task} of {attempt.execution.name} to {worker}"
        )
        self._seen(worker, attempt)
        return handed

    def _take(self, handed: Handed) -> None:
        script: dict[str, Any] = loads(handed.input)["pretend"]
        if self._died[handed.input] < script.get("dies", 0):
            self._died[handed.input] += 1
        else:
            self._holders.told(handed.input, handed.token, script)

    def _is_lost(self) -> bool:
        calm = asyncio.get_running_loop().time() >= self._plan.until
        return not calm and self._dice.random() < self._plan.lost
