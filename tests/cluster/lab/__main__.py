"""The command line of the test cluster: `python -m tests.cluster.lab COMMAND`."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.cluster.lab import api, build, control_plane, node, places, pretend_node, processes

_LOCK = places.STATE / "lock"


def _alone() -> AbstractContextManager[None]:
    """One at a time per checkout; the minutes of building and making images are not held up."""
    return build.locked(_LOCK)


def control_plane_command() -> None:
    """The control plane with the pretend node (starts what is missing; removes the real node)."""
    control_plane.prepare()
    with _alone():
        node.down()
        control_plane.up()
        pretend_node.up()
    _tell()


def cluster_command() -> None:
    """The control plane with the real node (starts what is missing; removes the pretend node)."""
    control_plane.prepare()
    node.prepare()
    with _alone():
        control_plane.up()
        pretend_node.leave()
        node.up()
    _tell()


def down_command() -> None:
    """Stop everything and remove it; only the logs in `.cluster/log` stay."""
    with _alone():
        node.down()
        pretend_node.down()
        control_plane.down()
        for entry in places.STATE.iterdir():
            if entry not in (places.LOGS, _LOCK):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def status_command() -> None:
    """Say what runs."""
    for name in processes.known():
        pid = processes.running(name)
        print(f"{name:28}{f'runs, pid {pid}' if pid else 'has ended'}")
    print(f"{'API server':28}{'ready' if api.ready() else 'not ready'}")
    for name in (places.PRETEND, places.REAL):
        if api.ready() and api.node_ready(name):
            print(f"{f'node {name}':28}Ready")


def build_command() -> None:
    """Build every program, so that later commands need not."""
    build.build(*build.ALL)


_COMMANDS: dict[str, Callable[[], None]] = {
    "control-plane": control_plane_command,
    "cluster": cluster_command,
    "down": down_command,
    "status": status_command,
    "build": build_command,
}


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        commands.add_parser(name, help=command.__doc__)
    chosen = parser.parse_args().command
    started = time.monotonic()
    try:
        _COMMANDS[chosen]()
    except processes.LabError as failed:
        print(f"{chosen}: {failed}", file=sys.stderr)
        return 1
    print(f"{chosen}: done in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


def _tell() -> None:
    print(f"export KUBECONFIG={places.KUBECONFIG}")
    print(f"export PATH={build.CONTROL_PLANE.bin}:$PATH    # kubectl")


if __name__ == "__main__":
    sys.exit(main())
