"""Fixtures of the tests that need a Kubernetes.

The one rule: a test that cannot run says why; under TREADLE_REQUIRE_CLUSTER=1 it fails instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support import charted
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, apply_crds


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that KUBECONFIG names, else the one of `make control-plane` or `make cluster`."""
    named = os.environ.get("KUBECONFIG")
    try:
        return Cluster.reach(Path(named) if named else places.KUBECONFIG)
    except ConnectionError as away:
        reason = f"no cluster ({away}); `make control-plane` or `make cluster` starts one"
    if os.environ.get("TREADLE_REQUIRE_CLUSTER") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)  # it names the command that starts one; in CI this is a failure


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The kubeconfig file of a cluster that answers."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def node_kind(cluster: Cluster) -> str:
    """`pretend` or `real`: whether containers run on this cluster."""
    return cluster.node_kind()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A fresh namespace, deleted at the end of the test."""
    with cluster.namespace() as made:
        yield made


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    """Our custom resources are served."""
    apply_crds(cluster.kubeconfig)


@pytest.fixture(scope="session")
def own_image(cluster: Cluster) -> None:
    """Our own image is on the node, which must be the lab's."""
    charted.give_image(cluster)


@pytest.fixture
def pretend(node_kind: str) -> None:
    """Skip where pods are not played by the pretend node."""
    if node_kind != places.PRETEND:
        pytest.skip("scripts are for the pretend node; `make control-plane` starts it")


@pytest.fixture
def loner(crds: None, namespace: Namespace) -> Iterator[People]:
    """A user of a fresh namespace that no operator serves unless the test starts one."""
    alone = People(namespace)
    yield alone
    alone.free_pods()


@pytest.fixture(scope="module")
def people(cluster: Cluster, crds: None) -> Iterator[People]:
    """A user of the module's namespace."""
    with cluster.namespace() as made:
        several = People(made)
        yield several
        several.free_pods()


@pytest.fixture(scope="module")
def operator(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator that serves the module's namespace; its tests may call loopback addresses."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    names = [people.namespace.name]
    kubeconfig = people.namespace.cluster.kubeconfig
    settings = {"http_allow_loopback": "true", "start_failure_seconds": "5"}
    with OperatorProcess(kubeconfig, log, namespaces=names, **settings) as started:
        yield started
        assert started.running, started.tail


@pytest.fixture(scope="module")
def installation(cluster: Cluster, crds: None) -> Iterator[charted.Installation]:
    """The chart's policies and roles; its operator, if any, is a process of the test."""
    with charted.with_policies(cluster) as release:
        yield release


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip a test marked `cluster` or `node` where what it needs is not there."""
    if request.node.get_closest_marker("cluster"):
        request.getfixturevalue("cluster")
    needs_node = request.node.get_closest_marker("node")
    if needs_node and request.getfixturevalue("node_kind") != places.REAL:
        pytest.skip("no containers run on the pretend node; `make cluster` starts a real one")
