"""What people decided: an Approval judged from what is written in it.

One rule: pure, and in two steps. What spec says becomes a status, which is written under the
Approval's resourceVersion; and only what a status says is an outcome. So there is one outcome,
whoever looks, and however often.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps
from treadle.asl.timestamps import parse_timestamp
from treadle.engine.events import TaskFailed, TaskId, TaskSucceeded
from treadle.kube import names
from treadle.kube.api import Obj

REJECTED = "Treadle.ApprovalRejected"
EXPIRED = "Treadle.ApprovalExpired"
DELETED = "Treadle.ApprovalDeleted"

CAUSE_CHARS_MAX = 32_768  # AWS: of an error's cause
NAMED_MAX = 3
"""People who are named in a column; of others, the number."""

MARGIN = timedelta(seconds=1)
"""What our idea of the API server's time, from whole seconds, may be ahead of it. It refuses what
comes after the expiry; what came before, we must not."""

_DECIDED = {"Approved": None, "Rejected": REJECTED, "Expired": EXPIRED}
_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
)
_SPEC = ("quorum", "expiresAt", "closed", "decisions")
_WRITTEN = "writtenAt"

EXECUTION = "execution"
"""The index of an informer that finds the Approvals of an execution, by its uid."""


# --------------------------------------------------------------------------- for the informer


def trim(obj: Obj) -> Obj:
    """The little of an Approval that is read here; details may have 256 KiB."""
    given = obj["metadata"]
    metadata = {name: given[name] for name in _METADATA if name in given}
    annotations = given.get("annotations") or {}
    ours = (names.EXECUTION_NAME, names.TASK_ID, names.TASK_DIGEST)
    metadata["annotations"] = {name: annotations[name] for name in ours if name in annotations}
    metadata["ownerReferences"] = given.get("ownerReferences") or []
    spec = obj.get("spec") or {}
    kept = {name: spec[name] for name in _SPEC if name in spec}
    written = obj.get(_WRITTEN) or _written_at(given.get("managedFields") or ())
    return {
        "metadata": metadata,
        "spec": kept,
        "status": obj.get("status") or {},
        _WRITTEN: written,
    }


def _written_at(managed: Sequence[Mapping[str, Any]]) -> str:
    """When decisions were last written, in the API server's time; empty where nothing says so."""
    times = [
        str(each.get("time", ""))
        for each in managed
        if not each.get("subresource")
        and "f:decisions" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max(times, default="")


def execution_of(obj: Obj) -> str | None:
    """See `EXECUTION`."""
    uid = (obj["metadata"].get("labels") or {}).get(names.EXECUTION_UID)
    return str(uid) if uid else None


# ------------------------------------------------------------------------------------- judging


def phase(obj: Obj) -> str:
    """Pending, or what became of it."""
    if (obj.get("spec") or {}).get("closed"):
        return "Closed"
    return (obj.get("status") or {}).get("phase") or "Pending"


def is_open(obj: Obj) -> bool:
    """Whether somebody may still decide."""
    return phase(obj) == "Pending"


def has_expired(obj: Obj, now: datetime) -> bool:
    """Whether the API server takes no decision any more, whoever has seen that. `now`: its time."""
    until = _expires_at(obj)
    return until is not None and now >= until


def has_news(obj: Obj) -> bool:
    """Whether people said something that no status tells, or all is decided."""
    if not is_open(obj):
        return phase(obj) in _DECIDED
    return len(_said(obj)) > len(_counted(obj))


def given_up_at(obj: Obj) -> datetime | None:
    """When it counts as expired, unless somebody has decided; None for never."""
    until = _expires_at(obj)
    return None if until is None else until + MARGIN


def _expires_at(obj: Obj) -> datetime | None:
    return parse_timestamp(str((obj.get("spec") or {}).get("expiresAt", "")))


def status_of(obj: Obj, now: datetime) -> Obj | None:
    """The status that says what spec says; None where it does already.

    Args:
        obj: an Approval that is open.
        now: in the API server's time.
    """
    spec = obj.get("spec") or {}
    known = {each["by"]: each for each in _counted(obj)}
    quorum = int(spec.get("quorum") or 1)
    counted: list[Obj] = []
    decided = ""
    for said in _said(obj):
        counted.append(known.get(said["by"]) or {**said, "at": _instant(_at(obj, now))})
        # In the order in which they came: nobody else may put one between others.
        if not said["approve"]:
            decided = "Rejected"
        elif sum(each["approve"] for each in counted) >= quorum:
            decided = "Approved"
        if decided:
            return _status(decided, counted, counted[-1]["at"])
    until = _expires_at(obj)
    if until is not None and now >= until + MARGIN:
        return _status("Expired", counted, _instant(until))
    if len(counted) == len(known):
        return None
    return {
        "phase": "Pending",
        "decided": f"{len(counted)} of {quorum}",
        "decisions": counted,
    }


def closed_status(obj: Obj, now: datetime) -> Obj:
    """The status of an Approval whose attempt is over."""
    return _status("Closed", _counted(obj), _instant(now))


def outcome(task: TaskId, obj: Obj, now: datetime) -> TaskSucceeded | TaskFailed | None:
    """What a status says of the attempt; None while it says nothing."""
    became = phase(obj)
    if became not in _DECIDED:
        return None
    decisions = [_shown(each) for each in _counted(obj)]
    at = parse_timestamp(str(obj["status"].get("decidedAt", ""))) or now
    error = _DECIDED[became]
    if error is None:
        return TaskSucceeded(task, dumps({"approved": True, "decisions": decisions}), at)
    return TaskFailed(task, StateError(error, _cause(decisions)), at)


def deleted(obj: Obj | None) -> StateError:
    """The error of an attempt whose Approval is gone; what was last seen of it, if anything."""
    return StateError(DELETED, _cause([_shown(each) for each in _counted(obj or {})]))


def _said(obj: Obj) -> Sequence[Obj]:
    return [
        {name: each[name] for name in ("by", "approve", "reason") if name in each}
        for each in (obj.get("spec") or {}).get("decisions") or ()
    ]


def _counted(obj: Obj) -> Sequence[Obj]:
    return list((obj.get("status") or {}).get("decisions") or ())


def _at(obj: Obj, now: datetime) -> datetime:
    """When the newest decision was written: it is in time if that was, however late it is seen."""
    written = parse_timestamp(str(obj.get(_WRITTEN, "")))
    return now if written is None else min(written, now)


def _status(became: str, decisions: Sequence[Obj], at: str) -> Obj:
    return {
        "phase": became,
        "decided": _said_by(became, decisions),
        "decidedAt": at,
        "decisions": list(decisions),
    }


def _said_by(became: str, decisions: Sequence[Obj]) -> str:
    if became not in ("Approved", "Rejected"):
        return became.lower()
    people = [each["by"] for each in decisions if each["approve"] is (became == "Approved")]
    named = ", ".join(people[:NAMED_MAX])
    more = len(people) - NAMED_MAX
    return f"{became.lower()} by {named}" + (f" and {more} more" if more > 0 else "")


def _shown(decision: Obj) -> Json:
    members = ("by", "approve", "reason", "at")
    return {name: decision[name] for name in members if name in decision}


def _cause(decisions: Sequence[Obj]) -> str:
    text = dumps({"approved": False, "decisions": decisions})
    if len(text) <= CAUSE_CHARS_MAX:
        return text
    # The last one decided; of the others it is enough who they were.
    short = [{k: v for k, v in each.items() if k != "reason"} for each in decisions[:-1]]
    return dumps({"approved": False, "decisions": [*short, decisions[-1]]})


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
