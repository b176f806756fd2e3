"""People stop executions and let them go on, on a real API server with the chart's policies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support.commands import shows, somebody, treadle, why
from tests.cluster.support.machines import call, chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import Obj, People, uid_of
from tests.cluster.support.servers import Server

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("pretend", "crds", "installation", "operator"),
]

HANG = {"hang": True}
ITEMS = 1_000
FAIL_AT_FIRST = (17, 400, 999)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def posts(url: str, **state: Any) -> dict[str, Any]:
    """A call that sends its input, which tells one item from another."""
    return call(url, method="POST", more={"RequestBody.$": "$"}, **state)


def asked(server: Server, path: str) -> Counter[int]:
    """How many attempts there were for each item; a call may be made twice, under one key."""
    return Counter(n for n, _ in {(each.body["n"], each.key) for each in server.asked(path)})


def entries(people: People, name: str, kind: str) -> list[str]:
    """Lines of a history that are of one kind."""
    lines = treadle(people, "history", name).stdout.splitlines()
    return [line for line in lines if line.split()[2] == kind]


# ------------------------------------------------------------------------------------- redriving


def test_of_a_thousand_items_those_that_failed_run_again(people: People, server: Server) -> None:
    rules = [{"Variable": "$.n", "NumericEquals": n, "Next": "Later"} for n in FAIL_AT_FIRST]
    one = chain(
        Which={"Type": "Choice", "Choices": rules, "Default": "Good"},
        Good=posts(server.url("/echo"), End=True),
        Later={"Type": "Wait", "Seconds": 8},
        Bad=posts(server.url("/status?code=500&times=1")),
    )
    one["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    mapped = each(one, ItemsPath="$.items", MaxConcurrency=100, ToleratedFailureCount=2)
    mapped |= {"ResultSelector": {"done.$": "States.ArrayLength($)"}}
    people.run("many", chain(Every=mapped), input={"items": [{"n": n} for n in range(ITEMS)]})
    status = people.fails("many", seconds=150)
    assert status["error"] == "States.ExceedToleratedFailureThreshold"
    assert asked(server, "/status") == Counter(FAIL_AT_FIRST)
    done = treadle(people, "redrive", "many")
    assert (done.returncode, done.stdout) == (0, "execution.treadle.dev/many redriven\n")
    assert people.succeeds("many", seconds=90) == {"done": ITEMS}
    assert asked(server, "/status") == Counter(dict.fromkeys(FAIL_AT_FIRST, 2))
    others = set(range(ITEMS)) - set(FAIL_AT_FIRST)
    assert asked(server, "/echo") == Counter(dict.fromkeys(others, 1)), "what succeeded is kept"
    assert people.status("many")["redrive"]["count"] == 1
    assert people.status("many")["progress"]["text"] == f"{ITEMS}/{ITEMS}"


def changes(people: People, machine: str, definition: dict[str, Any]) -> None:
    """The machine has another definition, which was judged."""
    patch = [{"op": "replace", "path": "/spec/definition", "value": definition}]
    people.kubectl("patch", "sm", machine, "--type", "json", "-p", json.dumps(patch))
    assert people.judged(machine)["status"] == "True"


def test_it_goes_on_with_a_mended_machine_that_fits(people: People, server: Server) -> None:
    first, bad = posts(server.url("/echo")), posts(server.url("/status?code=500"))
    broken = each(chain(One=bad), ItemsPath="$.ResponseBody.items")
    people.run("mended", chain(First=first, Every=broken), input={"n": 1, "items": [{"n": 2}]})
    before = people.fails("mended")["revision"]
    other_items = each(chain(One=passes()), ItemsPath="$.ResponseBody.others")
    changes(people, "mended", chain(First=first, Every=other_items))
    refused = treadle(people, "redrive", "mended", "--latest")
    assert (refused.returncode, refused.stdout) == (1, "")
    wrong = "/States/Every/ItemsPath: it decides what the children are given, and is another"
    assert "the redrive was refused: /spec/redrive/revision: 'mended-" in refused.stderr
    assert wrong in refused.stderr
    told = why(people, "mended")
    assert shows(told, wrong)
    assert told["remedy"] == "mend that, and then: treadle redrive mended"
    assert people.status("mended")["phase"] == "Failed"
    mended = each(chain(One=passes(Result="mended")), ItemsPath="$.ResponseBody.items")
    changes(people, "mended", chain(First=first, Every=mended, After=passes()))
    done = treadle(people, "redrive", "mended", "--latest")
    assert done.returncode == 0, done.stderr
    assert people.succeeds("mended") == ["mended"]
    assert people.status("mended")["revision"] != before
    assert len(server.asked("/echo")) == 1


def test_it_goes_on_from_another_state_with_other_data(people: People) -> None:
    fails = {"Type": "Fail", "Error": "No"}
    states = chain(A=passes(), B=passes(End=True), Bad=fails)
    states["States"]["A"] |= {"Type": "Pass", "Next": "Bad", "Assign": {"who": "nobody"}}
    states["States"]["B"] |= {
        "QueryLanguage": "JSONata",
        "Output": ["{% $states.input.n %}", "{% $who %}"],
    }
    people.run("from", states, input={"n": 1})
    people.fails("from")
    words = ("--from", "B", "--input", '{"n": 1.5}', "--variables", '{"who": null}')
    assert treadle(people, "redrive", "from", *words).returncode == 0
    assert people.succeeds("from") == [1.5, None]


def test_what_is_applied_replaces_all_of_an_earlier_redrive(people: People) -> None:
    made = people.run("applied", chain(A=passes(), Bad={"Type": "Fail", "Error": "No"}))
    people.fails("applied")
    people.patch("applied", {"redrive": {"id": "1", "from": "A", "input": {"n": 1}}})
    people.reaches("applied", lambda s: s.get("redrive", {}).get("count") == 1, "the first")
    people.fails("applied")
    spec = {"stateMachineRef": {"name": "applied"}, "redrive": {"id": "2"}}
    manifest = {**made, "metadata": {"name": "applied"}, "spec": spec}
    words = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    people.kubectl(*words, text=json.dumps(manifest))
    assert people.get("applied")["spec"]["redrive"] == {"id": "2"}
    people.reaches("applied", lambda s: s.get("redrive", {}).get("count") == 2, "the second")


@pytest.mark.parametrize("is_down", [True, False])
def test_an_operator_that_is_killed_loses_no_redrive(
    is_down: bool, people: People, server: Server, operator: OperatorProcess
) -> None:
    name = f"killed-{is_down}".lower()
    bad = server.url("/status?code=500&times=1")
    states = chain(First=posts(server.url("/echo")), Bad=posts(bad))
    states["States"]["Bad"]["Parameters"]["RequestBody.$"] = "$.ResponseBody"
    people.run(name, states, input={"n": 1})
    people.fails(name)
    if is_down:
        operator.kill()
    people.patch(name, {"redrive": {"id": "once"}})
    if not is_down:
        operator.kill()  # wherever it is: it has seen it or not, has saved or not
    operator.start()
    people.reaches(name, lambda status: "redrive" in status, "the answer")
    assert people.succeeds(name)["StatusCode"] == 200
    assert people.status(name)["redrive"]["count"] == 1
    assert len(entries(people, name, "ExecutionRedriven")) == 1
    assert len(server.asked("/echo")) == 1


def test_a_redrive_that_is_nested_too_deeply_holds_up_nobody(
    people: People, operator: OperatorProcess
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    redrive = {"id": "1", "input": deep}
    people.execution("nested", "later", redrive=redrive, startDeadlineSeconds=600)
    operator.kill()
    operator.start()  # it looks at all executions before it hands out anything
    people.run("beside", chain(A=passes(Result="well")))
    assert people.succeeds("beside") == "well"
    people.machine("later", chain(Bad={"Type": "Fail", "Error": "No"}))
    people.fails("nested")
    answer = people.reaches("nested", lambda s: "redrive" in s, "the answer")["redrive"]
    assert answer["id"] == "1"
    assert answer["refused"].endswith("nested too deeply")


def test_the_end_of_what_is_parked_is_not_waited_for(
    people: People, operator: OperatorProcess
) -> None:
    people.run("parked", chain(Rest={"Type": "Wait", "Seconds": 600}))
    people.reaches("parked", lambda status: status.get("currentStates"), "its Wait")
    operator.kill()
    status = json.dumps({"status": {"checkpoint": "99.x.y"}})
    words = ("patch", "ex", "parked", "--subresource", "status", "--type", "merge", "-p", status)
    people.kubectl(*words)
    operator.start()
    done = treadle(people, "stop", "parked", "--wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'parked' cannot go on: the checkpoint has version 99" in done.stderr


# --------------------------------------------------------------------------------- who may do what


def test_verbs_are_given_one_by_one_and_who_it_was_is_told(people: People, tmp_path: Path) -> None:
    space = people.namespace
    reads = ("get", "list", "watch", "patch")
    stops = somebody(space, "stops", tmp_path, *reads, "stop")
    redrives = somebody(space, "redrives", tmp_path, *reads, "redrive")
    user = f"system:serviceaccount:{space.name}:"
    people.run("verbs", chain(Rest={"Type": "Wait", "Seconds": 600}))
    people.reaches("verbs", lambda status: status.get("currentStates"), "its Wait")
    may_not = treadle(people, "stop", "verbs", kubeconfig=redrives)
    assert may_not.returncode == 1
    assert "you may not do this: spec.stop is changed by those who may stop" in may_not.stderr
    done = treadle(people, "stop", "verbs", "--wait", kubeconfig=stops)
    assert (done.returncode, done.stdout) == (0, "execution.treadle.dev/verbs Aborted\n"), done
    assert entries(people, "verbs", "ExecutionAborted")[0].endswith(f"(by {user}stops)")
    assert why(people, "verbs")["cause"] == f"it was stopped by {user}stops"
    may_not = treadle(people, "redrive", "verbs", kubeconfig=stops)
    assert "spec.redrive is changed by those who may redrive" in may_not.stderr
    done = treadle(people, "redrive", "verbs", kubeconfig=redrives)
    assert (done.returncode, done.stdout) == (0, "execution.treadle.dev/verbs redriven\n"), done
    assert entries(people, "verbs", "ExecutionRedriven")[0].endswith(f"(by {user}redrives)")
    assert "stop" not in people.get("verbs")["spec"]
    events = people.kubectl("get", "events", "-o", "json")
    assert f"(by {user}stops)" in events
    assert f"(by {user}redrives)" in events


def test_who_suspends_and_resumes_is_told_and_nobody_instead(
    people: People, tmp_path: Path
) -> None:
    space = people.namespace
    reads = ("get", "list", "watch", "patch", "suspend")
    ada, bob = (somebody(space, name, tmp_path, *reads) for name in ("pauses", "resumes"))
    user = f"system:serviceaccount:{space.name}:"
    people.run("paused", chain(Rest={"Type": "Wait", "Seconds": 600}))
    people.reaches("paused", lambda status: status.get("currentStates"), "its Wait")
    done = treadle(people, "suspend", "paused", kubeconfig=ada)
    assert (done.returncode, done.stdout) == (0, "execution.treadle.dev/paused suspended\n"), done
    people.reaches("paused", lambda s: is_suspended(s) is True, "its suspension")
    told = why(people, "paused")["cause"]
    assert told.startswith(f"it is suspended by {user}pauses since ")
    # Who knows nothing of names changes it, twice: nobody else is blamed.
    for suspend in (False, True):
        people.patch("paused", {"suspend": suspend})
        people.reaches("paused", lambda s, now=suspend: is_suspended(s) is now, "the change")  # type: ignore[misc]
    assert why(people, "paused")["cause"].startswith("it is suspended since ")
    done = treadle(people, "resume", "paused", kubeconfig=bob)
    assert (done.returncode, done.stdout) == (0, "execution.treadle.dev/paused resumed\n"), done
    people.reaches("paused", lambda s: is_suspended(s) is False, "its going on")
    kinds = ("ExecutionSuspended", "ExecutionResumed")
    said = [[line.split(maxsplit=3)[3] for line in entries(people, "paused", k)] for k in kinds]
    assert said == [
        [f"suspended (by {user}pauses)", "suspended"],
        ["resumed", f"resumed (by {user}resumes)"],
    ]
    events = people.kubectl("get", "events", "-o", "json")
    assert f"nothing new starts (by {user}pauses)" in events
    assert f"it goes on (by {user}resumes)" in events


def test_an_operator_that_is_killed_tells_each_suspension_once(
    people: People, operator: OperatorProcess
) -> None:
    people.run("flips", chain(Rest={"Type": "Wait", "Seconds": 600}))
    people.reaches("flips", lambda status: status.get("currentStates"), "its Wait")
    people.patch("flips", {"suspend": True})
    operator.kill()  # wherever it is: it has seen it or not, has saved or not
    operator.start()
    people.reaches("flips", lambda s: is_suspended(s) is True, "its suspension")
    operator.kill()
    for suspend in (False, True, False):
        people.patch("flips", {"suspend": suspend})
    operator.start()
    people.reaches("flips", lambda s: is_suspended(s) is False, "its going on")
    assert len(entries(people, "flips", "ExecutionSuspended")) == 1
    assert len(entries(people, "flips", "ExecutionResumed")) == 1


def is_suspended(status: Obj) -> bool | None:
    """What the operator says; nothing where it never was."""
    found = [c["status"] for c in status.get("conditions") or () if c["type"] == "Suspended"]
    return found[0] == "True" if found else None


# ------------------------------------------------------------------------------------- stopping


def one_of_each(server: Server) -> dict[str, dict[str, Any]]:
    """By name: what an execution can be in the midst of."""
    hangs, rests = chain(H=task(HANG)), {"Type": "Wait", "Seconds": 600}
    token = {"Payload.$": "$$.Task.Token"}
    waits = call(server.url("/echo"), method="POST", more={"RequestBody": token})
    retrier = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 600}
    distributed = {**hangs, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    child = {"stateMachine": "stop-job"}
    return {
        "job": task(HANG),
        "http": call(server.url("/hang")),
        "callback": {**waits, "Resource": "treadle:http.waitForTaskToken"},
        "wait": rests,
        "map": each(hangs, ItemsPath="$.items"),
        "distributed": each(distributed, ItemsPath="$.items"),
        "parallel": {"Type": "Parallel", "Branches": [hangs, chain(W=rests)]},
        "child": {"Type": "Task", "Resource": "treadle:execution.sync", "Parameters": child},
        "approval": {
            "Type": "Task",
            "Resource": "treadle:approval",
            "Parameters": {"message": "?"},
        },
        "retry": call(server.url("/status?code=500"), Retry=[retrier]),
    }


def test_whatever_it_is_in_the_midst_of_a_stop_leaves_nothing_running(
    people: People, server: Server
) -> None:
    machines = one_of_each(server)
    made = {}
    for kind, state in machines.items():
        name = f"stop-{kind}"
        made[name] = people.run(name, chain(S=state), input={"items": [1, 2, 3]})
    people.kubectl("label", "ex", *made, "suite=stop")
    pods = {"job": 1, "map": 3, "distributed": 3, "parallel": 1}
    for kind, count in pods.items():
        uid = uid_of(made[f"stop-{kind}"])
        people.namespace.wait(lambda uid=uid, n=count: len(running(people, uid)) == n, kind)  # type: ignore[misc]
    people.namespace.wait(lambda: server.asked("/hang") and server.asked("/echo"), "the calls")
    people.an_approval(uid_of(made["stop-approval"]))
    people.reaches("stop-retry", lambda s: waits_for(s) == "retry", "its sleep")
    child = people.namespace.wait(lambda: children(people, "stop-child"), "a child")[0]
    people.a_pod(uid_of(child))
    done = treadle(people, "stop", "-l", "suite=stop", "--cause", "enough", "--wait")
    lines = {f"execution.treadle.dev/{name} Aborted" for name in made}
    assert (done.returncode, set(done.stdout.splitlines())) == (0, lines), done.stderr
    people.namespace.wait(lambda: not running(people) and not active(people), "the end of all")
    assert people.ends(child["metadata"]["name"])["phase"] == "Aborted"
    (approval,) = people.approvals(uid_of(made["stop-approval"]))
    people.namespace.wait(lambda: phase_of(people, approval) == "Closed", "the Approval's end")
    again = treadle(people, "stop", "-l", "suite=stop")
    assert (again.returncode, again.stdout) == (0, "")
    assert "There are no executions that have not ended with the labels suite=stop" in again.stderr


def running(people: People, uid: str | None = None) -> list[Obj]:
    """Pods that run."""
    return [pod for pod in people.pods(uid) if pod["status"].get("phase") == "Running"]


def active(people: People) -> list[Obj]:
    """Jobs that have Pods which have not ended."""
    return [job for job in people.jobs() if (job.get("status") or {}).get("active")]


def waits_for(status: Obj) -> str:
    return str((status.get("currentStates") or [{}])[0].get("waitsFor"))


def children(people: People, parent: str) -> list[Obj]:
    selector = ("get", "ex", "-l", f"treadle.dev/parent={parent}", "-o", "json")
    return list(json.loads(people.kubectl(*selector))["items"])


def phase_of(people: People, approval: Obj) -> str:
    return str(people.status(approval["metadata"]["name"], "approvals").get("phase"))
