"""People who publish a machine, change its alias, take versions back, and start executions of them.

One rule: each version gives another output, so that an execution shows by its own which one it ran.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from treadle.asl.json import loads
from treadle.kube import versions
from treadle.kube.api import Obj
from treadle.kube.kinds import ALIASES, EXECUTIONS, REVISIONS, STATE_MACHINES, Kind
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import later
from treadle.sim.faults import Plan, Release

MACHINE = "released"
ALIAS = "live"
_KINDS = 3


def definition(kind: int = 0) -> dict[str, Any]:
    """What is published; the same states whatever the kind."""
    command = ["pretend", '{"seconds":1,"message":"{}","fragile":true}']
    again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 30}
    states = {
        "Work": {
            "Type": "Task",
            "Resource": "treadle:job",
            "Parameters": {"image": "busybox:1.36", "command": command},
            "Retry": [{**again, "BackoffRate": 1.0}],
            "Next": "Say",
        },
        "Say": {"Type": "Pass", "Result": {"kind": kind}, "End": True},
    }
    return {"StartAt": "Work", "States": states}


class Releases:
    """Does what a plan says, and looks at every write for what must hold.

    Args:
        cluster: of the machine; it is made if the plan publishes anything.
        plan: what is done.
        seed: of the dice.
        done: told after each deed.
    """

    def __init__(
        self, cluster: SimCluster, plan: Plan, seed: int | str, done: Callable[[], None]
    ) -> None:
        self._cluster = cluster
        self._dice = random.Random(f"{seed}/releases")
        self._done = done
        self._count = 0
        self._names: dict[int, str] = {}  # of the revision that was given a number
        self._runs: dict[str, tuple[Any, Any]] = {}  # by uid: the version and revision it runs
        self.violations: list[str] = []
        self.planned = len(plan.releases)
        if not plan.releases:
            return
        cluster.objects.listeners.append(self._landed)
        spec = {"definition": definition()}
        machine = {"metadata": {"name": MACHINE}, "spec": spec}
        cluster.objects.create(STATE_MACHINES, "default", machine)
        for release in plan.releases:
            later(release.seconds, self._do, release)

    # ---------------------------------------------------------------------------- what is done

    def _do(self, release: Release) -> None:
        self._count += 1
        match release.what:
            case "publish":
                kind = self._dice.randrange(_KINDS)
                publish = {"id": f"{kind} at {self._count}"}
                spec = {"definition": definition(kind), "publish": publish}
                self._cluster.edit(STATE_MACHINES, ("default", MACHINE), spec)
            case "route":
                self._route()
            case "withdraw":
                self._withdraw()
            case "start":
                self._start()
        self._done()

    def _there(self) -> dict[int, Obj]:
        """The versions that there are."""
        found = {versions.number_of(r): r for r in self._cluster.objects.each(REVISIONS)}
        return {number: found[number] for number in sorted(filter(None, found))}

    def _routed(self) -> set[int]:
        """Those that the alias names."""
        aliases = self._cluster.objects.each(ALIASES)
        return {number for alias in aliases for number, _ in versions.routes_of(alias)}

    def _route(self) -> None:
        there = list(self._there())
        if not there:
            return
        chosen = self._dice.sample(there, min(len(there), self._dice.randint(1, 2)))
        weight = 100 if len(chosen) == 1 else self._dice.choice((1, 10, 50, 90, 100))
        weights = (weight, 100 - weight)
        routes = [{"version": v, "weight": w} for v, w in zip(chosen, weights, strict=False)]
        if self._cluster.objects.peek(ALIASES, "default", ALIAS) is not None:
            self._cluster.edit(ALIASES, ("default", ALIAS), {"routes": routes})
            return
        spec = {"stateMachineRef": {"name": MACHINE}, "routes": routes}
        alias = {"metadata": {"name": ALIAS}, "spec": spec}
        self._cluster.objects.create(ALIASES, "default", alias)

    def _withdraw(self) -> None:
        """The newest version goes that nobody names, which is the one whose number is free then."""
        named = self._routed() | {
            execution["spec"]["stateMachineRef"].get("version")
            for execution in self._cluster.objects.each(EXECUTIONS)
        }
        free = [number for number in self._there() if number not in named]
        if free:
            self.withdraw(self._there()[free[-1]])

    def withdraw(self, revision: Obj) -> None:
        """Take a version back."""
        name = revision["metadata"]["name"]
        patch = versions.withdrawal(revision)
        self._cluster.objects.patch(REVISIONS, "default", name, patch)

    def _start(self) -> None:
        there = list(self._there())
        if not there:
            return
        if self._routed() and self._dice.random() < 0.6:
            ref: dict[str, Any] = {"name": MACHINE, "alias": ALIAS}
        else:
            ref = {"name": MACHINE, "version": self._dice.choice(there)}
        spec = {"stateMachineRef": ref, "startDeadlineSeconds": 3600}
        execution = {"metadata": {"name": f"r{self._count}"}, "spec": spec}
        self._cluster.objects.create(EXECUTIONS, "default", execution)

    def end(self) -> None:
        """The alias and all versions go."""
        for alias in list(self._cluster.objects.each(ALIASES)):
            self._cluster.remove(ALIASES, ("default", alias["metadata"]["name"]))
        for revision in self._there().values():
            self.withdraw(revision)

    # --------------------------------------------------------------------------- what must hold

    def _landed(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        if kind == REVISIONS:
            self._revision_landed(old, new)
        elif kind == STATE_MACHINES and old is not None:
            before, after = (_version(obj).get("latest", 0) for obj in (old, new))
            if after < before:
                self._violated(f"the latest version was {before}, and is {after}")
        elif kind == EXECUTIONS:
            self._execution_landed(new)

    def _revision_landed(self, old: Obj | None, new: Obj) -> None:
        number = versions.number_of(new)
        if number is None or (old is not None and versions.number_of(old) == number):
            return
        name = new["metadata"]["name"]
        if self._names.setdefault(number, name) != name:
            self._violated(f"version {number} was {self._names[number]}, and is {name} too")

    def _execution_landed(self, execution: Obj) -> None:
        status = execution.get("status") or {}
        ref = execution["spec"]["stateMachineRef"]
        if ref["name"] != MACHINE or "checkpoint" not in status:
            return
        name, found = execution["metadata"]["name"], (status.get("version"), status["revision"])
        if self._runs.setdefault(execution["metadata"]["uid"], found) != found:
            self._violated(f"{name} ran another version before than {found}")
        if self._names.get(found[0] or 0) != found[1]:
            self._violated(f"{name} runs {found}, which is no version")
        if ref.get("version") not in (None, found[0]) or ref.get("alias") != status.get("alias"):
            self._violated(f"{name} asked for {ref}, and runs {found}")

    def untold(self) -> list[str]:
        """What a status does not say yet, and whoever leads has to say."""
        machine = self._cluster.objects.peek(STATE_MACHINES, "default", MACHINE)
        if machine is None:
            return []
        there, found = self._there(), []
        published = _condition(machine, "Published").get("status", "True")
        if published != "True":
            found.append(f"the condition Published is {published} in the end")
        for alias in self._cluster.objects.each(ALIASES):
            is_good = all(number in there for number, _ in versions.routes_of(alias))
            said = _condition(alias, "Ready").get("status")
            if said != str(is_good):
                found.append(f"the alias says that Ready is {said}, which is {is_good}")
        return found

    def look(self) -> None:
        """When all is quiet: what was asked for is done, and what is said is so."""
        machine = self._cluster.objects.peek(STATE_MACHINES, "default", MACHINE)
        if machine is None:
            return
        there = self._there()
        for sentence in self.untold():
            self._violated(sentence)
        if len(there) != len({revision["metadata"]["name"] for revision in there.values()}):
            self._violated("a revision has several numbers")
        for execution in self._cluster.objects.each(EXECUTIONS):
            self._look_at(execution)

    def _look_at(self, execution: Obj) -> None:
        if execution["spec"]["stateMachineRef"]["name"] != MACHINE:
            return
        name, status = execution["metadata"]["name"], execution.get("status") or {}
        revision = self._cluster.objects.peek(REVISIONS, "default", status.get("revision", ""))
        if revision is None:
            self._violated(f"the revision of {name} is gone: {status.get('error')}")
            return
        said = revision["spec"]["definition"]["States"]["Say"]["Result"]
        if status.get("phase") != "Succeeded" or loads(status["output"]) != said:
            self._violated(f"{name} gives {status.get('output')}, its version {said}")

    def _violated(self, sentence: str) -> None:
        self._cluster.note(f"VIOLATION: {sentence}")
        self.violations.append(sentence)


def _version(machine: Obj) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (machine.get("status") or {}).get("version") or {}
    return found


def _condition(obj: Obj, kind: str) -> Mapping[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})
