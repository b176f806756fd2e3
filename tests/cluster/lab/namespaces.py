"""A namespace of a test's own, on whatever cluster KUBECONFIG names.

The one rule: tests wait for what they want to see, with a limit, and never for a length of time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kubernetes import client, config

from tests.cluster.lab import places

Found = TypeVar("Found")


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Args:
        kubeconfig: the file that opens it.
        client: a client of the `kubernetes` package, signed in with it.
    """

    kubeconfig: Path
    client: Any

    @staticmethod
    def reach(kubeconfig: Path) -> Cluster:
        """Sign in and make one call.

        Raises:
            ConnectionError: there is no such file, or nothing answers; the message says which.
        """
        if not kubeconfig.exists():
            raise ConnectionError(f"there is no {kubeconfig}")
        try:
            signed_in = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
            client.CoreV1Api(signed_in).list_node(_request_timeout=5)
        except Exception as failed:  # every layer below has its own kinds of failure
            raise ConnectionError(f"{kubeconfig}: {str(failed)[:300]}") from failed
        return Cluster(kubeconfig, signed_in)

    def node_kind(self) -> str:
        """`pretend` if pods go to the pretend node, `real` if containers run."""
        core: Any = client.CoreV1Api(self.client)
        nodes = core.list_node(label_selector=places.NODE_LABEL).items
        kinds = {node.metadata.labels[places.NODE_LABEL] for node in nodes}
        return places.PRETEND if kinds == {places.PRETEND} else places.REAL

    @contextmanager
    def namespace(self) -> Iterator[Namespace]:
        """A new namespace in which pods can be made; it is deleted afterwards, unwaited for."""
        core: Any = client.CoreV1Api(self.client)
        name = f"test-{secrets.token_hex(4)}"
        core.create_namespace({"metadata": {"name": name, "labels": {"treadle.dev/test": "yes"}}})
        made = Namespace(name, self)
        try:
            # Pods are refused until the controller manager has made it.
            made.wait(
                lambda: (
                    core.list_namespaced_service_account(
                        name, field_selector="metadata.name=default"
                    ).items
                ),
                "the default service account",
            )
            yield made
        finally:
            core.delete_namespace(name)


@dataclass(frozen=True)
class Namespace:
    """One namespace and the way to its cluster. As text it is its name."""

    name: str
    cluster: Cluster

    def __str__(self) -> str:
        return self.name

    @property
    def core(self) -> Any:
        """Pods, Secrets, Services and so on (`kubernetes.client.CoreV1Api`)."""
        return client.CoreV1Api(self.cluster.client)

    @property
    def batch(self) -> Any:
        """Jobs (`kubernetes.client.BatchV1Api`)."""
        return client.BatchV1Api(self.cluster.client)

    @property
    def custom(self) -> Any:
        """Custom resources (`kubernetes.client.CustomObjectsApi`)."""
        return client.CustomObjectsApi(self.cluster.client)

    @staticmethod
    def wait(probe: Callable[[], Found | None], what: str, *, seconds: float = 60) -> Found:
        """Ask again and again until the probe gives something true, and give that.

        Raises:
            TimeoutError: `what` was not seen within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not (found := probe()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not seen within {seconds:.0f} s: {what}")
            time.sleep(0.1)  # a probe asks what it likes, which no one watch tells of
        return found

    def finished(self, job: str, *, seconds: float = 60) -> Any:
        """The Job, once it is Complete or Failed."""

        def look() -> Any:
            found = self.batch.read_namespaced_job(job, self.name)
            ended = {each.type for each in found.status.conditions or [] if each.status == "True"}
            return found if ended & {"Complete", "Failed"} else None

        return self.wait(look, f"the end of Job {job}", seconds=seconds)

    def pods_of(self, job: str) -> list[Any]:
        """The pods of a Job."""
        label = f"batch.kubernetes.io/job-name={job}"
        return list(self.core.list_namespaced_pod(self.name, label_selector=label).items)
