"""What people do to executions of a cluster: start, stop, suspend.

One rule: it is asked for in an Execution's spec, and the operator does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from treadle.app.looking import Cluster, on_cluster
from treadle.asl.json import Json
from treadle.kube import versions
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import TERMINAL, Missing, Refused

_POLICY = "denied request: "


class NotAllowed(Exception):  # noqa: N818 - it says what happened
    """An admission policy refuses it; the sentence is the policy's."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an execution shall run: a StateMachine by its name, perhaps a version or an alias."""

    machine: str
    version: int | None = None
    alias: str | None = None

    @property
    def ref(self) -> dict[str, Json]:
        """As an Execution names it."""
        given = {"name": self.machine, "version": self.version, "alias": self.alias}
        return {member: value for member, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Start:
    """An execution to start.

    Attributes:
        wanted: what it runs.
        name: of the Execution; None for the machine's with something that makes it new.
        input: JSON text; None for the usual one.
    """

    wanted: Wanted
    name: str | None
    input: str | None


def start(place: Cluster, asked: Start) -> Obj:
    """Create an Execution.

    Raises:
        ValueError: there is no such machine, it cannot run, or there is no way into the cluster.
        Fault: the API server refuses, or is away.
    """

    async def work(api: ClusterApi, namespace: str) -> Obj:
        wanted = asked.wanted
        wrong = await _wrong_with(api, namespace, wanted)
        if wrong:
            raise ValueError(wrong)
        spec: dict[str, Json] = {"stateMachineRef": wanted.ref}
        if asked.input is not None:
            spec["inputJson"] = asked.input
        made = EXECUTIONS.manifest(asked.name or "", spec)
        if asked.name is None:
            made["metadata"] = {"generateName": f"{wanted.machine}-"}
        return await api.create(EXECUTIONS, namespace, made)

    return on_cluster(place, work)


async def _wrong_with(api: Objects, namespace: str, wanted: Wanted) -> str:
    """Why this cannot run; empty where it can, or nobody may say."""
    machine = wanted.machine
    try:
        found = await api.get(STATE_MACHINES, namespace, machine)
        if wanted.version is not None or wanted.alias is not None:
            return await _lacks(api, namespace, wanted)  # what the machine is now is not run
    except Missing:
        return f"there is no StateMachine named '{machine}' in namespace '{namespace}'"
    except Refused:
        return ""
    status = found.get("status") or {}
    if status.get("observedGeneration") != found["metadata"].get("generation"):
        return ""  # it is judged when the execution starts
    for each in status.get("conditions") or ():
        if each.get("type") == "Ready" and each.get("status") == "False":
            return f"StateMachine '{machine}' cannot run: {each.get('message')}"
    return ""


async def _lacks(api: Objects, namespace: str, wanted: Wanted) -> str:
    machine, version, alias = wanted.machine, wanted.version, wanted.alias
    if version is not None and not await versions.version(api, namespace, machine, version):
        return f"StateMachine '{machine}' has no version {version}"
    if alias is not None and not await versions.alias(api, namespace, machine, alias):
        return f"StateMachine '{machine}' has no alias '{alias}'"
    return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request: the Execution, and whether it had ended before."""

    execution: Obj
    was_over: bool


def stop(place: Cluster, name: str, error: str | None, cause: str | None) -> Asked:
    """Ask for the end of an execution. Raises: NotAllowed; and as `start`, Missing."""
    given = {"error": error, "cause": cause}
    return _change(place, name, {"stop": {k: v for k, v in given.items() if v is not None}})


def suspend(place: Cluster, name: str, suspended: bool) -> Asked:
    """Ask that nothing new starts, or that it goes on. Raises: as `stop`."""
    return _change(place, name, {"suspend": suspended})


def _change(place: Cluster, name: str, spec: Mapping[str, Json]) -> Asked:
    async def work(api: ClusterApi, namespace: str) -> Asked:
        found = await api.get(EXECUTIONS, namespace, name)
        if (found.get("status") or {}).get("phase") in TERMINAL:
            return Asked(found, was_over=True)
        try:
            changed = await api.patch(EXECUTIONS, namespace, name, {"spec": dict(spec)})
        except Refused as why:
            said = why.message.partition(_POLICY)[2]
            if said:
                raise NotAllowed(said) from why
            raise
        return Asked(changed, was_over=False)

    return on_cluster(place, work)
