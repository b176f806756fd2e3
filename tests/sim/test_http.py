"""The simulated service answers as scripted and knows its keys."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treadle.runners.transport import AddressDenied, HttpRequest, SocketFailed
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.faults import NONE, Faults, Plan
from treadle.sim.holders import Holders
from treadle.sim.http import SimHttp, SimTransport

URL = "http://service.default/x"


def a_request(key: str = "k", url: str = URL, timeout: float = 10, **script: Any) -> HttpRequest:
    body = json.dumps({"pretend": script}).encode()
    headers = (("Idempotency-Key", key),)
    return HttpRequest("POST", url, headers, body=body, timeout_seconds=timeout)


def with_a_service(
    test: Callable[[SimHttp, SimTransport, SimApi], Awaitable[Any]], plan: Plan | None = None
) -> Any:
    async def world() -> Any:
        cluster = SimCluster(1)
        service = SimHttp(cluster, Holders(cluster, NONE, 0))
        api = SimApi(cluster, who="operator-0")
        faults = Faults(plan or Plan(), 1)
        return await test(service, SimTransport(service, api, faults, "1"), api)

    return clock.run(world())


def test_it_answers_as_scripted() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        answer = await transport.call(a_request(status=404, body={"a": 1}, seconds=3))
        assert (answer.status, answer.body) == (404, b'{"a":1}')
        assert asyncio.get_running_loop().time() > 3
        (asked,) = service.asked
        assert (asked.who, asked.key, asked.url) == ("operator-0", "k", URL)

    with_a_service(test)


def test_first_keys_fail_and_a_key_keeps_its_answer() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        statuses = [
            (await transport.call(a_request(key, failTimes=1))).status for key in ("a", "a", "b")
        ]
        assert statuses == [500, 500, 200]

    with_a_service(test)


def test_a_hanging_service_is_given_up() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        with pytest.raises(SocketFailed):
            await transport.call(a_request(hang=True))
        assert asyncio.get_running_loop().time() == pytest.approx(10)

    with_a_service(test)


def test_a_metadata_address_is_denied() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        with pytest.raises(AddressDenied):
            await transport.call(a_request(url="http://169.254.169.254/"))
        assert service.asked == []

    with_a_service(test)


def test_only_a_fragile_call_loses_its_answer() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        with pytest.raises(SocketFailed):
            await transport.call(a_request("a", fragile=True))
        assert (await transport.call(a_request("b"))).status == 200
        assert [asked.key for asked in service.asked] == ["a", "b"]

    with_a_service(test, Plan(until=1e9, lost=1.0))


def test_the_dead_get_no_answer() -> None:
    async def test(service: SimHttp, transport: SimTransport, api: SimApi) -> None:
        seen: list[int] = []

        async def operator() -> None:
            seen.append((await transport.call(a_request(seconds=5))).status)

        api.process.start(operator())
        await asyncio.sleep(1)
        api.die()
        await asyncio.sleep(60)
        assert seen == []
        assert len(service.asked) == 1

    with_a_service(test)
