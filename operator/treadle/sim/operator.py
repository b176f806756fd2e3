"""An operator as a world runs it: the same rooms as in production, with a simulated API.

One rule: nothing here decides; what `app` builds around Kopf is built here around a stand-in.
"""

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from functools import partial
from typing import Any
from uuid import UUID

from treadle.asl.arns import Account
from treadle.engine.context import Identity
from treadle.kube import decode, versions
from treadle.kube.api import Api, Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import (
    ACTIVITIES,
    ALIASES,
    APPROVALS,
    EXECUTIONS,
    JOBS,
    PODS,
    STATE_MACHINES,
    Kind,
)
from treadle.kube.lease import Lease, LeaseLost, NoLease
from treadle.kube.podtemplates import PodDefaults
from treadle.runners import activities, decisions, observed
from treadle.runners.activities import ActivityRunner, Handed, Place
from treadle.runners.approvals import ApprovalRunner, ApprovalSettings
from treadle.runners.http import HttpRunner
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runners.nested import NestedRunner
from treadle.runtime.driver import Driver
from treadle.runtime.ports import Attempt, ExecutionKey, Fault, Request, Unavailable
from treadle.sim import watching
from treadle.sim.holders import Make
from treadle.sim.world import Seat
from treadle.stores import endings
from treadle.stores.executions import StatusStore
from treadle.stores.judgement import Installation
from treadle.stores.judging import Judging
from treadle.stores.keys import TokenKeys
from treadle.stores.machines import RevisionMachines

_RUNNERS = (JobRunner, HttpRunner, NestedRunner, ApprovalRunner, ActivityRunner)
_RESOURCES = frozenset().union(*(each.resources for each in _RUNNERS))
_ACCOUNT = Account("us-east-1", "000000000000")

SWEEP_SECONDS = 30.0
DRAIN_SECONDS = 80.0
SAVE_SECONDS = 6.0
TOKENS_AGAIN_SECONDS = 5.0


async def life(seat: Seat) -> None:
    """Run an operator until it is killed, told to stop, or loses its Lease."""
    lease = Lease(seat.api, "default", "treadle", seat.holder) if seat.lease else NoLease()
    await lease.acquire()
    operator = Operator(seat, lease)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in operator.works()]
            await seat.stopping.wait()
            await operator.end()
            for task in tasks:
                task.cancel()
    except* LeaseLost:
        pass


class Operator:
    """See the module."""

    def __init__(self, seat: Seat, lease: Lease | NoLease) -> None:
        api = seat.api
        self._lease = lease
        self._store = StatusStore(api)
        self._machines = RevisionMachines(api, seat.clock, Installation(PodDefaults(), _RESOURCES))
        dice = random.Random(seat.holder)
        self._tokens = TokenKeys(api, "default", "token-keys", dice.randbytes)
        self.driver = Driver(
            store=self._store,
            machines=self._machines,
            leadership=lease,
            clock=seat.clock,
            identify=_identify,
            tokens=self._tokens.issue,
        )
        self._judging = Judging(self._machines.judge, self._machine_judged)
        self._alias_judging = Judging(self._machines.aliases.judge, self.driver.machine_changed)
        self._jobs = _view(api, JOBS)
        self._pods = _view(api, PODS)
        self._api = api
        self._clock = seat.clock
        seat.holders.open(api, self._answer)
        self._equip(seat, dice)
        seat.workers.open(api, self._poll)

    def _equip(self, seat: Seat, dice: random.Random) -> None:
        """The runners, and what they see."""
        api = seat.api
        shared: Any = {
            "mailbox": self.driver,
            "leading": self._lease,
            "standings": self.driver.standing,
            "clock": seat.clock,
        }
        self._job_runner = JobRunner(api, self._jobs, self._pods, settings=JobSettings(), **shared)
        self._http = HttpRunner(seat.transport, self.driver, self._lease, seat.clock)
        self._nested = NestedRunner(api, partial(endings.read, api), lambda _: _ACCOUNT, **shared)
        indices = {decisions.EXECUTION: decisions.execution_of}
        self._approvals = Informer(api, APPROVALS, indices=indices, trim=decisions.trim)
        self._approval_runner = ApprovalRunner(
            api,
            self._approvals,
            # So that a world that waits until nothing is left ends soon.
            settings=ApprovalSettings(kept_seconds=120.0),
            **shared,
        )
        self._activity_view = Informer(api, ACTIVITIES, indices=activities.INDICES)
        self._activities = ActivityRunner(
            api,
            self._activity_view,
            lambda _: _ACCOUNT,
            self._tokens.issue,
            self.driver.answer,
            mailbox=self.driver,
            clock=seat.clock,
            draw=lambda: str(UUID(bytes=dice.randbytes(16))),
        )
        self.driver.serve(
            [self._job_runner, self._http, self._nested, self._approval_runner, self._activities]
        )

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """All that runs for ever."""
        return [
            self._lease.keep(),
            self._jobs.run(),
            self._pods.run(),
            self._activity_view.run(),
            watching.watch(self._api, EXECUTIONS, self._execution_changed),
            watching.watch(self._api, STATE_MACHINES, self._machine_changed),
            watching.watch(self._api, ALIASES, self._alias_changed),
            self._judging.run(),
            self._alias_judging.run(),
            self._job_runner.run(),
            self._nested.run(),
            self._approvals.run(),
            self._approval_runner.run(),
            self._open(),
            self._open_tokens(),
            self._sweep(),
        ]

    async def _open(self) -> None:
        await self._jobs.synced.wait()
        await self._pods.synced.wait()
        await self._approvals.synced.wait()
        self.driver.open()
        await self._activities.open(self._settled)

    async def _settled(self) -> None:
        await self._compare()
        await self.driver.settled()

    async def _open_tokens(self) -> None:
        while True:
            try:
                return await self._tokens.open()
            except Fault:
                await asyncio.sleep(TOKENS_AGAIN_SECONDS)

    async def _answer(self, token: str, make: Make) -> bool:
        """What the server of `api` does with an answer to a token."""
        if not self._lease.fresh():
            raise Unavailable("another process leads")
        attempt = await self._tokens.read(token)
        assert attempt is not None, "a token of ours is not known"
        return await self.driver.answer(attempt.execution, make(attempt.task, self._clock()))

    async def _poll(self, place: Place, worker: str) -> tuple[Attempt, Handed] | None:
        """What the server of `api` does with a worker that asks for work."""
        if not self._lease.fresh():
            raise Unavailable("another process leads")
        handed = await self._activities.poll(place, worker)
        if handed is None:
            return None
        attempt = await self._tokens.read(handed.token)
        assert attempt is not None, "a token of ours is not known"
        return attempt, handed

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for step in (
                self._compare,
                self.driver.sweep,
                self._job_runner.sweep,
                self._nested.sweep,
                self._approval_runner.sweep,
                self._activities.sweep,
                self._machines.sweep,
            ):
                with contextlib.suppress(Fault):
                    await step()

    async def _compare(self) -> None:
        active = await self._store.active((None,))
        self.driver.compare(active)
        self._nested.compare(active)

    async def end(self) -> None:
        """SIGTERM."""
        self.driver.quiesce()
        self._activities.drain()
        await self._http.drain(DRAIN_SECONDS)
        await self.driver.drain(SAVE_SECONDS)
        await self._lease.release()

    def _execution_changed(self, kind: str | None, obj: Obj) -> None:
        sighting = decode.sighting(obj, deleted=kind == "DELETED")
        self.driver.seen(sighting)
        self._nested.seen(sighting)

    def _machine_changed(self, kind: str | None, obj: Obj) -> None:
        if kind == "DELETED":
            return
        metadata = obj["metadata"]
        if kind is not None and decode.is_settled(obj):
            self.driver.machine_changed(metadata["namespace"], metadata["name"])
        else:
            self._judging.post(metadata["namespace"], metadata["name"])

    def _alias_changed(self, _: str | None, obj: Obj) -> None:
        place = (obj["metadata"]["namespace"], versions.machine_of(obj))
        self._machines.aliases.seen(*place)
        self._alias_judging.post(*place)

    def _machine_judged(self, namespace: str, name: str) -> None:
        self.driver.machine_changed(namespace, name)
        if self._machines.aliases.has(namespace, name):
            self._alias_judging.post(namespace, name)


def _view(api: Api, kind: Kind) -> Informer:
    return Informer(
        api, kind, labels=observed.SELECTOR, indices=observed.INDICES, trim=observed.trim
    )


def _identify(_: ExecutionKey, request: Request) -> Identity:
    machine, name = request.machine, request.name
    version, alias = (f"{machine}:{each}" for each in (request.version, request.alias))
    return Identity(
        execution_arn=_ACCOUNT.execution_arn(machine, name),
        execution_name=name,
        machine_arn=_ACCOUNT.machine_arn(machine),
        machine_name=machine,
        version_arn=_ACCOUNT.machine_arn(version) if request.version else "",
        alias_arn=_ACCOUNT.machine_arn(alias) if request.alias else "",
    )
