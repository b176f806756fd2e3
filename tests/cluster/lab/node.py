"""A real node: containerd, kubelet, kube-proxy and DNS on this machine.

The one rule: a Pod that leaves is told so first; only what is still there after that is taken
away by force.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from tests.cluster.lab import api, build, images, machine, network, pki, places, processes
from tests.cluster.lab.processes import LabError

# In the order in which they start; they stop in the opposite one.
PROGRAMS = ("containerd", "kube-proxy", "coredns", "kubelet")
_HOME = places.STATE / "node"
_CONTAINERD = _HOME / "containerd"
_SOCKET = _CONTAINERD / "containerd.sock"
_DOMAIN = "cluster.local"
_RUNC = "/usr/sbin/runc"

_CONTAINERD_CONFIG = f"""
version = 3
root = "{_CONTAINERD}/root"
state = "{_CONTAINERD}/state"
disabled_plugins = [
  'io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.blockfile',
]
[grpc]
  address = "{_SOCKET}"
[ttrpc]
  address = "{_SOCKET}.ttrpc"
[plugins.'io.containerd.internal.v1.opt']
  path = "{_CONTAINERD}/opt"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{images.PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  # Machines without CAP_SYS_RESOURCE may not lower a process's score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{_RUNC}'
      Root = "{_CONTAINERD}/runc"
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/usr/lib/cni']
    conf_dir = "{_HOME}/cni"
"""

_CNI_CONFIG = {
    "cniVersion": "0.4.0",
    "name": places.BRIDGE,
    "plugins": [
        {
            "type": "bridge",
            "bridge": places.BRIDGE,
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": places.POD_NETWORK}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": str(_HOME / "addresses"),
            },
        }
    ],
}

_KUBELET_CONFIG = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": places.BRIDGE_ADDRESS,
    "port": places.KUBELET_PORT,
    "healthzBindAddress": "127.0.0.1",
    "healthzPort": places.KUBELET_HEALTH_PORT,
    "containerRuntimeEndpoint": f"unix://{_SOCKET}",
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": machine.CGROUP_ROOT,
    # Many test machines still have cgroup v1.
    "failCgroupV1": False,
    "failSwapOn": False,
    "oomScoreAdj": 0,
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": False},
        "x509": {"clientCAFile": str(pki.CA)},
    },
    "authorization": {"mode": "AlwaysAllow"},
    "tlsCertFile": str(pki.certificate("kubelet")),
    "tlsPrivateKeyFile": str(pki.key("kubelet")),
    "clusterDNS": [places.BRIDGE_ADDRESS],
    "clusterDomain": _DOMAIN,
    "resolvConf": "/etc/resolv.conf",
    "podLogsDir": str(_HOME / "pod-logs"),
    "volumePluginDir": str(_HOME / "volume-plugins"),
    # Packet filtering belongs to kube-proxy's own nftables tables.
    "makeIPTablesUtilChains": False,
    # The disk is the developer's: neither evict pods nor collect images because it is full.
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
    },
    "imageGCHighThresholdPercent": 100,
    "maxPods": 250,
    "serializeImagePulls": False,
}

_PROXY_CONFIG = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "nftables",
    "hostnameOverride": places.REAL,
    "bindAddress": "127.0.0.1",
    "healthzBindAddress": f"127.0.0.1:{places.PROXY_HEALTH_PORT}",
    "metricsBindAddress": f"127.0.0.1:{places.PROXY_METRICS_PORT}",
    "clientConnection": {"kubeconfig": str(pki.kubeconfig("proxy"))},
    "clusterCIDR": places.POD_NETWORK,
    # The machine's connection tracking is not ours to tune.
    "conntrack": {
        "maxPerCore": 0,
        "min": 0,
        "tcpEstablishedTimeout": "0s",
        "tcpCloseWaitTimeout": "0s",
    },
}

# Names outside the cluster do not exist, and the answer comes at once. They have a block of their
# own since `template` is asked before `kubernetes`, whatever their order here.
_DNS_CONFIG = f"""
{_DOMAIN}:53 {{
  bind {places.BRIDGE_ADDRESS}
  errors
  kubernetes {{
    kubeconfig {pki.kubeconfig("dns")}
  }}
}}
.:53 {{
  bind {places.BRIDGE_ADDRESS}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def prepare() -> None:
    """Install packages, build the programs and make the images, as far as they are missing."""
    machine.require_root()
    machine.install_packages()
    build.build(build.NODE, build.RUNTIME, build.DNS)
    images.make()


def up() -> None:
    """Start what does not run yet, and wait until the node is Ready and names resolve."""
    _configure()
    machine.make_control_groups()
    network.up()
    if processes.start("containerd", machine.inside_group(_containerd())):
        processes.wait_until(_containerd_answers, "containerd to answer")
        for archive in images.make():
            load_image(archive)
    processes.start("kube-proxy", [build.program("kube-proxy"), "--config", _HOME / "proxy.json"])
    _allow_dns()
    processes.start("coredns", [build.program("coredns"), "-conf", _HOME / "Corefile"])
    processes.start("kubelet", machine.inside_group(_kubelet()))
    processes.wait_until(_ready, "the real node to be Ready")
    processes.wait_until(_dns_ready, "the cluster's DNS")


def down() -> None:
    """Take the node out of the cluster and everything of it off the machine."""
    if not _HOME.exists():
        return
    machine.require_root()
    _drain()
    for name in reversed(PROGRAMS):
        processes.stop(name)
    machine.remove_control_groups()
    machine.remove_mounts()
    network.down()
    machine.remove_strays(_shims())
    api.remove_node(places.REAL)
    shutil.rmtree(_HOME)


def load_image(archive: Path) -> None:
    """Give the node an image from a docker-archive or OCI archive file."""
    processes.run(
        *(build.program("ctr"), "--address", _SOCKET, "--namespace", "k8s.io"),
        *("images", "import", "--local", archive),
    )


def _drain() -> None:
    """Let the kubelet end its pods, while it and the API server are there to do so."""
    if processes.running("kubelet") is None or not api.ready():
        return
    # First no new ones: what controllers make from now on stays unbound.
    api.call("PATCH", f"/api/v1/nodes/{places.REAL}", {"spec": {"unschedulable": True}})
    for pod in api.pods_on(places.REAL):
        api.call("DELETE", pod, {"gracePeriodSeconds": 1})
    with contextlib.suppress(LabError):
        processes.wait_until(lambda: not api.pods_on(places.REAL), "pods to leave", seconds=5)


def _configure() -> None:
    (_HOME / "cni").mkdir(parents=True, exist_ok=True)
    files = {
        "containerd.toml": _CONTAINERD_CONFIG,
        "cni/10-treadle.conflist": json.dumps(_CNI_CONFIG, indent=1),
        "kubelet.json": json.dumps(_KUBELET_CONFIG, indent=1),
        "proxy.json": json.dumps(_PROXY_CONFIG, indent=1),
        "Corefile": _DNS_CONFIG,
    }
    for name, text in files.items():
        (_HOME / name).write_text(text, encoding="utf-8")


def _containerd() -> list[str | Path]:
    # It looks for its shim on the PATH.
    path = f"PATH={build.RUNTIME.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return ["env", path, build.program("containerd"), "--config", _HOME / "containerd.toml"]


def _containerd_answers() -> bool:
    processes.check_alive("containerd")
    probe: list[str | Path] = [build.program("ctr"), "--address", _SOCKET, "version"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _kubelet() -> list[str | Path]:
    return [
        build.program("kubelet"),
        *("--config", _HOME / "kubelet.json", "--kubeconfig", pki.kubeconfig(places.REAL)),
        *("--root-dir", _HOME / "kubelet", "--cert-dir", _HOME / "certificates"),
        *("--hostname-override", places.REAL, "--node-ip", places.BRIDGE_ADDRESS),
        *("--node-labels", f"{places.NODE_LABEL}={places.REAL}"),
    ]


def _shims() -> dict[str, Path]:
    """The containers whose shims have left their notes, and each shim's socket."""
    notes = (_CONTAINERD / "state/io.containerd.runtime.v2.task").glob("*/*/bootstrap.json")
    sockets = {note.parent.name: json.loads(note.read_bytes())["address"] for note in notes}
    return {name: Path(address.removeprefix("unix://")) for name, address in sockets.items()}


def _allow_dns() -> None:
    """Let the DNS server read what it answers from: Services, EndpointSlices, namespaces."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "treadle:dns"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "treadle:dns"}],
    }
    api.call("POST", f"/apis/{group}/v1/clusterrolebindings", binding)


def _ready() -> bool:
    for name in PROGRAMS:
        processes.check_alive(name)
    return api.node_ready(places.REAL)


def _dns_ready() -> bool:
    """Whether the DNS server knows the API server's Service, which every cluster has."""
    processes.check_alive("coredns")
    labels = f"kubernetes.default.svc.{_DOMAIN}".split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
    # A header with one question, then the question: type A, class IN.
    question = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack(">BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(question, (places.BRIDGE_ADDRESS, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    return answer.endswith(socket.inet_aton(places.API_SERVICE_ADDRESS))
