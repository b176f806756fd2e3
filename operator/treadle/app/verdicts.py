"""What `treadle why` says: one cause, and what shows it.

One rule: a verdict is about what was read; it guesses nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from treadle.app.ages import age
from treadle.kube.api import Obj
from treadle.runners import podfacts

SENTENCE_CHARS_MAX = 500
EVENTS_SHOWN_MAX = 3


class Kind(StrEnum):
    """What the cause is, in a word for programs."""

    SUCCEEDED = "succeeded"
    WORKS = "works"
    NOT_SEEN = "not-seen"
    NO_OPERATOR = "no-operator"
    DELETING = "deleting"
    PARKED = "parked"
    STOPPING = "stopping"
    SUSPENDED = "suspended"
    MACHINE_MISSING = "machine-missing"
    MACHINE_INVALID = "machine-invalid"
    MACHINE_UNJUDGED = "machine-unjudged"
    VERSION_MISSING = "version-missing"
    IMAGE_PULL = "image-pull"
    CONTAINER_CONFIG = "container-config"
    REFUSED = "refused"
    QUOTA = "quota"
    UNSCHEDULABLE = "unschedulable"
    JOB_SUSPENDED = "job-suspended"
    NO_POD = "no-pod"
    APPROVAL = "approval"
    RETRIES = "retries"
    CHILD = "child"
    CALLS = "calls"
    WORKER = "worker"
    SLEEPS = "sleeps"
    EXIT_CODE = "exit-code"
    OUT_OF_MEMORY = "out-of-memory"
    POD_LOST = "pod-lost"
    TIMED_OUT = "timed-out"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """See the module.

    Attributes:
        cause: a sentence.
        evidence: what shows it, from the execution downwards, a line each.
        remedy: what to do, or where to look; empty where there is nothing.
    """

    kind: Kind
    cause: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""


def short(text: object) -> str:
    """A text on one line that is not too long."""
    said = " ".join(str(text).split())
    return said if len(said) <= SENTENCE_CHARS_MAX else f"{said[: SENTENCE_CHARS_MAX - 1]}…"


def since(instant: object, now: datetime) -> str:
    """How long ago an instant of the API was."""
    return age(podfacts.instant(instant), now) or "an unknown time"


# ------------------------------------------------------------------------ what objects show


def of_job(job: Obj, has_pod: bool) -> str:
    """What a Job shows."""
    finish = podfacts.finish(job)
    if finish is not None:
        message = finish.get("message") or finish.get("reason") or ""
        said = f"is {finish['type']}: {short(message)}" if message else f"is {finish['type']}"
    elif podfacts.is_suspended(job):
        said = "is suspended"
    elif has_pod:
        said = "has a Pod"
    else:
        said = "has no Pod"
    return f"Job {job['metadata']['name']} {said}"


def of_pod(pod: Obj) -> str:
    """What a Pod shows."""
    node = (pod.get("spec") or {}).get("nodeName")
    where = f" on node {node}" if node else ""
    said = f"Pod {pod['metadata']['name']} is {podfacts.phase(pod) or 'Pending'}{where}"
    if podfacts.is_deleting(pod):
        said += ", being deleted"
    done = podfacts.terminated(pod)
    if done is not None:
        reason = f" ({done['reason']})" if done.get("reason") else ""
        return f"{said}; its container ended with exit code {done.get('exitCode')}{reason}"
    for why in podfacts.waiting(pod):
        message = f": {short(why['message'])}" if why.get("message") else ""
        return f"{said}; its container waits: {why.get('reason')}{message}"
    unscheduled = podfacts.condition(pod, "PodScheduled", "False")
    if unscheduled is not None:
        return f"{said}; {unscheduled.get('reason')}: {short(unscheduled.get('message') or '')}"
    return said


def of_events(events: list[Obj], now: datetime) -> Iterator[str]:
    """What Events show that warn, the newest of each reason first."""
    told: set[str] = set()
    for event in events:
        reason = str(event.get("reason"))
        if event.get("type") != "Warning" or reason in told or len(told) == EVENTS_SHOWN_MAX:
            continue
        told.add(reason)
        when = since(event.get("lastTimestamp") or event.get("eventTime"), now)
        often = f", {event['count']} times" if (event.get("count") or 1) > 1 else ""
        yield f"Event {when} ago{often}: {reason}: {short(event.get('message') or '')}"
