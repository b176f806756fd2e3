"""What a container left in its termination message: a result, an error, or a cause.

One rule: a message that may have been cut is never believed.
"""

from dataclasses import dataclass
from datetime import datetime

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, INVALID_RESULT, StateError
from treadle.asl.json import Json, dumps, loads
from treadle.asl.limits import DEFAULT
from treadle.kube.api import Obj

CONTAINER_BYTES_MAX = 4096  # kubelet: MaxContainerTerminationMessageLength
POD_BYTES_MAX = 12288  # kubelet: MaxPodTerminationMessageLogLength, shared by all containers
_EXCERPT_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The attempt gave a result: its JSON text, and when its container ended."""

    output: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed, and when."""

    error: StateError
    at: datetime


def message_of(done: Obj) -> str:
    """A container's termination message."""
    message = done.get("message")
    return message if isinstance(message, str) else ""


def bytes_max(pod: Obj) -> int:
    """How long a message may be in this Pod; admission may have added containers to it."""
    spec = pod.get("spec") or {}
    kinds = ("containers", "initContainers", "ephemeralContainers")
    count = sum(len(spec.get(kind) or ()) for kind in kinds)
    return min(CONTAINER_BYTES_MAX, POD_BYTES_MAX // max(1, count))


def success(pod: Obj, done: Obj, at: datetime) -> Succeeded | Failed:
    """What a container that ended with 0 gives."""
    text = message_of(done)
    limit = bytes_max(pod)
    if _size(text) >= limit:
        cause = (
            f"The result reaches the {limit} bytes that a container of this Pod may write to "
            "TREADLE_RESULT_FILE, so it may have been cut. Write less, or a reference to it."
        )
        return Failed(StateError(DATA_LIMIT_EXCEEDED, cause), at)
    found = result_of(text)
    return Failed(found, at) if isinstance(found, StateError) else Succeeded(found, at)


def result_of(text: str) -> str | StateError:
    """The JSON text that a program means by what it has written; nothing is an empty object."""
    text = text.strip()
    if not text:
        return "{}"
    try:
        loads(text)
    except ValueError as why:
        return StateError(INVALID_RESULT, f"The result is not JSON ({why}): {_excerpt(text)}")
    return text


def exit_code(code: object, text: str = "") -> StateError:
    """The error of a program that ends with another code than 0, and why."""
    return StateError(f"Kubernetes.ExitCode.{code}", text)


def failure(pod: Obj, done: Obj, at: datetime, who: str = "") -> Failed:
    """What a container that ended with another code gives.

    Args:
        pod: it was in.
        done: how it ended.
        at: when.
        who: names the container where it was not `main`.
    """
    text = message_of(done).strip()
    code = done.get("exitCode")
    if done.get("reason") == "OOMKilled":
        cause = f"{who or 'The container'} ran out of memory and was killed (exit code {code})."
        return Failed(StateError("Kubernetes.OOMKilled", _with(cause, text)), at)
    own = None if who or _size(text) >= bytes_max(pod) else own_error(text)
    if own is not None:
        return Failed(own, at)
    if who:
        return Failed(exit_code(code, _with(f"{who} ended with exit code {code}.", text)), at)
    return Failed(exit_code(code, text or f"The container ended with exit code {code}."), at)


def own_error(text: str) -> StateError | None:
    """What the container wrote as `{"error", "cause"}`, or as AWS Lambda's runtimes write it.

    Those have `{"errorType", "errorMessage", …}`; as on AWS, the cause is all of it.
    """
    if not text.startswith("{"):
        return None
    try:
        said = loads(text)
    except ValueError:
        return None
    name, cause = said.get("error"), _cause_text(said.get("cause"))
    if not isinstance(name, str) or not name:
        name, cause = said.get("errorType"), text
    if not isinstance(name, str) or not name:
        return None
    return StateError(name[: DEFAULT.error_chars_max], cause)


def _cause_text(cause: Json) -> str | None:
    return cause if cause is None or isinstance(cause, str) else dumps(cause)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT_CHARS_MAX else text[:_EXCERPT_CHARS_MAX] + "…"


def _with(sentence: str, text: str) -> str:
    return f"{sentence} {text}" if text else sentence
