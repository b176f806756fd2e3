"""The stand-in for Kopf is no better than Kopf."""

import asyncio
from typing import Any

from treadle.kube.kinds import EXECUTIONS
from treadle.sim import clock, watching
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster


def told_of(*, gap: bool) -> list[tuple[str | None, str]]:
    told: list[tuple[str | None, str]] = []

    async def world() -> None:
        cluster = SimCluster(1)
        api = SimApi(cluster)
        for name in ("a", "b"):
            cluster.objects.create(EXECUTIONS, "default", {"metadata": {"name": name}, "spec": {}})

        def tell(kind: str | None, obj: Any) -> None:
            told.append((kind, obj["metadata"]["name"]))

        task = asyncio.ensure_future(watching.watch(api, EXECUTIONS, tell))
        await asyncio.sleep(1)
        if gap:  # the stream ends, and what happened meanwhile is forgotten
            for stream in api._streams:
                stream._end()
        cluster.objects.delete(EXECUTIONS, "default", "a")
        if gap:
            cluster.objects.compact()
            cluster.objects.create(EXECUTIONS, "default", {"metadata": {"name": "c"}, "spec": {}})
        await asyncio.sleep(400)
        task.cancel()

    clock.run(world())
    return told


def test_what_a_watch_shows_is_told() -> None:
    assert told_of(gap=False) == [(None, "a"), (None, "b"), ("DELETED", "a")]


def test_a_deletion_in_a_gap_is_not() -> None:
    told = told_of(gap=True)
    assert ("DELETED", "a") not in told
    assert told[:2] == [(None, "a"), (None, "b")]
    assert {name for kind, name in told[2:] if kind is None} == {"b", "c"}
