"""What people, drains and collectors do to the objects of a world, as its plan says.

One rule: they only do what must make no difference: anything to a `fragile` task, whose state
retries that, and to others only what comes after their end.
"""

import random

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, EXECUTIONS, JOBS, PODS, SECRETS, Kind
from treadle.sim.cluster import SimCluster
from treadle.sim.controllers import ended, key_of, later
from treadle.sim.faults import Deed, Plan, What
from treadle.sim.kubelet import is_fragile


class People:
    """Does the deeds of a plan."""

    def __init__(self, cluster: SimCluster, plan: Plan, seed: int | str) -> None:
        self._cluster = cluster
        self._dice = random.Random(f"{seed}/people")
        self.deleted_names: set[str] = set()
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
            case "delete-job":
                self._delete(JOBS, self._some(self._jobs()))
            case "delete-child":
                self._delete(EXECUTIONS, self._some(self._children()))
            case "delete-approval":
                self._delete(APPROVALS, self._some(self._approvals()))
            case "suspend" | "resume":
                self._suspend(what == "suspend")
            case "compact":
                self._cluster.note("the past is compacted")
                self._cluster.objects.compact()

    def _delete(self, kind: Kind, objects: list[Obj]) -> None:
        for obj in objects:
            self.deleted_names.add(obj["metadata"]["name"])
            self._cluster.remove(kind, key_of(obj))

    def _suspend(self, suspend: bool) -> None:
        for execution in self._cluster.objects.each(EXECUTIONS):
            if not suspend or self._dice.random() < 0.7:
                self._cluster.edit(EXECUTIONS, key_of(execution), {"suspend": suspend})

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
        jobs = self._cluster.objects.each(JOBS)
        return [job for job in jobs if is_fragile(job["spec"]["template"]["spec"]) or ended(job)]

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
