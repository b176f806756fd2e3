"""The model of an Approval: a question to people, and what they say.

One rule: what an API server can refuse from the object alone, it refuses here, in every cluster;
who somebody is and what time it is, the chart's admission policy asks.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from treadle.asl import limits
from treadle.kube.kinds import APPROVALS
from treadle.kube.members import (
    NAME_CHARS_MAX,
    Count,
    Free,
    Instant,
    Model,
    Name,
    Who,
    fixed,
    ruled,
)
from treadle.kube.structural import AGE, Column, Resource

MESSAGE_CHARS_MAX = limits.APPROVAL_MESSAGE_CHARS_MAX
REASON_CHARS_MAX = limits.APPROVAL_REASON_CHARS_MAX
PEOPLE_MAX = limits.APPROVAL_PEOPLE_MAX
DECISIONS_MAX = limits.APPROVAL_DECISIONS_MAX

People: TypeAlias = Annotated[list[Who], Field(max_length=PEOPLE_MAX)]

_UNCHANGED = "of an Approval cannot be changed: only decisions are added"
_FIXED = (
    "stateMachine",
    "execution",
    "state",
    "message",
    "details",
    "approvers",
    "who",
    "quorum",
    "expiresAt",
    "reasonRequired",
    "closed",
)


class Approvers(Model):
    """Who may decide beside those who may `approve` it by RBAC."""

    users: People | None = None
    """Users, by the names that the API server knows them by."""
    groups: People | None = None
    """Groups; whoever is in one of them may decide."""


class Decision(Model):
    """What one person says."""

    by: Who
    """Who says it: the user that the API server knows, as `kubectl auth whoami` tells."""
    approve: bool
    """true is for it, false is against it."""
    reason: str | None = Field(None, max_length=REASON_CHARS_MAX)
    """Why, for people."""


_DECISIONS = (
    {
        "rule": "oldSelf.all(old, self.indexOf(old) == oldSelf.indexOf(old))",
        "message": "a decision is neither changed nor taken back: add yours at the end",
    },
    {
        "rule": "self.all(one, self.exists_one(other, other.by == one.by))",
        "message": "nobody decides twice: there is a decision by this user already",
    },
)


class ApprovalSpec(Model):
    """What is asked, and what was said. Only decisions may be added."""

    model_config = ruled(
        *(fixed(member, f"{member} {_UNCHANGED}") for member in _FIXED),
        {
            "rule": "!has(oldSelf.decisions) || has(self.decisions)",
            "message": "a decision is neither changed nor taken back: add yours at the end",
            "fieldPath": ".decisions",
        },
        {
            "rule": "!has(self.reasonRequired) || !self.reasonRequired || !has(self.decisions) || "
            "self.decisions.all(each, has(each.reason) && each.reason.trim() != '')",
            "message": "a reason must be given with each decision",
            "fieldPath": ".decisions",
        },
        {
            "rule": "!has(self.closed) || !self.closed || !has(self.decisions) || "
            "self.decisions.size() == 0",
            "message": "the attempt that asked is over: nobody may decide any more",
            "fieldPath": ".decisions",
        },
    )

    state_machine: Name | None = None
    """Name of the StateMachine that asks."""
    execution: Name | None = None
    """Name of the Execution that asks."""
    state: str | None = Field(None, max_length=NAME_CHARS_MAX)
    """The state that asks."""
    message: str = Field(min_length=1, max_length=MESSAGE_CHARS_MAX)
    """The question."""
    details: Free | None = None
    """What is to be known to decide."""
    approvers: Approvers | None = None
    """Who may decide. Whoever may `approve` this Approval, a verb of RBAC, may in any case; where
    nobody is named here, nobody else may."""
    who: str | None = Field(None, max_length=NAME_CHARS_MAX)
    """The same as a text, for printing."""
    quorum: Count | None = Field(None, ge=1, le=DECISIONS_MAX)
    """How many must be for it; 1 unless given. One who is against it decides against."""
    expires_at: Instant | None = None
    """From when on nobody may decide; never unless given."""
    reason_required: bool | None = None
    """Whether each decision must have a reason."""
    closed: bool | None = None
    """That the attempt was over before this was made: it only keeps the name taken."""
    decisions: Annotated[
        list[Decision],
        Field(
            max_length=DECISIONS_MAX,
            json_schema_extra={"x-kubernetes-validations": [dict(rule) for rule in _DECISIONS]},
        ),
    ] = Field(default_factory=list)
    """What was said, the oldest first. Everybody adds one, at the end."""


class CountedDecision(Decision):
    """A decision that was counted."""

    at: Instant
    """When it was written, as far as Treadle knows."""


class ApprovalStatus(Model):
    """What came of it, written by Treadle alone."""

    phase: Literal["Pending", "Approved", "Rejected", "Expired", "Closed"] | None = None
    """Pending until it is decided. Closed: the attempt that asked was over before."""
    decided: str | None = None
    """What was decided and by whom, or how many of how many are for it; for printing."""
    decided_at: Instant | None = None
    """When it was decided, or closed."""
    decisions: list[CountedDecision] | None = Field(None, max_length=DECISIONS_MAX)
    """The decisions that counted, each with its time."""


class Approval(Model):
    """A question of a running Execution to people.

    Treadle makes it for a Task `treadle:approval`. Whoever may decide adds a decision to
    spec.decisions: `treadle approve`, or `kubectl patch`.
    """

    spec: ApprovalSpec
    """What is asked, and what was said. Only decisions may be added."""
    status: ApprovalStatus | None = None
    """What came of it, written by Treadle alone."""


RESOURCE = Resource(
    APPROVALS,
    "approval",
    "apv",
    Approval,
    columns=(
        Column("Machine", ".spec.stateMachine"),
        Column("Message", ".spec.message"),
        Column("Who", ".spec.who", description="Who may decide."),
        Column("Expires", ".spec.expiresAt", description="From when on nobody may."),
        Column("Decided", ".status.decided", description="What was decided, and by whom."),
        AGE,
        Column("Execution", ".spec.execution", wide=True),
        Column("State", ".spec.state", wide=True),
        Column("Phase", ".status.phase", wide=True),
    ),
    selectable=(".spec.execution", ".status.phase"),
    rules=(
        {
            "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase) || "
            "oldSelf.status.phase == 'Pending' || !has(self.spec.decisions) || "
            "self.spec.decisions.size() == (has(oldSelf.spec.decisions) ? "
            "oldSelf.spec.decisions.size() : 0)",
            "message": "it is decided, expired or closed: nobody may decide any more",
            "fieldPath": ".spec.decisions",
        },
    ),
)
