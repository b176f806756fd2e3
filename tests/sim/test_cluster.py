"""Jobs, Pods and watches of the simulated cluster do what was measured on a real one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treadle.kube.api import Change
from treadle.kube.kinds import EXECUTIONS, JOBS, PODS
from treadle.runtime.ports import Expired, Missing, Refused, Unavailable
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import Faults, Plan

RESULT = "treadle.dev/result"


def a_job(name: str = "j", *, finalizers: tuple[str, ...] = (), **script: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "i", "command": ["pretend", json.dumps(script)]}
    template = {
        "metadata": {"finalizers": list(finalizers), "annotations": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {"metadata": {"name": name}, "spec": {"template": template, "backoffLimit": 0}}


def in_a_cluster(test: Callable[[SimCluster, SimApi], Awaitable[Any]], **more: Any) -> Any:
    async def world() -> Any:
        cluster = SimCluster(seed=3, **more)
        result = await test(cluster, SimApi(cluster))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualLoop)
        assert loop.unhandled == []
        return result

    return clock.run(world())


async def pods(api: SimApi) -> list[dict[str, Any]]:
    return (await api.list(PODS, "default")).items


def conditions(job: dict[str, Any]) -> list[tuple[str, str]]:
    return [(c["type"], c["reason"]) for c in job["status"].get("conditions", ())]


def test_a_job_completes_after_its_pod() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(seconds=2, message='{"x":1}'))
        await asyncio.sleep(2.6)
        (pod,) = await pods(api)
        terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (terminated["exitCode"], terminated["message"]) == (0, '{"x":1}')
        assert pod["metadata"]["annotations"] == {"a": "b"}
        await asyncio.sleep(3)
        job = await api.get(JOBS, "default", "j")
        assert conditions(job) == [
            ("SuccessCriteriaMet", "CompletionsReached"),
            ("Complete", "CompletionsReached"),
        ]
        assert (job["status"]["succeeded"], job["status"]["failed"]) == (1, 0)
        (pod,) = await pods(api)
        assert not pod["metadata"].get("finalizers")

    in_a_cluster(test)


def test_a_job_fails_with_its_pod() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(exitCode=3))
        await asyncio.sleep(5)
        job = await api.get(JOBS, "default", "j")
        assert conditions(job) == [
            ("FailureTarget", "BackoffLimitExceeded"),
            ("Failed", "BackoffLimitExceeded"),
        ]
        assert len(await pods(api)) == 1

    in_a_cluster(test)


def test_a_deleted_pod_fails_its_job_and_is_not_replaced() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(hang=True, finalizers=(RESULT,)))
        await asyncio.sleep(2)
        (pod,) = await pods(api)
        cluster.evict(("default", pod["metadata"]["name"]))
        await asyncio.sleep(10)
        assert conditions(await api.get(JOBS, "default", "j"))[-1][0] == "Failed"
        (pod,) = await pods(api)
        assert pod["status"]["phase"] == "Failed"
        assert pod["status"]["conditions"][0]["type"] == "DisruptionTarget"
        assert pod["metadata"]["finalizers"] == [RESULT]
        name = pod["metadata"]["name"]
        await api.patch(PODS, "default", name, {"metadata": {"finalizers": None}})
        assert await pods(api) == []

    in_a_cluster(test)


def test_a_worker_that_ends_well_when_told_to_makes_its_job_complete_or_failed() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        script = {"hang": True, "termExitCode": 0}
        await api.create(JOBS, "default", a_job(finalizers=(RESULT,), **script))
        await asyncio.sleep(2)
        (pod,) = await pods(api)
        cluster.remove(PODS, ("default", pod["metadata"]["name"]))
        await asyncio.sleep(10)
        (pod,) = await pods(api)
        assert pod["status"]["phase"] == "Succeeded"
        assert conditions(await api.get(JOBS, "default", "j"))[-1][0] in ("Complete", "Failed")

    in_a_cluster(test)


def test_a_deadline_of_nothing_stops_a_running_job_for_ever() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(hang=True, finalizers=(RESULT,)))
        await asyncio.sleep(2)
        await api.patch(JOBS, "default", "j", {"spec": {"activeDeadlineSeconds": 0}})
        await asyncio.sleep(0.5)
        job = await api.get(JOBS, "default", "j")
        assert conditions(job) == [("FailureTarget", "DeadlineExceeded")]
        await asyncio.sleep(10)
        job = await api.get(JOBS, "default", "j")
        assert conditions(job)[-1] == ("Failed", "DeadlineExceeded")

    in_a_cluster(test)


def test_a_suspended_job_with_that_deadline_never_runs_even_if_resumed() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        job = a_job()
        job["spec"] |= {"suspend": True, "activeDeadlineSeconds": 0}
        await api.create(JOBS, "default", job)
        await asyncio.sleep(5)
        assert conditions(await api.get(JOBS, "default", "j")) == [("Suspended", "JobSuspended")]
        await api.patch(JOBS, "default", "j", {"spec": {"suspend": False}})
        await asyncio.sleep(5)
        job = await api.get(JOBS, "default", "j")
        assert conditions(job)[-1] == ("Failed", "DeadlineExceeded")
        assert await pods(api) == []

    in_a_cluster(test)


def test_a_pod_of_a_suspension_stays_beside_its_successor() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(seconds=5, finalizers=(RESULT,)))
        await asyncio.sleep(2)
        await api.patch(JOBS, "default", "j", {"spec": {"suspend": True}})
        await asyncio.sleep(5)
        await api.patch(JOBS, "default", "j", {"spec": {"suspend": False}})
        await asyncio.sleep(10)
        assert conditions(await api.get(JOBS, "default", "j"))[-1][0] == "Complete"
        assert [pod["status"]["phase"] for pod in await pods(api)] == ["Failed", "Succeeded"]

    in_a_cluster(test)


def test_the_pod_of_a_deleted_job_is_held_by_its_finalizer() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(message="1", finalizers=(RESULT,)))
        await asyncio.sleep(5)
        await api.delete(JOBS, "default", "j")
        await asyncio.sleep(5)
        with pytest.raises(Missing):
            await api.get(JOBS, "default", "j")
        (pod,) = await pods(api)
        assert "deletionTimestamp" in pod["metadata"]
        assert pod["metadata"]["finalizers"] == [RESULT]

    in_a_cluster(test)


def test_a_pod_that_nobody_bound_ends_all_the_same() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(hang=True, finalizers=(RESULT,)))
        made = asyncio.Event()
        cluster.objects.listeners.append(lambda kind, *_: kind == PODS and made.set())
        await made.wait()
        found = list(cluster.objects.each(PODS))
        cluster.remove(PODS, ("default", found[0]["metadata"]["name"]))
        await asyncio.sleep(30)
        (pod,) = await pods(api)
        assert pod["status"]["phase"] == "Failed"
        assert conditions(await api.get(JOBS, "default", "j"))[-1][0] == "Failed"

    in_a_cluster(test)


def test_an_image_that_is_not_there_waits() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        await api.create(JOBS, "default", a_job(waiting="ImagePullBackOff"))
        await asyncio.sleep(600)
        (pod,) = await pods(api)
        state = pod["status"]["containerStatuses"][0]["state"]
        assert state["waiting"]["reason"] == "ImagePullBackOff"
        assert conditions(await api.get(JOBS, "default", "j")) == []

    in_a_cluster(test)


def test_attempts_fail_as_often_as_scripted() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        for attempt in (1, 2):
            job = a_job(f"j{attempt}", failTimes=1)
            annotations = {"treadle.dev/task": f"1.1.{attempt}"}
            job["spec"]["template"]["metadata"]["annotations"] = annotations
            await api.create(JOBS, "default", job)
        await asyncio.sleep(6)
        ends = [conditions(job)[-1][0] for job in (await api.list(JOBS, "default")).items]
        assert ends == ["Failed", "Complete"]

    in_a_cluster(test)


def test_what_loses_its_owner_is_collected() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        owner = await api.create(EXECUTIONS, "default", {"metadata": {"name": "e"}, "spec": {}})
        job = a_job(hang=True)
        job["metadata"]["ownerReferences"] = [{"uid": owner["metadata"]["uid"], "name": "e"}]
        await api.create(JOBS, "default", job)
        await asyncio.sleep(3)
        await api.delete(EXECUTIONS, "default", "e")
        await asyncio.sleep(10)
        assert (await api.list(JOBS, None)).items == []
        assert await pods(api) == []
        # One that comes too late is collected as well.
        await api.create(JOBS, "default", job)
        await asyncio.sleep(10)
        assert (await api.list(JOBS, None)).items == []

    in_a_cluster(test)


def test_a_late_create_is_refused_by_the_charts_policy() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        job = a_job()
        job["metadata"]["annotations"] = {"treadle.dev/create-before": "2026-01-01T00:00:10Z"}
        await asyncio.sleep(10)
        with pytest.raises(Refused):
            await api.create(JOBS, "default", job)
        cluster.admission = None
        await api.create(JOBS, "default", job)

    in_a_cluster(test)


async def gather(api: SimApi, version: str, seconds: float, **more: Any) -> list[Change]:
    seen: list[Change] = []

    async def read() -> None:
        async for change in api.watch(EXECUTIONS, "default", version, **more):
            seen.append(change)

    reading = asyncio.create_task(read())
    await asyncio.sleep(seconds)
    reading.cancel()
    return seen


async def some_writes(api: SimApi) -> None:
    await api.create(EXECUTIONS, "default", {"metadata": {"name": "w"}, "spec": {}})
    for label in ("y", "y", None):
        patch = {"metadata": {"labels": {"sel": label}}}
        await api.patch(EXECUTIONS, "default", "w", patch)
    await api.delete(EXECUTIONS, "default", "w")


def test_a_watch_replays_and_follows() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        version = (await api.list(EXECUTIONS, "default")).version
        await some_writes(api)
        changes = await gather(api, version, 5)
        assert [c.type for c in changes] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
        changes = await gather(api, version, 5, labels="sel=y")
        assert [c.type for c in changes] == ["ADDED", "DELETED"]
        assert changes[1].object["metadata"]["labels"] == {"sel": "y"}
        following = asyncio.create_task(gather(api, str(cluster.objects.version), 100))
        await asyncio.sleep(1)
        await some_writes(api)
        assert [c.type for c in await following] == [
            "ADDED",
            "MODIFIED",
            "MODIFIED",
            "DELETED",
            "BOOKMARK",
        ]

    in_a_cluster(test)


def test_a_watch_from_the_compacted_past_expires() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        version = (await api.list(EXECUTIONS, "default")).version
        await some_writes(api)
        cluster.objects.compact()
        with pytest.raises(Expired):
            await anext(aiter(api.watch(EXECUTIONS, "default", version)))

    in_a_cluster(test)


def test_a_disturbed_watch_keeps_each_objects_order_and_loses_nothing() -> None:
    plan = Plan(until=1e9, lag_seconds=2, duplicates=0.3, reorders=0.5, stream_seconds=3, cuts=1.0)

    async def test(cluster: SimCluster, api: SimApi) -> None:
        watcher = SimApi(cluster, Faults(plan, 5), "watcher")
        version = (await api.list(EXECUTIONS, "default")).version
        seen: dict[str, list[str]] = {}
        overtaken = False

        async def follow() -> None:
            nonlocal version, overtaken
            while True:
                async for change in watcher.watch(EXECUTIONS, "default", version):
                    metadata = change.object["metadata"]
                    overtaken |= int(metadata["resourceVersion"]) < int(version)
                    version = metadata["resourceVersion"]
                    if change.type != "BOOKMARK":
                        versions = seen.setdefault(metadata["name"], [])
                        if version not in versions:
                            versions.append(version)

        following = asyncio.create_task(follow())
        written: dict[str, list[str]] = {}
        for name in "abcde":
            obj = {"metadata": {"name": name}, "spec": {}}
            made = await api.create(EXECUTIONS, "default", obj)
            written[name] = [made["metadata"]["resourceVersion"]]
        for turn in range(40):
            for name in "abcde":
                patch = {"status": {"turn": turn}}
                made = await api.patch(EXECUTIONS, "default", name, patch, subresource="status")
                written[name].append(made["metadata"]["resourceVersion"])
                await asyncio.sleep(0.1)
        await asyncio.sleep(20)
        following.cancel()
        assert seen == written
        assert overtaken

    in_a_cluster(test)


def test_a_write_whose_answer_is_lost_has_happened() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        unlucky = SimApi(cluster, Faults(Plan(until=1e9, lost=1.0)))
        with pytest.raises(Unavailable):
            await unlucky.create(JOBS, "default", a_job())
        assert await api.get(JOBS, "default", "j")

    in_a_cluster(test)


def test_a_late_write_happens_after_its_sender_gave_up() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        unlucky = SimApi(cluster, Faults(Plan(until=1e9, late=1.0, late_seconds=20)))
        with pytest.raises(Unavailable):
            await unlucky.create(JOBS, "default", a_job())
        with pytest.raises(Missing):
            await api.get(JOBS, "default", "j")
        await asyncio.sleep(30)
        assert await api.get(JOBS, "default", "j")

    in_a_cluster(test)


@pytest.mark.parametrize("landed", [False, True])
def test_a_client_dies_before_or_after_its_write(landed: bool) -> None:
    async def test(cluster: SimCluster, api: SimApi) -> None:
        doomed = SimApi(cluster, who="operator")
        doomed.on_call = lambda n: "live" if n < 2 else "after" if landed else "before"
        seen: list[str] = []

        async def operator() -> None:
            await doomed.create(JOBS, "default", a_job("j1"))
            seen.append("first")
            await doomed.create(JOBS, "default", a_job("j2"))
            seen.append("second")

        doomed.process.start(operator())
        await asyncio.sleep(60)
        assert seen == ["first"]
        names = [job["metadata"]["name"] for job in (await api.list(JOBS, None)).items]
        assert names == (["j1", "j2"] if landed else ["j1"])

    in_a_cluster(test)


def test_the_same_seed_gives_the_same_trace() -> None:
    async def test(cluster: SimCluster, api: SimApi) -> str:
        for name in ("j1", "j2"):
            await api.create(JOBS, "default", a_job(name, seconds=1))
        await asyncio.sleep(10)
        return cluster.digest()

    assert in_a_cluster(test) == in_a_cluster(test)
