"""What people, drains and collectors do to the objects of a world, as its plan says.

One rule: they only do what must make no difference: anything to a `fragile` task, whose state
retries that, and to others only what comes after their end.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, EXECUTIONS, JOBS, PODS, SECRETS, Kind
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import ended_at, key_of, later
from treadle.sim.faults import Deed, Plan, What
from treadle.sim.kubelet import is_fragile
from treadle.sim.objects import Key

STOPPED: Final = "Sim.Stopped"
WHO_SUSPENDS: Final = {True: "who suspends", False: "who resumes"}
LOOK_SECONDS: Final = 1.0
SKEW: Final = timedelta(seconds=3)
"""Instants of the API server are whole seconds, and a node's clock may be two seconds off."""


class People:
    """Does the deeds of a plan.

    Attributes:
        deleted_names: of the objects that they deleted.
        stoppable: names of Executions that they may stop.
        redriving: those that they stopped and that do not go on yet; `on_redriven` is called when
            one of them does.
        violations: what they were refused though they must not be.
    """

    def __init__(self, cluster: SimCluster, plan: Plan, seed: int | str) -> None:
        self._cluster = cluster
        self._dice = random.Random(f"{seed}/people")
        self.deleted_names: set[str] = set()
        self.stoppable: set[str] = set()
        self.redriving: set[Key] = set()
        self.on_redriven: Callable[[], None] = lambda: None
        self.violations: list[str] = []
        self._redrives = self._flips = 0
        for deed in plan.deeds:
            later(deed.seconds, self._do, deed)

    def _do(self, deed: Deed) -> None:
        self.do(deed.what)

    def do(self, what: What) -> None:
        """Do one deed now."""
        match what:
            case "label":
                self._label()
            case "delete-pod" | "evict":
                for pod in self._some(self._pods()):
                    self._take(pod, evicted=what == "evict")
            case "collect-pods":
                self._collect_pods()
            case "delete-job" | "delete-child" | "delete-approval":
                self._delete(what)
            case "suspend" | "resume":
                self._suspend(what == "suspend")
            case "stop":
                self._stop()
            case "compact":
                self._cluster.note("the past is compacted")
                self._cluster.objects.compact()

    def _delete(self, what: What) -> None:
        kind, found = {
            "delete-job": (JOBS, self._jobs),
            "delete-child": (EXECUTIONS, self._children),
            "delete-approval": (APPROVALS, self._approvals),
        }[what]
        for obj in self._some(found()):
            self.deleted_names.add(obj["metadata"]["name"])
            self._cluster.remove(kind, key_of(obj))

    def _suspend(self, suspend: bool) -> None:
        for execution in self._cluster.objects.each(EXECUTIONS):
            if not suspend or self._dice.random() < 0.7:
                spec: Obj = {"suspend": suspend}
                if execution["spec"].get("suspend", False) != suspend:
                    self._flips += 1
                    spec |= self._named(execution, suspend) if self._flips % 2 else {}
                self._cluster.edit(EXECUTIONS, key_of(execution), spec)

    def _named(self, execution: Obj, suspend: bool) -> Obj:
        """With the name of who does it; others leave there what they find."""
        uid, generation = (execution["metadata"][name] for name in ("uid", "generation"))
        by = WHO_SUSPENDS[suspend]
        return {"suspendBy": {"by": by, "uid": uid, "generation": generation + 1}}

    def _stop(self) -> None:
        """Stop an execution, to let it go on later: that must make no difference either."""
        executions = self._cluster.objects.each(EXECUTIONS)
        for execution in self._some([e for e in executions if self._may_stop(e)]):
            key = key_of(execution)
            self.redriving.add(key)
            self._cluster.edit(EXECUTIONS, key, {"stop": {"error": STOPPED}})
            later(self._dice.choice((0.1, 1.0, 20.0)), self._redrive, key)

    def _may_stop(self, execution: Obj) -> bool:
        is_free = key_of(execution)[1] in self.stoppable and "stop" not in execution["spec"]
        return is_free and (execution.get("status") or {}).get("phase") == "Running"

    def _redrive(self, key: Key) -> None:
        execution = self._cluster.objects.peek(EXECUTIONS, *key) or {"spec": {}}
        spec, status = execution["spec"], execution.get("status") or {}
        asked, answer = spec.get("redrive") or {}, status.get("redrive") or {}
        if "refused" in answer:
            self.violations.append(f"the redrive of {key[1]} is refused: {answer['refused']}")
        is_told = asked.get("id") == answer.get("id")
        if status.get("phase") == "Aborted" and status.get("error") == STOPPED:
            if is_told:
                self._redrives += 1
                again = {"stop": None, "redrive": {"id": f"{self._redrives}"}}
                self._cluster.edit(EXECUTIONS, key, again)
        elif status.get("phase") != "Running" or (is_told and "stop" not in spec):
            self.redriving.discard(key)  # it goes on, or had ended before
            self.on_redriven()
            return
        later(LOOK_SECONDS, self._redrive, key)

    def _label(self) -> None:
        kind: Kind = self._dice.choice((EXECUTIONS, EXECUTIONS, JOBS, PODS, SECRETS, APPROVALS))
        for obj in self._some(list(self._cluster.objects.each(kind))):
            self._cluster.touch(kind, key_of(obj))

    def _take(self, pod: Obj, *, evicted: bool) -> None:
        if evicted:
            self._cluster.evict(key_of(pod))
        else:
            grace = self._dice.choice((None, None, 0, 5))
            self._cluster.remove(PODS, key_of(pod), grace_seconds=grace)

    def _collect_pods(self) -> None:
        for pod in self._pods():
            if pod["status"].get("phase") in ("Succeeded", "Failed"):
                self._cluster.remove(PODS, key_of(pod))

    def _some(self, objects: list[Obj]) -> list[Obj]:
        """One of them, if there is one."""
        return [self._dice.choice(objects)] if objects else []

    def _pods(self) -> list[Obj]:
        pods = self._cluster.objects.each(PODS)
        return [pod for pod in pods if is_fragile(pod["spec"]) or _has_result(pod)]

    def _jobs(self) -> list[Obj]:
        return [
            job
            for job in self._cluster.objects.each(JOBS)
            if is_fragile(job["spec"]["template"]["spec"]) or self._ended_before(job)
        ]

    def _ended_before(self, job: Obj) -> bool:
        """Whether it ended so long before now that no clock could think it was deleted first."""
        at = ended_at(job)
        return at is not None and (self._cluster.objects.now() - at) > SKEW

    def _children(self) -> list[Obj]:
        executions = self._cluster.objects.each(EXECUTIONS)
        return [e for e in executions if _PRETEND_FRAGILE in e["spec"].get("inputJson", "")]

    def _approvals(self) -> list[Obj]:
        return [
            each
            for each in self._cluster.objects.each(APPROVALS)
            if (each["spec"].get("details") or {}).get("fragile")
        ]


_PRETEND_FRAGILE = '"pretend":{"fragile":true}'


def _has_result(pod: Obj) -> bool:
    """Whether a Pod has ended well with something to say: then its deletion changes nothing."""
    if pod["status"].get("phase") != "Succeeded":
        return False
    state = pod["status"]["containerStatuses"][0]["state"]
    return bool(state.get("terminated", {}).get("message"))
