"""Approvals for those who decide: which there are, and one more decision.

One rule: who somebody is and what he may is asked of the API server; nothing of it is decided here.
"""

import re
from dataclasses import dataclass
from typing import Any

from treadle.app.looking import Cluster, on_cluster
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import APPROVALS, MAY_I, WHO_AM_I
from treadle.runners import decisions
from treadle.runtime.ports import Refused

# How the API server begins what a policy, and a rule of the kind, says.
_DENIED = re.compile(r"denied request: (.+)", re.DOTALL)
_INVALID = re.compile(r"Invalid value: (?:\"[a-z]+\": )?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the API server knows him."""

    user: str
    groups: frozenset[str]


def approvals(where: Cluster, *, mine: bool) -> list[Obj]:
    """Approvals, the oldest first; `mine`: what waits for me. Raises: Fault, ValueError."""

    async def read(api: ClusterApi, namespace: str) -> list[Obj]:
        return await listed(api, namespace, mine=mine)

    return on_cluster(where, read)


def decide(where: Cluster, name: str, *, approve: bool, reason: str | None) -> Obj:
    """Add a decision in the name of who asks; gives the Approval. Raises: Fault, ValueError."""

    async def write(api: ClusterApi, namespace: str) -> Obj:
        return await decided(api, namespace, name, approve=approve, reason=reason)

    return on_cluster(where, write)


async def listed(api: Objects, namespace: str, *, mine: bool) -> list[Obj]:
    """See `approvals`."""
    found = (await api.list(APPROVALS, namespace)).items
    found.sort(key=lambda obj: (obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]))
    if not mine:
        return found
    person = await who_am_i(api)
    now = api.now()
    waits = [
        each for each in found if decisions.is_open(each) and not decisions.has_expired(each, now)
    ]
    return [each for each in waits if await _waits_for(api, each, person)]


async def decided(
    api: Objects, namespace: str, name: str, *, approve: bool, reason: str | None
) -> Obj:
    """See `decide`."""
    decision: dict[str, Any] = {"by": (await who_am_i(api)).user, "approve": approve}
    if reason is not None:
        decision["reason"] = reason
    patch = [{"op": "add", "path": "/spec/decisions/-", "value": decision}]
    return await api.patch(APPROVALS, namespace, name, patch, form="json")


async def who_am_i(api: Objects) -> Person:
    """Who the API server takes us for."""
    said = (await api.create(WHO_AM_I, None, WHO_AM_I.manifest("", {})))["status"]["userInfo"]
    return Person(said["username"], frozenset(said.get("groups") or ()))


def sentence(why: Refused) -> str:
    """What is said against a decision, without what the API server says around it."""
    for pattern in (_DENIED, _INVALID):
        found = pattern.search(why.message)
        if found:
            return found[1].strip()
    return why.message


async def _waits_for(api: Objects, approval: Obj, person: Person) -> bool:
    """Whether somebody may decide, and has not."""
    spec = approval["spec"]
    if any(each["by"] == person.user for each in spec.get("decisions") or ()):
        return False
    approvers = spec.get("approvers") or {}
    if person.user in (approvers.get("users") or ()):
        return True
    if person.groups & set(approvers.get("groups") or ()):
        return True
    metadata = approval["metadata"]
    asked = {
        "group": APPROVALS.group,
        "resource": APPROVALS.plural,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "verb": "approve",
    }
    review = MAY_I.manifest("", {"resourceAttributes": asked})
    return bool((await api.create(MAY_I, None, review))["status"]["allowed"])
