"""(c) A chain of Jobs on a real kubelet; (d) a Map beside bare Jobs; (e) status writes per Task."""

import asyncio
import itertools
import statistics
from collections import Counter

from benchmarks.executions import Scratch, execution, requests_between, wait_for_ends
from benchmarks.operators import client, operator
from treadle.kube import names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import EXECUTIONS, JOBS, PODS

CHAIN = 10
ITEMS = 1_000
CREATES_AT_ONCE = 16


async def chain_rows() -> list[tuple[str, str]]:
    """(c) and its (e)."""
    async with client() as api, operator() as running, Scratch(api, "bench-chain") as space:
        await space.machine("chain", _chain(CHAIN))
        before = await running.metrics()
        seen = asyncio.create_task(_watch_chain(api, space.name))
        await _run_one(api, space.name, "chain", {})
        gaps = await seen
        requests = requests_between(before, await running.metrics())
        return [
            (
                f"(c) seconds from terminated to the next Job, chain of {CHAIN}: median, maximum",
                f"{statistics.median(gaps):.3f}, {max(gaps):.3f}",
            ),
            ("(e) status writes per Task in (c)", f"{_status_writes(requests) / CHAIN:.2f}"),
        ]


async def map_rows() -> list[tuple[str, str]]:
    """(d) and its (e)."""
    async with client() as api, operator() as running, Scratch(api, "bench-map") as space:
        bare = await _bare_jobs(api, space.name)
        await space.machine("fan", _fan())
        before, cpu = await running.metrics(), running.cpu_seconds()
        ours = await _run_one(api, space.name, "fan", {"items": list(range(ITEMS))})
        requests = requests_between(before, await running.metrics())
        return [
            (f"(d) seconds for {ITEMS} bare Jobs", f"{bare:.1f}"),
            (f"(d) seconds for a Map of {ITEMS} one-Job items", f"{ours:.1f}"),
            ("(d) ratio", f"{ours / bare:.2f}"),
            (
                "(d) operator's CPU ms per item",
                f"{(running.cpu_seconds() - cpu) * 1e3 / ITEMS:.2f}",
            ),
            ("(d) operator's resident MiB at the end", f"{running.rss_mib():.0f}"),
            ("(d) operator's requests", ", ".join(f"{k} {v:.0f}" for k, v in requests.items())),
            ("(e) status writes per Task in (d)", f"{_status_writes(requests) / ITEMS:.2f}"),
        ]


def _status_writes(requests: Counter[str]) -> float:
    return sum(n for name, n in requests.items() if name.endswith("executions/status"))


def _task(**more: object) -> dict[str, object]:
    parameters = {"image": "busybox:1.36", "command": ["true"]}
    return {"Type": "Task", "Resource": "treadle:job", "Parameters": parameters, **more}


def _chain(length: int) -> dict[str, object]:
    states = {f"S{n}": _task(Next=f"S{n + 1}") for n in range(length - 1)}
    return {"StartAt": "S0", "States": {**states, f"S{length - 1}": _task(End=True)}}


def _fan() -> dict[str, object]:
    processor = {"StartAt": "One", "States": {"One": _task(End=True)}}
    fan = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    return {"StartAt": "Fan", "States": {"Fan": fan}}


async def _run_one(api: Api, namespace: str, machine: str, given: object) -> float:
    loop = asyncio.get_running_loop()
    version = (await api.list(EXECUTIONS, namespace)).version
    began_at = loop.time()
    await api.create(EXECUTIONS, namespace, execution("run", machine, given))
    phases = await wait_for_ends(api, namespace, 1, version)
    assert phases == {"Succeeded": 1}, phases
    return loop.time() - began_at


async def _watch_chain(api: Api, namespace: str) -> list[float]:
    """Seconds between a Pod's container seen terminated and the next Job seen added."""
    loop = asyncio.get_running_loop()
    ended: dict[str, float] = {}
    added: list[tuple[str, float]] = []

    async def pods() -> None:
        version = (await api.list(PODS, namespace)).version
        async for change in api.watch(PODS, namespace, version):
            name = (change.object["metadata"].get("labels") or {}).get(names.ATTEMPT_NAME)
            if name and name not in ended and _terminated(change.object):
                ended[name] = loop.time()

    async def jobs() -> None:
        version = (await api.list(JOBS, namespace)).version
        async for change in api.watch(JOBS, namespace, version):
            if change.type == "ADDED":
                added.append((change.object["metadata"]["name"], loop.time()))
                if len(added) == CHAIN:
                    return

    watching = asyncio.create_task(pods())
    await jobs()
    watching.cancel()
    pairs = itertools.pairwise(added)
    return [later - ended[name] for (name, _), (_, later) in pairs]


def _terminated(pod: Obj) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any("terminated" in (status.get("state") or {}) for status in statuses)


async def _bare_jobs(api: Api, namespace: str) -> float:
    """The same Jobs without us: create them all, wait until all are Complete."""
    loop = asyncio.get_running_loop()
    version = (await api.list(JOBS, namespace)).version
    began_at = loop.time()
    slots = asyncio.Semaphore(CREATES_AT_ONCE)

    async def create(number: int) -> None:
        async with slots:
            await api.create(JOBS, namespace, _bare_job(number))

    await asyncio.gather(*(create(number) for number in range(ITEMS)))
    complete = set()
    async for change in api.watch(JOBS, namespace, version):
        if (change.object.get("status") or {}).get("succeeded"):
            complete.add(change.object["metadata"]["name"])
            if len(complete) == ITEMS:
                break
    return loop.time() - began_at


def _bare_job(number: int) -> Obj:
    container = {"name": "main", "image": "busybox:1.36", "command": ["true"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"bare-{number}"},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }
