"""What the worlds of all runners have: a simulated cluster with one execution, and what was told.

One rule: the API server is the simulated one; a test says what goes wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSubmitted
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, Kind
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, Fault, Refused, Standing
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster

TASK = TaskId(1, 1, 1)
QUOTA = Refused(403, "Forbidden", "exceeded quota: q, requested: count/jobs.batch=1")


class Recorder:
    """A mailbox, and a driver that answers where attempts stand."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reasons: list[str | None] = []
        self.standing = Standing.LIVE
        self.broken: list[Exception] = []
        self.asked = 0

    def post(self, _: ExecutionKey, event: Event) -> None:
        self.events.append(event)

    def waits(self, _: ExecutionKey, __: TaskId, reason: str | None) -> None:
        self.reasons.append(reason)

    async def of(self, _: Attempt) -> Standing:
        self.asked += 1
        if self.broken:
            raise self.broken.pop()
        return self.standing

    @property
    def outcomes(self) -> list[Event]:
        begun = (TaskStarted, TaskSubmitted)
        return [event for event in self.events if not isinstance(event, begun)]

    def error(self) -> str | None:
        (event,) = self.outcomes
        assert isinstance(event, TaskFailed)
        return event.error.name


class Tally(NoMeter):
    """Keeps what was counted of attempts, all of one runner."""

    def __init__(self, runner: str) -> None:
        self.counted: list[str] = []
        self.failures: list[str] = []
        self._runner = runner

    def failed(self, where: str) -> None:
        self.failures.append(where)

    def task_started(self, runner: str) -> None:
        assert runner == self._runner
        self.counted.append("started")

    def task_ended(self, runner: str, outcome: str) -> None:
        assert runner == self._runner
        self.counted.append(outcome)


class Lease:
    def __init__(self) -> None:
        self.is_fresh = True
        self.seconds: float | None = None

    def fresh(self) -> bool:
        return self.is_fresh

    def create_before(self) -> datetime | None:
        return None if self.seconds is None else clock.wall(self.seconds)


class RunnerWorld:
    """A cluster with one execution, and lives of a runner in it.

    Args:
        runner: as it is called where attempts are counted.
        kind: of the objects that attempts are.
        execution: its name.
    """

    def __init__(self, runner: str, kind: Kind, execution: str = "ex") -> None:
        self.cluster = SimCluster(seed=5)
        self.kubectl = SimApi(self.cluster)
        self.told = Recorder()
        self.tally = Tally(runner)
        self.lease = Lease()
        self.key = ExecutionKey("default", execution, "")
        self.lives: list[asyncio.Task[None]] = []
        self._kind = kind

    async def begin(self) -> None:
        made = await self.create(self.key.name, "m")
        self.key = self.key._replace(uid=made["metadata"]["uid"])
        await self.live()

    async def create(self, name: str, machine: str, **spec: Any) -> Obj:
        """Somebody creates an Execution."""
        spec = {"stateMachineRef": {"name": machine}, **spec}
        execution = {"metadata": {"name": name}, "spec": spec}
        return await self.kubectl.create(EXECUTIONS, "default", execution)

    async def live(self) -> None:
        """Start a process; one that was there dies."""
        raise NotImplementedError

    def die(self) -> None:
        for life in self.lives:
            life.cancel()
        self.lives = []

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.key, TASK)

    @property
    def name(self) -> str:
        """Of the attempt's object."""
        return names.attempt(self.key, TASK)

    def refusing(self, refusal: Fault | None, kind: Kind | None = None) -> None:
        """Have what is made of a kind refused from now on."""

        def refuse(of: Kind, obj: Obj, now: datetime) -> None:
            if of == (kind or self._kind) and refusal is not None:
                raise refusal

        self.cluster.admission = refuse


W = TypeVar("W", bound=RunnerWorld)


def within(make: Callable[[], W]) -> Callable[[Callable[[W], Awaitable[None]]], None]:
    """What plays a test in a new world."""

    def play(test: Callable[[W], Awaitable[None]]) -> None:
        clock.run(whole(test))

    async def whole(test: Callable[[W], Awaitable[None]]) -> None:
        world = make()
        await world.begin()
        await test(world)
        world.die()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualLoop)
        assert loop.unhandled == []

    return play


@contextmanager
def counting(world: RunnerWorld) -> Iterator[list[str]]:
    """The requests of the operator meanwhile."""
    before = len(world.cluster.trace)
    requests: list[str] = []
    yield requests
    for line in world.cluster.trace[before:]:
        words = line.split()
        if words[1] == "operator" and words[2] != "watch":
            requests.append(" ".join(words[2:4]))
