"""Jobs and Pods that somebody deletes, drains or suspends fail the task or give their result."""

import asyncio

from tests.runners.a_job_world import World, in_a_world
from treadle.engine.events import TaskSucceeded
from treadle.kube.api import Obj
from treadle.kube.kinds import JOBS, PODS

# ---------------------------------------------------------------------------- seen before, and gone


def test_a_job_that_was_seen_is_never_made_again() -> None:
    async def test(world: World) -> None:
        await world.start(uid="the-uid-of-a-job-that-is-gone")
        await asyncio.sleep(1)
        assert world.told.error() == "Kubernetes.JobDeleted"
        assert world.job() is None

    in_a_world(test)


def test_a_pod_that_a_deleted_job_left_gives_its_result() -> None:
    async def test(world: World) -> None:
        order = world.order(script={"seconds": 1, "message": "[7]"})
        await world.runner.start(order)
        await asyncio.sleep(0.1)
        world.die()
        await asyncio.sleep(5)
        world.cluster.remove(JOBS, ("default", world.name))
        await asyncio.sleep(5)
        assert world.held()
        world.told.events.clear()
        await world.live()
        # Its creation was never saved as seen.
        await world.start(script={"seconds": 1}, restored=True)
        await asyncio.sleep(1)
        (event,) = world.told.outcomes
        assert isinstance(event, TaskSucceeded)
        assert event.output == "[7]"
        assert world.job() is None

    in_a_world(test)


def test_a_job_deleted_under_a_running_pod_is_told() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        world.cluster.remove(JOBS, ("default", world.name))
        await asyncio.sleep(10)
        assert world.told.error() == "Kubernetes.JobDeleted"
        assert world.held()  # until the end is saved
        await world.save_the_end()
        await asyncio.sleep(5)
        assert world.pods() == []

    in_a_world(test)


def test_a_finished_job_without_its_pod_has_lost_its_result() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(0.5)
        world.die()
        await asyncio.sleep(10)
        (pod,) = world.pods()
        patch = {"metadata": {"finalizers": None}}
        await world.kubectl.patch(PODS, "default", pod["metadata"]["name"], patch)
        world.cluster.remove(PODS, world_key(pod))
        await asyncio.sleep(1)
        await world.live()
        await asyncio.sleep(1)
        assert world.told.error() == "Kubernetes.ResultLost"

    in_a_world(test)


def world_key(pod: Obj) -> tuple[str, str]:
    return "default", pod["metadata"]["name"]


# ------------------------------------------------------------------------------------ disruptions


def test_a_drain_is_an_eviction() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True, "termExitCode": 0})
        await asyncio.sleep(2)
        world.cluster.evict(world.pod_key())
        await asyncio.sleep(10)
        assert world.told.error() == "Kubernetes.Evicted"
        assert world.held()
        await world.save_the_end()
        await asyncio.sleep(2)
        assert world.pods() == []

    in_a_world(test)


def test_a_drain_while_nobody_looks_loses_nothing() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1, "message": '"kept"'})
        world.die()
        await asyncio.sleep(10)
        world.cluster.evict(world.pod_key())
        await asyncio.sleep(30)
        await world.live()
        await asyncio.sleep(1)
        (event,) = world.told.outcomes
        assert isinstance(event, TaskSucceeded)
        assert event.output == '"kept"'

    in_a_world(test)


def test_a_resumed_jobs_first_pod_is_freed_and_not_read() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 8, "message": '"second"', "termExitCode": 0})
        await asyncio.sleep(2)
        suspend = {"spec": {"suspend": True}}
        await world.kubectl.patch(JOBS, "default", world.name, suspend)
        await asyncio.sleep(10)
        assert "suspended" in str(world.told.reasons[-1])
        await world.kubectl.patch(JOBS, "default", world.name, {"spec": {"suspend": False}})
        await asyncio.sleep(15)
        (event,) = world.told.outcomes
        assert isinstance(event, TaskSucceeded)
        assert event.output == '"second"'
        assert world.told.reasons[-1] is None
        assert len(world.pods()) == 1  # the first one was freed

    in_a_world(test)
