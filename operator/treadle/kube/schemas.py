"""The custom resources as models, and the CustomResourceDefinitions in crds/ made from them.

One rule: a member is here only if the operator acts on it, or refuses it with a sentence; what this
release does not have, the API server refuses as unknown. `python -m treadle.kube.schemas FOLDER...`
writes them.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from treadle.kube.activityschema import Activity
from treadle.kube.functionschema import WithFunctions
from treadle.kube.kinds import ACTIVITIES, EXECUTIONS, PAGES, REVISIONS, STATE_MACHINES
from treadle.kube.limitschema import WithLimits
from treadle.kube.structural import CATEGORY, Column, Resource, as_yaml, definition

MACHINE_NAME_CHARS_MAX = 244  # a revision's has a dash and 8 digits more: 253 characters

DEADLINE_SECONDS_MAX = 31_536_000  # a year, as for a Wait
TEMPLATES_MAX = 100
NAME_CHARS_MAX = 253
AWS_NAME_CHARS_MAX = 80  # AWS: StartExecution `name`
ERROR_CHARS_MAX = 256  # AWS: StopExecution `error`
CAUSE_CHARS_MAX = 32_768  # AWS: StopExecution `cause`

_FREE = {"x-kubernetes-preserve-unknown-fields": True}

Free: TypeAlias = Annotated[dict[str, Any], Field(json_schema_extra=dict(_FREE))]
"""An object with any members."""

Anything: TypeAlias = Annotated[Any, Field(json_schema_extra=dict(_FREE))]
"""Any JSON at all."""

Count: TypeAlias = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Instant: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Name: TypeAlias = Annotated[
    str, Field(max_length=NAME_CHARS_MAX, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""The name of another object: a lowercase RFC 1123 subdomain."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


def _ruled(*rules: Mapping[str, str]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [dict(r) for r in rules]})


def _fixed(member: str, message: str) -> Mapping[str, str]:
    """The rule that an optional member is neither changed, nor added, nor removed."""
    same = f"!has(self.{member}) || self.{member} == oldSelf.{member}"
    rule = f"has(self.{member}) == has(oldSelf.{member}) && ({same})"
    return {"rule": rule, "message": message, "fieldPath": f".{member}"}


# ---------------------------------------------------------------------------------------- shared


class Condition(_Model):
    """One aspect of the object's state, as Kubernetes' own conditions."""

    type: str
    """What it says something about, one CamelCase word."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """Why, one CamelCase word."""
    message: str
    """Why, for people."""
    last_transition_time: Instant
    """When the status last changed."""
    observed_generation: Count | None = None
    """The metadata.generation that this is about."""


Conditions: TypeAlias = Annotated[
    list[Condition],
    Field(
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]


class _Pods(_Model, WithFunctions, WithLimits):
    service_account_name: Name | None = None
    """The ServiceAccount that the Jobs' Pods run as. Unless given: the namespace's default one,
    without a token."""
    pod_template: Free | None = None
    """A PodTemplateSpec (metadata, spec) that the Jobs' Pods are made from. It is static: nothing
    in it is evaluated, and an execution's data never reaches it. The Task's own container is
    called `main`."""
    pod_templates: dict[str, Free] | None = Field(None, max_length=TEMPLATES_MAX)
    """Named PodTemplateSpecs. The Parameter `template` of a Task names the one that is laid over
    podTemplate."""
    job_mode: Literal["auto", "plain"] | None = None
    """Who makes a Job's Pod: plain is Kubernetes' Job controller. auto, which holds unless another
    is given, leaves it to Treadle."""


class _Definition(_Pods):
    definition: Anything
    """The Amazon States Language definition: an object, or a text with JSON or YAML. The text form
    is exact; of an object, client-side `kubectl apply` drops every null (`ResultPath: null`), which
    `kubectl apply --server-side` and `kubectl create` keep. Treadle judges it, not the API server:
    see the condition Ready and status.problems."""
    type: Literal["STANDARD", "EXPRESS"] | None = None
    """AWS's workflow type; STANDARD unless given."""


# ---------------------------------------------------------------------------------- StateMachine


class StateMachineSpec(_Definition):
    """A definition, and how its Tasks run."""


class Problem(_Model):
    """One thing that is wrong with the definition."""

    pointer: str
    """Where, a JSON pointer into the definition; empty for all of it."""
    code: str
    """The rule that is broken; the documentation has a list of them."""
    message: str
    """What is wrong and what to do, for people."""
    severity: Literal["error", "warning"]
    """A machine with an error cannot run; a warning changes nothing."""
    line: Count | None = None
    """The line of a definition in text form, from 1."""


class CurrentRevision(_Model):
    """What executions that start now run."""

    name: str
    """Name of the StateMachineRevision."""
    digest: str
    """SHA-256, in hex, of what it holds."""


class StateMachineStatus(_Model):
    """What Treadle found when it judged the definition."""

    observed_generation: Count | None = None
    """The metadata.generation that was judged."""
    conditions: Conditions | None = None
    """Ready: executions may start. While it is False, problems says why."""
    problems: list[Problem] | None = None
    """All that is wrong with the definition, at once; bounded, the first ones."""
    revision: CurrentRevision | None = None
    """The immutable revision that new executions run."""


class StateMachine(_Model):
    """A workflow in the Amazon States Language. It runs when an Execution names it."""

    spec: StateMachineSpec
    """A definition, and how its Tasks run."""
    status: StateMachineStatus | None = None
    """What Treadle found when it judged the definition."""


# -------------------------------------------------------------------------- StateMachineRevision


class StateMachineRevisionSpec(_Definition):
    """What a StateMachine was when it was judged."""

    model_config = _ruled(
        {
            "rule": "self == oldSelf",
            "message": "a revision cannot be changed: change its StateMachine, which makes another",
        }
    )

    state_machine: Name
    """Name of the StateMachine."""
    digest: str
    """SHA-256, in hex, of what this holds."""


class StateMachineRevision(_Model):
    """A StateMachine as it was when it was judged.

    Treadle makes it, executions pin it, and it never changes. It is removed when it is no longer
    the current one and no Execution names it.
    """

    spec: StateMachineRevisionSpec
    """What a StateMachine was when it was judged."""


# ------------------------------------------------------------------------------------- Execution


class StateMachineRef(_Model):
    """The StateMachine to run."""

    name: Name
    """Name of a StateMachine in the same namespace. Where there is none yet, the execution waits
    until its start deadline."""
    version: str | None = Field(None, max_length=NAME_CHARS_MAX)
    """Not supported yet: leave it out."""
    alias: str | None = Field(None, max_length=NAME_CHARS_MAX)
    """Not supported yet: leave it out."""


class Stop(_Model):
    """That the execution shall end."""

    error: str | None = Field(None, max_length=ERROR_CHARS_MAX)
    """The error that it ends with."""
    cause: str | None = Field(None, max_length=CAUSE_CHARS_MAX)
    """Why, for people."""


_ANOTHER = "once an Execution is created: create another Execution"


class ExecutionSpec(_Model):
    """What to run. Only stop and suspend may be changed afterwards."""

    model_config = _ruled(
        _fixed("name", f"name cannot be changed {_ANOTHER}"),
        _fixed("input", f"input cannot be changed {_ANOTHER}"),
        _fixed("inputJson", f"inputJson cannot be changed {_ANOTHER}"),
        _fixed("inputFrom", f"inputFrom cannot be changed {_ANOTHER}"),
        _fixed("startDeadlineSeconds", f"startDeadlineSeconds cannot be changed {_ANOTHER}"),
        {
            "rule": "[has(self.input), has(self.inputJson), has(self.inputFrom)]"
            ".filter(given, given).size() <= 1",
            "message": "input, inputJson and inputFrom exclude each other: give one of them",
        },
        {
            "rule": "!has(oldSelf.stop) || (has(self.stop) && self.stop == oldSelf.stop)",
            "message": "stop can be neither changed nor taken back: create another Execution",
            "fieldPath": ".stop",
        },
    )

    state_machine_ref: Annotated[
        StateMachineRef,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": f"stateMachineRef cannot be changed {_ANOTHER}",
                    }
                ]
            }
        ),
    ]
    """The StateMachine to run. It is read when the execution starts; what runs then is the
    revision in status.revision, whatever becomes of the machine."""
    name: str | None = Field(None, min_length=1, max_length=AWS_NAME_CHARS_MAX)
    """The name that the definition sees in its context object; metadata.name unless given."""
    input: Free | None = None
    """The execution's input, an object; {} unless given. The API server makes 1.0 to 1 and rounds
    integers beyond 2^53, and client-side `kubectl apply` drops nulls: inputJson is exact, and
    much cheaper to keep if it is large."""
    input_json: str | None = None
    """The execution's input as a text: any JSON, kept to the letter."""
    input_from: Free | None = None
    """Not supported yet: use input or inputJson."""
    start_deadline_seconds: Count | None = Field(None, ge=0, le=DEADLINE_SECONDS_MAX)
    """How long the execution may wait for its StateMachine to be ready before it fails; 60 unless
    given. Time during which no operator runs does not count."""
    stop: Stop | None = None
    """Ends the execution: whatever runs is stopped and the phase becomes Aborted. May be given at
    any time, and never taken back; {} is enough."""
    suspend: bool | None = None
    """While it is true, nothing new starts; what runs may end."""


class CurrentState(_Model):
    """A state that the execution is in."""

    name: str
    """The state's name."""
    path: str
    """The states around it, with the index of a branch or an item."""
    entered_at: Instant
    """When it was entered."""
    attempt: Count
    """1 for the first, more after retries."""
    waits_for: str
    """What must happen next, in a word."""
    until: Instant | None = None
    """When a wait ends, the next attempt begins, or a task is out of time."""


class Progress(_Model):
    """Items of all Map states that were entered so far."""

    done: Count
    """Items that have succeeded."""
    total: Count
    """Items known so far."""
    failed: Count
    """Items that have failed."""
    text: str
    """done/total, such as 37/100, for printing."""


class OutputRef(_Model):
    """Where an output is that is too large for a status."""

    page: str
    """Name of the ExecutionPage."""
    bytes: Count
    """Its size as JSON."""


class ExecutionStatus(_Model):
    """What has happened, written by Treadle alone."""

    observed_generation: Count | None = None
    """The metadata.generation that Treadle has taken note of."""
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "TimedOut", "Aborted"] | None = None
    """Pending until it starts, Running until it ends (suspended too), then how it ended."""
    message: str | None = None
    """What a Pending execution waits for."""
    conditions: Conditions | None = None
    """Complete or Failed once it has ended, as with Jobs; WaitingForCapacity, Suspended; Parked
    if it cannot go on."""
    pending_since: Instant | None = None
    """When Treadle first saw it; the start deadline counts from here."""
    start_time: Instant | None = None
    """When it started."""
    completion_time: Instant | None = None
    """When it ended."""
    revision: str | None = None
    """Name of the StateMachineRevision that it runs."""
    current_states: list[CurrentState] | None = None
    """States that it is in; bounded, the first ones."""
    progress: Progress | None = None
    """Items of all Map states that were entered so far."""
    output: str | None = None
    """Its output, a JSON text, once it has succeeded; a large one is in outputRef."""
    output_ref: OutputRef | None = None
    """Where an output is that is too large for a status."""
    error: str | None = None
    """The name of the error that ended it."""
    cause: str | None = None
    """Why it failed, for people; cut if it is long, whole in the history."""
    checkpoint: str | None = None
    """All that Treadle must know to go on. Opaque."""


class Execution(_Model):
    """One run of a StateMachine."""

    spec: ExecutionSpec
    """What to run. Only stop and suspend may be changed afterwards."""
    status: ExecutionStatus | None = None
    """What has happened, written by Treadle alone."""


# --------------------------------------------------------------------------------- ExecutionPage


class ExecutionPageSpec(_Model):
    """A page's content."""

    model_config = _ruled(
        {"rule": "self == oldSelf", "message": "a page cannot be changed: its name is its content"}
    )

    digest: str
    """SHA-256, in hex, of the unpacked content, or of all of it where this lists parts."""
    kind: Literal["payload", "results", "history", "snapshot"]
    """What it holds: an input or output, the results of a Map, a stretch of history, or a part of
    the checkpoint."""
    encoding: Literal["zlib"]
    """How the content was packed before it became base64."""
    data: str
    """The content, packed, in base64."""


class ExecutionPage(_Model):
    """A part of an Execution that does not fit in its status.

    It belongs to the Execution and goes with it; without its pages an execution cannot go on.
    """

    spec: ExecutionPageSpec
    """A page's content."""


# ------------------------------------------------------------------------------------- resources

_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_EVERYDAY = (CATEGORY, "all")

RESOURCES = (
    Resource(
        STATE_MACHINES,
        "statemachine",
        "sm",
        StateMachine,
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Revision", ".status.revision.name"),
            _AGE,
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        ),
        rules=(
            {
                "rule": f"self.metadata.name.size() <= {MACHINE_NAME_CHARS_MAX}",
                "message": f"a StateMachine's name has at most {MACHINE_NAME_CHARS_MAX} characters"
                ": those of its revisions are longer",
            },
        ),
        categories=_EVERYDAY,
    ),
    Resource(
        REVISIONS,
        "statemachinerevision",
        "smr",
        StateMachineRevision,
        columns=(
            Column("Machine", ".spec.stateMachine"),
            _AGE,
            Column("Digest", ".spec.digest", wide=True),
        ),
        selectable=(".spec.stateMachine",),
    ),
    Resource(
        EXECUTIONS,
        "execution",
        "ex",
        Execution,
        columns=(
            Column("Machine", ".spec.stateMachineRef.name"),
            Column("Phase", ".status.phase"),
            Column("State", ".status.currentStates[0].name", description="One it is in."),
            Column("Progress", ".status.progress.text", description="Map items, done/total."),
            _AGE,
            Column("Started", ".status.startTime", "date", wide=True),
            Column("Ended", ".status.completionTime", "date", wide=True),
            Column("Error", ".status.error", wide=True),
            Column("Revision", ".status.revision", wide=True),
        ),
        selectable=(".spec.stateMachineRef.name", ".status.phase"),
        categories=_EVERYDAY,
    ),
    Resource(
        ACTIVITIES,
        "activity",
        "act",
        Activity,
        columns=(
            Column("Description", ".spec.description"),
            _AGE,
            Column("ARN", ".spec.arn", wide=True),
        ),
    ),
    Resource(
        PAGES,
        "executionpage",
        "exp",
        ExecutionPage,
        columns=(
            Column("Execution", ".metadata.ownerReferences[0].name"),
            Column("Holds", ".spec.kind"),
            _AGE,
        ),
        selectable=(".spec.kind",),
    ),
)


def crds() -> dict[str, str]:
    """The CustomResourceDefinitions, YAML by file name."""
    return {f"{each.kind.plural}.yaml": as_yaml(definition(each)) for each in RESOURCES}


def main(*folders: str) -> None:
    """Write all of them to each folder; what else is there stays."""
    for folder in map(Path, folders):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in crds().items():
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
