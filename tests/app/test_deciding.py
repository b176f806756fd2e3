"""Approvals for those who decide: what waits for whom, and what a refusal says."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from treadle.app import deciding
from treadle.kube.api import Listing, Obj
from treadle.kube.kinds import APPROVALS, MAY_I, WHO_AM_I, Kind
from treadle.runtime.ports import Refused


class Server:
    """An API server that knows one person, and who has which verbs."""

    def __init__(self, *approvals: Obj, may: frozenset[str] = frozenset()) -> None:
        self.approvals = list(approvals)
        self.may = may
        self.patches: list[Any] = []

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        assert namespace is None
        assert obj["apiVersion"] == kind.api_version
        if kind == WHO_AM_I:
            return {"status": {"userInfo": {"username": "ada", "groups": ["finance"]}}}
        assert kind == MAY_I
        asked = obj["spec"]["resourceAttributes"]
        assert (asked["verb"], asked["resource"], asked["namespace"]) == (
            "approve",
            "approvals",
            "ns",
        )
        return {"status": {"allowed": asked["name"] in self.may}}

    async def list(self, kind: Kind, namespace: str | None, **_: Any) -> Listing:
        assert (kind, namespace) == (APPROVALS, "ns")
        return Listing(self.approvals, "1")

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Any, *, form: str) -> Obj:
        assert (kind, namespace, form) == (APPROVALS, "ns", "json")
        self.patches.append((name, patch))
        return {"metadata": {"name": name}}

    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)


def an_approval(name: str, at: int = 0, phase: str = "", **spec: Any) -> Obj:
    found: Obj = {
        "metadata": {"name": name, "namespace": "ns", "creationTimestamp": f"2026-01-01T00:0{at}"},
        "spec": {"message": "?", **spec},
    }
    return {**found, "status": {"phase": phase}} if phase else found


def listed(server: Server, *, mine: bool) -> list[str]:
    found = asyncio.run(deciding.listed(server, "ns", mine=mine))  # type: ignore[arg-type]
    return [each["metadata"]["name"] for each in found]


def test_all_are_listed_the_oldest_first() -> None:
    server = Server(an_approval("b", 2), an_approval("a", 2), an_approval("c", 1, "Closed"))
    assert listed(server, mine=False) == ["c", "a", "b"]


def test_mine_are_those_that_i_may_decide_and_have_not() -> None:
    users, groups = {"users": ["ada"]}, {"groups": ["finance"]}
    server = Server(
        an_approval("named", approvers=users),
        an_approval("in-group", approvers=groups),
        an_approval("by-verb"),
        an_approval("of-others", approvers={"users": ["bob"], "groups": ["sales"]}),
        an_approval("decided", phase="Approved", approvers=users),
        an_approval("done", approvers=users, decisions=[{"by": "ada", "approve": True}]),
        an_approval("waits", approvers=users, decisions=[{"by": "bob", "approve": True}]),
        # No operator has seen that it is too late.
        an_approval("late", approvers=users, expiresAt="2026-01-02T00:00:00Z"),
        an_approval("still", approvers=users, expiresAt="2026-01-02T00:00:01Z"),
        may=frozenset({"by-verb"}),
    )
    assert listed(server, mine=True) == ["by-verb", "in-group", "named", "still", "waits"]


@pytest.mark.parametrize("reason", [None, "fine"])
def test_a_decision_is_added_in_my_own_name(reason: str | None) -> None:
    server = Server()
    asyncio.run(
        deciding.decided(server, "ns", "a", approve=False, reason=reason)  # type: ignore[arg-type]
    )
    value = {"by": "ada", "approve": False} | ({"reason": reason} if reason else {})
    patch = [{"op": "add", "path": "/spec/decisions/-", "value": value}]
    assert server.patches == [("a", patch)]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "approvals.treadle.dev \"a\" is forbidden: ValidatingAdmissionPolicy 'approvals.t' "
            "with binding 'approvals.t' denied request: you may not decide this: who may is ada",
            "you may not decide this: who may is ada",
        ),
        (
            'Approval.treadle.dev "a" is invalid: spec.decisions: Invalid value: nobody decides '
            "twice: there is one",
            "nobody decides twice: there is one",
        ),
        (
            'Approval.treadle.dev "a" is invalid: spec.decisions: Invalid value: "array": no more',
            "no more",
        ),
        ('approvals "a" is forbidden: User "ada" cannot patch', None),
    ],
)
def test_a_refusal_is_a_sentence(message: str, sentence: str | None) -> None:
    assert deciding.sentence(Refused(403, "Forbidden", message)) == (sentence or message)
