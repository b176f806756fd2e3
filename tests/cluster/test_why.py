"""`treadle why` on a real cluster: each cause is brought about for real.

By the scheduler, the Job controller, quotas, admission, and an operator that is killed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support.commands import an_operator, shows, somebody, told, why
from tests.cluster.support.machines import call, chain, each, job, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, uid_of
from tests.cluster.support.servers import Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
pretend = pytest.mark.usefixtures("pretend")

HANG = task({"hang": True})


@pytest.fixture(scope="module")
def operator(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One that is patient with what cannot start."""
    with an_operator(people, tmp_path_factory.mktemp("operator") / "operator.log") as started:
        yield started


# ------------------------------------------------------------------------------------- what runs


@pretend
@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("reason", "kind", "cause"),
    [
        ("ErrImagePull", "image-pull", "image pull: no such image"),
        ("CreateContainerConfigError", "container-config", "container: no such image"),
    ],
)
def test_a_container_that_cannot_start(reason: str, kind: str, cause: str, people: People) -> None:
    name = kind
    script = {"waiting": {"reason": reason, "message": "no such image"}, "hang": True}
    people.run(name, chain(Fetch=task(script)))
    found = told(people, name, kind)
    assert found["cause"] == cause
    assert shows(found, "in Fetch since")
    assert shows(found, f"its container waits: {reason}: no such image")
    people.patch(name, {"stop": {}})


@pytest.mark.usefixtures("operator")
def test_a_pod_that_no_node_takes(people: People) -> None:
    template = {"spec": {"nodeSelector": {"there": "is-none"}}}
    people.machine("nowhere", chain(Work=HANG), podTemplate=template)
    people.execution("nowhere")
    found = told(people, "nowhere", "unschedulable")
    assert found["cause"].startswith("no capacity: no node takes its Pod: 0/1 nodes are available")
    assert shows(found, "Unschedulable")
    people.patch("nowhere", {"stop": {}})


def a_quota(people: People, hard: dict[str, str]) -> None:
    body = {"metadata": {"name": "team-a"}, "spec": {"hard": hard}}
    core, space = people.namespace.core, people.namespace.name
    core.create_namespaced_resource_quota(space, body)
    people.namespace.wait(
        lambda: core.read_namespaced_resource_quota("team-a", space).status.used, "its count"
    )


@pretend
def test_a_quota_of_pods_that_is_full(loner: People, tmp_path: Path) -> None:
    with an_operator(loner, tmp_path / "operator.log"):
        loner.machine("m", chain(Work=HANG))
        first = loner.execution("first", "m")
        loner.a_pod(uid_of(first))
        a_quota(loner, {"pods": "1"})
        loner.execution("second", "m")
        found = told(loner, "second", "quota")
        assert found["cause"] == "no capacity: quota team-a pods 1/1"
        assert shows(found, "FailedCreate: ")
        assert shows(found, "ResourceQuota team-a now: pods 1/1")
        assert why(loner, "first")["cause"].startswith("nothing is wrong: Work runs since")


@pretend
def test_a_quota_of_jobs_that_is_full(loner: People, tmp_path: Path) -> None:
    with an_operator(loner, tmp_path / "operator.log"):
        a_quota(loner, {"count/jobs.batch": "0"})
        loner.run("second", chain(Work=HANG))
        found = told(loner, "second", "quota")
        assert found["cause"] == "no capacity: quota team-a count/jobs.batch 0/0"


@pretend
@pytest.mark.usefixtures("operator")
def test_a_job_that_is_suspended_by_others(people: People) -> None:
    made = people.run("queued", chain(Work=HANG))
    name = people.a_job(uid_of(made))["metadata"]["name"]
    people.namespace.batch.patch_namespaced_job(
        name, people.namespace.name, {"spec": {"suspend": True}}
    )
    found = told(people, "queued", "job-suspended")
    assert shows(found, f"Job {name} is suspended")
    people.patch("queued", {"stop": {}})


@pytest.mark.usefixtures("operator")
def test_a_state_that_sleeps(people: People) -> None:
    people.run("asleep", chain(Nap={"Type": "Wait", "Seconds": 3_000}))
    found = told(people, "asleep", "sleeps")
    assert found["cause"].startswith("Nap waits for a time to come, 20")
    assert re.search(r"Z, in (49|50)m, since \d+s$", found["cause"])
    people.patch("asleep", {"stop": {}})


@pretend
@pytest.mark.usefixtures("operator")
def test_a_state_that_waits_for_its_next_attempt(people: People) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 3_000}]
    people.run("again", chain(Work=task({"exitCode": 4, "message": "no luck"}, Retry=retry)))
    found = told(people, "again", "retries")
    assert found["cause"].startswith("Work waits for its next attempt, 20")
    assert found["cause"].endswith("; attempt 1 failed: Kubernetes.ExitCode.4: no luck")
    assert found["remedy"] == "treadle logs again Work"
    people.patch("again", {"stop": {}})


@pytest.mark.usefixtures("operator")
def test_a_call_that_is_not_answered(people: People) -> None:
    with Server() as server:
        people.run("calling", chain(Ask=call(server.url("/hold"))))
        people.namespace.wait(lambda: server.asked("/hold"), "the call")
        found = told(people, "calling", "calls")
        assert found["cause"] == "Ask waits for the answer to its call, treadle:http"
        server.release()
        people.succeeds("calling")


@pytest.mark.usefixtures("operator")
def test_a_question_that_nobody_has_decided(people: People) -> None:
    approvers = {"users": ["ada"], "groups": ["leads"]}
    parameters = {"message": "Ship it?", "approvers": approvers, "expiresSeconds": 3_600}
    asks = {"Type": "Task", "Resource": "treadle:approval", "Parameters": parameters}
    made = people.run("asking", chain(Ask=asks))
    name = people.an_approval(uid_of(made))["metadata"]["name"]
    found = told(people, "asking", "approval")
    who = "Ask waits for approval by ada, group leads"
    assert re.fullmatch(rf"{who} since \d+s, expires in (59|60)m: Ship it\?", found["cause"])
    assert shows(found, f"Approval {name} is Pending")
    assert found["remedy"] == f"treadle approve {name}"
    people.patch("asking", {"stop": {}})
    people.ends("asking")


@pretend
@pytest.mark.usefixtures("operator")
def test_the_item_of_a_map_that_stands_still(people: People) -> None:
    work = job(["pretend", "{}"])
    del work["Parameters"]["command"]
    work["Parameters"]["command.$"] = "States.Array('pretend', $.script)"
    scripts = [{"hang": True}, {"waiting": {"reason": "ErrImagePull", "message": "not there"}}]
    items = [{"script": json.dumps(script)} for script in scripts]
    machine = chain(Every=each(chain(Work=work), ItemsPath="$.items"))
    people.run("mixed", machine, input={"items": items})
    found = told(people, "mixed", "image-pull")
    assert shows(found, "in Every[1]/Work since")
    assert shows(found, "It is in 2 states at once, also in Every[0]/Work")
    people.patch("mixed", {"stop": {}})


# ------------------------------------------------------------------------ ---- what stands above


@pretend
def test_an_operator_that_is_away(loner: People, tmp_path: Path) -> None:
    loner.run("waits", chain(Hang=HANG))
    assert why(loner, "waits")["kind"] == "not-seen"
    space = loner.namespace.name
    found = told(loner, "waits", "no-operator")
    assert "no operator has looked at it for" in found["cause"]
    assert f"no Lease says that one serves namespace {space}" in found["cause"]
    operator = an_operator(loner, tmp_path / "operator.log")
    with operator:
        told(loner, "waits", "works")
        operator.kill()
        found = told(loner, "waits", "no-operator")
        assert f"no operator runs: the Lease {space}/treadle was last renewed" in found["cause"]
        operator.start()
        told(loner, "waits", "works")
        operator.terminate()
        found = told(loner, "waits", "no-operator", seconds=5)
        assert found["cause"] == f"no operator runs: nobody holds the Lease {space}/treadle"


@pytest.mark.usefixtures("operator")
def test_a_machine_that_is_not_there_and_one_that_is_wrong(people: People) -> None:
    people.execution("early", "to-come", startDeadlineSeconds=3_000)
    found = told(people, "early", "machine-missing")
    assert found["cause"].startswith("it waits for its machine: ")
    assert "'to-come'" in found["cause"]
    assert shows(found, "unless it can start before")
    people.machine("to-come", {"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": True}}})
    found = told(people, "early", "machine-invalid")
    assert "Type" in found["cause"]
    people.execution("late", "never-made", startDeadlineSeconds=0)
    assert told(people, "late", "machine-missing")["cause"].startswith("it ")
    people.ends("late")
    assert why(people, "late")["cause"].startswith("it never started: Treadle.StartDeadline")


@pretend
@pytest.mark.usefixtures("operator")
def test_an_execution_that_is_being_deleted(people: People) -> None:
    people.run("leaving", chain(Hang=HANG))
    people.reaches("leaving", lambda status: status.get("currentStates"), "its state")
    kept = '{"metadata":{"finalizers":["test.dev/kept"]}}'
    people.kubectl("patch", "ex", "leaving", "--type=merge", "-p", kept)
    people.delete("leaving")
    assert told(people, "leaving", "deleting")["cause"].startswith("it is being deleted, since ")
    people.kubectl(
        "patch", "ex", "leaving", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )


# --------------------------------------------------------------------------- --- what has failed


@pretend
@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("script", "kind", "error"),
    [
        ({"exitCode": 3, "message": "no disk"}, "exit-code", "Kubernetes.ExitCode.3: no disk"),
        ({"reason": "OOMKilled"}, "out-of-memory", "Kubernetes.OOMKilled"),
        ({"seconds": 0.2, "evicted": True}, "pod-lost", "Kubernetes.Evicted"),
    ],
)
def test_a_container_that_fails(
    script: dict[str, Any], kind: str, error: str, people: People
) -> None:
    people.run(kind, chain(Work=task(script)))
    people.fails(kind)
    found = why(people, kind)
    assert found["kind"] == kind
    assert found["cause"].startswith(f"Work failed: {error}")
    assert shows(found, "TaskFailed of Work")
    assert shows(found, "Pod ")
    assert found["remedy"] == f"treadle logs {kind} Work"


@pretend
@pytest.mark.usefixtures("operator")
def test_a_state_that_takes_too_long(people: People) -> None:
    people.run("slow", chain(Work=task({"hang": True}, TimeoutSeconds=1)))
    people.fails("slow")
    assert why(people, "slow")["cause"].startswith("Work failed: States.Timeout")
    assert why(people, "slow")["kind"] == "timed-out"


@pytest.mark.usefixtures("operator")
def test_a_machine_that_was_wrong_from_the_start(people: People) -> None:
    people.machine("broken", {"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": True}}})
    people.judged("broken")
    people.execution("broken")
    people.fails("broken")
    found = why(people, "broken")
    assert found["kind"] == "machine-invalid"
    assert found["cause"].startswith("it never started: Treadle.InvalidDefinition: ")
    assert shows(found, "Problem at /States/A/Type: ")


def test_a_pod_that_admission_refuses(loner: People, tmp_path: Path) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = loner.namespace
    space.core.patch_namespace(space.name, {"metadata": {"labels": label}})
    root = {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}
    with an_operator(loner, tmp_path / "operator.log"):
        loner.machine("rooted", chain(Work=HANG), podTemplate={"spec": root})
        loner.execution("rooted")
        loner.fails("rooted", seconds=90)
        found = why(loner, "rooted")
        assert found["kind"] == "refused"
        assert found["cause"].startswith("Work failed: Kubernetes.Forbidden: ")
        assert "violates PodSecurity" in found["cause"]


@pytest.mark.usefixtures("operator")
def test_what_a_reader_may_not_see_is_said(people: People, tmp_path: Path) -> None:
    people.run("read", chain(Nap={"Type": "Wait", "Seconds": 3_000}))
    told(people, "read", "sleeps")
    eve = somebody(people.namespace, "eve", tmp_path, "get", "list")
    found = why(people, "read", eve)
    assert found["kind"] == "sleeps"
    for kind in ("jobs", "pods", "events", "resourcequotas"):
        assert shows(found, f"It could not be read: {kind}: {kind}")
        assert shows(found, f'cannot list resource "{kind}"')
    people.patch("read", {"stop": {}})
