"""Conditions as Kubernetes keeps them.

One rule: lastTransitionTime changes only when the status does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

MESSAGE_CHARS_MAX = 4_096  # Kubernetes takes 32,768; people read less, and a status stays small


def set_condition(
    conditions: Sequence[Mapping[str, Any]],
    kind: str,
    status: str,
    reason: str,
    message: str,
    now: datetime,
    generation: int,
) -> list[dict[str, Any]]:
    """The same conditions with one set.

    Args:
        conditions: as they were; unchanged.
        kind: the condition's type.
        status: "True", "False" or "Unknown".
        reason: one CamelCase word.
        message: a sentence for people.
        now: the time.
        generation: what the condition is about.
    """
    before = next((c for c in conditions if c.get("type") == kind), None)
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    if before is not None and before.get("status") == status:
        since = before.get("lastTransitionTime", since)
    condition = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:MESSAGE_CHARS_MAX],
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }
    kept = [dict(c) for c in conditions]
    if before is None:
        return [*kept, condition]
    # In its old place: a condition that is set again changes nothing else.
    return [condition if c.get("type") == kind else c for c in kept]
