"""Child executions on the real API server: three deep, stopped, deleted, refused, across kills."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.machines import chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import Obj, People, is_over, uid_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend")]

SYNC = "treadle:execution.sync"
AWS = "arn:aws:states:::states:startExecution"
ACCOUNT = "111122223333"
HANG = {"hang": True}
MINUTE = {"Type": "Wait", "Seconds": 60}


def starts(machine: str, resource: str = SYNC, given: Any = None, **members: Any) -> Obj:
    """A Task that starts a machine with its input."""
    if resource.startswith(AWS):
        arn = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{machine}"
        parameters = {"StateMachineArn": arn, "Input.$": "$", **(given or {})}
    else:
        parameters = {"stateMachine": machine, "input.$": "$", **(given or {})}
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **members}


@pytest.fixture(scope="module")
def abroad(cluster: Cluster, crds: None) -> Iterator[People]:
    """A user of another namespace that the operator serves."""
    with somebody(cluster) as other:
        yield other


@contextmanager
def somebody(cluster: Cluster) -> Iterator[People]:
    with cluster.namespace() as made:
        found = People(made)
        yield found
        found.free_pods()


@pytest.fixture(scope="module")
def operator(
    people: People, abroad: People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    log = tmp_path_factory.mktemp("children") / "operator.log"
    with an_operator(log, people, abroad) as started:
        yield started
        assert started.running, started.tail


def an_operator(log: Path, *served: People) -> OperatorProcess:
    names = [each.namespace.name for each in served]
    kubeconfig = served[0].namespace.cluster.kubeconfig
    return OperatorProcess(kubeconfig, log, namespaces=names, account=ACCOUNT)


def children(people: People, parent: str) -> list[Obj]:
    """As people find them."""
    text = people.kubectl("get", "ex", "-l", f"treadle.dev/parent={parent}", "-o", "json")
    return list(json.loads(text)["items"])


def a_child(people: People, parent: str, probe: Callable[[Obj], Any] = bool) -> Obj:
    """The child of an execution, once there is one that the probe says yes to."""

    def look() -> Obj | None:
        return next((found for found in children(people, parent) if probe(found)), None)

    return people.namespace.wait(look, f"a child of {parent}")


def name_of(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def cause(people: People, name: str) -> Any:
    """What a Task says of its child, in the cause."""
    status = people.fails(name)
    assert status["error"] == "States.TaskFailed"
    return json.loads(status["cause"])


# ------------------------------------------------------------------------------ what they give


def test_a_child_gives_its_output_and_is_found_from_its_parent(
    people: People, operator: OperatorProcess
) -> None:
    people.machine("square", chain(Multiply=task({"message": "[9]"})))
    made = people.run("squares", chain(One=starts("square")), input={"n": 3})
    output = people.succeeds("squares")
    child = a_child(people, "squares")
    arn = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:square:{name_of(child)}"
    assert output == {
        "executionName": name_of(child),
        "executionArn": arn,
        "status": "Succeeded",
        "output": [9],
    }
    assert child["spec"]["inputJson"] == '{"n":3}'
    (owner,) = child["metadata"]["ownerReferences"]
    assert owner["uid"] == uid_of(made)
    people.delete("squares")
    people.namespace.wait(lambda: not children(people, "squares"), "the child to go with it")


def test_awss_forms(people: People, operator: OperatorProcess) -> None:
    people.machine("nine", chain(Say=passes(Result={"v": 9})))
    for pattern, output in ((".sync", '{"v":9}'), (".sync:2", {"v": 9})):
        name = f"aws-{pattern[1:].replace(':', '-')}"
        people.run(name, chain(A=starts("nine", AWS + pattern, {"Name": name})), input={"n": 3})
        found = people.succeeds(name)
        assert (found["Name"], found["Status"], found["Output"]) == (name, "SUCCEEDED", output)
        assert found["StopDate"] >= found["StartDate"]
    people.run("aws", chain(A=starts("nine", AWS)))
    found = people.succeeds("aws")
    child = a_child(people, "aws")
    assert found["ExecutionArn"].endswith(f":execution:nine:{name_of(child)}")
    assert "ownerReferences" not in child["metadata"]
    assert people.succeeds(name_of(child)) == {"v": 9}


def test_an_output_that_is_too_large_for_a_status(
    people: People, operator: OperatorProcess
) -> None:
    grow = passes(Parameters={"text.$": "States.Format('{}{}{}{}', $.t, $.t, $.t, $.t)"})
    people.machine("large", chain(Grow=grow))
    count = {"n.$": "$.output.text"}
    parent = chain(
        Make=starts("large", ResultSelector=count), Count=passes(Parameters={"is": "there"})
    )
    people.run("larger", parent, input={"t": "x" * 2_000})
    assert people.succeeds("larger") == {"is": "there"}
    child = a_child(people, "larger", lambda obj: is_over(obj.get("status") or {}))
    assert child["status"]["outputRef"]["bytes"] > 8_000


def test_a_hundred_children_of_a_map(people: People, operator: OperatorProcess) -> None:
    people.machine("one", chain(Say=passes()))
    inner = chain(Start=starts("one", OutputPath="$.output"))
    items = [*range(100)]
    people.run("hundred", chain(All=each(inner, ItemsPath="$.items")), input={"items": items})
    assert people.succeeds("hundred", seconds=120) == items
    assert len(children(people, "hundred")) == 100


# ------------------------------------------------------------------------------ how they end


def test_a_child_that_fails(people: People, operator: OperatorProcess) -> None:
    people.machine("failing", chain(F={"Type": "Fail", "Error": "Own", "Cause": "because"}))
    people.run("fails", chain(A=starts("failing")))
    said = cause(people, "fails")
    assert (said["status"], said["error"], said["cause"]) == ("Failed", "Own", "because")
    people.run("fails-aws", chain(A=starts("failing", f"{AWS}.sync")))
    said = cause(people, "fails-aws")
    assert (said["Status"], said["Error"], said["Cause"]) == ("FAILED", "Own", "because")


def test_a_child_that_takes_too_long(people: People, operator: OperatorProcess) -> None:
    people.machine("slow", {**chain(W=MINUTE), "TimeoutSeconds": 2})
    people.run("late", chain(A=starts("slow")))
    assert cause(people, "late")["status"] == "TimedOut"


def test_a_child_that_is_deleted_by_hand(people: People, operator: OperatorProcess) -> None:
    people.machine("hanging", chain(H=task(HANG)))
    people.run("bereft", chain(A=starts("hanging")))
    child = a_child(people, "bereft", lambda obj: people.jobs(uid_of(obj)))
    people.delete(name_of(child))
    said = cause(people, "bereft")
    assert said["error"] == "Treadle.ExecutionDeleted"
    people.namespace.wait(lambda: not people.jobs(uid_of(child)), "its Job to go")


def test_a_child_that_is_refused_at_its_start(people: People, operator: OperatorProcess) -> None:
    people.machine("invalid", chain(A={"Type": "Dance"}))
    people.run("refused", chain(A=starts("invalid")))
    assert cause(people, "refused")["error"] == "Treadle.InvalidDefinition"
    people.run("absent", chain(A=starts("nowhere", AWS)))
    found = people.fails("absent")
    assert found["error"] == "StepFunctions.StateMachineDoesNotExistException"


def test_a_machine_that_starts_itself_ends(people: People, operator: OperatorProcess) -> None:
    people.run("itself", chain(A=starts("itself")))
    assert people.fails("itself")["error"] == "States.TaskFailed"
    depth, name = 0, "itself"
    while below := children(people, name):
        depth, name = depth + 1, name_of(below[0])
    assert depth == 16
    status = people.status(name)
    assert status["error"] == "Treadle.LimitExceeded"
    assert "childDepthMax" in status["cause"]


def test_a_name_means_one_child(people: People, operator: OperatorProcess) -> None:
    people.machine("nightly", chain(W=task({"seconds": 1, "message": "7"})))
    state = starts("nightly", given={"name": "2026-11-26", "input": {"n": 1}})
    del state["Parameters"]["input.$"]
    for name in ("first", "second"):
        people.run(name, chain(A=state))
    assert [people.succeeds(name)["output"] for name in ("first", "second")] == [7, 7]
    found = people.kubectl("get", "ex", "-o", "name").split()
    assert len([name for name in found if "/2026-11-26-" in name]) == 1
    other = {**state, "Parameters": {**state["Parameters"], "input": {"n": 2}}}
    people.run("third", chain(A=other))
    assert people.fails("third")["error"] == "StepFunctions.ExecutionAlreadyExistsException"


# ------------------------------------------------------------------------------------- stopping


def three_deep(people: People, top: str) -> tuple[Obj, Obj]:
    """An execution, its child and the child of that, whose Job hangs; gives the lower two."""
    for name, definition in (
        ("lower", chain(H=task(HANG))),
        ("middle", chain(B=starts(f"{top}-lower"))),
        ("upper", chain(A=starts(f"{top}-middle"))),
    ):
        people.machine(f"{top}-{name}", definition)
    people.execution(top, f"{top}-upper")
    middle = a_child(people, top)
    lower = a_child(people, name_of(middle), lambda obj: people.jobs(uid_of(obj)))
    return middle, lower


def nothing_runs(people: People, lower: Obj) -> None:
    def ended() -> bool:
        pods = people.pods(uid_of(lower))
        return all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in pods)

    people.namespace.wait(ended, "no Pod that runs")


def test_three_deep_stopped_at_the_top(people: People, operator: OperatorProcess) -> None:
    middle, lower = three_deep(people, "top")
    people.patch("top", {"stop": {"error": "Enough"}})
    assert people.ends("top")["error"] == "Enough"
    for child, parent in ((middle, "top"), (lower, name_of(middle))):
        status = people.ends(name_of(child))
        assert (status["phase"], status["error"]) == ("Aborted", "Treadle.ParentEnded")
        assert f"Execution {parent}" in status["cause"]
    nothing_runs(people, lower)


def test_a_timeout_and_a_branch_that_fails_stop_children(
    people: People, operator: OperatorProcess
) -> None:
    people.machine("waits", chain(W=MINUTE))
    fails = chain(W={"Type": "Wait", "Seconds": 2}, F={"Type": "Fail", "Error": "Own"})
    both = {"Type": "Parallel", "Branches": [chain(A=starts("waits")), fails]}
    people.run("forked", chain(P=both))
    people.run("timed", chain(A=starts("waits", TimeoutSeconds=2)))
    assert people.fails("forked")["error"] == "Own"
    assert people.fails("timed")["error"] == "States.Timeout"
    for name in ("forked", "timed"):
        assert people.ends(name_of(a_child(people, name)))["error"] == "Treadle.ParentEnded"


def test_deleting_the_top_leaves_nothing(people: People, operator: OperatorProcess) -> None:
    _, lower = three_deep(people, "removed")
    people.delete("removed")
    people.namespace.wait(lambda: not children(people, "removed"), "no child")
    people.nothing_is_left(uid_of(lower), seconds=60)


# --------------------------------------------------------------------------------------- kills


@pytest.fixture
def own(loner: People, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator of this test alone."""
    with an_operator(tmp_path / "operator.log", loner) as started:
        yield started


def test_killed_at_each_step_it_ends_the_same(loner: People, own: OperatorProcess) -> None:
    loner.machine("lower", chain(Work=task({"seconds": 4, "message": "7"})))
    loner.machine("middle", chain(B=starts("lower", OutputPath="$.output")))
    loner.machine("upper", chain(A=starts("middle", OutputPath="$.output"), Last=passes()))

    def below(top: str) -> Obj:
        return a_child(loner, name_of(a_child(loner, top)))

    steps: dict[str, Callable[[str], Any]] = {
        "made": lambda _: True,
        "child": lambda top: children(loner, top),
        "grandchild": below,
        "job": lambda top: loner.jobs(uid_of(below(top))),
        "ended": lambda top: is_over(below(top).get("status", {})),
    }
    for step, reached in steps.items():
        loner.execution(step, "upper")
        loner.namespace.wait(partial(reached, step), f"step {step}")
        own.kill()
        own.start()
    for step in steps:
        assert loner.succeeds(step, seconds=90) == 7, step
        assert len(children(loner, step)) == 1
        assert len(children(loner, name_of(a_child(loner, step)))) == 1


def test_a_stop_that_comes_while_nobody_is_there_reaches_all(
    loner: People, own: OperatorProcess
) -> None:
    middle, lower = three_deep(loner, "top")
    own.kill()
    loner.patch("top", {"stop": {}})
    own.start()
    for name in ("top", name_of(middle), name_of(lower)):
        assert loner.ends(name)["phase"] == "Aborted"
    nothing_runs(loner, lower)


# --------------------------------------------------------------------------- another namespace


def at(people: People, machine: str = "work", **members: Any) -> Obj:
    """A Task that starts a machine of somebody's namespace."""
    return starts(machine, given={"namespace": people.namespace.name}, **members)


def opened(owner: People, *callers: People, name: str = "work") -> None:
    """Say who may start a machine; nobody, where nobody is named."""
    namespaces = [each.namespace.name for each in callers] or None
    spec = {"spec": {"callers": {"namespaces": namespaces}}}
    owner.kubectl("patch", "sm", name, "--type", "merge", "-p", json.dumps(spec))


def sent(owner: People, parent: Obj, probe: Callable[[Obj], Any] = bool) -> Obj:
    """The child in somebody's namespace of an execution, found as people find it."""
    metadata = parent["metadata"]
    chosen = (
        f"treadle.dev/parent={metadata['name']}",
        f"treadle.dev/parent-namespace={metadata['namespace']}",
    )

    def look() -> Obj | None:
        text = owner.kubectl("get", "ex", "-l", ",".join(chosen), "-o", "json")
        return next((found for found in json.loads(text)["items"] if probe(found)), None)

    return owner.namespace.wait(look, f"a child of {metadata['name']} abroad")


def test_a_machine_of_another_namespace_is_started_where_its_owner_allows_that(
    people: People, abroad: People, operator: OperatorProcess
) -> None:
    grow = passes(Parameters={"text.$": "States.Format('{}{}{}{}', $.t, $.t, $.t, $.t)"})
    abroad.machine("work", chain(Take=task(), Grow=grow), callers={"namespaces": ["nobody"]})
    state = at(abroad, ResultSelector={"text.$": "$.output.text"})
    parent = chain(Make=state, Forget=passes(Parameters={"is": "there"}))
    people.machine("sends", parent)

    def denied(name: str) -> str:
        people.execution(name, "sends", input={"t": "x" * 2_000})
        status = people.fails(name)
        assert status["error"] == "Treadle.StateMachineDenied"
        return str(status["cause"])

    said = denied("not-allowed")
    assert f'must have "{people.namespace.name}" or "*"' in said
    abroad.kubectl("delete", "sm", "work")
    assert denied("not-there") == said
    abroad.machine("work", chain(Grow=grow))
    assert denied("not-said") == said
    opened(abroad, people)
    made = people.execution("allowed", "sends", input={"t": "x" * 2_000})
    assert people.succeeds("allowed") == {"is": "there"}
    child = sent(abroad, made)
    assert child["status"]["outputRef"]["bytes"] > 8_000, "it was read from its pages"
    assert "ownerReferences" not in child["metadata"]
    opened(abroad)
    assert denied("revoked") == said
    people.delete("allowed")
    people.namespace.wait(lambda: "allowed" not in map(name_of, people.all()), "its end")
    assert abroad.status(name_of(child))["phase"] == "Succeeded", "a record of its own namespace"
    abroad.kubectl("delete", "sm", "work")


def test_a_namespace_that_is_not_served(people: People, operator: OperatorProcess) -> None:
    state = {**at(people)}
    state["Parameters"] = {**state["Parameters"], "namespace": "kube-system"}
    people.run("unserved", chain(A=state))
    assert "this operator does not serve it" in people.fails("unserved")["cause"]


@pytest.mark.parametrize("deed", ["stop", "delete", "timeout"])
def test_who_ends_the_parent_stops_the_child_abroad(
    people: People, abroad: People, operator: OperatorProcess, deed: str
) -> None:
    abroad.machine(f"{deed}-lower", chain(H=task(HANG)))
    abroad.machine("work", chain(B=starts(f"{deed}-lower")), callers={"namespaces": ["*"]})
    limit = {"TimeoutSeconds": 6} if deed == "timeout" else {}
    made = people.run(f"{deed}-top", chain(A=at(abroad, **limit)))
    middle = sent(abroad, made)
    lower = a_child(abroad, name_of(middle), lambda obj: abroad.jobs(uid_of(obj)))
    if deed == "stop":
        people.patch("stop-top", {"stop": {}})
    elif deed == "delete":
        people.delete("delete-top")
    for child in (middle, lower):
        status = abroad.ends(name_of(child))
        assert (status["phase"], status["error"]) == ("Aborted", "Treadle.ParentEnded")
    told = abroad.status(name_of(middle))["cause"]
    assert f"Execution {deed}-top of namespace {people.namespace.name}, does not" in told
    nothing_runs(abroad, lower)
    abroad.kubectl("delete", "sm", "work")


def test_killed_at_each_step_a_child_abroad_is_one(
    loner: People, cluster: Cluster, tmp_path: Path
) -> None:
    with (
        somebody(cluster) as far,
        an_operator(tmp_path / "operator.log", loner, far) as own,
    ):
        work = chain(Work=task({"seconds": 4, "message": "7"}))
        far.machine("work", work, callers={"namespaces": [loner.namespace.name]})
        loner.machine("upper", chain(A=at(far, OutputPath="$.output"), Last=passes()))
        made: dict[str, Obj] = {}
        steps: dict[str, Callable[[Obj], Any]] = {
            "made": lambda _: True,
            "child": lambda top: sent(far, top),
            "job": lambda top: far.jobs(uid_of(sent(far, top))),
            "ended": lambda top: is_over(sent(far, top).get("status", {})),
        }
        for step, reached in steps.items():
            made[step] = loner.execution(step, "upper")
            loner.namespace.wait(partial(reached, made[step]), f"step {step}")
            own.kill()
            own.start()
        for step in steps:
            assert loner.succeeds(step, seconds=90) == 7, step
        assert len(far.all()) == len(steps), "one each"
        far.machine("hangs", chain(H=task(HANG)), callers={"namespaces": ["*"]})
        deleted = loner.run("deleted", chain(A=at(far, "hangs")))
        child = sent(far, deleted, lambda obj: far.jobs(uid_of(obj)))
        own.kill()
        loner.delete("deleted")
        own.start()
        assert far.ends(name_of(child))["error"] == "Treadle.ParentEnded"
