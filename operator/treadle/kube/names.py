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
PARENT = "treadle.dev/parent"  # a label: what people look for children by
PARENT_NAMESPACE = "treadle.dev/parent-namespace"  # a label, where it is not the child's own
AWAITED = "treadle.dev/awaited"  # of such a child: no owner can be named in another namespace
DEPTH = "treadle.dev/depth"  # how many executions stand above this one
INPUT = "treadle.dev/input"
CREATE_BEFORE = "treadle.dev/create-before"
TOUCHED_AT = "treadle.dev/touched-at"
PATH = "treadle.dev/path"
# Of the Lease: the namespaces that its holder serves, with commas; empty for all of them.
SERVES = "treadle.dev/namespaces"

LEASE_LABELS = {"app.kubernetes.io/part-of": "treadle"}

RESULT_FINALIZER = "treadle.dev/result"

_STEM_CHARS_MAX = 40  # with the digest within a Job's 63 characters
_LABEL_CHARS_MAX = 63
_MACHINE_CHARS_MAX = 244  # with the digits within an object's 253 characters
_NOT_A_NAME = re.compile(r"[^a-z0-9-]+")


def attempt(key: ExecutionKey, task: TaskId) -> str:
    """The name of an attempt's Job and Secret, and its Idempotency-Key: at most 57 characters."""
    seed = f"{key.uid}/{task.frame}/{task.entry}/{task.attempt}"
    digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
    stem = _NOT_A_NAME.sub("-", key.name.lower())[:_STEM_CHARS_MAX].strip("-") or "execution"
    return f"{stem}-{digest}"


def child(machine: str, name: str) -> str:
    """The name of the Execution that is called so among a machine's: at most 57 characters."""
    digest = hashlib.sha256(f"{machine}/{name}".encode()).hexdigest()[:16]
    stem = _NOT_A_NAME.sub("-", name.lower())[:_STEM_CHARS_MAX].strip("-") or "execution"
    return f"{stem}-{digest}"


def label_of(name: str) -> str:
    """A name as the value of a label, which has 63 characters."""
    if len(name) <= _LABEL_CHARS_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LABEL_CHARS_MAX - 17]}-{digest}"


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


def depth_of(obj: Mapping[str, object]) -> int:
    """How many executions stand above one, as it says itself."""
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = str((annotations or {}).get(DEPTH, ""))
    return int(text) if _is_number(text) else 0


def awaited_by(execution: Mapping[str, object]) -> Attempt | None:
    """The attempt that waits for the end of an Execution; None where it is nobody's child.

    It owns the child: one that was merely started has no owner. One of another namespace says that
    it is waited for.
    """
    attempt = parent_of(execution)
    metadata = execution.get("metadata")
    if attempt is None or not isinstance(metadata, dict):
        return None
    if attempt.execution.namespace != metadata.get("namespace"):
        return attempt if AWAITED in (metadata.get("annotations") or {}) else None
    owners = metadata.get("ownerReferences") or ()
    is_owned = any(o.get("controller") and o["uid"] == attempt.execution.uid for o in owners)
    return attempt if is_owned else None


def parent_of(execution: Mapping[str, object]) -> Attempt | None:
    """The attempt that an Execution says it was started by; None where it is nobody's child."""
    attempt = attempt_of(execution)
    metadata = execution.get("metadata")
    labels = (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}
    namespace = labels.get(PARENT_NAMESPACE)
    if attempt is None or not namespace:
        return attempt
    return Attempt(attempt.execution._replace(namespace=str(namespace)), attempt.task)


def attempt_of(obj: Mapping[str, object]) -> Attempt | None:
    """The attempt of its own namespace that an object says it belongs to; None where it is none.

    Of a Job and a Pod there is no other: what ran in one namespace never ends what another began.
    """
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
