"""What can happen to an execution.

One rule: an event that is late, repeated or unknown changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from treadle.asl.errors import StateError
from treadle.asl.json import Json


class TaskId(NamedTuple):
    """One attempt of one entry into a Task state, unique within its execution.

    `entry` counts state entries over the whole execution from 1; `attempt` counts from 1.
    """

    frame: int
    entry: int
    attempt: int


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """The attempt exists outside; `uid` is that of its Job, empty where there is none.

    An attempt of an activity is one worker's: `uid` is that of its hand-out, the first one counts,
    and `worker` is how the worker calls itself.
    """

    task: TaskId
    uid: str
    worker: str = ""


@dataclass(frozen=True, slots=True)
class TaskSubmitted:
    """What the attempt asked for was taken, and goes on: `output` is the JSON text of that answer.

    Source: AWS, "Service integration patterns": `.sync` and `.waitForTaskToken`.
    """

    task: TaskId
    output: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The attempt gave a result: `output` is its JSON text, `at` the time when it ended.

    `by_token`: who has its token says so. Where the task waits for that, all else is a submission.
    """

    task: TaskId
    output: str
    at: datetime
    by_token: bool = False


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The attempt failed; `at` is the time when it ended. `by_token`: as of `TaskSucceeded`.

    `never_began`: there is nothing that could have done its work.
    """

    task: TaskId
    error: StateError
    at: datetime
    by_token: bool = False
    never_began: bool = False


@dataclass(frozen=True, slots=True)
class TaskHeartbeat:
    """Who does the work says at an instant that it is alive."""

    task: TaskId
    at: datetime


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. Timers fire, work of an earlier turn goes on."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A person stops the execution; `by`: who, where that is proven. Source: AWS, StopExecution."""

    error: str | None = None
    cause: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class RedriveRequested:
    """A person lets an execution that did not succeed go on from where it halted.

    With any of the others it goes on with one state of the outermost list, which it enters anew:
    `state`, or the one in which it halted. `input` is JSON text, `variables` are assigned before.
    `by`: who, where that is proven. `suspended`: nothing starts before it is resumed, as of
    `SuspendChanged`, with `suspended_by` in place of `by`.
    `revision`: the name of what it goes on with, where that is another than before.
    Source: AWS, RedriveExecution, which has none of these.
    """

    state: str | None = None
    input: str | None = None
    variables: Mapping[str, Json] | None = None
    by: str | None = None
    suspended: bool = False
    suspended_by: str | None = None
    revision: str | None = None

    @property
    def enters_anew(self) -> bool:
        """Whether a state is entered, and nothing that was inside it is kept."""
        return not (self.state is None and self.input is None and self.variables is None)


@dataclass(frozen=True, slots=True)
class SuspendChanged:
    """While suspended nothing new starts; what runs may end. `by`: who, where that is proven."""

    suspended: bool
    by: str | None = None


@dataclass(frozen=True, slots=True)
class GoOn:
    """What waits for nothing outside goes on from where the bound of a stretch stopped it.

    Unlike a Tick it fires no timer: what happened outside before is perhaps not known yet.
    """


Event: TypeAlias = (
    TaskStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskHeartbeat
    | Tick
    | GoOn
    | StopRequested
    | RedriveRequested
    | SuspendChanged
)
