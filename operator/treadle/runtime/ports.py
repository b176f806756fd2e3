"""What the turn needs of the world, and how the world fails.

One rule: `kube`, `runners` and `stores` raise these faults; only `runtime` catches them.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

from treadle.asl.json import Json
from treadle.asl.limits import Limits
from treadle.asl.program import Program
from treadle.engine.commands import Task
from treadle.engine.events import Event, RedriveRequested, StopRequested, TaskId
from treadle.engine.execution import Execution
from treadle.engine.snapshot import Encoded

# ---------------------------------------------------------------------------------------- faults


class Fault(Exception):  # noqa: N818 - style.md names them
    """The world failed."""


class Conflict(Fault):
    """A stale resourceVersion, or a precondition that no longer holds. Nothing was written."""


class AlreadyExists(Fault):
    """An object of this name is there already."""


class Missing(Fault):
    """No such object."""


class Expired(Fault):
    """The resourceVersion is too old to watch from: list again."""


class Unavailable(Fault):
    """No answer, a 5xx, a timeout, 429. A write may or may not have happened."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Refused(Fault):
    """The API server refuses this request and would refuse it again: 400, 401, 403, 413, 422."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class NotLeading(Fault):
    """The Lease is not fresh: this process may not act."""


class UnreadableSnapshot(Fault):
    """A checkpoint or page that cannot be read: newer than this release, missing, or damaged."""


# ------------------------------------------------------------------------------------ identities


class ExecutionKey(NamedTuple):
    """Which execution: everything is keyed by uid; namespace and name say where to read it."""

    namespace: str
    name: str
    uid: str


class Standing(Enum):
    """What the last *saved* snapshot says of an attempt."""

    LIVE = "live"
    OVER = "over"  # ended or superseded, and that is saved
    NEWER = "newer"  # an entry past the snapshot's counter: someone knows more than we
    GONE = "gone"  # its execution does not exist (asked live)
    UNKNOWN = "unknown"  # not known now (not loaded yet, no answer): decide later


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one execution: what names, labels and standing are asked by."""

    execution: ExecutionKey
    task: TaskId


@dataclass(frozen=True, slots=True)
class Order:
    """A task to run, with all that a runner needs beside the task itself.

    Attributes:
        pods: the machine's static Job settings (`serviceAccountName`, `podTemplate`,
            `podTemplates`, `jobMode`, `functions`) as in StateMachine.spec.
        expired: the attempt ended unseen: only its name must be taken (the tombstone).
        restored: the attempt was decided before this process knew it, so another may have created
            its object already: a live read comes before a create.
        depth: how many executions stand above this one.
        machine: the name of the StateMachine, for people.
    """

    execution: ExecutionKey
    task: Task
    pods: Mapping[str, Json]
    payload_bytes_max: int
    expired: bool = False
    restored: bool = False
    depth: int = 0
    machine: str = ""

    @property
    def attempt(self) -> Attempt:
        """Which attempt this is."""
        return Attempt(self.execution, self.task.id)


# ----------------------------------------------------------------------------------- the runners


class Mailbox(Protocol):
    """Where runners and handlers leave what happened."""

    def post(self, execution: ExecutionKey, event: Event) -> None:
        """Leave an event. It is kept until the save that holds its effect."""

    def waits(self, execution: ExecutionKey, task: TaskId, reason: str | None) -> None:
        """Say why an attempt waits for capacity (a sentence), or that it no longer does."""


class Runner(Protocol):
    """Makes one kind of wanted thing true outside.

    All methods may be called again at any time and must then change nothing more.

    Attributes:
        resources: the Resources that it runs, as `arns.listed` gives them.
        makes_objects: whether an attempt leaves a named object, so that the name of one that ended
            unseen must be taken.
        asks_first: whether only `start` finds out what became of an attempt that another process
            began. Its execution's timers wait until that has returned.
    """

    resources: frozenset[str]
    makes_objects: bool
    asks_first: bool

    def current(self) -> bool:
        """Whether its view of the world is complete: no timer fires while it is not."""

    async def start(self, order: Order) -> None:
        """Make the attempt exist; return once it does. Its events go to the mailbox.

        Raises:
            Fault: it may or may not exist; the driver asks again after a delay.
        """

    async def stop(self, attempt: Attempt) -> None:
        """Stop what exists of an attempt whose end is saved.

        Raises:
            Fault: the driver asks again after a delay.
        """

    def existing(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """Attempts of this execution that are seen outside and not known to have ended."""

    async def ended(self, attempt: Attempt) -> None:
        """The attempt's end is saved: what held its result may go."""

    async def sweep(self) -> None:
        """Bring everything in line that no event did."""


# ------------------------------------------------------------------------------------ the stores


@dataclass(frozen=True, slots=True)
class Stop:
    """`spec.stop`."""

    error: str | None
    cause: str | None
    by: str | None = None

    @property
    def event(self) -> StopRequested:
        """What the engine is told."""
        return StopRequested(self.error, self.cause, self.by)


@dataclass(frozen=True, slots=True)
class Redrive:
    """`spec.redrive`: `id` tells one from another, `revision` names what it is to go on with.

    `problem` is the sentence that says why it cannot be used.
    """

    id: str
    revision: str | None
    event: RedriveRequested
    problem: str | None = None


START_DEADLINE_SECONDS = 60

TERMINAL = frozenset({"Succeeded", "Failed", "TimedOut", "Aborted"})
"""Phases that an Execution leaves only where it is redriven."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an Execution's spec asks for.

    `input` is JSON text, empty once a checkpoint holds it. `depth` counts the executions above it.
    `suspend_by`: who gave `suspend` its value, where that is proven.
    `version` is a published one of the machine, and `alias` names one; at most one of them is asked
    for.
    """

    machine: str
    input: str
    name: str
    start_deadline_seconds: int = START_DEADLINE_SECONDS
    stop: Stop | None = None
    suspend: bool = False
    suspend_by: str | None = None
    redrive: Redrive | None = None
    depth: int = 0
    version: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a watch showed of an Execution: a hint to look, never a fact to act on.

    `loaded` is what was seen, where it has no checkpoint yet:
    its first turn saves before it acts, so it needs no other read. `ended_at` is when it ended.
    `parent` is the attempt of another execution that waits for it. `redrive`: it asks for one that
    no status answers; `redriven`: how often it was.
    """

    key: ExecutionKey
    version: str
    phase: str
    stop: Stop | None = None
    suspend: bool = False
    redrive: bool = False
    redriven: int = 0
    deleting: bool = False
    deleted: bool = False
    ended_at: datetime | None = None
    loaded: "Loaded | None" = None
    parent: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """An execution as it is stored now.

    Attributes:
        version: the resourceVersion.
        request: its spec; None where the spec cannot be used (then `problem` says why).
        checkpoint: the opaque text of its status; None before its first save.
        pages: every page that the snapshot needs, by digest.
        revision: the pinned revision's name; None before the start.
        published: the version that it is, where the execution asked for one.
        pending_since: when the save that first recorded Pending happened.
        phase: as in the status, empty before the first save.
        deleting: deletion was asked for; nothing new may start.
        status: as it is stored.
        overflow: digests of pages that only this checkpoint refers to, and `overflow_before`: that
            only the one before it did.
    """

    key: ExecutionKey
    version: str
    request: Request | None
    checkpoint: str | None
    pages: Mapping[str, bytes]
    revision: str | None
    pending_since: datetime | None
    phase: str
    deleting: bool = False
    problem: str | None = None
    generation: int = 0
    status: Mapping[str, Json] = field(default_factory=dict)
    overflow: frozenset[str] = frozenset()
    overflow_before: frozenset[str] = frozenset()
    published: int | None = None

    @property
    def redrive(self) -> Redrive | None:
        """The redrive that its spec asks for and that its status does not answer."""
        asked = self.request.redrive if self.request else None
        answered: Any = self.status.get("redrive") or {}
        return None if asked is None or answered.get("id") == asked.id else asked


@dataclass(frozen=True, slots=True)
class Pinned:
    """A machine as an execution pins it.

    Attributes:
        pods: what says how its Jobs' Pods are made.
        functions: what runs in place of Lambda functions; see `runtime.functions`.
        limits: of its executions: the machine's, and no higher than the installation's.
        answered: states whose Tasks are answered by mocks, as a Lambda function itself would.
        machine: the StateMachine's name.
        published: the version that it is, where that was asked for.
    """

    revision: str
    program: Program
    digest: str
    pods: Mapping[str, Json]
    functions: Mapping[str, Json]
    limits: Limits
    answered: frozenset[str] = frozenset()
    machine: str = ""
    published: int | None = None


@dataclass(frozen=True, slots=True)
class MachineUnready:
    """The machine cannot be started now; `message` says why.

    `invalid`: never, as it stands. `unjudged`: this operator has not judged it yet.
    """

    invalid: bool
    message: str
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """How an execution ended that never started."""

    error: str
    cause: str
    phase: str = "Failed"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended, whole: `output` is JSON text, of one that succeeded."""

    output: str | None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a save writes.

    `execution` is None for one that has not started; then `waiting` says why it is Pending, or
    `failure` why it will never start. `encoded` is its snapshot. `capacity` says why attempts
    wait. `parked` says why it cannot go on; then what is stored stays as it is. `redrive` is the id
    of the one that this answers; where `refused` says why not, what is stored stays as it is.
    `published` is the version that the revision is, where the execution asked for one.
    """

    execution: Execution | None
    revision: str | None
    encoded: Encoded | None = None
    pending_since: datetime | None = None
    waiting: str | None = None
    failure: Failure | None = None
    capacity: Sequence[str] = field(default=())
    parked: str | None = None
    redrive: str | None = None
    refused: str | None = None
    published: int | None = None


Tokens = Callable[[ExecutionKey, TaskId], str]
"""Gives the token of an attempt: whoever has it may say how the attempt ended."""


class Store(Protocol):
    """Keeps snapshots."""

    async def load(self, key: ExecutionKey) -> Loaded:
        """A consistent read.

        Raises:
            Missing: there is no execution of this uid.
            Fault: ask again.
        """

    async def save(self, loaded: Loaded, record: Record, now: datetime) -> Loaded:
        """Write pages, then the status under `loaded.version`.

        Returns:
            What is stored now, with the new version.

        Raises:
            Conflict: somebody else wrote; nothing of ours did.
            Missing: the execution is gone.
            Fault: it may or may not have been written.
        """

    async def entered_with(self, loaded: Loaded, state: str) -> str | None:
        """The input, as JSON text, with which it entered a state last; None where it never did.

        Raises:
            UnreadableSnapshot: its history cannot be read.
            Fault: ask again.
        """

    async def tidy(self, loaded: Loaded, now: datetime) -> None:
        """Remove pages that this save and the one before no longer refer to."""


class Machines(Protocol):
    """Reads judged machines."""

    async def chosen(
        self, namespace: str, request: Request, chance: float
    ) -> Pinned | MachineUnready:
        """What an execution that starts now runs: its machine's current revision, or a version.

        Args:
            namespace: of the execution.
            request: what it asks for.
            chance: in [0, 1), its own; picks among the versions of an alias.

        Raises:
            Fault: ask again.
        """

    async def pinned(self, namespace: str, revision: str) -> Pinned:
        """The revision that an execution pins; may come from memory.

        Raises:
            Missing: somebody deleted it.
        """

    async def taken(self, namespace: str, revision: str) -> Pinned:
        """The same for an execution that is about to go on with it: it stays until that is saved.

        Raises:
            Missing: there is none.
            Fault: ask again.
        """


class Leadership(Protocol):
    """Whether this process may act."""

    def fresh(self) -> bool:
        """By our own monotonic clock, counted from when the renewal was sent."""


T = TypeVar("T")


class Payer(NamedTuple):
    """On whose behalf work is done."""

    namespace: str
    machine: str


class Aside(Protocol):
    """Does work in a thread."""

    def __call__(self, work: Callable[[], T], payer: Payer) -> Awaitable[T]:
        """Gives what the work gives, and raises what it raises."""


Announce = Callable[[ExecutionKey, str, str, str], None]
"""Tells people: (execution, "Normal" or "Warning", reason, message). Never blocks."""

Clock = Callable[[], datetime]
"""Aware UTC now."""

Standings = Callable[[Attempt], Awaitable[Standing]]
"""Asks the driver; a live read answers where the execution is not loaded."""
