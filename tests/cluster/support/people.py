"""A user of one namespace: applies machines and executions, and looks at what becomes of them.

The one rule: everything goes through the API server or kubectl, as it does for real users.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from tests.cluster.lab import build, places
from tests.cluster.lab.namespaces import Namespace
from tests.cluster.lab.processes import LabError

GROUP, VERSION = "treadle.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
MACHINES, REVISIONS = "statemachines", "statemachinerevisions"
ALIASES = "statemachinealiases"
EXECUTIONS, PAGES, APPROVALS = "executions", "executionpages", "approvals"
TERMINAL = frozenset(("Succeeded", "Failed", "TimedOut", "Aborted"))
EXECUTION_UID = "treadle.dev/execution"
RESULT_FINALIZER = "treadle.dev/result"

Obj = dict[str, Any]


def kubectl_program() -> str:
    """The test cluster's own kubectl, else the one on the PATH."""
    try:
        return str(build.program("kubectl"))
    except LabError:
        found = shutil.which("kubectl")
        assert found, "there is no kubectl"
        return found


def kubectl(kubeconfig: Path, *words: str, text: str | None = None) -> str:
    """Run kubectl to its end; gives what it printed.

    Raises:
        AssertionError: it failed; with what it said.
    """
    done = subprocess.run(
        [kubectl_program(), *words],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, f"kubectl {' '.join(words)[:200]}: {done.stderr[-2000:]}"
    return done.stdout


@dataclass(frozen=True)
class People:
    """See the module."""

    namespace: Namespace

    # ------------------------------------------------------------------------------- what they do

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """kubectl in this namespace."""
        kubeconfig = self.namespace.cluster.kubeconfig
        return kubectl(kubeconfig, "--namespace", self.namespace.name, *words, text=text)

    def create(self, kind: str, plural: str, name: str, spec: Obj) -> Obj:
        """Create one of our objects."""
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        made: Obj = self.namespace.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace.name, plural, body
        )
        return made

    def machine(self, name: str, definition: Any, **spec: Any) -> Obj:
        """Create a StateMachine."""
        return self.create("StateMachine", MACHINES, name, {"definition": definition, **spec})

    def execution(self, name: str, machine: str | None = None, **spec: Any) -> Obj:
        """Create an Execution of a machine (of its own name, if none is named)."""
        ref = {"stateMachineRef": {"name": machine or name}}
        return self.create("Execution", EXECUTIONS, name, {**ref, **spec})

    def run(self, name: str, definition: Any, **spec: Any) -> Obj:
        """Create a machine and an Execution of the same name."""
        self.machine(name, definition)
        return self.execution(name, **spec)

    def patch(self, name: str, spec: Obj) -> None:
        """Change the spec of an Execution."""
        self.namespace.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace.name, EXECUTIONS, name, {"spec": spec}
        )

    def delete(self, name: str, plural: str = EXECUTIONS) -> None:
        """Delete one of our objects."""
        self.namespace.custom.delete_namespaced_custom_object(
            GROUP, VERSION, self.namespace.name, plural, name
        )

    def evict(self, pod: str) -> None:
        """Evict a Pod as `kubectl drain` does."""
        body = {"metadata": {"name": pod, "namespace": self.namespace.name}}
        self.namespace.core.create_namespaced_pod_eviction(pod, self.namespace.name, body)

    def free_pods(self) -> None:
        """Let go of Pods that wait for an operator which will not come back.

        Otherwise the namespace could not be deleted.
        """
        core, space = self.namespace.core, self.namespace.name
        for pod in self.pods():
            if RESULT_FINALIZER in pod["metadata"].get("finalizers", []):
                core.patch_namespaced_pod(
                    pod["metadata"]["name"], space, {"metadata": {"finalizers": None}}
                )

    # ----------------------------------------------------------------------------- what they see

    def get(self, name: str, plural: str = EXECUTIONS) -> Obj:
        """One of our objects now."""
        found: Obj = self.namespace.custom.get_namespaced_custom_object(
            GROUP, VERSION, self.namespace.name, plural, name
        )
        return found

    def all(self, plural: str = EXECUTIONS) -> list[Obj]:
        """All of one of our kinds."""
        found = self.namespace.custom.list_namespaced_custom_object(
            GROUP, VERSION, self.namespace.name, plural
        )
        return list(found["items"])

    def status(self, name: str, plural: str = EXECUTIONS) -> Obj:
        """The status of one of our objects now; empty before there is one."""
        found: Obj = self.get(name, plural).get("status") or {}
        return found

    def reaches(
        self, name: str, probe: Any, what: str, *, plural: str = EXECUTIONS, seconds: float = 60
    ) -> Obj:
        """The status, once the probe says yes to it.

        Raises:
            AssertionError: it did not in time; with the status as it is then.
        """
        deadline = time.monotonic() + seconds
        while not probe(status := self.status(name, plural)):
            if time.monotonic() > deadline:
                shown = {k: v for k, v in status.items() if k != "checkpoint"}
                raise AssertionError(f"{name}: not within {seconds:.0f} s: {what}: {shown}")
            time.sleep(0.1)
        return status

    def ends(self, name: str, *, seconds: float = 60) -> Obj:
        """The status of an Execution that has ended."""
        return self.reaches(name, is_over, "its end", seconds=seconds)

    def succeeds(self, name: str, *, seconds: float = 60) -> Any:
        """The output of an Execution that has succeeded."""
        status = self.ends(name, seconds=seconds)
        assert status["phase"] == "Succeeded", _without_checkpoint(status)
        return json.loads(status["output"])

    def fails(self, name: str, *, seconds: float = 60) -> Obj:
        """The status of an Execution that has failed."""
        status = self.ends(name, seconds=seconds)
        assert status["phase"] == "Failed", _without_checkpoint(status)
        return status

    def holds(
        self, name: str, condition: str, *, seconds: float = 60, plural: str = EXECUTIONS
    ) -> Obj:
        """The condition, once its status is True."""
        status = self.reaches(
            name,
            lambda status: condition_of(status, condition).get("status") == "True",
            f"condition {condition}",
            seconds=seconds,
            plural=plural,
        )
        return condition_of(status, condition)

    def judged(self, machine: str, *, seconds: float = 30) -> Obj:
        """The Ready condition of a machine whose present generation was judged."""
        generation = self.get(machine, MACHINES)["metadata"]["generation"]
        status = self.reaches(
            machine,
            lambda status: status.get("observedGeneration") == generation,
            "its judgement",
            plural=MACHINES,
            seconds=seconds,
        )
        return condition_of(status, "Ready")

    # ---------------------------------------------------------------------------- what is outside

    def jobs(self, uid: str | None = None) -> list[Obj]:
        """Jobs of an execution, or all."""
        return self._objects("/apis/batch/v1", "jobs", uid)

    def pods(self, uid: str | None = None) -> list[Obj]:
        """Pods of an execution, or all."""
        return self._objects("/api/v1", "pods", uid)

    def secrets(self, uid: str | None = None) -> list[Obj]:
        """Secrets of an execution, or all."""
        return self._objects("/api/v1", "secrets", uid)

    def pages(self, uid: str) -> list[Obj]:
        """Pages of an execution."""
        return [page for page in self.all(PAGES) if uid in _owners(page)]

    def approvals(self, uid: str) -> list[Obj]:
        """Approvals of an execution."""
        return [each for each in self.all(APPROVALS) if uid in _owners(each)]

    def an_approval(self, uid: str, *, seconds: float = 60) -> Obj:
        """An Approval of the execution that waits, once there is one."""

        def look() -> Obj | None:
            return next((each for each in self.approvals(uid) if "status" not in each), None)

        return self.namespace.wait(look, "an Approval", seconds=seconds)

    def a_pod(self, uid: str, *, phase: str = "Running", seconds: float = 60) -> Obj:
        """A Pod of the execution, once there is one in this phase."""

        def look() -> Obj | None:
            found = [pod for pod in self.pods(uid) if pod["status"].get("phase") == phase]
            return found[0] if found else None

        return self.namespace.wait(look, f"a Pod in phase {phase}", seconds=seconds)

    def a_job(self, uid: str, *, seconds: float = 60) -> Obj:
        """A Job of the execution, once there is one."""
        return self.namespace.wait(
            lambda: next(iter(self.jobs(uid)), None), "a Job", seconds=seconds
        )

    def leftovers(self, uid: str) -> list[str]:
        """What is still there of an execution: Jobs, Pods, Secrets, pages, Approvals."""
        found = [*self.jobs(uid), *self.pods(uid), *self.secrets(uid), *self.pages(uid)]
        found += self.approvals(uid)
        return [f"{obj['kind']} {obj['metadata']['name']}" for obj in found]

    def nothing_is_left(self, uid: str, *, seconds: float = 60) -> None:
        """Wait until nothing of an execution is left.

        Raises:
            AssertionError: something is; it is named.
        """
        deadline = time.monotonic() + seconds
        while left := self.leftovers(uid):
            assert time.monotonic() < deadline, f"still there after {seconds:.0f} s: {left}"
            time.sleep(0.2)

    def _objects(self, api: str, plural: str, uid: str | None) -> list[Obj]:
        client = self.namespace.cluster.client
        request = client.param_serialize(
            "GET",
            f"{api}/namespaces/{self.namespace.name}/{plural}",
            query_params=[("labelSelector", f"{EXECUTION_UID}={uid}")] if uid else [],
            auth_settings=["BearerToken"],
        )
        answer = client.call_api(*request)
        answer.read()
        answer = json.loads(answer.data)
        kind = answer["kind"].removesuffix("List")
        return [{"kind": kind, **item} for item in answer["items"]]


def is_over(status: Obj) -> bool:
    """Whether a status is of an execution that has ended."""
    return status.get("phase") in TERMINAL


def condition_of(status: Obj, kind: str) -> Obj:
    """A condition by its type; empty where there is none."""
    found: list[Obj] = [c for c in status.get("conditions") or [] if c["type"] == kind]
    return found[0] if found else {}


def uid_of(obj: Obj) -> str:
    """Its uid."""
    return str(obj["metadata"]["uid"])


def apply_crds(kubeconfig: Path) -> None:
    """Apply the generated CRDs and wait until they are served."""
    crds = places.ROOT / "crds"
    kubectl(kubeconfig, "apply", "--server-side", "--force-conflicts", "-f", str(crds))
    wait = ("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crds))
    kubectl(kubeconfig, *wait)


def is_refused(error: ApiException) -> bool:
    """Whether the API server found an object invalid."""
    return bool(error.status in (400, 422))


def _owners(obj: Obj) -> list[str]:
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or []]


def _without_checkpoint(status: Obj) -> Obj:
    return {name: value for name, value in status.items() if name != "checkpoint"}
