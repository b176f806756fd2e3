"""A task becomes one Job, however often it is started and whatever the API server answers."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.runners.a_job_world import QUOTA, TASK, World, counting, in_a_world
from treadle.engine.events import TaskFailed, TaskStarted, TaskSucceeded
from treadle.kube.kinds import JOBS, SECRETS
from treadle.runtime.ports import Fault, NotLeading, Refused, Unavailable
from treadle.sim import clock
from treadle.sim.cluster import create_before
from treadle.sim.faults import Faults, Plan, a_plan


def test_a_task_runs_and_tells_its_result() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start(script={"seconds": 1, "message": '{"ok":true}'})
            await asyncio.sleep(2.0)
        # A first create needs no read.
        assert requests == ["create Job"]
        job = world.job()
        assert job is not None
        assert list(world.runner.existing(world.key)) == []  # it is known to have ended
        started, succeeded = world.told.events
        assert started == TaskStarted(TASK, job["metadata"]["uid"])
        assert isinstance(succeeded, TaskSucceeded)
        assert succeeded.output == '{"ok":true}'
        assert not job["status"].get("conditions")  # the Job says so later
        await world.save_the_end()
        await asyncio.sleep(130)
        assert world.tally.counted == ["started", "succeeded"]

    in_a_world(test)


def test_the_input_reaches_the_container() -> None:
    async def test(world: World) -> None:
        await world.start(script={"echoInput": True}, input={"n": [1, 2]})
        await asyncio.sleep(3)
        (event,) = world.told.outcomes
        assert isinstance(event, TaskSucceeded)
        assert event.output == '{"n":[1,2]}'

    in_a_world(test)


def test_starting_again_changes_nothing() -> None:
    async def test(world: World) -> None:
        order = world.order(script={"hang": True})
        await world.runner.start(order)
        with counting(world) as requests:
            await world.runner.start(order)
            await asyncio.sleep(5)
        assert requests == []
        assert len(world.pods()) == 1
        assert [type(event) for event in world.told.events] == [TaskStarted]

    in_a_world(test)


def test_a_job_of_an_earlier_life_is_adopted() -> None:
    async def test(world: World) -> None:
        order = world.order(script={"seconds": 5})
        await world.runner.start(order)
        uid = (world.job() or {})["metadata"]["uid"]
        world.told.events.clear()
        await world.live()
        await world.runner.start(world.order(script={"seconds": 5}, restored=True))
        assert world.told.events == [TaskStarted(TASK, uid)]
        await asyncio.sleep(10)
        assert len(world.told.outcomes) == 1
        assert world.tally.counted == ["started", "succeeded"]  # by both lives together
        assert len(world.pods()) == 1

    in_a_world(test)


@pytest.mark.parametrize("plan", [Plan(until=1.0, lost=1.0), Plan(until=1.0, late=1.0)])
def test_a_create_without_an_answer_is_looked_for_before_the_second(plan: Plan) -> None:
    async def test(world: World) -> None:
        await world.live(Faults(plan))
        with pytest.raises(Unavailable):
            await world.start(script={"seconds": 1})
        await asyncio.sleep(1)
        await world.start(script={"seconds": 1})
        await asyncio.sleep(30)
        assert len(world.pods()) == 1
        assert len(world.told.outcomes) == 1

    in_a_world(test)


def test_two_who_create_make_one() -> None:
    async def test(world: World) -> None:
        other = World()
        other.cluster, other.key, other.told = world.cluster, world.key, world.told
        await other.live()
        await asyncio.gather(world.start(script={"seconds": 1}), other.start(script={"seconds": 1}))
        await asyncio.sleep(10)
        other.die()
        assert len(world.pods()) == 1
        assert len({type(event) for event in world.told.outcomes}) == 1

    in_a_world(test)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_goes_wrong_one_pod_runs_and_its_end_is_told(seed: int) -> None:
    async def persist(world: World, **more: Any) -> None:
        while True:
            try:
                await world.start(script={"seconds": 3, "message": "1"}, **more)
                return
            except Fault:
                await asyncio.sleep(1)

    async def test(world: World) -> None:
        faults = Faults(a_plan(seed), seed)
        await world.live(faults)
        await persist(world)
        await asyncio.sleep(seed % 7)
        await world.live(faults)
        await persist(world, restored=True)
        await asyncio.sleep(200)
        await world.runner.sweep()
        assert len(world.pods()) == 1
        assert {type(event) for event in world.told.outcomes} == {TaskSucceeded}
        await world.save_the_end()
        await asyncio.sleep(130)
        await world.runner.sweep()
        assert world.pods() == []
        assert world.job() is None
        assert world.runner.current()

    in_a_world(test)


def test_a_name_that_is_taken_is_a_conflict() -> None:
    async def test(world: World) -> None:
        container = {"name": "main", "image": "i"}
        spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
        theirs = {"metadata": {"name": world.name}, "spec": {**spec, "suspend": True}}
        await world.kubectl.create(JOBS, "default", theirs)
        await world.start()
        await asyncio.sleep(1)
        assert world.told.error() == "Kubernetes.NameConflict"

    in_a_world(test)


def test_another_task_of_the_same_name_is_a_conflict() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await world.live()
        await world.start(script={"seconds": 1}, digest="other", restored=True)
        await asyncio.sleep(10)
        assert world.told.error() == "Kubernetes.NameConflict"

    in_a_world(test)


def test_nothing_is_made_without_a_fresh_lease() -> None:
    async def test(world: World) -> None:
        world.lease.is_fresh = False
        with pytest.raises(NotLeading):
            await world.start()
        assert world.job() is None
        assert world.told.events == []

    in_a_world(test)


def test_a_job_that_comes_after_its_lease_is_tried_again() -> None:
    async def test(world: World) -> None:
        world.cluster.admission = create_before
        world.lease.seconds = -10
        with pytest.raises(Unavailable):
            await world.start()
        assert world.told.events == []
        world.lease.seconds = 10
        await world.start()
        assert world.job() is not None

    in_a_world(test)


def test_what_is_refused_for_good_is_the_states_error() -> None:
    async def test(world: World) -> None:
        world.refusing(Refused(403, "Forbidden", 'violates PodSecurity "restricted"'))
        await world.start(input="x" * 200_000)
        assert world.told.error() == "Kubernetes.Forbidden"
        assert list(world.cluster.objects.each(SECRETS)) == []
        await world.save_the_end()
        await asyncio.sleep(1)
        assert world.tally.counted == ["started", "failed"]

    in_a_world(test)


def test_parameters_that_cannot_be_used_are_the_states_error() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start(parameters={"image": 5})
        assert world.told.error() == "Treadle.InvalidParameters"
        assert requests == []

    in_a_world(test)


def test_our_own_credentials_are_no_states_fault() -> None:
    async def test(world: World) -> None:
        world.refusing(Refused(401, "Unauthorized", "Unauthorized"))
        with pytest.raises(Unavailable):
            await world.start()
        assert world.told.events == []

    in_a_world(test)


def test_a_full_quota_is_waited_for() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        delays = []
        for _ in range(7):
            with pytest.raises(Unavailable) as raised:
                await world.start()
            delays.append(raised.value.retry_after_seconds)
        assert delays == [2, 5, 10, 20, 30, 30, 30]
        world.cluster.admission = None
        await world.start()
        (reason, no_reason) = world.told.reasons
        assert "exceeded quota" in (reason or "")
        assert no_reason is None
        assert world.told.outcomes == []
        assert world.tally.counted == ["started"]

    in_a_world(test)


def test_unless_the_task_says_for_how_long() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        due_at = clock.wall()
        more: dict[str, Any] = {"also": {"startTimeoutSeconds": 3}, "due_at": due_at}
        with pytest.raises(Unavailable):
            await world.start(**more)
        await asyncio.sleep(2.5)
        with pytest.raises(Unavailable) as raised:
            await world.start(**more)
        assert raised.value.retry_after_seconds == pytest.approx(0.5, abs=0.1)
        await asyncio.sleep(0.5)
        await world.start(**more)
        assert world.told.error() == "Kubernetes.QuotaExceeded"
        (event,) = world.told.outcomes
        assert isinstance(event, TaskFailed)
        assert event.at == due_at + timedelta(seconds=3)

    in_a_world(test)
