"""Holders of task tokens: other systems that answer late, twice, and when they should not.

One rule: a holder repeats until it is told whether its answer was taken; what it was told is held
against the operators.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import Event, TaskFailed, TaskHeartbeat, TaskId, TaskSucceeded
from treadle.runtime.ports import Fault
from treadle.sim.api import SimApi
from treadle.sim.clock import OUTSIDE
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import later
from treadle.sim.faults import Plan

Make: TypeAlias = Callable[[TaskId, datetime], Event]
Door: TypeAlias = Callable[[str, Make], Awaitable[bool]]
"""Where an operator takes answers: gives whether one was taken. Raises: Fault."""

PATIENCE_SECONDS = 30.0
STALE_SECONDS = 2.0
AGAIN = "Sim.Again"


class Holders:
    """Whoever was told a token.

    A script is `{"output", "seconds", "failTimes", "beats"}`: so often it answers with the error
    Sim.Again before it gives the output, and so many heartbeats come before either.

    Attributes:
        violations: answers that were taken though they must not be.
    """

    def __init__(self, cluster: SimCluster, plan: Plan, seed: int | str) -> None:
        self._cluster = cluster
        self._plan = plan
        self._dice = random.Random(f"{seed}/holders")
        self._doors: list[tuple[SimApi, Door]] = []
        self._failed: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.violations: list[str] = []

    def open(self, api: SimApi, door: Door) -> None:
        """An operator begins to take answers."""
        self._doors.append((api, door))

    def told(self, whose: str, token: str, script: Mapping[str, Any]) -> None:
        """Somebody is told a token; `whose` names what the answers are counted by."""
        later(float(script.get("seconds", 0.0)), self._begin, whose, token, script)

    def _begin(self, whose: str, token: str, script: Mapping[str, Any]) -> None:
        answering = self._answer(whose, token, script)
        task = asyncio.get_running_loop().create_task(answering, context=OUTSIDE.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, whose: str, token: str, script: Mapping[str, Any]) -> None:
        for _ in range(script.get("beats", 0)):
            await self._send(token, TaskHeartbeat)
            await asyncio.sleep(1.0)  # virtual seconds, between two signs of life
        if self._failed[whose] < script.get("failTimes", 0):
            error = StateError(AGAIN, "as scripted")
            taken = await self._send(token, lambda task, at: TaskFailed(task, error, at, True))
            self._failed[whose] += taken
        else:
            await self._send(token, _gives(script.get("output")))
        await asyncio.sleep(STALE_SECONDS)
        if await self._send(token, _gives("stale")):
            self.violations.append(f"an answer to {whose} was taken though its attempt was over")

    async def _send(self, token: str, make: Make) -> bool:
        """Send until told; gives whether it was taken."""
        while True:
            serving = [(api, door) for api, door in self._doors if not api.process.dead]
            if serving:
                told = await self._try(*self._dice.choice(serving), token, make)
                if told is not None:
                    return told
            await asyncio.sleep(self._dice.uniform(0.2, 3.0))

    async def _try(self, api: SimApi, door: Door, token: str, make: Make) -> bool | None:
        """One request; None where nobody knows what became of it."""
        if self._is_lost():
            return None
        asking = api.process.start(_asked(door, token, make))
        # Of a process that dies meanwhile there is no answer.
        await asyncio.wait({asking}, timeout=PATIENCE_SECONDS)
        told = asking.result() if asking.done() and not self._is_lost() else None
        self._cluster.note(f"{api.who} is asked about token …{token[-6:]}: {told}")
        return told

    def _is_lost(self) -> bool:
        calm = asyncio.get_running_loop().time() >= self._plan.until
        return not calm and self._dice.random() < self._plan.lost


async def _asked(door: Door, token: str, make: Make) -> bool | None:
    try:
        return await door(token, make)
    except Fault:
        return None


def _gives(value: Any) -> Make:
    return lambda task, at: TaskSucceeded(task, dumps(value), at, by_token=True)
