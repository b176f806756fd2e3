"""A stage: a namespace of its own, an operator behind a proxy that serves it, and eyes on it.

The one rule: all that is asked of the cluster here goes past the proxy, so that the proxy's notes
are the operator's alone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.lab import places
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import API_VERSION, TERMINAL
from tests.cluster.torture import frames
from tests.cluster.torture.mix import Mix, Plan
from tests.cluster.torture.proxy import Proxy
from treadle.engine.snapshot import Unreadable
from treadle.kube import credentials, names
from treadle.kube.client import Client
from treadle.kube.informer import Informer
from treadle.kube.kinds import EXECUTIONS, JOBS, PAGES, PODS, STATE_MACHINES, Kind
from treadle.runtime.ports import AlreadyExists, Fault, Missing, UnreadableSnapshot
from treadle.stores import histories

Obj = dict[str, Any]

NAMESPACES = Kind("", "v1", "namespaces", "Namespace")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount")
REQUESTS_AT_ONCE = 16
FOLDER = places.STATE / "torture"


@dataclass(frozen=True)
class Result:
    """What became of an execution, as far as two runs can be compared."""

    status: Obj
    frames: dict[str, list[frames.Step]]


@dataclass
class Operator:
    """An operator process behind a proxy of its own."""

    process: OperatorProcess
    proxy: Proxy
    name: str
    starts: int = 0

    def start(self) -> None:
        """Start it, and do not wait."""
        self.starts += 1
        self.proxy.sender = f"{self.name} {self.starts}"
        self.process.start(wait=False)


@dataclass
class Stage:
    """See the module. Make one with `stage`."""

    namespace: str
    api: Client
    executions: Informer
    pods: Informer
    operators: dict[str, Operator] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)

    # ------------------------------------------------------------------------------ what is put on

    async def operator(self, name: str, *flags: str, **variables: str) -> Operator:
        """Add an operator, not started; its proxy is closed with the stage."""
        endpoint = credentials.load(str(kubeconfig()), None, os.environ)
        proxy = Proxy(endpoint, FOLDER / f"{self.namespace}-{name}.kubeconfig")
        await proxy.__aenter__()
        process = OperatorProcess(
            proxy.kubeconfig,
            places.LOGS / f"{self.namespace}-{name}.log",
            namespaces=[self.namespace],
            flags=flags,
            # The same in both runs, for it is part of what executions can see.
            account="123456789012",
            http_allow_loopback="true",
            log_format="text",
            **{"identity": name, **variables},
        )
        self.operators[name] = Operator(process, proxy, name)
        return self.operators[name]

    async def install(self, mix: Mix) -> None:
        """Create every machine of the mix."""
        objs = [
            {**_head("StateMachine", name), "spec": {"definition": definition}}
            for name, definition in mix.machines.items()
        ]
        await in_parallel(self.api.create(STATE_MACHINES, self.namespace, obj) for obj in objs)

    async def submit(self, plan: Plan) -> None:
        """Create an execution."""
        self.plans.append(plan)
        spec = {
            "stateMachineRef": {"name": plan.machine},
            "input": plan.input,
            # The operator may not have judged the machine when it is killed for the first time.
            "startDeadlineSeconds": 600,
        }
        obj = {**_head("Execution", plan.name), "spec": spec}
        await until_done(lambda: self.api.create(EXECUTIONS, self.namespace, obj))

    # ------------------------------------------------------------------------------ what is seen

    def over(self) -> int:
        """How many executions have ended."""
        return sum(phase_of(obj) in TERMINAL for obj in self.executions.items())

    def unfinished(self) -> int:
        """How many were created and have not ended."""
        return len(self.plans) - self.over()

    async def all_over(self, seconds: float) -> list[str]:
        """Wait until all have ended; gives the names of those that had not in time."""
        await comes(lambda: not self.unfinished(), seconds)
        ended = {
            obj["metadata"]["name"] for obj in self.executions.items() if phase_of(obj) in TERMINAL
        }
        return sorted({plan.name for plan in self.plans} - ended)

    async def results(self) -> dict[str, Result]:
        """What became of every execution."""
        listed = (await self.api.list(EXECUTIONS, self.namespace)).items
        found = await in_parallel(self._result(obj) for obj in listed)
        return {obj["metadata"]["name"]: result for obj, result in zip(listed, found, strict=True)}

    async def _result(self, obj: Obj) -> Result:
        status = obj.get("status") or {}
        shown = {k: status[k] for k in ("phase", "error", "cause", "output") if k in status}
        shown["progress"] = (status.get("progress") or {}).get("text")
        if "outputRef" in status:
            # A page's name says whose it is; its digest says what is in it.
            page = await self.api.get(PAGES, self.namespace, status["outputRef"]["page"])
            shown["output"] = f"page {page['spec']['digest']}"
        try:
            entries = await histories.read(self.api, obj)
            found = frames.frames_of(entries)
        except (Unreadable, UnreadableSnapshot, ValueError) as why:
            return Result(shown, {"": [("unreadable", str(why))]})
        return Result(shown, {path: frame.steps for path, frame in found.items()})

    async def left_running(self) -> list[str]:
        """Jobs that have not ended and Pods that run or are held."""
        left = []
        for job in (await self.api.list(JOBS, self.namespace)).items:
            conditions = (job.get("status") or {}).get("conditions") or []
            ended = any(c["type"] in ("Complete", "Failed") for c in conditions)
            if not ended and not job["spec"].get("suspend"):
                left.append(f"Job {job['metadata']['name']} has not ended")
        for pod in (await self.api.list(PODS, self.namespace)).items:
            name, phase = pod["metadata"]["name"], pod["status"].get("phase")
            if phase not in ("Succeeded", "Failed"):
                left.append(f"Pod {name} is {phase}")
            if names.RESULT_FINALIZER in (pod["metadata"].get("finalizers") or ()):
                left.append(f"Pod {name} is held")
        return left

    # -------------------------------------------------------------------------------- the end

    async def close(self) -> None:
        """End the operators and have the namespace removed."""
        for operator in self.operators.values():
            if operator.process.running:
                operator.process.kill()
            await operator.proxy.__aexit__()
        pods = (await self.api.list(PODS, self.namespace)).items
        free = {"metadata": {"finalizers": None}}
        await in_parallel(self._free(pod["metadata"]["name"], free) for pod in pods)
        await self.api.delete(NAMESPACES, None, self.namespace)

    async def _free(self, pod: str, patch: Obj) -> None:
        try:
            await self.api.patch(PODS, self.namespace, pod, patch)
        except Missing:
            return


@asynccontextmanager
async def stage(prefix: str) -> AsyncIterator[Stage]:
    """A stage in a fresh namespace."""
    endpoint = credentials.load(str(kubeconfig()), None, os.environ)
    name = f"{prefix}-{secrets.token_hex(3)}"
    async with Client(endpoint) as api:
        await api.create(NAMESPACES, None, _head("Namespace", name, "v1"))
        made = Stage(name, api, Informer(api, EXECUTIONS, (name,)), Informer(api, PODS, (name,)))
        # Pods are refused until the controller manager has made it.
        await until_done(lambda: api.get(SERVICE_ACCOUNTS, name, "default"))
        watches = [asyncio.create_task(view.run()) for view in (made.executions, made.pods)]
        try:
            await asyncio.gather(made.executions.synced.wait(), made.pods.synced.wait())
            yield made
        finally:
            for watch in watches:
                watch.cancel()
            await made.close()


def kubeconfig() -> Path:
    """Of the cluster that KUBECONFIG names, else the lab's."""
    named = os.environ.get("KUBECONFIG")
    return Path(named) if named else places.KUBECONFIG


def phase_of(execution: Obj) -> str:
    """Its phase; empty before the first save."""
    return str((execution.get("status") or {}).get("phase", ""))


def _head(kind: str, name: str, version: str = API_VERSION) -> Obj:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


async def in_parallel(works: Iterable[Awaitable[Any]]) -> list[Any]:
    """Do many things, some at once; gives what each gave."""
    slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def one(work: Awaitable[Any]) -> Any:
        async with slots:
            return await work

    return list(await asyncio.gather(*map(one, works)))


async def comes(probe: Callable[[], bool], seconds: float) -> bool:
    """Wait until the probe says yes; gives whether it did in time."""
    deadline = time.monotonic() + seconds
    while True:
        if (there := probe()) or time.monotonic() > deadline:
            return there
        await asyncio.sleep(0.1)


async def until_done(act: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """Do it, again where the API server is away or what is needed is not there yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await act()
        except AlreadyExists:
            return None
        except Fault:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)
