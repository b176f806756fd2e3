"""The cluster's programs, built from three Go modules into the user's cache.

The one rule: a folder is named after the digest of what it was built from, so a finished one is
never stale and never rebuilt.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.lab import places
from tests.cluster.lab.processes import LabError, run

_KUBERNETES = "k8s.io/kubernetes"
# The programs answer `version` from these packages' variables; kubectl refuses an empty one.
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Suite:
    """Programs that one Go module provides: the name on disk and the package it is built from."""

    module: str
    programs: dict[str, str]

    @property
    def folder(self) -> Path:
        """The module's folder in the repository."""
        return places.MODULES / self.module

    @property
    def bin(self) -> Path:
        """Where its programs are, once built."""
        digest = hashlib.sha256()
        sources = [self.folder / "go.mod", self.folder / "go.sum", *self.folder.rglob("*.go")]
        for source in sorted(sources):
            digest.update(source.read_bytes())
        return places.CACHE / self.module / digest.hexdigest()[:16] / "bin"

    @property
    def missing(self) -> dict[str, str]:
        """The programs that are not built yet."""
        return {name: pkg for name, pkg in self.programs.items() if not (self.bin / name).exists()}


CONTROL_PLANE = Suite(
    "k8s",
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        **{
            name: f"{_KUBERNETES}/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
    },
)
NODE = Suite("k8s", {name: f"{_KUBERNETES}/cmd/{name}" for name in ("kubelet", "kube-proxy")})
RUNTIME = Suite(
    "node",
    {
        **{
            name: f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        },
        "pause": "./pause",
    },
)
DNS = Suite("dns", {"coredns": "github.com/coredns/coredns"})
ALL = (CONTROL_PLANE, NODE, RUNTIME, DNS)


def program(name: str) -> Path:
    """The path of a built program.

    Raises:
        LabError: no suite has it, or it is not built.
    """
    for suite in ALL:
        if name in suite.programs and (suite.bin / name).exists():
            return suite.bin / name
    raise LabError(f"{name} is not built: python -m tests.cluster.lab build")


def build(*suites: Suite) -> None:
    """Build what is missing of the suites. Minutes on a cold machine, nothing afterwards."""
    for suite in suites:
        if not suite.missing:
            continue
        with locked(places.CACHE / f"{suite.module}.lock"):
            # Somebody else may have built it while we waited for the lock.
            missing = suite.missing
            if missing:
                print(f"building {', '.join(missing)} (minutes, once)", file=sys.stderr, flush=True)
                _build(suite, missing)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock that dies with this process."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(suite: Suite, missing: dict[str, str]) -> None:
    suite.bin.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=suite.bin.parent) as scratch:
        command = [
            *("go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath"),
            *("-ldflags", _link_flags(suite), "-o", f"{scratch}/", *missing.values()),
        ]
        # No cgo: the same programs on every machine, with or without a C compiler.
        env = {**os.environ, "CGO_ENABLED": "0"}
        try:
            subprocess.run(command, cwd=suite.folder, env=env, check=True)
        except FileNotFoundError:
            raise LabError("the cluster's programs are built from source: install Go") from None
        except subprocess.CalledProcessError as failed:
            raise LabError(f"go build in {suite.folder} ended with {failed.returncode}") from None
        for name, package in missing.items():
            Path(scratch, _go_name(package)).rename(suite.bin / name)


def _go_name(package: str) -> str:
    """What `go build` calls a program: its last path element that is not a major version."""
    *_, parent, last = package.split("/")
    return parent if last[:1] == "v" and last[1:].isdigit() else last


def _link_flags(suite: Suite) -> str:
    flags = "-s -w"
    if suite.module != "k8s":
        return flags
    version = run("go", "list", "-m", "-f", "{{.Version}}", _KUBERNETES, cwd=suite.folder).strip()
    major, minor, _ = version.removeprefix("v").split(".", 2)
    facts = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    for package in _VERSION_PACKAGES:
        flags += "".join(f" -X {package}.{key}={value}" for key, value in facts.items())
    return flags
