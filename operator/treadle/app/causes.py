"""Why an execution is as it is: one cause, from all that is known of it.

One rule: pure; what stands above decides: without an operator nothing below it matters.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from treadle.app import standstills
from treadle.app.evidence import Evidence
from treadle.app.standstills import error_of, of_execution, quoted
from treadle.app.verdicts import Kind, Verdict, of_events, of_pod, short, since
from treadle.asl.errors import TIMEOUT
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.decode import suspend_by
from treadle.kube.lease import DURATION_SECONDS
from treadle.runners import podfacts
from treadle.runtime.ports import START_DEADLINE_SECONDS, TERMINAL
from treadle.stores.histories import HistoryEntry

UNSEEN_SECONDS = 15.0
"""An operator that works has looked at a new Execution by then."""

_LEASE_SLACK = timedelta(seconds=2)
_PROBLEMS_SHOWN_MAX = 5
_FAILURES_SHOWN_MAX = 3

_ERRORS = {
    "Kubernetes.ImagePull": Kind.IMAGE_PULL,
    "Kubernetes.ContainerConfig": Kind.CONTAINER_CONFIG,
    "Kubernetes.Forbidden": Kind.REFUSED,
    "Kubernetes.QuotaExceeded": Kind.QUOTA,
    "Kubernetes.Unschedulable": Kind.UNSCHEDULABLE,
    "Kubernetes.OOMKilled": Kind.OUT_OF_MEMORY,
    "Kubernetes.Evicted": Kind.POD_LOST,
    "Kubernetes.Preempted": Kind.POD_LOST,
    "Kubernetes.NodeLost": Kind.POD_LOST,
    "Kubernetes.PodDeleted": Kind.POD_LOST,
    "Kubernetes.JobDeleted": Kind.POD_LOST,
    "Kubernetes.ResultLost": Kind.POD_LOST,
    "Treadle.InvalidDefinition": Kind.MACHINE_INVALID,
    TIMEOUT: Kind.TIMED_OUT,
}


def verdict(seen: Evidence) -> Verdict:
    """The cause."""
    found = _of_ended(seen) if seen.status.get("phase") in TERMINAL else _of_living(seen)
    found = _with_redrive(found, seen)
    unread = tuple(
        f"It could not be read: {what}: {short(why)}" for what, why in seen.unread.items()
    )
    return replace(found, evidence=(*found.evidence, *unread))


def _with_redrive(found: Verdict, seen: Evidence) -> Verdict:
    """The same cause, and that somebody asked for a redrive, if that has led to nothing."""
    asked, answer = ((each.get("redrive") or {}) for each in (seen.spec, seen.status))
    if asked.get("id") != answer.get("id"):
        told = f"The redrive {asked.get('id')} is asked for; no operator has answered yet"
        return replace(found, evidence=(*found.evidence, told)) if asked else found
    if "refused" not in answer:
        return found
    told = f"The redrive {answer.get('id')} was refused: {short(answer['refused'])}"
    shown = replace(found, evidence=(*found.evidence, told))
    if seen.status.get("phase") not in TERMINAL - {"Succeeded"}:
        return shown
    # Each is answered once: what is mended now is of no use to the old one.
    return replace(shown, remedy=f"mend that, and then: treadle redrive {seen.name}")


def _of_living(seen: Evidence) -> Verdict:
    above = (_deleting, _parked, _no_operator, _not_seen, _stopping, _suspended)
    for judge in above:
        found = judge(seen)
        if found is not None:
            return found
    return _pending(seen) if seen.status.get("phase") == "Pending" else standstills.verdict(seen)


# ------------------------------------------------------------------------------ what stands above


def _deleting(seen: Evidence) -> Verdict | None:
    asked = seen.execution["metadata"].get("deletionTimestamp")
    if not asked:
        return None
    cause = f"it is being deleted, since {since(asked, seen.now)}"
    return Verdict(Kind.DELETING, cause, (of_execution(seen),))


def _parked(seen: Evidence) -> Verdict | None:
    parked = podfacts.condition(seen.execution, "Parked")
    if parked is None:
        return None
    cause = f"it cannot go on: {short(parked.get('message'))}"
    return Verdict(Kind.PARKED, cause, (of_execution(seen),), f"treadle history {seen.name}")


def _no_operator(seen: Evidence) -> Verdict | None:
    """None, too, where somebody has looked and no Lease can be seen: it may have none."""
    remedy = "see whether its Pod runs: kubectl get pods -A -l app.kubernetes.io/part-of=treadle"
    serving = [lease for lease in seen.leases or () if _serves(lease, seen.namespace)]
    if serving:
        if any(_is_fresh(lease, seen.now) for lease in serving):
            return None
        cause = f"no operator runs: {_of_lease(serving[0], seen.now)}"
        return Verdict(Kind.NO_OPERATOR, cause, (of_execution(seen),), remedy)
    made = podfacts.created_at(seen.execution)
    waited = (seen.now - made).total_seconds() if made is not None else 0.0
    if seen.status or waited < UNSEEN_SECONDS:
        return None
    why = (
        "whether one runs may not be seen: leases cannot be listed"
        if seen.leases is None
        else f"no Lease says that one serves namespace {seen.namespace}"
    )
    cause = f"no operator has looked at it for {waited:.0f}s; {why}"
    return Verdict(Kind.NO_OPERATOR, cause, (of_execution(seen),), remedy)


def _serves(lease: Obj, namespace: str) -> bool:
    served = podfacts.annotation(lease, names.SERVES)
    return not served or namespace in served.split(",")


def _is_fresh(lease: Obj, now: datetime) -> bool:
    spec = lease.get("spec") or {}
    renewed = podfacts.instant(spec.get("renewTime"))
    lasts = spec.get("leaseDurationSeconds") or DURATION_SECONDS
    if not spec.get("holderIdentity") or renewed is None:
        return False
    return now <= renewed + timedelta(seconds=lasts) + _LEASE_SLACK


def _of_lease(lease: Obj, now: datetime) -> str:
    spec, metadata = lease.get("spec") or {}, lease["metadata"]
    named = f"the Lease {metadata.get('namespace')}/{metadata['name']}"
    if not spec.get("holderIdentity"):
        return f"nobody holds {named}"
    renewed = since(spec.get("renewTime"), now)
    return f"{named} was last renewed {renewed} ago, by {spec['holderIdentity']}"


def _not_seen(seen: Evidence) -> Verdict | None:
    if seen.status:
        return None
    cause = "it is new: no operator has looked at it yet"
    return Verdict(Kind.NOT_SEEN, cause, (of_execution(seen),))


def _stopping(seen: Evidence) -> Verdict | None:
    if "stop" not in seen.spec:
        return None
    cause = "it is being stopped: what runs is ended first"
    return Verdict(Kind.STOPPING, cause, (of_execution(seen),))


def _suspended(seen: Evidence) -> Verdict | None:
    if not seen.spec.get("suspend"):
        return None
    told = podfacts.condition(seen.execution, "Suspended")
    for_how_long = f" since {since(told.get('lastTransitionTime'), seen.now)}" if told else ""
    whom = _suspender(seen) if told else suspend_by(seen.execution)
    by = f" by {short(whom)}" if whom else ""
    cause = f"it is suspended{by}{for_how_long}: nothing new starts"
    places = seen.status.get("currentStates") or [None]
    shown = (of_execution(seen, places[0]),)
    return Verdict(Kind.SUSPENDED, cause, shown, f"treadle resume {seen.name}")


def _suspender(seen: Evidence) -> str | None:
    """Who suspended it, as the operator that did has written down."""
    kinds = ("ExecutionSuspended", "ExecutionResumed")
    last = next((entry for entry in reversed(seen.history) if entry.type in kinds), None)
    by = last.details.get("by") if last is not None and last.type == kinds[0] else None
    return None if by is None else str(by)


def _pending(seen: Evidence) -> Verdict:
    shown = [of_execution(seen)]
    pending = podfacts.instant(seen.status.get("pendingSince"))
    if pending is not None:
        seconds = seen.spec.get("startDeadlineSeconds")
        due = pending + timedelta(seconds=START_DEADLINE_SECONDS if seconds is None else seconds)
        shown.append(f"It fails at {due:%Y-%m-%dT%H:%M:%SZ} unless it can start before")
    name, machine = seen.machine_name, seen.machine
    if machine is None:
        said = short(seen.status.get("message") or f"there is no StateMachine '{name}'")
        cause = f"it waits for its machine: {said}"
        return Verdict(Kind.MACHINE_MISSING, cause, tuple(shown), "apply the StateMachine")
    if _names_version(seen):
        said = short(seen.status.get("message") or "")
        cause = f"it waits for its version: {said}"
        return Verdict(Kind.VERSION_MISSING, cause, tuple(shown), f"treadle versions {name}")
    wrong = _wrong_with(machine)
    if wrong is not None:
        cause = f"it waits for its machine: {wrong}"
        return Verdict(Kind.MACHINE_INVALID, cause, (*shown, *_problems(machine)))
    judged = (machine.get("status") or {}).get("observedGeneration")
    if judged != machine["metadata"].get("generation"):
        cause = f"it waits for its machine: StateMachine '{name}' is not judged yet"
        return Verdict(Kind.MACHINE_UNJUDGED, cause, tuple(shown))
    cause = f"it is about to start: StateMachine '{name}' is ready"
    return Verdict(Kind.WORKS, cause, tuple(shown))


def _names_version(seen: Evidence) -> bool:
    """Whether a published version is to run, whatever the machine is now."""
    ref = seen.spec.get("stateMachineRef") or {}
    return ref.get("version") is not None or ref.get("alias") is not None


def _wrong_with(machine: Obj) -> str | None:
    ready = podfacts.condition(machine, "Ready", "False")
    if ready is None:
        return None
    return f"StateMachine '{machine['metadata']['name']}': {short(ready.get('message') or '')}"


def _problems(machine: Obj) -> Iterator[str]:
    problems = (machine.get("status") or {}).get("problems") or []
    wrong = [problem for problem in problems if problem.get("severity") == "error"]
    for each in wrong[:_PROBLEMS_SHOWN_MAX]:
        where, said = each.get("pointer") or "/", short(each.get("message"))
        yield f"Problem at {where}: {said} [{each.get('code')}]"


# ----------------------------------------------------------------------------- what has ended


def _of_ended(seen: Evidence) -> Verdict:
    phase, took = seen.status.get("phase"), _took(seen)
    ago = since(seen.status.get("completionTime"), seen.now)
    ended = f"Execution {seen.name} is {phase}, {ago} ago{took}"
    said = short(": ".join(str(seen.status[k]) for k in ("error", "cause") if seen.status.get(k)))
    if phase == "Succeeded":
        return Verdict(Kind.SUCCEEDED, "nothing is wrong: it has succeeded", (ended,))
    if phase == "Aborted":
        by = (seen.spec.get("stop") or {}).get("by")
        cause = f"it was stopped{f' by {by}' if by else ''}{': ' if said else ''}{said}"
        return Verdict(Kind.STOPPED, cause, (ended,))
    kind = _kind(str(seen.status.get("error", "")), seen)
    if not seen.history:
        return _of_never_started(seen, kind, said, ended)
    failed = _failed(seen)
    state = standstills.states_of(list(seen.history)).get(failed.id) if failed else None
    where = f"{state} failed" if state else "it failed"
    return Verdict(kind, f"{where}: {said}", (ended, *_of_failure(seen, state)), _look(seen, state))


def _took(seen: Evidence) -> str:
    began = podfacts.instant(seen.status.get("startTime"))
    over = podfacts.instant(seen.status.get("completionTime"))
    return f", after {(over - began).total_seconds():.1f}s" if began and over else ""


def _kind(error: str, seen: Evidence) -> Kind:
    if error.startswith("Kubernetes.ExitCode."):
        return Kind.EXIT_CODE
    if error == "Treadle.StartDeadlineExceeded":
        if seen.machine is None:
            return Kind.MACHINE_MISSING
        return Kind.VERSION_MISSING if _names_version(seen) else Kind.MACHINE_UNJUDGED
    if seen.status.get("phase") == "TimedOut":
        return Kind.TIMED_OUT
    return _ERRORS.get(error, Kind.FAILED)


def _of_never_started(seen: Evidence, kind: Kind, said: str, ended: str) -> Verdict:
    machine = seen.machine
    shown = (ended, *(_problems(machine) if machine is not None else ()))
    return Verdict(kind, f"it never started: {said}", shown)


def _failed(seen: Evidence) -> HistoryEntry | None:
    """The entry of the failure that ended the execution: the innermost one of the same error."""
    error = seen.status.get("error")
    for entry in reversed(seen.history):
        same = entry.details.get("error") == error
        if (
            standstills.is_failure(entry)
            and same
            and not entry.type.startswith(("Map", "Parallel"))
        ):
            return entry
    # A Fail state, or what no Task did: whatever led to the end.
    last = seen.history[-1]
    return next((entry for entry in seen.history if entry.id == last.previous), None)


def _of_failure(seen: Evidence, state: str | None) -> Iterator[str]:
    within = standstills.states_of(list(seen.history))
    own = [e for e in seen.history if within.get(e.id) == state and standstills.is_failure(e)]
    for entry in own[-_FAILURES_SHOWN_MAX:]:
        ago = since(entry.at.isoformat(), seen.now)
        yield f"History {entry.id}: {entry.type} of {state}, {ago} ago: {error_of(entry)}"
    for pod in _pods(seen, state)[:1]:
        yield of_pod(pod)
        yield from of_events(seen.events_of(pod), seen.now)


def _pods(seen: Evidence, state: str | None) -> list[Obj]:
    found = [pod for pod in seen.pods if podfacts.annotation(pod, names.STATE) == state]
    return sorted(
        found, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), reverse=True
    )


def _look(seen: Evidence, state: str | None) -> str:
    if _pods(seen, state):
        return f"treadle logs {seen.name} {quoted(state)}"
    return f"treadle history {seen.name}"
