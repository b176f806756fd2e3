"""`treadle why` and `treadle logs`, by what a cluster shows."""

import errno
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.clusters import Cluster, reached
from tests.support.evidences import approval, child, container, job, pod, running
from treadle.app import podlogs
from treadle.app.evidence import gather
from treadle.cli.main import main
from treadle.kube.api import Obj
from treadle.kube.kinds import (
    APPROVALS,
    EVENTS,
    EXECUTIONS,
    JOBS,
    LEASES,
    PODS,
    QUOTAS,
    STATE_MACHINES,
)
from treadle.runtime.ports import Missing, Refused, Unavailable

UID = "treadle.dev/execution"


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, list(words))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def why(name: str = "run", *words: str) -> Any:
    return json.loads(call("why", name, "-o", "json", *words).stdout)


def put_owned(cluster: Cluster, kind: Any, obj: Obj, uid: str) -> Obj:
    """A Job or a Pod of an execution."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("uid", "creationTimestamp")}
    metadata["labels"] = {**metadata["labels"], UID: uid}
    metadata["name"] = metadata["name"].lower().replace("[", "-").replace("]/", "-")
    return cluster.put(
        kind, metadata.pop("name"), spec=obj["spec"], status=obj["status"], **metadata
    )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """An operator, a machine, and an execution in a state."""
    made = reached(tmp_path, monkeypatch)
    now = datetime.now(UTC).isoformat()
    held = {"holderIdentity": "op", "leaseDurationSeconds": 12, "renewTime": now}
    labels = {"app.kubernetes.io/part-of": "treadle"}
    annotations = {"treadle.dev/namespaces": "desk"}  # where files put everything
    made.put(LEASES, "treadle", spec=held, labels=labels, annotations=annotations)
    made.put(STATE_MACHINES, "m")
    made.put(EXECUTIONS, "run", spec={"stateMachineRef": {"name": "m"}}, status=running())
    return made


@pytest.fixture
def uid(cluster: Cluster) -> str:
    return str(cluster.put(EXECUTIONS, "run")["metadata"]["uid"])


# ------------------------------------------------------------------------------------------- why


def test_the_cause_is_the_first_line(cluster: Cluster, uid: str) -> None:
    waiting = {"reason": "ErrImagePull", "message": "not found\x1b"}
    made = put_owned(cluster, JOBS, job(), uid)
    there = pod(**container(waiting=waiting))
    there["metadata"]["ownerReferences"][0]["uid"] = made["metadata"]["uid"]
    put_owned(cluster, PODS, there, uid)
    found = call("why", "run")
    first, *rest = found.stdout.splitlines()
    assert found.exit_code == 0
    assert first == "run: image pull: not found\\x1b"
    assert rest[0].startswith("  Execution run is Running since ")
    assert rest[-1].startswith("  → see whether the image's name is right")
    told = why()
    assert (told["kind"], told["cause"]) == ("image-pull", "image pull: not found\x1b")
    assert call("why", "run", "-o", "yaml").stdout.startswith("cause: ")


def test_approvals_are_read(cluster: Cluster, uid: str) -> None:
    put_owned(cluster, APPROVALS, approval("ada"), uid)
    assert why()["cause"].startswith("Work waits for approval by ada since ")


@pytest.mark.parametrize("place", ["team", None])
def test_children_are_read_wherever_they_may_be(
    cluster: Cluster, uid: str, place: str | None
) -> None:
    cluster.refuses_in["list", "executions", place] = Refused(403, "Forbidden", "no")
    put_owned(cluster, EXECUTIONS, child({"phase": "Running"}), uid)
    told = why()
    assert told["cause"].startswith("Work waits for its child execution run-0a1b, since ")
    assert not any("could not be read" in each for each in told["evidence"])


def test_events_are_read_of_what_the_execution_made(cluster: Cluster, uid: str) -> None:
    made = put_owned(cluster, JOBS, job(), uid)
    for number, about in enumerate((made["metadata"]["uid"], "another")):
        said = {
            "involvedObject": {"uid": about},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": f"exceeded quota: q{number}, requested: a=1, used: a=1, limited: a=1",
        }
        cluster.put(EVENTS, f"e{number}", also=said)
    cluster.put(QUOTAS, "q0", status={"hard": {"a": "1"}, "used": {"a": "1"}})
    told = why()
    assert (told["kind"], told["cause"]) == ("quota", "no capacity: quota q0 a 1/1")
    assert told["evidence"][-1] == "ResourceQuota q0 now: a 1/1"


def test_a_lease_of_another_namespace_is_no_operators(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "new")
    assert why("new")["kind"] == "not-seen"


def test_what_may_not_be_read_is_said_and_the_rest_is_read(cluster: Cluster) -> None:
    for kind in ("statemachines", "jobs", "events", "resourcequotas"):
        verb = "get" if kind == "statemachines" else "list"
        cluster.refuses[verb, kind] = Refused(403, "Forbidden", f"you may not read {kind}")
    told = why()
    assert told["kind"] == "works"
    assert told["evidence"][-4:] == [
        f"It could not be read: {kind}: you may not read {kind}"
        for kind in ("jobs", "statemachines", "events", "resourcequotas")
    ]


def test_leases_that_may_not_be_listed_hide_nothing_else(cluster: Cluster) -> None:
    cluster.refuses["list", "leases"] = Refused(403, "Forbidden", "no")
    assert why()["kind"] == "works"
    cluster.put(EXECUTIONS, "new")
    assert why("new")["kind"] == "not-seen"  # for a while


async def test_that_a_namespace_has_no_lease_says_nothing(cluster: Cluster, uid: str) -> None:
    cluster.refuses_in["list", "leases", None] = Refused(403, "Forbidden", "no")
    seen = await gather(cluster, "team", "run")
    assert seen.leases is not None
    assert len(seen.leases) == 1
    await cluster.delete(LEASES, None, "treadle")
    assert (await gather(cluster, "team", "run")).leases is None
    cluster.refuses_in.clear()
    assert (await gather(cluster, "team", "run")).leases == []


def test_a_history_that_cannot_be_read_is_said(cluster: Cluster) -> None:
    ended = {"phase": "Failed", "error": "E", "checkpoint": "99.x.y"}
    cluster.put(EXECUTIONS, "run", status=ended)
    told = why()
    assert told["cause"] == "it never started: E"
    assert "history: " in told["evidence"][-1]


def test_what_is_over_needs_no_operator(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "run", status={"phase": "Succeeded"})
    cluster.asked.clear()
    cluster.refuses["list", "leases"] = Unavailable("away")
    assert why()["kind"] == "succeeded"


def test_an_execution_that_is_not_there(cluster: Cluster) -> None:
    found = call("why", "nobody")
    assert (found.exit_code, "no execution named 'nobody'" in found.stderr) == (2, True)


# ------------------------------------------------------------------------------------------ logs


def a_pod(cluster: Cluster, uid: str, path: str, attempt: int = 1, **status: Any) -> str:
    found = put_owned(cluster, PODS, pod(path, attempt, **status), uid)
    name = str(found["metadata"]["name"])
    cluster.logs[name] = [f"log of {name}\n".encode()]
    return name


def test_the_only_pod_needs_no_name(cluster: Cluster, uid: str) -> None:
    name = a_pod(cluster, uid, "Work")
    cluster.logs[name] = [b"one\n\xff", b"two\n"]
    found = call("logs", "run", "-n", "x")
    assert (found.exit_code, found.stdout_bytes) == (0, b"one\n\xfftwo\n")
    assert cluster.read == [("pod-work-1", "main", False)]
    call("logs", "run", "Work", "-f")
    assert cluster.read[-1] == ("pod-work-1", "main", True)


def test_the_last_attempt_unless_one_is_named(cluster: Cluster, uid: str) -> None:
    for attempt in (1, 2):
        a_pod(cluster, uid, "Work", attempt, phase="Failed")
    assert call("logs", "run", "Work").stdout == "log of pod-work-2\n"
    assert call("logs", "run", "--attempt", "1").stdout == "log of pod-work-1\n"


def test_what_runs_is_meant_where_one_alone_does(cluster: Cluster, uid: str) -> None:
    a_pod(cluster, uid, "First", phase="Succeeded")
    a_pod(cluster, uid, "Second", phase="Running")
    assert call("logs", "run").stdout == "log of pod-second-1\n"
    assert call("logs", "run", "First").stdout == "log of pod-first-1\n"


def test_items_are_told_apart(cluster: Cluster, uid: str) -> None:
    for path in ("Outer[0]/Each[1]/Work", "Outer[1]/Each[1]/Work", "Outer[1]/Each[2]/Work"):
        a_pod(cluster, uid, path, phase="Running")
    found = call("logs", "run", "Work")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.splitlines()[0] == (
        "Error: 3 Pods may be meant; say which by STATE, --attempt and --index:"
    )
    assert "  Work --attempt 1 --index 1.2   Pod pod-outer-1-each-2-work-1, Running" in found.stderr
    assert call("logs", "run", "--index", "2").stdout.endswith("each-2-work-1\n")
    assert call("logs", "run", "--index", "0.1").stdout.startswith("log of pod-outer-0")
    assert call("logs", "run", "--index", "1").exit_code == 1


def test_what_has_ended_everywhere_is_asked_for(cluster: Cluster, uid: str) -> None:
    for path in ("First", "Second"):
        a_pod(cluster, uid, path, phase="Succeeded")
    found = call("logs", "run")
    assert (found.exit_code, "2 Pods may be meant" in found.stderr) == (1, True)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (Missing("pods not found"), 1, "the Pod pod-work-1 of 'Work' is gone"),
        (Refused(400, "BadRequest", "it is waiting to start"), 2, "it is waiting to start"),
        (Unavailable("the stream broke"), 2, "the stream broke"),
    ],
)
def test_a_log_that_cannot_be_had_says_why(
    fault: Any, code: int, said: str, cluster: Cluster, uid: str
) -> None:
    cluster.logs[a_pod(cluster, uid, "Work")] = [b"so far\n", fault]
    found = call("logs", "run")
    assert (found.exit_code, found.stdout) == (code, "so far\n")
    assert said in found.stderr


def test_without_a_pod_it_is_said_what_is_known(cluster: Cluster, uid: str) -> None:
    assert call("logs", "run").stderr == "Error: 'run' has no Pod: it has not started\n"
    found = call("logs", "run", "Work").stderr
    assert "'run' has not entered a state named 'Work'; it has entered: none yet" in found
    cluster.refuses["list", "pods"] = Refused(403, "Forbidden", "you may not")
    assert call("logs", "run").stderr == "Error: Pods cannot be read: you may not\n"
    assert "no execution named 'nobody'" in call("logs", "nobody").stderr


def test_a_pipe_that_nobody_reads_ends_it_quietly(
    cluster: Cluster, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(podlogs, "read", closed)
    found = call("logs", "run")
    assert (found.exit_code, found.output) == (1, "")


def test_ctrl_c_ends_quietly(cluster: Cluster, uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_pod(cluster, uid, "Work")

    def interrupted(*_: object, **__: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(podlogs, "read", interrupted)
    found = call("logs", "run", "-f")
    assert (found.exit_code, found.output) == (130, "")
