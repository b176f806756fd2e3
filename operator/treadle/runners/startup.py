"""What keeps an attempt's container from starting.

One rule: waiting for capacity is no failure unless the Task says for how long; an image or a
configuration that does not work is one after a while.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from treadle.asl.errors import StateError
from treadle.kube.api import Obj
from treadle.runners import podfacts

QUOTA_EXCEEDED = "Kubernetes.QuotaExceeded"
UNSCHEDULABLE = "Kubernetes.Unschedulable"
IMAGE_PULL = "Kubernetes.ImagePull"
CONTAINER_CONFIG = "Kubernetes.ContainerConfig"
FORBIDDEN = "Kubernetes.Forbidden"

_IMAGE_REASONS = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
)
_CONFIG_REASONS = frozenset(
    (
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    )
)
_QUOTA = "exceeded quota"
_NEVER_RAN = frozenset(("StartError", "ContainerCannotRun"))


@dataclass(frozen=True, slots=True)
class Start:
    """An attempt whose Job goes on. The members are those of `verdict.Seen`."""

    job: Obj
    pod: Obj | None
    now: datetime
    start_by: datetime | None
    stuck_since: datetime | None
    refusal: str | None

    @property
    def created_at(self) -> datetime:
        """When the Job was made."""
        return podfacts.created_at(self.job) or self.now

    def stuck_until(self, seconds: float) -> list[datetime]:
        """When patience ends."""
        return [(self.stuck_since or self.now) + timedelta(seconds=seconds)]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a container has not started.

    Attributes:
        kind: `capacity` and `podless` wait; `image` and `config` cannot go on as they stand.
        reason: what capacity it waits for, in a sentence.
        error: what it is called when patience ends.
        at_once: there is nothing to be patient for.
    """

    kind: Literal["capacity", "podless", "image", "config", "slow"]
    reason: str | None = None
    error: StateError | None = None
    at_once: bool = False


def never_ran(done: Obj) -> bool:
    """Whether a container ended because there is no such program."""
    return done.get("reason") in _NEVER_RAN


def hold(start: Start) -> Hold | None:
    """What keeps the attempt from starting; None where it started, or is being taken away."""
    if podfacts.is_suspended(start.job):
        reason = "Its Job is suspended, as Kueue does until there is quota."
        return Hold("capacity", reason, StateError(QUOTA_EXCEEDED, reason))
    pod = start.pod
    if pod is None:
        return _podless(start)
    over = podfacts.phase(pod) in podfacts.TERMINAL_PHASES
    if over or podfacts.is_deleting(pod) or podfacts.has_started(pod):
        return None
    unscheduled = podfacts.condition(pod, "PodScheduled", "False")
    if unscheduled is not None:
        said = unscheduled.get("message") or unscheduled.get("reason") or "no node was found"
        reason = f"Its Pod cannot be scheduled: {said}"
        return Hold("capacity", reason, StateError(UNSCHEDULABLE, reason))
    return _on_a_node(pod)


def quota_said(message: str) -> str | None:
    """What an attempt waits for, where a refusal speaks of a quota; the same for all that wait."""
    _, quota, rest = message.partition(_QUOTA)
    return f"A quota is full: {quota}{rest}" if quota else None  # without the object's own name


def _podless(start: Start) -> Hold | None:
    said = start.refusal or ""
    reason = quota_said(said)
    if reason is not None:
        return Hold("capacity", reason, StateError(QUOTA_EXCEEDED, reason))
    if "forbidden" in said or "denied the request" in said:
        return Hold("podless", None, StateError(FORBIDDEN, said), at_once=True)
    cause = said or "The Job controller made no Pod in time, and no Event says why."
    # Nothing is said before the events were read: a Pod takes a moment to be made.
    waits = None if start.refusal is None else f"Its Job has no Pod yet. {said}".strip()
    return Hold("podless", waits, StateError(UNSCHEDULABLE, cause))


def _on_a_node(pod: Obj) -> Hold:
    for why in podfacts.waiting(pod):
        name, said = why.get("reason"), why.get("message") or why.get("reason")
        if name in _IMAGE_REASONS:
            return Hold("image", None, StateError(IMAGE_PULL, str(said)))
        if name in _CONFIG_REASONS:
            return Hold("config", None, StateError(CONTAINER_CONFIG, str(said)))
    if podfacts.condition(pod, "PodReadyToStartContainers", "False") is not None:
        # The sandbox comes after the volumes and before the images.
        cause = "The node cannot prepare the Pod: a volume or the network is missing."
        return Hold("config", None, StateError(CONTAINER_CONFIG, cause))
    if podfacts.condition(pod, "PodScheduled") is None:
        reason = "Its Pod waits to be scheduled."
        return Hold("slow", None, StateError(UNSCHEDULABLE, reason))
    return Hold("slow", None, StateError(IMAGE_PULL, "The image was not there in time."))
