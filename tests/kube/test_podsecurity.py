"""What each Pod Security level forbids."""

from typing import Any

import pytest

from treadle.kube.podsecurity import violations


def a_pod(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **container}], **(spec or {})}}


SAFE = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (a_pod({"hostNetwork": True}), "hostNetwork"),
        (a_pod({"hostPID": True}), "hostPID"),
        (a_pod({"hostIPC": True}), "hostIPC"),
        (a_pod({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), "hostPath"),
        (a_pod({"securityContext": {"sysctls": [{"name": "kernel.x"}]}}), "sysctl kernel.x"),
        (a_pod({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}), "seccomp"),
        (a_pod({"securityContext": {"windowsOptions": {"hostProcess": True}}}), "host process"),
        (a_pod({"initContainers": [{"name": "i", "ports": [{"hostPort": 80}]}]}), "host port 80"),
        (a_pod(securityContext={"privileged": True}), "privileged"),
        (a_pod(securityContext={"capabilities": {"add": ["CAP_SYS_ADMIN"]}}), "SYS_ADMIN"),
        (a_pod(securityContext={"procMount": "Unmasked"}), "procMount"),
        (a_pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}), "appArmorProfile"),
        (a_pod(securityContext={"seLinuxOptions": {"type": "spc_t"}}), "seLinuxOptions"),
        (a_pod(securityContext={"seLinuxOptions": {"user": "u"}}), "seLinuxOptions"),
        (a_pod(securityContext={"seLinuxOptions": {"type": {}}}), "seLinuxOptions"),
        (a_pod(securityContext={"seccompProfile": {"type": [1]}}), "seccompProfile"),
        (a_pod({"securityContext": {"sysctls": [{"name": {}}]}}), "sysctl {}"),
        (a_pod(livenessProbe={"httpGet": {"host": "10.0.0.1"}}), "host in its livenessProbe"),
        (a_pod(lifecycle={"preStop": {"tcpSocket": {"host": "h"}}}), "host in its preStop"),
        (
            {
                **a_pod(),
                "metadata": {
                    "annotations": {
                        "container.apparmor.security.beta.kubernetes.io/main": "unconfined"
                    }
                },
            },
            "unconfined",
        ),
    ],
)
def test_baseline_forbids(template: dict[str, Any], words: str) -> None:
    (found,) = violations(template, "baseline")
    assert words in found
    assert violations(template, "privileged") == []


@pytest.mark.parametrize(
    "template",
    [
        a_pod(),
        a_pod({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}),
        a_pod(securityContext={"capabilities": {"add": ["CHOWN"]}, "runAsUser": 0}),
        a_pod({"volumes": [{"name": "v", "nfs": {}}]}),
        a_pod(livenessProbe={"httpGet": {"port": 80}}),
        {"spec": {"containers": [], "volumes": "odd", "securityContext": 1}},
    ],
)
def test_baseline_allows(template: dict[str, Any]) -> None:
    assert violations(template, "baseline") == []


def test_restricted_allows_what_says_that_it_is() -> None:
    assert violations(a_pod(securityContext=SAFE), "restricted") == []
    pod = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}}
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert violations(a_pod(pod, securityContext=container), "restricted") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"allowPrivilegeEscalation": True}, "escalate"),
        ({"runAsNonRoot": False}, "may run as root"),
        ({"runAsUser": 0}, "runs as root"),
        ({"seccompProfile": None}, "seccompProfile"),
        ({"capabilities": {"drop": ["CHOWN"]}}, "drop all"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, "adds capabilities"),
    ],
)
def test_restricted_forbids(change: dict[str, Any], words: str) -> None:
    (found,) = violations(a_pod(securityContext={**SAFE, **change}), "restricted")
    assert words in found


def test_restricted_forbids_odd_volumes_and_root_for_the_whole_pod() -> None:
    spec = {"volumes": [{"name": "v", "nfs": {}}], "securityContext": {"runAsUser": 0}}
    found = violations(a_pod(spec, securityContext=SAFE), "restricted")
    assert found == ["volume v is a nfs", "the Pod runs as root"]
