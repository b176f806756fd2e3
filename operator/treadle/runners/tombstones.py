"""What is left of attempts whose end is saved: held Pods, running Jobs, and names that stay taken.

One rule: a finished Job is a tombstone; a create that arrives late meets it, not a free name.
"""

import asyncio

from treadle.kube.api import Api, Obj
from treadle.kube.kinds import JOBS
from treadle.runners import podfacts
from treadle.runners.jobwrites import JobWrites
from treadle.runners.observed import Observed, Watch, is_held, is_of, job_name
from treadle.runtime.ports import Attempt, Missing


class Tombstones:
    """Clears attempts away, in their time."""

    def __init__(
        self,
        api: Api,
        observed: Observed,
        writes: JobWrites,
        tombstone_seconds: float,
        linger_seconds: float,
    ) -> None:
        self._api = api
        self._observed = observed
        self._writes = writes
        self._tombstone_seconds = tombstone_seconds
        self._linger_seconds = linger_seconds

    async def stop(self, attempt: Attempt) -> None:
        """Stop what runs: the Job by its deadline, Pods that a deleted Job left by deletion."""
        job = self._observed.job(attempt)
        if job is not None:
            stopped = podfacts.has_ended(job) or podfacts.is_stopped(job)
            if is_of(job, attempt) and not stopped:
                await self._writes.stop(job)
            return
        left = [pod for pod in self._observed.pods_of(attempt) if _runs(pod)]
        if left and await self._is_gone(attempt):
            for pod in left:
                await self._writes.delete_pod(pod)

    async def settle(self, attempt: Attempt, watch: Watch) -> float | None:
        """Do what is due for an attempt whose end is saved.

        Returns:
            Seconds after which more will be due; None where nothing will.
        """
        assert watch.over_at is not None
        for pod in self._observed.pods_of(attempt):
            uid = podfacts.uid(pod)
            if is_held(pod) and uid not in watch.freed:
                await self._writes.free(pod)
                watch.freed.add(uid)  # the cache takes a moment to show it
        job = self._observed.job(attempt)
        if job is None:
            await self.stop(attempt)
            return None
        if not is_of(job, attempt) or podfacts.is_deleting(job):
            return None
        if podfacts.has_ended(job):
            return await self._rest(job, watch)
        return await self._linger(job, watch)

    async def _rest(self, job: Obj, watch: Watch) -> float | None:
        now = asyncio.get_running_loop().time()
        if watch.rests_from is None:
            watch.rests_from = now
        left = watch.rests_from + self._tombstone_seconds - now
        if left > 0:
            return left
        await self._writes.delete_job(job)
        return None

    async def _linger(self, job: Obj, watch: Watch) -> float | None:
        """A Job whose result is saved is left to end; one of nobody is not."""
        assert watch.over_at is not None
        watch.rests_from = None
        if podfacts.is_stopped(job):
            return None  # the Job controller is at it
        left = watch.over_at + self._linger_seconds - asyncio.get_running_loop().time()
        if left > 0 and not watch.gone:
            return left
        await self._writes.stop(job)
        return None

    async def _is_gone(self, attempt: Attempt) -> bool:
        try:
            job = await self._api.get(JOBS, attempt.execution.namespace, job_name(attempt))
        except Missing:
            return True
        return not is_of(job, attempt)


def _runs(pod: Obj) -> bool:
    ended = podfacts.terminated(pod) is not None or podfacts.phase(pod) in podfacts.TERMINAL_PHASES
    return not ended and not podfacts.is_deleting(pod)
