"""Kubernetes' Pod Security Standards, as far as a Pod template can break them.

One rule: the levels are those of the standard; what a level forbids is named, all of it.
Source: kubernetes.io, "Pod Security Standards".
"""

from collections.abc import Container, Iterable, Iterator
from typing import Any, Literal

from treadle.kube.api import Obj

Level = Literal["privileged", "baseline", "restricted"]

_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_SELINUX_TYPES = frozenset(
    ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
)
_PROFILES = frozenset(("RuntimeDefault", "Localhost"))
_RESTRICTED_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(template: Obj, level: Level) -> list[str]:
    """What in a PodTemplateSpec a level forbids; an empty list where it is allowed.

    The template must have the shape of one: `podtemplates.rendered` sees to that.
    """
    if level == "privileged":
        return []
    spec = _map(template.get("spec"))
    found = [*_baseline_pod(spec), *_annotations(template)]
    for container in _containers(spec):
        found += _baseline_container(container)
    if level == "restricted":
        found += _restricted_pod(spec)
        for container in _containers(spec):
            found += _restricted_container(container, _map(spec.get("securityContext")))
    return found


def _map(value: Any) -> Obj:
    return value if isinstance(value, dict) else {}


def _is_one(value: Any, names: Container[str]) -> bool:
    # A template may have an object where a name belongs: not allowed, and nothing to hash.
    return isinstance(value, str) and value in names


def _items(value: Any) -> Iterable[Obj]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def _containers(spec: Obj) -> Iterator[Obj]:
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from _items(spec.get(name))


def _baseline_pod(spec: Obj) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{name} is set"
    for volume in _items(spec.get("volumes")):
        if "hostPath" in volume:
            yield f"volume {volume.get('name')} is a hostPath"
    context = _map(spec.get("securityContext"))
    for sysctl in _items(context.get("sysctls")):
        if not _is_one(sysctl.get("name"), _SYSCTLS):
            yield f"sysctl {sysctl.get('name')} is set"
    yield from _baseline_context("the Pod", context)


def _annotations(template: Obj) -> Iterator[str]:
    annotations = _map(_map(template.get("metadata")).get("annotations"))
    for name, value in annotations.items():
        is_profile = name.startswith("container.apparmor.security.beta.kubernetes.io/")
        if is_profile and value == "unconfined":
            yield f"annotation {name} is unconfined"


def _baseline_container(container: Obj) -> Iterator[str]:
    who = f"container {container.get('name')}"
    context = _map(container.get("securityContext"))
    if context.get("privileged"):
        yield f"{who} is privileged"
    for capability in _capabilities(context, "add"):
        if capability not in _CAPABILITIES:
            yield f"{who} adds the capability {capability}"
    if context.get("procMount", "Default") != "Default":
        yield f"{who} sets procMount"
    for port in _items(container.get("ports")):
        if port.get("hostPort"):
            yield f"{who} takes the host port {port['hostPort']}"
    yield from _baseline_context(who, context)
    yield from _handlers(who, container)


def _handlers(who: str, container: Obj) -> Iterator[str]:
    lifecycle = _map(container.get("lifecycle"))
    handlers = {name: _map(container.get(name)) for name in _PROBES}
    handlers |= {name: _map(lifecycle.get(name)) for name in ("postStart", "preStop")}
    for name, handler in handlers.items():
        if any(_map(handler.get(kind)).get("host") for kind in ("httpGet", "tcpSocket")):
            yield f"{who} names a host in its {name}"


def _baseline_context(who: str, context: Obj) -> Iterator[str]:
    """What a Pod's and a container's security context have in common."""
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield f"{who} is a host process"
    for name in ("seccompProfile", "appArmorProfile"):
        profile = _map(context.get(name)).get("type")
        if profile is not None and not _is_one(profile, _PROFILES):
            yield f"{who} has {name} {profile}"
    labels = _map(context.get("seLinuxOptions"))
    if (
        not _is_one(labels.get("type", ""), _SELINUX_TYPES)
        or labels.get("user")
        or labels.get("role")
    ):
        yield f"{who} sets seLinuxOptions"


def _capabilities(context: Obj, verb: str) -> list[str]:
    named = _map(context.get("capabilities")).get(verb)
    return [str(each).removeprefix("CAP_") for each in named] if isinstance(named, list) else []


def _restricted_pod(spec: Obj) -> Iterator[str]:
    for volume in _items(spec.get("volumes")):
        kinds = set(volume) - {"name"} - _RESTRICTED_VOLUMES
        if kinds:
            yield f"volume {volume.get('name')} is a {', '.join(sorted(kinds))}"
    if _map(spec.get("securityContext")).get("runAsUser") == 0:
        yield "the Pod runs as root"


def _restricted_container(container: Obj, pod: Obj) -> Iterator[str]:
    who = f"container {container.get('name')}"
    context = _map(container.get("securityContext"))
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{who} may escalate its privileges"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{who} may run as root"
    if context.get("runAsUser") == 0:
        yield f"{who} runs as root"
    profile = _map(context.get("seccompProfile")) or _map(pod.get("seccompProfile"))
    if not _is_one(profile.get("type"), _PROFILES):
        yield f"{who} has no seccompProfile"
    if "ALL" not in _capabilities(context, "drop"):
        yield f"{who} does not drop all capabilities"
    if set(_capabilities(context, "add")) - {"NET_BIND_SERVICE"}:
        yield f"{who} adds capabilities"
