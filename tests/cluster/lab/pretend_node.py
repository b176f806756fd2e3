"""A Node without containers: one process reports Pods as running and ended, as scripts say.

The one rule: it is a kubelet to the API server, with a kubelet's rights and a kubelet's order
of writes (running, ended, then gone), and knows nothing about the product.

Run as `python -m tests.cluster.lab.pretend_node`; the other functions start and stop that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import ssl
import sys
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from tests.cluster.lab import api, pki, places, processes
from tests.cluster.lab import pretend_script as script
from tests.cluster.lab.pretend_script import Obj, Script

_PROCESS = "pretend-node"
_WRITES_AT_ONCE = 50
_HEARTBEAT_SECONDS = 10
_PATCH = "application/strategic-merge-patch+json"
_GONE = 410


def up() -> None:
    """Start the pretend node and wait until it is Ready."""
    processes.start(_PROCESS, [sys.executable, "-m", "tests.cluster.lab.pretend_node"])
    processes.wait_until(_ready, "the pretend node to be Ready")


def down() -> None:
    """Stop it; its Node object stays."""
    processes.stop(_PROCESS)


def leave() -> None:
    """Stop it and take its Node and Pods out of the cluster."""
    down()
    api.remove_node(places.PRETEND)


def _ready() -> bool:
    processes.check_alive(_PROCESS)
    return api.node_ready(places.PRETEND)


class RefusedError(Exception):
    """The API server has answered, and not with a success."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{status}: {answer[:500]}")
        self.status = status


class Server:
    """The API server, seen by one node. At most so many writes are under way at once."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._writes = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def call(
        self, method: str, path: str, body: Obj | None = None, kind: str = "application/json"
    ) -> Any:
        """One call; tried again for as long as the server is away or overloaded."""
        data = None if body is None else orjson.dumps(body)
        delay_seconds = 0.1
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                status, answer = await self._once(method, path, data, kind)
                if status < 300:
                    return orjson.loads(answer)
                if status not in (429, 500, 502, 503, 504):
                    raise RefusedError(status, answer.decode(errors="replace"))
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(delay_seconds * 2, 5)

    async def _once(
        self, method: str, path: str, data: bytes | None, kind: str
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": kind}
        async with (
            self._writes,
            self._session.request(method, places.API + path, data=data, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def watch(self, path: str) -> Any:
        """The events of a watch until the server ends it."""
        no_limit = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with self._session.get(places.API + path, timeout=no_limit) as answer:
            if answer.status != 200:
                raise RefusedError(answer.status, await answer.text())
            rest = b""
            async for chunk in answer.content.iter_any():
                # Not line by line: aiohttp bounds a line far below a Pod with its input inside.
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield orjson.loads(line)


class PretendNode:
    """Plays the pods bound to one Node, each in a task of its own."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self._plays: dict[str, Play] = {}

    async def run(self) -> None:
        """Register the node, then serve it for ever."""
        await self._register()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._beat())
            both.create_task(self._serve())

    async def _register(self) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self._name,
                "labels": {
                    places.NODE_LABEL: places.PRETEND,
                    "kubernetes.io/hostname": self._name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                },
            },
        }
        try:
            await self._server.call("POST", "/api/v1/nodes", node)
        except RefusedError as refused:
            if refused.status != 409:
                raise
        room = {"cpu": "10000", "memory": "100Ti", "pods": "5000", "ephemeral-storage": "100Ti"}
        pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
        conditions = [("Ready", "True"), *((each, "False") for each in pressures)]
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": "Pretended",
                    "lastHeartbeatTime": _now(),
                    "lastTransitionTime": _now(),
                }
                for kind, value in conditions
            ],
        }
        await self._server.call(
            "PATCH", f"/api/v1/nodes/{self._name}/status", {"status": status}, _PATCH
        )

    async def _beat(self) -> None:
        """Renew the node's Lease, which is what keeps it Ready."""
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self._name, "leaseDurationSeconds": 40},
        }
        with contextlib.suppress(RefusedError):
            await self._server.call("POST", leases, lease)
        while True:
            renewal = {"spec": {"renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
            await self._server.call("PATCH", f"{leases}/{self._name}", renewal, _PATCH)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def _serve(self) -> None:
        """List, then watch; list again whenever the watch cannot go on."""
        mine = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self._name}"
        while True:
            listed = await self._server.call("GET", mine)
            present = {pod["metadata"]["uid"] for pod in listed["items"]}
            for uid in self._plays.keys() - present:
                self._forget(uid)
            for pod in listed["items"]:
                self._seen(pod)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, RefusedError):
                await self._follow(mine, listed["metadata"]["resourceVersion"])
            await asyncio.sleep(0.1)  # a server that ends watches at once is not asked in a loop

    async def _follow(self, mine: str, version: str) -> None:
        watched = f"{mine}&watch=1&allowWatchBookmarks=true&resourceVersion="
        while True:
            async for event in self._server.watch(watched + version):
                found = event["object"]
                if event["type"] == "ERROR":
                    raise RefusedError(found.get("code", _GONE), str(found))
                version = found["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._forget(found["metadata"]["uid"])
                elif event["type"] != "BOOKMARK":
                    self._seen(found)

    def _seen(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        play = self._plays.get(uid)
        if play is None:
            play = self._plays[uid] = Play(self._server, pod)
        if pod["metadata"].get("deletionTimestamp"):
            play.stop()

    def _forget(self, uid: str) -> None:
        play = self._plays.pop(uid, None)
        if play is not None:
            play.task.cancel()


class Play:
    """One Pod from its binding to its end."""

    def __init__(self, server: Server, pod: Obj) -> None:
        self._server = server
        self._pod = pod
        meta = pod["metadata"]
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._plan: dict[str, Script] = script.scripts(pod)
        self._started: str | None = None
        self._ended: set[str] = set()
        self._reported: set[str] = set()
        self._stopping = False
        over = pod["status"].get("phase") in ("Succeeded", "Failed")
        if over:
            self._ended = self._reported = set(self._plan)
        self.task = asyncio.create_task(_nothing() if over else self._run())

    def stop(self) -> None:
        """End what still runs by SIGTERM, then let the Pod go; more than once is once."""
        if not self._stopping:
            self._stopping = True
            self.task.cancel()
            self.task = asyncio.create_task(self._stop())

    async def _run(self) -> None:
        with contextlib.suppress(RefusedError):  # it is gone, and its deletion will be seen
            if any(each.waiting for each in self._plan.values()):
                await self._write(script.waiting_status(self._pod, self._plan, _now()))
                await asyncio.sleep(_bounded(max(each.seconds for each in self._plan.values())))
                self._plan = {
                    name: each if each.waiting is None else _at_once(each)
                    for name, each in self._plan.items()
                }
            self._started = _now()
            await self._write_progress()
            passed = 0.0
            for seconds in sorted({each.seconds for each in self._plan.values()}):
                await asyncio.sleep(_bounded(seconds - passed))
                passed = seconds
                self._ended |= {n for n, each in self._plan.items() if each.seconds == seconds}
                await self._write_progress()

    async def _stop(self) -> None:
        with contextlib.suppress(RefusedError):
            if self._started is None and not self._ended:
                await self._write(script.never_started(self._pod, self._plan, _now()))
            elif self._reported != self._plan.keys():
                self._plan = script.stopped(self._plan, self._ended)
                self._ended = set(self._plan)
                await self._write_progress()
        with contextlib.suppress(RefusedError):
            uid = {"uid": self._pod["metadata"]["uid"]}
            await self._server.call(
                "DELETE", self._path, {"gracePeriodSeconds": 0, "preconditions": uid}
            )

    async def _write_progress(self) -> None:
        started = self._started or _now()
        ended = set(self._ended)
        await self._write(script.status(self._pod, self._plan, ended, started, _now()))
        self._reported = ended

    async def _write(self, status: Obj) -> None:
        # The uid makes a namesake that came after this Pod refuse the patch.
        patch = {"metadata": {"uid": self._pod["metadata"]["uid"]}, "status": status}
        await self._server.call("PATCH", f"{self._path}/status", patch, _PATCH)


def _at_once(waited: Script) -> Script:
    return Script(exit_code=waited.exit_code, message=waited.message, reason=waited.reason)


def _bounded(seconds: float) -> float:
    """`asyncio.sleep` takes no infinity on every loop."""
    return 10 * 365 * 86400 if math.isinf(seconds) else seconds


async def _nothing() -> None:
    """The play of a Pod that was over before we came."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _main() -> None:
    config = json.loads(pki.kubeconfig(places.PRETEND).read_bytes())
    context = ssl.create_default_context(cafile=str(pki.CA))
    token = config["users"][0]["user"]["token"]
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=context, limit=0),
        timeout=aiohttp.ClientTimeout(total=30),
    ) as session:
        await PretendNode(Server(session), places.PRETEND).run()


if __name__ == "__main__":
    asyncio.run(_main())
