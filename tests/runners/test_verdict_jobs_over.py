"""What is known of an attempt whose Job is over, or is no longer there."""

from datetime import datetime, timedelta

import pytest

from tests.runners.pods_seen import (
    COMPLETE,
    FAILED,
    JOB,
    NOW,
    OVERDUE,
    RUNNING,
    Obj,
    a_job,
    a_pod,
    at,
    ended,
    name_of,
    of,
    when,
)
from treadle.asl.errors import StateError
from treadle.runners.results import Failed, Succeeded
from treadle.runners.verdict import Ask, Waiting

# ------------------------------------------------------------------------- Jobs that are over


def test_a_finished_job_without_a_pod_has_lost_its_result() -> None:
    assert of(a_job(*COMPLETE)) == Ask("objects")
    said = of(a_job(*COMPLETE), live=True)
    assert isinstance(said, Failed)
    assert (said.error.name, said.at) == ("Kubernetes.ResultLost", when(60))


def test_the_jobs_own_deadline_is_a_timeout() -> None:
    assert name_of(of(a_job(*OVERDUE), live=True)) == "States.Timeout"
    killed = a_pod(ended(143, seconds=61), phase="Failed", deleted=60)
    assert name_of(of(a_job(*OVERDUE), killed)) == "States.Timeout"
    with_result = a_pod(ended(0, "1", seconds=61), phase="Succeeded", deleted=60)
    assert of(a_job(*OVERDUE), with_result) == Succeeded("1", when(61))
    own = a_pod(ended(4, seconds=50), phase="Failed", deleted=60)
    assert name_of(of(a_job(*OVERDUE), own)) == "Kubernetes.ExitCode.4"


def test_a_job_that_is_over_before_its_pod_is_looked_at_again() -> None:
    job, pod = a_job(*FAILED), a_pod(RUNNING)
    assert of(job, pod) == Ask("objects")
    assert of(job, pod, live=True) == Waiting(recheck_at=NOW + timedelta(seconds=30))


@pytest.mark.parametrize(
    ("pod", "now", "quiet"),
    [
        (a_pod(RUNNING, deleted=10), when(60), False),
        (a_pod(RUNNING, deleted=10), when(100), True),  # the node says nothing
        (a_pod(RUNNING, deleted=10, grace=0), when(11), True),  # by force
        (a_pod(phase="Pending", node=None, deleted=10), when(11), True),  # on no node
    ],
)
def test_a_deleted_pod_ends_when_nobody_is_left_to_say_so(
    pod: Obj, now: datetime, quiet: bool
) -> None:
    said = of(a_job(*FAILED), pod, now=now, live=True)
    assert isinstance(said, Failed) is quiet


# ------------------------------------------------------------------------------- Jobs that went


def test_what_a_cache_does_not_show_is_asked_for() -> None:
    assert of(None, uid=JOB) == Ask("objects")
    assert of(None, a_pod(ended(3), phase="Failed"), uid=JOB) == Ask("objects")
    assert of(None, a_pod(ended(0))) == Ask("objects")


def test_a_deleted_job_without_a_pod_is_deleted() -> None:
    said = of(None, uid=JOB, live=True)
    assert said == Failed(
        StateError("Kubernetes.JobDeleted", "Somebody deleted the Job before it was over."), NOW
    )


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        (a_pod(ended(143, seconds=41), phase="Failed", deleted=40), "Kubernetes.JobDeleted"),
        (a_pod(ended(0, seconds=41), phase="Succeeded", deleted=40), "Kubernetes.JobDeleted"),
        (a_pod(ended(3, seconds=30), phase="Failed", deleted=40), "Kubernetes.ExitCode.3"),
        (a_pod(ended(3, seconds=30), phase="Failed"), "Kubernetes.ExitCode.3"),
        (a_pod(phase="Pending", node=None, deleted=40, grace=0), "Kubernetes.JobDeleted"),
    ],
)
def test_the_pod_of_a_deleted_job_gives_its_result_if_it_has_one(pod: Obj, name: str) -> None:
    assert name_of(of(None, pod, uid=JOB, live=True)) == name


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(ended(0, "{}", seconds=41), phase="Succeeded", deleted=40),
        a_pod(ended(0, seconds=30), phase="Succeeded", deleted=40),
        a_pod(
            ended(0, seconds=30),
            meta={"ownerReferences": [], "labels": {"batch.kubernetes.io/controller-uid": JOB}},
        ),
    ],
)
def test_so_does_a_success(pod: Obj) -> None:
    assert isinstance(of(None, pod, live=True), Succeeded)


def test_a_pod_that_no_job_made_is_not_believed() -> None:
    pod = a_pod(ended(0, '{"forged": true}', seconds=30), meta={"ownerReferences": []})
    assert not isinstance(of(None, pod, live=True), Succeeded)


def test_an_orphaned_pod_is_awaited() -> None:
    labels = {"batch.kubernetes.io/controller-uid": JOB}
    pod = a_pod(RUNNING, meta={"ownerReferences": [], "labels": labels})
    assert of(None, pod, uid=JOB) == Ask("objects")
    said = of(None, pod, uid=JOB, live=True)
    assert said == Waiting(recheck_at=NOW + timedelta(seconds=30))
    done = a_pod(ended(0, "1"), meta={"ownerReferences": [], "labels": labels})
    assert of(None, done, uid=JOB) == Succeeded("1", when(30))


def test_a_job_on_its_way_out_is_gone() -> None:
    job = a_job(deletionTimestamp=at(40))
    pod = a_pod(ended(143, seconds=41), phase="Failed", deleted=40)
    assert of(job, pod) == Ask("objects")
    assert name_of(of(job, pod, live=True)) == "Kubernetes.JobDeleted"


def test_something_else_with_the_name_is_not_the_job() -> None:
    assert of(a_job(), uid="other") == Ask("objects")
    assert name_of(of(a_job(), a_pod(RUNNING), uid="other", live=True)) == "Kubernetes.JobDeleted"


def test_pods_of_other_jobs_are_not_read() -> None:
    theirs = a_pod(
        ended(0), meta={"ownerReferences": [{"uid": "x", "controller": True}], "name": "k"}
    )
    assert of(a_job(*COMPLETE), theirs, live=True) == of(a_job(*COMPLETE), live=True)
