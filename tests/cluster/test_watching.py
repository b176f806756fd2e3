"""`treadle start`, `get`, `watch`, `stop`, `suspend`, `resume` and `logs` on a real cluster."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.charted import with_policies
from tests.cluster.support.commands import an_operator, command, somebody, told, treadle, why
from tests.cluster.support.machines import chain, each, job, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, kubectl_program, uid_of
from tests.cluster.support.relay import Relay

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
pretend = pytest.mark.usefixtures("pretend")

HANG = task({"hang": True})


@pytest.fixture(scope="module")
def operator(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One that is patient with what cannot start."""
    with an_operator(people, tmp_path_factory.mktemp("operator") / "operator.log") as started:
        yield started


# ------------------------------------------------------------------- start, get, watch, the plugin


@pretend
@pytest.mark.usefixtures("operator")
def test_an_execution_is_started_and_watched_to_its_end(people: People) -> None:
    inner = chain(Echo=task({"echoInput": True}))
    people.machine("good", chain(Every=each(inner, ItemsPath="$.items"), Last=passes()))
    people.judged("good")
    done = treadle(
        people, "start", "good", "--name", "g-1", "--input", '{"items":[1,2]}', "--watch"
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, head, *lines = done.stdout.splitlines()
    assert (first, head) == ("execution.treadle.dev/g-1 created", "g-1: good")
    said = [line.split("s  ", 1)[-1].strip() for line in lines]
    assert said[0] == "started"
    assert "Every: 2 of 2 items done" in said
    assert said[-1] == "Succeeded"
    heads, row = (line.split() for line in treadle(people, "get", "g-1").stdout.splitlines())
    assert heads == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE"]
    assert row[:4] == ["g-1", "good", "Succeeded", "2/2"]
    assert why(people, "g-1")["kind"] == "succeeded"
    assert treadle(people, "watch", "g-1").returncode == 0
    named = treadle(people, "start", "good", "-o", "name").stdout.strip()
    assert named.startswith("execution.treadle.dev/good-")
    # Without its input there is nothing to go through.
    assert treadle(people, "watch", named).returncode == 1
    assert why(people, named.partition("/")[2])["kind"] == "failed"


@pytest.mark.usefixtures("operator")
def test_kubectl_has_the_same_as_a_plugin(people: People, tmp_path: Path) -> None:
    people.run("plugged", chain(Only=passes()))
    people.succeeds("plugged")
    program = tmp_path / "kubectl-treadle"
    program.write_text(f"#!{sys.executable}\nfrom treadle.cli.main import plugin\n\nplugin()\n")
    program.chmod(0o755)
    kubeconfig = tmp_path / "kubeconfig"
    made = json.loads(people.namespace.cluster.kubeconfig.read_bytes())
    made["contexts"][0]["context"]["namespace"] = people.namespace.name
    kubeconfig.write_text(json.dumps(made))

    def kubectl(*words: str) -> str:
        env = {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "PYTHONPATH": str(places.ROOT / "operator"),
            "KUBECONFIG": str(kubeconfig),
        }
        done = subprocess.run(
            [kubectl_program(), "treadle", *words],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "execution.treadle.dev/plugged" in kubectl("get", "-o", "name").split()
    assert "execution.treadle.dev/plugged" in kubectl("ls", "-o", "name").split()
    assert "ExecutionSucceeded" in kubectl("history", "plugged")
    assert kubectl("why", "plugged").startswith("plugged: nothing is wrong")
    assert "execution.treadle.dev/plugged" in kubectl("get", "-A", "-o", "name").split()
    assert kubectl("get", "--help").startswith("Usage: kubectl treadle get")


@pytest.mark.usefixtures("operator")
def test_what_cannot_start_is_a_sentence(people: People) -> None:
    missing = treadle(people, "start", "nothing-of-that-name")
    assert missing.returncode == 2
    assert "there is no StateMachine named 'nothing-of-that-name'" in missing.stderr
    people.machine("wrong", {"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": True}}})
    people.judged("wrong")
    wrong = treadle(people, "start", "wrong", "--name", "never")
    assert "StateMachine 'wrong' cannot run: /States/A/Type: " in wrong.stderr
    people.run("taken", chain(Only=passes()))
    people.judged("taken")
    taken = treadle(people, "start", "taken", "--name", "taken")
    assert (taken.returncode, "already exists" in taken.stderr) == (2, True)
    bad = treadle(people, "start", "taken", "--name", "No Name")
    assert (bad.returncode, "Invalid value" in bad.stderr) == (2, True)


@pretend
def test_a_watch_goes_on_through_restarts(loner: People, tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    loner.machine("long", chain(First=task({"seconds": 1}), Last=task({"seconds": 1})))
    with Relay(loner.namespace.cluster.kubeconfig, tmp_path / "relay.json") as relay:
        operator = an_operator(loner, log)
        with operator:
            loner.execution("long")
            loner.patch("long", {"suspend": True})
            loner.holds("long", "Suspended")
            asked = command(loner, "watch", "long", kubeconfig=relay.kubeconfig)
            with subprocess.Popen(**asked) as watch:
                assert watch.stdout is not None
                seen = [watch.stdout.readline() for _ in range(2)]
                relay.go_away()
                operator.kill()
                while "trying again" not in seen[-1]:
                    seen.append(watch.stdout.readline())
                    assert seen[-1], "it ended"
                relay.come_back()
                operator.start()
                loner.patch("long", {"suspend": False})
                rest, errors = watch.communicate(timeout=90)
            assert (watch.returncode, errors) == (0, "")
    said = [line.split("s  ", 1)[-1].strip() for line in [*seen, *rest.splitlines()]]
    assert said[:2] == ["long: long", "started"]
    assert [line for line in said if line.endswith(": begins")] == ["First: begins", "Last: begins"]
    assert said[-1] == "Succeeded"


@pretend
@pytest.mark.usefixtures("operator")
def test_ctrl_c_ends_a_watch_quietly_and_nothing_else(people: People) -> None:
    people.run("stays", chain(Hang=HANG))
    people.reaches("stays", lambda status: status.get("currentStates"), "its state")
    with subprocess.Popen(**command(people, "watch", "stays")) as watch:
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=30)
    assert (watch.returncode, errors) == (130, "")
    assert people.status("stays")["phase"] == "Running"
    people.patch("stays", {"stop": {}})


# --------------------------------------------------------------------------- stop, suspend, resume


@pretend
@pytest.mark.usefixtures("operator")
def test_it_is_suspended_resumed_and_stopped(people: People) -> None:
    people.run("asked", chain(First=task({"seconds": 0.5}), Hang=HANG))
    people.reaches("asked", lambda status: status.get("currentStates"), "its state")
    assert treadle(people, "suspend", "asked").stdout == "execution.treadle.dev/asked suspended\n"
    found = told(people, "asked", "suspended")
    assert re.match(r"it is suspended by \S+ since ", found["cause"])
    assert found["remedy"] == "treadle resume asked"
    assert treadle(people, "resume", "asked").stdout == "execution.treadle.dev/asked resumed\n"
    told(people, "asked", "works")
    stopped = treadle(people, "stop", "asked", "--error", "E", "--cause", "enough", "--wait")
    assert stopped.stdout == "execution.treadle.dev/asked Aborted\n"
    assert re.fullmatch(r"it was stopped by \S+: E: enough", why(people, "asked")["cause"])
    again = treadle(people, "stop", "asked")
    assert (again.returncode, again.stderr) == (0, "'asked' has ended before: Aborted\n")
    assert treadle(people, "watch", "asked").returncode == 1


def test_who_may_not_stop_is_told_so(cluster: Cluster, people: People, tmp_path: Path) -> None:
    people.execution("theirs", "nothing", startDeadlineSeconds=3_000)
    ben = somebody(people.namespace, "ben", tmp_path, "get", "list", "patch")
    with with_policies(cluster):
        for words, verb in ((["stop", "theirs"], "stop"), (["suspend", "theirs"], "suspend")):
            done = treadle(people, *words, kubeconfig=ben)
            assert done.returncode == 1, done.stderr
            assert done.stderr.startswith("Error: you may not do this: spec.")
            assert f"by those who may {verb} executions" in done.stderr
    assert "stop" not in people.get("theirs")["spec"]


# ------------------------------------------------------------------------------------------ logs


@pytest.mark.node
@pytest.mark.usefixtures("operator")
def test_the_log_of_a_state(people: People) -> None:
    script = "i=0; while [ $i -lt 3 ]; do echo line $i; i=$((i+1)); sleep 0.3; done"
    failing = "echo attempt; exit 3"
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Each"}]
    inner = chain(Say=job(["sh", "-c", "echo item; sleep 60"]))
    machine = chain(
        Talk=job(["sh", "-c", script]),
        Fail=job(["sh", "-c", failing], Retry=retry, Catch=caught),
        Each=each(inner, ItemsPath="$$.Execution.Input.items"),
    )
    made = people.run("talks", machine, input={"items": [1, 2]})
    people.a_pod(uid_of(made))
    followed = treadle(people, "logs", "talks", "-f")
    assert (followed.returncode, followed.stdout) == (0, "line 0\nline 1\nline 2\n")
    people.reaches("talks", lambda status: len(status.get("currentStates", [])) == 2, "the Map")
    assert treadle(people, "logs", "talks", "Talk").stdout == "line 0\nline 1\nline 2\n"
    assert treadle(people, "logs", "talks", "Fail", "--attempt", "1").stdout == "attempt\n"
    assert treadle(people, "logs", "talks", "Fail", "--attempt", "3").returncode == 1
    people.namespace.wait(
        lambda: (
            len([p for p in people.pods(uid_of(made)) if p["status"]["phase"] == "Running"]) == 2
        ),
        "both items",
    )
    several = treadle(people, "logs", "talks")
    assert (several.returncode, "say which by STATE" in several.stderr) == (1, True)
    assert "Say --attempt 1 --index 1" in several.stderr
    assert treadle(people, "logs", "talks", "Say", "--index", "1").stdout == "item\n"
    people.patch("talks", {"stop": {}})


@pytest.mark.node
@pytest.mark.usefixtures("operator")
def test_the_log_of_what_has_not_started(people: People) -> None:
    made = people.run("stuck", chain(Fetch=job(["true"], image="registry.invalid/no/such:1")))
    people.a_pod(uid_of(made), phase="Pending")
    found = told(people, "stuck", "image-pull")
    assert found["cause"].startswith("image pull: ")
    done = treadle(people, "logs", "stuck")
    assert (done.returncode, "is waiting to start" in done.stderr) == (2, True)
    people.patch("stuck", {"stop": {}})
