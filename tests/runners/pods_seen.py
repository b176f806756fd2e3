"""Jobs and Pods as a real API server shows them, and the verdict on them.

One rule: every instant is counted in seconds from `START`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from treadle.runners.results import Failed
from treadle.runners.verdict import Seen, Verdict, Waiting, verdict

Obj = dict[str, Any]

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=5)
JOB = "uid-of-job"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_condition(name: str, reason: str = "", seconds: float = 60, **more: Any) -> Obj:
    return {
        "type": name,
        "status": "True",
        "reason": reason,
        "lastTransitionTime": at(seconds),
        **more,
    }


def a_job(*conditions: Obj, spec: Obj | None = None, status: Obj | None = None, **meta: Any) -> Obj:
    return {
        "metadata": {"name": "j", "uid": JOB, "creationTimestamp": at(0), **meta},
        "spec": {"suspend": False, **(spec or {})},
        "status": {"startTime": at(0), "conditions": list(conditions), **(status or {})},
    }


FAILED = (
    a_condition("FailureTarget", "BackoffLimitExceeded"),
    a_condition("Failed", "BackoffLimitExceeded"),
)
COMPLETE = (
    a_condition("SuccessCriteriaMet", "CompletionsReached"),
    a_condition("Complete", "CompletionsReached"),
)
OVERDUE = (
    a_condition("FailureTarget", "DeadlineExceeded"),
    a_condition("Failed", "DeadlineExceeded"),
)


def a_pod(
    state: Obj | None = None,
    *,
    phase: str = "Running",
    deleted: float | None = None,
    grace: int = 30,
    disrupted: tuple[str, float] | None = None,
    containers: int = 1,
    node: str | None = "n1",
    conditions: list[Obj] | None = None,
    meta: Obj | None = None,
    **status: Any,
) -> Obj:
    metadata: Obj = {
        "name": "j-abcde",
        "uid": "uid-of-pod",
        "creationTimestamp": at(0),
        "ownerReferences": [{"kind": "Job", "uid": JOB, "controller": True}],
        "finalizers": ["treadle.dev/result", "batch.kubernetes.io/job-tracking"],
        **(meta or {}),
    }
    if deleted is not None:
        # A deletionTimestamp is the request's time and the grace period.
        metadata["deletionTimestamp"] = at(deleted + grace)
        metadata["deletionGracePeriodSeconds"] = grace
    have = list(conditions or [a_condition("PodScheduled", seconds=1)])
    if disrupted is not None:
        have.append(a_condition("DisruptionTarget", disrupted[0], disrupted[1], message="bye"))
    status = {"phase": phase, "conditions": have, **status}
    if state is not None:
        status["containerStatuses"] = [{"name": "main", "state": state}]
    names = ["main", *(f"c{n}" for n in range(1, containers))]
    spec: Obj = {"containers": [{"name": name} for name in names]}
    if node:
        spec["nodeName"] = node
    return {"metadata": metadata, "spec": spec, "status": status}


def ended(code: int = 0, message: str = "", seconds: float = 30, reason: str = "") -> Obj:
    done: Obj = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": at(2),
        "finishedAt": at(seconds),
    }
    if message:
        done["message"] = message
    return {"terminated": done}


RUNNING: Obj = {"running": {"startedAt": at(2)}}


def waits_for(reason: str) -> Obj:
    return {"waiting": {"reason": reason, "message": f"because of {reason}"}}


def of(job: Obj | None, *pods: Obj, now: datetime = NOW, **more: Any) -> Verdict:
    return verdict(Seen(job, pods, **more), now=now)


def name_of(said: Verdict) -> str | None:
    assert isinstance(said, Failed), said
    return said.error.name


def nothing() -> Waiting:
    return Waiting()
