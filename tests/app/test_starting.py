"""No turn begins before the world is seen, and one failing step of the sweep stops no other."""

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.api.metrics import Metrics
from treadle.app import operator
from treadle.app.addresses import RETRY_SECONDS, Addresses
from treadle.app.settings import Settings
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import APPROVALS, EXECUTIONS, NODES, PODS, REVISIONS, Kind
from treadle.runtime.ports import Refused
from treadle.sandbox.sandbox import Sandbox

FOR_EVER = 10_000


def an_endpoint() -> Endpoint:
    """One without a host, so that no name is resolved."""
    members: dict[str, Any] = dict.fromkeys(Endpoint.__dataclass_fields__)
    return Endpoint(**{**members, "server": "nonsense"})


def refuse() -> None:
    """What a test has happen just before a request: it is refused."""
    raise Refused(403, "Forbidden", "nodes is forbidden")


def an_operator(stage: Stage, **settings: Any) -> operator._Operator:
    given = Settings(lease=False, health_port=0, **settings)
    threads = ThreadPoolExecutor(1)
    return operator._Operator(given, stage.api, Metrics(), an_endpoint(), Sandbox({}), threads)


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


# ------------------------------------------------------------------------------- addresses


def begun(stage: Stage, **settings: Any) -> Addresses:
    found = Addresses(Settings(**settings), stage.api, an_endpoint())
    asyncio.create_task(found.run())  # noqa: RUF006 - ends with the world
    return found


def test_addresses_are_known_once_the_nodes_were_listed() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("list", NODES, "failed", times=3)
        found = begun(stage)
        assert not found.known.is_set()
        await asyncio.sleep(2.5 * RETRY_SECONDS)  # virtual seconds
        assert not found.known.is_set()
        await asyncio.sleep(RETRY_SECONDS)  # virtual seconds
        assert found.known.is_set()

    on_a_stage(play)


def test_who_may_not_list_nodes_works_without_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("list", NODES, refuse)
        found = begun(stage)
        await asyncio.sleep(1)  # virtual seconds
        assert found.known.is_set()

    on_a_stage(play)
    assert "HTTP tasks may call them" in caplog.text


def test_in_namespaced_scope_there_is_nothing_to_wait_for() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("list", NODES, "failed", times=FOR_EVER)
        found = begun(stage, namespaces=("default",))
        await asyncio.sleep(1)  # virtual seconds
        assert found.known.is_set()

    on_a_stage(play)


# --------------------------------------------------------------------------------- opening


def opening(stage: Stage) -> operator._Operator:
    found = an_operator(stage)
    views = (found._jobs, found._pods, found._approvals, found._addresses)
    for work in (*(view.run() for view in views), found._open()):
        asyncio.create_task(work)  # noqa: RUF006
    return found


def test_no_turn_begins_while_a_node_could_still_be_called() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("list", NODES, "failed", times=3)
        found = opening(stage)
        await asyncio.sleep(2.5 * RETRY_SECONDS)  # virtual seconds
        assert not found._opened
        assert found._ready() is not None
        await asyncio.sleep(RETRY_SECONDS)  # virtual seconds
        assert found._opened
        assert found._ready() is None

    on_a_stage(play)


@pytest.mark.parametrize("kind", [PODS, APPROVALS])
def test_nor_before_everything_was_seen(kind: Kind) -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("list", kind, "failed", times=FOR_EVER)
        found = opening(stage)
        await asyncio.sleep(60)  # virtual seconds
        assert not found._opened

    on_a_stage(play)


# ----------------------------------------------------------------------------------- sweep


def test_a_step_of_the_sweep_that_always_fails_stops_no_other_and_no_next_sweep() -> None:
    async def play(stage: Stage) -> None:
        found = an_operator(stage)
        stage.api.next("list", EXECUTIONS, refuse, times=FOR_EVER)
        asyncio.create_task(found._sweep())  # noqa: RUF006
        await asyncio.sleep(3.5 * operator.SWEEP_SECONDS)  # virtual seconds
        assert stage.api.count("list", EXECUTIONS) == 3
        assert stage.api.count("list", REVISIONS) == 3

    on_a_stage(play)
