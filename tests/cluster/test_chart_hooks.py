"""What the chart's hooks run, with their own rights, on a real API server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support.charted import signed_in
from tests.cluster.support.machines import chain, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import RESULT_FINALIZER, People, kubectl, uid_of
from tests.support import chart

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds", "pretend")]

JOBS_OWN = "batch.kubernetes.io/job-tracking"


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Namespace]:
    with cluster.namespace() as made:
        yield made
        # What is in no namespace does not go with it, and would be taken for another release's.
        kinds, label = "clusterroles,clusterrolebindings", "app.kubernetes.io/instance=treadle"
        shown = kubectl(made.cluster.kubeconfig, "get", kinds, "-l", label, "-o", "name").split()
        if own := [name for name in shown if name.endswith(made.name)]:
            kubectl(made.cluster.kubeconfig, "delete", *own)


def kubeconfig_of(home: Namespace, hook: str, values: dict[str, Any], folder: Path) -> Path:
    """Make a hook's account with its rights, as Helm does; gives a kubeconfig of it."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    objs = [
        obj
        for obj in chart.of_kind(chart.objects(values, namespace=home.name), *kinds)
        if chart.hook_of(obj) == hook
    ]
    (account,) = [obj["metadata"]["name"] for obj in objs if obj["kind"] == "ServiceAccount"]
    kubectl(home.cluster.kubeconfig, "apply", "-f", "-", text=yaml.safe_dump_all(objs))
    return signed_in(home, account, folder / f"{hook}.kubeconfig")


def treadle(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run our own command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "treadle", *words],
        env={
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(places.ROOT / "operator"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def finalizers(people: People, pod: str) -> list[str]:
    found = people.namespace.core.read_namespaced_pod(pod, people.namespace.name)
    return list(found.metadata.finalizers or [])


@pytest.mark.parametrize("scope", ["cluster", "namespaces"])
def test_the_uninstall_hook_frees_our_pods_and_no_others(
    scope: str, home: Namespace, people: People, tmp_path: Path
) -> None:
    namespaces = [people.namespace.name] if scope == "namespaces" else []
    values = {"scope": scope, "namespaces": namespaces}
    log = tmp_path / "operator.log"
    serves = [people.namespace.name]
    with OperatorProcess(people.namespace.cluster.kubeconfig, log, namespaces=serves) as operator:
        made = people.run(f"left-{scope}", chain(Hang=task({"hang": True})))
        pod = people.a_pod(uid_of(made))["metadata"]["name"]
        assert operator.terminate() == 0
    stranger = f"stranger-{scope}"
    container = {"name": "main", "image": "i"}
    metadata = {"name": stranger, "finalizers": [RESULT_FINALIZER]}
    people.namespace.core.create_namespaced_pod(
        people.namespace.name, {"metadata": metadata, "spec": {"containers": [container]}}
    )
    assert set(finalizers(people, pod)) == {RESULT_FINALIZER, JOBS_OWN}

    config = kubeconfig_of(home, "post-delete", values, tmp_path)
    where = [f"--namespace={name}" for name in namespaces] or ["--all-namespaces"]
    done = treadle(config, "free-pods", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" Pods freed.\n")
    assert finalizers(people, pod) == [JOBS_OWN]
    assert finalizers(people, stranger) == [RESULT_FINALIZER], "no label says that it is ours"
    assert people.status(f"left-{scope}")["phase"] == "Running", "executions stay"


def test_what_the_uninstall_hook_may_not_do_it_says(
    home: Namespace, people: People, tmp_path: Path
) -> None:
    values = {"scope": "namespaces", "namespaces": [home.name]}
    config = kubeconfig_of(home, "post-delete", values, tmp_path)
    done = treadle(config, "free-pods", "--namespace", people.namespace.name)
    assert done.returncode == 1
    assert "pods is forbidden" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_test_hook_runs_an_execution(home: Namespace, loner: People, tmp_path: Path) -> None:
    name = loner.namespace.name
    values = {"scope": "namespaces", "namespaces": [name]}
    config = kubeconfig_of(home, "test", values, tmp_path)
    alone = treadle(config, "try", f"--namespace={name}", "--seconds=1")
    assert alone.returncode == 1
    assert "does an operator run, and does it serve this namespace?" in alone.stderr
    log = tmp_path / "operator.log"
    with OperatorProcess(loner.namespace.cluster.kubeconfig, log, namespaces=[name]):
        done = treadle(config, "try", f"--namespace={name}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" succeeded.\n")
    assert loner.all() == [], "it leaves nothing behind"
    assert loner.all("statemachines") == []
