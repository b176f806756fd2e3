"""Where things are: folders, ports, addresses and names of the test cluster. Constants only."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODULES = ROOT / "tests" / "cluster"

# Everything that `down` removes lives here.
STATE = ROOT / ".cluster"
LOGS = STATE / "log"
PIDS = STATE / "pid"
PKI = STATE / "pki"
KUBECONFIG = STATE / "kubeconfig"
AUDIT_LOG = STATE / "audit.log"

# What is expensive to make and the same for every checkout lives here.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "treadle" / "cluster"

# Away from the usual ports, so that another Kubernetes may run on the same machine.
API_PORT = 26443
ETCD_PORT = 22379
ETCD_PEER_PORT = 22380
CONTROLLER_MANAGER_PORT = 20257
SCHEDULER_PORT = 20259
PROXY_HEALTH_PORT = 20256
PROXY_METRICS_PORT = 20249
KUBELET_PORT = 20250
KUBELET_HEALTH_PORT = 20248
API = f"https://127.0.0.1:{API_PORT}"

# The machine's address on the pods' bridge is the real node's address: kubelet and DNS listen
# there, which needs no name in /etc/hosts and is not reachable from other machines.
BRIDGE = "treadle0"
BRIDGE_ADDRESS = "10.88.64.1"
POD_NETWORK = "10.88.64.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"

NODE_LABEL = "treadle.dev/node"
PRETEND = "pretend"
REAL = "real"
