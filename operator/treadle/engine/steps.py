"""What a state answers when it is asked for its work.

One rule: a step is a value; only `execution` acts on it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from treadle.asl.errors import StateError
from treadle.engine.failures import Ended
from treadle.engine.frames import Fork
from treadle.engine.payloads import Payload


@dataclass(frozen=True, slots=True)
class Done:
    """The state is over; `next` None ends the list of states; `assigned`: variables by name."""

    output: Payload
    next: str | None
    assigned: Payload | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nothing happens until an instant; then the state is `Done`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class RunTask:
    """An attempt of work outside. `timeout_seconds` None: nothing bounds it.

    `role_arn` is that of the state's Credentials.
    """

    parameters: Payload
    timeout_seconds: int | None
    heartbeat_seconds: int | None = None
    role_arn: str | None = None


@dataclass(frozen=True, slots=True)
class StartFork:
    """Children are to run."""

    fork: Fork


@dataclass(frozen=True, slots=True)
class Failed:
    """The state failed; `ended` says how it came to that."""

    error: StateError
    ended: Ended = Ended.FOUND


Step: TypeAlias = Done | Sleep | RunTask | StartFork | Failed
