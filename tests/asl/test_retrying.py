"""Which errors retriers take and how long they wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl.program import Retrier
from treadle.asl.retrying import delay_seconds, find_retrier, matches


@pytest.mark.parametrize(
    ("errors", "name", "taken"),
    [
        (("A",), "A", True),
        (("A", "B"), "B", True),
        (("A",), "B", False),
        (("A",), None, False),
        (("States.ALL",), "A", True),
        (("States.ALL",), None, True),
        (("States.ALL",), "States.Timeout", True),
        (("States.ALL",), "States.HeartbeatTimeout", True),
        (("States.ALL",), "States.Runtime", False),
        (("States.ALL",), "States.DataLimitExceeded", False),
        (("States.Runtime",), "States.Runtime", False),
        (("States.TaskFailed", "States.Runtime"), "States.Runtime", False),
        (("States.DataLimitExceeded",), "States.DataLimitExceeded", True),
        (("States.TaskFailed",), "States.DataLimitExceeded", False),
        (("States.TaskFailed",), "A", True),
        (("States.TaskFailed",), None, True),
        (("States.TaskFailed",), "States.TaskFailed", True),
        (("States.TaskFailed",), "States.Permissions", True),
        (("States.TaskFailed",), "States.Timeout", False),
        (("States.TaskFailed",), "States.HeartbeatTimeout", False),
        (("States.Timeout",), "States.HeartbeatTimeout", True),
        (("States.HeartbeatTimeout",), "States.HeartbeatTimeout", True),
        (("States.HeartbeatTimeout",), "States.Timeout", False),
        (("States.TaskFailed", "States.Timeout"), "States.Timeout", True),
        ((), "A", False),
    ],
)
def test_errors_are_taken_by_name_or_wildcard(
    errors: tuple[str, ...], name: str | None, taken: bool
) -> None:
    assert matches(errors, name) is taken


def test_the_first_retrier_that_takes_an_error_is_used() -> None:
    retriers = (Retrier(("A",)), Retrier(("B", "A")), Retrier(("States.ALL",)))
    assert find_retrier(retriers, "A") == 0
    assert find_retrier(retriers, "B") == 1
    assert find_retrier(retriers, "C") == 2
    assert find_retrier(retriers, "States.Runtime") is None
    assert find_retrier((), "A") is None


def test_the_delay_grows_by_the_rate_up_to_its_bound() -> None:
    retrier = Retrier(("A",), interval_seconds=3, backoff_rate=1.5, delay_seconds_max=5)
    assert [delay_seconds(retrier, attempt, 0.5) for attempt in (1, 2, 3, 4)] == [3, 4.5, 5, 5]


def test_full_jitter_takes_a_part_of_the_delay() -> None:
    retrier = Retrier(("A",), interval_seconds=4, jitter="FULL")
    assert delay_seconds(retrier, 2, 0.25) == 2
    assert delay_seconds(retrier, 1, 0.0) == 0


@given(
    st.integers(1, 99_999_999),
    st.floats(1, 1e300),
    st.integers(1, 99_999_999),
    st.none() | st.integers(1, 31_622_400),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["FULL", "NONE"]),
)
def test_no_delay_leaves_its_range(
    interval: int, rate: float, attempt: int, most: int | None, chance: float, jitter: str
) -> None:
    retrier = Retrier(("A",), interval, 3, rate, most, "FULL" if jitter == "FULL" else "NONE")
    assert 0 <= delay_seconds(retrier, attempt, chance) <= (most or 31_622_400)
