"""Why an execution that runs does not get on: by each state that it is in.

One rule: pure; a Job and its Pod are judged as the operator judges them.
"""

import re
from collections.abc import Mapping
from typing import Any

from treadle.app.ages import age
from treadle.app.evidence import Evidence
from treadle.app.verdicts import Kind, Verdict, of_events, of_job, of_pod, short, since
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.approving import BY_RBAC, RESOURCE
from treadle.kube.manifests import ATTEMPT_NUMBER
from treadle.runners import decisions, podfacts, startup
from treadle.runners.startup import Hold, Start
from treadle.runners.verdict import Seen, current_pod
from treadle.runtime.ports import TERMINAL
from treadle.stores.histories import HistoryEntry
from treadle.stores.owners import Owners

_ORDER = (
    Kind.IMAGE_PULL,
    Kind.CONTAINER_CONFIG,
    Kind.REFUSED,
    Kind.QUOTA,
    Kind.UNSCHEDULABLE,
    Kind.JOB_SUSPENDED,
    Kind.NO_POD,
    Kind.APPROVAL,
    Kind.WORKER,
    Kind.RETRIES,
    Kind.WORKS,
    Kind.CHILD,
    Kind.CALLS,
    Kind.SLEEPS,
)
"""What is told where several states stand still: the first of these."""

_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: .*?, "
    r"used: (?P<used>.*?), limited: (?P<limited>.*)"
)

_CALLS = ("treadle:http", "http:invoke")

Place = Mapping[str, Any]


def verdict(seen: Evidence) -> Verdict:
    """Why an execution in phase Running is where it is."""
    places = seen.status.get("currentStates") or []
    found = [(_of_place(seen, place), place) for place in places]
    if not found:
        return _between(seen)
    told, place = min(found, key=lambda each: _ORDER.index(each[0].kind))
    evidence = [of_execution(seen, place)]
    if len(places) > 1:
        others = ", ".join(str(each.get("path")) for each in places if each is not place)
        evidence.append(f"It is in {len(places)} states at once, also in {short(others)}")
    return Verdict(told.kind, told.cause, (*evidence, *told.evidence), told.remedy)


def of_execution(seen: Evidence, place: Place | None = None) -> str:
    """What the execution itself shows."""
    status = seen.status
    began = status.get("startTime") or seen.execution["metadata"].get("creationTimestamp")
    phase = status.get("phase")
    said = f"Execution {seen.name} " + (f"is {phase}" if phase else "has no status")
    said += f" since {since(began, seen.now)}"
    if place is not None:
        entered = since(place.get("enteredAt"), seen.now)
        said += f", in {place.get('path')} since {entered}, attempt {place.get('attempt')}"
    items = (status.get("progress") or {}).get("text")
    return f"{said}; {items} items are done" if items else said


def capacity(message: str) -> str:
    """What is full, in a few words, where a message speaks of a quota."""
    found = _QUOTA.search(message)
    if found is None:
        return short(message)
    used = dict(part.partition("=")[::2] for part in found["used"].split(","))
    limits = dict(part.partition("=")[::2] for part in found["limited"].split(","))
    full = ", ".join(f"{name} {used.get(name, '?')}/{limit}" for name, limit in limits.items())
    return f"quota {found['name']} {short(full)}"


def failure(history: list[HistoryEntry], state: str) -> HistoryEntry | None:
    """The last failure of a state's own work."""
    within = states_of(history)
    for entry in reversed(history):
        if within.get(entry.id) == state and is_failure(entry):
            return entry
    return None


def is_failure(entry: HistoryEntry) -> bool:
    """Whether an entry says that something within the execution failed."""
    ended = entry.type.endswith(("Failed", "TimedOut", "Aborted"))
    return ended and not entry.type.startswith("Execution") and "error" in entry.details


def states_of(history: list[HistoryEntry]) -> dict[int, str]:
    """By the id of an entry: the state that it belongs to."""
    owners, found = Owners(), {}
    for entry in history:
        state = owners.take(entry)
        if state is not None:
            found[entry.id] = state
    return found


def error_of(entry: HistoryEntry) -> str:
    """The error of an entry, with its cause."""
    return short(
        ": ".join(str(entry.details[k]) for k in ("error", "cause") if entry.details.get(k))
    )


# ------------------------------------------------------------------------------- by what it waits


def _between(seen: Evidence) -> Verdict:
    waits = podfacts.condition(seen.execution, "WaitingForCapacity")
    if waits is not None:
        return _full(seen, str(waits.get("message")), ())
    cause = "it is between two states, and goes on by itself"
    return Verdict(Kind.WORKS, cause, (of_execution(seen),))


def _of_place(seen: Evidence, place: Place) -> Verdict:
    name = place.get("name")
    for_how_long = since(place.get("enteredAt"), seen.now)
    match place.get("waitsFor"):
        case "task":
            return _of_task(seen, place)
        case "time":
            cause = f"{name} waits for a time to come{_until(seen, place)}, since {for_how_long}"
            return Verdict(Kind.SLEEPS, cause)
        case "retry":
            return _of_retry(seen, place)
        case "callback":
            cause = f"{name} waits for whoever has its task token, since {for_how_long}"
            return Verdict(Kind.CALLS, cause)
        case "worker":
            cause = f"{name} waits for a worker of its activity, since {for_how_long}"
            return Verdict(Kind.WORKER, cause)
        case "children":
            return Verdict(Kind.WORKS, f"{name} waits for what runs within it")
        case _:
            return Verdict(Kind.WORKS, f"{name} is about to go on")


def _until(seen: Evidence, place: Place) -> str:
    due = podfacts.instant(place.get("until"))
    return f", {due:%Y-%m-%dT%H:%M:%SZ}, in {age(seen.now, due)}" if due is not None else ""


def _of_retry(seen: Evidence, place: Place) -> Verdict:
    last = failure(list(seen.history), str(place.get("name")))
    said = f": {error_of(last)}" if last is not None else ""
    name, attempt = place.get("name"), place.get("attempt")
    when = _until(seen, place)
    cause = f"{name} waits for its next attempt{when}; attempt {attempt} failed{said}"
    pods = _attempts(seen.pods, place)
    evidence = tuple(map(of_pod, pods[:1]))
    remedy = f"treadle logs {seen.name} {quoted(name)}" if pods else ""
    return Verdict(Kind.RETRIES, cause, evidence, remedy)


def quoted(name: object) -> str:
    """A state's name as a shell takes it."""
    text = str(name)
    return text if re.fullmatch(r"[\w.-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _attempts(objects: Any, place: Place) -> list[Obj]:
    """Jobs or Pods of where an execution is, the newest first."""
    # What an earlier release made does not say where it is.
    paths = (place.get("path"), None)
    found = [
        obj
        for obj in objects
        if podfacts.annotation(obj, names.STATE) == place.get("name")
        and podfacts.annotation(obj, names.PATH) in paths
    ]
    return sorted(found, key=_newness, reverse=True)


def _of_attempt(objects: Any, place: Place) -> Obj | None:
    """The Job or Approval of the attempt at which an execution is."""
    found = _attempts(objects, place)
    return next((each for each in found if _newness(each)[0] == place.get("attempt")), None)


def _newness(obj: Obj) -> tuple[int, str]:
    number = podfacts.annotation(obj, ATTEMPT_NUMBER) or "0"
    made = str(obj["metadata"].get("creationTimestamp", ""))
    return int(number) if number.isdecimal() and len(number) < 10 else 0, made


def _of_task(seen: Evidence, place: Place) -> Verdict:
    job = _of_attempt(seen.jobs, place)
    if job is None:
        return _without_job(seen, place)
    label = (job["metadata"].get("labels") or {}).get(names.ATTEMPT_NAME)
    mine = [
        p for p in seen.pods if (p["metadata"].get("labels") or {}).get(names.ATTEMPT_NAME) == label
    ]
    pod = current_pod(Seen(job, mine))
    said = seen.events_of(job)
    refusals = [event for event in said if event.get("reason") == "FailedCreate"]
    refusal = str(refusals[0].get("message") or "") if refusals else None
    hold = startup.hold(Start(job, pod, seen.now, None, None, refusal))
    shown = [of_job(job, pod is not None), *([of_pod(pod)] if pod is not None else [])]
    shown += of_events([*said, *(seen.events_of(pod) if pod is not None else [])], seen.now)
    if hold is None or hold.kind == "slow":
        return _working(seen, place, pod, tuple(shown))
    return _held(seen, hold, job, pod, tuple(shown))


def _without_job(seen: Evidence, place: Place) -> Verdict:
    approval = _of_attempt(seen.approvals, place)
    if approval is not None:
        return _of_approval(seen, place, approval)
    child = _of_attempt(seen.children, place)
    if child is not None:
        return _of_child(seen, place, child)
    name = place.get("name")
    asked = _scheduled(seen, place)
    waits = podfacts.condition(seen.execution, "WaitingForCapacity")
    events = tuple(of_events(seen.events_of(seen.execution), seen.now))
    if waits is not None and asked not in _CALLS:
        return _full(seen, str(waits.get("message")), events)
    if asked not in (None, "treadle:job", RESOURCE):
        return Verdict(Kind.CALLS, f"{name} waits for the answer to its call, {asked}", events)
    made = "Approval" if asked == RESOURCE else "Job"
    return Verdict(Kind.WORKS, f"the {made} of {name} is about to be made", events)


def _of_approval(seen: Evidence, place: Place, approval: Obj) -> Verdict:
    name, called, spec = place.get("name"), approval["metadata"]["name"], approval["spec"]
    decided = str((approval.get("status") or {}).get("decided") or "")
    said = f": {short(decided)}" if decided else ""
    shown: tuple[str, ...] = (f"Approval {called} is {decisions.phase(approval)}{said}",)
    until = podfacts.instant(spec.get("expiresAt"))
    if not decisions.is_open(approval) or (until is not None and until <= seen.now):
        return Verdict(Kind.WORKS, f"{name} has its answer, and is about to go on", shown)
    who = str(spec.get("who") or BY_RBAC).replace(BY_RBAC, "those whom RBAC lets")
    how_long = f"since {since(place.get('enteredAt'), seen.now)}"
    if until is not None:
        how_long += f", expires in {age(seen.now, until)}"
        shown = (*shown, f"It expires at {until:%Y-%m-%dT%H:%M:%SZ}")
    cause = f"{name} waits for approval by {who} {how_long}: {short(spec['message'])}"
    reason = " --reason WHY" if spec.get("reasonRequired") else ""
    return Verdict(Kind.APPROVAL, cause, shown, f"treadle approve {called}{reason}")


def _of_child(seen: Evidence, place: Place, child: Obj) -> Verdict:
    name, called, status = place.get("name"), child["metadata"]["name"], child.get("status") or {}
    phase = str(status.get("phase") or "")
    waits = f": {short(status['message'])}" if status.get("message") else ""
    within = ", ".join(str(each.get("path")) for each in status.get("currentStates") or ())
    shown = f"Execution {called} is {phase or 'new'}{waits}"
    if phase in TERMINAL:
        return Verdict(Kind.WORKS, f"{name} has its answer, and is about to go on", (shown,))
    if within:
        shown += f", in {short(within)}"
    there, option, namespace = "", "", child["metadata"].get("namespace", seen.namespace)
    if namespace != seen.namespace:
        there, option = f" in namespace {namespace}", f" -n {namespace}"
    how_long = f"since {since(place.get('enteredAt'), seen.now)}"
    cause = f"{name} waits for its child execution {called}{there}, {how_long}"
    return Verdict(Kind.CHILD, cause, (shown,), f"treadle why {called}{option}")


def _scheduled(seen: Evidence, place: Place) -> str | None:
    """What runs the work of a state, as its history tells."""
    within = states_of(list(seen.history))
    for entry in reversed(seen.history):
        if within.get(entry.id) == place.get("name") and entry.type.endswith("Scheduled"):
            kind, what = entry.details.get("resourceType"), entry.details.get("resource")
            return f"{kind}:{what}" if kind else str(what)
    return None


def _working(seen: Evidence, place: Place, pod: Obj | None, shown: tuple[str, ...]) -> Verdict:
    name = place.get("name")
    if pod is None or not podfacts.has_started(pod):
        return Verdict(Kind.WORKS, f"{name} is starting: its container does not run yet", shown)
    if podfacts.is_deleting(pod):
        return Verdict(Kind.WORKS, f"the Pod of {name} is being deleted", shown)
    if podfacts.terminated(pod) is not None:
        return Verdict(Kind.WORKS, f"the container of {name} has ended, and is looked at", shown)
    cause = f"nothing is wrong: {name} runs since {since(place.get('enteredAt'), seen.now)}"
    return Verdict(Kind.WORKS, cause, shown, f"treadle logs {seen.name} {quoted(name)}")


def _held(seen: Evidence, hold: Hold, job: Obj, pod: Obj | None, shown: tuple[str, ...]) -> Verdict:
    said = short((hold.error.cause if hold.error is not None else "") or "")
    match hold.kind:
        case "image":
            cause = f"image pull: {said}"
            remedy = "see whether the image's name is right, and whether its registry lets you in"
            return Verdict(Kind.IMAGE_PULL, cause, shown, remedy)
        case "config":
            return Verdict(Kind.CONTAINER_CONFIG, f"container: {said}", shown)
        case "podless" if hold.at_once:
            return Verdict(Kind.REFUSED, f"its Pod is refused: {said}", shown)
        case "podless":
            name = job["metadata"]["name"]
            return Verdict(Kind.NO_POD, f"the Job {name} has no Pod yet. {said}", shown)
    if podfacts.is_suspended(job):
        cause = "no capacity: its Job is suspended, as Kueue does until there is quota"
        return Verdict(Kind.JOB_SUSPENDED, cause, shown)
    if pod is None:
        return _full(seen, said, shown)
    why = podfacts.condition(pod, "PodScheduled", "False") or {}
    cause = f"no capacity: no node takes its Pod: {short(why.get('message') or why.get('reason'))}"
    return Verdict(Kind.UNSCHEDULABLE, cause, shown)


def _full(seen: Evidence, message: str, shown: tuple[str, ...]) -> Verdict:
    if startup.quota_said(message) is None:
        return Verdict(Kind.UNSCHEDULABLE, f"no capacity: {short(message)}", shown)
    return Verdict(
        Kind.QUOTA, f"no capacity: {capacity(message)}", (*shown, *_quotas(seen, message))
    )


def _quotas(seen: Evidence, message: str) -> list[str]:
    """The quotas that a message names, as they are now."""
    found = _QUOTA.search(message)
    told = []
    for quota in seen.quotas:
        if found is not None and quota["metadata"]["name"] == found["name"]:
            status = quota.get("status") or {}
            hard, used = status.get("hard") or {}, status.get("used") or {}
            rooms = ", ".join(f"{name} {used.get(name, '?')}/{hard[name]}" for name in sorted(hard))
            told.append(f"ResourceQuota {found['name']} now: {short(rooms)}")
    return told
