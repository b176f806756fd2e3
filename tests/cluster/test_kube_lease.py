"""Two operators want to act on a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.lab.namespaces import Namespace
from treadle.kube import credentials, lease
from treadle.kube.client import Client
from treadle.kube.kinds import LEASES
from treadle.kube.lease import Lease, LeaseLost

pytestmark = pytest.mark.cluster

DURATION = 2.0


@pytest.fixture
async def api(kubeconfig: Path) -> AsyncIterator[Client]:
    async with Client(credentials.load(str(kubeconfig), None, {})) as opened:
        yield opened


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"RENEW": 0.4, "POLL": 0.2, "ANSWER": 0.4, "MARGIN": 0.5, "SLACK": 1.0}
    for name, seconds in quick.items():
        monkeypatch.setattr(lease, f"{name}_SECONDS", seconds)


@pytest.mark.usefixtures("_quick")
async def test_one_takes_over_when_the_other_stops_renewing(
    api: Client, namespace: Namespace
) -> None:
    loop = asyncio.get_running_loop()
    one, two = (
        Lease(api, namespace.name, "treadle", holder, duration_seconds=DURATION)
        for holder in ("one", "two")
    )
    await one.acquire()
    keeping = asyncio.create_task(one.keep())
    waiting = asyncio.create_task(two.acquire())
    await asyncio.wait({waiting}, timeout=2 * DURATION)
    assert one.fresh()
    assert not waiting.done()
    keeping.cancel()
    before = one.create_before()
    async with asyncio.timeout(30):
        while not waiting.done():
            assert not (one.fresh() and two.fresh())
            await asyncio.wait({waiting}, timeout=0.05)
    assert two.fresh()
    assert not one.fresh()
    assert before is not None
    assert before <= api.now()
    stored = await api.get(LEASES, namespace.name, "treadle")
    assert stored["spec"]["holderIdentity"] == "two"
    assert stored["spec"]["leaseTransitions"] == 2
    with pytest.raises(LeaseLost):
        await one.keep()
    began_at = loop.time()
    await two.release()
    await one.acquire()
    assert loop.time() - began_at < DURATION
    assert one.fresh()
    assert not two.fresh()


async def test_the_first_makes_it_and_the_second_finds_it(
    api: Client, namespace: Namespace
) -> None:
    leases = [Lease(api, namespace.name, "treadle", str(number)) for number in range(5)]
    waiting = {asyncio.create_task(each.acquire()) for each in leases}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    assert len(done) == 1
    assert sum(each.fresh() for each in leases) == 1
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
