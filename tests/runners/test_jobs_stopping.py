"""What is stopped ends, what has ended is freed and removed in time, and no more is touched."""

import asyncio

import pytest

from tests.runners.a_job_world import QUOTA, TASK, World, counting, in_a_world
from treadle.kube import names
from treadle.kube.kinds import EXECUTIONS, JOBS, PODS, SECRETS
from treadle.runners.jobwrites import JobWrites
from treadle.runtime.ports import Refused, Standing, Unavailable
from treadle.sim.faults import Faults, Plan


def test_pods_are_held_until_the_end_is_saved_and_the_job_for_two_minutes_more() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(30)
        assert world.held()
        await world.save_the_end()
        await asyncio.sleep(0.5)
        assert world.held() == []
        await asyncio.sleep(118)
        assert world.job() is not None
        await asyncio.sleep(5)
        assert world.job() is None
        assert world.pods() == []

    in_a_world(test)


@pytest.mark.parametrize("standing", [Standing.UNKNOWN, Standing.NEWER, Standing.LIVE])
def test_who_does_not_know_better_frees_nothing(standing: Standing) -> None:
    async def test(world: World) -> None:
        world.told.standing = standing
        await world.start(script={"exitCode": 1})
        await asyncio.sleep(300)
        await world.runner.sweep()
        assert world.held()
        assert world.job() is not None

    in_a_world(test)


def test_a_stopped_job_ends_and_stays() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        assert list(world.runner.existing(world.key)) == [TASK]
        world.told.standing = Standing.OVER
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
        assert requests == ["patch Job"]
        await asyncio.sleep(20)
        assert list(world.runner.existing(world.key)) == []
        job = world.job()
        assert job is not None
        assert [c["type"] for c in job["status"]["conditions"]] == ["FailureTarget", "Failed"]
        assert world.pods() == []
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
        assert requests == []
        await asyncio.sleep(120)
        assert world.job() is None
        assert world.tally.counted == ["started", "stopped"]

    in_a_world(test)


def test_a_job_that_lingers_is_stopped_after_a_minute() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        await world.save_the_end()
        await asyncio.sleep(58)
        assert (world.job() or {})["spec"].get("activeDeadlineSeconds") is None
        await asyncio.sleep(3)
        assert (world.job() or {})["spec"]["activeDeadlineSeconds"] == 0

    in_a_world(test)


def test_a_job_whose_execution_is_gone_does_not_linger() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        world.told.standing = Standing.GONE
        await world.runner.ended(world.attempt)
        await asyncio.sleep(1)
        assert (world.job() or {})["spec"]["activeDeadlineSeconds"] == 0

    in_a_world(test)


def test_an_attempt_that_ended_unseen_has_its_name_taken() -> None:
    async def test(world: World) -> None:
        world.told.standing = Standing.OVER
        await world.runner.start(world.order(parameters={}, expired=True))
        job = world.job()
        assert job is not None
        assert (job["spec"]["suspend"], job["spec"]["activeDeadlineSeconds"]) == (True, 0)
        await asyncio.sleep(60)
        assert world.pods() == []
        assert list(world.runner.existing(world.key)) == []
        await asyncio.sleep(70)
        assert world.job() is None
        assert world.told.outcomes == []
        assert world.tally.counted == []

    in_a_world(test)


def test_a_job_that_was_there_all_the_same_is_stopped() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await world.live()
        world.told.standing = Standing.OVER
        await world.runner.start(world.order(parameters={}, expired=True))
        await asyncio.sleep(20)
        assert (world.job() or {})["spec"]["activeDeadlineSeconds"] == 0
        assert world.pods() == []

    in_a_world(test)


def test_a_name_taken_by_somebody_else_is_left_alone() -> None:
    async def test(world: World) -> None:
        container = {"name": "main", "image": "i"}
        spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
        theirs = {"metadata": {"name": world.name}, "spec": {**spec, "suspend": True}}
        await world.kubectl.create(JOBS, "default", theirs)
        world.told.standing = Standing.OVER
        await world.runner.start(world.order(parameters={}, expired=True))
        await asyncio.sleep(200)
        assert "activeDeadlineSeconds" not in (world.job() or {})["spec"]

    in_a_world(test)


def test_a_tombstone_waits_for_room_but_not_for_permission() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        with pytest.raises(Unavailable):
            await world.runner.start(world.order(expired=True))
        world.refusing(Refused(403, "Forbidden", "no"))
        await world.runner.start(world.order(expired=True))

    in_a_world(test)


def test_the_secret_goes_with_the_tombstone() -> None:
    async def test(world: World) -> None:
        await world.start(script={"echoInput": True}, input="x" * 200_000)
        await asyncio.sleep(10)
        assert len(list(world.cluster.objects.each(SECRETS))) == 1
        await world.save_the_end()
        await asyncio.sleep(125)
        assert world.job() is None
        assert list(world.cluster.objects.each(SECRETS)) == []

    in_a_world(test)


def test_a_deleted_execution_leaves_nothing() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        world.told.standing = Standing.GONE
        world.cluster.remove(EXECUTIONS, ("default", "ex"))
        await asyncio.sleep(30)
        assert world.pods() == []
        assert world.job() is None

    in_a_world(test)


def test_an_orphan_of_a_deleted_job_is_stopped_by_its_own_deletion() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        (namespace, name) = world.pod_key()
        # As the garbage collector and the Job controller leave it.
        patch = {"metadata": {"ownerReferences": None, "finalizers": [names.RESULT_FINALIZER]}}
        await world.kubectl.patch(PODS, namespace, name, patch)
        world.cluster.remove(JOBS, ("default", world.name))
        await asyncio.sleep(5)
        assert world.told.outcomes == []
        assert list(world.runner.existing(world.key)) == [TASK]
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        await asyncio.sleep(10)
        assert world.pods() == []

    in_a_world(test)


def test_a_create_on_its_way_is_stopped_where_it_arrived() -> None:
    async def test(world: World) -> None:
        await world.live(Faults(Plan(until=1.0, lost=1.0)))
        without_watches(world)
        with pytest.raises(Unavailable):
            await world.start(script={"hang": True})
        await asyncio.sleep(2)
        assert world.job() is not None
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        assert (world.job() or {})["spec"]["activeDeadlineSeconds"] == 0

    in_a_world(test)


def without_watches(world: World) -> None:
    """What the informers show stays as it is."""
    for life in world.lives[:2]:
        life.cancel()


def test_a_finalizer_is_found_wherever_it_stands() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        (pod,) = (await world.kubectl.list(PODS, "default")).items
        moved = {"metadata": {"finalizers": ["a/b", names.RESULT_FINALIZER]}}
        await world.kubectl.patch(PODS, "default", pod["metadata"]["name"], moved)
        writes = JobWrites(world.api, world.lease, 1)
        await writes.free(pod)
        assert world.pods()[0]["metadata"]["finalizers"] == ["a/b"]
        await writes.free(pod)  # nothing left to do
        await writes.free({**pod, "metadata": {**pod["metadata"], "name": "gone"}})
        await writes.delete_pod({**pod, "metadata": {**pod["metadata"], "uid": "other"}})
        assert len(world.pods()) == 1

    in_a_world(test)


def test_what_took_the_name_of_a_job_is_not_touched() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(1)
        job = await world.kubectl.get(JOBS, "default", world.name)
        other = {**job, "metadata": {**job["metadata"], "uid": "other"}}
        writes = JobWrites(world.api, world.lease, 1)
        await writes.stop(other)
        await writes.delete_job(other)
        assert "activeDeadlineSeconds" not in (world.job() or {})["spec"]

    in_a_world(test)


@pytest.mark.parametrize("standing", [Standing.LIVE, Standing.NEWER])
def test_what_is_not_known_to_be_over_is_not_stopped(standing: Standing) -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(1)
        world.told.standing = standing
        await world.runner.stop(world.attempt)
        world.told.standing = Standing.UNKNOWN
        with pytest.raises(Unavailable):
            await world.runner.stop(world.attempt)
        assert "activeDeadlineSeconds" not in (world.job() or {})["spec"]

    in_a_world(test)
