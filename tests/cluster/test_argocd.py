"""Argo CD's health checks on the real API server, and its waves played with real manifests.

GOLDEN_WRITE=1 keeps the objects for the tests that need no cluster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.machines import chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, REVISIONS, People, condition_of, uid_of
from tests.support import argocd

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend"), pytest.mark.timeout(300)]

Obj = dict[str, Any]

HANG = task({"hang": True})
PHASES = (
    *("machine-new", "machine-ready", "machine-invalid", "machine-changed"),
    *("execution-new", "execution-pending", "execution-running", "execution-map"),
    *("execution-capacity", "execution-suspended", "execution-parked", "execution-succeeded"),
    *("execution-failed", "execution-not-started", "execution-timed-out"),
    *("execution-aborted", "execution-aborted-silently"),
)


@pytest.fixture(scope="module")
def phases(
    cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Obj]]:
    """An object in each phase, as the API server has it."""
    log = tmp_path_factory.mktemp("argocd") / "operator.log"
    with cluster.namespace() as space:
        people = People(space)
        operator = OperatorProcess(cluster.kubeconfig, log, namespaces=[space.name])
        found = _unseen(people)
        with operator:
            found |= _seen(people)
            people.judged("machine")
            operator.kill()
            found |= _changed(people)
            operator.start()
            found["execution-parked"] = _held(people, "parked", "Parked")
        people.free_pods()
        yield found


def _unseen(people: People) -> dict[str, Obj]:
    """Before there is an operator."""
    people.run("machine", chain(Rest=passes(), Done=passes(Result={"n": 1})))
    return {
        "machine-new": people.get("machine", MACHINES),
        "execution-new": people.get("machine"),
    }


def _seen(people: People) -> dict[str, Obj]:
    """What an operator makes of them."""
    first = {"Variable": "$.n", "NumericEquals": 0, "Next": "Quick"}
    few = {"Type": "Choice", "Choices": [first], "Default": "Hang"}
    items = [{"n": n} for n in range(3)]
    nowhere = {"spec": {"nodeSelector": {"treadle.dev/test": "nowhere"}}}
    broken = {"exitCode": 1, "message": json.dumps({"error": "Shop.SoldOut", "cause": "no more"})}

    people.machine("hang", chain(Hang=HANG))
    people.machine("wrong", chain(Only={"Type": "Dance"}))
    people.execution("pending", "nowhere", startDeadlineSeconds=600)
    people.machine("map", chain(Every=each(chain(Few=few, Quick=passes(End=True), Hang=HANG))))
    people.execution("map", inputJson=json.dumps(items))
    people.machine("capacity", chain(Hang=HANG), podTemplate=nowhere)
    people.run("failed", chain(Buy=task(broken)))
    people.run("timed-out", chain(Hang=HANG) | {"TimeoutSeconds": 1})
    for name in ("running", "suspended", "parked", "aborted", "aborted-silently"):
        people.execution(name, "parked" if name == "parked" else "hang")
    people.machine("parked", chain(Hang=HANG))
    people.execution("capacity")
    people.execution("not-started", "wrong")

    for name in ("running", "suspended", "parked", "aborted", "aborted-silently"):
        people.a_pod(uid_of(people.get(name)))
    people.patch("suspended", {"suspend": True})
    people.patch("aborted", {"stop": {"error": "Enough", "cause": "we changed our mind"}})
    people.patch("aborted-silently", {"stop": {}})

    ended = ("failed", "timed-out", "aborted", "aborted-silently", "not-started")
    for name in ("machine", *ended):
        people.ends(name)
    people.reaches("pending", lambda s: s.get("phase") == "Pending", "phase Pending")
    people.reaches("map", lambda s: (s.get("progress") or {}).get("done") == 1, "one item done")
    people.judged("wrong")
    return {
        "machine-ready": people.get("machine", MACHINES),
        "machine-invalid": people.get("wrong", MACHINES),
        "execution-succeeded": people.get("machine"),
        "execution-capacity": _held(people, "capacity", "WaitingForCapacity"),
        "execution-suspended": _held(people, "suspended", "Suspended"),
        **{f"execution-{name}": people.get(name) for name in ("pending", "running", "map", *ended)},
    }


def _changed(people: People) -> dict[str, Obj]:
    """What people do while there is no operator."""
    changed = {"spec": {"definition": chain(Other=passes())}}
    people.kubectl("patch", "sm", "machine", "--type=merge", "-p", json.dumps(changed))
    revision = people.status("parked")["revision"]
    people.delete("parked", MACHINES)
    people.delete(revision, REVISIONS)
    return {"machine-changed": people.get("machine", MACHINES)}


def _held(people: People, name: str, condition: str) -> Obj:
    people.holds(name, condition, seconds=90)
    return people.get(name)


@pytest.mark.parametrize("name", PHASES)
def test_what_is_said_of_a_live_object_is_said_of_the_recorded_one(
    phases: dict[str, Obj], name: str
) -> None:
    if os.environ.get("GOLDEN_WRITE") == "1":
        argocd.record(name, phases[name])
    live = argocd.health(phases[name])
    plain = argocd.Health(live.status, argocd.plain(live.message))
    assert plain == argocd.health(argocd.recorded(name))


# ------------------------------------------------------------------------------------- the waves

_APPLY = ("apply", "--server-side", "--field-manager=argocd-controller")


def test_argo_cd_would_go_on_from_wave_to_wave_and_run_nothing_twice(
    loner: People, tmp_path: Path
) -> None:
    folder = argocd.EXAMPLE / "manifests"
    waves = [folder / f"{name}.yaml" for name in ("machine", "execution", "hook")]
    where = loner.namespace
    log = tmp_path / "operator.log"
    with OperatorProcess(where.cluster.kubeconfig, log, namespaces=[where.name]):
        first = [_synced(loner, manifest) for manifest in waves]
        # A sync that finds everything as it is goes past what is there.
        again = [_synced(loner, manifest) for manifest in waves]
    for before, after in zip(first, again, strict=True):
        assert before["metadata"] == after["metadata"]
        assert before["status"] == after["status"]
    assert len(loner.jobs()) == 2, "one for each Execution"
    refused = _refusal(loner, (folder / "hook.yaml").read_text(encoding="utf-8"))
    assert "cannot be changed once an Execution is created: create another" in refused


def _synced(people: People, manifest: Path) -> Obj:
    """Apply it as Argo CD does and wait until it is Healthy; gives the object."""
    applied = json.loads(people.kubectl(*_APPLY, "-o", "json", "-f", str(manifest)))
    plural = MACHINES if applied["kind"] == "StateMachine" else "executions"
    name = applied["metadata"]["name"]
    said: list[argocd.Health] = []

    def healthy() -> Obj | None:
        obj = people.get(name, plural)
        said.append(argocd.health(obj))
        assert said[-1].status in ("Progressing", "Healthy"), said
        return obj if said[-1].status == "Healthy" else None

    found = people.namespace.wait(healthy, f"{name} to be Healthy")
    assert condition_of(found["status"], "Ready" if plural == MACHINES else "Complete")
    return found


def _refusal(people: People, text: str) -> str:
    """What is said against the manifest with another input."""
    assert "day: check" in text
    other = text.replace("day: check", "day: tomorrow")
    try:
        people.kubectl(*_APPLY, "-f", "-", text=other)
    except AssertionError as refused:
        return str(refused)
    return ""
