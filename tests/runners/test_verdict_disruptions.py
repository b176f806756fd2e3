"""Who took a Pod names the error, and a Pod that was taken did not succeed."""

import pytest

from tests.runners.pods_seen import (
    COMPLETE,
    FAILED,
    NOW,
    OVERDUE,
    RUNNING,
    Obj,
    a_job,
    a_pod,
    at,
    ended,
    name_of,
    nothing,
    of,
    when,
)
from treadle.runners.results import Failed, Succeeded
from treadle.runners.verdict import Ask, Seen, Waiting, superseded_pods, verdict

# ----------------------------------------------------------------------------------- disruptions


@pytest.mark.parametrize(
    ("reason", "pod_reason", "name"),
    [
        ("EvictionByEvictionAPI", "", "Kubernetes.Evicted"),
        ("TerminationByKubelet", "Evicted", "Kubernetes.Evicted"),
        ("TerminationByKubelet", "Terminated", "Kubernetes.Evicted"),
        ("TerminationByKubelet", "Preempting", "Kubernetes.Preempted"),
        ("TerminationByKubelet", "", "Kubernetes.Evicted"),
        ("PreemptionByScheduler", "", "Kubernetes.Preempted"),
        ("DeletionByTaintManager", "", "Kubernetes.NodeLost"),
        ("DeletionByPodGC", "", "Kubernetes.NodeLost"),
    ],
)
def test_who_took_the_pod_names_the_error(reason: str, pod_reason: str, name: str) -> None:
    pod = a_pod(
        ended(143, seconds=41),
        phase="Failed",
        deleted=40,
        disrupted=(reason, 40),
        reason=pod_reason,
    )
    said = of(a_job(*FAILED), pod)
    assert isinstance(said, Failed)
    assert (said.error.name, said.at) == (name, when(41))
    assert "bye" in (said.error.cause or "")


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        (a_pod(ended(137), phase="Failed", reason="Evicted"), "Kubernetes.Evicted"),
        (a_pod(RUNNING, phase="Failed", reason="NodeLost"), "Kubernetes.NodeLost"),
        (
            a_pod(ended(137, reason="ContainerStatusUnknown"), phase="Failed", deleted=25),
            "Kubernetes.NodeLost",
        ),
        (a_pod(ended(143, seconds=41), phase="Failed", deleted=40), "Kubernetes.PodDeleted"),
        (a_pod(phase="Pending", node=None, deleted=40, grace=0), "Kubernetes.PodDeleted"),
        (a_pod(ended(137), phase="Failed", reason="DeadlineExceeded"), "States.Timeout"),
    ],
)
def test_pods_without_that_condition_say_it_otherwise(pod: Obj, name: str) -> None:
    assert name_of(of(a_job(*FAILED), pod)) == name


def test_a_deleted_pod_waits_for_its_job() -> None:
    pod = a_pod(ended(0, "[1]"), phase="Succeeded", deleted=40)
    assert of(a_job(), pod) == nothing()
    assert of(a_job(*COMPLETE), pod) == Succeeded("[1]", when(30))


def test_a_worker_that_answers_sigterm_with_0_did_not_succeed() -> None:
    pod = a_pod(ended(0, seconds=42), phase="Succeeded", deleted=40)
    assert name_of(of(a_job(*COMPLETE), pod)) == "Kubernetes.PodDeleted"
    pod = a_pod(
        ended(0, seconds=42),
        phase="Succeeded",
        deleted=40,
        disrupted=("EvictionByEvictionAPI", 40),
    )
    assert name_of(of(a_job(*COMPLETE), pod)) == "Kubernetes.Evicted"


def test_an_end_before_the_disruption_is_the_programs_own() -> None:
    def a_drained(seconds: float, code: int = 0) -> Obj:
        taken = ("EvictionByEvictionAPI", 40.0)
        phase = "Failed" if code else "Succeeded"
        return a_pod(ended(code, seconds=seconds), phase=phase, deleted=40, disrupted=taken)

    assert of(a_job(*COMPLETE), a_drained(39)) == Succeeded("{}", when(39))
    assert name_of(of(a_job(*COMPLETE), a_drained(40))) == "Kubernetes.Evicted"
    assert name_of(of(a_job(*FAILED), a_drained(39, 5))) == "Kubernetes.ExitCode.5"


def test_a_pod_that_was_collected_after_its_end_keeps_its_result() -> None:
    pod = a_pod(ended(0, seconds=30), phase="Succeeded", deleted=200, grace=0)
    assert of(a_job(*COMPLETE), pod) == Succeeded("{}", when(30))
    soon = a_pod(ended(0, seconds=30), phase="Succeeded", deleted=31, grace=0)
    assert name_of(of(a_job(*COMPLETE), soon)) == "Kubernetes.PodDeleted"
    counted = a_job(*COMPLETE, status={"completionTime": at(30)})
    assert of(counted, soon) == Succeeded("{}", when(30))


def test_a_job_that_is_complete_in_the_second_of_a_deletion_proves_nothing() -> None:
    # A worker that exits 0 on SIGTERM, and a Job controller that is quick.
    pod = a_pod(ended(0, seconds=31), phase="Succeeded", deleted=31, grace=0)
    same = a_job(*COMPLETE, status={"completionTime": at(31)})
    assert name_of(of(same, pod)) == "Kubernetes.PodDeleted"


def test_a_kubelets_eviction_deletes_nothing_and_is_no_success() -> None:
    taken = ("TerminationByKubelet", 40.0)
    pod = a_pod(ended(0, seconds=42), phase="Failed", disrupted=taken, reason="Evicted")
    assert of(a_job(), pod) == nothing()
    assert name_of(of(a_job(*FAILED), pod)) == "Kubernetes.Evicted"
    with_result = a_pod(ended(0, "1", seconds=42), phase="Failed", disrupted=taken)
    assert of(a_job(), with_result) == Succeeded("1", when(42))
    in_time = a_pod(ended(0, seconds=39), disrupted=taken)
    assert of(a_job(), in_time) == Succeeded("{}", when(39))
    # The disruption did not happen after all.
    stayed = a_pod(ended(0, seconds=42), phase="Succeeded", disrupted=taken)
    assert of(a_job(*COMPLETE), stayed) == Succeeded("{}", when(42))


# ------------------------------------------------------------------------------------- suspension


def test_a_pod_that_a_suspension_deleted_is_never_read() -> None:
    old = a_pod(ended(0, "1", seconds=12), phase="Succeeded", deleted=10)
    suspended = a_job(spec={"suspend": True}, status={"startTime": None})
    said = of(suspended, old)
    assert isinstance(said, Waiting)
    assert "suspended" in (said.reason or "")
    resumed = a_job(status={"startTime": at(100)})
    said = of(resumed, old, now=when(105))
    assert said == Waiting(None, when(120))  # its successor is not there yet
    assert of(resumed, old, now=when(121)) == Ask("events")
    new = a_pod(RUNNING, meta={"name": "j-fghij", "creationTimestamp": at(101)})
    seen = Seen(resumed, [old, new])
    assert verdict(seen, now=NOW) == nothing()
    assert superseded_pods(seen) == [old]
    over = a_job(*OVERDUE, status={"startTime": at(100)})
    assert name_of(of(over, old, live=True)) == "States.Timeout"


def test_the_newest_deleted_pod_counts_when_all_are_deleted() -> None:
    old = a_pod(ended(0, "1", seconds=12), phase="Succeeded", deleted=10)
    new = a_pod(
        ended(0, "2", seconds=130),
        phase="Succeeded",
        deleted=128,
        meta={"name": "j-b", "creationTimestamp": at(101)},
    )
    job = a_job(*COMPLETE, status={"startTime": at(100)})
    assert of(job, old, new) == Succeeded("2", when(130))


def test_a_success_before_the_suspension_counts() -> None:
    job = a_job(spec={"suspend": True})
    assert of(job, a_pod(ended(0, "1"))) == Succeeded("1", when(30))
