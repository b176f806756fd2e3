"""What people do to executions of a cluster: start, stop, suspend, redrive.

One rule: it is asked for in an Execution's spec, and the operator does it.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from treadle.app import deciding
from treadle.app.looking import Cluster, on_cluster
from treadle.asl.json import Json
from treadle.asl.limits import APPROVAL_WHO_CHARS_MAX
from treadle.kube import versions
from treadle.kube.api import ClusterApi, Obj, Objects
from treadle.kube.decode import is_judged
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import TERMINAL, Fault, Missing, Refused, Unavailable

AT_ONCE_MAX: Final = 10
"""Executions that something is done to at the same time."""

ANSWER_SECONDS = 30.0
"""How long an operator may take to say what becomes of a redrive."""

LOOK_SECONDS = 0.2
"""How often it is looked for."""

_POLICY = "denied request: "


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an execution shall run: a StateMachine by its name, perhaps a version or an alias."""

    machine: str
    version: int | None = None
    alias: str | None = None

    @property
    def ref(self) -> Obj:
        """As an Execution names it."""
        return versions.reference(self.machine, self.version, self.alias)


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
    # What is not judged yet is judged when the execution starts.
    return _judged_wrong(found) if is_judged(found) else ""


def _judged_wrong(machine: Obj) -> str:
    for each in (machine.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Ready" and each.get("status") == "False":
            name = machine["metadata"]["name"]
            return f"StateMachine '{name}' cannot run: {each.get('message')}"
    return ""


async def _lacks(api: Objects, namespace: str, wanted: Wanted) -> str:
    machine, alias = wanted.machine, wanted.alias
    named, through = ([] if wanted.version is None else [wanted.version]), ""
    if alias is not None:
        found = await versions.alias(api, namespace, machine, alias)
        if found is None:
            return f"StateMachine '{machine}' has no alias '{alias}'"
        named = [version for version, weight in versions.routes_of(found) if weight]
        through = f", which its alias '{alias}' names"
    for version in named:
        if await versions.version(api, namespace, machine, version) is None:
            return f"StateMachine '{machine}' has no version {version}{through}"
    return ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Executions: those with these names, or else those that a label selector finds."""

    names: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request about one execution.

    Attributes:
        name: of the execution.
        execution: as it is now; None where something is wrong.
        unchanged: why nothing was asked for; empty where it was.
        wrong: why it was not done; a sentence.
    """

    name: str
    execution: Obj | None = None
    unchanged: str = ""
    wrong: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing was asked for because the execution has ended."""
        return bool(self.unchanged) and _phase(self.execution or {}) in TERMINAL


Told: TypeAlias = Callable[[Outcome], None]
"""What to do with each outcome, once it is known; in the order of the executions."""


@dataclass(frozen=True, slots=True)
class Redrive:
    """How executions shall go on; see `spec.redrive`.

    Attributes:
        state: to enter anew.
        input: for it, JSON text.
        variables: to assign before.
        revision: to go on with.
        latest: the current revision of the StateMachine is the one.
    """

    state: str | None = None
    input: str | None = None
    variables: Mapping[str, Json] | None = None
    revision: str | None = None
    latest: bool = False


def stop(place: Cluster, chosen: Chosen, error: str | None, cause: str | None, told: Told) -> None:
    """Ask for the end of executions.

    Raises:
        ValueError: there is no way into the cluster.
        Fault: the API server says nothing of which there are.
    """

    async def ask(hands: _Hands, found: Obj) -> Outcome:
        name = found["metadata"]["name"]
        if "stop" in found["spec"]:
            return Outcome(name, found, unchanged="is being stopped already")
        asked = {"error": error, "cause": cause, "by": await hands.by()}
        given = {member: value for member, value in asked.items() if value is not None}
        return Outcome(name, await hands.patch(name, {"spec": {"stop": given}}))

    _each(place, chosen, _why_not_changed, ask, told)


def suspend(place: Cluster, chosen: Chosen, suspended: bool, told: Told) -> None:
    """Ask that nothing new starts, or that it goes on. Raises: as `stop`."""

    async def ask(hands: _Hands, found: Obj) -> Outcome:
        name = found["metadata"]["name"]
        asked: dict[str, Json] = {"suspend": suspended}
        by = await hands.by() if found["spec"].get("suspend", False) != suspended else None
        if by is not None:
            # Where it is changed meanwhile, this is about no change: refused, or not believed.
            uid, generation = (found["metadata"][name] for name in ("uid", "generation"))
            asked["suspendBy"] = {"by": by, "uid": uid, "generation": generation + 1}
        return Outcome(name, await hands.patch(name, {"spec": asked}))

    _each(place, chosen, _why_not_changed, ask, told)


def redrive(place: Cluster, chosen: Chosen, how: Redrive, told: Told) -> None:
    """Ask that executions go on which did not succeed, and wait for the answers.

    Raises: as `stop`.
    """
    wish = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}-{secrets.token_hex(4)}"

    async def ask(hands: _Hands, found: Obj) -> Outcome:
        asked = {
            "id": wish,
            "from": how.state,
            "inputJson": how.input,
            "variables": how.variables,
            "revision": await hands.latest_of(found) if how.latest else how.revision,
            "by": await hands.by(),
        }
        given = {member: value for member, value in asked.items() if value is not None}
        # It replaces all of an earlier one, and keeps what is null in the variables.
        patch = [{"op": "add", "path": "/spec/redrive", "value": given}]
        if "stop" in found["spec"]:
            patch.append({"op": "remove", "path": "/spec/stop"})
        name = found["metadata"]["name"]
        await hands.patch(name, patch)
        return await hands.answered(name, wish)

    _each(place, chosen, _why_not_redriven, ask, told)


def _why_not_changed(phase: str) -> str:
    return f"has ended before: {phase}" if phase in TERMINAL else ""


def _why_not_redriven(phase: str) -> str:
    if phase == "Succeeded":
        return "has succeeded"
    return "" if phase in TERMINAL else f"has not ended: {phase or 'it has not begun'}"


# ------------------------------------------------------------------------------------ one by one


class _Hands:
    """What is done in one namespace in somebody's name."""

    def __init__(self, api: ClusterApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._by: asyncio.Task[str | None] | None = None

    async def by(self) -> str | None:
        """Who we are, where the API server says it; it is asked once."""
        if self._by is None:
            self._by = asyncio.create_task(self._asked())
        return await self._by

    async def _asked(self) -> str | None:
        with suppress(Fault):
            user = (await deciding.who_am_i(self._api)).user
            # A longer one has no room there, and is no reason not to do what is asked.
            return user if len(user) <= APPROVAL_WHO_CHARS_MAX else None
        return None

    async def chosen(self, chosen: Chosen, why_not: Callable[[str], str]) -> list[str]:
        """The names; those that labels choose are those to which it can be done."""
        if chosen.selector is None:
            return list(dict.fromkeys(chosen.names))
        found = await self._api.list(EXECUTIONS, self._namespace, labels=chosen.selector)
        return sorted(obj["metadata"]["name"] for obj in found.items if not why_not(_phase(obj)))

    async def get(self, name: str) -> Obj:
        """An Execution."""
        return await self._api.get(EXECUTIONS, self._namespace, name)

    async def patch(self, name: str, patch: Json) -> Obj:
        """An Execution, changed by a merge patch, or by a list of operations."""
        form: Literal["json", "merge"] = "json" if isinstance(patch, list) else "merge"
        return await self._api.patch(EXECUTIONS, self._namespace, name, patch, form=form)

    async def latest_of(self, execution: Obj) -> str:
        """The current revision of its machine. Raises: ValueError, Fault."""
        name = execution["spec"]["stateMachineRef"]["name"]
        machine = await self._api.get(STATE_MACHINES, self._namespace, name)
        if not is_judged(machine):
            raise ValueError(f"StateMachine '{name}' is not judged yet; try again in a moment")
        wrong = _judged_wrong(machine)
        if wrong:
            raise ValueError(wrong)
        return str(machine["status"]["revision"]["name"])

    async def answered(self, name: str, wish: str) -> Outcome:
        """What an operator says of a redrive."""
        until = _loop_time() + ANSWER_SECONDS
        while True:
            with suppress(Unavailable):
                found = await self.get(name)
                answer = (found.get("status") or {}).get("redrive") or {}
                if answer.get("id") == wish:
                    refused = answer.get("refused")
                    wrong = f"the redrive was refused: {refused}" if refused else ""
                    return Outcome(name, found, wrong=wrong)
                if (found["spec"].get("redrive") or {}).get("id") != wish:
                    return Outcome(name, wrong="somebody has asked for another redrive meanwhile")
            if _loop_time() >= until:
                said = f"no operator has answered within {ANSWER_SECONDS:.0f} s"
                return Outcome(name, wrong=f"{said}; it is still asked for: see `treadle why`")
            await asyncio.sleep(LOOK_SECONDS)


def _each(
    place: Cluster,
    chosen: Chosen,
    why_not: Callable[[str], str],
    ask: Callable[[_Hands, Obj], Awaitable[Outcome]],
    told: Told,
) -> None:
    async def work(api: ClusterApi, namespace: str) -> None:
        hands, slots = _Hands(api, namespace), asyncio.Semaphore(AT_ONCE_MAX)

        async def one(name: str) -> Outcome:
            async with slots:
                return await _tried(hands, name, why_not, ask)

        names = await hands.chosen(chosen, why_not)
        tasks = deque(asyncio.create_task(one(name)) for name in names)
        while tasks:
            told(await tasks.popleft())  # each holds an Execution, and they may be thousands

    on_cluster(place, work)


async def _tried(
    hands: _Hands,
    name: str,
    why_not: Callable[[str], str],
    ask: Callable[[_Hands, Obj], Awaitable[Outcome]],
) -> Outcome:
    """What becomes of one; what is wrong with it keeps no other from being done."""
    try:
        found = await hands.get(name)
    except Missing:
        return Outcome(name, wrong=f"there is no execution named '{name}'; see `treadle get`")
    except Fault as why:
        return Outcome(name, wrong=str(why))
    reason = why_not(_phase(found))
    if reason:
        return Outcome(name, found, unchanged=reason)
    try:
        return await ask(hands, found)
    except Refused as why:
        said = why.message.partition(_POLICY)[2]
        return Outcome(name, wrong=f"you may not do this: {said}" if said else str(why))
    except (Fault, ValueError) as why:
        return Outcome(name, wrong=str(why))


def _phase(execution: Obj) -> str:
    return str((execution.get("status") or {}).get("phase", ""))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
