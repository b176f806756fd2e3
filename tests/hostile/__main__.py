"""`python -m tests.hostile [NAME…]`: runs what means harm, and prints what it cost.

With `--one NAME` it runs that case in this process and prints a row of JSON; without, it runs each
in a process of its own, so that memory is measured, and prints a table.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.hostile.cases import CASES, DOCUMENTS
from tests.support.desk import Desk
from tests.support.programs import python_environment
from treadle.asl import document
from treadle.sandbox.sandbox import Sandbox

KILLED_SECONDS = 100


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(_row(given.one)))
        return 0
    print(f"{'case':34}{'CPU s':>7}{'wall s':>8}{'MiB':>6}{'+MiB':>6}  end")
    for name in given.names or (*CASES, *DOCUMENTS):
        row = apart(name)
        print(
            f"{name:34}{row['seconds']:7.2f}{row['wall']:8.2f}{row['mebibytes']:6.0f}"
            f"{row['sandbox']:6.0f}  {row['end']}: {row['cause'][:60]}",
            flush=True,
        )
    return 0


def apart(name: str) -> dict[str, Any]:
    """A case in a process of its own. What it cost; all zero where it had to be killed."""
    command = [sys.executable, "-m", "tests.hostile", "--one", name]
    try:
        done = subprocess.run(
            command,
            env=python_environment(),
            capture_output=True,
            text=True,
            timeout=KILLED_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        killed = {"seconds": KILLED_SECONDS, "wall": KILLED_SECONDS, "longest": KILLED_SECONDS}
        return {**killed, "mebibytes": 0, "sandbox": 0, "end": "killed", "cause": ""}
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _row(name: str) -> dict[str, Any]:
    with closing(Sandbox(python_environment())) as sandbox:
        sandbox.open()
        run = _execution if name in CASES else _document
        given = CASES[name] if name in CASES else DOCUMENTS[name][0]()
        base = _forget_peak()
        began, wall = sandbox.seconds(), time.monotonic()
        end, cause, longest = run(given, sandbox)
        row = {
            "end": end,
            "cause": cause,
            "seconds": sandbox.seconds() - began,
            "wall": time.monotonic() - wall,
            "longest": longest,
            "mebibytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024,
        }
    # Its memory is known when it is gone.
    row["sandbox"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return row


def _execution(case: Any, sandbox: Sandbox) -> tuple[str, str, float]:
    """How an execution ended, and the longest that it held its process at once."""
    longest, began = 0.0, sandbox.seconds()
    desk = Desk(
        case.definition,
        case.given() if callable(case.given) else case.given,
        thorough=False,
        stopwatch=sandbox.seconds,
        evaluator=sandbox.answer,
    )
    more = True
    while more:
        longest, began = max(longest, sandbox.seconds() - began), sandbox.seconds()
        more = desk.step()
    name, cause = desk.error or (desk.status, "")
    return str(name), str(cause), longest


def _document(text: str, sandbox: Sandbox) -> tuple[str, str, float]:
    began = sandbox.seconds()
    _, problems = document.inspect(text)
    errors = [problem for problem in problems if problem.severity == "error"]
    end, cause = (errors[0].code, errors[0].message) if errors else ("", "")
    return end, cause, sandbox.seconds() - began


def _forget_peak() -> int:
    """Begin to measure the most memory anew; gives what there is now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
