"""The test cluster itself: what every other test here takes for granted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Namespace

pytestmark = pytest.mark.cluster

# As the product's Jobs: Pod Security "restricted", and nothing to write to but the message.
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def a_job(
    namespace: Namespace, name: str, *command: str, image: str = "busybox:1.36", **spec: Any
) -> None:
    container = {
        "name": "main",
        "image": image,
        "command": list(command),
        "securityContext": RESTRICTED,
    }
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template, **spec}}
    namespace.batch.create_namespaced_job(namespace.name, job)


def a_script(**members: Any) -> tuple[str, str]:
    return "pretend", json.dumps(members)


def message_of(namespace: Namespace, job: str) -> str:
    (pod,) = namespace.pods_of(job)
    return pod.status.container_statuses[0].state.terminated.message or ""


@pytest.fixture
def pretend(node_kind: str) -> None:
    if node_kind != places.PRETEND:
        pytest.skip("scripts are for the pretend node; `make control-plane` starts it")


@pytest.mark.usefixtures("pretend")
def test_a_pretend_job_ends_with_the_message_it_was_told(namespace: Namespace) -> None:
    a_job(namespace, "told", *a_script(seconds=0.2, message='{"n": 1}'))
    assert namespace.finished("told").status.succeeded == 1
    assert message_of(namespace, "told") == '{"n": 1}'


@pytest.mark.usefixtures("pretend")
def test_a_pretend_job_fails_with_the_exit_code_it_was_told(namespace: Namespace) -> None:
    a_job(namespace, "fails", *a_script(exitCode=7, message="no"))
    assert namespace.finished("fails").status.failed == 1
    (pod,) = namespace.pods_of("fails")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 7


@pytest.mark.usefixtures("pretend")
def test_a_hanging_pretend_pod_is_stopped_by_its_jobs_deadline(namespace: Namespace) -> None:
    a_job(namespace, "hangs", *a_script(hang=True), activeDeadlineSeconds=1)
    ended = namespace.finished("hangs")
    assert {each.reason for each in ended.status.conditions} == {"DeadlineExceeded"}
    namespace.wait(lambda: not namespace.pods_of("hangs"), "the Pod to be gone")


@pytest.mark.usefixtures("pretend")
def test_a_pretend_pod_may_never_start(namespace: Namespace) -> None:
    a_job(namespace, "waits", *a_script(waiting={"reason": "ImagePullBackOff"}))

    def reason() -> str | None:
        for pod in namespace.pods_of("waits"):
            for status in pod.status.container_statuses or []:
                return status.state.waiting and status.state.waiting.reason
        return None

    assert namespace.wait(reason, "a waiting container") == "ImagePullBackOff"


@pytest.mark.node
@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("busybox:1.36", ("sh", "-c", "id -u > /dev/termination-log; ! touch /x")),
        (
            "python:3.11-slim",
            (
                "python",
                "-c",
                "import os; open('/dev/termination-log', 'w').write(f'{os.getuid()}')",
            ),
        ),
    ],
    ids=["busybox", "python"],
)
def test_a_restricted_container_writes_its_message(
    namespace: Namespace, image: str, command: tuple[str, ...]
) -> None:
    a_job(namespace, "writes", *command, image=image)
    assert namespace.finished("writes").status.succeeded == 1
    assert message_of(namespace, "writes").strip() == "65532"


@pytest.mark.node
def test_a_container_that_takes_too_much_memory_is_killed_for_it(namespace: Namespace) -> None:
    container = {
        "name": "main",
        "image": "python:3.11-slim",
        "command": ["python", "-c", "x = bytearray(200 << 20)"],
        "resources": {"limits": {"memory": "32Mi"}},
    }
    pod = {
        "metadata": {"name": "greedy"},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    namespace.core.create_namespaced_pod(namespace.name, pod)

    def end() -> Any:
        found = namespace.core.read_namespaced_pod("greedy", namespace.name)
        return found.status.phase == "Failed" and found

    ended = namespace.wait(end, "the Pod to fail").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


@pytest.mark.node
def test_pods_reach_services_by_name(namespace: Namespace) -> None:
    labels = {"app": "web"}
    web = {
        "name": "web",
        "image": "busybox:1.36",
        "command": ["sh", "-c", "echo hello > /tmp/index.html && httpd -f -p 8080 -h /tmp"],
    }
    pod = {"metadata": {"name": "web", "labels": labels}, "spec": {"containers": [web]}}
    port = {"port": 80, "targetPort": 8080}
    service = {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": [port]}}
    namespace.core.create_namespaced_pod(namespace.name, pod)
    namespace.core.create_namespaced_service(namespace.name, service)
    look_up = "nslookup kubernetes.default.svc.cluster.local > /dev/null"
    get = "until wget -q -O /dev/termination-log http://web; do sleep 0.2; done"
    a_job(namespace, "asks", "sh", "-c", f"{look_up} && {get}", activeDeadlineSeconds=30)
    assert namespace.finished("asks").status.succeeded == 1
    assert message_of(namespace, "asks").strip() == "hello"


@pytest.mark.node
def test_pods_reach_the_api_server(namespace: Namespace) -> None:
    ask = (
        "import ssl, urllib.request as r; base='/var/run/secrets/kubernetes.io/serviceaccount/';"
        "c=ssl.create_default_context(cafile=base+'ca.crt');"
        "h={'Authorization': 'Bearer '+open(base+'token').read()};"
        "q=r.Request('https://kubernetes.default.svc/version', headers=h);"
        "open('/dev/termination-log','wb').write(r.urlopen(q, context=c).read())"
    )
    a_job(namespace, "asks", "python", "-c", ask, image="python:3.11-slim")
    assert namespace.finished("asks").status.succeeded == 1
    assert json.loads(message_of(namespace, "asks"))["major"] == "1"
