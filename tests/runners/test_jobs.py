"""The Job runner in a simulated cluster: what it makes, tells, stops, frees and leaves."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from treadle.engine.commands import Task
from treadle.engine.events import Event, TaskFailed, TaskId, TaskStarted, TaskSucceeded
from treadle.kube import names
from treadle.kube.api import Listing, Obj
from treadle.kube.informer import Informer
from treadle.kube.kinds import EVENTS, EXECUTIONS, JOBS, PODS, SECRETS, Kind
from treadle.runners import observed
from treadle.runners.jobs import JobRunner, JobSettings
from treadle.runners.jobwrites import JobWrites
from treadle.runtime.ports import (
    Attempt,
    ExecutionKey,
    Fault,
    Missing,
    NotLeading,
    Order,
    Refused,
    Standing,
    Unavailable,
)
from treadle.sim import clock, selectors
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster, create_before
from treadle.sim.faults import Faults, Plan, a_plan

TASK = TaskId(1, 1, 1)


class Recorder:
    """A mailbox, and a driver that answers where attempts stand."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reasons: list[str | None] = []
        self.standing = Standing.LIVE
        self.asked = 0

    def post(self, _: ExecutionKey, event: Event) -> None:
        self.events.append(event)

    def waits(self, _: ExecutionKey, __: TaskId, reason: str | None) -> None:
        self.reasons.append(reason)

    async def of(self, _: Attempt) -> Standing:
        self.asked += 1
        return self.standing

    @property
    def outcomes(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, TaskStarted)]

    def error(self) -> str | None:
        (event,) = self.outcomes
        assert isinstance(event, TaskFailed)
        return event.error.name


class Lease:
    def __init__(self) -> None:
        self.is_fresh = True
        self.seconds: float | None = None

    def fresh(self) -> bool:
        return self.is_fresh

    def create_before(self) -> datetime | None:
        return None if self.seconds is None else clock.wall(self.seconds)


class World:
    """A cluster with one execution, and lives of a runner in it."""

    def __init__(self) -> None:
        self.cluster = SimCluster(seed=5)
        self.kubectl = SimApi(self.cluster)
        self.told = Recorder()
        self.lease = Lease()
        self.key = ExecutionKey("default", "ex", "")
        self.lives: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        execution = {"metadata": {"name": "ex"}, "spec": {"stateMachineRef": {"name": "m"}}}
        made = await self.kubectl.create(EXECUTIONS, "default", execution)
        self.key = ExecutionKey("default", "ex", made["metadata"]["uid"])
        await self.live()

    async def live(self, faults: Faults | None = None, **settings: Any) -> None:
        """Start a process; one that was there dies."""
        self.die()
        self.api = SimApi(self.cluster, faults, who="operator")
        jobs, pods = (
            Informer(
                self.api,
                kind,
                labels=observed.SELECTOR,
                indices=observed.INDICES,
                trim=observed.trim,
            )
            for kind in (JOBS, PODS)
        )
        self.runner = JobRunner(
            self.api,
            jobs,
            pods,
            mailbox=self.told,
            leading=self.lease,
            standings=self.told.of,
            clock=clock.wall,
            settings=JobSettings(**settings),
        )
        self.lives = [asyncio.create_task(each.run()) for each in (jobs, pods, self.runner)]
        await asyncio.sleep(0.2)

    def die(self) -> None:
        for life in self.lives:
            life.cancel()
        self.lives = []

    def order(self, task: TaskId = TASK, **more: Any) -> Order:
        parameters = more.pop("parameters", None) or {
            "image": "i",
            "command": ["pretend", json.dumps(more.pop("script", {}))],
            **more.pop("also", {}),
        }
        work = Task(
            id=task,
            state="S",
            resource="treadle:job",
            parameters=parameters,
            input=more.pop("input", {"a": 1}),
            digest=more.pop("digest", "d"),
            due_at=more.pop("due_at", clock.wall()),
            deadline_at=more.pop("deadline_at", None),
            uid=more.pop("uid", ""),
        )
        return Order(self.key, work, {}, 1_048_576, **more)

    async def start(self, **more: Any) -> None:
        await self.runner.start(self.order(**more))

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.key, TASK)

    @property
    def name(self) -> str:
        return names.attempt(self.key, TASK)

    def job(self) -> Obj | None:
        return self.cluster.objects.peek(JOBS, "default", self.name)

    def pods(self) -> list[Obj]:
        return list(self.cluster.objects.each(PODS))

    def held(self) -> list[str]:
        return [p["metadata"]["name"] for p in self.pods() if observed.is_held(p)]

    def pod_key(self) -> tuple[str, str]:
        (pod,) = self.pods()
        return "default", pod["metadata"]["name"]

    def refusing(self, refusal: Fault, kind: Kind = JOBS) -> None:
        def refuse(of: Kind, obj: Obj, now: datetime) -> None:
            if of == kind:
                raise refusal

        self.cluster.admission = refuse

    async def save_the_end(self) -> None:
        """The driver has saved the attempt's end."""
        self.told.standing = Standing.OVER
        await self.runner.ended(self.attempt)


def in_a_world(test: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        world = World()
        await world.begin()
        await test(world)
        world.die()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualLoop)
        assert loop.unhandled == []

    clock.run(whole())


@contextmanager
def counting(world: World) -> Iterator[list[str]]:
    """The requests of the operator meanwhile."""
    before = len(world.cluster.trace)
    requests: list[str] = []
    yield requests
    for line in world.cluster.trace[before:]:
        words = line.split()
        if words[1] == "operator" and words[2] != "watch":
            requests.append(" ".join(words[2:4]))


# -------------------------------------------------------------------------------------- starting


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


QUOTA = Refused(403, "Forbidden", "exceeded quota: q, requested: count/jobs.batch=1")


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


# --------------------------------------------------------------------------------- stopping, ending


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


# ------------------------------------------------------------------------------ lives and sweeps


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
        assert runner.runs("treadle:job")
        assert not runner.runs("treadle:http")

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


# -------------------------------------------------------------------------------- Jobs without Pods


def without_job_controller(world: World) -> None:
    world.cluster.objects.listeners.remove(world.cluster.jobs._seen)


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
        await asyncio.sleep(25)
        assert world.told.reasons == ["Its Job has no Pod yet."]

    in_a_world(test)


# ------------------------------------------------------------------------------------ odd moments


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
