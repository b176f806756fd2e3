"""What Jobs and Pods, as a real API server shows them, mean for an attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from treadle.asl.errors import StateError
from treadle.runners.results import Failed, Succeeded
from treadle.runners.verdict import (
    Ask,
    Policy,
    Seen,
    Verdict,
    Waiting,
    superseded_pods,
    verdict,
)

Obj = dict[str, Any]

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=5)
JOB = "uid-of-job"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_condition(name: str, reason: str = "", seconds: float = 60, **more: Any) -> Obj:
    return {
        "type": name,
        "status": "True",
        "reason": reason,
        "lastTransitionTime": at(seconds),
        **more,
    }


def a_job(*conditions: Obj, spec: Obj | None = None, status: Obj | None = None, **meta: Any) -> Obj:
    return {
        "metadata": {"name": "j", "uid": JOB, "creationTimestamp": at(0), **meta},
        "spec": {"suspend": False, **(spec or {})},
        "status": {"startTime": at(0), "conditions": list(conditions), **(status or {})},
    }


FAILED = (
    a_condition("FailureTarget", "BackoffLimitExceeded"),
    a_condition("Failed", "BackoffLimitExceeded"),
)
COMPLETE = (
    a_condition("SuccessCriteriaMet", "CompletionsReached"),
    a_condition("Complete", "CompletionsReached"),
)
OVERDUE = (
    a_condition("FailureTarget", "DeadlineExceeded"),
    a_condition("Failed", "DeadlineExceeded"),
)


def a_pod(
    state: Obj | None = None,
    *,
    phase: str = "Running",
    deleted: float | None = None,
    grace: int = 30,
    disrupted: tuple[str, float] | None = None,
    containers: int = 1,
    node: str | None = "n1",
    conditions: list[Obj] | None = None,
    meta: Obj | None = None,
    **status: Any,
) -> Obj:
    metadata: Obj = {
        "name": "j-abcde",
        "uid": "uid-of-pod",
        "creationTimestamp": at(0),
        "ownerReferences": [{"kind": "Job", "uid": JOB, "controller": True}],
        "finalizers": ["treadle.dev/result", "batch.kubernetes.io/job-tracking"],
        **(meta or {}),
    }
    if deleted is not None:
        # A deletionTimestamp is the request's time and the grace period.
        metadata["deletionTimestamp"] = at(deleted + grace)
        metadata["deletionGracePeriodSeconds"] = grace
    have = list(conditions or [a_condition("PodScheduled", seconds=1)])
    if disrupted is not None:
        have.append(a_condition("DisruptionTarget", disrupted[0], disrupted[1], message="bye"))
    status = {"phase": phase, "conditions": have, **status}
    if state is not None:
        status["containerStatuses"] = [{"name": "main", "state": state}]
    names = ["main", *(f"c{n}" for n in range(1, containers))]
    spec: Obj = {"containers": [{"name": name} for name in names]}
    if node:
        spec["nodeName"] = node
    return {"metadata": metadata, "spec": spec, "status": status}


def ended(code: int = 0, message: str = "", seconds: float = 30, reason: str = "") -> Obj:
    done: Obj = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": at(2),
        "finishedAt": at(seconds),
    }
    if message:
        done["message"] = message
    return {"terminated": done}


RUNNING: Obj = {"running": {"startedAt": at(2)}}


def waits_for(reason: str) -> Obj:
    return {"waiting": {"reason": reason, "message": f"because of {reason}"}}


def of(job: Obj | None, *pods: Obj, now: datetime = NOW, **more: Any) -> Verdict:
    return verdict(Seen(job, pods, **more), now=now)


def name_of(said: Verdict) -> str | None:
    assert isinstance(said, Failed), said
    return said.error.name


def nothing() -> Waiting:
    return Waiting()


# --------------------------------------------------------------------------------------- results


def test_exit_0_advances_at_once() -> None:
    said = of(a_job(), a_pod(ended(message='{"a": 1}')))
    assert said == Succeeded('{"a": 1}', when(30))


@pytest.mark.parametrize(
    ("message", "output"),
    [("", "{}"), (" \n", "{}"), ("[1]\n", "[1]"), ("null", "null"), ('"ü"', '"ü"')],
)
def test_results_are_json_and_nothing_is_an_empty_object(message: str, output: str) -> None:
    assert of(a_job(), a_pod(ended(message=message))) == Succeeded(output, when(30))


@pytest.mark.parametrize("message", ["nope", "{'a': 1}", "NaN", '{"a":1} {"b":2}'])
def test_what_is_not_json_is_an_invalid_result(message: str) -> None:
    said = of(a_job(), a_pod(ended(message=message)))
    assert isinstance(said, Failed)
    assert said.error.name == "Treadle.InvalidResult"
    assert message in (said.error.cause or "")


def test_the_excerpt_of_an_invalid_result_is_bounded() -> None:
    said = of(a_job(), a_pod(ended(message="x" * 4000)))
    assert isinstance(said, Failed)
    assert len(said.error.cause or "") < 400


@pytest.mark.parametrize(
    ("containers", "size", "fits"),
    [(1, 4095, True), (1, 4096, False), (3, 4095, True), (4, 3071, True), (4, 3072, False)],
)
def test_a_message_that_reaches_the_limit_may_be_cut(
    containers: int, size: int, fits: bool
) -> None:
    message = '"' + "x" * (size - 2) + '"'
    said = of(a_job(), a_pod(ended(message=message), containers=containers))
    assert isinstance(said, Succeeded) is fits
    if not fits:
        assert isinstance(said, Failed)
        assert said.error.name == "States.DataLimitExceeded"
        assert str(size) in (said.error.cause or "")


def test_the_limit_counts_bytes_and_init_containers_too() -> None:
    pod = a_pod(ended(message='"' + "ü" * 2047 + '"'))
    assert name_of(of(a_job(), pod)) == "States.DataLimitExceeded"
    pod = a_pod(ended(message='"' + "x" * 3070 + '"'))
    pod["spec"]["initContainers"] = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert name_of(of(a_job(), pod)) == "States.DataLimitExceeded"


# -------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("job", [a_job(), a_job(FAILED[0])])
def test_a_failure_waits_until_the_job_is_over(job: Obj) -> None:
    assert of(job, a_pod(ended(3), phase="Failed")) == nothing()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (ended(3, "it broke"), StateError("Kubernetes.ExitCode.3", "it broke")),
        (
            ended(143),
            StateError("Kubernetes.ExitCode.143", "The container ended with exit code 143."),
        ),
        (ended(1, '{"error":"Mine","cause":"why"}'), StateError("Mine", "why")),
        (ended(1, '{"error":"Mine","cause":{"a":1}}'), StateError("Mine", '{"a":1}')),
        (ended(1, '{"error":"Mine"}'), StateError("Mine", None)),
        (ended(1, '{"error":""}'), StateError("Kubernetes.ExitCode.1", '{"error":""}')),
        (ended(1, '{"error":7}'), StateError("Kubernetes.ExitCode.1", '{"error":7}')),
        (ended(1, '{"cause":"x"}'), StateError("Kubernetes.ExitCode.1", '{"cause":"x"}')),
        (ended(1, "{half"), StateError("Kubernetes.ExitCode.1", "{half")),
        (
            ended(137, "tail of the log", reason="OOMKilled"),
            StateError(
                "Kubernetes.OOMKilled",
                "The container ran out of memory and was killed (exit code 137). tail of the log",
            ),
        ),
    ],
)
def test_a_failing_container_says_why(state: Obj, error: StateError) -> None:
    said = of(a_job(*FAILED), a_pod(state, phase="Failed"))
    assert said == Failed(error, when(30))


def test_an_error_that_may_have_been_cut_is_only_a_cause() -> None:
    message = '{"error":"Mine","cause":"' + "x" * (4096 - 27) + '"}'
    assert len(message) == 4096
    said = of(a_job(*FAILED), a_pod(ended(1, message), phase="Failed"))
    assert said == Failed(StateError("Kubernetes.ExitCode.1", message), when(30))


def test_a_long_error_name_is_cut() -> None:
    message = '{"error":"' + "x" * 300 + '"}'
    said = of(a_job(*FAILED), a_pod(ended(1, message), phase="Failed"))
    assert name_of(said) == "x" * 256


def test_a_program_that_does_not_exist_fails_at_once() -> None:
    pod = a_pod(ended(128, "no such file", reason="StartError"))
    said = of(a_job(), pod)
    assert said == Failed(StateError("Kubernetes.ContainerConfig", "no such file"), when(30))


@pytest.mark.parametrize(
    ("reason", "name"), [("Error", "Kubernetes.ExitCode.2"), ("OOMKilled", "Kubernetes.OOMKilled")]
)
def test_a_failed_init_container_is_named(reason: str, name: str) -> None:
    init = {"name": "fetch", "state": ended(2, "no net", reason=reason)}
    pod = a_pod(waits_for("PodInitializing"), phase="Failed", initContainerStatuses=[init])
    said = of(a_job(*FAILED), pod)
    assert isinstance(said, Failed)
    assert said.error.name == name
    assert "fetch" in (said.error.cause or "")
    assert "no net" in (said.error.cause or "")


def test_a_pod_that_its_node_refused_is_evicted() -> None:
    pod = a_pod(phase="Failed", reason="OutOfcpu", message="Node has no cpu")
    said = of(a_job(*FAILED), pod)
    assert isinstance(said, Failed)
    assert said.error.name == "Kubernetes.Evicted"
    assert "OutOfcpu" in (said.error.cause or "")


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


# ------------------------------------------------------------------------------------- suspension


def test_a_pod_that_a_suspension_deleted_is_never_read() -> None:
    old = a_pod(ended(0, "1", seconds=12), phase="Succeeded", deleted=10)
    suspended = a_job(spec={"suspend": True}, status={"startTime": None})
    said = of(suspended, old)
    assert isinstance(said, Waiting)
    assert "suspended" in (said.reason or "")
    resumed = a_job(status={"startTime": at(100)})
    said = of(resumed, old, now=when(105))
    assert said == Ask("events")  # its successor is not there yet
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


# -------------------------------------------------------------------------------------- starting


UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available",
}
NO_SANDBOX = {"type": "PodReadyToStartContainers", "status": "False"}
SCHEDULED = a_condition("PodScheduled", seconds=1)
NEW = START + timedelta(seconds=5)


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
    assert isinstance(said, Waiting)
    assert quota in (said.reason or "")
    said = of(a_job(**start_by(30)), refusal=quota)
    assert name_of(said) == "Kubernetes.QuotaExceeded"
    level = 'pods "j-x" is forbidden: violates PodSecurity "restricted:latest"'
    assert of(a_job(), refusal=level) == Failed(StateError("Kubernetes.Forbidden", level), NOW)
    webhook = "Internal error occurred: failed calling webhook"
    said = of(a_job(), refusal=webhook)
    assert isinstance(said, Waiting)
    assert webhook in (said.reason or "")
