"""What the real node needs of the machine: Debian packages, control groups, and an end to both.

The one rule: every process of the node, and every container's, lives in one control group of
ours, and every mount lies below `.cluster/`. So whatever happened, what is left is found by
asking the kernel.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.cluster.lab import places
from tests.cluster.lab.processes import LabError, run, wait_until

_PACKAGES = (
    *("runc", "containernetworking-plugins", "iproute2", "nftables"),
    *("busybox-static", "debootstrap", "debian-archive-keyring"),
)
_CGROUPS = Path("/sys/fs/cgroup")
_GROUP = "treadle-lab"
# The kubelet's root; the runtime's own processes lie beside its pods, since a group of
# cgroup v2 holds either processes or other groups.
CGROUP_ROOT = f"/{_GROUP}"
_RUNTIME_GROUP = f"{_GROUP}/runtime"
_STRAY_FOLDERS = (
    *("/var/log/containers", "/var/lib/cni/results", "/var/lib/cni"),
    *("/run/containerd/s", "/run/containerd"),
    *("/var/lib/kubelet/device-plugins", "/var/lib/kubelet"),
)


def require_root() -> None:
    """The real node mounts, routes and makes containers.

    Raises:
        LabError: we may not.
    """
    if os.geteuid() != 0:
        raise LabError("the real node needs root; `control-plane` (the pretend node) does not")


def install_packages() -> None:
    """Install the Debian packages that are missing."""
    missing = [name for name in _PACKAGES if not _installed(name)]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"install these yourself, this is no Debian: {' '.join(missing)}")
    print(f"installing {' '.join(missing)}", file=sys.stderr, flush=True)
    # A list that cannot be had (of a foreign repository, say) is no reason to stop yet.
    _apt("update", "-q")
    if _apt("install", "-q", "-y", "--no-install-recommends", *missing) != 0:
        raise LabError(f"apt-get could not install {' '.join(missing)}")


def _apt(*arguments: str) -> int:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    silent = subprocess.DEVNULL
    return subprocess.run(command, env=env, stdin=silent, stdout=silent, check=False).returncode


def _installed(package: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout == "installed"


def make_control_groups() -> None:
    """Make our group in every hierarchy; version 1 (one folder each) and version 2 (one in all)."""
    for hierarchy in _hierarchies():
        group = hierarchy / _GROUP
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # In version 1 a new group has no processors and no memory until it is told.
            if (group / file).exists() and not (group / file).read_text().strip():
                (group / file).write_text((hierarchy / file).read_text())
    (_holding() / _RUNTIME_GROUP).mkdir(exist_ok=True)


def inside_group(command: Sequence[str | Path]) -> list[str | Path]:
    """The command, started inside our control group, as are all of its children."""
    join = 'echo $$ > "$0" && exec "$@"'
    return ["sh", "-c", join, _holding() / _RUNTIME_GROUP / "cgroup.procs", *command]


def remove_control_groups() -> None:
    """Kill whatever is left in our groups and remove them."""
    if not _CGROUPS.exists():
        return
    for hierarchy in _hierarchies():
        top = hierarchy / _GROUP
        if top.exists():
            wait_until(partial(_emptied, top), f"{top} to be empty", seconds=20)


def _emptied(top: Path) -> bool:
    groups = sorted((group for group in top.rglob("*") if group.is_dir()), reverse=True)
    for group in [*groups, top]:
        with contextlib.suppress(FileNotFoundError, OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            group.rmdir()
    return not top.exists()


def _hierarchies() -> list[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [each for each in _CGROUPS.iterdir() if (each / "cgroup.procs").exists()]


def _holding() -> Path:
    """The hierarchy whose membership tells which processes are ours."""
    return _CGROUPS if (_CGROUPS / "cgroup.controllers").exists() else _CGROUPS / "pids"


def remove_mounts() -> None:
    """Unmount everything below `.cluster/`, the innermost first."""
    for target in reversed(_mounts_below(places.STATE)):
        run("umount", "--no-mtab", "--lazy", target)


def _mounts_below(folder: Path) -> list[str]:
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    targets = [line.split()[4].encode().decode("unicode_escape") for line in table]
    return [each for each in targets if each.startswith(f"{folder}/")]


def remove_strays(containers: dict[str, Path]) -> None:
    """Remove what the programs write outside the folders that they are given.

    Args:
        containers: the ids of what containerd still knew at its end, each with its shim's socket.
    """
    for container, socket in containers.items():
        socket.unlink(missing_ok=True)
        for record in Path("/var/lib/cni/results").glob(f"*{container}*"):
            record.unlink()
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{places.STATE}/"):
            link.unlink()
    Path("/var/lib/kubelet/device-plugins/kubelet.sock").unlink(missing_ok=True)
    for folder in _STRAY_FOLDERS:
        with contextlib.suppress(OSError):  # absent, or used by somebody else
            Path(folder).rmdir()
