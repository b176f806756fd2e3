"""Why an execution is as it is: a table of worlds and their one cause."""

from typing import Any

import pytest

from tests.support.evidences import (
    ASKED,
    FAILED_ONCE,
    SCHEDULED,
    ago,
    approval,
    child,
    condition,
    container,
    entry,
    event,
    evidence,
    execution,
    job,
    lease,
    machine,
    pod,
    running,
)
from treadle.app import causes
from treadle.app.evidence import Evidence
from treadle.app.standstills import quoted
from treadle.app.verdicts import Kind, short

QUOTA = (
    'pods "job-1-x" is forbidden: exceeded quota: team-a, requested: pods=1, used: pods=10, '
    "limited: pods=10"
)
PENDING = {"phase": "Pending", "message": "there is no StateMachine 'm'", "pendingSince": ago(8)}
LACKING = {**PENDING, "message": "StateMachine 'm' has no version 3"}


def full(message: str) -> dict[str, Any]:
    return running(conditions=[condition("WaitingForCapacity", message)])


def failed(error: str, cause: str = "", phase: str = "Failed") -> dict[str, Any]:
    ended = {"phase": phase, "startTime": ago(50), "completionTime": ago(40)}
    return {**ended, "error": error, **({"cause": cause} if cause else {})}


def a_pod_that(**status: Any) -> Evidence:
    return evidence(execution(running()), jobs=[job()], pods=[pod(**status)])


def without_a_pod(message: str) -> Evidence:
    made = job()
    said = [event(made, "FailedCreate", message)]
    return evidence(execution(running()), jobs=[made], events=said)


SUSPENDED = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "TaskStateEntered", 1, name="Work"),
    entry(3, "ExecutionSuspended", 0, by="ada"),
]
ENDED = [*FAILED_ONCE, entry(5, "ExecutionFailed", 4, error="Kubernetes.ExitCode.3")]
IN_A_MAP = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "MapStateEntered", 1, name="Each"),
    entry(3, "MapStateStarted", 2, length=1),
    entry(4, "MapIterationStarted", 3, name="Each", index=0),
    entry(5, "TaskStateEntered", 4, name="Inner"),
    entry(6, "TaskScheduled", 5, **SCHEDULED),
    entry(7, "TaskFailed", 6, error="E", cause="why"),
    entry(8, "MapIterationFailed", 7, name="Each", index=0, error="E"),
    entry(9, "MapStateFailed", 8, error="E"),
    entry(10, "ExecutionFailed", 9, error="E"),
]
BY_A_FAIL_STATE = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "FailStateEntered", 1, name="No"),
    entry(3, "ExecutionFailed", 2, error="E"),
]

NOT_FOUND = 'Back-off pulling image "x:1": ErrImagePull: not found'

TABLE: dict[str, tuple[Evidence, Kind, str]] = {
    # What stands above.
    "deleted": (
        evidence({"metadata": {**execution()["metadata"], "deletionTimestamp": ago(90)}}),
        Kind.DELETING,
        "it is being deleted, since 90s",
    ),
    "parked": (
        evidence(execution(running(conditions=[condition("Parked", "version 9 is newer")]))),
        Kind.PARKED,
        "it cannot go on: version 9 is newer",
    ),
    "the lease ran out": (
        evidence(execution(running()), leases=[lease(240)], jobs=[job()], pods=[pod()]),
        Kind.NO_OPERATOR,
        "no operator runs: the Lease system/treadle was last renewed 4m ago, by op-1",
    ),
    "the lease was given up": (
        evidence(execution(running()), leases=[lease(holder="")]),
        Kind.NO_OPERATOR,
        "no operator runs: nobody holds the Lease system/treadle",
    ),
    "an operator of another namespace": (
        evidence(execution(), leases=[lease(serves="other,more")]),
        Kind.NO_OPERATOR,
        "no operator has looked at it for 60s; no Lease says that one serves namespace team",
    ),
    "an operator of an earlier release": (
        evidence(execution(running()), leases=[lease(serves=None)], jobs=[job()]),
        Kind.NO_POD,
        "the Job job-Work-1 has no Pod yet. The Job controller made no Pod in time, and no Event "
        "says why.",
    ),
    "one lease of two is fresh": (
        evidence(execution(), leases=[lease(90), lease(serves="a,team")]),
        Kind.NOT_SEEN,
        "it is new: no operator has looked at it yet",
    ),
    "leases may not be read": (
        evidence(execution(), leases=None),
        Kind.NO_OPERATOR,
        "no operator has looked at it for 60s; whether one runs may not be seen: leases cannot be "
        "listed",
    ),
    "new, and leases may not be read": (
        evidence(execution(made=3), leases=None),
        Kind.NOT_SEEN,
        "it is new: no operator has looked at it yet",
    ),
    "an operator without a lease": (
        evidence(execution(running("time")), leases=[]),
        Kind.SLEEPS,
        "Work waits for a time to come, since 30s",
    ),
    "stopping": (
        evidence(execution(running(), stop={}, suspend=True)),
        Kind.STOPPING,
        "it is being stopped: what runs is ended first",
    ),
    "suspended": (
        evidence(execution(running(conditions=[condition("Suspended")]), suspend=True)),
        Kind.SUSPENDED,
        "it is suspended since 20s: nothing new starts",
    ),
    "suspended by somebody": (
        evidence(
            execution(
                running(conditions=[condition("Suspended")]),
                suspend=True,
                suspendBy={"by": "eve", "uid": "uid-run", "generation": 1},
            ),
            history=SUSPENDED,
        ),
        Kind.SUSPENDED,
        "it is suspended by ada since 20s: nothing new starts",
    ),
    "suspended by nobody knows whom after somebody": (
        evidence(
            execution(running(conditions=[condition("Suspended")]), suspend=True),
            history=[
                *SUSPENDED,
                entry(4, "ExecutionResumed", 0, by="bob"),
                entry(5, "ExecutionSuspended", 0),
            ],
        ),
        Kind.SUSPENDED,
        "it is suspended since 20s: nothing new starts",
    ),
    "suspended by somebody before it begins": (
        evidence(
            execution(
                PENDING,
                suspend=True,
                suspendBy={"by": "eve", "uid": "uid-run", "generation": 1},
            ),
        ),
        Kind.SUSPENDED,
        "it is suspended by eve: nothing new starts",
    ),
    "suspended a moment ago": (
        evidence(execution(PENDING, suspend=True)),
        Kind.SUSPENDED,
        "it is suspended: nothing new starts",
    ),
    # Pending.
    "no machine": (
        evidence(execution(PENDING), machine=None),
        Kind.MACHINE_MISSING,
        "it waits for its machine: there is no StateMachine 'm'",
    ),
    "a machine that is wrong": (
        evidence(execution(PENDING), machine=machine("False", "/: no state ends")),
        Kind.MACHINE_INVALID,
        "it waits for its machine: StateMachine 'm': /: no state ends",
    ),
    "a machine that is not judged": (
        evidence(execution(PENDING), machine=machine(None)),
        Kind.MACHINE_UNJUDGED,
        "it waits for its machine: StateMachine 'm' is not judged yet",
    ),
    "a machine that was changed": (
        evidence(execution(PENDING), machine=machine(generation=2)),
        Kind.MACHINE_UNJUDGED,
        "it waits for its machine: StateMachine 'm' is not judged yet",
    ),
    "a machine that came": (
        evidence(execution(PENDING)),
        Kind.WORKS,
        "it is about to start: StateMachine 'm' is ready",
    ),
    "no version, of a machine that is ready": (
        evidence(execution(LACKING, stateMachineRef={"name": "m", "version": 3})),
        Kind.VERSION_MISSING,
        "it waits for its version: StateMachine 'm' has no version 3",
    ),
    "no version that its alias names, of a machine that is wrong": (
        evidence(
            execution(LACKING, stateMachineRef={"name": "m", "alias": "live"}),
            machine=machine("False", "/: no state ends"),
        ),
        Kind.VERSION_MISSING,
        "it waits for its version: StateMachine 'm' has no version 3",
    ),
    # Children.
    "a child that runs": (
        evidence(execution(running()), children=[child(running("time"))]),
        Kind.CHILD,
        "Work waits for its child execution run-0a1b, since 30s",
    ),
    "a child that has ended": (
        evidence(execution(running()), children=[child({"phase": "Succeeded"})]),
        Kind.WORKS,
        "Work has its answer, and is about to go on",
    ),
    # Jobs and Pods.
    "image pull": (
        a_pod_that(**container(waiting={"reason": "ImagePullBackOff", "message": NOT_FOUND})),
        Kind.IMAGE_PULL,
        f"image pull: {NOT_FOUND}",
    ),
    "container config": (
        a_pod_that(
            **container(waiting={"reason": "CreateContainerConfigError", "message": "no secret s"})
        ),
        Kind.CONTAINER_CONFIG,
        "container: no secret s",
    ),
    "unschedulable": (
        a_pod_that(
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available",
                }
            ]
        ),
        Kind.UNSCHEDULABLE,
        "no capacity: no node takes its Pod: 0/1 nodes are available",
    ),
    "a quota of Pods is full": (
        without_a_pod(QUOTA),
        Kind.QUOTA,
        "no capacity: quota team-a pods 10/10",
    ),
    "a quota of Jobs is full": (
        evidence(
            execution(
                full(
                    "A quota is full: exceeded quota: q, requested: count/jobs.batch=1,cpu=1, "
                    "used: count/jobs.batch=3,cpu=2, limited: count/jobs.batch=3,cpu=2"
                )
            ),
            history=FAILED_ONCE[:3],
        ),
        Kind.QUOTA,
        "no capacity: quota q count/jobs.batch 3/3, cpu 2/2",
    ),
    "no capacity of another kind": (
        evidence(execution(full("Its Pod waits"))),
        Kind.UNSCHEDULABLE,
        "no capacity: Its Pod waits",
    ),
    "no capacity between two states": (
        evidence(execution({**full("Its Pod waits"), "currentStates": []})),
        Kind.UNSCHEDULABLE,
        "no capacity: Its Pod waits",
    ),
    "the pod is refused": (
        without_a_pod("pods is forbidden: violates PodSecurity"),
        Kind.REFUSED,
        "its Pod is refused: pods is forbidden: violates PodSecurity",
    ),
    "the job is suspended": (
        evidence(execution(running()), jobs=[job(suspend=True)]),
        Kind.JOB_SUSPENDED,
        "no capacity: its Job is suspended, as Kueue does until there is quota",
    ),
    "no pod yet": (
        without_a_pod("the controller says something"),
        Kind.NO_POD,
        "the Job job-Work-1 has no Pod yet. the controller says something",
    ),
    "it runs": (
        a_pod_that(phase="Running", **container(running={})),
        Kind.WORKS,
        "nothing is wrong: Work runs since 30s",
    ),
    "it starts": (
        a_pod_that(conditions=[{"type": "PodScheduled", "status": "True"}]),
        Kind.WORKS,
        "Work is starting: its container does not run yet",
    ),
    "it has ended and is not seen": (
        a_pod_that(phase="Failed", **container(terminated={"exitCode": 1, "reason": "Error"})),
        Kind.WORKS,
        "the container of Work has ended, and is looked at",
    ),
    "people are asked": (
        evidence(execution(running()), approvals=[approval("2 of ada, bob")], history=ASKED),
        Kind.APPROVAL,
        "Work waits for approval by 2 of ada, bob since 30s: Ship it?",
    ),
    "nobody is named who may decide": (
        evidence(execution(running()), approvals=[approval()], history=ASKED),
        Kind.APPROVAL,
        "Work waits for approval by those whom RBAC lets since 30s: Ship it?",
    ),
    "people have decided": (
        evidence(
            execution(running()),
            approvals=[approval("ada", {"phase": "Approved", "decided": "Approved by ada"})],
            history=ASKED,
        ),
        Kind.WORKS,
        "Work has its answer, and is about to go on",
    ),
    "people are late": (
        evidence(
            execution(running()), approvals=[approval("ada", expiresAt=ago(0))], history=ASKED
        ),
        Kind.WORKS,
        "Work has its answer, and is about to go on",
    ),
    "its approval is not made yet": (
        evidence(execution(running()), history=ASKED),
        Kind.WORKS,
        "the Approval of Work is about to be made",
    ),
    "its approval has no room": (
        evidence(execution(full("exceeded quota: q")), history=ASKED),
        Kind.QUOTA,
        "no capacity: exceeded quota: q",
    ),
    "its job is not made yet": (
        evidence(execution(running()), history=FAILED_ONCE[:3]),
        Kind.WORKS,
        "the Job of Work is about to be made",
    ),
    "a call": (
        evidence(
            # That a Job of another state waits is not this one's cause.
            execution(
                full("A quota is full: exceeded quota: q, requested: a, used: b, limited: c")
            ),
            history=[
                *FAILED_ONCE[:2],
                entry(3, "TaskScheduled", 2, resourceType="treadle", resource="http"),
            ],
        ),
        Kind.CALLS,
        "Work waits for the answer to its call, treadle:http",
    ),
    "a function": (
        evidence(
            execution(running()),
            history=[*FAILED_ONCE[:2], entry(3, "LambdaFunctionScheduled", 2, resource="arn:f")],
        ),
        Kind.CALLS,
        "Work waits for the answer to its call, arn:f",
    ),
    "a token": (
        evidence(execution(running("callback"))),
        Kind.CALLS,
        "Work waits for whoever has its task token, since 30s",
    ),
    # No work outside.
    "a retry": (
        evidence(execution(running("retry")), history=FAILED_ONCE),
        Kind.RETRIES,
        "Work waits for its next attempt; attempt 1 failed: Kubernetes.ExitCode.3: exit code 3",
    ),
    "a retry that says when": (
        evidence(execution(running("retry", until=ago(-90))), history=FAILED_ONCE),
        Kind.RETRIES,
        "Work waits for its next attempt, 2026-01-01T12:01:30Z, in 90s; attempt 1 failed: "
        "Kubernetes.ExitCode.3: exit code 3",
    ),
    "a worker": (
        evidence(execution(running("worker"))),
        Kind.WORKER,
        "Work waits for a worker of its activity, since 30s",
    ),
    "a wait that says when": (
        evidence(execution(running("time", until=ago(-300)))),
        Kind.SLEEPS,
        "Work waits for a time to come, 2026-01-01T12:05:00Z, in 5m, since 30s",
    ),
    "a retry whose history is away": (
        evidence(execution(running("retry", attempt=2))),
        Kind.RETRIES,
        "Work waits for its next attempt; attempt 2 failed",
    ),
    "a map": (
        evidence(execution(running("children"))),
        Kind.WORKS,
        "Work waits for what runs within it",
    ),
    "a turn": (evidence(execution(running("turn"))), Kind.WORKS, "Work is about to go on"),
    "between two states": (
        evidence(execution({"phase": "Running", "currentStates": []})),
        Kind.WORKS,
        "it is between two states, and goes on by itself",
    ),
    # Ended.
    "succeeded": (
        evidence(execution({"phase": "Succeeded"})),
        Kind.SUCCEEDED,
        "nothing is wrong: it has succeeded",
    ),
    "succeeded while no operator runs": (
        evidence(execution({"phase": "Succeeded"}), leases=[lease(999)]),
        Kind.SUCCEEDED,
        "nothing is wrong: it has succeeded",
    ),
    "stopped": (
        evidence(execution(failed("E", "enough", "Aborted"))),
        Kind.STOPPED,
        "it was stopped: E: enough",
    ),
    "stopped by somebody": (
        evidence(
            execution(failed("E", "enough", "Aborted"), stop={"by": "ada", "error": "E"}),
        ),
        Kind.STOPPED,
        "it was stopped by ada: E: enough",
    ),
    "stopped without a word": (
        evidence(execution({"phase": "Aborted"})),
        Kind.STOPPED,
        "it was stopped",
    ),
    "exit code": (
        evidence(execution(failed("Kubernetes.ExitCode.3", "exit code 3")), history=ENDED),
        Kind.EXIT_CODE,
        "Work failed: Kubernetes.ExitCode.3: exit code 3",
    ),
    "within a map": (
        evidence(execution(failed("E", "why")), history=IN_A_MAP),
        Kind.FAILED,
        "Inner failed: E: why",
    ),
    "the map itself": (
        evidence(execution(failed("Other")), history=IN_A_MAP),
        Kind.FAILED,
        "Each failed: Other",
    ),
    "a Fail state": (
        evidence(execution(failed("E")), history=BY_A_FAIL_STATE),
        Kind.FAILED,
        "No failed: E",
    ),
    "timed out as a whole": (
        evidence(
            execution(failed("States.Timeout", phase="TimedOut")),
            history=[entry(1, "ExecutionStarted", 0), entry(2, "ExecutionTimedOut", 1)],
        ),
        Kind.TIMED_OUT,
        "it failed: States.Timeout",
    ),
    "it never started": (
        evidence(
            execution(failed("Treadle.InvalidDefinition", "no state ends")),
            machine=machine("False", "no state ends"),
        ),
        Kind.MACHINE_INVALID,
        "it never started: Treadle.InvalidDefinition: no state ends",
    ),
    "its machine never came": (
        evidence(execution(failed("Treadle.StartDeadlineExceeded", "none")), machine=None),
        Kind.MACHINE_MISSING,
        "it never started: Treadle.StartDeadlineExceeded: none",
    ),
    "its version never came": (
        evidence(
            execution(
                failed("Treadle.StartDeadlineExceeded", "none"),
                stateMachineRef={"name": "m", "version": 3},
            )
        ),
        Kind.VERSION_MISSING,
        "it never started: Treadle.StartDeadlineExceeded: none",
    ),
    "its machine came too late": (
        evidence(execution(failed("Treadle.StartDeadlineExceeded", "none"))),
        Kind.MACHINE_UNJUDGED,
        "it never started: Treadle.StartDeadlineExceeded: none",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_cause(name: str) -> None:
    seen, kind, cause = TABLE[name]
    found = causes.verdict(seen)
    assert (found.kind, found.cause) == (kind, cause)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("Kubernetes.ImagePull", Kind.IMAGE_PULL),
        ("Kubernetes.ContainerConfig", Kind.CONTAINER_CONFIG),
        ("Kubernetes.Forbidden", Kind.REFUSED),
        ("Kubernetes.QuotaExceeded", Kind.QUOTA),
        ("Kubernetes.Unschedulable", Kind.UNSCHEDULABLE),
        ("Kubernetes.OOMKilled", Kind.OUT_OF_MEMORY),
        ("Kubernetes.Evicted", Kind.POD_LOST),
        ("Kubernetes.ResultLost", Kind.POD_LOST),
        ("States.Timeout", Kind.TIMED_OUT),
        ("Mine", Kind.FAILED),
    ],
)
def test_the_kind_of_an_error(error: str, kind: Kind) -> None:
    history = [*FAILED_ONCE[:3], entry(4, "TaskFailed", 3, error=error)]
    assert causes.verdict(evidence(execution(failed(error)), history=history)).kind is kind


def test_every_kind_is_told_somewhere() -> None:
    told = {kind for _, kind, _ in TABLE.values()}
    assert told | {Kind.OUT_OF_MEMORY, Kind.POD_LOST} == set(Kind)


# ------------------------------------------------------------------------------- what shows it


@pytest.mark.parametrize("phase", ["Failed", "TimedOut", "Aborted", "Running", "Succeeded"])
def test_a_redrive_that_was_refused_is_told_with_what_to_do(phase: str) -> None:
    answer = {"id": "7", "refused": "/spec/redrive/from: 'Z' is not one of them"}
    status = {**(running() if phase == "Running" else failed("E", phase=phase)), "redrive": answer}
    found = causes.verdict(evidence(execution(status, redrive={"id": "7"})))
    assert found.evidence[-1] == f"The redrive 7 was refused: {answer['refused']}"
    is_asked = found.remedy == "mend that, and then: treadle redrive run"
    assert is_asked is (phase in ("Failed", "TimedOut", "Aborted"))


def test_one_that_goes_on_after_a_redrive_is_told_as_any_other() -> None:
    status = running() | {"redrive": {"id": "7", "count": 1, "at": ago(9)}}
    asked = execution(status, redrive={"id": "7"})
    found = causes.verdict(evidence(asked, jobs=[job()]))
    assert not any("redrive" in line for line in found.evidence)


def test_a_redrive_that_nobody_has_answered_is_told() -> None:
    status = failed("E") | {"redrive": {"id": "7", "refused": "why"}}
    found = causes.verdict(evidence(execution(status, redrive={"id": "8"})))
    assert found.evidence[-1] == "The redrive 8 is asked for; no operator has answered yet"


def test_the_evidence_goes_from_the_execution_to_the_events() -> None:
    waiting = {"reason": "ErrImagePull", "message": "not\nfound"}
    image = pod(**container(waiting=waiting))
    said = [
        event(image, "Failed", "Failed to pull", count=4),
        event(image, "Failed", "an earlier one", lastTimestamp=ago(50)),
        event(image, "Scheduled", "fine", type="Normal"),
    ]
    found = causes.verdict(
        evidence(
            execution(running(path="Each[2]/Work", progress={"text": "1/3"})),
            jobs=[job("Each[2]/Work"), job("Each[1]/Work")],
            pods=[pod("Each[1]/Work"), {**image, "metadata": pod("Each[2]/Work")["metadata"]}],
            events=[{**each, "involvedObject": {"uid": "uid-pod-Each[2]/Work-1"}} for each in said],
        )
    )
    assert found.evidence == (
        "Execution run is Running since 50s, in Each[2]/Work since 30s, attempt 1; 1/3 items are "
        "done",
        "Job job-Each[2]/Work-1 has a Pod",
        "Pod pod-Each[2]/Work-1 is Pending on node n1; its container waits: ErrImagePull: not "
        "found",
        "Event 5s ago, 4 times: Failed: Failed to pull",
    )
    assert "registry" in found.remedy


def test_what_stands_still_is_told_before_what_runs() -> None:
    status = running()
    places = [
        {**status["currentStates"][0], "name": name, "path": f"P[{number}]/{name}"}
        for number, name in enumerate(("Runs", "Full", "Sleeps"))
    ]
    places[2]["waitsFor"] = "time"
    full_job = job("P[1]/Full")
    found = causes.verdict(
        evidence(
            execution({**status, "currentStates": places}),
            jobs=[job("P[0]/Runs"), full_job],
            pods=[pod("P[0]/Runs", phase="Running", **container(running={}))],
            events=[event(full_job, "FailedCreate", QUOTA)],
            quotas=[
                {
                    "metadata": {"name": "team-a"},
                    "status": {"hard": {"pods": "10", "cpu": "4"}, "used": {"pods": "9"}},
                },
                {"metadata": {"name": "other"}, "status": {"hard": {"pods": "1"}}},
            ],
        )
    )
    assert found.kind is Kind.QUOTA
    assert found.evidence[1] == ("It is in 3 states at once, also in P[0]/Runs, P[2]/Sleeps")
    assert found.evidence[-1] == "ResourceQuota team-a now: cpu ?/4, pods 9/10"


def test_of_an_approval_it_says_until_when_and_how_to_decide() -> None:
    until = {"expiresAt": "2026-01-01T12:05:00Z"}
    asked = approval("group leads", {"phase": "Pending", "decided": "1 of 2"}, **until)
    found = causes.verdict(evidence(execution(running()), approvals=[asked], history=ASKED))
    assert found.cause == (
        "Work waits for approval by group leads since 30s, expires in 5m: Ship it?"
    )
    assert found.evidence[1:] == (
        "Approval apv-1 is Pending: 1 of 2",
        "It expires at 2026-01-01T12:05:00Z",
    )
    assert found.remedy == "treadle approve apv-1"


def test_of_an_approval_it_says_that_a_reason_is_due() -> None:
    asked = approval("ada", reasonRequired=True)
    found = causes.verdict(evidence(execution(running()), approvals=[asked], history=ASKED))
    assert found.remedy == "treadle approve apv-1 --reason WHY"


def test_the_newest_attempt_counts() -> None:
    found = causes.verdict(
        evidence(
            execution(running(attempt=2)),
            jobs=[job(), job(attempt=2)],
            pods=[
                pod(phase="Failed", **container(terminated={"exitCode": 1})),
                pod(attempt=2, phase="Running", **container(running={})),
            ],
        )
    )
    assert found.kind is Kind.WORKS
    assert "Pod pod-Work-2 is Running on node n1" in found.evidence


def test_another_item_of_the_same_state_says_nothing() -> None:
    other = job("Each[1]/Work")
    other["metadata"]["creationTimestamp"] = ago(1)
    found = causes.verdict(
        evidence(
            execution(running(path="Each[0]/Work")),
            jobs=[job("Each[0]/Work"), other],
            pods=[
                pod("Each[0]/Work", phase="Running", **container(running={})),
                pod("Each[1]/Work", **container(waiting={"reason": "ErrImagePull"})),
            ],
        )
    )
    assert found.kind is Kind.WORKS


def test_jobs_of_an_earlier_release_are_known_by_their_state() -> None:
    old = pod(None, phase="Running", **container(running={}))
    found = causes.verdict(evidence(execution(running()), jobs=[job(None)], pods=[old]))
    assert found.cause == "nothing is wrong: Work runs since 30s"


def test_a_failure_is_told_with_its_pod_and_where_to_look() -> None:
    done = container(terminated={"exitCode": 3, "reason": "Error"})
    found = causes.verdict(
        evidence(
            execution(failed("Kubernetes.ExitCode.3")),
            history=ENDED,
            pods=[pod(phase="Failed", **done)],
        )
    )
    assert found.evidence == (
        "Execution run is Failed, 40s ago, after 10.0s",
        "History 4: TaskFailed of Work, 96s ago: Kubernetes.ExitCode.3: exit code 3",
        "Pod pod-Work-1 is Failed on node n1; its container ended with exit code 3 (Error)",
    )
    assert found.remedy == "treadle logs run Work"
    alone = causes.verdict(evidence(execution(failed("Kubernetes.ExitCode.3")), history=ENDED))
    assert alone.remedy == "treadle history run"


def test_the_problems_of_a_machine_are_told() -> None:
    problems = [
        {
            "pointer": "",
            "message": "no state ends",
            "code": "terminal-missing",
            "severity": "error",
        },
        {"pointer": "/x", "message": "odd", "code": "odd", "severity": "warning"},
    ]
    wrong = machine("False", "no state ends", problems=problems)
    found = causes.verdict(evidence(execution(PENDING), machine=wrong))
    assert found.evidence[1:] == (
        "It fails at 2026-01-01T12:00:52Z unless it can start before",
        "Problem at /: no state ends [terminal-missing]",
    )
    later = causes.verdict(evidence(execution(PENDING, startDeadlineSeconds=0), machine=wrong))
    assert later.evidence[1].startswith("It fails at 2026-01-01T11:59:52Z")


def test_what_could_not_be_read_is_told() -> None:
    found = causes.verdict(
        evidence(execution(running("time")), unread={"events": "you cannot list"})
    )
    assert found.evidence[-1] == "It could not be read: events: you cannot list"


def test_texts_stay_short_and_on_one_line() -> None:
    assert short("a\n\n  b") == "a b"
    assert len(short("x" * 9_999)) == 500


@pytest.mark.parametrize(
    ("name", "said"), [("Work-1.a", "Work-1.a"), ("My State", "'My State'"), ("it's", "'it'\\''s'")]
)
def test_a_name_is_quoted_for_a_shell(name: str, said: str) -> None:
    assert quoted(name) == said


def test_of_a_child_in_another_namespace_it_says_which() -> None:
    below = child({"phase": "Running"})
    below["metadata"]["namespace"] = "other"
    found = causes.verdict(evidence(execution(running()), children=[below]))
    assert found.cause.startswith("Work waits for its child execution run-0a1b in namespace other")
    assert found.remedy == "treadle why run-0a1b -n other"


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (None, "Execution run-0a1b is new"),
        (PENDING, "Execution run-0a1b is Pending: there is no StateMachine 'm'"),
        (running(path="Each[2]/Fetch"), "Execution run-0a1b is Running, in Each[2]/Fetch"),
    ],
)
def test_a_child_is_shown_and_where_to_ask_further(status: Any, shown: str) -> None:
    found = causes.verdict(evidence(execution(running()), children=[child(status)]))
    assert (found.evidence[-1], found.remedy) == (shown, "treadle why run-0a1b")
