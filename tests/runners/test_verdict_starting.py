"""How long an attempt whose container has not started is waited for, and how it fails then."""

from datetime import timedelta
from typing import Any

import pytest

from tests.runners.pods_seen import (
    NOW,
    RUNNING,
    START,
    Obj,
    a_condition,
    a_job,
    a_pod,
    at,
    name_of,
    nothing,
    of,
    waits_for,
    when,
)
from treadle.asl.errors import StateError
from treadle.runners.results import Failed
from treadle.runners.startup import quota_said
from treadle.runners.verdict import Ask, Policy, Seen, Waiting, verdict

UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available",
}
NO_SANDBOX = {"type": "PodReadyToStartContainers", "status": "False"}
SCHEDULED = a_condition("PodScheduled", seconds=1)


def start_by(seconds: float) -> Obj:
    return {"annotations": {"treadle.dev/start-by": at(seconds)}}


@pytest.mark.parametrize(
    ("job", "pods", "words"),
    [
        (a_job(), [a_pod(phase="Pending", node=None, conditions=[UNSCHEDULED])], "0/3 nodes"),
        (a_job(spec={"suspend": True}), [], "suspended"),
    ],
)
def test_waiting_for_capacity_is_no_failure(job: Obj, pods: list[Obj], words: str) -> None:
    said = of(job, *pods, now=START + timedelta(days=3))
    assert isinstance(said, Waiting)
    assert words in (said.reason or "")
    assert said.recheck_at is None


@pytest.mark.parametrize(
    ("pods", "more", "name"),
    [
        ([a_pod(phase="Pending", conditions=[UNSCHEDULED])], {}, "Kubernetes.Unschedulable"),
        ([], {"spec": {"suspend": True}}, "Kubernetes.QuotaExceeded"),
        ([a_pod(waits_for("ImagePullBackOff"), phase="Pending")], {}, "Kubernetes.ImagePull"),
        (
            [a_pod(waits_for("CreateContainerError"), phase="Pending")],
            {},
            "Kubernetes.ContainerConfig",
        ),
        ([a_pod(waits_for("ContainerCreating"), phase="Pending")], {}, "Kubernetes.ImagePull"),
        (
            [a_pod(phase="Pending", conditions=[SCHEDULED, NO_SANDBOX])],
            {},
            "Kubernetes.ContainerConfig",
        ),
        (
            [a_pod(phase="Pending", node=None, conditions=[NO_SANDBOX])],
            {},
            "Kubernetes.ContainerConfig",
        ),
        (
            [a_pod(phase="Pending", node=None, conditions=[a_condition("Initialized")])],
            {},
            "Kubernetes.Unschedulable",
        ),
    ],
)
def test_the_start_timeout_ends_the_patience(pods: list[Obj], more: Obj, name: str) -> None:
    job = a_job(**more, **start_by(15))
    said = of(job, *pods, now=when(14))
    assert isinstance(said, Waiting)
    assert said.recheck_at == when(15)
    said = of(job, *pods, now=when(16))
    assert isinstance(said, Failed)
    assert (said.error.name, said.at) == (name, when(15))


def test_what_has_started_has_no_start_timeout() -> None:
    job = a_job(**start_by(15))
    assert of(job, a_pod(RUNNING)) == nothing()
    init = [{"name": "i", "state": RUNNING}]
    pod = a_pod(waits_for("PodInitializing"), phase="Pending", initContainerStatuses=init)
    assert of(job, pod) == nothing()


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("ErrImagePull", "Kubernetes.ImagePull"),
        ("ImagePullBackOff", "Kubernetes.ImagePull"),
        ("InvalidImageName", "Kubernetes.ImagePull"),
        ("CreateContainerConfigError", "Kubernetes.ContainerConfig"),
        ("CreateContainerError", "Kubernetes.ContainerConfig"),
    ],
)
def test_what_cannot_start_as_it_stands_fails_after_ten_minutes(reason: str, name: str) -> None:
    pod = a_pod(waits_for(reason), phase="Pending")
    first = of(a_job(), pod, now=when(20))
    assert first == Waiting(None, when(620), stuck=True)
    again = of(a_job(), pod, now=when(619), stuck_since=when(20))
    assert again == Waiting(None, when(620), stuck=True)
    said = of(a_job(), pod, now=when(650), stuck_since=when(20))
    assert said == Failed(StateError(name, f"because of {reason}"), when(620))


def test_a_missing_volume_is_a_configuration() -> None:
    pod = a_pod(waits_for("ContainerCreating"), phase="Pending", conditions=[SCHEDULED, NO_SANDBOX])
    said = of(a_job(), pod, now=when(700), stuck_since=when(20))
    assert name_of(said) == "Kubernetes.ContainerConfig"
    assert of(a_job(), a_pod(waits_for("ContainerCreating"), phase="Pending")) == nothing()


def test_an_image_that_an_init_container_needs_counts_too() -> None:
    init = [{"name": "i", "state": waits_for("ErrImagePull")}]
    pod = a_pod(waits_for("PodInitializing"), phase="Pending", initContainerStatuses=init)
    assert name_of(of(a_job(), pod, now=when(700), stuck_since=when(20))) == "Kubernetes.ImagePull"


def test_patience_is_a_setting() -> None:
    seen = Seen(a_job(), [a_pod(waits_for("ErrImagePull"))], stuck_since=when(20))
    said = verdict(seen, now=when(26), policy=Policy(image_pull_seconds=5))
    assert name_of(said) == "Kubernetes.ImagePull"


def test_a_job_without_a_pod_is_asked_about_after_a_moment() -> None:
    assert of(a_job(), now=when(5)) == Waiting(None, when(20))
    assert of(a_job(), now=when(21)) == Ask("events")
    said = of(a_job(), now=when(21), refusal="")
    assert said == Waiting("Its Job has no Pod yet.")


@pytest.mark.parametrize("status", [{"startTime": None}, {"active": 1}])
def test_a_job_without_a_pod_is_not_asked_about_where_the_controller_or_our_view_is_behind(
    status: dict[str, Any],
) -> None:
    job = a_job(status=status)
    assert of(job, now=when(500)) == Waiting(None, None)
    limited = a_job(**start_by(30), status=status)
    assert of(limited, now=when(29)) == Waiting(None, when(30))
    assert of(limited, now=when(31)) == Ask("events")


def test_a_job_without_a_pod_is_asked_about_before_it_fails() -> None:
    job = a_job(**start_by(15))
    assert of(job, now=when(14)) == Waiting(None, when(15))
    assert of(job, now=when(16)) == Ask("events")
    said = of(job, now=when(16), refusal="")
    assert name_of(said) == "Kubernetes.Unschedulable"
    assert isinstance(said, Failed)
    assert said.at == when(15)


def test_what_the_job_controller_could_not_make_is_told() -> None:
    quota = 'pods "j-x" is forbidden: exceeded quota: q, requested: pods=1'
    said = of(a_job(), refusal=quota)
    assert said == Waiting("A quota is full: exceeded quota: q, requested: pods=1")
    said = of(a_job(**start_by(30)), refusal=quota)
    assert name_of(said) == "Kubernetes.QuotaExceeded"
    level = 'pods "j-x" is forbidden: violates PodSecurity "restricted:latest"'
    assert of(a_job(), refusal=level) == Failed(StateError("Kubernetes.Forbidden", level), NOW)
    webhook = "Internal error occurred: failed calling webhook"
    said = of(a_job(), refusal=webhook)
    assert isinstance(said, Waiting)
    assert webhook in (said.reason or "")


def test_a_refusal_that_speaks_of_no_quota_says_none() -> None:
    assert quota_said('pods "j-x" is forbidden: violates PodSecurity') is None


def test_two_objects_wait_for_the_same_quota_in_the_same_words() -> None:
    said = {quota_said(f'pods "{name}" is forbidden: exceeded quota: q') for name in "ab"}
    assert said == {"A quota is full: exceeded quota: q"}
