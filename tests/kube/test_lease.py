"""Who may act, in a simulated cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from treadle.kube.api import Obj
from treadle.kube.kinds import LEASES
from treadle.kube.lease import Lease, LeaseLost, NoLease
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Unavailable
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster

DURATION = 12


class Link(SimApi):
    """A client whose requests can be made to fail, to hang, or to lose their answers."""

    broken: str | None = None

    async def update(self, *what: Any) -> Obj:
        return await self._send(super().update(*what))

    async def get(self, *what: Any) -> Obj:
        return await self._send(super().get(*what))

    async def _send(self, call: Awaitable[Obj]) -> Obj:
        if self.broken in ("down", "hanging"):
            asyncio.ensure_future(call).cancel()
            if self.broken == "down":
                raise Unavailable("down")
            await asyncio.Event().wait()
        answer = await call
        if self.broken == "answers lost":
            raise Unavailable("no answer")
        return answer


class Led(NoMeter):
    def __init__(self) -> None:
        self.said: list[bool] = []

    def leading(self, held: bool) -> None:
        self.said.append(held)


class World:
    def __init__(self) -> None:
        self.cluster = SimCluster(seed=1)
        self.people = SimApi(self.cluster)
        self.keeping: dict[str, asyncio.Task[None]] = {}

    def candidate(self, holder: str) -> tuple[Lease, Link, Led]:
        link, led = Link(self.cluster, who=holder), Led()
        return Lease(link, "default", "treadle", holder, meter=led), link, led

    async def leader(self, holder: str) -> tuple[Lease, Link, Led]:
        lease, link, led = self.candidate(holder)
        await lease.acquire()
        self.keeping[holder] = asyncio.create_task(lease.keep())
        return lease, link, led

    async def spec(self) -> Obj:
        spec: Obj = (await self.people.get(LEASES, "default", "treadle"))["spec"]
        return spec


def in_a_world(test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(World())

    clock.run(run())


def now() -> float:
    return asyncio.get_running_loop().time()


# -------------------------------------------------------------------------------------- holding


def test_the_first_one_holds_it_at_once() -> None:
    async def test(world: World) -> None:
        lease, _, led = world.candidate("a")
        assert not lease.fresh()
        await lease.acquire()
        assert now() < 1
        assert lease.fresh()
        spec = await world.spec()
        assert spec["holderIdentity"] == "a"
        assert spec["leaseDurationSeconds"] == DURATION
        assert spec["leaseTransitions"] == 1
        assert spec["acquireTime"] == spec["renewTime"]
        assert led.said == [True]

    in_a_world(test)


def test_people_find_it_and_see_whom_it_serves() -> None:
    async def test(world: World) -> None:
        link, where = Link(world.cluster), ("default", "treadle", "a")
        lease = Lease(link, *where, serves=["x", "y"], address="http://10.0.0.1:8081")
        await lease.acquire()
        found = await world.people.list(LEASES, None, labels="app.kubernetes.io/part-of=treadle")
        (only,) = found.items
        assert only["metadata"]["annotations"] == {
            "treadle.dev/namespaces": "x,y",
            "treadle.dev/api": "http://10.0.0.1:8081",
        }
        await world.candidate("b")[0].acquire()  # which serves all of them
        assert (await world.people.get(LEASES, "default", "treadle"))["metadata"][
            "annotations"
        ] == {"treadle.dev/namespaces": "", "treadle.dev/api": ""}

    in_a_world(test)


def test_who_waits_for_it_knows_where_its_holder_is_asked() -> None:
    async def test(world: World) -> None:
        first = Lease(Link(world.cluster), "default", "treadle", "a", address="http://first")
        await first.acquire()
        second = Lease(Link(world.cluster), "default", "treadle", "b", address="http://second")
        assert second.leader() is None
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(2)
        assert second.leader() == "http://first"
        await first.release()
        await asyncio.sleep(1.5)
        assert second.fresh()
        await waiting

    in_a_world(test)


def test_it_is_kept_as_long_as_it_is_renewed() -> None:
    async def test(world: World) -> None:
        lease, _, _ = await world.leader("a")
        for _ in range(300):
            await asyncio.sleep(1)
            assert lease.fresh()
        spec = await world.spec()
        assert spec["renewTime"] > spec["acquireTime"]
        assert spec["leaseTransitions"] == 1
        before = lease.create_before()
        assert before is not None
        left = before - world.people.now()
        assert 8 < left.total_seconds() <= DURATION + 1

    in_a_world(test)


def test_without_renewals_it_is_not_fresh_before_it_ends() -> None:
    async def test(world: World) -> None:
        lease, _, _ = world.candidate("a")
        await lease.acquire()
        await asyncio.sleep(DURATION - 2.5)
        assert lease.fresh()
        await asyncio.sleep(1)
        assert not lease.fresh()

    in_a_world(test)


def test_a_label_on_it_costs_nothing() -> None:
    async def test(world: World) -> None:
        lease, _, _ = await world.leader("a")
        for number in range(20):
            label = {"metadata": {"labels": {"seen": str(number)}}}
            await world.people.patch(LEASES, "default", "treadle", label)
            await asyncio.sleep(3)
            assert lease.fresh()
        assert not world.keeping["a"].done()

    in_a_world(test)


def test_lost_answers_and_hanging_renewals_cost_nothing() -> None:
    async def test(world: World) -> None:
        lease, link, _ = await world.leader("a")
        for trouble in ("answers lost", "hanging", "down"):
            await asyncio.sleep(2.9)
            link.broken = trouble
            await asyncio.sleep(1)
            link.broken = None
            for _ in range(20):
                await asyncio.sleep(0.5)
                assert lease.fresh(), trouble
        assert not world.keeping["a"].done()

    in_a_world(test)


def test_it_is_fresh_again_after_an_outage_in_which_nobody_took_it() -> None:
    async def test(world: World) -> None:
        lease, link, led = await world.leader("a")
        link.broken = "down"
        await asyncio.sleep(60)
        assert not lease.fresh()
        link.broken = None
        await asyncio.sleep(3)
        assert lease.fresh()
        assert led.said == [True]

    in_a_world(test)


# ----------------------------------------------------------------------------------- taking over


def test_another_waits_while_it_is_renewed() -> None:
    async def test(world: World) -> None:
        await world.leader("a")
        other, _, _ = world.candidate("b")
        waiting = asyncio.create_task(other.acquire())
        await asyncio.sleep(300)
        assert not waiting.done()
        assert not other.fresh()

    in_a_world(test)


def test_another_takes_it_after_its_whole_duration_and_never_while_it_is_fresh() -> None:
    async def test(world: World) -> None:
        lease, link, led = await world.leader("a")
        other, _, _ = world.candidate("b")
        waiting = asyncio.create_task(other.acquire())
        await asyncio.sleep(30)
        link.broken = "down"
        began_at = now()
        while not waiting.done():
            assert not (lease.fresh() and other.fresh())
            await asyncio.sleep(0.1)
        assert not lease.fresh()
        assert DURATION - 3 <= now() - began_at <= DURATION + 4
        assert (await world.spec())["leaseTransitions"] == 2
        link.broken = None
        with pytest.raises(LeaseLost):
            await world.keeping["a"]
        assert led.said == [True, False]
        assert other.fresh()

    in_a_world(test)


def test_the_new_leader_creates_nothing_that_the_old_one_still_could() -> None:
    async def test(world: World) -> None:
        lease, link, _ = await world.leader("a")
        other, _, _ = world.candidate("b")
        waiting = asyncio.create_task(other.acquire())
        await asyncio.sleep(10)
        link.broken = "down"
        await waiting
        before = lease.create_before()
        assert before is not None
        assert before <= world.people.now()

    in_a_world(test)


def test_what_is_given_up_is_taken_at_once() -> None:
    async def test(world: World) -> None:
        lease, _, _ = await world.leader("a")
        other, _, _ = world.candidate("b")
        waiting = asyncio.create_task(other.acquire())
        await asyncio.sleep(10)
        began_at = now()
        await lease.release()
        assert not lease.fresh()
        await waiting
        assert now() - began_at < 2
        await asyncio.sleep(60)
        assert world.keeping["a"].done()
        assert world.keeping["a"].exception() is None
        await lease.release()
        assert (await world.spec())["holderIdentity"] == "b"

    in_a_world(test)


def test_giving_up_in_the_middle_of_a_renewal_gives_up() -> None:
    async def test(world: World) -> None:
        lease, _, _ = await world.leader("a")
        await asyncio.sleep(3)  # the renewal is on its way
        await lease.release()
        await asyncio.sleep(60)
        assert (await world.spec())["holderIdentity"] == ""
        assert not lease.fresh()
        assert world.keeping["a"].exception() is None

    in_a_world(test)


def test_of_many_that_want_it_one_gets_it() -> None:
    async def test(world: World) -> None:
        leases = [world.candidate(str(number))[0] for number in range(5)]
        waiting = [asyncio.create_task(lease.acquire()) for lease in leases]
        await asyncio.sleep(5)
        assert sum(lease.fresh() for lease in leases) == 1
        assert sum(task.done() for task in waiting) == 1

    in_a_world(test)


def test_who_finds_it_deleted_has_lost_it() -> None:
    async def test(world: World) -> None:
        lease, _, _ = await world.leader("a")
        await world.people.delete(LEASES, "default", "treadle")
        with pytest.raises(LeaseLost):
            await world.keeping["a"]
        assert not lease.fresh()

    in_a_world(test)


def test_without_a_lease_one_may_always_act() -> None:
    async def test(_: World) -> None:
        lease = NoLease()
        await lease.acquire()
        keeping = asyncio.create_task(lease.keep())
        await asyncio.sleep(1_000)
        assert lease.fresh()
        assert lease.create_before() is None
        await lease.release()
        assert not keeping.done()

    in_a_world(test)


def test_its_times_are_what_kubernetes_takes() -> None:
    async def test(world: World) -> None:
        await world.leader("a")
        text = (await world.spec())["renewTime"]
        assert datetime.fromisoformat(text).tzinfo is not None
        assert len(text) == len("2026-01-01T00:00:00.000000Z")

    in_a_world(test)
