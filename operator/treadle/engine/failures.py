"""The ladder of a failed state: retry, then catch, then give up.

One rule: it decides and changes nothing; `execution` keeps the counts and acts.

Spec: Errors, "Retrying after error" and "Fallback states".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from treadle.asl import retrying
from treadle.asl.chance import Chance
from treadle.asl.errors import ALL, DATA_LIMIT_EXCEEDED, HEARTBEAT_TIMEOUT, TASK_FAILED, StateError
from treadle.asl.program import Catcher, Map, Parallel, State, Task
from treadle.engine.times import after, whole_ms

# Nobody waits longer: a BackoffRate of 1e300 is legal.
_DELAY_SECONDS_MAX = 99_999_999.0

_WILDCARDS = frozenset({ALL, TASK_FAILED})


class Ended(Enum):
    """How it came to an error."""

    FOUND = "the interpreter found it, or a child had it"
    EVALUATED = "an expression of the state failed"
    REPORTED = "an attempt ended with it"
    SILENT = "an attempt missed its heartbeat"


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at an instant; retrier number `retrier` is used once more."""

    due_at: datetime
    retrier: int


@dataclass(frozen=True, slots=True)
class CatchTo:
    """Go to the catcher's state."""

    catcher: Catcher


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The list of states fails with the error."""


Decision: TypeAlias = RetryAt | CatchTo | GiveUp


def next_step(
    state: State,
    error: StateError,
    used: Sequence[int],
    now: datetime,
    chance: Chance,
    ended: Ended = Ended.FOUND,
) -> Decision:
    """What happens after a failure.

    Args:
        state: the state that failed.
        error: how.
        used: how often each of its retriers was used in this visit.
        now: when.
        chance: for jitter.
        ended: how it came to it. AWS documents that States.ALL does not take
            States.DataLimitExceeded; its recordings show that a catcher does, when it is a task's
            result that was too large, and States.TaskFailed stands for no less. A missed heartbeat
            is reported as States.Timeout and taken as States.HeartbeatTimeout too.
    """
    if not isinstance(state, Task | Parallel | Map):
        return GiveUp()
    name = HEARTBEAT_TIMEOUT if ended is Ended.SILENT else error.name
    index = retrying.find_retrier(state.retry, name)
    if index is not None and used[index] < state.retry[index].attempts_max:
        retrier = state.retry[index]
        seconds = retrying.delay_seconds(retrier, used[index] + 1, chance.unit())
        return RetryAt(whole_ms(after(now, min(seconds, _DELAY_SECONDS_MAX))), index)
    for catcher in state.catch:
        too_large = ended is Ended.REPORTED and name == DATA_LIMIT_EXCEEDED
        by_wildcard = too_large and not _WILDCARDS.isdisjoint(catcher.errors)
        if by_wildcard or retrying.matches(catcher.errors, name):
            return CatchTo(catcher)
    return GiveUp()
