"""A simulated cluster: objects, controllers, one pretend node, people with kubectl, and a trace.

One rule: what happens in it happens in virtual time and from its seed; every write is traced, so
that two runs of a seed can be compared by one digest.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from datetime import datetime

from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, EXECUTIONS, JOBS, PODS, Kind
from treadle.runtime.ports import Missing, Refused
from treadle.sim import clock
from treadle.sim.controllers import GarbageCollector, JobController
from treadle.sim.kubelet import Kubelet
from treadle.sim.objects import Key, Objects, instant

Admission = Callable[[Kind, Obj, datetime], None]
"""Refuses (raises Refused) an object that is about to be created."""


def create_before(kind: Kind, obj: Obj, now: datetime) -> None:
    """The chart's admission policy: a Job that arrives after its maker's Lease is refused.

    The real policy compares `creationTimestamp`, which has whole seconds.
    """
    if kind != JOBS:
        return
    limit = (obj["metadata"].get("annotations") or {}).get(names.CREATE_BEFORE)
    if limit and now.replace(microsecond=0) >= datetime.fromisoformat(limit):
        message = "denied request: too late, the Lease of its maker has ended"
        raise Refused(
            422, "Invalid", f'jobs.batch "{obj["metadata"]["name"]}" is forbidden: {message}'
        )


class SimCluster:
    """The shared world. `api.SimApi` is how a client sees it.

    Args:
        seed: of its delays.
        admission: the chart's policy, where it is there.
        names: seed of its uids; the same as `seed` if not given.
    """

    def __init__(
        self,
        seed: int | str = 0,
        admission: Admission | None = create_before,
        names: int | str | None = None,
    ) -> None:
        self.dice = random.Random(f"{seed}/cluster")
        self.objects = Objects(clock.wall, seed if names is None else names)
        self.admission = admission
        self.trace: list[str] = []
        self.jobs = JobController(self.objects, self.dice)
        self.kubelet = Kubelet(self.objects, self.dice)
        self.collector = GarbageCollector(self.objects, self.dice)
        self.objects.listeners.append(self._note_write)

    # -------------------------------------------------------------------------------- the trace

    def note(self, text: str) -> None:
        """A line of the trace, with its time."""
        self.trace.append(f"{asyncio.get_running_loop().time():10.3f} {text}")

    def digest(self) -> str:
        """Of the whole trace: equal for equal runs."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]

    def _note_write(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        verb = "-" if new is None else "+" if old is None else "~"
        version = self.objects.version
        self.note(f"  {verb} {kind.name} {obj['metadata']['name']} @{version} {_story(kind, new)}")

    # ----------------------------------------------------------------------- people with kubectl

    def touch(self, kind: Kind, key: Key) -> None:
        """Somebody labels an object, so that our next write of it conflicts."""
        label = {"metadata": {"labels": {"touched": f"{self.dice.getrandbits(32):x}"}}}
        self._by_hand(lambda: self.objects.patch(kind, *key, label))

    def edit(self, kind: Kind, key: Key, spec: Obj) -> None:
        """Somebody changes members of an object's spec."""
        self._by_hand(lambda: self.objects.patch(kind, *key, {"spec": spec}))

    def remove(self, kind: Kind, key: Key, *, grace_seconds: int | None = None) -> None:
        """Somebody deletes an object."""
        self._by_hand(lambda: self.objects.delete(kind, *key, grace_seconds=grace_seconds))

    def evict(self, key: Key) -> None:
        """A drain takes a Pod: the condition says why, then it is deleted with its grace period."""
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastTransitionTime": instant(self.objects.now()),
        }
        pod = self.objects.peek(PODS, *key)
        if pod is None:
            return
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            conditions = [*(pod["status"].get("conditions") or ()), condition]
            patch = {"status": {"conditions": conditions}}
            self.objects.patch(PODS, *key, patch, status=True)
        self.remove(PODS, key)

    def _by_hand(self, deed: Callable[[], object]) -> None:
        try:
            deed()
        except Missing:
            self.note("by hand: it is gone already")


def _story(kind: Kind, obj: Obj | None) -> str:
    """What of an object's state is worth a word in the trace."""
    if obj is None:
        return ""
    words = ["deleting"] if "deletionTimestamp" in obj["metadata"] else []
    status = obj.get("status") or {}
    if kind == JOBS:
        words += [condition["type"] for condition in status.get("conditions") or ()]
    elif kind in (PODS, EXECUTIONS, APPROVALS):
        words.append(str(status.get("phase", "")))
    if kind == PODS:
        for container in status.get("containerStatuses") or ():
            words += [f"{k} {v.get('exitCode', '')}" for k, v in container["state"].items()]
    return " ".join(words)
