"""A world for the Job runner: a simulated cluster with one execution, and what the runner told.

One rule: the API server is the simulated one; a test says what goes wrong.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import EXECUTIONS, JOBS, PODS, Kind
from treadle.runners import observed
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, Fault, Order, Refused, Standing
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import Faults

TASK = TaskId(1, 1, 1)


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
        return [event for event in self.events if not isinstance(event, TaskStarted)]

    def error(self) -> str | None:
        (event,) = self.outcomes
        assert isinstance(event, TaskFailed)
        return event.error.name


class Tally(NoMeter):
    """Keeps what was counted of attempts."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.failures: list[str] = []

    def failed(self, where: str) -> None:
        self.failures.append(where)

    def task_started(self, runner: str) -> None:
        assert runner == "job"
        self.counted.append("started")

    def task_ended(self, runner: str, outcome: str) -> None:
        assert runner == "job"
        self.counted.append(outcome)


class Lease:
    def __init__(self) -> None:
        self.is_fresh = True
        self.seconds: float | None = None

    def fresh(self) -> bool:
        return self.is_fresh

    def create_before(self) -> datetime | None:
        return None if self.seconds is None else clock.wall(self.seconds)


class World:
    """A cluster with one execution, and lives of a runner in it."""

    def __init__(self) -> None:
        self.cluster = SimCluster(seed=5)
        self.kubectl = SimApi(self.cluster)
        self.told = Recorder()
        self.tally = Tally()
        self.lease = Lease()
        self.key = ExecutionKey("default", "ex", "")
        self.lives: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        execution = {"metadata": {"name": "ex"}, "spec": {"stateMachineRef": {"name": "m"}}}
        made = await self.kubectl.create(EXECUTIONS, "default", execution)
        self.key = ExecutionKey("default", "ex", made["metadata"]["uid"])
        await self.live()

    async def live(self, faults: Faults | None = None, **settings: Any) -> None:
        """Start a process; one that was there dies."""
        self.die()
        self.api = SimApi(self.cluster, faults, who="operator")
        jobs, pods = (
            Informer(
                self.api,
                kind,
                labels=observed.SELECTOR,
                indices=observed.INDICES,
                trim=observed.trim,
            )
            for kind in (JOBS, PODS)
        )
        self.runner = JobRunner(
            self.api,
            jobs,
            pods,
            mailbox=self.told,
            leading=self.lease,
            standings=self.told.of,
            clock=clock.wall,
            settings=JobSettings(**settings),
            meter=self.tally,
        )
        self.lives = [asyncio.create_task(each.run()) for each in (jobs, pods, self.runner)]
        await asyncio.sleep(0.2)

    def die(self) -> None:
        for life in self.lives:
            life.cancel()
        self.lives = []

    def order(self, task: TaskId = TASK, **more: Any) -> Order:
        parameters = more.pop("parameters", None) or {
            "image": "i",
            "command": ["pretend", json.dumps(more.pop("script", {}))],
            **more.pop("also", {}),
        }
        work = Task(
            id=task,
            state="S",
            resource="treadle:job",
            parameters=parameters,
            input=more.pop("input", {"a": 1}),
            digest=more.pop("digest", "d"),
            due_at=more.pop("due_at", clock.wall()),
            deadline_at=more.pop("deadline_at", None),
            uid=more.pop("uid", ""),
        )
        return Order(self.key, work, {}, 1_048_576, **more)

    async def start(self, **more: Any) -> None:
        await self.runner.start(self.order(**more))

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.key, TASK)

    @property
    def name(self) -> str:
        return names.attempt(self.key, TASK)

    def job(self) -> Obj | None:
        return self.cluster.objects.peek(JOBS, "default", self.name)

    def pods(self) -> list[Obj]:
        return list(self.cluster.objects.each(PODS))

    def held(self) -> list[str]:
        return [p["metadata"]["name"] for p in self.pods() if observed.is_held(p)]

    def pod_key(self) -> tuple[str, str]:
        (pod,) = self.pods()
        return "default", pod["metadata"]["name"]

    def refusing(self, refusal: Fault, kind: Kind = JOBS) -> None:
        def refuse(of: Kind, obj: Obj, now: datetime) -> None:
            if of == kind:
                raise refusal

        self.cluster.admission = refuse

    async def save_the_end(self) -> None:
        """The driver has saved the attempt's end."""
        self.told.standing = Standing.OVER
        await self.runner.ended(self.attempt)


def in_a_world(test: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        world = World()
        await world.begin()
        await test(world)
        world.die()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualLoop)
        assert loop.unhandled == []

    clock.run(whole())


@contextmanager
def counting(world: World) -> Iterator[list[str]]:
    """The requests of the operator meanwhile."""
    before = len(world.cluster.trace)
    requests: list[str] = []
    yield requests
    for line in world.cluster.trace[before:]:
        words = line.split()
        if words[1] == "operator" and words[2] != "watch":
            requests.append(" ".join(words[2:4]))


QUOTA = Refused(403, "Forbidden", "exceeded quota: q, requested: count/jobs.batch=1")
