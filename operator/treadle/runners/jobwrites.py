"""What is written to Jobs, Pods and Secrets of attempts; see `writes`."""

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from treadle.kube import names
from treadle.kube.api import Obj, Objects
from treadle.kube.kinds import JOBS, PODS, SECRETS
from treadle.kube.manifests import INPUT_SECRET
from treadle.runners import podfacts
from treadle.runners.observed import is_held
from treadle.runners.writes import Writes
from treadle.runtime.ports import AlreadyExists, Conflict, Leadership, Missing, Refused, Unavailable

_FREE_TRIES = 3


class Leading(Leadership, Protocol):
    """The Lease, as far as writers need it."""

    def create_before(self) -> datetime | None:
        """The Lease's end in the API server's time; None where there is no Lease."""


class JobWrites(Writes):
    """See `Writes`."""

    def __init__(self, api: Objects, leading: Leading, writes_max: int) -> None:
        super().__init__(api, leading, writes_max)
        self._lease = leading

    def create_before(self) -> datetime | None:
        """See `Leading`."""
        return self._lease.create_before()

    async def create(self, job: Obj) -> Obj:
        """POST a Job. Raises: AlreadyExists, Refused, Missing, Fault."""
        return await self._create(JOBS, job)

    async def create_secret(self, secret: Obj) -> None:
        """POST a Secret; one that is there is this attempt's. Raises: Refused, Missing, Fault."""
        with suppress(AlreadyExists):
            await self._create(SECRETS, secret)

    async def delete_secret(self, namespace: str, name: str) -> None:
        """DELETE a Secret, where there is one."""
        async with self._turn():
            try:
                await self._api.delete(SECRETS, namespace, name)
            except Missing:
                return

    async def stop(self, job: Obj) -> None:
        """See to it that a Job never makes a Pod again. It is not deleted: its name stays taken."""
        await self._add(JOBS, job, "/spec/activeDeadlineSeconds", 0)

    async def delete_job(self, job: Obj) -> None:
        """Remove a tombstone, with its Pods in the background, and the Secret of its input."""
        await self._delete(JOBS, job)
        # One that only takes a name does not know whether a Secret was made before it.
        if podfacts.annotation(job, INPUT_SECRET) or podfacts.is_suspended(job):
            await self.delete_secret(job["metadata"]["namespace"], job["metadata"]["name"])

    async def delete_pod(self, pod: Obj) -> None:
        """Stop a Pod whose Job is gone."""
        await self._delete(PODS, pod)

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
