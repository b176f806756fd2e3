"""What is written to Jobs, Pods and Secrets of attempts.

One rule: nothing is written unless the Lease is fresh at that moment, and only so much at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

from treadle.kube import names
from treadle.kube.api import Api, Obj
from treadle.kube.kinds import JOBS, PODS, SECRETS
from treadle.kube.manifests import INPUT_SECRET
from treadle.runners import podfacts
from treadle.runners.observed import is_held
from treadle.runtime.ports import AlreadyExists, Conflict, Missing, NotLeading, Refused, Unavailable

_log = logging.getLogger(__name__)

_FREE_TRIES = 3


class Leading(Protocol):
    """The Lease, as far as writers need it."""

    def fresh(self) -> bool:
        """By our own monotonic clock, counted from when the renewal was sent."""

    def create_before(self) -> datetime | None:
        """The Lease's end in the API server's time; None where there is no Lease."""


class JobWrites:
    """Writes, each of which changes nothing when it is made again."""

    def __init__(self, api: Api, leading: Leading, writes_max: int) -> None:
        self._api = api
        self._leading = leading
        self._slots = asyncio.Semaphore(writes_max)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._slots:
            # After the wait for a slot: the Lease may have ended meanwhile.
            if not self._leading.fresh():
                raise NotLeading("the Lease is not fresh")
            yield

    def create_before(self) -> datetime | None:
        """See `Leading`."""
        return self._leading.create_before()

    async def create(self, job: Obj) -> Obj:
        """POST a Job. Raises: AlreadyExists, Refused, Missing, Fault."""
        async with self._turn():
            return await self._api.create(JOBS, job["metadata"]["namespace"], job)

    async def create_secret(self, secret: Obj) -> None:
        """POST a Secret; one that is there is this attempt's. Raises: Refused, Missing, Fault."""
        async with self._turn():
            try:
                await self._api.create(SECRETS, secret["metadata"]["namespace"], secret)
            except AlreadyExists:
                return

    async def delete_secret(self, namespace: str, name: str) -> None:
        """DELETE a Secret, where there is one."""
        async with self._turn():
            try:
                await self._api.delete(SECRETS, namespace, name)
            except Missing:
                return

    async def stop(self, job: Obj) -> None:
        """See to it that a Job never makes a Pod again. It is not deleted: its name stays taken."""
        metadata = job["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 0},
        ]
        async with self._turn():
            try:
                await self._api.patch(
                    JOBS, metadata["namespace"], metadata["name"], patch, form="json"
                )
            except (Missing, Conflict):
                return  # it is gone; what took its name is not ours to stop

    async def delete_job(self, job: Obj) -> None:
        """Remove a tombstone, with its Pods in the background, and the Secret of its input."""
        metadata = job["metadata"]
        async with self._turn():
            try:
                await self._api.delete(
                    JOBS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            except (Missing, Conflict):
                return
        # One that only takes a name does not know whether a Secret was made before it.
        if podfacts.annotation(job, INPUT_SECRET) or podfacts.is_suspended(job):
            await self.delete_secret(metadata["namespace"], metadata["name"])

    async def delete_pod(self, pod: Obj) -> None:
        """Stop a Pod whose Job is gone."""
        metadata = pod["metadata"]
        async with self._turn():
            try:
                await self._api.delete(
                    PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            except (Missing, Conflict):
                return

    async def free(self, pod: Obj) -> None:
        """Take our finalizer off a Pod, leaving those of others, whoever else changes them."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        uid = podfacts.uid(pod)
        for _ in range(_FREE_TRIES):
            if podfacts.uid(pod) != uid or not is_held(pod):
                return
            index = pod["metadata"]["finalizers"].index(names.RESULT_FINALIZER)
            path = f"/metadata/finalizers/{index}"
            patch = [
                {"op": "test", "path": "/metadata/uid", "value": uid},
                {"op": "test", "path": path, "value": names.RESULT_FINALIZER},
                {"op": "remove", "path": path},
            ]
            try:
                async with self._turn():
                    await self._api.patch(PODS, namespace, name, patch, form="json")
                return
            except Missing:
                return
            except (Conflict, Refused) as why:
                if isinstance(why, Refused) and why.status != 422:
                    raise
            try:
                pod = await self._api.get(PODS, namespace, name)
            except Missing:
                return
        raise Unavailable(f"the finalizers of Pod {name} change too fast")
