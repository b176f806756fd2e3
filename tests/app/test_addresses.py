"""Which addresses HTTP tasks may reach, from settings and from what the cluster shows."""

import asyncio
import ssl
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.app import addresses
from treadle.app.addresses import REFRESH_SECONDS, Addresses
from treadle.app.settings import Settings
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import NODES

del ssl


def an_endpoint(server: str) -> Endpoint:
    """One of which only the server's URL is looked at."""
    members: dict[str, Any] = dict.fromkeys(Endpoint.__dataclass_fields__)
    return Endpoint(**{**members, "server": server})


def a_node(stage: Stage, name: str, *found: dict[str, str]) -> None:
    stage.objects.create(NODES, None, {"metadata": {"name": name}})
    status = {"status": {"addresses": list(found)}}
    stage.objects.patch(NODES, None, name, status, status=True)


def the(stage: Stage, server: str = "https://10.9.9.9:6443", **settings: Any) -> Addresses:
    return Addresses(Settings(**settings), stage.api, an_endpoint(server))


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated loop resolves nothing; addresses are their own names."""
    from treadle.sim.clock import VirtualLoop

    async def getaddrinfo(_: Any, host: str, __: Any) -> list[Any]:
        if host == "unknown.example":
            raise OSError("no such host")
        return [(0, 0, 0, "", (host, 0)), (0, 0, 0, "", (f"{host}%eth0", 0))]

    monkeypatch.setattr(VirtualLoop, "getaddrinfo", getaddrinfo)


def test_the_api_server_is_denied() -> None:
    async def play(stage: Stage) -> None:
        environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        found = the(stage, environment=environment)
        task = asyncio.create_task(found.run())
        await stage.passes(1)
        for address in ("10.9.9.9", "10.0.0.1"):
            assert "API server" in str(found.policy("default").verdict(address))
        assert found.policy("default").verdict("10.0.0.2") is None
        task.cancel()

    on_a_stage(play)


def test_nodes_are_denied_and_looked_for_again() -> None:
    async def play(stage: Stage) -> None:
        stage.objects.create(NODES, None, {"metadata": {"name": "new"}})
        a_node(stage, "n1", {"type": "InternalIP", "address": "10.1.1.1"})
        found = the(stage)
        asyncio.create_task(found.run())  # noqa: RUF006 - ends with the world
        await stage.passes(1)
        assert "node" in str(found.policy("a").verdict("10.1.1.1"))
        assert found.policy("a").verdict("10.1.1.2") is None
        a_node(
            stage,
            "n2",
            {"type": "Hostname", "address": "n2.example"},
            {"type": "ExternalIP", "address": "10.1.1.2"},
        )
        await stage.passes(REFRESH_SECONDS)
        assert "node" in str(found.policy("a").verdict("10.1.1.2"))

    on_a_stage(play)


def test_in_namespaced_scope_nodes_are_not_asked_for() -> None:
    async def play(stage: Stage) -> None:
        found = the(stage, namespaces=("default",))
        asyncio.create_task(found.run())  # noqa: RUF006
        await stage.passes(1)
        assert stage.api.seen == []
        assert found.policy("default").verdict("10.9.9.9") is not None

    on_a_stage(play)


def test_what_cannot_be_found_now_is_looked_for_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(stage: Stage) -> None:
        found = the(stage)
        stage.api.next("list", NODES, "failed")
        asyncio.create_task(found.run())  # noqa: RUF006
        await stage.passes(REFRESH_SECONDS + 1)
        assert found.policy("default").verdict("10.9.9.9") is not None
        nameless = the(stage, "https://unknown.example")
        asyncio.create_task(nameless.run())  # noqa: RUF006
        await stage.passes(1)

    on_a_stage(play)
    assert caplog.text.count("are not known") == 2


def test_a_server_without_a_host_is_no_address() -> None:
    async def play(stage: Stage) -> None:
        found = the(stage, "nonsense", namespaces=("a",))
        asyncio.create_task(found.run())  # noqa: RUF006
        await stage.passes(1)
        assert found.policy("a").verdict("10.0.0.1") is None

    on_a_stage(play)


def test_the_lists_of_the_settings_hold() -> None:
    async def play(stage: Stage) -> None:
        found = the(stage, http_allow=("10.0.0.0/8",), http_deny=("10.2.0.0/16",))
        verdict = found.policy("a").verdict
        assert verdict("10.1.0.1") is None
        assert "the installation denies" in str(verdict("10.2.0.1"))
        assert "the installation allows" in str(verdict("192.0.2.1"))
        assert "loopback" in str(verdict("127.0.0.1"))
        asyncio.create_task(found.run())  # noqa: RUF006
        await stage.passes(1)
        assert "the installation denies" in str(found.policy("a").verdict("10.2.0.1"))

    on_a_stage(play)


def test_loopback_can_be_allowed() -> None:
    async def play(stage: Stage) -> None:
        found = the(stage, http_allow_loopback=True)
        asyncio.create_task(found.run())  # noqa: RUF006
        await stage.passes(1)
        assert found.policy("a").verdict("127.0.0.1") is None

    on_a_stage(play)


def test_a_text_that_is_no_network_is_refused() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(ValueError, match="10"):
            the(stage, http_deny=("10.0.0.0/99",))

    on_a_stage(play)
    assert addresses.REFRESH_SECONDS > 0
