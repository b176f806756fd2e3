"""An Execution's status: what people read, and the checkpoint.

One rule: it is made anew from what a save records; nothing is read back from it but the checkpoint,
the pinned revision with its version, and the time of Pending.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from treadle.engine.execution import Execution
from treadle.engine.history import PAYLOAD_INLINE_BYTES_MAX
from treadle.engine.memory import Memory, Status
from treadle.engine.places import Place
from treadle.engine.times import aws_text
from treadle.kube import names
from treadle.kube.conditions import set_condition
from treadle.kube.manifests import PATH_CHARS_MAX
from treadle.runtime.ports import Loaded, Record

PLACES_MAX = 10  # of currentStates; design.md: bounded
CAPACITY_CHARS_MAX = 1_000
CAUSE_BYTES_MAX = 4_096  # the whole cause is in the history
REFUSED_BYTES_MAX = 2_048

_PHASES = {
    Status.RUNNING: "Running",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.TIMED_OUT: "TimedOut",
    Status.ABORTED: "Aborted",
}


_FAILED = frozenset({Status.FAILED, Status.TIMED_OUT, Status.ABORTED})


def of_record(loaded: Loaded, record: Record, now: datetime) -> dict[str, Any]:
    """The status that a save writes."""
    status: dict[str, Any]
    if record.parked is not None:
        status = dict(loaded.status)
        _condition(status, loaded, now, "Parked", True, "CannotContinue", record.parked)
        if record.redrive is not None:
            status["redrive"] = _refused(loaded, record.redrive, record.parked)
        return status
    if record.redrive is not None and record.refused is not None:
        answer = _refused(loaded, record.redrive, record.refused)
        return {**loaded.status, "redrive": answer, "observedGeneration": loaded.generation}
    if record.execution is not None:
        status = _of_execution(loaded, record, record.execution, now)
    elif record.failure is not None:
        status = _of_failure(loaded, record, now)
    else:
        status = {"phase": "Pending", "message": record.waiting or ""}
    if record.pending_since is not None:
        status["pendingSince"] = aws_text(record.pending_since)
    if _had(loaded, "Parked"):
        _condition(status, loaded, now, "Parked", False, "Continues", "")
    status["observedGeneration"] = loaded.generation
    return status


def _of_failure(loaded: Loaded, record: Record, now: datetime) -> dict[str, Any]:
    failure = record.failure
    assert failure is not None
    status: dict[str, Any] = {
        "phase": failure.phase,
        "completionTime": aws_text(now),
    }
    if failure.error:
        status["error"] = failure.error
    if failure.cause:
        status["cause"] = short(failure.cause, CAUSE_BYTES_MAX)
    message = status.get("cause") or failure.error or failure.phase
    _condition(status, loaded, now, "Failed", True, failure.phase, message)
    return status


def _of_execution(
    loaded: Loaded, record: Record, execution: Execution, now: datetime
) -> dict[str, Any]:
    memory = execution.memory
    assert record.encoded is not None
    phase = _PHASES[memory.status]
    status: dict[str, Any] = {
        "phase": phase,
        "startTime": aws_text(memory.started_at),
        "revision": record.revision,
        "currentStates": [_place(place) for place in execution.places(PLACES_MAX)],
        "checkpoint": record.encoded.checkpoint,
    }
    if record.published is not None:
        status["version"] = record.published
    if loaded.request is not None and loaded.request.alias is not None:
        status["alias"] = loaded.request.alias
    progress = memory.progress
    if progress.total:
        status["progress"] = {
            "done": progress.done,
            "total": progress.total,
            "failed": progress.failed,
            "text": f"{progress.done}/{progress.total}",
        }
    answer = _redrive(loaded, record, memory)
    if answer:
        status["redrive"] = answer
    if memory.over:
        _add_end(status, loaded, execution, now, phase)
    if memory.status not in _FAILED and _had(loaded, "Failed"):
        _condition(status, loaded, now, "Failed", False, "Redriven", "it goes on")
    _add_waiting(status, loaded, record, execution, now)
    return status


def _redrive(loaded: Loaded, record: Record, memory: Memory) -> Mapping[str, Any]:
    """What became of `spec.redrive`."""
    if record.redrive is None or not memory.redriven:
        before: Mapping[str, Any] = loaded.status.get("redrive") or {}
        return before
    at = aws_text(memory.redriven[-1])
    return {"id": record.redrive, "count": len(memory.redriven), "at": at}


def _refused(loaded: Loaded, asked: str, why: str) -> dict[str, Any]:
    before: Any = loaded.status.get("redrive") or {}
    kept = {member: before[member] for member in ("count", "at") if member in before}
    return {"id": asked, **kept, "refused": short(why, REFUSED_BYTES_MAX)}


def _place(place: Place) -> dict[str, Any]:
    until = {} if place.until is None else {"until": aws_text(place.until)}
    return {
        "name": place.name,
        "path": place.path[:PATH_CHARS_MAX],
        "enteredAt": aws_text(place.entered_at),
        "attempt": place.attempt,
        "waitsFor": place.waits_for,
        **until,
    }


def _add_end(
    status: dict[str, Any], loaded: Loaded, execution: Execution, now: datetime, phase: str
) -> None:
    memory = execution.memory
    assert memory.ended_at is not None
    status["completionTime"] = aws_text(memory.ended_at)
    if memory.output is not None:
        if memory.output.size_bytes <= PAYLOAD_INLINE_BYTES_MAX:
            status["output"] = memory.output.text
        else:
            page = names.page(loaded.key, memory.output.digest)
            status["outputRef"] = {"page": page, "bytes": memory.output.size_bytes}
    if memory.error is not None:
        if memory.error.name is not None:
            status["error"] = memory.error.name
        if memory.error.cause is not None:
            status["cause"] = short(memory.error.cause, CAUSE_BYTES_MAX)
    if memory.status is Status.SUCCEEDED:
        _condition(status, loaded, now, "Complete", True, phase, "the execution succeeded")
    else:
        message = status.get("cause") or status.get("error") or phase
        _condition(status, loaded, now, "Failed", True, phase, message)


def _add_waiting(
    status: dict[str, Any], loaded: Loaded, record: Record, execution: Execution, now: datetime
) -> None:
    over = execution.memory.over
    capacity = "" if over else "; ".join(record.capacity)[:CAPACITY_CHARS_MAX]
    suspended = execution.suspended and not over
    if capacity or _had(loaded, "WaitingForCapacity"):
        reason = "NoCapacity" if capacity else "Running"
        _condition(status, loaded, now, "WaitingForCapacity", bool(capacity), reason, capacity)
    if suspended or _had(loaded, "Suspended"):
        reason = "SpecSuspend" if suspended else "Resumed"
        message = "nothing new starts; what runs may end" if suspended else ""
        _condition(status, loaded, now, "Suspended", suspended, reason, message)


def short(text: str, bytes_max: int) -> str:
    """The beginning of a text, of so many bytes at most."""
    return text.encode()[:bytes_max].decode(errors="ignore")


def _had(loaded: Loaded, kind: str) -> bool:
    return any(c.get("type") == kind for c in loaded.status.get("conditions") or [])


def _condition(
    status: dict[str, Any],
    loaded: Loaded,
    now: datetime,
    kind: str,
    holds: bool,
    reason: str,
    message: str,
) -> None:
    before = status.get("conditions") or loaded.status.get("conditions") or []
    status["conditions"] = set_condition(
        before, kind, "True" if holds else "False", reason, message, now, loaded.generation
    )
