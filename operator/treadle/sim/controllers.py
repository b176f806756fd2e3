"""The garbage collector and the Job controller of a simulated cluster.

One rule: they do what the real ones do with a non-indexed Job, with the real one's delays: Pods are
counted a second after they ended, the verdict is written before the end, and their order is theirs.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from treadle.kube.api import Obj
from treadle.kube.kinds import JOBS, PODS, Kind
from treadle.runtime.ports import Conflict, Missing
from treadle.sim.clock import OUTSIDE
from treadle.sim.objects import Key, Objects, controller, instant

TRACKING = "batch.kubernetes.io/job-tracking"
_BATCH_SECONDS = 1.0  # SyncJobBatchPeriod


def later(seconds: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
    """Call back in virtual time, as part of no process."""
    loop = asyncio.get_running_loop()
    return loop.call_later(seconds, callback, *args, context=OUTSIDE)


def key_of(obj: Obj) -> Key:
    """Where an object is."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def without_finalizer(objects: Objects, kind: Kind, obj: Obj, finalizer: str) -> None:
    """Take one finalizer off, leaving those of others."""
    have = obj["metadata"].get("finalizers") or []
    if finalizer in have:
        namespace, name = key_of(obj)
        left = [other for other in have if other != finalizer]
        objects.patch(kind, namespace, name, {"metadata": {"finalizers": left or None}})


class GarbageCollector:
    """Removes what has lost its owner, a little later."""

    def __init__(self, objects: Objects, dice: random.Random) -> None:
        self._objects = objects
        self._dice = dice
        self._alive: set[str] = set()
        objects.listeners.append(self._seen)

    def _seen(self, _: Kind, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            uid = old["metadata"]["uid"]
            self._alive.discard(uid)
            if self._objects.dependents(uid):
                later(self._dice.uniform(0.05, 0.5), self._collect, uid)
        elif new is not None and old is None:
            self._alive.add(new["metadata"]["uid"])
            for owner in new["metadata"].get("ownerReferences") or ():
                if owner["uid"] not in self._alive:
                    later(self._dice.uniform(0.05, 0.5), self._collect, owner["uid"])

    def _collect(self, uid: str) -> None:
        for kind, (namespace, name) in self._objects.dependents(uid):
            obj = self._objects.peek(kind, namespace, name)
            if obj is None:
                continue
            owners = obj["metadata"].get("ownerReferences") or ()
            if all(owner["uid"] not in self._alive for owner in owners):
                self._objects.delete(kind, namespace, name)


class JobController:
    """Makes Pods of Jobs, counts them, and says how a Job ended."""

    def __init__(self, objects: Objects, dice: random.Random) -> None:
        self._objects = objects
        self._dice = dice
        self._queued: dict[Key, float] = {}
        objects.listeners.append(self._seen)

    def _seen(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if kind == JOBS:
            if new is None and old is not None:
                later(self._dice.uniform(0.01, 0.1), self._release, old["metadata"]["uid"])
            elif new is not None and (old is None or old["spec"] != new["spec"]):
                self._enqueue(key_of(new), self._dice.uniform(0.005, 0.03))
        elif kind == PODS and old is not None:
            self._pod_seen(old, new)

    def _pod_seen(self, old: Obj, new: Obj | None) -> None:
        labels = old["metadata"].get("labels") or {}
        job = labels.get("batch.kubernetes.io/job-name")
        if job is None:
            return
        if new is None or _verdict(new) != _verdict(old) or _terminating(new) != _terminating(old):
            self._enqueue((old["metadata"]["namespace"], job), _BATCH_SECONDS)

    def _enqueue(self, key: Key, delay: float) -> None:
        at = asyncio.get_running_loop().time() + delay
        before = self._queued.get(key)
        if before is None or at < before:
            self._queued[key] = at
            later(delay, self._dequeue, key, at)

    def _dequeue(self, key: Key, at: float) -> None:
        if self._queued.get(key) == at:
            del self._queued[key]
            self._sync(key)

    def _release(self, uid: str) -> None:
        """The Job is gone: its Pods are not held for counting any more."""
        for pod in self._objects.owned(uid, PODS):
            without_finalizer(self._objects, PODS, pod, TRACKING)

    def _sync(self, key: Key) -> None:
        job = self._objects.peek(JOBS, *key)
        if job is None or ended(job) or job["spec"].get("managedBy"):
            return
        status = dict(job["status"])
        suspended = job["spec"].get("suspend", False)
        if not suspended and "startTime" not in status:
            status["startTime"] = instant(self._objects.now())
        pods = [
            pod
            for pod in self._objects.owned(job["metadata"]["uid"], PODS)
            if controller(pod) == job["metadata"]["uid"]
        ]
        running = [p for p in pods if _verdict(p) is None and not _terminating(p)]
        fresh = [p for p in pods if TRACKING in (p["metadata"].get("finalizers") or ())]
        status["failed"] = status.get("failed", 0) + sum(_failed(p) for p in fresh)
        status["succeeded"] = status.get("succeeded", 0) + sum(_succeeded(p) for p in fresh)
        verdict = _condition(job, "FailureTarget") or self._verdict_of(job, status, len(running))
        if verdict is not None:
            self._finish(job, status, pods, running, verdict)
        elif suspended:
            self._suspend(job, status, running)
        else:
            self._carry_on(job, status, running, fresh)

    def _verdict_of(self, job: Obj, status: Obj, running: int) -> Obj | None:
        now = self._objects.now()
        if status["failed"] > job["spec"]["backoffLimit"]:
            return _new("FailureTarget", "BackoffLimitExceeded", now)
        remaining = self._remaining(job, status)
        if remaining is not None and remaining <= 0:
            return _new("FailureTarget", "DeadlineExceeded", now)
        if status["succeeded"] >= job["spec"]["completions"] and not running:
            return _new("SuccessCriteriaMet", "CompletionsReached", now)
        return None

    def _remaining(self, job: Obj, status: Obj) -> float | None:
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit is None or job["spec"].get("suspend") or "startTime" not in status:
            return None
        started = datetime.fromisoformat(status["startTime"])
        remaining: float = limit - (self._objects.now() - started).total_seconds()
        return remaining

    def _finish(
        self, job: Obj, status: Obj, pods: list[Obj], running: list[Obj], verdict: Obj
    ) -> None:
        """Write the verdict, end what runs, and, when nothing does any more, the end."""
        namespace, _ = key = key_of(job)
        conditions = [c for c in status.get("conditions", ()) if c["type"] != verdict["type"]]
        status["conditions"] = [*conditions, verdict]
        for pod in running:
            self._objects.delete(PODS, namespace, pod["metadata"]["name"])
        # Pods without an end of their own keep the Job from its end, not from its verdict.
        going = [p for p in pods if _verdict(p) is None and (p in running or _terminating(p))]
        status["active"] = 0
        status["terminating"] = len(going)
        self._write(key, status)
        self._count(pods)
        if all(self._gone(pod) for pod in going):
            later(self._dice.uniform(0.005, 0.05), self._end, key, job["metadata"]["uid"])

    def _gone(self, pod: Obj) -> bool:
        now = self._objects.peek(PODS, *key_of(pod))
        return now is None or _verdict(now) is not None

    def _end(self, key: Key, uid: str) -> None:
        job = self._objects.peek(JOBS, *key)
        if job is None or job["metadata"]["uid"] != uid or ended(job):
            return
        status = dict(job["status"])
        failure = _condition(job, "FailureTarget")
        now = self._objects.now()
        if failure is not None:
            end = {**_new("Failed", failure["reason"], now), "message": failure["message"]}
        else:
            end = _new("Complete", "CompletionsReached", now)
            status["completionTime"] = instant(now)
        status["conditions"] = [*status["conditions"], end]
        status["terminating"] = 0
        self._write(key, status)

    def _suspend(self, job: Obj, status: Obj, running: list[Obj]) -> None:
        namespace, _ = key = key_of(job)
        for pod in running:
            # Its Pods are given up before they are deleted: they count as nothing.
            without_finalizer(self._objects, PODS, pod, TRACKING)
            self._objects.delete(PODS, namespace, pod["metadata"]["name"])
        status.pop("startTime", None)
        if _condition(job, "Suspended") is None:
            condition = _new("Suspended", "JobSuspended", self._objects.now())
            status["conditions"] = [*status.get("conditions", ()), condition]
        status["active"] = 0
        self._write(key, status, gone=("startTime",))

    def _carry_on(self, job: Obj, status: Obj, running: list[Obj], fresh: list[Obj]) -> None:
        key = key_of(job)
        status["conditions"] = [c for c in status.get("conditions", ()) if c["type"] != "Suspended"]
        missing = job["spec"]["parallelism"] - len(running) - status["succeeded"]
        status["active"] = len(running) + max(0, missing)
        self._write(key, status)
        self._count(fresh)
        for _ in range(max(0, missing)):
            self._create_pod(job)
        remaining = self._remaining(job, status)
        if remaining is not None:
            self._enqueue(key, remaining + 0.001)

    def _count(self, pods: list[Obj]) -> None:
        """Those that had ended when they were counted are not held any more."""
        for pod in pods:
            now = self._objects.peek(PODS, *key_of(pod))
            if now is not None and (_failed(pod) or _succeeded(pod)):
                without_finalizer(self._objects, PODS, now, TRACKING)

    def _write(self, key: Key, status: Obj, gone: tuple[str, ...] = ()) -> None:
        patch = {**status, **dict.fromkeys(gone)}
        self._objects.patch(JOBS, *key, {"status": patch}, status=True)

    def _create_pod(self, job: Obj) -> None:
        template = job["spec"]["template"]
        metadata = template.get("metadata") or {}
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": job["metadata"]["name"] + "-",
                "labels": metadata.get("labels") or {},
                "annotations": metadata.get("annotations") or {},
                "finalizers": [*(metadata.get("finalizers") or ()), TRACKING],
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        }
        try:
            self._objects.create(PODS, job["metadata"]["namespace"], pod)
        except (Missing, Conflict):
            self._enqueue(key_of(job), 10.0)


def ended(job: Obj) -> bool:
    """Whether a Job is Complete or Failed."""
    return ended_at(job) is not None


def ended_at(job: Obj) -> datetime | None:
    """Since when a Job is Complete or Failed."""
    found = _condition(job, "Complete") or _condition(job, "Failed")
    return None if found is None else datetime.fromisoformat(found["lastTransitionTime"])


def _condition(job: Obj, name: str) -> Obj | None:
    for condition in job["status"].get("conditions") or ():
        if condition["type"] == name and condition["status"] == "True":
            found: Obj = condition
            return found
    return None


_MESSAGES = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
    "CompletionsReached": "Reached expected number of succeeded pods",
    "JobSuspended": "Job suspended",
}


def _new(name: str, reason: str, now: datetime) -> Obj:
    return {
        "type": name,
        "status": "True",
        "lastProbeTime": instant(now),
        "lastTransitionTime": instant(now),
        "reason": reason,
        "message": _MESSAGES[reason],
    }


def _verdict(pod: Obj) -> str | None:
    phase: str = pod["status"].get("phase", "")
    return phase if phase in ("Succeeded", "Failed") else None


def _terminating(pod: Obj) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _succeeded(pod: Obj) -> bool:
    return _verdict(pod) == "Succeeded"


def _failed(pod: Obj) -> bool:
    # A Pod that is being deleted counts as failed at once, unless it has succeeded.
    return _verdict(pod) == "Failed" or (_terminating(pod) and not _succeeded(pod))
