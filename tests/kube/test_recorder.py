"""Events as a person sees them, in a simulated cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treadle.kube import recorder
from treadle.kube.kinds import EVENTS, NODES, STATE_MACHINES
from treadle.kube.recorder import ObjectRef, Recorder
from treadle.runtime.meter import NoMeter
from treadle.runtime.ports import ExecutionKey, Refused, Unavailable
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster

MACHINE = ObjectRef(STATE_MACHINES, "team-a", "thumbnails", "uid-1")


class Drops(NoMeter):
    count = 0

    def event_dropped(self) -> None:
        self.count += 1


class World:
    """A recorder at work in a cluster."""

    def __init__(self) -> None:
        self.cluster = SimCluster(seed=1)
        self.cluster.objects.namespaces["team-a"] = "Active"
        self.api = SimApi(self.cluster)
        self.drops = Drops()
        self.recorder = Recorder(self.api, "treadle", self.drops)
        self.running = asyncio.create_task(self.recorder.run())

    def say(self, message: str, about: ObjectRef = MACHINE, reason: str = "Judged") -> None:
        self.recorder.record(about, "Normal", reason, message)

    async def events(self, namespace: str = "team-a") -> list[dict[str, Any]]:
        await self.recorder.drain(600)
        return (await self.api.list(EVENTS, namespace)).items


def in_a_world(test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await test(world)
        assert not world.running.done()

    clock.run(run())


def test_an_event_is_written_where_a_person_looks() -> None:
    async def test(world: World) -> None:
        key = ExecutionKey("team-a", "run-1", "uid-2")
        world.recorder.announce(key, "Warning", "WaitingForCapacity", "the quota is full")
        (event,) = await world.events()
        assert event["metadata"]["name"].startswith("run-1.")
        assert event["involvedObject"] == {
            "apiVersion": "treadle.dev/v1alpha1",
            "kind": "Execution",
            "namespace": "team-a",
            "name": "run-1",
            "uid": "uid-2",
        }
        assert (event["type"], event["reason"]) == ("Warning", "WaitingForCapacity")
        assert (event["message"], event["count"]) == ("the quota is full", 1)
        assert event["source"] == {"component": "treadle"}
        assert event["firstTimestamp"].endswith("Z")

    in_a_world(test)


def test_the_same_event_again_counts_up() -> None:
    async def test(world: World) -> None:
        world.say("it is valid")
        world.say("it is valid")
        await world.events()
        await asyncio.sleep(30)
        world.say("it is valid")
        (event,) = await world.events()
        assert event["count"] == 3
        assert event["lastTimestamp"] > event["firstTimestamp"]

    in_a_world(test)


def test_another_reason_message_or_object_is_another_event() -> None:
    async def test(world: World) -> None:
        world.say("one")
        world.say("two")
        world.say("one", reason="Other")
        world.say("one", about=MACHINE._replace(uid="uid-9"))
        assert [event["count"] for event in await world.events()] == [1, 1, 1, 1]

    in_a_world(test)


def test_an_event_that_the_cluster_forgot_is_written_anew() -> None:
    async def test(world: World) -> None:
        world.say("one")
        (event,) = await world.events()
        await world.api.delete(EVENTS, "team-a", event["metadata"]["name"])
        await asyncio.sleep(3_600)
        world.say("one")
        (again,) = await world.events()
        assert again["count"] == 1
        assert again["metadata"]["name"] != event["metadata"]["name"]

    in_a_world(test)


def test_one_object_has_so_many_events_a_minute() -> None:
    async def test(world: World) -> None:
        for number in range(recorder.PER_MINUTE_MAX + 10):
            world.say(f"message {number}")
        world.say("of another", about=MACHINE._replace(uid="uid-9"))
        assert len(await world.events()) == recorder.PER_MINUTE_MAX + 1
        assert world.drops.count == 10
        await asyncio.sleep(60)
        world.say("a minute later")
        assert len(await world.events()) == recorder.PER_MINUTE_MAX + 2

    in_a_world(test)


def test_recording_never_waits_and_the_queue_is_bounded() -> None:
    async def test(world: World) -> None:
        for number in range(recorder.QUEUE_MAX + 7):
            world.say("x", about=MACHINE._replace(uid=f"uid-{number}"))
        assert world.drops.count == 7
        assert len(await world.events()) == recorder.QUEUE_MAX

    in_a_world(test)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "REMEMBERED_MAX", 5)

    async def test(world: World) -> None:
        for number in range(20):
            world.say("x", about=MACHINE._replace(uid=f"uid-{number}"))
        await world.events()
        assert len(world.recorder._written) == len(world.recorder._minutes) == 5

    in_a_world(test)


def test_long_texts_are_cut_and_long_names_fit() -> None:
    async def test(world: World) -> None:
        about = MACHINE._replace(name="n" * 253)
        world.say("m" * 5_000, about=about, reason="R" * 500)
        (event,) = await world.events()
        assert len(event["message"]) == recorder.MESSAGE_CHARS_MAX
        assert len(event["reason"]) == recorder.REASON_CHARS_MAX
        assert len(event["metadata"]["name"]) <= 253
        assert event["involvedObject"]["name"] == about.name

    in_a_world(test)


def test_an_object_without_a_namespace_has_its_events_in_default() -> None:
    async def test(world: World) -> None:
        world.say("x", about=ObjectRef(NODES, "", "node-1", "uid-3"))
        (event,) = await world.events("default")
        assert "namespace" not in event["involvedObject"]

    in_a_world(test)


@pytest.mark.parametrize(
    ("faults", "written", "dropped"),
    [
        ([Unavailable("busy")], 1, 0),
        ([Unavailable("busy", 7.0), Unavailable("busy")], 1, 0),
        ([Unavailable("busy")] * 3, 0, 1),
        ([Refused(403, "Forbidden", "the namespace is going")], 0, 1),
        ([ZeroDivisionError("ours")], 0, 1),
    ],
)
def test_writing_fails_quietly(faults: list[Exception], written: int, dropped: int) -> None:
    async def test(world: World) -> None:
        create = world.api.create
        left = list(faults)

        async def failing(*args: Any) -> Any:
            if left:
                raise left.pop(0)
            return await create(*args)

        world.api.create = failing  # type: ignore[method-assign]
        world.say("first")
        assert len(await world.events()) == written
        assert world.drops.count == dropped
        world.say("second")
        assert len(await world.events()) == written + 1

    in_a_world(test)


def test_an_answer_that_was_lost_makes_no_second_event() -> None:
    async def test(world: World) -> None:
        create = world.api.create
        lost = [True]

        async def losing(*args: Any) -> Any:
            obj = await create(*args)
            if lost.pop() if lost else False:
                raise Unavailable("no answer")
            return obj

        world.api.create = losing  # type: ignore[method-assign]
        world.say("one")
        assert [event["count"] for event in await world.events()] == [1]
        world.say("one")
        assert [event["count"] for event in await world.events()] == [2]

    in_a_world(test)


def test_draining_gives_up_at_its_deadline() -> None:
    async def run() -> None:
        idle = Recorder(SimApi(SimCluster(seed=1)), "treadle")
        idle.record(MACHINE, "Normal", "Judged", "nobody writes this")
        await idle.drain(5)
        assert asyncio.get_running_loop().time() == pytest.approx(5)

    clock.run(run())
