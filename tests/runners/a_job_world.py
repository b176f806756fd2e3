"""A world for the Job runner; see `a_world`."""

import asyncio
import json
from typing import Any

from tests.runners.a_world import QUOTA, TASK, Recorder, RunnerWorld, counting, within
from treadle.engine.commands import Task
from treadle.engine.events import TaskId
from treadle.kube.api import Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import JOBS, PODS
from treadle.runners import observed
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runtime.ports import Order, Standing
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.faults import Faults

__all__ = ["QUOTA", "TASK", "Recorder", "counting"]


class World(RunnerWorld):
    """See `RunnerWorld`."""

    def __init__(self) -> None:
        super().__init__("job", JOBS)

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

    def job(self) -> Obj | None:
        return self.cluster.objects.peek(JOBS, "default", self.name)

    def pods(self) -> list[Obj]:
        return list(self.cluster.objects.each(PODS))

    def held(self) -> list[str]:
        return [p["metadata"]["name"] for p in self.pods() if observed.is_held(p)]

    def pod_key(self) -> tuple[str, str]:
        (pod,) = self.pods()
        return "default", pod["metadata"]["name"]

    async def save_the_end(self) -> None:
        """The driver has saved the attempt's end."""
        self.told.standing = Standing.OVER
        await self.runner.ended(self.attempt)


in_a_world = within(World)
