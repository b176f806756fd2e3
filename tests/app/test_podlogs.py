"""Which Pod is meant, where there is none: what the history says."""

import pytest

from tests.support.evidences import FAILED_ONCE, entry, evidence, execution, pod, running
from treadle.app.podlogs import NoPod, Wanted, choose

ENTERED = [*FAILED_ONCE, entry(5, "PassStateEntered", 4, name="Next")]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("run"), "'run' has no Pod"),
        (
            Wanted("run", "Other"),
            "'run' has not entered a state named 'Other'; it has entered: Work, Next",
        ),
        (
            Wanted("run", "Work"),
            "no Pod of 'Work' is there, or there is one no more; the last that its history says is "
            "TaskFailed, 96s ago: Kubernetes.ExitCode.3: exit code 3",
        ),
        (
            Wanted("run", "Next"),
            "no Pod of 'Next' is there, or there is one no more; the last that its history says is "
            "PassStateEntered, 95s ago",
        ),
    ],
)
def test_what_is_known_where_there_is_no_pod(wanted: Wanted, said: str) -> None:
    with pytest.raises(NoPod) as found:
        choose(evidence(execution(running()), history=ENTERED), wanted)
    assert str(found.value) == said


def test_other_attempts_and_items_are_named() -> None:
    pods = [pod("Each[3]/Work"), pod("Work", 2)]
    seen = evidence(execution(running()), history=ENTERED, pods=pods)
    with pytest.raises(NoPod) as found:
        choose(seen, Wanted("run", "Work", attempt=7))
    assert str(found.value) == (
        "no Pod of 'Work' is that attempt or item; there are: attempt 1 of item 3, attempt 2"
    )


def test_a_pod_of_an_earlier_release_has_its_state_alone() -> None:
    old = pod(None)
    del old["metadata"]["annotations"]["treadle.dev/attempt-number"]
    found = choose(evidence(execution(running()), pods=[old]), Wanted("run", "Work"))
    assert (found.pod_name, found.path, found.attempt, found.index) == ("pod-None-1", "Work", 0, "")
