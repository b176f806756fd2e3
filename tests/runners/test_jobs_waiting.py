"""A Job whose container does not start is waited for, says why, and fails in time."""

import asyncio
from typing import Any

import pytest

from tests.runners.a_job_world import World, in_a_world
from treadle.kube import selectors
from treadle.kube.api import Listing
from treadle.kube.kinds import EVENTS, JOBS, Kind
from treadle.runtime.ports import Refused
from treadle.sim import clock

# ----------------------------------------------------------------------------------------- images


def test_an_image_that_cannot_be_pulled_fails_after_ten_minutes() -> None:
    async def test(world: World) -> None:
        await world.start(script={"waiting": "ImagePullBackOff"})
        await asyncio.sleep(590)
        assert world.told.outcomes == []
        await asyncio.sleep(20)
        assert world.told.error() == "Kubernetes.ImagePull"

    in_a_world(test)


def test_or_after_the_start_timeout() -> None:
    async def test(world: World) -> None:
        script = {"waiting": "CreateContainerConfigError"}
        await world.start(script=script, also={"startTimeoutSeconds": 20})
        await asyncio.sleep(21)
        assert world.told.error() == "Kubernetes.ContainerConfig"

    in_a_world(test)


# -------------------------------------------------------------------------------- Jobs without Pods


def without_job_controller(world: World) -> None:
    world.cluster.objects.listeners.remove(world.cluster.jobs._seen)


async def looked_at(world: World) -> None:
    """The controller has seen the Job, and could not make its Pod."""
    seen = {"status": {"startTime": clock.wall().isoformat(), "ready": 0}}
    name = (world.job() or {})["metadata"]["name"]
    await world.kubectl.patch(JOBS, "default", name, seen, subresource="status")


async def say_why(world: World, message: str) -> None:
    event = {
        "metadata": {"generateName": "e-"},
        "involvedObject": {"uid": (world.job() or {})["metadata"]["uid"]},
        "reason": "FailedCreate",
        "message": message,
        "lastTimestamp": clock.wall().isoformat(),
    }
    await world.kubectl.create(EVENTS, "default", event)


@pytest.fixture
def events_by_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(selectors._FIELDS, EVENTS, ("involvedObject.uid",))


@pytest.mark.usefixtures("events_by_uid")
def test_why_there_is_no_pod_is_read_from_the_jobs_events() -> None:
    async def test(world: World) -> None:
        without_job_controller(world)
        await world.start()
        await looked_at(world)
        await asyncio.sleep(25)
        assert world.told.reasons == ["Its Job has no Pod yet."]
        await say_why(world, "pods is forbidden: exceeded quota: q")
        await asyncio.sleep(65)
        assert "exceeded quota" in str(world.told.reasons[-1])
        assert world.told.outcomes == []
        await say_why(world, 'pods is forbidden: violates PodSecurity "restricted"')
        await asyncio.sleep(65)
        assert world.told.error() == "Kubernetes.Forbidden"
        assert world.told.reasons[-1] is None

    in_a_world(test)


def test_where_events_may_not_be_read_the_wait_is_told_all_the_same() -> None:
    async def test(world: World) -> None:
        without_job_controller(world)
        real = world.api.list

        async def list_(kind: Kind, namespace: str | None, **selectors: Any) -> Listing:
            if kind == EVENTS:
                raise Refused(403, "Forbidden", "no")
            return await real(kind, namespace, **selectors)

        world.api.list = list_  # type: ignore[method-assign]
        await world.start()
        await looked_at(world)
        await asyncio.sleep(25)
        assert world.told.reasons == ["Its Job has no Pod yet."]

    in_a_world(test)


@pytest.mark.usefixtures("events_by_uid")
def test_a_controller_that_is_behind_costs_no_list_of_events() -> None:
    async def test(world: World) -> None:
        without_job_controller(world)
        asked: list[Kind] = []
        real = world.api.list

        async def list_(kind: Kind, namespace: str | None, **selectors: Any) -> Listing:
            asked.append(kind)
            return await real(kind, namespace, **selectors)

        world.api.list = list_  # type: ignore[method-assign]
        await world.start()
        await asyncio.sleep(600)
        assert EVENTS not in asked
        await looked_at(world)
        await asyncio.sleep(25)
        assert EVENTS in asked

    in_a_world(test)
