"""A view of one kind, in a simulated cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

from treadle.kube.api import Api, Change, Listing, Obj
from treadle.kube.informer import RETRY_SECONDS, Informer
from treadle.kube.kinds import SECRETS
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import Expired, Fault, Unavailable
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster

SETTLED = 1.0


class Restarts(NoMeter):
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def watch_restarted(self, resource: str, reason: str) -> None:
        assert resource == "secrets"
        self.reasons.append(reason)


class World:
    """A cluster with two namespaces, and a view of its Secrets with all that it told."""

    def __init__(self, api: Callable[[SimCluster], Api] = SimApi, **more: Any) -> None:
        self.cluster = SimCluster(seed=1)
        self.cluster.objects.namespaces["team-a"] = "Active"
        self.people = SimApi(self.cluster)
        self.meter = Restarts()
        self.api = api(self.cluster)
        self.view = Informer(self.api, SECRETS, meter=self.meter, **more)
        self.told: list[tuple[str | None, str | None]] = []
        self.view.subscribe(lambda old, new: self.told.append((name(old), name(new))))

    async def begin(self) -> None:
        self.running = asyncio.create_task(self.view.run())
        await self.view.synced.wait()

    async def make(self, name: str, namespace: str = "default", **metadata: Any) -> Obj:
        obj = {"metadata": {"name": name, **metadata}, "data": {}}
        return await self.people.create(SECRETS, namespace, obj)

    def names(self) -> list[str]:
        return sorted(obj["metadata"]["name"] for obj in self.view.items())


def name(obj: Obj | None) -> str | None:
    return obj["metadata"]["name"] if obj is not None else None


def in_a_world(test: Callable[[World], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        world = World(**more)
        await test(world)
        if hasattr(world, "running"):
            assert not world.running.done()

    clock.run(run())


# --------------------------------------------------------------------------------- what is seen


def test_what_is_there_is_listed_and_what_comes_is_watched() -> None:
    async def test(world: World) -> None:
        await world.make("a")
        assert not world.view.current
        await world.begin()
        assert world.view.current
        assert world.names() == ["a"]
        await world.make("b", "team-a")
        await asyncio.sleep(SETTLED)
        await world.people.delete(SECRETS, "default", "a")
        await asyncio.sleep(SETTLED)
        assert world.names() == ["b"]
        assert world.told == [(None, "a"), (None, "b"), ("a", None)]
        found = world.view.get("team-a", "b")
        assert found is not None
        assert world.view.get("default", "b") is None

    in_a_world(test)


def test_only_the_named_namespaces_are_watched() -> None:
    async def test(world: World) -> None:
        world.cluster.objects.namespaces["team-b"] = "Active"
        await world.begin()
        for namespace in ("default", "team-a", "team-b"):
            await world.make(f"in-{namespace}", namespace)
        await asyncio.sleep(SETTLED)
        assert world.names() == ["in-default", "in-team-a"]

    in_a_world(test, namespaces=("default", "team-a"))


def test_a_list_of_one_namespace_takes_nothing_from_another() -> None:
    async def test(world: World) -> None:
        await world.make("a")
        await world.make("b", "team-a")
        await world.begin()
        await asyncio.sleep(SETTLED)
        assert isinstance(world.api, Breaks)
        world.api.fault = Expired("too old")
        world.api.cut()
        await asyncio.sleep(SETTLED)
        assert not world.view.current
        world.api.fault = None
        await asyncio.sleep(60)
        assert world.names() == ["a", "b"]
        assert "expired" in world.meter.reasons
        assert world.told == [(None, "a"), (None, "b")]

    in_a_world(test, api=Breaks, namespaces=("default", "team-a"))


def test_an_object_that_loses_its_label_has_gone() -> None:
    async def test(world: World) -> None:
        await world.make("a", labels={"mine": "yes"})
        await world.make("b")
        await world.begin()
        assert world.names() == ["a"]
        patch = {"metadata": {"labels": {"mine": None}}}
        await world.people.patch(SECRETS, "default", "a", patch)
        await asyncio.sleep(SETTLED)
        assert world.told == [(None, "a"), ("a", None)]

    in_a_world(test, labels="mine=yes")


def test_an_index_follows_its_objects() -> None:
    async def test(world: World) -> None:
        await world.make("a", labels={"owner": "x"})
        await world.make("b", labels={"owner": "x"})
        await world.make("c")
        await world.begin()
        assert sorted(map(str, map(name, world.view.find("owner", "x")))) == ["a", "b"]
        patch = {"metadata": {"labels": {"owner": "y"}}}
        await world.people.patch(SECRETS, "default", "a", patch)
        await world.people.delete(SECRETS, "default", "b")
        await asyncio.sleep(SETTLED)
        assert world.view.find("owner", "x") == []
        assert list(map(name, world.view.find("owner", "y"))) == ["a"]

    def owner(obj: Obj) -> str | None:
        return (obj["metadata"].get("labels") or {}).get("owner")

    in_a_world(test, indices={"owner": owner})


def test_what_is_trimmed_off_is_not_kept() -> None:
    async def test(world: World) -> None:
        await world.make("a", managedFields=[{"manager": "kubectl"}])
        await world.begin()
        kept = world.view.get("default", "a")
        assert kept is not None
        assert "managedFields" not in kept["metadata"]
        assert "data" in kept

    in_a_world(test)


def test_another_object_of_the_same_name_is_told_as_two() -> None:
    async def test(world: World) -> None:
        first = await world.make("a")
        await world.begin()
        await world.people.delete(SECRETS, "default", "a")
        second = await world.make("a")
        world.view.absorb(second)  # before the watch says that the first has gone
        assert world.told == [(None, "a"), ("a", None), (None, "a")]
        await asyncio.sleep(SETTLED)
        assert len(world.told) == 3
        kept = world.view.get("default", "a")
        assert kept is not None
        assert kept["metadata"]["uid"] == second["metadata"]["uid"] != first["metadata"]["uid"]

    in_a_world(test)


# ------------------------------------------------------------------------------- our own writes


def test_our_own_write_is_seen_at_once_and_told_once() -> None:
    async def test(world: World) -> None:
        await world.begin()
        world.view.absorb(await world.make("a"))
        assert world.names() == ["a"]
        await asyncio.sleep(SETTLED)
        assert world.told == [(None, "a")]

    in_a_world(test)


def test_an_answer_that_is_older_than_what_was_seen_changes_nothing() -> None:
    async def test(world: World) -> None:
        old = await world.make("a")
        new = await world.people.patch(
            SECRETS, "default", "a", {"metadata": {"labels": {"x": "y"}}}
        )
        await world.begin()
        world.view.absorb(old)
        kept = world.view.get("default", "a")
        assert kept is not None
        assert kept["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]

    in_a_world(test)


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back() -> None:
    async def test(world: World) -> None:
        answer = await world.make("a")
        await world.begin()
        await world.people.delete(SECRETS, "default", "a")
        await asyncio.sleep(SETTLED)
        world.view.absorb(answer)
        assert world.names() == []
        assert world.told == [(None, "a"), ("a", None)]

    in_a_world(test)


class ListsSlowly(SimApi):
    """The answers to its lists are on their way until `arrive` is set."""

    arrive: asyncio.Event

    async def list(self, *what: Any, **more: Any) -> Listing:
        listing = await super().list(*what, **more)
        self.arrive = asyncio.Event()
        await self.arrive.wait()
        return listing


def test_a_list_that_was_made_before_our_write_does_not_take_it_away() -> None:
    async def test(world: World) -> None:
        beginning = asyncio.create_task(world.begin())
        await asyncio.sleep(SETTLED)
        world.view.absorb(await world.make("a"))
        assert isinstance(world.api, ListsSlowly)
        world.api.arrive.set()
        await beginning
        assert world.names() == ["a"]
        await asyncio.sleep(SETTLED)
        assert world.told == [(None, "a")]

    in_a_world(test, api=ListsSlowly)


# ------------------------------------------------------------------------------- what goes wrong


def test_what_went_during_a_gap_is_told() -> None:
    async def test(world: World) -> None:
        await world.make("a")
        await world.make("b")
        await world.begin()
        await asyncio.sleep(SETTLED)
        assert isinstance(world.api, Breaks)
        world.api.fault = Unavailable("down")
        world.api.cut()
        await world.people.delete(SECRETS, "default", "a")
        await world.make("c")
        world.cluster.objects.compact()
        await asyncio.sleep(60)
        assert world.names() == ["a", "b"]
        world.api.fault = None
        await asyncio.sleep(60)
        assert world.names() == ["b", "c"]
        assert world.told[2:] == [(None, "c"), ("a", None)]
        assert world.view.current

    in_a_world(test, api=Breaks)


class Breaks(SimApi):
    """Its watches can be cut; while there is a fault, every watch ends in it."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster)
        self.fault: Fault | None = None
        self.asked_at: list[float] = []
        self._cut = asyncio.Event()

    def cut(self) -> None:
        self._cut.set()

    async def watch(self, *what: Any, **more: Any) -> AsyncIterator[Change]:
        self.asked_at.append(asyncio.get_running_loop().time())
        if self.fault is not None:
            raise self.fault
        stream = super().watch(*what, **more)
        while True:
            cut = asyncio.ensure_future(self._cut.wait())
            change = asyncio.ensure_future(anext(stream))
            await asyncio.wait((cut, change), return_when=asyncio.FIRST_COMPLETED)
            cut.cancel()
            if self._cut.is_set():
                change.cancel()
                self._cut.clear()
                raise Unavailable("cut")
            yield await change


def test_a_server_that_is_down_is_asked_more_and_more_rarely() -> None:
    async def test(world: World) -> None:
        assert isinstance(world.api, Breaks)
        world.api.fault = Unavailable("down")
        await world.begin()
        await asyncio.sleep(100)
        asked = world.api.asked_at
        gaps = [round(after - before, 1) for before, after in pairwise(asked)]
        assert gaps[: len(RETRY_SECONDS)] == list(RETRY_SECONDS)
        assert set(gaps[len(RETRY_SECONDS) :]) == {RETRY_SECONDS[-1]}
        assert set(world.meter.reasons) == {"failed"}

    in_a_world(test, api=Breaks)


def test_a_server_whose_versions_always_expire_is_not_listed_without_pause() -> None:
    async def test(world: World) -> None:
        assert isinstance(world.api, Breaks)
        world.api.fault = Expired("too old")
        await world.begin()
        await asyncio.sleep(100)
        assert len(world.api.asked_at) < 20
        assert set(world.meter.reasons) == {"expired"}
        assert not world.view.current

    in_a_world(test, api=Breaks)


class ClosesAtOnce(SimApi):
    """Its watches end before they began, as behind a proxy that does not know them."""

    asked = 0

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Change]:
        self.asked += 1
        for change in ():
            yield change


def test_watches_that_end_at_once_are_not_asked_for_without_pause() -> None:
    async def test(world: World) -> None:
        await world.begin()
        await asyncio.sleep(100)
        assert isinstance(world.api, ClosesAtOnce)
        assert world.api.asked < 20

    in_a_world(test, api=ClosesAtOnce)


def test_a_watch_that_was_quiet_and_ends_goes_on_at_once() -> None:
    async def test(world: World) -> None:
        await world.begin()
        await asyncio.sleep(3_600)
        assert set(world.meter.reasons) == {"closed"}
        await world.make("a")
        await asyncio.sleep(SETTLED)
        assert world.names() == ["a"]

    in_a_world(test)
