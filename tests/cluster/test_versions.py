"""Versions and aliases on the real API server: published, picked, withdrawn, across kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab import places
from tests.cluster.support.machines import chain, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import ALIASES, MACHINES, REVISIONS, Obj, People
from tests.cluster.test_children import AWS, starts

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend")]

ACCOUNT = "111122223333"


@pytest.fixture(scope="module")
def operator(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    log = tmp_path_factory.mktemp("versions") / "operator.log"
    kubeconfig = people.namespace.cluster.kubeconfig
    names = [people.namespace.name]
    with OperatorProcess(kubeconfig, log, namespaces=names, account=ACCOUNT) as started:
        yield started
        assert started.running, started.tail


def says(word: str) -> Obj:
    return chain(Say=passes(Result=word))


def publish(people: People, name: str, word: str, id_: str) -> int:
    """Apply a machine with a new id; gives the number of the version."""
    spec = {"definition": says(word), "publish": {"id": id_}}
    try:
        people.create("StateMachine", MACHINES, name, spec)
    except ApiException as why:
        if why.status != 409:
            raise
        patch(people, MACHINES, name, {"spec": spec})

    def is_published(status: Obj) -> bool:
        is_it = status.get("version", {}).get("id") == id_
        return is_it and condition(status, "Published").get("status") == "True"

    status = people.reaches(name, is_published, f"version {id_}", plural=MACHINES)
    return int(status["version"]["number"])


def patch(people: People, plural: str, name: str, change: Obj) -> Obj:
    custom, space = people.namespace.custom, people.namespace.name
    found: Obj = custom.patch_namespaced_custom_object(
        "treadle.dev", "v1alpha1", space, plural, name, change
    )
    return found


def condition(status: Obj, kind: str) -> Obj:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def alias(
    people: People, object_: str, machine: str, *routes: tuple[int, int], **more: Any
) -> None:
    listed = [{"version": version, "weight": weight} for version, weight in routes]
    spec = {"stateMachineRef": {"name": machine}, "routes": listed, **more}
    people.create("StateMachineAlias", ALIASES, object_, spec)


def start(people: People, name: str, machine: str, **ref: Any) -> None:
    people.create("Execution", "executions", name, {"stateMachineRef": {"name": machine, **ref}})


def treadle(people: People, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "KUBECONFIG": str(people.namespace.cluster.kubeconfig),
        "PYTHONPATH": str(places.ROOT / "operator"),
    }
    command = [sys.executable, "-m", "treadle", *words, "--namespace", people.namespace.name]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=90)


def refused(people: People, kind: str, plural: str, name: str, spec: Obj) -> str:
    with pytest.raises(ApiException) as why:
        people.create(kind, plural, name, spec)
    assert why.value.status == 422
    return str(json.loads(why.value.body)["message"])


# ----------------------------------------------------------------------------------- publishing


def test_what_is_published_has_a_number_and_runs_by_it(
    people: People, operator: OperatorProcess
) -> None:
    assert publish(people, "hello", "one", "a") == 1
    assert publish(people, "hello", "two", "b") == 2
    assert publish(people, "hello", "one", "c") == 1
    labelled = people.kubectl(
        "get", "smr", "-l", "treadle.dev/version=1", "-o", "jsonpath={.items[*].spec.definition}"
    )
    assert '"one"' in labelled
    patch(people, MACHINES, "hello", {"spec": {"definition": {"StartAt": "B", "States": None}}})
    for number, word in ((1, "one"), (2, "two")):
        start(people, f"hello-{number}", "hello", version=number)
        assert people.succeeds(f"hello-{number}") == word
        assert people.status(f"hello-{number}")["version"] == number
    shown = people.kubectl("get", "smr", "--field-selector", "spec.stateMachine=hello")
    assert "VERSION" in shown.splitlines()[0]
    shown = people.kubectl("get", "ex", "hello-2", "-o", "wide")
    assert "VERSION" in shown.splitlines()[0]


def test_the_commands(people: People, operator: OperatorProcess) -> None:
    people.machine("commanded", says("one"))
    found = treadle(people, "publish", "commanded", "--description", "the first")
    assert found.stdout.rstrip().endswith(" is version 1"), found.stderr
    patch(people, MACHINES, "commanded", {"spec": {"definition": says("two")}})
    assert treadle(people, "publish", "commanded").stdout.rstrip().endswith(" is version 2")
    alias(people, "commanded-live", "commanded", (1, 100), name="live")
    rows = treadle(people, "versions", "commanded").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["VERSION", "2", "1"]
    assert "live 100%   the first" in rows[2]
    found = treadle(people, "start", "commanded", "--alias", "live", "--name", "commanded-1")
    assert found.returncode == 0, found.stderr
    assert people.succeeds("commanded-1") == "one"
    found = treadle(people, "unpublish", "commanded", "1")
    assert (found.returncode, "named by the alias 'live'" in found.stderr) == (2, True)
    found = treadle(people, "unpublish", "commanded", "2")
    assert found.stdout.rstrip().endswith("is no version any more"), found.stderr
    # Its number is not given again, though what is published is the same.
    assert treadle(people, "publish", "commanded").stdout.rstrip().endswith(" is version 3")


def test_what_there_is_not_is_waited_for(people: People, operator: OperatorProcess) -> None:
    publish(people, "early", "one", "a")
    start(people, "early-1", "early", version=2)
    start(people, "early-2", "early", alias="live")
    people.reaches(
        "early-1", lambda s: s.get("message") == "StateMachine 'early' has no version 2", "pending"
    )
    people.reaches(
        "early-2", lambda s: s.get("message") == "StateMachine 'early' has no alias 'live'", "it"
    )
    alias(people, "early-live", "early", (2, 100), name="live")
    people.reaches(
        "early-live",
        lambda s: condition(s, "Ready").get("reason") == "VersionMissing",
        "a sentence",
        plural=ALIASES,
    )
    publish(people, "early", "two", "b")
    assert people.succeeds("early-1") == "two"
    assert people.succeeds("early-2") == "two"
    people.holds("early-live", "Ready", plural=ALIASES)


def test_and_not_for_ever(people: People, operator: OperatorProcess) -> None:
    publish(people, "never", "one", "a")
    people.create(
        "Execution",
        "executions",
        "never-1",
        {"stateMachineRef": {"name": "never", "version": 9}, "startDeadlineSeconds": 2},
    )
    status = people.fails("never-1")
    assert status["error"] == "Treadle.StartDeadlineExceeded"
    assert "StateMachine 'never' has no version 9" in status["cause"]


# -------------------------------------------------------------------------------------- aliases


def test_the_shares_of_an_alias_hold_across_a_kill(
    people: People, operator: OperatorProcess
) -> None:
    for word, id_ in (("one", "a"), ("two", "b")):
        publish(people, "shared", word, id_)
    alias(people, "shared-live", "shared", (1, 90), (2, 10), name="live")
    heads, row = (r.split() for r in people.kubectl("get", "sma", "shared-live").splitlines())
    assert heads == ["NAME", "MACHINE", "VERSION", "WEIGHT", "OTHER", "READY", "AGE"]
    assert row[:5] == ["shared-live", "shared", "1", "90", "2"]
    for n in range(200):
        start(people, f"shared-{n}", "shared", alias="live")
        if n == 100:
            operator.kill()
    before = {n: people.status(f"shared-{n}").get("version") for n in range(0, 200, 5)}
    operator.start()
    outputs = {n: people.succeeds(f"shared-{n}", seconds=120) for n in range(200)}
    statuses = {n: people.status(f"shared-{n}") for n in range(200)}
    for n, number in before.items():
        assert number in (None, statuses[n]["version"])
    words = {1: "one", 2: "two"}
    assert {n: words[status["version"]] for n, status in statuses.items()} == outputs
    assert {status["alias"] for status in statuses.values()} == {"live"}
    # By their uids, which are random: five standard deviations around 20.
    assert 1 <= Counter(outputs.values())["two"] <= 41


def test_what_the_api_server_refuses(people: People) -> None:
    ref = {"stateMachineRef": {"name": "m"}}

    def routes(*weights: int, versions: Any = (1, 2)) -> Obj:
        listed = [{"version": v, "weight": w} for v, w in zip(versions, weights, strict=False)]
        return {**ref, "routes": listed}

    kind = ("StateMachineAlias", ALIASES)
    assert "must make 100" in refused(people, *kind, "x", routes(90, 11))
    assert "must make 100" in refused(people, *kind, "x", routes(99))
    assert "two versions" in refused(people, *kind, "x", routes(50, 50, versions=(1, 1)))
    assert "routes" in refused(people, *kind, "x", {**ref, "routes": []})
    assert "not digits alone" in refused(people, *kind, "12", routes(100))
    assert "spec.name" in refused(people, *kind, "x", {**routes(100), "name": "12"})
    both = {"stateMachineRef": {"name": "m", "version": 1, "alias": "live"}}
    assert "exclude each other" in refused(people, "Execution", "executions", "x", both)
    people.create(*kind, "12", {**routes(100), "name": "live"})
    with pytest.raises(ApiException, match="make another alias"):
        patch(people, ALIASES, "12", {"spec": {"name": "other"}})
    people.delete("12", ALIASES)


# ------------------------------------------------------------------------------------- children


def test_children_of_versions(people: People, operator: OperatorProcess) -> None:
    for word, id_ in (("one", "a"), ("two", "b")):
        publish(people, "below", word, id_)
    alias(people, "below-live", "below", (1, 100), name="live")
    aws = starts("below:live", f"{AWS}.sync:2", ResultPath="$.aws")
    native = starts("below", given={"version": 2}, ResultPath="$.native")
    gone = starts("below:7", f"{AWS}.sync", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "End"}])
    people.run("above", chain(A=aws, N=native, G=gone, End=passes()), input={})
    # What is caught replaces the input; the children tell the rest.
    assert "State Machine Does Not Exist" in people.succeeds("above")["Cause"]
    items = json.loads(people.kubectl("get", "ex", "-l", "treadle.dev/parent=above", "-o", "json"))[
        "items"
    ]
    found = {json.loads(i["status"]["output"]): i["status"] for i in items}
    assert (found["one"]["version"], found["one"]["alias"]) == (1, "live")
    assert found["two"]["version"] == 2
    assert "alias" not in found["two"]


# --------------------------------------------------------------------------------------- the end


def test_what_runs_a_version_goes_on_without_the_machine(
    people: People, operator: OperatorProcess
) -> None:
    definition = chain(Work=task({"seconds": 5}), Say=passes(Result="done"))
    spec = {"definition": definition, "publish": {"id": "a"}}
    people.create("StateMachine", MACHINES, "leaving", spec)
    people.holds("leaving", "Published", plural=MACHINES)
    start(people, "leaving-1", "leaving", version=1)
    revision = people.reaches("leaving-1", lambda s: "revision" in s, "its start")["revision"]
    people.delete("leaving", MACHINES)
    operator.kill()
    operator.start()
    assert people.succeeds("leaving-1") == "done"
    # Under the same name it goes on counting, and what was published before can be started again.
    assert publish(people, "leaving", "other", "b") == 2
    start(people, "leaving-2", "leaving", version=1)
    assert people.succeeds("leaving-2") == "done"
    assert people.status("leaving-2")["revision"] == revision
    assert people.get(revision, REVISIONS)["metadata"]["labels"]["treadle.dev/version"] == "1"
