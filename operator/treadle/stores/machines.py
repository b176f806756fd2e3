"""StateMachines: judged once a generation, pinned as immutable revisions.

One rule: an execution runs a revision, never the machine; what it pins cannot change under it.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from treadle.asl import document
from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.json import Json
from treadle.asl.program import Program
from treadle.kube import names, versions
from treadle.kube.api import Obj, Objects
from treadle.kube.conditions import set_condition
from treadle.kube.decode import is_judged, is_settled
from treadle.kube.kinds import EXECUTIONS, REVISIONS, STATE_MACHINES, Kind
from treadle.runtime.ports import (
    Clock,
    Conflict,
    MachineUnready,
    Missing,
    Pinned,
    Request,
)
from treadle.stores import limiting
from treadle.stores.afresh import Afresh
from treadle.stores.aliases import Aliases
from treadle.stores.judgement import PODS, Installation, as_status, is_express, judge
from treadle.stores.touching import create_or_touch, remove_unchanged, touch, touched_at
from treadle.stores.versions import Versions

_log = logging.getLogger(__name__)

PROGRAMS_MAX = 256
STATUS_PROBLEMS_MAX = 100  # in a status; the first ones
SPARE_SECONDS = 120.0  # design.md section 4: how long a revision outlives its use
_HELD = ("definition", "type", "functions", "limits", *PODS)


class RevisionMachines:
    """Judges machines, and reads what executions pin. `aliases` are those of machines."""

    def __init__(self, api: Objects, clock: Clock, installation: Installation) -> None:
        self._api = api
        self._installation = installation
        self._clock = clock
        self._programs: OrderedDict[str, Program] = OrderedDict()
        self._pinned: OrderedDict[tuple[str, str], Pinned] = OrderedDict()
        self._versions = Versions(api, clock)
        self.aliases = Aliases(api, clock)
        self._read = Afresh[tuple[str, str], Obj](lambda key: api.get(STATE_MACHINES, *key))
        self._parsing: dict[str, asyncio.Task[Program]] = {}
        self._spare_since: dict[str, float] = {}

    # ------------------------------------------------------------------------------- judging

    async def judge(self, namespace: str, name: str) -> bool:
        """Read a machine, write its revision and its status. Raises: Fault.

        Returns:
            Whether something changed.
        """
        try:
            obj = await self._api.get(STATE_MACHINES, namespace, name)
        except Missing:
            return False
        try:
            kept = await self._versions.keep(obj)  # of a process that ended in the middle, or ours
            if is_judged(kept):
                status = kept["status"]
                revision = (status.get("revision") or {}).get("name")
                if not _is_ready(status) or await self._has_revision(namespace, revision):
                    return kept is not obj
            judged = await self._judged(namespace, name, kept)
            await self._versions.keep(
                await self._api.update_status(STATE_MACHINES, namespace, judged)
            )
        except (Conflict, Missing):
            return False  # whoever changed it will have it judged again
        return True

    async def _has_revision(self, namespace: str, name: str | None) -> bool:
        try:
            await self._api.get(REVISIONS, namespace, name or "")
        except Missing:
            return False
        return True

    async def _judged(self, namespace: str, name: str, obj: Obj) -> Obj:
        spec = obj["spec"]
        # In a thread: a long text takes seconds, and the Lease must be renewed meanwhile.
        judgement = await asyncio.to_thread(judge, obj, self._installation)
        errors, reason = judgement.errors, judgement.reason
        digest, revision = "", None
        if not errors:
            digest = digest_of(spec)
            revision = await self._write_revision(namespace, name, spec, digest)
            if revision is not None:
                assert judgement.program is not None
                self._keep(digest, judgement.program)
            else:
                reason, errors = "RevisionNameTaken", (_name_taken(name, digest),)
        status: dict[str, Any] = dict(obj.get("status") or {})
        generation = obj["metadata"]["generation"]
        status["observedGeneration"] = generation
        told = judgement.problems[:STATUS_PROBLEMS_MAX]
        status["problems"] = [dict(as_status(problem)) for problem in told]
        now = self._clock()
        conditions = status.get("conditions") or []
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            message = f"{errors[0].pointer or '/'}: {errors[0].message}{more}"
            status["conditions"] = set_condition(
                conditions, "Ready", "False", reason, message, now, generation
            )
        else:
            assert revision is not None
            status["revision"] = {"name": revision["metadata"]["name"], "digest": digest}
            message = "executions may start"
            status["conditions"] = set_condition(
                conditions, "Ready", "True", "Valid", message, now, generation
            )
        await self._versions.promise(obj, status, None if errors else revision)
        return {**obj, "status": status}

    async def _write_revision(
        self, namespace: str, machine: str, spec: Mapping[str, Json], digest: str
    ) -> Obj | None:
        """Make the revision exist; gives it, or None where another has its name."""
        name = names.revision(machine, digest)
        held = {member: spec[member] for member in _HELD if member in spec}
        manifest = {
            "apiVersion": REVISIONS.api_version,
            "kind": REVISIONS.name,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"stateMachine": machine, "digest": digest, **held},
        }
        found = await create_or_touch(self._api, REVISIONS, namespace, manifest)
        return found if digest_of(found["spec"]) == digest else None

    # ------------------------------------------------------------------------------- reading

    async def chosen(
        self, namespace: str, request: Request, chance: float
    ) -> Pinned | MachineUnready:
        """See `ports.Machines`."""
        if request.version is None and request.alias is None:
            return await self.current(namespace, request.machine)
        try:
            machine = await self._read((namespace, request.machine))
        except Missing:
            return _missing(request.machine)
        found = await self._versions.chosen(namespace, request, chance)
        if isinstance(found, str):
            # It may be asked for, and be published when we come to it.
            return MachineUnready(False, found, unjudged=not is_settled(machine))
        try:
            pinned = await self.pinned(namespace, found.revision)
        except Missing as why:
            version = f"version {found.number} of StateMachine '{request.machine}'"
            return MachineUnready(False, f"{version} cannot be run: {why}")
        return replace(pinned, published=found.number)

    async def current(self, namespace: str, name: str) -> Pinned | MachineUnready:
        """The current revision of a machine, read afresh. Raises: Fault."""
        try:
            obj = await self._read((namespace, name))
        except Missing:
            return _missing(name)
        status = obj.get("status") or {}
        if not is_judged(obj):
            message = f"StateMachine '{name}' is not judged yet"
            return MachineUnready(False, message, unjudged=True)
        ready = _ready(status)
        if ready.get("status") != "True":
            message = ready.get("message", "it is not Ready")
            return MachineUnready(True, f"StateMachine '{name}': {message}")
        revision = status["revision"]
        try:
            pinned = await self.pinned(namespace, revision["name"])
            if pinned.digest == revision["digest"]:
                return pinned
            # Somebody deleted the one that is known, and another has its name now.
            self._pinned.pop((namespace, revision["name"]), None)
            return await self.pinned(namespace, revision["name"])
        except Missing:
            return MachineUnready(False, f"the revision of StateMachine '{name}' is missing")

    async def pinned(self, namespace: str, revision: str) -> Pinned:
        """See `ports.Machines`."""
        key = (namespace, revision)
        found = self._pinned.get(key)
        if found is not None:
            self._pinned.move_to_end(key)
            return found
        obj = await self._api.get(REVISIONS, namespace, revision)
        spec = obj["spec"]
        digest = spec["digest"]
        if digest_of(spec) != digest:
            # Programs are kept by digest: one that lies about its own must not stand for another's.
            raise Missing(f"the revision {revision} is not what its digest says")
        pods = {member: spec[member] for member in PODS if member in spec}
        program = await self._program(digest, spec)
        ours = self._installation.limits
        limits = limiting.resolved(spec, ours, express=is_express(spec))
        named = spec.get("functions", {})
        answered = self._installation.answered or frozenset()
        machine = spec["stateMachine"]
        pinned = Pinned(revision, program, digest, pods, named, limits, answered, machine)
        self._pinned[key] = pinned
        while len(self._pinned) > PROGRAMS_MAX:
            self._pinned.popitem(last=False)
        return pinned

    async def taken(self, namespace: str, revision: str) -> Pinned:
        """See `ports.Machines`."""
        # It may be about to be removed, and what is known here may be removed already.
        await touch(self._api, REVISIONS, namespace, revision)
        return await self.pinned(namespace, revision)

    async def _program(self, digest: str, spec: Mapping[str, Json]) -> Program:
        """The parsed definition; those who wait for the same one share the work."""
        program = self._programs.get(digest)
        if program is not None:
            return program
        parsing = self._parsing.get(digest)
        if parsing is None:
            parsing = asyncio.ensure_future(self._parse(digest, spec))
            self._parsing[digest] = parsing
            parsing.add_done_callback(lambda _: self._parsing.pop(digest, None))
        return await asyncio.shield(parsing)

    async def _parse(self, digest: str, spec: Mapping[str, Json]) -> Program:
        definition, express = spec["definition"], is_express(spec)
        try:
            program = await asyncio.to_thread(document.parse, definition, express=express)
        except InvalidDocument as why:
            # It was valid when it was written: this release judges it differently.
            raise Missing(f"the revision is no longer valid: {why}") from why
        self._keep(digest, program)
        return program

    def _keep(self, digest: str, program: Program) -> None:
        self._programs.setdefault(digest, program)
        while len(self._programs) > PROGRAMS_MAX:
            self._programs.popitem(last=False)

    # ------------------------------------------------------------------------------- tidying

    async def sweep(self, namespaces: Sequence[str | None] = (None,)) -> None:
        """Remove revisions that nothing uses. Raises: Fault."""
        loop_time = asyncio.get_running_loop().time()
        revisions = await self._list(REVISIONS, namespaces)
        machines = await self._list(STATE_MACHINES, namespaces)
        await self.aliases.compare(namespaces, machines, revisions)
        needed = {_place(m, name) for m in machines for name in _needed(m)}
        spare = [
            r
            for r in revisions
            if _place(r, r["metadata"]["name"]) not in needed and versions.number_of(r) is None
        ]
        uids = {r["metadata"]["uid"] for r in spare}
        self._spare_since = {uid: self._spare_since.get(uid, loop_time) for uid in uids}
        due = [
            r
            for r in spare
            if loop_time - self._spare_since[r["metadata"]["uid"]] >= SPARE_SECONDS
            and (self._api.now() - touched_at(r)).total_seconds() >= SPARE_SECONDS
        ]
        if not due:
            return
        executions = await self._list(EXECUTIONS, namespaces)
        used = {_place(e, name) for e in executions for name in _named(e)}
        for obj in due:
            if _place(obj, obj["metadata"]["name"]) not in used:
                await self._remove(obj)
            else:
                # Executions are many: they are not all listed again at each sweep for its sake.
                self._spare_since[obj["metadata"]["uid"]] = loop_time

    async def _list(self, kind: Kind, namespaces: Sequence[str | None]) -> list[Obj]:
        found: list[Obj] = []
        for namespace in namespaces:
            found += (await self._api.list(kind, namespace)).items
        return found

    async def _remove(self, obj: Obj) -> None:
        if await remove_unchanged(self._api, REVISIONS, obj):
            metadata = obj["metadata"]
            self._pinned.pop((metadata["namespace"], metadata["name"]), None)


def digest_of(spec: Mapping[str, Json]) -> str:
    """SHA-256, in hex, of what a revision holds."""
    held = {member: spec[member] for member in _HELD if member in spec}
    text = json.dumps(held, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _name_taken(machine: str, digest: str) -> Problem:
    name = names.revision(machine, digest)
    message = (
        f"the StateMachineRevision {name} holds another definition with the same first digits of "
        "its digest; delete it if nothing runs it, or change the definition's Comment"
    )
    return Problem("", "revision-name-taken", message)


def _place(obj: Obj, name: str | None) -> tuple[str, str]:
    return obj["metadata"]["namespace"], name or ""


def _named(execution: Obj) -> Iterator[str | None]:
    """The revisions that an Execution runs, or is to go on with."""
    yield (execution.get("status") or {}).get("revision")
    yield (execution["spec"].get("redrive") or {}).get("revision")


def _needed(machine: Obj) -> list[str]:
    """The revisions that a machine is, or is about to publish."""
    status = machine.get("status") or {}
    needed = [(status.get("revision") or {}).get("name", "")]
    return [*needed, status["version"]["revision"]] if versions.is_publishing(machine) else needed


def _missing(machine: str) -> MachineUnready:
    return MachineUnready(False, f"StateMachine '{machine}' does not exist")


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = status.get("conditions") or []
    return next((c for c in conditions if c["type"] == "Ready"), {})


def _is_ready(status: Mapping[str, Any]) -> bool:
    return _ready(status).get("status") == "True"
