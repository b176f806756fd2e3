"""A world for the runner of approvals: a simulated cluster with one execution."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from tests.runners.a_job_world import TASK, Lease, Recorder
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskSucceeded
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import APPROVALS, EXECUTIONS, Kind
from treadle.runners import decisions
from treadle.runners.approvals import RESOURCE, ApprovalRunner, ApprovalSettings
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, Order, Standing
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import Faults


class Tally(NoMeter):
    """Keeps what was counted of attempts."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def failed(self, where: str) -> None:
        self.counted.append(f"{where} failed")

    def task_started(self, runner: str) -> None:
        self.counted.append(f"{runner} started")

    def task_ended(self, runner: str, outcome: str) -> None:
        self.counted.append(f"{runner} {outcome}")


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
        indices = {decisions.EXECUTION: decisions.execution_of}
        self.view = Informer(self.api, APPROVALS, indices=indices, trim=decisions.trim)
        self.runner = ApprovalRunner(
            self.api,
            self.view,
            mailbox=self.told,
            leading=self.lease,
            standings=self.told.of,
            clock=clock.wall,
            settings=ApprovalSettings(**settings),
            meter=self.tally,
        )
        self.lives = [asyncio.create_task(each.run()) for each in (self.view, self.runner)]
        await asyncio.sleep(0.2)

    def die(self) -> None:
        for life in self.lives:
            life.cancel()
        self.lives = []

    def order(self, task: TaskId = TASK, **more: Any) -> Order:
        parameters = {"message": "Ship it?", **more.pop("parameters", {})}
        work = Task(
            id=task,
            state="S",
            resource=RESOURCE,
            parameters=parameters,
            input={},
            digest=more.pop("digest", "d"),
            due_at=clock.wall(),
            deadline_at=None,
            uid=more.pop("uid", ""),
        )
        return Order(self.key, work, {}, 1_048_576, machine="m", **more)

    async def start(self, **more: Any) -> None:
        await self.runner.start(self.order(**more))
        await asyncio.sleep(0.1)

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.key, TASK)

    @property
    def name(self) -> str:
        return names.attempt(self.key, TASK)

    @property
    def place(self) -> tuple[str, str]:
        return "default", self.name

    def approval(self) -> Obj | None:
        return self.cluster.objects.peek(APPROVALS, *self.place)

    def phase(self) -> str:
        approval = self.approval()
        assert approval is not None
        return decisions.phase(approval)

    def decides(self, by: str = "ada", approve: bool = True) -> None:
        """Somebody adds a decision."""
        value = {"by": by, "approve": approve}
        patch = [{"op": "add", "path": "/spec/decisions/-", "value": value}]
        self.cluster.objects.patch(APPROVALS, *self.place, patch, form="json")

    def refusing(self, refusal: Exception) -> None:
        def refuse(of: Kind, obj: Obj, now: datetime) -> None:
            if of == APPROVALS:
                raise refusal

        self.cluster.admission = refuse

    async def save_the_end(self) -> None:
        """The driver has saved the attempt's end."""
        self.told.standing = Standing.OVER
        await self.runner.ended(self.attempt)
        await asyncio.sleep(0.1)

    @property
    def outcome(self) -> Any:
        """Who approved; or the error. None while nothing was told."""
        if not self.told.outcomes:
            return None
        event: Event = self.told.outcomes[-1]
        if isinstance(event, TaskSucceeded):
            return [each["by"] for each in json.loads(event.output)["decisions"]]
        assert isinstance(event, TaskFailed)
        return event.error.name


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
