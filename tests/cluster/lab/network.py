"""The real node's network: a bridge for pods, the API server's Service address, an end to both.

The one rule: packet filtering is in nftables tables of their own (ours, and kube-proxy's), so
that removing them removes everything, and nobody else's rules are touched.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

from tests.cluster.lab import places
from tests.cluster.lab.processes import run

_TABLE = "treadle-lab"
_BEFORE = places.STATE / "sysctl-before.json"
# What we change, and to what; what the kubelet changes, which only has to be put back.
_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # Without it, a Service's answer from a Pod on the same bridge would go past kube-proxy's rules.
    "net/bridge/bridge-nf-call-iptables": "1",
}
_KUBELETS_SYSCTLS = (
    *("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
_TABLES = (("ip", _TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def up() -> None:
    """Make the bridge and let pods reach the API server, which listens on loopback only."""
    if not Path("/proc/sys/net/bridge").exists():
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    _set_sysctls()
    if not Path("/sys/class/net", places.BRIDGE).exists():
        run("ip", "link", "add", places.BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{places.BRIDGE_ADDRESS}/24", "dev", places.BRIDGE)
    run("ip", "link", "set", places.BRIDGE, "up")
    Path("/proc/sys/net/ipv4/conf", places.BRIDGE, "route_localnet").write_text("1")
    target = f"{places.API_SERVICE_ADDRESS} tcp dport 443"
    to_loopback = f"ip daddr {target} dnat to 127.0.0.1:{places.API_PORT}"
    # Before kube-proxy's chains (-110), which reject a Service that has no endpoints.
    rules = f"""
        table ip {_TABLE} {{
            chain prerouting {{ type nat hook prerouting priority -150; {to_loopback}; }}
            chain output {{ type nat hook output priority -150; {to_loopback}; }}
        }}
    """
    run("nft", "-f", "-", text=f"table ip {_TABLE} {{}}\ndelete table ip {_TABLE}\n{rules}")


def down() -> None:
    """Remove the tables, the bridge, and what was changed in the kernel's settings."""
    for family, table in _TABLES:
        # A table that is absent cannot be deleted; one that is empty can.
        with contextlib.suppress(FileNotFoundError):
            script = f"table {family} {table} {{}}\ndelete table {family} {table}\n"
            subprocess.run(["nft", "-f", "-"], input=script, text=True, check=False)
    if Path("/sys/class/net", places.BRIDGE).exists():
        run("ip", "link", "delete", places.BRIDGE)
    _restore_sysctls()


def _set_sysctls() -> None:
    files = {name: Path("/proc/sys", name) for name in (*_SYSCTLS, *_KUBELETS_SYSCTLS)}
    if not _BEFORE.exists():
        before = {name: file.read_text().strip() for name, file in files.items() if file.exists()}
        _BEFORE.write_text(json.dumps(before), encoding="utf-8")
    for name, value in _SYSCTLS.items():
        if files[name].exists():
            files[name].write_text(value)


def _restore_sysctls() -> None:
    if not _BEFORE.exists():
        return
    for name, value in json.loads(_BEFORE.read_text(encoding="utf-8")).items():
        Path("/proc/sys", name).write_text(value)
    _BEFORE.unlink()
