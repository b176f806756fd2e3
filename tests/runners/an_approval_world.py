"""A world for the runner of approvals; see `a_world`."""

import asyncio
import json
from typing import Any

from tests.runners.a_world import TASK, RunnerWorld, within
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskSucceeded
from treadle.kube.api import Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import APPROVALS
from treadle.runners import decisions
from treadle.runners.approvals import RESOURCE, ApprovalRunner, ApprovalSettings
from treadle.runners.observed import Watch
from treadle.runtime.ports import Order, Standing
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.faults import Faults


class World(RunnerWorld):
    """See `RunnerWorld`."""

    def __init__(self) -> None:
        super().__init__("approval", APPROVALS)

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
    def watch(self) -> Watch:
        """What this process knows of the attempt."""
        watch = self.runner._watches.get(self.attempt)
        assert watch is not None
        return watch

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


in_a_world = within(World)
