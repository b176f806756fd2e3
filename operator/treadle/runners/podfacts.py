"""What Pods and Jobs say, in the words of Kubernetes' API.

One rule: readings only; what they mean for a state is decided in `verdict`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from treadle.asl.timestamps import parse_timestamp
from treadle.kube.api import Obj

MAIN = "main"
TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


def uid(obj: Obj) -> str:
    """The uid of an object that came from an API server."""
    return str(obj["metadata"].get("uid", ""))


def annotation(obj: Obj | None, name: str) -> str | None:
    """The value of an annotation."""
    value = ((obj or {}).get("metadata", {}).get("annotations") or {}).get(name)
    return value if isinstance(value, str) else None


def controller_uid(obj: Obj) -> str:
    """The uid of the owner that controls an object; empty where it has none."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def job_uid_of(pod: Obj) -> str:
    """The uid of the Job that made a Pod, also after the Job was deleted without its Pods."""
    labels = pod["metadata"].get("labels") or {}
    return controller_uid(pod) or str(labels.get("batch.kubernetes.io/controller-uid", ""))


def instant(text: Any) -> datetime | None:
    """A time of the API; None where there is none."""
    return parse_timestamp(text) if isinstance(text, str) else None


def start_time(job: Obj) -> datetime | None:
    """When the Job controller first saw to a Job; None before."""
    return instant((job.get("status") or {}).get("startTime"))


def active(job: Obj) -> int:
    """How many Pods of a Job the controller believes to be there and not over."""
    return int((job.get("status") or {}).get("active") or 0)


def condition(obj: Obj, name: str, status: str = "True") -> Obj | None:
    """A condition that has this status."""
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each.get("type") == name and each.get("status") == status:
            found: Obj = each
            return found
    return None


def is_deleting(obj: Obj) -> bool:
    """Whether its deletion was asked for."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def deletion_asked_at(obj: Obj) -> datetime | None:
    """When a deletion was asked for: the timestamp less the time that was granted."""
    at = instant(obj["metadata"].get("deletionTimestamp"))
    grace = obj["metadata"].get("deletionGracePeriodSeconds") or 0
    return at - timedelta(seconds=grace) if at is not None else None


def created_at(obj: Obj) -> datetime | None:
    """When it was created, in whole seconds of the API server's time."""
    return instant(obj["metadata"].get("creationTimestamp"))


# ------------------------------------------------------------------------------------------ Jobs


def finish(job: Obj) -> Obj | None:
    """The condition that says that a Job is over.

    FailureTarget and SuccessCriteriaMet do not: a Pod may still run.
    """
    return condition(job, "Complete") or condition(job, "Failed")


def is_suspended(job: Obj) -> bool:
    """Whether a Job is told not to run."""
    return bool((job.get("spec") or {}).get("suspend"))


def is_stopped(job: Obj) -> bool:
    """Whether a Job carries our mark that it must not run (again)."""
    return (job.get("spec") or {}).get("activeDeadlineSeconds") == 0


def has_ended(job: Obj) -> bool:
    """Whether nothing of a Job will ever run: what is suspended with our mark never ends itself."""
    return finish(job) is not None or (is_stopped(job) and is_suspended(job))


# ------------------------------------------------------------------------------------------ Pods


def phase(pod: Obj) -> str:
    """The Pod's phase."""
    return str((pod.get("status") or {}).get("phase", ""))


def status_of(pod: Obj, container: str) -> Obj:
    """The status of a container; empty where the kubelet has said nothing yet."""
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each.get("name") == container:
            found: Obj = each
            return found
    return {}


def terminated(pod: Obj) -> Obj | None:
    """How `main` ended; None while it has not."""
    found: Obj | None = (status_of(pod, MAIN).get("state") or {}).get("terminated")
    return found


def finished_at(pod: Obj) -> datetime | None:
    """When `main` ended, by its node's clock."""
    return instant((terminated(pod) or {}).get("finishedAt"))


def failed_init(pod: Obj) -> tuple[str, Obj] | None:
    """The init container that kept `main` from starting, with how it ended."""
    for each in (pod.get("status") or {}).get("initContainerStatuses") or ():
        done = (each.get("state") or {}).get("terminated")
        if done and done.get("exitCode") != 0:
            return str(each.get("name")), done
    return None


def has_started(pod: Obj) -> bool:
    """Whether any container of the Pod runs or ran."""
    return any("waiting" not in state and state for _, state in _states(pod))


def waiting(pod: Obj) -> Iterator[Obj]:
    """Why containers are waiting."""
    for _, state in _states(pod):
        if "waiting" in state:
            yield state["waiting"] or {}


def _states(pod: Obj) -> Iterator[tuple[str, Obj]]:
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(kind) or ():
            yield str(each.get("name")), each.get("state") or {}


def disruption(pod: Obj) -> Obj | None:
    """The condition that says who is taking the Pod away."""
    return condition(pod, "DisruptionTarget")


def has_gone_quiet(pod: Obj, now: datetime, patience_seconds: float) -> bool:
    """Whether nothing more will be heard of a Pod: it ended, or nobody is left to say so."""
    if terminated(pod) is not None or phase(pod) in TERMINAL_PHASES:
        return True
    if not is_deleting(pod):
        return False
    metadata = pod["metadata"]
    on_a_node = bool((pod.get("spec") or {}).get("nodeName"))
    if not on_a_node or metadata.get("deletionGracePeriodSeconds") == 0:
        return True
    due = instant(metadata["deletionTimestamp"])
    return due is not None and now >= due + timedelta(seconds=patience_seconds)
