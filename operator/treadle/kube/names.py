"""The names of outside objects, derived from execution uid, frame, state entry and attempt.

One rule: the same attempt has the same name in every process and for ever, so that creating twice
is a 409.
"""

import hashlib
import re
from collections.abc import Mapping

from treadle.engine.events import TaskId
from treadle.runtime.ports import Attempt, ExecutionKey

# Labels: what is selected by.
EXECUTION_UID = "treadle.dev/execution"
ATTEMPT_NAME = "treadle.dev/attempt"
# Annotations: what is read back.
EXECUTION_NAME = "treadle.dev/execution-name"
TASK_ID = "treadle.dev/task"  # frame.entry.attempt
TASK_DIGEST = "treadle.dev/task-digest"
STATE = "treadle.dev/state"
INPUT = "treadle.dev/input"
CREATE_BEFORE = "treadle.dev/create-before"
TOUCHED_AT = "treadle.dev/touched-at"
PATH = "treadle.dev/path"
# Of the Lease: the namespaces that its holder serves, with commas; empty for all of them.
SERVES = "treadle.dev/namespaces"

LEASE_LABELS = {"app.kubernetes.io/part-of": "treadle"}

RESULT_FINALIZER = "treadle.dev/result"

_STEM_CHARS_MAX = 40  # with the digest within a Job's 63 characters
_MACHINE_CHARS_MAX = 244  # with the digits within an object's 253 characters
_NOT_A_NAME = re.compile(r"[^a-z0-9-]+")


def attempt(key: ExecutionKey, task: TaskId) -> str:
    """The name of an attempt's Job and Secret, and its Idempotency-Key: at most 57 characters."""
    seed = f"{key.uid}/{task.frame}/{task.entry}/{task.attempt}"
    digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
    stem = _NOT_A_NAME.sub("-", key.name.lower())[:_STEM_CHARS_MAX].strip("-") or "execution"
    return f"{stem}-{digest}"


def page(key: ExecutionKey, digest: str) -> str:
    """The name of a page: pages are content-addressed within their execution.

    The execution's uid goes in because two executions may hold the same content and each owns its
    own copy.
    """
    seed = f"{key.uid}/{digest}"
    return f"p-{hashlib.sha256(seed.encode()).hexdigest()[:40]}"


def revision(machine: str, digest: str) -> str:
    """The name of a machine's revision: the machine's, cut so that a legal name remains."""
    return f"{machine[:_MACHINE_CHARS_MAX]}-{digest[:8]}"


def task_id_text(task: TaskId) -> str:
    """How an annotation says an attempt."""
    return f"{task.frame}.{task.entry}.{task.attempt}"


def task_id_of(text: str) -> TaskId | None:
    """The attempt that a text names; None where it is none of ours."""
    parts = text.split(".")
    if len(parts) != 3 or not all(map(_is_number, parts)):
        return None
    return TaskId(*(int(part) for part in parts))


def _is_number(text: str) -> bool:
    # Anybody may write a Job with our labels: what is read back is bounded.
    return text.isascii() and text.isdecimal() and len(text) <= 12


def attempt_of(obj: Mapping[str, object]) -> Attempt | None:
    """The attempt that a Job or a Pod says it belongs to; None where it is not one of ours."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return None
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    uid, name = labels.get(EXECUTION_UID), annotations.get(EXECUTION_NAME)
    task = task_id_of(str(annotations.get(TASK_ID, "")))
    if not uid or not name or task is None:
        return None
    return Attempt(ExecutionKey(str(metadata.get("namespace", "")), str(name), str(uid)), task)
