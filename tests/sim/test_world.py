"""A world notices what an operator does wrong. The operators here are toys: each does one thing."""

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from treadle.asl import document
from treadle.kube.kinds import EXECUTIONS, JOBS
from treadle.runtime.ports import AlreadyExists, Conflict, Fault, Missing
from treadle.sim import faults, machines
from treadle.sim.checkers import Outcome
from treadle.sim.faults import Crash, Deed, Plan
from treadle.sim.world import Life, Report, Seat, Setting, live_through

SAMPLE = machines.Sample({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, {"v": 1}, False)
SUCCEEDED = Outcome("Succeeded", '{"v":1}', None, None)


def a_world(life: Life, plan: Plan = faults.NONE, **more: Any) -> Setting:
    return Setting(1, "names", plan, (SAMPLE,), life, document.parse, **more)


async def end_all(seat: Seat) -> None:
    """Say Succeeded of every Execution, again and again."""
    while True:
        with contextlib.suppress(Conflict, Missing, Fault):
            for obj in (await seat.api.list(EXECUTIONS, None)).items:
                status = {"phase": "Succeeded", "output": json.dumps(obj["spec"]["input"])}
                obj["status"] = {**status, "output": status["output"].replace(" ", "")}
                await seat.api.update_status(EXECUTIONS, "default", obj)
        await asyncio.sleep(1)


def a_job(attempt: str = "1.1.1", uid: str = "u") -> dict[str, Any]:
    container = {"name": "main", "image": "i"}
    return {
        "metadata": {
            "name": "e0-x",
            "labels": {"treadle.dev/execution": uid},
            "annotations": {"treadle.dev/execution-name": "e0", "treadle.dev/task": attempt},
        },
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def violations(life: Life, plan: Plan = faults.NONE, **more: Any) -> str:
    return "\n".join(live_through(a_world(life, plan, **more)).violations)


def test_a_good_operator_violates_nothing() -> None:
    report = live_through(a_world(end_all, expected={"e0": SUCCEEDED}))
    assert report.violations == ()
    assert report.outcomes == {"e0": SUCCEEDED}
    assert report.lives == 1


def test_an_idle_operator_is_noticed() -> None:
    async def idle(_: Seat) -> None:
        await asyncio.get_running_loop().create_future()

    assert "Execution e0 has not ended" in violations(idle)


def test_another_outcome_is_noticed() -> None:
    other = replace(SUCCEEDED, output="{}")
    assert "undisturbed as" in violations(end_all, expected={"e0": other})


def test_a_job_that_nobody_decided_is_noticed_and_that_it_remains() -> None:
    async def hasty(seat: Seat) -> None:
        await seat.api.create(JOBS, "default", a_job())
        await end_all(seat)

    found = violations(hasty)
    assert "operator-0.0 creates Job e0-x before its decision is saved" in found
    assert "Job e0-x remains" in found


def test_a_second_creation_is_noticed() -> None:
    async def twice(seat: Seat) -> None:
        for _ in range(2):
            with contextlib.suppress(AlreadyExists):
                await seat.api.create(JOBS, "default", a_job())
            await seat.api.delete(JOBS, "default", "e0-x")
            await asyncio.sleep(1)
        await end_all(seat)

    assert "Job e0-x is created twice" in violations(twice)


def test_a_broken_operator_is_noticed() -> None:
    async def broken(seat: Seat) -> None:
        if seat.holder == "operator-0.0":
            raise ValueError("oh")
        await end_all(seat)

    assert "operator-0.0 broke: ValueError('oh')" in violations(broken)


PLAN = Plan(
    until=60,
    lost=0.2,
    failed=0.2,
    operators=2,
    skews=(0.0, 2.0),
    crashes=(Crash(0, 0, call=1), Crash(0, 1, call=2, landed=True), Crash(1, 0, seconds=2.0)),
    deeds=(Deed(1.0, "label"), Deed(2.0, "compact"), Deed(3.0, "evict")),
)


def test_killed_operators_start_again() -> None:
    report = live_through(a_world(end_all, PLAN))
    assert report.violations == ()
    assert report.lives == 5


def runs_of(seed: int) -> list[Report]:
    return [live_through(replace(a_world(end_all, faults.a_plan(seed)), seed=seed)) for _ in "ab"]


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_is_one_history(seed: int) -> None:
    one, other = runs_of(seed)
    assert one.digest == other.digest
    assert one.trace == other.trace
    assert one.violations == ()


def test_plans_differ() -> None:
    plans = [faults.a_plan(seed) for seed in range(200)]
    assert len(set(plans)) == len(plans)
    assert faults.a_plan(7) == plans[7]
    assert {plan.operators for plan in plans} == {1, 2}
    assert any(not plan.lease for plan in plans)
    assert any(not plan.crashes for plan in plans)
