"""The executions of one run of a desk: its own, and the children that these start.

One rule: children are kept in the run's own folder, so that a name which they are given is the
run's alone.
"""

# ruff: noqa: ARG002 - all is in one namespace

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from treadle.asl.arns import Account
from treadle.kube import decode
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, Kind
from treadle.local.files import FileApi
from treadle.runtime.ports import (
    TERMINAL,
    Clock,
    ExecutionKey,
    MachineUnready,
    Pinned,
    Request,
    Sighting,
)
from treadle.stores.machines import RevisionMachines

Told = Callable[[Sighting], None]


class AnyAccount(Account):
    """On a desk an ARN means the machine that its last part names, whoseever it is."""

    def machine_named(self, arn: str) -> str | None:
        """See `Account`."""
        return arn.partition(":stateMachine:")[2].partition(":")[0]


class DeskMachines(RevisionMachines):
    """On a desk nothing is published: a version, and an alias, is the machine as it is."""

    async def chosen(
        self, namespace: str, request: Request, chance: float
    ) -> Pinned | MachineUnready:
        """See `ports.Machines`."""
        return await self.current(namespace, request.machine)


class FamilyApi(FileApi):
    """Tells of every Execution that is written, as a watch of a cluster would.

    Args:
        own: the run's folder.
        name: of the run's own execution, which is kept with those of all runs.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        elsewhere: Mapping[str, Path],
        own: Path,
        name: str,
        told: Callable[[Obj], None],
    ) -> None:
        super().__init__(folder, clock, elsewhere)
        self._own = own / EXECUTIONS.plural
        self._name = name
        self._told = told

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See `Objects`."""
        return self._tell(kind, await super().create(kind, namespace, obj))

    async def update_status(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See `Objects`."""
        return self._tell(kind, await super().update_status(kind, namespace, obj))

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        form: Literal["merge", "json"] = "merge",
        subresource: str | None = None,
    ) -> Obj:
        """See `Objects`."""
        return self._tell(kind, await super().patch(kind, namespace, name, patch, form=form))

    def children(self) -> list[Obj]:
        """All that there are."""
        return [self._read(path) for path in sorted(self._own.glob("*.json"))]

    def _tell(self, kind: Kind, obj: Obj) -> Obj:
        if kind == EXECUTIONS:
            self._told(obj)
        return obj

    def _path(self, kind: Kind, name: str) -> Path:
        path = super()._path(kind, name)
        return self._own / path.name if kind == EXECUTIONS and name != self._name else path


class Family:
    """Which of them are not over. `doors` are told of each that is seen."""

    def __init__(self) -> None:
        self.doors: list[Told] = []
        self._alive: dict[ExecutionKey, None] = {}
        self._changed = asyncio.Event()

    @property
    def alive(self) -> list[ExecutionKey]:
        """Those that are not over, the oldest first."""
        return list(self._alive)

    def seen(self, obj: Obj) -> None:
        """One was written."""
        sighting = decode.sighting(obj)
        if sighting.phase in TERMINAL or is_parked(obj.get("status") or {}):
            self._alive.pop(sighting.key, None)
        else:
            self._alive[sighting.key] = None
        self._changed.set()
        for door in self.doors:
            # As a watch would: after whoever wrote it has gone on.
            asyncio.get_running_loop().call_soon(door, sighting)

    async def over(self) -> None:
        """Wait until all of them are."""
        while self._alive:
            self._changed.clear()
            await self._changed.wait()


def is_parked(status: Mapping[str, Any]) -> str:
    """Why an execution cannot go on; empty where it can."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "Parked" and condition["status"] == "True":
            return str(condition["message"])
    return ""
