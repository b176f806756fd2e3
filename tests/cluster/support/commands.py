"""Commands of ours as users run them, on a cluster.

The one rule: what a command says is never a traceback.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Namespace
from tests.cluster.support.charted import Person, signed_in
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People
from treadle.cli.main import main


def an_operator(people: People, log: Path) -> OperatorProcess:
    """One that serves their namespace, and is patient with what cannot start."""
    kubeconfig, names = people.namespace.cluster.kubeconfig, [people.namespace.name]
    return OperatorProcess(kubeconfig, log, namespaces=names, http_allow_loopback="true")


def command(people: People, *words: str, kubeconfig: Path | None = None) -> dict[str, Any]:
    """What starts a command as its user does."""
    used = kubeconfig or people.namespace.cluster.kubeconfig
    where = ["--kubeconfig", str(used), "--namespace", people.namespace.name]
    return {
        "args": [sys.executable, "-m", "treadle", *words, *where],
        "env": {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(places.ROOT / "operator")},
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "stdin": subprocess.DEVNULL,
    }


def treadle(people: People, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(**command(people, *words, **how), check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def why(people: People, name: str, kubeconfig: Path | None = None) -> dict[str, Any]:
    """What `treadle why` says now."""
    used = kubeconfig or people.namespace.cluster.kubeconfig
    words = ["why", name, "-o", "json", "--kubeconfig", str(used), "-n", people.namespace.name]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def told(people: People, name: str, kind: str, *, seconds: float = 60) -> dict[str, Any]:
    """What it says once the cause is of this kind."""
    last: list[dict[str, Any]] = []

    def look() -> dict[str, Any] | None:
        last.append(why(people, name))
        return last[-1] if last[-1]["kind"] == kind else None

    try:
        return people.namespace.wait(look, kind, seconds=seconds)
    except TimeoutError:
        raise AssertionError(f"not {kind}: {last[-1]}") from None


def shows(found: dict[str, Any], text: str) -> bool:
    """Whether its evidence has this text."""
    return any(text in line for line in found["evidence"])


def somebody(space: Namespace, name: str, folder: Path, *verbs: str) -> Path:
    """The kubeconfig of a service account that may do this to our kinds, and nothing else."""
    space.core.create_namespaced_service_account(space.name, {"metadata": {"name": name}})
    user = f"system:serviceaccount:{space.name}:{name}"
    rules = {"apiGroups": ["treadle.dev"], "resources": ["*"], "verbs": list(verbs)}
    Person(space, user).may(rules)
    return signed_in(space, name, folder / f"{name}.json")
