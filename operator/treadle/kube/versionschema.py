"""The models of published versions, and of aliases, which name them.

One rule: a version is never written here: its number is a label of the StateMachineRevision.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from treadle.kube.kinds import ALIASES
from treadle.kube.members import Conditions, Count, Instant, Model, Name, fixed, ruled
from treadle.kube.structural import AGE, Column, Resource
from treadle.kube.versions import ALIAS_CHARS_MAX, ALIAS_FORM

ID_CHARS_MAX = 128
DESCRIPTION_CHARS_MAX = 256  # AWS: PublishStateMachineVersion `description`
ROUTES_MAX = 2  # AWS: `routingConfiguration`
NUMBER_MAX = 999_999_999

Number: TypeAlias = Annotated[
    int, Field(ge=1, le=NUMBER_MAX, json_schema_extra={"format": "int64"})
]
"""The number of a published version: 1 for a machine's first."""

AliasName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=ALIAS_CHARS_MAX, pattern=ALIAS_FORM)
]
"""What an alias is called within its machine."""


class Publish(Model):
    """That what the machine holds now is a version."""

    id: str = Field(min_length=1, max_length=ID_CHARS_MAX)
    """Any text; a new one publishes, once. Where the same was published before, its number is
    given again."""
    description: str | None = Field(None, max_length=DESCRIPTION_CHARS_MAX)
    """What the version is, for people; kept with it."""


class Version(Model):
    """A published version of a machine."""

    number: Number
    """Its number: 1 for the first, never given twice."""
    id: str
    """The spec.publish.id that asked for it."""
    revision: str
    """Name of the StateMachineRevision that it is."""
    latest: Number
    """The highest number that was ever given."""
    at: Instant
    """When it was given."""


class MachineOfAlias(Model):
    """The StateMachine of an alias."""

    name: Name
    """Its name, in the same namespace."""


class Route(Model):
    """A version, and its share of the executions that start."""

    version: Number
    """The number of a published version of the machine."""
    weight: int = Field(ge=0, le=100, json_schema_extra={"format": "int64"})
    """Its share, in percent."""


class StateMachineAliasSpec(Model):
    """Which versions executions run that are started through it."""

    model_config = ruled(fixed("name", "name cannot be changed: make another alias"))

    state_machine_ref: Annotated[
        MachineOfAlias,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "stateMachineRef cannot be changed: make another alias",
                    }
                ]
            }
        ),
    ]
    """The StateMachine that it is an alias of."""
    name: AliasName | None = None
    """What it is called within its machine; metadata.name unless given. So two machines of a
    namespace may each have an alias `live`."""
    description: str | None = Field(None, max_length=DESCRIPTION_CHARS_MAX)
    """What it is for, for people."""
    routes: Annotated[
        list[Route],
        Field(
            min_length=1,
            max_length=ROUTES_MAX,
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": "self.map(route, route.weight).sum() == 100",
                        "message": "the weights of all routes must make 100",
                    },
                    {
                        "rule": "self.size() < 2 || self[0].version != self[1].version",
                        "message": "two routes must name two versions",
                    },
                ]
            },
        ),
    ]
    """One version, or two and how executions are shared between them."""


class StateMachineAliasStatus(Model):
    """Whether executions may be started through it."""

    observed_generation: Count | None = None
    """The metadata.generation that this is about."""
    conditions: Conditions | None = None
    """Ready: all versions that it names are there."""


class StateMachineAlias(Model):
    """A name for one published version of a StateMachine, or for two with their shares.

    An Execution that names it in spec.stateMachineRef.alias runs the version that its weights pick
    when it starts.
    """

    spec: StateMachineAliasSpec
    """Which versions executions run that are started through it."""
    status: StateMachineAliasStatus | None = None
    """Whether executions may be started through it."""


RESOURCE = Resource(
    ALIASES,
    "statemachinealias",
    "sma",
    StateMachineAlias,
    columns=(
        Column("Machine", ".spec.stateMachineRef.name"),
        Column("Version", ".spec.routes[0].version", "integer"),
        Column("Weight", ".spec.routes[0].weight", "integer", description="In percent."),
        Column("Other", ".spec.routes[1].version", "integer", description="The second version."),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        AGE,
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
    ),
    selectable=(".spec.stateMachineRef.name",),
    rules=(
        {
            "rule": "has(self.spec.name) || self.metadata.name.size() <= "
            f"{ALIAS_CHARS_MAX} && self.metadata.name.matches('[a-z]')",
            "message": "an alias is called by metadata.name unless spec.name is given: at most "
            f"{ALIAS_CHARS_MAX} characters, and not digits alone",
        },
    ),
)
