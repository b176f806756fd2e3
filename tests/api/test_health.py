"""Probes and the scrape page, over a real server on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from treadle.api import health
from treadle.api.health import Check, Pulse, verdict
from treadle.api.metrics import Metrics
from treadle.api.server import Server, application
from treadle.sim import clock


@contextlib.asynccontextmanager
async def serving(
    alive: Mapping[str, Check], ready: Mapping[str, Check], metrics: Metrics | None = None
) -> AsyncIterator[Any]:
    server = Server(application(alive, ready, metrics or Metrics()), "127.0.0.1", 0)
    port = await server.open()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def get(path: str) -> tuple[int, str, str]:
            async with session.get(path) as answer:
                return answer.status, await answer.text(), answer.headers["Content-Type"]

        yield get
    await server.close()


async def test_probes_list_their_checks() -> None:
    state: dict[str, str | None] = {"informers": "jobs has not been listed"}
    ready = {"informers": lambda: state["informers"], "lease": lambda: None}
    async with serving({"loop": lambda: None}, ready) as get:
        assert (await get("/healthz"))[:2] == (200, "[+]loop ok\nok\n")
        assert (await get("/readyz"))[:2] == (
            503,
            "[-]informers failed: jobs has not been listed\n[+]lease ok\nfailed\n",
        )
        state["informers"] = None
        assert (await get("/readyz"))[0] == 200
        assert (await get("/secrets"))[0] == 404


async def test_metrics_are_served_in_prometheus_form() -> None:
    metrics = Metrics()
    metrics.started()
    async with serving({}, {}, metrics) as get:
        status, text, content_type = await get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "treadle_executions_started_total 1.0" in text


async def test_a_taken_port_is_said_at_once() -> None:
    first = Server(application({}, {}, Metrics()), "127.0.0.1", 0)
    port = await first.open()
    second = Server(application({}, {}, Metrics()), "127.0.0.1", port)
    with pytest.raises(OSError, match="address already in use"):
        await second.open()
    await second.close()
    await first.close()


def test_a_check_that_fails_itself_is_a_failure() -> None:
    def broken() -> str | None:
        raise RuntimeError("ours")

    healthy, text = verdict({"driver": broken})
    assert not healthy
    assert "[-]driver failed: the check itself failed: RuntimeError('ours')" in text


def test_a_pulse_is_late_when_no_timer_fired() -> None:
    async def world() -> None:
        pulse = Pulse(late_seconds=10)
        assert pulse.check() is None
        beating = asyncio.create_task(pulse.run())
        await asyncio.sleep(99.7)  # virtual seconds: `clock.run` jumps to the next timer
        assert pulse.check() is None
        beating.cancel()
        await asyncio.sleep(20)  # virtual, too
        assert pulse.check() == "no timer has fired for 21 s"

    clock.run(world())
    assert health.PULSE_SECONDS < health.PULSE_LATE_SECONDS
