"""Letting go of Pods whose operator will not come back; `treadle free-pods`.

One rule: our finalizer alone is taken away; without that of the Job controller, work that is done
would not count.
"""

import asyncio
from collections.abc import Sequence

from treadle.app.settings import Settings
from treadle.kube import credentials
from treadle.kube.api import Api, Obj
from treadle.kube.client import Client
from treadle.kube.kinds import PODS
from treadle.kube.lease import NoLease
from treadle.runners.jobwrites import JobWrites
from treadle.runners.observed import SELECTOR, is_held
from treadle.runtime.ports import Unavailable

WRITES_MAX = 16
PASSES_MAX = 10
PASS_SECONDS = 2.0


def run(settings: Settings) -> int:
    """Free all held Pods of the settings' namespaces, of every one if it has none.

    Returns:
        How many were freed.

    Raises:
        ValueError: the credentials cannot be used.
        Fault: the API server refuses, or is away.
    """
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    endpoint = credentials.load(settings.kubeconfig, settings.context, settings.environment)
    async with Client(endpoint) as api:
        return await free_pods(api, settings.namespaces or (None,))


async def free_pods(api: Api, namespaces: Sequence[str | None]) -> int:
    """Free held Pods until a list shows none: Jobs that were just made have theirs a moment later.

    Returns:
        How many were freed.

    Raises:
        Unavailable: there are still some.
        Fault: the API server refuses, or is away.
    """
    writes = JobWrites(api, NoLease(), WRITES_MAX)
    freed = 0
    for number in range(PASSES_MAX):
        if number:
            await asyncio.sleep(PASS_SECONDS)
        held = await _held(api, namespaces)
        if not held and number:
            return freed
        await asyncio.gather(*(writes.free(pod) for pod in held))
        freed += len(held)
    raise Unavailable("Pods are made faster than they are freed: is there still an operator?")


async def _held(api: Api, namespaces: Sequence[str | None]) -> list[Obj]:
    found: list[Obj] = []
    for namespace in namespaces:
        listing = await api.list(PODS, namespace, labels=SELECTOR)
        found += [pod for pod in listing.items if is_held(pod)]
    return found
