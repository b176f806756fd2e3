"""Versions of machines: published, numbered revisions.

One rule: a number is promised in the machine's status before the revision has it as a label: no two
revisions are ever given the same one, whoever else publishes and wherever a process ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treadle.asl.limits import VERSIONS_MAX
from treadle.engine.times import aws_text
from treadle.kube import versions
from treadle.kube.api import Obj, Objects
from treadle.kube.conditions import set_condition
from treadle.kube.kinds import REVISIONS, STATE_MACHINES
from treadle.runtime.ports import Clock, Conflict, Missing, Request, Unavailable
from treadle.stores.afresh import Afresh

PUBLISHED = "Published"
"""The condition of a StateMachine that says whether what was asked for is a version."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version that an execution runs, and the name of its revision."""

    number: int
    revision: str


class Versions:
    """Publishes revisions, and finds those that were."""

    def __init__(self, api: Objects, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._version = Afresh[tuple[str, str, int], Obj | None](
            lambda key: versions.version(api, *key)
        )
        self._alias = Afresh[tuple[str, str, str], Obj | None](
            lambda key: versions.alias(api, *key)
        )

    # ---------------------------------------------------------------------------- publishing

    async def promise(self, machine: Obj, status: dict[str, Any], revision: Obj | None) -> None:
        """Add to the status of a machine what becomes of its spec.publish. Raises: Fault.

        Args:
            machine: as it is stored.
            status: it is changed.
            revision: the present one; None where the machine cannot run.
        """
        publish = machine["spec"].get("publish")
        known = status.get("version") or {}
        if not publish:
            return
        if publish["id"] == known.get("id"):
            self._tell(machine, status, True, "Published", f"it is version {known['number']}")
            return
        if revision is None:
            message = "it is published once it is Ready, which says what is wrong"
            self._tell(machine, status, False, "NotReady", message)
            return
        metadata = machine["metadata"]
        there = await versions.published(self._api, metadata["namespace"], metadata["name"])
        # An id that somebody goes back to, as a tool does that puts a manifest back, publishes
        # nothing else; and what is a version already is no other one.
        same = [obj for obj in there if versions.id_of(obj) == publish["id"]]
        same += [obj for obj in there if obj["metadata"]["uid"] == revision["metadata"]["uid"]]
        numbers = [versions.number_of(obj) or 0 for obj in there]
        latest = max([known.get("latest", 0), *numbers])
        if same:
            given = versions.number_of(same[0]) or 0
            self._tell(machine, status, True, "Published", f"it is version {given}")
            revision = same[0]
        elif len(there) >= VERSIONS_MAX:
            message = (
                f"{len(there):,} versions are there, and a StateMachine may have {VERSIONS_MAX:,}; "
                "remove some with `treadle unpublish`, and publish with another id"
            )
            self._tell(machine, status, False, "TooManyVersions", message)
            return
        else:
            given = latest + 1
            message = f"it becomes version {given}"
            self._tell(machine, status, False, versions.PUBLISHING, message)
        status["version"] = {
            "number": given,
            "id": publish["id"],
            "revision": revision["metadata"]["name"],
            "latest": max(latest, given),
            "at": aws_text(self._clock()),
        }

    async def keep(self, machine: Obj) -> Obj:
        """Give the number that a machine's status promises; gives the machine as it is then.

        Raises:
            Conflict: somebody changed the machine; all the same it may be given.
            Fault: ask again.
        """
        if not versions.is_publishing(machine):
            return machine
        metadata, promised = machine["metadata"], machine["status"]["version"]
        place = (metadata["namespace"], metadata["name"])
        try:
            revision = await self._api.get(REVISIONS, place[0], promised["revision"])
        except Missing:
            return await self._broken(machine)
        number = versions.number_of(revision)
        if number is None:
            # Read after the revision: where another process has kept the promise meanwhile, and
            # somebody removed the version again, it must not come back.
            now = await self._api.get(STATE_MACHINES, *place)
            if not versions.is_publishing(now) or now["status"]["version"] != promised:
                return now
            machine, number = now, promised["number"]
            publish = {"id": promised["id"], **_described(machine, promised)}
            patch = versions.publication(revision, number, publish, self._api.now())
            try:
                await self._api.patch(REVISIONS, place[0], promised["revision"], patch)
            except Conflict as why:
                raise Unavailable(f"the revision {promised['revision']} was changed") from why
        return await self._kept(machine, number)

    async def _kept(self, machine: Obj, number: int) -> Obj:
        status = dict(machine["status"])
        status["version"] = {**status["version"], "number": number}
        self._tell(machine, status, True, "Published", f"it is version {number}")
        return await self._write(machine, status)

    async def _broken(self, machine: Obj) -> Obj:
        """Somebody deleted the revision; where it is made again, it is asked for anew."""
        status = dict(machine["status"])
        status["version"] = {**status["version"], "id": ""}
        name = status["version"]["revision"]
        message = f"the StateMachineRevision {name} was deleted; publish with another id"
        self._tell(machine, status, False, "RevisionMissing", message)
        return await self._write(machine, status)

    async def _write(self, machine: Obj, status: Mapping[str, Any]) -> Obj:
        namespace = machine["metadata"]["namespace"]
        written = {**machine, "status": dict(status)}
        return await self._api.update_status(STATE_MACHINES, namespace, written)

    def _tell(
        self, machine: Obj, status: dict[str, Any], holds: bool, reason: str, message: str
    ) -> None:
        status["conditions"] = set_condition(
            status.get("conditions") or [],
            PUBLISHED,
            "True" if holds else "False",
            reason,
            message,
            self._clock(),
            machine["metadata"]["generation"],
        )

    # ------------------------------------------------------------------------------- finding

    async def chosen(self, namespace: str, request: Request, chance: float) -> Chosen | str:
        """The version that an execution names itself or through an alias, as it is now.

        Args:
            namespace: of both.
            request: names one of the two.
            chance: see `versions.picked`.

        Returns:
            It, or the sentence that says what there is not.

        Raises:
            Fault: ask again.
        """
        machine, number, through = request.machine, request.version, ""
        if request.alias is not None:
            try:
                alias = await self._alias((namespace, machine, request.alias))
            except Missing:
                alias = None  # nor is there such a kind
            if alias is None:
                return f"StateMachine '{machine}' has no alias '{request.alias}'"
            number = versions.picked(versions.routes_of(alias), chance)
            through = f", which its alias '{request.alias}' names"
        assert number is not None
        revision = await self._version((namespace, machine, number))
        if revision is None:
            return f"StateMachine '{machine}' has no version {number}{through}"
        return Chosen(number, revision["metadata"]["name"])


def _described(machine: Obj, promised: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the version is said to be, where the machine still says so."""
    publish = machine["spec"].get("publish") or {}
    said = publish.get("description") if publish.get("id") == promised["id"] else None
    return {} if said is None else {"description": said}
