"""What people do to versions of a machine: publish one, list them, take one back.

One rule: publishing is asked for in the machine's spec, and the operator does it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from treadle.app.looking import Cluster, on_cluster
from treadle.kube import versions
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import ALIASES, REVISIONS, STATE_MACHINES
from treadle.runtime.ports import Conflict, Missing

POLL_SECONDS = 0.2


class NotPublished(Exception):  # noqa: N818 - it says what happened
    """It was asked for, and is no version; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Published:
    """A version: its number, the name of its revision, and the id that asked for it."""

    number: int
    revision: str
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A version of a machine.

    Attributes:
        number: its number.
        revision: the StateMachineRevision that it is.
        aliases: the name of each alias that names it, with the weight.
    """

    number: int
    revision: Obj
    aliases: Sequence[tuple[str, int]]


def publish(
    place: Cluster, machine: str, id_: str | None, description: str | None, seconds: float
) -> Published:
    """Publish what a machine is now, and wait for its number.

    Args:
        place: where it is.
        machine: its name.
        id_: of the publication; None for the digest of the revision.
        description: of the version.
        seconds: how long to wait.

    Raises:
        ValueError: there is no such machine, or there is no way into the cluster.
        NotPublished: it cannot run, has too many versions, or nobody has published it in time.
        Fault: the API server refuses, or is away.
    """

    async def work(api: ClusterApi, namespace: str) -> Published:
        try:
            async with asyncio.timeout(seconds):
                asked = await _ask(api, namespace, machine, id_, description)
                found = await _answer(api, namespace, asked)
        except TimeoutError:
            raise NotPublished(
                f"'{machine}' is not published after {seconds:g} s; `kubectl get sm {machine}` "
                "says what became of it, if an operator runs"
            ) from None
        if await versions.version(api, namespace, machine, found.number) is None:
            raise NotPublished(
                f"the id '{found.id}' was version {found.number} of '{machine}', which was taken "
                "back; publish with another id"
            )
        return found

    return on_cluster(place, work)


async def _ask(
    api: Objects, namespace: str, machine: str, id_: str | None, description: str | None
) -> Obj:
    """Change spec.publish; gives the machine as it is then."""
    while True:
        found = await _machine(api, namespace, machine)
        status = found.get("status") or {}
        if status.get("observedGeneration") != found["metadata"]["generation"] and id_ is None:
            await asyncio.sleep(POLL_SECONDS)  # its digest is not known yet
            continue
        publish: dict[str, Any] = {"id": id_ or await _new_id(api, namespace, found)}
        publish["description"] = description
        patch = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "spec": {"publish": publish},
        }
        try:
            return await api.patch(STATE_MACHINES, namespace, machine, patch)
        except Conflict:
            continue  # it was judged meanwhile, perhaps


async def _new_id(api: Objects, namespace: str, machine: Obj) -> str:
    """The digest of what the machine is now; with a number where that version was taken back."""
    status = machine["status"]
    _check_ready(machine)
    digest: str = status["revision"]["digest"]
    known = status.get("version") or {}
    before = str(known.get("id", ""))
    if before.partition("-")[0] != digest:
        return digest
    there = await versions.version(api, namespace, machine["metadata"]["name"], known["number"])
    return before if there is not None else f"{digest}-{known['latest'] + 1}"


async def _answer(api: Objects, namespace: str, asked: Obj) -> Published:
    name, publish = asked["metadata"]["name"], asked["spec"]["publish"]
    while True:
        found = await _machine(api, namespace, name)
        if (found["spec"].get("publish") or {}).get("id") != publish["id"]:
            raise NotPublished(f"somebody has changed spec.publish of '{name}' meanwhile")
        status = found.get("status") or {}
        if (status.get("observedGeneration") or 0) >= asked["metadata"]["generation"]:
            _check_ready(found)
            condition = _condition(found, "Published")
            if condition.get("status") == "True" and status["version"]["id"] == publish["id"]:
                version = status["version"]
                return Published(version["number"], version["revision"], version["id"])
            if condition.get("reason") not in (None, versions.PUBLISHING):
                raise NotPublished(f"'{name}' is not published: {condition.get('message')}")
        await asyncio.sleep(POLL_SECONDS)


def _check_ready(machine: Obj) -> None:
    ready = _condition(machine, "Ready")
    if ready.get("status") != "True":
        name = machine["metadata"]["name"]
        raise NotPublished(f"'{name}' cannot run, and is not published: {ready.get('message')}")


def _condition(machine: Obj, kind: str) -> Mapping[str, Any]:
    conditions = (machine.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


async def _machine(api: Objects, namespace: str, name: str) -> Obj:
    try:
        return await api.get(STATE_MACHINES, namespace, name)
    except Missing:
        message = f"there is no StateMachine named '{name}' in namespace '{namespace}'"
        raise ValueError(message) from None


def listed(place: Cluster, machine: str) -> list[Listed]:
    """The versions of a machine, the newest first. Raises: ValueError, Fault, as `publish`."""

    async def work(api: ClusterApi, namespace: str) -> list[Listed]:
        found = await versions.published(api, namespace, machine)
        if not found:
            await _machine(api, namespace, machine)  # one that is gone may have versions
        aliases = await _aliases(api, namespace, machine)
        return [_listed(obj, aliases) for obj in reversed(found)]

    return on_cluster(place, work)


def unpublish(place: Cluster, machine: str, number: int) -> Obj:
    """Take a version back; gives its revision.

    Raises:
        ValueError: there is no such version, an alias names it, or as `publish`.
        Fault: as `publish`.
    """

    async def work(api: ClusterApi, namespace: str) -> Obj:
        found = await versions.version(api, namespace, machine, number)
        if found is None:
            await _machine(api, namespace, machine)
            raise ValueError(f"StateMachine '{machine}' has no version {number}")
        named = _listed(found, await _aliases(api, namespace, machine)).aliases
        if named:
            said = " and ".join(f"'{name}'" for name, _ in named)
            raise ValueError(
                f"version {number} of '{machine}' is named by the alias {said}: change that first"
            )
        patch = versions.withdrawal(found)
        return await api.patch(REVISIONS, namespace, found["metadata"]["name"], patch)

    return on_cluster(place, work)


async def _aliases(api: Objects, namespace: str, machine: str) -> list[Obj]:
    fields = f"spec.stateMachineRef.name={machine}"
    return (await api.list(ALIASES, namespace, fields=fields)).items


def _listed(revision: Obj, aliases: Sequence[Obj]) -> Listed:
    number = versions.number_of(revision)
    assert number is not None
    named = [
        (versions.name_of(alias), weight)
        for alias in aliases
        for version, weight in versions.routes_of(alias)
        if version == number
    ]
    return Listed(number, revision, named)
