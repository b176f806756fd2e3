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
    pytest.skip(reason)


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


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip a test marked `cluster` or `node` where what it needs is not there."""
    if request.node.get_closest_marker("cluster"):
        request.getfixturevalue("cluster")
    needs_node = request.node.get_closest_marker("node")
    if needs_node and request.getfixturevalue("node_kind") != places.REAL:
        pytest.skip("no containers run on the pretend node; `make cluster` starts a real one")
