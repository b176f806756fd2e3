"""The custom resources as models, and the CustomResourceDefinitions in crds/ made from them.

One rule: a member is here only if the operator acts on it, or refuses it with a sentence; what this
release does not have, the API server refuses as unknown. `python -m treadle.kube.schemas FOLDER...`
writes them.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from treadle.kube import approvalschema, controlschema, versionschema
from treadle.kube.activityschema import Activity
from treadle.kube.controlschema import Redrive, RedriveAnswer, Stop, SuspendBy
from treadle.kube.functionschema import WithFunctions
from treadle.kube.kinds import ACTIVITIES, EXECUTIONS, PAGES, REVISIONS, STATE_MACHINES
from treadle.kube.limitschema import WithLimits
from treadle.kube.members import (
    Anything,
    Conditions,
    Count,
    Free,
    Instant,
    Model,
    Name,
    NamespaceOrAll,
    fixed,
    ruled,
)
from treadle.kube.structural import AGE, CATEGORY, Column, Resource, as_yaml, definition

MACHINE_NAME_CHARS_MAX = 244  # a revision's has a dash and 8 digits more: 253 characters

DEADLINE_SECONDS_MAX = 31_536_000  # a year, as for a Wait
TEMPLATES_MAX = 100
CALLERS_MAX = 1_000
AWS_NAME_CHARS_MAX = 80  # AWS: StartExecution `name`


# ---------------------------------------------------------------------------------------- shared


class _Pods(Model, WithFunctions, WithLimits):
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


class Callers(Model):
    """Who may start a machine from elsewhere."""

    namespaces: list[NamespaceOrAll] | None = Field(None, max_length=CALLERS_MAX)
    """Namespaces whose executions may start it with a Task `treadle:execution`, or "*" for all of
    them. It runs here all the same, with the rights and the quotas of this namespace. Without it,
    only executions of this namespace start it."""


class StateMachineSpec(_Definition):
    """A definition, and how its Tasks run."""

    callers: Callers | None = None
    """Who may start it, beside Tasks of its own namespace."""
    publish: versionschema.Publish | None = None
    """Publishes what this holds as the machine's next version, once it is Ready."""


class Problem(Model):
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


class CurrentRevision(Model):
    """What executions that start now run."""

    name: str
    """Name of the StateMachineRevision."""
    digest: str
    """SHA-256, in hex, of what it holds."""


class StateMachineStatus(Model):
    """What Treadle found when it judged the definition."""

    observed_generation: Count | None = None
    """The metadata.generation that was judged."""
    conditions: Conditions | None = None
    """Ready: executions may start; while it is False, problems says why. Published: what
    spec.publish asks for is a version."""
    problems: list[Problem] | None = None
    """All that is wrong with the definition, at once; bounded, the first ones."""
    revision: CurrentRevision | None = None
    """The immutable revision that new executions run."""
    version: versionschema.Version | None = None
    """What was published last."""


class StateMachine(Model):
    """A workflow in the Amazon States Language. It runs when an Execution names it."""

    spec: StateMachineSpec
    """A definition, and how its Tasks run."""
    status: StateMachineStatus | None = None
    """What Treadle found when it judged the definition."""


# -------------------------------------------------------------------------- StateMachineRevision


class StateMachineRevisionSpec(_Definition):
    """What a StateMachine was when it was judged."""

    model_config = ruled(
        {
            "rule": "self == oldSelf",
            "message": "a revision cannot be changed: change its StateMachine, which makes another",
        }
    )

    state_machine: Name
    """Name of the StateMachine."""
    digest: str
    """SHA-256, in hex, of what this holds."""


class StateMachineRevision(Model):
    """A StateMachine as it was when it was judged.

    Treadle makes it, executions pin it, and it never changes. It is removed when it is no longer
    the current one, no Execution names it, and it is no published version: the label
    treadle.dev/version is the number of one.
    """

    spec: StateMachineRevisionSpec
    """What a StateMachine was when it was judged."""


# ------------------------------------------------------------------------------------- Execution


class StateMachineRef(Model):
    """The StateMachine to run."""

    name: Name
    """Name of a StateMachine in the same namespace. Where there is none yet, the execution waits
    until its start deadline."""
    version: versionschema.Number | None = None
    """A published version of it, in place of what the machine is now. Where there is none yet, the
    execution waits."""
    alias: versionschema.AliasName | None = None
    """A StateMachineAlias of it, which names the version. Where there is none yet, the execution
    waits."""


_ANOTHER = "once an Execution is created: create another Execution"


class ExecutionSpec(Model):
    """What to run. Only stop, suspend and redrive may be changed afterwards."""

    model_config = ruled(
        fixed("name", f"name cannot be changed {_ANOTHER}"),
        fixed("input", f"input cannot be changed {_ANOTHER}"),
        fixed("inputJson", f"inputJson cannot be changed {_ANOTHER}"),
        fixed("inputFrom", f"inputFrom cannot be changed {_ANOTHER}"),
        fixed("startDeadlineSeconds", f"startDeadlineSeconds cannot be changed {_ANOTHER}"),
        {
            "rule": "[has(self.input), has(self.inputJson), has(self.inputFrom)]"
            ".filter(given, given).size() <= 1",
            "message": "input, inputJson and inputFrom exclude each other: give one of them",
        },
        controlschema.STOP_STAYS,
    )

    state_machine_ref: Annotated[
        StateMachineRef,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": f"stateMachineRef cannot be changed {_ANOTHER}",
                    },
                    {
                        "rule": "!has(self.version) || !has(self.alias)",
                        "message": "version and alias exclude each other: an alias names versions",
                    },
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
    any time; {} is enough. It is taken back only together with a new redrive."""
    suspend: bool | None = None
    """While it is true, nothing new starts; what runs may end."""
    suspend_by: SuspendBy | None = None
    """Who changed suspend, given in the same change. It may be left out."""
    redrive: Redrive | None = None
    """Lets an execution that failed, timed out or was aborted go on from where it was. May be given
    at any time; status.redrive tells what became of it."""


class CurrentState(Model):
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


class Progress(Model):
    """Items of all Map states that were entered so far."""

    done: Count
    """Items that have succeeded."""
    total: Count
    """Items known so far."""
    failed: Count
    """Items that have failed."""
    text: str
    """done/total, such as 37/100, for printing."""


class OutputRef(Model):
    """Where an output is that is too large for a status."""

    page: str
    """Name of the ExecutionPage."""
    bytes: Count
    """Its size as JSON."""


class ExecutionStatus(Model):
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
    version: versionschema.Number | None = None
    """The published version that it runs, where it was started with one or through an alias."""
    alias: versionschema.AliasName | None = None
    """The alias that it was started through."""
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
    redrive: RedriveAnswer | None = None
    """What became of the last spec.redrive."""
    checkpoint: str | None = None
    """All that Treadle must know to go on. Opaque."""


class Execution(Model):
    """One run of a StateMachine."""

    model_config = ruled(controlschema.STOP_ENDS)

    spec: ExecutionSpec
    """What to run. Only stop, suspend and redrive may be changed afterwards."""
    status: ExecutionStatus | None = None
    """What has happened, written by Treadle alone."""


# --------------------------------------------------------------------------------- ExecutionPage


class ExecutionPageSpec(Model):
    """A page's content."""

    model_config = ruled(
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


class ExecutionPage(Model):
    """A part of an Execution that does not fit in its status.

    It belongs to the Execution and goes with it; without its pages an execution cannot go on.
    """

    spec: ExecutionPageSpec
    """A page's content."""


# ------------------------------------------------------------------------------------- resources

_EVERYDAY = (CATEGORY, "all")
VERSION_PATH = r".metadata.labels.treadle\.dev/version"

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
            Column("Version", ".status.version.latest", "integer", description="The latest one."),
            AGE,
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
            Column("Version", VERSION_PATH),
            AGE,
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
            AGE,
            Column("Started", ".status.startTime", "date", wide=True),
            Column("Ended", ".status.completionTime", "date", wide=True),
            Column("Error", ".status.error", wide=True),
            Column("Revision", ".status.revision", wide=True),
            Column("Version", ".status.version", "integer", wide=True),
            Column("Alias", ".status.alias", wide=True),
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
            AGE,
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
            AGE,
        ),
        selectable=(".spec.kind",),
    ),
    approvalschema.RESOURCE,
    versionschema.RESOURCE,
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
