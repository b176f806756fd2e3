"""What happened while nobody looked is told, by the next life of a runner or by its sweep."""

import asyncio
from typing import Any

import pytest

from tests.runners.a_job_world import TASK, World, counting, in_a_world
from treadle.engine.events import TaskFailed, TaskId, TaskSucceeded
from treadle.kube import names
from treadle.kube.informer import Informer
from treadle.kube.kinds import JOBS, PODS
from treadle.runners import jobs, observed
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runners.verdict import Seen, Verdict, verdict
from treadle.runtime.ports import Attempt, Missing, Standing
from treadle.sim import clock
from treadle.sim.faults import Faults, Plan


def test_what_happened_while_nobody_looked_is_told_first_and_in_order() -> None:
    async def test(world: World) -> None:
        tasks = [TaskId(1, n, 1) for n in (1, 2, 3)]
        for task, seconds in zip(tasks, (9, 3, 6), strict=True):
            await world.start(task=task, script={"seconds": seconds})
        await asyncio.sleep(0.2)
        world.die()
        await asyncio.sleep(30)
        world.told.events.clear()
        await world.live()
        told = [e.task.entry for e in world.told.events if isinstance(e, TaskSucceeded)]
        assert told == [2, 3, 1]
        assert world.runner.current()

    in_a_world(test)


def test_a_runner_is_not_current_before_it_has_looked() -> None:
    async def test(world: World) -> None:
        world.die()
        jobs, pods = (Informer(world.api, kind, indices=observed.INDICES) for kind in (JOBS, PODS))
        runner = JobRunner(
            world.api,
            jobs,
            pods,
            mailbox=world.told,
            leading=world.lease,
            standings=world.told.of,
            clock=clock.wall,
            settings=JobSettings(),
        )
        assert not runner.current()
        assert runner.resources == {"treadle:job"}

    in_a_world(test)


def test_a_sweep_tells_again_what_no_save_took_up() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(10)
        assert len(world.told.outcomes) == 1
        world.told.events.clear()
        await world.runner.sweep()
        assert world.told.outcomes == []
        await asyncio.sleep(60)
        await world.runner.sweep()
        await asyncio.sleep(0.1)
        assert len(world.told.outcomes) >= 1

    in_a_world(test)


def test_an_end_that_is_told_again_and_again_is_counted_once() -> None:
    async def test(world: World) -> None:
        await world.start(script={"exitCode": 1})
        await asyncio.sleep(200)
        assert len(world.told.outcomes) > 3
        assert world.tally.counted == ["started", "failed"]

    in_a_world(test)


def test_a_sweep_frees_what_ended_in_an_earlier_life() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(10)
        world.told.standing = Standing.OVER
        await world.live()
        await world.runner.sweep()
        await asyncio.sleep(1)
        assert world.held() == []
        with counting(world) as requests:
            await world.runner.sweep()
        assert requests == []

    in_a_world(test)


def test_freed_pods_of_an_earlier_life_are_not_told_again() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(10)
        await world.save_the_end()
        await asyncio.sleep(1)
        world.told.events.clear()
        await world.live()
        await asyncio.sleep(10)
        assert world.told.events == []
        await asyncio.sleep(130)
        assert world.job() is None
        assert world.tally.counted == ["started", "succeeded"]

    in_a_world(test)


def test_a_pod_that_belongs_to_nobody_is_freed_by_the_sweep() -> None:
    async def test(world: World) -> None:
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        (namespace, name) = world.pod_key()
        patch = {"metadata": {"annotations": {names.TASK_ID: None}}}
        await world.kubectl.patch(PODS, namespace, name, patch)
        await asyncio.sleep(1)
        await world.runner.sweep()
        assert world.held() == []

    in_a_world(test)


def test_without_a_fresh_lease_nothing_is_freed_until_it_is() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await asyncio.sleep(10)
        world.lease.is_fresh = False
        await world.save_the_end()
        await asyncio.sleep(3)
        assert world.held()
        world.lease.is_fresh = True
        await asyncio.sleep(10)
        assert world.held() == []

    in_a_world(test)


def test_ends_of_other_runners_attempts_cost_nothing() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.runner.ended(Attempt(world.key, TaskId(9, 9, 9)))
            await world.runner.stop(Attempt(world.key, TaskId(9, 9, 9)))
        assert requests == []

    in_a_world(test)


def test_a_deletion_by_hand_of_the_job_and_its_object_is_missing() -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        world.cluster.remove(JOBS, ("default", world.name))
        with pytest.raises(Missing):
            await world.kubectl.get(JOBS, "default", world.name)
        await asyncio.sleep(20)
        assert world.told.error() == "Kubernetes.JobDeleted"

    in_a_world(test)


def test_what_was_seen_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Seen] = []

    def noting(seen: Seen, **more: Any) -> Verdict:
        judged.append(seen)
        return verdict(seen, **more)

    async def test(world: World) -> None:
        monkeypatch.setattr(jobs, "verdict", noting)
        await world.start(script={"seconds": 1})
        await asyncio.sleep(20)
        assert len(world.told.outcomes) == 1
        assert len(judged) == len(set(map(id, judged)))

    in_a_world(test)


def test_a_gap_in_the_watch_loses_nothing() -> None:
    async def test(world: World) -> None:
        await world.live(Faults(Plan(until=1000.0, stream_seconds=20.0)))
        await world.start(script={"seconds": 30})
        for _ in range(30):
            world.cluster.objects.compact()
            await asyncio.sleep(2)
        await asyncio.sleep(10)
        assert len(set(world.told.outcomes)) == 1
        assert world.runner.current()

    in_a_world(test)


def test_an_attempt_that_we_cannot_judge_fails_and_others_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = TaskId(1, 2, 1)

    async def test(world: World) -> None:
        await world.start(script={"seconds": 1})
        await world.start(task=other, script={"seconds": 1})
        wrong = [world.name]

        def once_wrong(seen: Seen, **more: Any) -> Verdict:
            if seen.pods and seen.job and seen.job["metadata"]["name"] in wrong:
                wrong.clear()
                raise RuntimeError("we are wrong")
            return verdict(seen, **more)

        monkeypatch.setattr(jobs, "verdict", once_wrong)
        await asyncio.sleep(10)
        failed, *rest = world.told.outcomes
        assert isinstance(failed, TaskFailed)
        assert (failed.task, failed.error.name) == (TASK, "States.Runtime")
        assert [event.task for event in rest if isinstance(event, TaskSucceeded)] == [other]
        assert sorted(world.tally.counted) == ["failed", "started", "started", "succeeded"]
        assert world.tally.failures == ["runners"]

    in_a_world(test)
    assert "cannot be judged" in caplog.text


def test_an_attempt_that_cannot_be_settled_fails_and_the_workers_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(world: World) -> None:
        await world.live(workers=1)
        await world.start(script={"hang": True})
        await asyncio.sleep(2)
        world.told.broken.append(RuntimeError("we are wrong"))
        await world.runner.ended(world.attempt)
        await asyncio.sleep(1)
        assert world.told.error() == "States.Runtime"
        assert world.tally.counted == ["started", "failed"]
        assert world.tally.failures == ["runners"]
        await world.save_the_end()
        await asyncio.sleep(200)
        assert world.job() is None  # by the one worker
        assert world.tally.counted == ["started", "failed"]

    in_a_world(test)
    assert "cannot be brought in line" in caplog.text


def test_an_object_that_cannot_be_read_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World) -> None:
        await world.start(script={"seconds": 2})
        await asyncio.sleep(1)
        odd = {"status": {"conditions": [1]}}
        (namespace, name) = world.pod_key()
        await world.kubectl.patch(PODS, namespace, name, odd, subresource="status")
        await world.start(task=TaskId(1, 2, 1), script={"seconds": 2})
        await asyncio.sleep(10)
        assert [e.task.entry for e in world.told.outcomes if isinstance(e, TaskSucceeded)] == [2]
        await world.runner.sweep()

    in_a_world(test)
    assert "cannot be judged" in caplog.text
    assert "cannot be brought in line" in caplog.text
