"""etcd, API server, controller manager and scheduler, as ordinary processes.

The one rule: what the product's speed is measured against keeps its defaults. The controller
manager has its 20 requests per second, the scheduler and the API server their limits, etcd its
quota.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.lab import api, build, pki, places, processes

# In the order in which they start; they stop in the opposite one.
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_ETCD = f"http://127.0.0.1:{places.ETCD_PORT}"
_CONTROLLERS = "system:serviceaccounts:kube-system"
_AUDIT_POLICY = places.PKI / "audit-policy.json"


def prepare() -> None:
    """Build the programs."""
    build.build(build.CONTROL_PLANE)


def up() -> None:
    """Start what does not run yet, and wait until pods could be created."""
    pki.make()
    _write_audit_policy()
    processes.start("etcd", _etcd())
    processes.start("kube-apiserver", _api_server())
    processes.wait_until(_api_ready, "the API server to be ready")
    processes.start("kube-controller-manager", _controller_manager())
    processes.start("kube-scheduler", _scheduler())
    processes.wait_until(_pods_possible, "the default service account")


def down() -> None:
    """Stop all four. What they hold is thrown away, so they are not given long."""
    for name in reversed(PROGRAMS):
        processes.stop(name, seconds=2)


def _api_ready() -> bool:
    for name in ("etcd", "kube-apiserver"):
        processes.check_alive(name)
    return api.ready()


def _pods_possible() -> bool:
    processes.check_alive("kube-controller-manager")
    return api.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200


def _etcd() -> list[str | Path]:
    peer = f"http://127.0.0.1:{places.ETCD_PEER_PORT}"
    return [
        build.program("etcd"),
        *("--name", "lab", "--data-dir", places.STATE / "etcd"),
        *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"lab={peer}", "--log-level", "warn"),
        # A test cluster does not outlive the machine; the quota stays at its default of 2 GiB.
        "--unsafe-no-fsync",
    ]


def _api_server() -> list[str | Path]:
    proxy_headers = "--requestheader"
    return [
        build.program("kube-apiserver"),
        *("--etcd-servers", _ETCD),
        *("--bind-address", "127.0.0.1", "--secure-port", str(places.API_PORT)),
        # A loopback address cannot be an endpoint of the Service `kubernetes`; the real node's
        # network brings its address here instead (network.py).
        *("--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"),
        *("--service-cluster-ip-range", places.SERVICE_NETWORK, "--allow-privileged=true"),
        *("--tls-cert-file", pki.certificate("apiserver")),
        *("--tls-private-key-file", pki.key("apiserver")),
        *("--client-ca-file", pki.CA, "--token-auth-file", pki.TOKENS),
        *("--authorization-mode", "Node,RBAC"),
        *("--enable-admission-plugins", "NodeRestriction", "--profiling=false"),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", pki.SERVICE_ACCOUNT_PUBLIC_KEY),
        *("--service-account-signing-key-file", pki.SERVICE_ACCOUNT_KEY),
        *("--kubelet-preferred-address-types", "InternalIP"),
        *("--kubelet-certificate-authority", pki.CA),
        *("--kubelet-client-certificate", pki.certificate("kubelet-client")),
        *("--kubelet-client-key", pki.key("kubelet-client")),
        *(f"{proxy_headers}-client-ca-file", pki.CA),
        *(f"{proxy_headers}-allowed-names", "front-proxy-client"),
        *(f"{proxy_headers}-username-headers", "X-Remote-User"),
        *(f"{proxy_headers}-group-headers", "X-Remote-Group"),
        *(f"{proxy_headers}-extra-headers-prefix", "X-Remote-Extra-"),
        *("--proxy-client-cert-file", pki.certificate("front-proxy")),
        *("--proxy-client-key-file", pki.key("front-proxy")),
        *_audit(),
    ]


def _audit() -> list[str | Path]:
    return [
        *("--audit-policy-file", _AUDIT_POLICY, "--audit-log-path", places.AUDIT_LOG),
        # Written beside the requests, not in their way, and still within a quarter of a second.
        *("--audit-log-mode", "batch", "--audit-log-batch-buffer-size", "200000"),
        *("--audit-log-batch-max-size", "200", "--audit-log-batch-max-wait", "250ms"),
        # Megabytes; the default would cut a long test's log in two.
        *("--audit-log-maxsize", "20000"),
    ]


def _write_audit_policy() -> None:
    """Who changed what, without bodies and without the cluster's own heartbeat.

    Of service accounts everything is written, so that it can be compared with their Roles.
    """
    noise = [
        {"group": "coordination.k8s.io", "resources": ["leases"]},
        {"group": "", "resources": ["events"]},
        {"group": "events.k8s.io", "resources": ["events"]},
        {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
        {"group": "authorization.k8s.io"},
    ]
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["*"]},
            {"level": "None", "userGroups": [_CONTROLLERS], "resources": noise},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None", "resources": noise},
            {"level": "Metadata"},
        ],
    }
    _AUDIT_POLICY.write_text(json.dumps(policy, indent=1), encoding="utf-8")


def _controller_manager() -> list[str | Path]:
    return [
        build.program("kube-controller-manager"),
        *_signed_in("controller-manager", places.CONTROLLER_MANAGER_PORT),
        *("--service-account-private-key-file", pki.SERVICE_ACCOUNT_KEY),
        *("--root-ca-file", pki.CA, "--use-service-account-credentials"),
        *("--cluster-signing-cert-file", pki.CA, "--cluster-signing-key-file", pki.CA_KEY),
        "--allocate-node-cidrs=false",
        # Its default is a folder outside of ours, which it makes.
        *("--flex-volume-plugin-dir", places.STATE / "flex-volumes"),
    ]


def _scheduler() -> list[str | Path]:
    return [
        build.program("kube-scheduler"),
        *_signed_in("scheduler", places.SCHEDULER_PORT),
    ]


def _signed_in(user: str, port: int) -> list[str | Path]:
    config = pki.kubeconfig(user)
    return [
        *("--kubeconfig", config, "--authentication-kubeconfig", config),
        *("--authorization-kubeconfig", config),
        *("--bind-address", "127.0.0.1", "--secure-port", str(port), "--leader-elect=false"),
    ]
