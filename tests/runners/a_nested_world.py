"""A world for the runner of child executions: a simulated cluster, a parent, and what was told.

One rule: the API server is the simulated one; how a child fares, the test says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from tests.runners.a_job_world import Lease, Recorder, counting
from treadle.asl.arns import Account
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskId, TaskStarted, TaskSubmitted
from treadle.kube import decode, versions
from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, EXECUTIONS, REVISIONS, STATE_MACHINES, Kind
from treadle.runners.nested import NestedRunner, NestedSettings
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Attempt, ExecutionKey, Fault, Order
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.stores import endings

__all__ = ["counting"]

TASK = TaskId(1, 1, 1)
ACCOUNT = Account("us-east-1", "000000000001")
ABROAD = Account("us-east-1", "000000000002")
SYNC = "treadle:execution.sync"
AWS = "arn:aws:states:::states:startExecution"
ARN = ACCOUNT.machine_arn("square")


class Tally(NoMeter):
    """Keeps what was counted of attempts."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.failures: list[str] = []

    def failed(self, where: str) -> None:
        self.failures.append(where)

    def task_started(self, runner: str) -> None:
        assert runner == "nested"
        self.counted.append("started")

    def task_ended(self, runner: str, outcome: str) -> None:
        assert runner == "nested"
        self.counted.append(outcome)


class World:
    """A cluster with a parent, and lives of a runner in it."""

    def __init__(self) -> None:
        self.cluster = SimCluster(seed=5)
        self.kubectl = SimApi(self.cluster)
        self.told = Recorder()
        self.tally = Tally()
        self.lease = Lease()
        self.key = ExecutionKey("default", "parent", "")
        self.watched = True
        self.cluster.objects.namespaces["other"] = "Active"
        self.task: asyncio.Task[None] | None = None
        self.cluster.objects.followers.setdefault(EXECUTIONS, []).append(self._changed)

    async def begin(self) -> None:
        machine = {"metadata": {"name": "square"}, "spec": {"definition": {}}}
        await self.kubectl.create(STATE_MACHINES, "default", machine)
        made = await self.create("parent", "squares")
        self.key = ExecutionKey("default", "parent", made["metadata"]["uid"])
        await self.live()

    async def opened(self, *callers: str) -> None:
        """The machine of another namespace, which those may start."""
        spec: Obj = {"definition": {}, "callers": {"namespaces": [*callers]}}
        machine = {"metadata": {"name": "square"}, "spec": spec}
        await self.kubectl.create(STATE_MACHINES, "other", machine)

    async def create(self, name: str, machine: str, **spec: Any) -> Obj:
        """Somebody creates an Execution."""
        spec = {"stateMachineRef": {"name": machine}, **spec}
        return await self.kubectl.create(
            EXECUTIONS, "default", {"metadata": {"name": name}, "spec": spec}
        )

    async def live(self, **settings: Any) -> None:
        """Start a process; one that was there dies."""
        self.die()
        self.api = SimApi(self.cluster, None, who="operator")
        self.runner = NestedRunner(
            self.api,
            partial(endings.read, self.api),
            lambda namespace: ACCOUNT if namespace == "default" else ABROAD,
            mailbox=self.told,
            leading=self.lease,
            standings=self.told.of,
            clock=clock.wall,
            settings=NestedSettings(**settings),
            meter=self.tally,
        )
        self.task = asyncio.create_task(self.runner.run())
        await asyncio.sleep(0.2)

    def die(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _changed(self, _: Kind, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        if self.watched and self.task is not None:
            self.runner.seen(decode.sighting(obj, deleted=new is None))

    def compare(self) -> None:
        """The operator's sweep."""
        ended = ("Succeeded", "Failed", "TimedOut", "Aborted")
        objects = self.cluster.objects.each(EXECUTIONS)
        active = [o for o in objects if (o.get("status") or {}).get("phase") not in ended]
        self.runner.compare([decode.sighting(obj) for obj in active])

    # ----------------------------------------------------------------------------- the attempt

    def order(self, resource: str = SYNC, task: TaskId = TASK, **more: Any) -> Order:
        given = more.pop("parameters", None)
        if given is None:
            named = "StateMachineArn" if resource.startswith("arn") else "stateMachine"
            given = {named: ARN if resource.startswith("arn") else "square"}
        digest, uid = more.pop("digest", "d"), more.pop("uid", "")
        work = Task(task, "S", resource, given, {}, digest, clock.wall(), None, uid)
        return Order(self.key, work, {}, 1_048_576, **more)

    async def start(self, resource: str = SYNC, **more: Any) -> None:
        await self.runner.start(self.order(resource, **more))

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.key, TASK)

    def children(self) -> list[Obj]:
        found = self.cluster.objects.each(EXECUTIONS)
        return [obj for obj in found if obj["metadata"]["name"] != "parent"]

    def child(self) -> Obj:
        (found,) = self.children()
        return found

    async def ends(self, phase: str = "Succeeded", obj: Obj | None = None, **status: Any) -> None:
        """The child ends."""
        metadata = (obj or self.child())["metadata"]
        obj = self.cluster.objects.get(EXECUTIONS, metadata["namespace"], metadata["name"])
        times = {
            "startTime": "2026-01-01T00:00:00.000Z",
            "completionTime": "2026-01-01T00:00:09.000Z",
        }
        obj["status"] = {"phase": phase, **times, **status}
        await self.kubectl.update_status(EXECUTIONS, metadata["namespace"], obj)
        await asyncio.sleep(0.2)

    async def publish(self, machine: str, number: int, alias: str) -> None:
        """A version of a machine, and an alias of it."""
        metadata = {"name": f"{machine}-v", "labels": {versions.NUMBER: str(number)}}
        spec: Obj = {"stateMachine": machine}
        revision = {"metadata": metadata, "spec": spec}
        await self.kubectl.create(REVISIONS, "default", revision)
        spec = {
            "stateMachineRef": {"name": machine},
            "routes": [{"version": number, "weight": 100}],
        }
        await self.kubectl.create(ALIASES, "default", {"metadata": {"name": alias}, "spec": spec})

    async def runs(self) -> None:
        """The child runs."""
        metadata = self.child()["metadata"]
        obj = self.cluster.objects.get(EXECUTIONS, metadata["namespace"], metadata["name"])
        obj["status"] = {"phase": "Running"}
        await self.kubectl.update_status(EXECUTIONS, metadata["namespace"], obj)

    async def delete(self, **more: Any) -> None:
        """Somebody deletes the child."""
        metadata = self.child()["metadata"]
        await self.kubectl.delete(EXECUTIONS, metadata["namespace"], metadata["name"], **more)
        await asyncio.sleep(0.2)

    @property
    def outcomes(self) -> list[Event]:
        begun = (TaskStarted, TaskSubmitted)
        return [event for event in self.told.events if not isinstance(event, begun)]

    def refusing(self, refusal: Fault | None) -> None:
        def refuse(of: Kind, obj: Mapping[str, Any], now: Any) -> None:
            if of == EXECUTIONS and refusal is not None:
                raise refusal

        self.cluster.admission = refuse


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
