"""People of a world decide, twice and too late; what is made of it is held against them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS
from treadle.runtime.ports import Refused
from treadle.sim import approvals, clock
from treadle.sim.approvals import Deciders
from treadle.sim.cluster import SimCluster
from treadle.sim.objects import instant

PLACE = ("default", "a")


def ask(cluster: SimCluster, *decide: dict[str, Any], attempt: int = 1, **spec: Any) -> Obj:
    metadata = {"name": "a", "annotations": {"treadle.dev/attempt-number": str(attempt)}}
    details = {"details": {"decide": list(decide)}} if decide else {}
    whole = {"message": "?", "decisions": [], **details, **spec}
    return cluster.objects.create(APPROVALS, "default", {"metadata": metadata, "spec": whole})


def said(cluster: SimCluster) -> list[tuple[str, bool]]:
    approval = cluster.objects.peek(APPROVALS, *PLACE)
    assert approval is not None
    return [(each["by"], each["approve"]) for each in approval["spec"]["decisions"]]


def becomes(cluster: SimCluster, phase: str) -> None:
    cluster.objects.patch(APPROVALS, *PLACE, {"status": {"phase": phase}}, status=True)


def violations(test: Callable[[SimCluster], Awaitable[None]]) -> list[str]:
    found: list[str] = []

    async def whole() -> None:
        cluster = SimCluster(seed=1)
        deciders = Deciders(cluster)
        await test(cluster)
        found.extend(deciders.violations)

    clock.run(whole())
    return found


def vote(by: str, approve: bool = True, **when: float) -> dict[str, Any]:
    return {"by": by, "approve": approve, **(when or {"seconds": 1.0})}


def test_they_decide_in_their_order_and_once() -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster, vote("ada"), vote("bob", approve=False), quorum=2)
        await asyncio.sleep(2)
        assert said(cluster) == [("ada", True), ("bob", False)]
        becomes(cluster, "Pending")
        becomes(cluster, "Rejected")
        cluster.touch(APPROVALS, PLACE)

    assert violations(test) == []


def test_early_attempts_are_rejected() -> None:
    async def test(cluster: SimCluster) -> None:
        for attempt in (1, 2):
            ask(cluster, vote("ada", seconds=0.0, rejects=1), attempt=attempt)
            await asyncio.sleep(1)
            assert said(cluster) == [("ada", attempt == 2)]
            cluster.remove(APPROVALS, PLACE)

    assert violations(test) == []


def test_who_comes_before_the_expiry_decides_and_who_comes_after_does_not() -> None:
    async def test(cluster: SimCluster) -> None:
        until = instant(clock.wall() + timedelta(seconds=9))
        ask(cluster, vote("ada", before=2.0), vote("late", before=-1.0), expiresAt=until)
        await asyncio.sleep(20)
        assert said(cluster) == [("ada", True)]

    assert violations(test) == []


def test_a_decision_after_the_expiry_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(cluster: SimCluster) -> None:
        monkeypatch.setattr(approvals, "in_time", lambda *_: None)
        until = instant(clock.wall() + timedelta(seconds=9))
        ask(cluster, vote("late", before=-1.0), expiresAt=until)
        await asyncio.sleep(20)

    assert violations(test) == ["late decides on Approval a after it expired"]


def test_a_second_decision_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(cluster: SimCluster) -> None:
        monkeypatch.setattr("treadle.sim.validation._check_decisions", lambda *_: None)
        ask(cluster, vote("ada"))
        await asyncio.sleep(2)

    assert violations(test) == ["ada decides twice on Approval a"]


@pytest.mark.parametrize("again", [False, True])
def test_nobody_decides_on_what_is_gone(again: bool) -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster, vote("ada"))
        cluster.remove(APPROVALS, PLACE)
        if again:
            ask(cluster)
        await asyncio.sleep(2)
        assert not again or said(cluster) == []

    assert violations(test) == []


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        ("Approved", ""),
        ("Closed", ""),
        ("Rejected", "Approval a is Rejected though it is Approved"),
        ("Expired", "Approval a is Expired though it is Approved"),
    ],
)
def test_another_outcome_is_noticed(phase: str, sentence: str) -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster, vote("ada"))
        await asyncio.sleep(2)
        becomes(cluster, phase)

    assert violations(test) == ([sentence] if sentence else [])


def test_what_nobody_decided_is_expired_and_nothing_else_afterwards() -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster, vote("ada"), quorum=2)
        await asyncio.sleep(2)
        becomes(cluster, "Approved")
        becomes(cluster, "Expired")

    assert violations(test) == [
        "Approval a is Approved though it is undecided",
        "Approval a was Approved and is Expired",
    ]


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        ({"message": "!"}, "only decisions are added"),
        ({"decisions": []}, "neither changed nor taken back"),
        ({"decisions": [vote("ada"), vote("ada")]}, "nobody decides twice"),
    ],
)
def test_the_kinds_own_rules_hold(patch: dict[str, Any], sentence: str) -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster)
        cluster.edit(APPROVALS, PLACE, {"decisions": [vote("ada")]})
        with pytest.raises(Refused, match=sentence):
            cluster.edit(APPROVALS, PLACE, patch)

    assert violations(test) == []


@pytest.mark.parametrize("closed", [False, True])
def test_nobody_decides_on_what_is_over(closed: bool) -> None:
    async def test(cluster: SimCluster) -> None:
        ask(cluster, **({"closed": True} if closed else {}))
        if not closed:
            becomes(cluster, "Closed")
        with pytest.raises(Refused, match="decided, expired or closed"):
            cluster.edit(APPROVALS, PLACE, {"decisions": [vote("ada")]})

    assert violations(test) == []
