"""Objects as `treadle why` reads them, short to write. Pure.

One rule: what a test does not say is as it is while nothing is wrong.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from treadle.app.evidence import Evidence
from treadle.kube.api import Obj
from treadle.stores.histories import HistoryEntry

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    """An instant of the API."""
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def execution(status: Obj | None = None, *, made: float = 60, **spec: Any) -> Obj:
    """An Execution; made so many seconds ago."""
    obj: Obj = {
        "metadata": {
            "name": "run",
            "namespace": "team",
            "uid": "uid-run",
            "creationTimestamp": ago(made),
            "generation": 1,
        },
        "spec": {"stateMachineRef": {"name": "m"}, **spec},
    }
    return obj if status is None else {**obj, "status": status}


def running(
    waits_for: str = "task",
    *,
    attempt: int = 1,
    path: str = "Work",
    until: str | None = None,
    **more: Any,
) -> Obj:
    """A status of one that is in one state."""
    place = {
        "name": path.rpartition("/")[2],
        "path": path,
        "enteredAt": ago(30),
        "attempt": attempt,
        "waitsFor": waits_for,
        **({"until": until} if until else {}),
    }
    return {"phase": "Running", "startTime": ago(50), "currentStates": [place], **more}


def condition(kind: str, message: str = "", status: str = "True") -> Obj:
    """A condition."""
    return {
        "type": kind,
        "status": status,
        "reason": "R",
        "message": message,
        "lastTransitionTime": ago(20),
    }


def _marked(name: str, path: str | None, attempt: int) -> Obj:
    annotations = {
        "treadle.dev/state": (path or "Work").rpartition("/")[2],
        "treadle.dev/attempt-number": str(attempt),
    }
    if path is not None:
        annotations["treadle.dev/path"] = path
    return {
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": ago(25 - attempt),
        "labels": {"treadle.dev/attempt": f"job-{path}-{attempt}"},
        "annotations": annotations,
    }


def job(path: str | None = "Work", attempt: int = 1, *, status: Any = None, **spec: Any) -> Obj:
    """A Job of a state; its Pod's name is `pod-…`."""
    metadata = _marked(f"job-{path}-{attempt}", path, attempt)
    return {"metadata": metadata, "spec": spec, "status": status or {"startTime": ago(24)}}


def pod(path: str | None = "Work", attempt: int = 1, **status: Any) -> Obj:
    """The Pod of that Job."""
    metadata = _marked(f"pod-{path}-{attempt}", path, attempt)
    uid = f"uid-job-{path}-{attempt}"
    metadata["ownerReferences"] = [{"controller": True, "uid": uid}]
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Pending", **status},
    }


def approval(who: str = "", status: Obj | None = None, **spec: Any) -> Obj:
    """The Approval of the state."""
    asked = {"message": "Ship it?", **({"who": who} if who else {}), **spec}
    return {"metadata": _marked("apv-1", "Work", 1), "spec": asked, "status": status or {}}


def child(status: Obj | None = None) -> Obj:
    """The child Execution of the state."""
    return {"metadata": _marked("run-0a1b", "Work", 1), "spec": {}, "status": status or {}}


def container(**state: Any) -> Obj:
    """The status of `main`: `waiting=…`, `running=…` or `terminated=…`."""
    return {"containerStatuses": [{"name": "main", "state": state}]}


def event(about: Obj, reason: str, message: str, **more: Any) -> Obj:
    """A Warning."""
    return {
        "metadata": {"name": f"e-{reason}"},
        "involvedObject": {"uid": about["metadata"]["uid"]},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": ago(5),
        **more,
    }


def lease(renewed: float = 1, *, holder: str = "op-1", serves: str | None = "") -> Obj:
    """The Lease of an operator."""
    annotations = {} if serves is None else {"treadle.dev/namespaces": serves}
    return {
        "metadata": {"name": "treadle", "namespace": "system", "annotations": annotations},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 12,
            "renewTime": ago(renewed),
        },
    }


def machine(
    ready: str | None = "True", message: str = "", *, generation: int = 1, **status: Any
) -> Obj:
    """A StateMachine of which generation 1 was judged, unless there is no verdict."""
    found: Obj = {} if ready is None else {"observedGeneration": 1}
    if ready is not None:
        found["conditions"] = [condition("Ready", message, ready)]
    return {"metadata": {"name": "m", "generation": generation}, "status": {**found, **status}}


def entry(number: int, kind: str, previous: int, **details: Any) -> HistoryEntry:
    """A line of a history, so many seconds before now as there are to a hundred."""
    at = NOW - timedelta(seconds=100 - number)
    return HistoryEntry(number, previous, kind, at, details)


SCHEDULED = {"resourceType": "treadle", "resource": "job"}

ASKED = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "TaskStateEntered", 1, name="Work"),
    entry(3, "TaskScheduled", 2, resourceType="treadle", resource="approval"),
]

FAILED_ONCE = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "TaskStateEntered", 1, name="Work"),
    entry(3, "TaskScheduled", 2, **SCHEDULED),
    entry(4, "TaskFailed", 3, error="Kubernetes.ExitCode.3", cause="exit code 3", **SCHEDULED),
]


def evidence(obj: Obj, **more: Any) -> Evidence:
    """Evidence of an execution in a world that works."""
    usual: dict[str, Any] = {"now": NOW, "machine": machine(), "leases": [lease()]}
    return Evidence(execution=obj, **{**usual, **more})
