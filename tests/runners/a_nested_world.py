"""A world for the runner of child executions; see `a_world`. How a child fares, the test says."""

import asyncio
from functools import partial
from typing import Any

from tests.runners.a_world import TASK, RunnerWorld, counting, within
from treadle.asl.arns import Account
from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskId, TaskStarted, TaskSubmitted
from treadle.kube import decode, versions
from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, EXECUTIONS, REVISIONS, STATE_MACHINES, Kind
from treadle.runners.nested import NestedRunner, NestedSettings
from treadle.runtime.ports import Order
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.stores import endings

__all__ = ["TASK", "counting"]

ACCOUNT = Account("us-east-1", "000000000001")
ABROAD = Account("us-east-1", "000000000002")
SYNC = "treadle:execution.sync"
AWS = "arn:aws:states:::states:startExecution"
ARN = ACCOUNT.machine_arn("square")


class World(RunnerWorld):
    """See `RunnerWorld`; the execution is the parent."""

    def __init__(self) -> None:
        super().__init__("nested", EXECUTIONS, "parent")
        self.watched = True
        self.cluster.objects.namespaces["other"] = "Active"
        self.cluster.objects.followers.setdefault(EXECUTIONS, []).append(self._changed)

    async def begin(self) -> None:
        machine = {"metadata": {"name": "square"}, "spec": {"definition": {}}}
        await self.kubectl.create(STATE_MACHINES, "default", machine)
        await super().begin()

    async def opened(self, *callers: str) -> None:
        """The machine of another namespace, which those may start."""
        spec: Obj = {"definition": {}, "callers": {"namespaces": [*callers]}}
        machine = {"metadata": {"name": "square"}, "spec": spec}
        await self.kubectl.create(STATE_MACHINES, "other", machine)

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
        self.lives = [asyncio.create_task(self.runner.run())]
        await asyncio.sleep(0.2)

    def _changed(self, _: Kind, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        if self.watched and self.lives:
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


in_a_world = within(World)
