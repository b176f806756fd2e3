"""(b) Executions of Pass states through the operator on a real API server."""

import asyncio
import re
from collections import Counter

import aiohttp

from benchmarks.engine import INPUT_BYTES, STATES, chain, input_of
from benchmarks.operators import client, operator, until
from treadle.kube.api import Api
from treadle.kube.kinds import EXECUTIONS, GROUP, STATE_MACHINES, VERSION, Kind
from treadle.runtime.ports import Conflict, Missing

COUNT = 1_000
CREATES_AT_ONCE = 16
NAMESPACES = Kind("", "v1", "namespaces", "Namespace")
ETCD_METRICS = "http://127.0.0.1:22379/metrics"
WAIT_SECONDS = 300.0


async def rows() -> list[tuple[str, str]]:
    """(b)."""
    async with client() as api, operator() as running, Scratch(api, "bench-executions") as space:
        await space.machine("chain", chain(STATES))
        before, cpu, etcd = await running.metrics(), running.cpu_seconds(), await etcd_bytes()
        seconds = await _run_all(api, space.name)
        requests = requests_between(before, await running.metrics())
        writes = sum(
            n for name, n in requests.items() if not name.startswith(("get", "list", "watch"))
        )
        return [
            ("(b) executions per second", f"{COUNT / seconds:.1f}"),
            ("(b) operator's writes per execution", f"{writes / COUNT:.2f}"),
            ("(b) operator's requests", ", ".join(f"{k} {v:.0f}" for k, v in requests.items())),
            ("(b) operator's CPU ms per execution", _per(running.cpu_seconds() - cpu)),
            ("(b) bytes put to etcd per execution", f"{(await etcd_bytes() - etcd) / COUNT:,.0f}"),
            ("(b) operator's resident MiB at the end", f"{running.rss_mib():.0f}"),
        ]


def _per(cpu_seconds: float) -> str:
    return f"{cpu_seconds * 1000 / COUNT:.2f}"


async def _run_all(api: Api, namespace: str) -> float:
    loop = asyncio.get_running_loop()
    listing = await api.list(EXECUTIONS, namespace)
    over = asyncio.create_task(wait_for_ends(api, namespace, COUNT, listing.version))
    began_at = loop.time()
    slots = asyncio.Semaphore(CREATES_AT_ONCE)

    async def create(number: int) -> None:
        async with slots:
            await api.create(
                EXECUTIONS, namespace, execution(f"e{number}", "chain", input_of(INPUT_BYTES))
            )

    await asyncio.gather(*(create(number) for number in range(COUNT)))
    phases = await over
    assert phases == {"Succeeded": COUNT}, phases
    return loop.time() - began_at


def execution(name: str, machine: str, given: object) -> dict[str, object]:
    """An Execution."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": EXECUTIONS.name,
        "metadata": {"name": name},
        "spec": {"stateMachineRef": {"name": machine}, "input": given},
    }


async def wait_for_ends(api: Api, namespace: str, count: int, version: str) -> Counter[str]:
    """Wait until so many executions have ended; gives how many in each phase."""
    ended: dict[str, str] = {}
    async with asyncio.timeout(WAIT_SECONDS * max(1, count // 300)):
        async for change in api.watch(EXECUTIONS, namespace, version):
            status = change.object.get("status") or {}
            if change.type != "BOOKMARK" and "completionTime" in status:
                ended[change.object["metadata"]["name"]] = status["phase"]
                if len(ended) == count:
                    break
    return Counter(ended.values())


def requests_between(before: Counter[str], after: Counter[str]) -> Counter[str]:
    """An operator's requests to the API server, by verb and resource."""
    found: Counter[str] = Counter()
    for name, value in after.items():
        if name.startswith("treadle_api_requests_total"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', name))
            gained = value - before[name]
            if gained and labels["resource"] != "leases":
                found[f"{labels['verb']} {labels['resource']}"] += gained
    return found


async def etcd_bytes() -> float:
    """Bytes put to etcd so far; 0 where its metrics cannot be read."""
    try:
        async with aiohttp.ClientSession() as session, session.get(ETCD_METRICS) as answer:
            text = await answer.text()
    except aiohttp.ClientError:
        return 0.0
    found = re.search(r"^etcd_debugging_mvcc_total_put_size_in_bytes (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


class Scratch:
    """A namespace for one measurement."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self.name = name

    async def __aenter__(self) -> "Scratch":
        await delete_namespace(self._api, self.name)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        await self._api.create(NAMESPACES, None, namespace)
        return self

    async def __aexit__(self, *_: object) -> None:
        await delete_namespace(self._api, self.name)

    async def machine(self, name: str, definition: object) -> None:
        """Create a StateMachine and wait until it is judged."""
        manifest = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": STATE_MACHINES.name,
            "metadata": {"name": name},
            "spec": {"definition": definition},
        }
        await self._api.create(STATE_MACHINES, self.name, manifest)

        async def judged() -> bool:
            obj = await self._api.get(STATE_MACHINES, self.name, name)
            return bool((obj.get("status") or {}).get("revision"))

        await until(judged, WAIT_SECONDS)


async def delete_namespace(api: Api, name: str) -> None:
    """Delete a namespace and wait until it is gone."""

    async def gone() -> bool:
        try:
            found = await api.get(NAMESPACES, None, name)
            if "deletionTimestamp" not in found["metadata"]:
                await api.delete(NAMESPACES, None, name)
        except Missing:
            return True
        except Conflict:
            pass  # it is being deleted already
        return False

    await until(gone, WAIT_SECONDS)
