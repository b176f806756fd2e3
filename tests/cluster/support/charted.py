"""The chart, installed by Helm on the cluster, and who signs in as whom there.

The one rule: rights are those that the API server enforces; the administrator only prepares.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helm_python import Config
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.support import chart
from tests.support.chart import Obj, Right

RELEASE = "treadle"
TOKEN_SECONDS = 3600
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


def helm(namespace: Namespace) -> Config:
    """Helm, signed in as the administrator, working in a namespace."""
    return Config(kubeconfig_path=namespace.cluster.kubeconfig, namespace=namespace.name)


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
