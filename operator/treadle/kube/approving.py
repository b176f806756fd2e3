"""The Parameters of a `treadle:approval` Task, and its order as an Approval.

One rule: pure; the same order gives the same name, labels, owner and question in every process.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from treadle.asl import limits
from treadle.asl.errors import DATA_LIMIT_EXCEEDED, StateError
from treadle.asl.json import Json, dumps
from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS
from treadle.kube.manifests import metadata_of
from treadle.kube.parameters import INVALID_PARAMETERS
from treadle.runtime.ports import Order

RESOURCE = "treadle:approval"

BY_RBAC = "by RBAC"
"""What is said where nobody is named."""

LINE_CHARS_MAX = 253
"""Of who may decide, as a text."""

_ENDED = "The attempt that asked is over."
_APPROVERS = ("users", "groups")


@dataclass(frozen=True, slots=True)
class Question:
    """What a Task asks people.

    Attributes:
        expires_seconds: from the attempt's beginning; None for never.
    """

    message: str
    details: Mapping[str, Json] | None = None
    users: Sequence[str] = ()
    groups: Sequence[str] = ()
    quorum: int = 1
    expires_seconds: int | None = None
    reason_required: bool = False

    @property
    def who(self) -> str:
        """Who may decide, in a line."""
        named = [*self.users, *(f"group {group}" for group in self.groups)]
        text = ", ".join(named) or BY_RBAC
        if self.quorum > 1:
            text = f"{self.quorum} of {text}"
        return text if len(text) <= LINE_CHARS_MAX else f"{text[: LINE_CHARS_MAX - 1]}…"


class _Wrong(Exception):  # noqa: N818 - a sentence on its way to a StateError
    """What is wrong with one member."""


def parse(parameters: Json) -> Question | StateError:
    """What a Task's Parameters say; all that is wrong is said at once."""
    if not isinstance(parameters, dict):
        return StateError(INVALID_PARAMETERS, f"Parameters of {RESOURCE} must be an object.")
    wrong = [f"{name} is not a Parameter of {RESOURCE}" for name in parameters.keys() - _READERS]
    read: dict[str, Json] = {}
    for name, reader in _READERS.items():
        try:
            if name in parameters:
                read[name] = reader(parameters[name])
            elif name == "message":
                raise _Wrong("is missing")
        except _Wrong as why:
            wrong.append(f"{name} {why}")
    if wrong:
        return StateError(INVALID_PARAMETERS, "; ".join(sorted(wrong)) + ".")
    details = read.get("details")
    if details is not None and len(dumps(details).encode()) > limits.APPROVAL_DETAILS_BYTES_MAX:
        most = limits.APPROVAL_DETAILS_BYTES_MAX
        cause = f"details have more than {most:,} bytes; give a reference to them."
        return StateError(DATA_LIMIT_EXCEEDED, cause)
    approvers = read.get("approvers", {})
    return Question(
        message=read["message"],
        details=details,
        users=approvers.get("users", ()),
        groups=approvers.get("groups", ()),
        quorum=read.get("quorum", 1),
        expires_seconds=read.get("expiresSeconds"),
        reason_required=read.get("reasonRequired", False),
    )


def manifest(order: Order, question: Question) -> Obj:
    """The Approval of an attempt."""
    spec: Obj = {
        **_about(order),
        "message": question.message,
        "who": question.who,
        "quorum": question.quorum,
        "reasonRequired": question.reason_required,
        # So that a JSON patch may add to it.
        "decisions": [],
    }
    if question.details is not None:
        spec["details"] = question.details
    approvers = {"users": list(question.users), "groups": list(question.groups)}
    if any(approvers.values()):
        spec["approvers"] = {name: names for name, names in approvers.items() if names}
    if question.expires_seconds is not None:
        at = order.task.due_at + timedelta(seconds=question.expires_seconds)
        spec["expiresAt"] = _whole_seconds(at)
    return _whole(order, spec)


def tombstone(order: Order) -> Obj:
    """An Approval that only takes the name of an attempt: nobody may decide on it."""
    return _whole(order, {**_about(order), "message": _ENDED, "closed": True, "decisions": []})


def _about(order: Order) -> Obj:
    about = {"execution": order.execution.name, "state": order.task.state}
    if order.machine:
        about["stateMachine"] = order.machine
    return about


def _whole(order: Order, spec: Obj) -> Obj:
    return {
        "apiVersion": APPROVALS.api_version,
        "kind": APPROVALS.name,
        "metadata": metadata_of(order),
        "spec": spec,
    }


def _whole_seconds(at: datetime) -> str:
    """Rounded up: what an API server writes down of a decision has whole seconds."""
    seconds = math.ceil(at.astimezone(UTC).timestamp())
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ------------------------------------------------------------------------------------- members


def _message(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("must be a text")
    if len(value) > limits.APPROVAL_MESSAGE_CHARS_MAX:
        raise _Wrong(
            f"has more than {limits.APPROVAL_MESSAGE_CHARS_MAX:,} characters; details may be longer"
        )
    return value


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise _Wrong("must be an object")
    return value


def _approvers(value: Json) -> Mapping[str, Sequence[str]]:
    if not isinstance(value, dict) or value.keys() - set(_APPROVERS):
        raise _Wrong("must be an object with users and groups")
    for name, names in value.items():
        if not isinstance(names, list) or not all(map(_is_who, names)):
            raise _Wrong(
                f"must have texts in {name}, of 1 to {limits.APPROVAL_WHO_CHARS_MAX} characters"
            )
        if len(names) > limits.APPROVAL_PEOPLE_MAX:
            raise _Wrong(f"has more than {limits.APPROVAL_PEOPLE_MAX} {name}")
    return value


def _is_who(value: Json) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= limits.APPROVAL_WHO_CHARS_MAX


def _whole_number(most: int, value: Json) -> int:
    # A number of JSONata may be 2.0.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value != int(value) or not 1 <= value <= most:
        raise _Wrong(f"must be a whole number from 1 to {most:,}")
    return int(value)


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


_READERS = {
    "message": _message,
    "details": _object,
    "approvers": _approvers,
    "quorum": lambda value: _whole_number(limits.APPROVAL_DECISIONS_MAX, value),
    "expiresSeconds": lambda value: _whole_number(limits.SECONDS_MAX, value),
    "reasonRequired": _boolean,
}
