"""The Jobs and Pods that watches show, and what this process remembers of each attempt.

One rule: what is kept is small, because there is one of it for each live attempt.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from treadle.kube import names
from treadle.kube.api import Obj
from treadle.runners import podfacts
from treadle.runners.verdict import Seen
from treadle.runtime.ports import Attempt

SELECTOR = names.ATTEMPT_NAME
"""The label selector of both informers."""


class Cache(Protocol):
    """What the runner uses of an informer."""

    synced: asyncio.Event

    @property
    def current(self) -> bool:
        """Whether nothing was missed: false from a gap until the next list."""

    def get(self, namespace: str, name: str) -> Obj | None:
        """An object by name."""

    def find(self, index: str, value: str) -> list[Obj]:
        """Objects by an index."""

    def items(self) -> Iterable[Obj]:
        """All objects."""

    def subscribe(self, callback: Callable[[Obj | None, Obj | None], None]) -> None:
        """Be told of changes: (old, new)."""

    def absorb(self, obj: Obj) -> None:
        """Take the answer of our own write."""


@dataclass(slots=True)
class Watch:
    """What this process knows of an attempt beside its objects.

    Attributes:
        digest: of its work, once an order has told it.
        uid: of the Job that runs it; empty while none was seen.
        told_started: `TaskStarted` was posted.
        told_at: loop time at which its outcome was posted.
        decided: its objects show its outcome.
        reason: what it was last said to wait for.
        stuck_since: since when it cannot start as it stands.
        refusal: why its Job has no Pod, from events; None before they were read.
        asks_again_at: loop time after which events are read again.
        over_at: loop time at which this process saw the attempt's end saved.
        gone: its execution does not exist any more.
        rests_from: loop time at which this process saw both its end saved and its Job ended.
        maybe_created: a create was sent whose answer did not come.
        tries: creates that a full quota refused.
        freed: uids of Pods that our finalizer was taken off.
        timer: when to look again though nothing changes.
    """

    digest: str | None = None
    uid: str = ""
    told_started: bool = False
    told_at: float | None = None
    decided: bool = False
    reason: str | None = None
    stuck_since: datetime | None = None
    refusal: str | None = None
    asks_again_at: float = 0.0
    over_at: float | None = None
    gone: bool = False
    rests_from: float | None = None
    maybe_created: bool = False
    tries: int = 0
    freed: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None


class Observed:
    """Both informers, asked by attempt."""

    def __init__(self, jobs: Cache, pods: Cache) -> None:
        self.jobs = jobs
        self.pods = pods

    @property
    def complete(self) -> bool:
        """Whether both have read everything since they last lost touch."""
        return self.jobs.current and self.pods.current

    def job(self, attempt: Attempt) -> Obj | None:
        """The object of the attempt's name, whoever made it."""
        return self.jobs.get(attempt.execution.namespace, job_name(attempt))

    def pods_of(self, attempt: Attempt) -> list[Obj]:
        """The Pods with the attempt's label."""
        return self.pods.find("attempt", f"{attempt.execution.namespace}/{job_name(attempt)}")

    def seen(self, attempt: Attempt, watch: Watch) -> Seen:
        """What a verdict is made of."""
        seen = view(attempt, watch, self.job(attempt), self.pods_of(attempt))
        if seen.job is not None and not watch.uid:
            watch.uid = podfacts.uid(seen.job)
        return seen

    def all_attempts(self) -> dict[Attempt, None]:
        """The attempts of all executions that have a Job or a Pod."""
        found = dict.fromkeys(_attempts(self.jobs.items()))
        return found | dict.fromkeys(_attempts(self.pods.items()))


def _attempts(objects: Iterable[Obj]) -> Iterable[Attempt]:
    for obj in objects:
        attempt = names.attempt_of(obj)
        if attempt is not None:
            yield attempt


def job_name(attempt: Attempt) -> str:
    """The name of an attempt's Job, and the value of its label."""
    return names.attempt(attempt.execution, attempt.task)


def is_of(job: Obj, attempt: Attempt, digest: str | None = None) -> bool:
    """Whether a Job of the attempt's name is ours; with a digest: and for the same work."""
    labels = job["metadata"].get("labels") or {}
    return (
        podfacts.controller_uid(job) == attempt.execution.uid
        and labels.get(names.ATTEMPT_NAME) == job_name(attempt)
        and (digest is None or podfacts.annotation(job, names.TASK_DIGEST) == digest)
    )


def view(
    attempt: Attempt, watch: Watch, job: Obj | None, pods: list[Obj], *, live: bool = False
) -> Seen:
    """What of these objects is the attempt's, and was made for its work."""
    ours = job if job is not None and is_of(job, attempt, watch.digest) else None
    theirs = {watch.digest, None} if watch.digest is not None else None
    return Seen(
        job=ours,
        pods=[p for p in pods if not theirs or podfacts.annotation(p, names.TASK_DIGEST) in theirs],
        uid=watch.uid,
        live=live,
        stuck_since=watch.stuck_since,
        refusal=watch.refusal,
    )


def is_held(pod: Obj) -> bool:
    """Whether our finalizer keeps a Pod."""
    return names.RESULT_FINALIZER in (pod["metadata"].get("finalizers") or ())


# --------------------------------------------------------------------------- for both informers


def _attempt_index(obj: Obj) -> str | None:
    metadata = obj["metadata"]
    name = (metadata.get("labels") or {}).get(names.ATTEMPT_NAME)
    return f"{metadata.get('namespace')}/{name}" if name else None


INDICES: Mapping[str, Callable[[Obj], str | None]] = {
    "attempt": _attempt_index,
}

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "labels",
    "ownerReferences",
)
_UNREAD = (names.INPUT, names.PATH)
_POD_STATUS = (
    "phase",
    "reason",
    "message",
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
)


def trim(obj: Obj) -> Obj:
    """The little of a Job or a Pod that is read here; an input may have 128 KiB."""
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    annotations = obj["metadata"].get("annotations") or {}
    metadata["annotations"] = {n: v for n, v in annotations.items() if n not in _UNREAD}
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kept = {name: spec[name] for name in ("suspend", "activeDeadlineSeconds") if name in spec}
    if "containers" in spec:
        kept = {
            kind: [{"name": each.get("name")} for each in spec.get(kind) or ()]
            for kind in ("containers", "initContainers", "ephemeralContainers")
        }
        kept["nodeName"] = spec.get("nodeName")
        status = {name: status[name] for name in _POD_STATUS if name in status}
    return {"metadata": metadata, "spec": kept, "status": status}
