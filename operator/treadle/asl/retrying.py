"""Which retrier or catcher an error meets, and how long a retry waits.

One rule: names are compared and nothing is counted here; the counts belong to the state's visit.
"""

from collections.abc import Sequence
from typing import Final

from treadle.asl import limits
from treadle.asl.errors import (
    ALL,
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    RUNTIME,
    TASK_FAILED,
    TIMEOUT,
)
from treadle.asl.program import Retrier

_TIMEOUTS: Final = frozenset({TIMEOUT, HEARTBEAT_TIMEOUT})


def matches(errors: Sequence[str], name: str | None) -> bool:
    """Whether the `ErrorEquals` of a retrier or catcher takes an error.

    Args:
        errors: the names as written.
        name: the error's name; None for an error without one, which only wildcards take.
            A missed heartbeat is `States.HeartbeatTimeout` here, although it is reported as
            `States.Timeout`: both names take it.

    States.Runtime is never taken, not even by its name. States.DataLimitExceeded is taken by its
    name alone.

    Spec: Errors; AWS, "Handling errors": what States.ALL and States.TaskFailed stand for.
    """
    if name == RUNTIME:
        return False
    if name is not None and name in errors:
        return True
    if name == DATA_LIMIT_EXCEEDED:
        return False
    if name == HEARTBEAT_TIMEOUT and TIMEOUT in errors:
        return True
    if TASK_FAILED in errors and name not in _TIMEOUTS:
        return True
    return ALL in errors


def find_retrier(retriers: Sequence[Retrier], error: str | None) -> int | None:
    """The index of the first retrier that takes an error, exhausted or not.

    Spec: Errors, "Retrying after error": later retriers do not step in for an exhausted one.
    """
    for index, retrier in enumerate(retriers):
        if matches(retrier.errors, error):
            return index
    return None


def delay_seconds(retrier: Retrier, attempt: int, chance: float) -> float:
    """Seconds to wait before retry number `attempt`.

    Args:
        retrier: the retrier that matched the error.
        attempt: 1 for the first retry.
        chance: in [0, 1); used by JitterStrategy FULL only.

    Returns:
        0 ≤ delay ≤ MaxDelaySeconds, or `RETRY_DELAY_SECONDS_MAX` where that is not set.

    Spec: Errors, "Retrying after error".
    """
    longest = limits.RETRY_DELAY_SECONDS_MAX
    if retrier.delay_seconds_max is not None:
        longest = min(longest, retrier.delay_seconds_max)
    try:
        delay = retrier.interval_seconds * retrier.backoff_rate ** (attempt - 1)
    except OverflowError:
        delay = longest
    delay = min(delay, longest)
    return delay * chance if retrier.jitter == "FULL" else delay
