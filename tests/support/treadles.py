"""`treadle` as people run it: a process of its own, in a folder of its own.

One rule: whoever waits for something names it, and does not wait for ever.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

OPERATOR = Path(__file__).parents[2] / "operator"
WAIT_SECONDS = 40.0


def shell(script: str, **more: Any) -> dict[str, Any]:
    """A Task state that runs a shell script."""
    parameters = {"image": "x", "command": ["sh", "-c", script]}
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    task = {"Type": "Task", "Resource": "treadle:job", "Parameters": parameters}
    return {**task, **end, **more}


def gives(value: str) -> str:
    """A script whose result is a JSON text without quotes of the shell."""
    return f"printf '%s' '{value}' > $TREADLE_RESULT_FILE"


def states(**named: Mapping[str, Any]) -> dict[str, Any]:
    """A definition of states, beginning with the first."""
    return {"StartAt": next(iter(named)), "States": named}


def manifest(definition: Any, name: str = "it", **spec: Any) -> dict[str, Any]:
    """A StateMachine."""
    return {
        "apiVersion": "treadle.dev/v1alpha1",
        "kind": "StateMachine",
        "metadata": {"name": name},
        "spec": {"definition": definition, **spec},
    }


def mounting(volume: Mapping[str, Any]) -> dict[str, Any]:
    """A podTemplate whose container mounts a volume."""
    mounts = [{"name": volume["name"], "mountPath": "/there"}]
    return {"spec": {"containers": [{"name": "main", "volumeMounts": mounts}], "volumes": [volume]}}


def write(folder: Path, document: Any, name: str = "machine.json") -> Path:
    """A file of a document."""
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def until(condition: Callable[[], Any], what: str = "it", seconds: float = WAIT_SECONDS) -> Any:
    """Wait for something; gives what was waited for."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return found


def environment(**more: str) -> dict[str, str]:
    """A small environment with all that `treadle` needs."""
    small = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(OPERATOR), "HOME": "/"}
    coverage = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
    return {**small, **coverage, **more}


def command(*words: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "treadle", *words]


def treadle(
    folder: Path, *words: str, given: bytes = b"", **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    done = subprocess.run(
        command(*words),
        cwd=folder,
        input=given,
        capture_output=True,
        check=False,
        timeout=WAIT_SECONDS,
        env=environment(**more),
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def begin(folder: Path, *words: str, **more: str) -> "subprocess.Popen[str]":
    """Start a command; `tidy` ends it if a test does not."""
    process = subprocess.Popen(
        command(*words),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**more),
    )
    _BEGUN.append(process)
    return process


_BEGUN: "list[subprocess.Popen[str]]" = []


def tidy() -> None:
    """End what a test began and, where it failed, left."""
    while _BEGUN:
        process = _BEGUN.pop()
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_SECONDS)


def runs(pid: int) -> bool:
    """Whether there is a process of this id that is not only remains."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")
