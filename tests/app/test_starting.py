"""No turn begins before the world is seen, and one failing step of the sweep stops no other."""

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from treadle.api.metrics import Metrics
from treadle.app import operator
from treadle.app.addresses import RETRY_SECONDS, Addresses
from treadle.app.settings import Settings
from treadle.asl.evaluator import Answer, Asked, answer
from treadle.kube import decode
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import (
    ALIASES,
    APPROVALS,
    EXECUTIONS,
    NODES,
    PODS,
    REVISIONS,
    STATE_MACHINES,
    Kind,
)
from treadle.runtime.ports import Refused
from treadle.sandbox.sandbox import Sandbox
from treadle.sim import clock

FOR_EVER = 10_000


def an_endpoint() -> Endpoint:
    """One without a host, so that no name is resolved."""
    members: dict[str, Any] = dict.fromkeys(Endpoint.__dataclass_fields__)
    return Endpoint(**{**members, "server": "nonsense"})


def refuse() -> None:
    """What a test has happen just before a request: it is refused."""
    raise Refused(403, "Forbidden", "nodes is forbidden")


def an_operator(
    stage: Stage, sandbox: Sandbox | None = None, **settings: Any
) -> operator._Operator:
    given = Settings(lease=False, health_port=0, **settings)
    rooms = (stage.api, Metrics(), an_endpoint(), sandbox or Sandbox({}), ThreadPoolExecutor(1))
    return operator._Operator(given, *rooms)


class Watched(Sandbox):
    """One that is asked in this process, and counts the work of threads by its stopwatch."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[str] = []
        self.looks = 0

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked.text)
        return answer(asked)

    def seconds(self) -> float:
        self.looks += 1
        return 0.0


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
    views = (
        found._equipment.jobs,
        found._equipment.pods,
        found._equipment.approvals,
        found._equipment.addresses,
    )
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


def test_nor_does_one_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        def wrong(*_: object) -> None:
            raise KeyError("spec")

        found = an_operator(stage)
        monkeypatch.setattr(found._driver, "compare", wrong)
        asyncio.create_task(found._sweep())  # noqa: RUF006
        await asyncio.sleep(3.5 * operator.SWEEP_SECONDS)  # virtual seconds
        assert stage.api.count("list", REVISIONS) == 3

    on_a_stage(play)


# ------------------------------------------------------------------------------- expressions


def test_expressions_are_evaluated_in_the_sandbox_and_by_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluates = {"Type": "Pass", "Output": "{% 1 + 1 %}", "End": True}
    machine = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": evaluates}}
    in_threads: list[Any] = []
    inline = clock.VirtualLoop.run_in_executor

    def noted(loop: Any, threads: Any, work: Any) -> Any:
        in_threads.append(threads)
        return inline(loop, threads, work)

    monkeypatch.setattr(clock.VirtualLoop, "run_in_executor", noted)

    async def play(stage: Stage) -> None:
        await stage.apply_machine(machine)
        watched = Watched()
        built = an_operator(stage, watched)
        built._driver.open()
        stage.apply()
        in_threads.clear()
        built.execution_seen(decode.sighting(stage.of(), deleted=False))
        await asyncio.sleep(1)  # virtual seconds
        assert (stage.phase(), watched.asked) == ("Succeeded", [" 1 + 1 "])
        assert watched.looks > 0
        assert any(isinstance(threads, ThreadPoolExecutor) for threads in in_threads)

    on_a_stage(play)


# --------------------------------------------------------------------------------- judging


def test_aliases_are_judged_when_they_are_seen_and_when_their_machine_is() -> None:
    async def play(stage: Stage) -> None:
        found = an_operator(stage)
        for work in (found._judging.run(), found._alias_judging.run()):
            asyncio.create_task(work)  # noqa: RUF006
        spec = {"stateMachineRef": {"name": "m"}, "routes": [{"version": 1, "weight": 100}]}
        stage.objects.create(ALIASES, "default", {"metadata": {"name": "live"}, "spec": spec})
        found.alias_seen("default", "m")
        await asyncio.sleep(1)  # virtual seconds

        def reason() -> str:
            status = stage.objects.get(ALIASES, "default", "live")["status"]
            (condition,) = status["conditions"]
            return str(condition["reason"])

        assert reason() == "MachineMissing"
        machine = {"definition": NOTHING, "publish": {"id": "a"}}
        stage.objects.create(
            STATE_MACHINES, "default", {"metadata": {"name": "m"}, "spec": machine}
        )
        found.machine_seen("default", "m", judged=False)
        await asyncio.sleep(1)  # virtual seconds
        assert reason() == "VersionsFound"

    on_a_stage(play)
