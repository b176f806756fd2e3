"""The sweep of an operator as worlds run it: one failing step stops no other."""

import asyncio
from typing import Any

from tests.runtime.stage import NOTHING, Line, Stage, on_a_stage
from treadle.kube.kinds import EXECUTIONS, REVISIONS
from treadle.kube.lease import NoLease
from treadle.runtime.ports import Refused
from treadle.sim.faults import NONE, Faults
from treadle.sim.holders import Holders
from treadle.sim.http import SimHttp, SimTransport
from treadle.sim.operator import SWEEP_SECONDS, Operator
from treadle.sim.workers import Workers
from treadle.sim.world import Seat


def refuse() -> None:
    """What a test has happen just before a request: it is refused."""
    raise Refused(403, "Forbidden", "executions.treadle.dev is forbidden")


def an_operator(stage: Stage, api: Line) -> Operator:
    holders = Holders(stage.cluster, NONE, 0)
    transport = SimTransport(SimHttp(stage.cluster, holders), api, Faults(), "0")
    workers = Workers(stage.cluster, holders, NONE, 0, lambda *_: None)
    others = (holders, workers, transport)
    seat = Seat(api, *others, stage.now, "operator", False, asyncio.Event())
    return Operator(seat, NoLease())


def test_a_step_that_always_fails_stops_no_other() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        api = Line(stage.cluster)
        api.next("list", EXECUTIONS, refuse, times=10_000)
        works: list[Any] = an_operator(stage, api).works()
        for work in works:
            asyncio.create_task(work)  # noqa: RUF006 - ends with the world
        await asyncio.sleep(3.5 * SWEEP_SECONDS)
        assert api.count("list", REVISIONS) == 3

    on_a_stage(play)
