"""A world notices what an operator does wrong. The operators here are toys: each does one thing."""

import asyncio
import contextlib
import json
import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.support.desk import Desk
from tests.support.machines import chain, waiting
from treadle.asl import document
from treadle.engine.events import SuspendChanged
from treadle.kube.kinds import EXECUTIONS, JOBS, REVISIONS
from treadle.runtime.ports import AlreadyExists, Conflict, Fault, Missing
from treadle.sim import checkers, clock, faults, machines
from treadle.sim.checkers import Outcome
from treadle.sim.cluster import SimCluster
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


# ---------------------------------------------------------------- what people do to an Execution


def test_an_execution_that_does_not_end_is_stopped_by_hand() -> None:
    async def stopping(seat: Seat) -> None:
        while True:
            for obj in (await seat.api.list(EXECUTIONS, None)).items:
                if "stop" in obj["spec"] and not obj.get("status"):
                    obj["status"] = {"phase": "Aborted", "error": obj["spec"]["stop"]["error"]}
                    await seat.api.update_status(EXECUTIONS, "default", obj)
            await asyncio.sleep(1)

    stopped = replace(SAMPLE, deed="stop", deed_seconds=7.0)
    report = live_through(replace(a_world(stopping), samples=(stopped,)))
    assert report.violations == ()
    assert report.outcomes == {"e0": Outcome("Aborted", None, "Sim.Stopped", None)}
    assert report.ended_at > 7


def test_a_deleted_execution_is_followed_by_another_of_its_name() -> None:
    deleted = replace(SAMPLE, deed="delete", deed_seconds=3.0)
    report = live_through(replace(a_world(end_all), samples=(SAMPLE, deleted)))
    assert report.violations == ()
    assert report.outcomes == {"e0": SUCCEEDED, "e1": SUCCEEDED}
    assert any("- Execution e1" in line for line in report.trace)


def test_what_a_deleted_execution_left_is_noticed() -> None:
    async def leaving(seat: Seat) -> None:
        for obj in (await seat.api.list(EXECUTIONS, None)).items:
            if obj["metadata"]["name"] == "e1":
                job = a_job(uid=obj["metadata"]["uid"])
                await seat.api.create(JOBS, "default", job)
        await end_all(seat)

    deleted = replace(SAMPLE, deed="delete", deed_seconds=3.0)
    report = live_through(replace(a_world(leaving), samples=(SAMPLE, deleted)))
    assert "Job e0-x remains though its Execution was deleted" in report.violations


def test_a_revision_that_nobody_needs_is_noticed() -> None:
    async def keeping(seat: Seat) -> None:
        revision = {"metadata": {"name": "m0-x"}, "spec": {}}
        with contextlib.suppress(AlreadyExists):
            await seat.api.create(REVISIONS, "default", revision)
        await end_all(seat)

    assert "StateMachineRevision m0-x remains" in violations(keeping, Plan(machines_go=True))
    assert violations(keeping, Plan()) == ""


# -------------------------------------------------------------------------- the ends of operators


async def until_told(seat: Seat) -> None:
    ending = asyncio.ensure_future(end_all(seat))
    await seat.stopping.wait()
    ending.cancel()


def test_an_operator_is_told_to_end_and_another_begins() -> None:
    plan = Plan(until=60, crashes=(Crash(0, 0, seconds=2.0, gently=True),))
    report = live_through(a_world(until_told, plan))
    assert report.violations == ()
    assert report.lives == 2
    assert any("operator-0.0 is told to end" in line for line in report.trace)


def test_one_that_does_not_end_when_told_is_killed() -> None:
    plan = Plan(until=300, crashes=(Crash(0, 0, seconds=2.0, gently=True),))
    report = live_through(a_world(end_all, plan))
    assert any(line.endswith("92.000 operator-0.0 is killed") for line in report.trace)
    assert report.lives == 2


def test_an_operator_stands_still_for_a_while() -> None:
    plan = Plan(until=60, pauses=(faults.Pause(0, 1.5, 20.0),))
    report = live_through(a_world(end_all, plan))
    assert report.violations == ()
    calls = [float(line.split()[0]) for line in report.trace if "operator-0.0 list" in line]
    assert max(after - before for before, after in pairwise(calls)) > 19


def test_people_act_while_an_operator_is_down() -> None:
    crash = Crash(0, 0, seconds=2.0, down_seconds=10.0, then=("compact",))
    report = live_through(a_world(end_all, Plan(until=60, crashes=(crash,))))
    assert any(line.endswith("7.000 the past is compacted") for line in report.trace)


def test_an_error_that_is_logged_is_noticed() -> None:
    async def wrong(seat: Seat) -> None:
        logging.getLogger("treadle.rooms").error("this is wrong")
        await end_all(seat)

    assert "logged: this is wrong" in violations(wrong)


@pytest.mark.parametrize(
    ("by", "is_wrong"),
    [(None, False), ("who suspends", False), ("who resumes", True)],
)
def test_a_history_that_names_somebody_else_is_noticed(by: str | None, is_wrong: bool) -> None:
    desk = Desk(chain(A=waiting(5)))
    desk.tell(SuspendChanged(True, by))
    made = {"metadata": {"name": "e"}, "spec": {}}

    async def told() -> list[str]:
        cluster = SimCluster(seed=1)
        execution = cluster.objects.create(EXECUTIONS, "default", made)
        execution["status"] = {"checkpoint": desk.execution.encode().checkpoint}
        return checkers.mistold(cluster, execution)

    assert bool(clock.run(told())) is is_wrong


async def slow(seat: Seat) -> None:
    await asyncio.sleep(20)
    await end_all(seat)


def test_executions_are_suspended_and_resumed() -> None:

    plan = Plan(until=60, deeds=(Deed(2.0, "suspend"), Deed(4.0, "resume")))
    report = live_through(a_world(slow, plan))
    assert report.violations == ()
    assert sum("~ Execution e0" in line for line in report.trace) >= 2
