"""`helm install`, `helm test` and `helm uninstall` of our own image on a real node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support.charted import (
    RELEASE,
    a_home,
    adopt_kinds,
    helm,
    image_values,
    running,
)
from tests.cluster.support.machines import chain, job
from tests.cluster.support.people import RESULT_FINALIZER, People, kubectl, uid_of
from tests.support import chart

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.node,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("own_image", "adoptable"),
]


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Namespace]:
    """The release's namespace."""
    with a_home(cluster) as made:
        yield made


@pytest.fixture
def adoptable(crds: None, home: Namespace) -> None:
    """The kinds are there already; Helm takes over what says that it is the release's."""
    adopt_kinds(home.cluster, home.name)


def left_over(home: Namespace, people: People) -> list[str]:
    """Objects of the release that are still there, kinds aside."""
    kinds = (
        "clusterroles,clusterrolebindings,validatingadmissionpolicies,"
        "validatingadmissionpolicybindings,roles,rolebindings,serviceaccounts,deployments,services,"
        "poddisruptionbudgets,jobs"
    )
    found = []
    for namespace in (home.name, people.namespace.name):
        label = f"app.kubernetes.io/instance={RELEASE}"
        words = ("get", kinds, "-n", namespace, "-l", label, "-o", "name")
        found += kubectl(home.cluster.kubeconfig, *words).split()
    return found


def run_a_job(people: People, name: str) -> None:
    """A Job whose container answers, through the operator in the cluster."""
    command = ["sh", "-c", 'cat "$TREADLE_INPUT_FILE" > "$TREADLE_RESULT_FILE"']
    people.run(name, chain(Echo=job(command)), input={"n": 1})
    assert people.succeeds(name, seconds=90) == {"n": 1}


def leave_one_running(people: People) -> str:
    """An Execution in its midst; gives the name of its Pod."""
    made = people.run("left", chain(Hang=job(["sleep", "600"])))
    pod = people.a_pod(uid_of(made), seconds=90)
    assert RESULT_FINALIZER in pod["metadata"]["finalizers"]
    return str(pod["metadata"]["name"])


def is_free(people: People, pod: str) -> bool:
    try:
        found = people.namespace.core.read_namespaced_pod(pod, people.namespace.name)
    except ApiException as why:
        if why.status != 404:
            raise
        # It was deleted, which a held one could not be.
        return True
    return RESULT_FINALIZER not in (found.metadata.finalizers or [])


def follow_the_notes(home: Namespace, notes: str) -> str:
    """Do what the notes say; gives what the last command prints."""
    manifest = re.search(r"-f - <<'END'\n(.*?)\nEND\n", notes, re.DOTALL)
    assert manifest
    (namespace,) = set(re.findall(r"kubectl \w+.* --namespace (\S+)", notes))
    config = home.cluster.kubeconfig
    where = ("--namespace", namespace)
    kubectl(config, "apply", "--server-side", *where, "-f", "-", text=manifest[1])
    wait = ("wait", *where, "--for=condition=Complete", "--timeout=60s", "ex/greet-1")
    kubectl(config, *wait)
    shown = kubectl(config, "get", *where, "ex/greet-1", "-o", "jsonpath={.status.output}")
    kubectl(config, "delete", *where, "ex/greet-1", "sm/greet")
    return shown


def test_a_whole_cluster_is_served_until_it_is_uninstalled(home: Namespace, loner: People) -> None:
    with helm(home) as release, running(home, {}) as made:
        tested = release.test(RELEASE, timeout=120, logs=True)
        assert "succeeded" in tested["logs"], tested
        notes = chart.templates(image_values(), name=RELEASE, namespace=home.name)[
            "templates/NOTES.txt"
        ]
        assert made["name"] == RELEASE
        assert json.loads(follow_the_notes(home, notes)) == {"hello": "Ada"}
        run_a_job(loner, "first")
        pod = leave_one_running(loner)
        release.uninstall(RELEASE, timeout=120, wait="watcher")
        loner.namespace.wait(lambda: is_free(loner, pod), "the Pod to be let go")
    # What people have stays, and so do its kinds.
    assert loner.status("left")["phase"] == "Running"
    home.wait(lambda: not left_over(home, loner), "the release to be gone")


def test_named_namespaces_are_served_with_rights_in_them_alone(
    home: Namespace, loner: People, cluster: Cluster
) -> None:
    values = {"scope": "namespaces", "namespaces": [loner.namespace.name], "replicas": 2}
    with helm(home) as release, running(home, values):
        assert "succeeded" in release.test(RELEASE, timeout=120, logs=True)["logs"]
        run_a_job(loner, "first")
        with cluster.namespace() as elsewhere:
            stranger = People(elsewhere)
            stranger.run("not-served", chain(Echo=job(["true"])))
            # The one that is served comes after it and ends.
            run_a_job(loner, "second")
            assert stranger.status("not-served") == {}
        pod = leave_one_running(loner)
        release.uninstall(RELEASE, timeout=120, wait="watcher")
        loner.namespace.wait(lambda: is_free(loner, pod), "the Pod to be let go")
    assert loner.status("left")["phase"] == "Running"
    home.wait(lambda: not left_over(home, loner), "the release to be gone")


def test_an_execution_goes_on_after_a_reinstallation(home: Namespace, loner: People) -> None:
    values = {"scope": "namespaces", "namespaces": [loner.namespace.name]}
    with running(home, values):
        made = loner.run("again", chain(Rest=job(["sleep", "8"]), Echo=job(["true"])))
        loner.a_pod(uid_of(made), seconds=90)
    with running(home, values):
        loner.ends("again", seconds=120)
        assert loner.status("again")["phase"] == "Succeeded"
