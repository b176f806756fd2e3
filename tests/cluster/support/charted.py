"""The chart, installed by Helm on the cluster, and who signs in as whom there.

The one rule: rights are those that the API server enforces; the administrator only prepares.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helm_python import Config
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab import node, operator_image, places
from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support.people import kubectl
from tests.support import chart
from tests.support.chart import Obj, Right

RELEASE = "treadle"
TOKEN_SECONDS = 3600
READY_SECONDS = 60
PAST = "2020-01-01T00:00:00Z"
# The kinds are there already, and no Pod: the operator is a process of the test.
BESIDE = {"crds": {"install": False}, "replicas": 0}


@dataclass(frozen=True)
class Installation:
    """A release and what its operator may do."""

    namespace: Namespace
    values: Mapping[str, Any]

    @property
    def user(self) -> str:
        """The operator, as the API server knows it."""
        account = chart.account(self._objects)
        return f"system:serviceaccount:{self.namespace.name}:{account}"

    @property
    def rights(self) -> set[Right]:
        """What the operator may do somewhere."""
        return chart.rights(self._objects, chart.account(self._objects))

    @property
    def _objects(self) -> list[Obj]:
        return chart.objects(self.values, name=RELEASE, namespace=self.namespace.name)

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig file of the operator's service account."""
        account = chart.account(self._objects)
        return signed_in(self.namespace, account, folder / "operator.kubeconfig")


@contextmanager
def installed(cluster: Cluster, values: Mapping[str, Any], **how: Any) -> Iterator[Installation]:
    """Install the chart in a namespace of its own, and uninstall it."""
    with cluster.namespace() as namespace, helm(namespace) as release:
        release.install(chart.FOLDER, RELEASE, dict(values), **how)
        try:
            yield Installation(namespace, values)
        finally:
            release.uninstall(RELEASE, timeout=120)


@contextmanager
def with_policies(cluster: Cluster) -> Iterator[Installation]:
    """The chart without its Pods, once the API server knows its policies."""
    with installed(cluster, BESIDE) as release:
        # The API server reads policies in a moment of its own.
        release.namespace.wait(lambda: late_job(release.namespace, PAST), "the policies")
        yield release


def helm(namespace: Namespace) -> Config:
    """Helm, signed in as the administrator, working in a namespace."""
    return Config(kubeconfig_path=namespace.cluster.kubeconfig, namespace=namespace.name)


def image_values(tag: str = operator_image.TAG) -> dict[str, Any]:
    """Values that name an image which is on the node already."""
    repository = operator_image.REPOSITORY.removeprefix("docker.io/library/")
    return {"image": {"repository": repository, "tag": tag, "pullPolicy": "Never"}}


def give_image(cluster: Cluster, tag: str = operator_image.TAG, *, version: str = "") -> None:
    """Give the lab's node our own image; see `operator_image.make`. Skips on other clusters."""
    if cluster.kubeconfig != places.KUBECONFIG or cluster.node_kind() != places.REAL:
        pytest.skip("only the lab's own node can be given an image by this test")
    node.load_image(operator_image.make(tag, version=version))


@contextmanager
def a_home(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace for a release; it takes restricted Pods only."""
    with cluster.namespace() as made:
        label = {"pod-security.kubernetes.io/enforce": "restricted"}
        made.core.patch_namespace(made.name, {"metadata": {"labels": label}})
        yield made


def adopt_kinds(cluster: Cluster, namespace: str) -> None:
    """Let a release there take over our kinds, as Helm does with what says that it is its own."""
    crds = str(places.ROOT / "crds")
    said = (f"meta.helm.sh/release-name={RELEASE}", f"meta.helm.sh/release-namespace={namespace}")
    kubectl(cluster.kubeconfig, "annotate", "--overwrite", "-f", crds, *said)
    label = "app.kubernetes.io/managed-by=Helm"
    kubectl(cluster.kubeconfig, "label", "--overwrite", "-f", crds, label)


@contextmanager
def running(home: Namespace, values: Mapping[str, Any]) -> Iterator[Any]:
    """The release, once its operator is ready; whatever a test leaves of it is removed."""
    with helm(home) as release:
        try:
            yield release.install(
                chart.FOLDER,
                RELEASE,
                {**image_values(), **values},
                wait="watcher",
                timeout=READY_SECONDS,
            )
        except Exception as failed:
            failed.add_note(seen_in(home))
            raise
        finally:
            release.uninstall(RELEASE, ignore_not_found=True, timeout=120, wait="watcher")


def seen_in(home: Namespace) -> str:
    """What the release's Pods and their Events say."""
    config, where = home.cluster.kubeconfig, ("-n", home.name)
    logs = ("logs", *where, "--prefix", "--tail=40", "-l", f"app.kubernetes.io/instance={RELEASE}")
    said = [kubectl(config, "get", "pods,events", *where)]
    with suppress(AssertionError):  # there is no log before a container
        said.append(kubectl(config, *logs))
    return "\n".join(said)


def signed_in(namespace: Namespace, account: str, file: Path) -> Path:
    """Write a kubeconfig with a token of a service account."""
    request = {"spec": {"expirationSeconds": TOKEN_SECONDS}}
    answer = namespace.core.create_namespaced_service_account_token(
        account, namespace.name, request
    )
    made = json.loads(namespace.cluster.kubeconfig.read_bytes())
    made["users"] = [{"name": "user", "user": {"token": answer.status.token}}]
    file.write_text(json.dumps(made), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Person:
    """Somebody who is not the administrator; what he may do is said by Roles."""

    namespace: Namespace
    name: str

    @property
    def client(self) -> Any:
        """A client that acts in his name."""
        path = str(self.namespace.cluster.kubeconfig)
        made = config.new_client_from_config(path)  # type: ignore[no-untyped-call]
        made.set_default_header("Impersonate-User", self.name)
        return made

    @property
    def custom(self) -> Any:
        """Custom resources, in his name."""
        return client.CustomObjectsApi(self.client)

    def may(self, *rules: Mapping[str, Any]) -> Person:
        """Let him do something in his namespace."""
        rbac: Any = client.RbacAuthorizationV1Api(self.namespace.cluster.client)
        group, space = "rbac.authorization.k8s.io", self.namespace.name
        rbac.create_namespaced_role(space, {"metadata": {"name": self.name}, "rules": list(rules)})
        ref = {"apiGroup": group, "kind": "Role", "name": self.name}
        subject = {"apiGroup": group, "kind": "User", "name": self.name}
        body = {"metadata": {"name": self.name}, "roleRef": ref, "subjects": [subject]}
        rbac.create_namespaced_role_binding(space, body)
        return self


def said_against(call: Callable[[], object]) -> str:
    """What the API server says against a call; empty where it takes it."""
    try:
        call()
    except ApiException as why:
        return str(json.loads(why.body)["message"])
    return ""


def late_job(namespace: Namespace, create_before: str | None) -> str:
    """What the API server says against a Job that may be created until then; none is kept."""
    annotations = {} if create_before is None else {"treadle.dev/create-before": create_before}
    container = {"name": "main", "image": "i"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    body = {"metadata": {"name": "job", "annotations": annotations}, "spec": {"template": pod}}
    create_job = namespace.batch.create_namespaced_job
    return said_against(lambda: create_job(namespace.name, body, dry_run="All"))
