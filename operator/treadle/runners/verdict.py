"""What a Job and its Pods mean for the attempt that they run.

One rule: pure; what may be missing only from a cache is a question (`Ask`), not a fact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from treadle.asl.errors import TIMEOUT, StateError
from treadle.kube.api import Obj
from treadle.kube.manifests import START_BY
from treadle.runners import disruptions, podfacts, results, startup
from treadle.runners.results import Failed, Succeeded

_LOST_SECONDS = 30.0
"""How often a Pod is looked at whose Job is over though it is not."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Patience, in seconds.

    Attributes:
        image_pull_seconds: with an image that cannot be pulled.
        container_config_seconds: with a container that cannot be made, or a missing volume.
        pod_creation_seconds: before the events of a Job without a Pod are read.
        quiet_seconds: after the grace period of a deleted Pod whose node says nothing.
        skew_seconds: between a node's clock and the API server's.
    """

    image_pull_seconds: float = 600.0
    container_config_seconds: float = 600.0
    pod_creation_seconds: float = 20.0
    quiet_seconds: float = 60.0
    skew_seconds: float = 2.0


DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is decided.

    Attributes:
        reason: what capacity it waits for, in a sentence.
        recheck_at: when to judge again though nothing changes.
        stuck: it cannot start as it stands; the caller remembers since when.
    """

    reason: str | None = None
    recheck_at: datetime | None = None
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Only the API server can tell: a GET of the Job and a list of its Pods, or its Events."""

    what: Literal["objects", "events"]


Verdict: TypeAlias = Succeeded | Failed | Waiting | Ask


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an attempt.

    Attributes:
        job: of the attempt's name; None where there is none.
        pods: with the attempt's label, whoever made them.
        uid: of the Job that was seen running it; empty where none was.
        live: the objects are the API server's answers of now.
        stuck_since: since when the verdict was `stuck`.
        refusal: why no Pod was made, from the Job's events; empty where they do not say.
    """

    job: Obj | None
    pods: Sequence[Obj]
    uid: str = ""
    live: bool = False
    stuck_since: datetime | None = None
    refusal: str | None = None


def verdict(seen: Seen, *, now: datetime, policy: Policy = DEFAULT) -> Verdict:
    """What is to be said of the attempt now."""
    job = seen.job if _is_there(seen) else None
    pod = current_pod(seen)
    known = bool(job is not None or seen.uid or seen.live)
    if pod is not None and known:
        early = _early(pod, now)
        if early is not None:
            return early
    if job is None:
        return _without_job(seen, pod, now, policy)
    if podfacts.finish(job) is not None:
        return _of_finished(seen, job, pod, now, policy)
    waits = startup.Start(
        job=job,
        pod=pod,
        now=now,
        start_by=podfacts.instant(podfacts.annotation(job, START_BY)),
        stuck_since=seen.stuck_since,
        refusal=seen.refusal,
    )
    return _of_waiting(waits, policy)


def current_pod(seen: Seen) -> Obj | None:
    """The Pod that counts.

    Pods are matched by their Job's uid. One that a suspension deleted never counts, and neither
    does one with a successor: Kubernetes makes a second Pod for no other reason.
    """
    mine = _mine(seen)
    staying = [pod for pod in mine if not podfacts.is_deleting(pod)]
    candidates = staying or [pod for pod in mine if not _went_by_suspension(pod, seen.job)]
    return max(candidates, key=_age, default=None)


def superseded_pods(seen: Seen) -> list[Obj]:
    """Deleted Pods of the attempt's Job that nobody will read."""
    current = current_pod(seen)
    return [pod for pod in _mine(seen) if pod is not current and podfacts.is_deleting(pod)]


def _age(pod: Obj) -> tuple[str, str]:
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp", "")), str(metadata.get("name", ""))


def _mine(seen: Seen) -> list[Obj]:
    owner = seen.uid or (podfacts.uid(seen.job) if seen.job is not None else "")
    made = [(pod, podfacts.job_uid_of(pod)) for pod in seen.pods]
    # Anybody may label a Pod like ours: one that no Job made is nobody's.
    return [pod for pod, uid in made if uid and (not owner or uid == owner)]


def _is_there(seen: Seen) -> bool:
    """A Job on its way out is gone, and so is one whose name something else has taken."""
    job = seen.job
    if job is None or podfacts.is_deleting(job):
        return False
    return not seen.uid or podfacts.uid(job) == seen.uid


def _went_by_suspension(pod: Obj, job: Obj | None) -> bool:
    if job is None:
        return False
    if podfacts.is_suspended(job) and podfacts.finish(job) is None:
        return True
    # Resuming a Job sets its startTime anew: what was deleted before that, the suspension deleted.
    started = podfacts.instant((job.get("status") or {}).get("startTime"))
    made, asked = podfacts.created_at(pod), podfacts.deletion_asked_at(pod)
    return bool(started and made and asked and made < started and asked <= started)


# ------------------------------------------------------------------------------- with a container


def _early(pod: Obj, now: datetime) -> Succeeded | Failed | None:
    """What needs no word of the Job: exit 0, and a program that does not exist."""
    done = podfacts.terminated(pod)
    if done is None or podfacts.is_deleting(pod):
        return None
    at = podfacts.finished_at(pod) or now
    if startup.never_ran(done):
        cause = results.message_of(done) or "The container could not be started."
        return Failed(StateError("Kubernetes.ContainerConfig", cause), at)
    if done.get("exitCode") != 0:
        return None
    if podfacts.disruption(pod) is None or _believable(pod, done, None, DEFAULT):
        return results.success(pod, done, at)
    return None


def _believable(pod: Obj, done: Obj, job: Obj | None, policy: Policy) -> bool:
    """Whether an exit of 0 is the program's own end, and not its answer to a SIGTERM."""
    return bool(results.message_of(done).strip()) or _by_itself(pod, job, policy)


def _by_itself(pod: Obj, job: Obj | None, policy: Policy) -> bool:
    """Whether `main` ended before anybody took its Pod away."""
    ended = podfacts.finished_at(pod)
    disruption = podfacts.disruption(pod)
    if disruption is not None:
        taken = podfacts.instant(disruption.get("lastTransitionTime"))
        return ended is not None and taken is not None and ended < taken
    if not podfacts.is_deleting(pod):
        return disruptions.reason_of(pod) is None
    # The Pod garbage collector deletes Pods that ended long ago, and says no reason.
    asked = podfacts.deletion_asked_at(pod)
    if asked is None or ended is None:
        return False
    counted = podfacts.instant(((job or {}).get("status") or {}).get("completionTime"))
    skew = timedelta(seconds=policy.skew_seconds)
    # Both are in whole seconds: the same one may have been after.
    return ended + skew < asked or (counted is not None and counted < asked)


def _judged(pod: Obj, job: Obj | None, now: datetime, policy: Policy) -> Succeeded | Failed:
    """A Pod that has gone quiet, of a Job that is over."""
    done = podfacts.terminated(pod)
    at = podfacts.finished_at(pod) or _finish_time(job) or _leave_time(pod) or now
    own = done is not None and _by_itself(pod, job, policy)
    if done is not None and done.get("exitCode") == 0:
        complete = job is not None and podfacts.condition(job, "Complete") is not None
        stayed = complete and not podfacts.is_deleting(pod)
        if stayed or _believable(pod, done, job, policy):
            return results.success(pod, done, at)
    if not own:
        if job is not None and _is_overdue(job):
            return Failed(_overdue(job), at)
        taken = disruptions.error_of(pod)
        if taken is not None:
            return Failed(taken, at)
    if done is not None:
        return results.failure(pod, done, at)
    init = podfacts.failed_init(pod)
    if init is not None:
        name, ended = init
        at = podfacts.instant(ended.get("finishedAt")) or at
        return results.failure(pod, ended, at, f"Init container {name}")
    return Failed(disruptions.unexplained(pod), at)


def _finish_time(job: Obj | None) -> datetime | None:
    finish = podfacts.finish(job) if job is not None else None
    return podfacts.instant((finish or {}).get("lastTransitionTime"))


def _leave_time(pod: Obj) -> datetime | None:
    disruption = podfacts.disruption(pod) or {}
    asked = podfacts.deletion_asked_at(pod)
    return podfacts.instant(disruption.get("lastTransitionTime")) or asked


def _is_overdue(job: Obj) -> bool:
    failed = podfacts.condition(job, "Failed")
    return failed is not None and failed.get("reason") == "DeadlineExceeded"


def _overdue(job: Obj) -> StateError:
    seconds = (job.get("spec") or {}).get("activeDeadlineSeconds")
    return StateError(TIMEOUT, f"The Job ran past its activeDeadlineSeconds ({seconds}).")


# -------------------------------------------------------------------------- by what the Job says


def _of_finished(seen: Seen, job: Obj, pod: Obj | None, now: datetime, policy: Policy) -> Verdict:
    if pod is None:
        if not seen.live:
            return Ask("objects")
        at = _finish_time(job) or now
        if _is_overdue(job):
            return Failed(_overdue(job), at)
        cause = "The Job is over and its Pod is gone, with the result that it may have had."
        return Failed(StateError("Kubernetes.ResultLost", cause), at)
    if podfacts.has_gone_quiet(pod, now, policy.quiet_seconds):
        return _judged(pod, job, now, policy)
    if not seen.live:
        return Ask("objects")
    return Waiting(recheck_at=now + timedelta(seconds=_LOST_SECONDS))


def _without_job(seen: Seen, pod: Obj | None, now: datetime, policy: Policy) -> Verdict:
    """The Job is gone: the Pod's result if it has one, also where the Pod was left to run."""
    if not seen.live:
        return Ask("objects")
    if pod is None:
        return Failed(_job_deleted(), now)
    if not podfacts.has_gone_quiet(pod, now, policy.quiet_seconds):
        return Waiting(recheck_at=now + timedelta(seconds=_LOST_SECONDS))
    done = podfacts.terminated(pod)
    if not podfacts.is_deleting(pod) or (done is not None and _by_itself(pod, None, policy)):
        return _judged(pod, None, now, policy)
    at = podfacts.finished_at(pod) or _leave_time(pod) or now
    if done is not None and done.get("exitCode") == 0 and results.message_of(done).strip():
        return results.success(pod, done, at)
    return Failed(_job_deleted(), at)


def _job_deleted() -> StateError:
    return StateError("Kubernetes.JobDeleted", "Somebody deleted the Job before it was over.")


def _asks_at(start: startup.Start, policy: Policy, due: datetime | None) -> datetime | None:
    """When only the Job's events can tell why there is no Pod.

    The controller sets startTime at its first look, and takes a Pod that was refused off `active`.
    Before that look it is only behind, however long; with an active Pod our view is. Either ends
    with a change of the Job, which is judged.
    """
    start_time = podfacts.start_time(start.job)
    if start_time is None or podfacts.active(start.job):
        return due
    asks_at = start_time + timedelta(seconds=policy.pod_creation_seconds)
    return asks_at if due is None else min(asks_at, due)


def _of_waiting(start: startup.Start, policy: Policy) -> Verdict:
    """A Job that goes on, with a Pod that has not succeeded."""
    hold = startup.hold(start)
    if hold is None:
        return Waiting()
    if hold.error is not None and hold.at_once:
        return Failed(hold.error, start.now)
    limits = [] if start.start_by is None else [start.start_by]
    if hold.kind == "image":
        limits += start.stuck_until(policy.image_pull_seconds)
    elif hold.kind == "config":
        limits += start.stuck_until(policy.container_config_seconds)
    due = min(limits, default=None)
    if hold.kind == "podless" and start.refusal is None:
        asks_at = _asks_at(start, policy, due)
        if asks_at is not None and start.now >= asks_at:
            return Ask("events")
        return Waiting(hold.reason, asks_at)
    if due is not None and start.now >= due and hold.error is not None:
        return Failed(hold.error, due)
    return Waiting(hold.reason, due, stuck=hold.kind in ("image", "config"))
