"""Aliases of machines, and whether what they name is there.

One rule: a status tells people; an execution that starts reads the alias and the version itself.
"""

from collections.abc import Collection, Iterable, Sequence

from treadle.asl.limits import ALIASES_MAX
from treadle.kube import versions
from treadle.kube.api import Obj, Objects
from treadle.kube.conditions import set_condition
from treadle.kube.kinds import ALIASES, STATE_MACHINES
from treadle.runtime.ports import Clock, Conflict, Missing


class Aliases:
    """Judges the aliases of machines that are known to have some."""

    def __init__(self, api: Objects, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._machines: set[tuple[str, str]] = set()

    def seen(self, namespace: str, machine: str) -> None:
        """A machine has an alias, or had one."""
        self._machines.add((namespace, machine))

    def has(self, namespace: str, machine: str) -> bool:
        """Whether a machine may have aliases."""
        return (namespace, machine) in self._machines

    async def judge(self, namespace: str, machine: str) -> bool:
        """Judge all aliases of a machine; gives whether a status changed. Raises: Fault."""
        fields = f"spec.stateMachineRef.name={machine}"
        aliases = (await self._api.list(ALIASES, namespace, fields=fields)).items
        if not aliases:
            self._machines.discard((namespace, machine))
            return False
        try:
            await self._api.get(STATE_MACHINES, namespace, machine)
        except Missing:
            return await self._judge(aliases, None)
        there = await versions.published(self._api, namespace, machine)
        return await self._judge(aliases, _numbers(there))

    async def compare(
        self,
        namespaces: Sequence[str | None],
        machines: Iterable[Obj],
        revisions: Iterable[Obj],
    ) -> None:
        """Judge all aliases by complete lists of what they are about. Raises: Fault."""
        if not self._machines:
            return
        there: dict[tuple[str, str], set[int]] = {_place(obj): set() for obj in machines}
        for revision in revisions:
            number = versions.number_of(revision)
            place = (revision["metadata"]["namespace"], revision["spec"]["stateMachine"])
            if number is not None and place in there:
                there[place].add(number)
        aliases: dict[tuple[str, str], list[Obj]] = {}
        for namespace in namespaces:
            for alias in (await self._api.list(ALIASES, namespace)).items:
                place = (alias["metadata"]["namespace"], versions.machine_of(alias))
                aliases.setdefault(place, []).append(alias)
        for place, those in aliases.items():
            await self._judge(those, there.get(place))

    async def _judge(self, aliases: Sequence[Obj], numbers: Collection[int] | None) -> bool:
        """Judge all aliases of a machine. `numbers`: of its versions; None without the machine."""
        changed = False
        before: dict[str, str] = {}  # what is called so, by what it is called
        for count, alias in enumerate(versions.in_order(aliases)):
            reason, message = _verdict(alias, numbers, before, count)
            before.setdefault(versions.name_of(alias), alias["metadata"]["name"])
            changed = await self._tell(alias, reason, message) or changed
        return changed

    async def _tell(self, alias: Obj, reason: str, message: str) -> bool:
        metadata, status = alias["metadata"], dict(alias.get("status") or {})
        status["observedGeneration"] = generation = metadata["generation"]
        status["conditions"] = set_condition(
            status.get("conditions") or [],
            "Ready",
            "False" if message else "True",
            reason,
            message or "executions may start through it",
            self._clock(),
            generation,
        )
        if status == alias.get("status"):
            return False
        try:
            await self._api.update_status(
                ALIASES, metadata["namespace"], {**alias, "status": status}
            )
        except (Conflict, Missing):
            return False  # whoever changed it will have it judged again
        return True


def _verdict(
    alias: Obj, numbers: Collection[int] | None, before: dict[str, str], count: int
) -> tuple[str, str]:
    """The reason, and what is wrong with an alias; "" where nothing is."""
    machine, name = versions.machine_of(alias), versions.name_of(alias)
    if count >= ALIASES_MAX:
        return "TooManyAliases", (
            f"StateMachine '{machine}' has {ALIASES_MAX} older aliases, and may have no more"
        )
    if name in before:
        return "NameTaken", (
            f"the alias '{name}' of StateMachine '{machine}' is the StateMachineAlias "
            f"{before[name]} already, which is older"
        )
    if numbers is None:
        return "MachineMissing", f"StateMachine '{machine}' does not exist"
    for version, _ in versions.routes_of(alias):
        if version not in numbers:
            return "VersionMissing", f"StateMachine '{machine}' has no version {version}"
    return "VersionsFound", ""


def _numbers(revisions: Iterable[Obj]) -> set[int]:
    return {number for obj in revisions if (number := versions.number_of(obj)) is not None}


def _place(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
