"""`treadle ls`, `history` and `graph --execution` look at a cluster as they do at a desk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.lab import places
from tests.cluster.support.machines import chain, passes, task
from tests.cluster.support.people import People

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pretend", "operator")]


def treadle(people: People, *words: str) -> subprocess.CompletedProcess[str]:
    space = people.namespace
    where = ["--kubeconfig", str(space.cluster.kubeconfig), "--namespace", space.name]
    return subprocess.run(
        [sys.executable, "-m", "treadle", *words, *where],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(places.ROOT / "operator")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_executions_are_listed_told_and_drawn(people: People, tmp_path: Path) -> None:
    machine = chain(Work=task({"echoInput": True}), Rest=passes())
    people.run("looked-at", machine, input={"a": 1})
    people.succeeds("looked-at")

    listed = treadle(people, "ls")
    assert listed.returncode == 0, listed.stderr
    (row,) = [line.split() for line in listed.stdout.splitlines() if line.startswith("looked-at ")]
    assert row[:3] == ["looked-at", "looked-at", "Succeeded"]
    assert "execution.treadle.dev/looked-at" in treadle(people, "ls", "-o", "name").stdout.split()

    told = treadle(people, "history", "looked-at", "-o", "json")
    events = json.loads(told.stdout)["events"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "ExecutionSucceeded"
    assert json.loads(events[-1]["executionSucceededEventDetails"]["output"]) == {"a": 1}

    recorded = treadle(people, "record", "looked-at")
    assert (recorded.returncode, recorded.stderr) == (0, "")  # it has been run, and has passed
    assert "visited:" in recorded.stdout

    file = tmp_path / "machine.json"
    file.write_text(json.dumps(machine))
    drawn = treadle(people, "graph", str(file), "-o", "svg", "--execution", "looked-at")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout != treadle(people, "graph", str(file), "-o", "svg").stdout


def test_what_is_not_there_is_said(people: People) -> None:
    missing = treadle(people, "history", "never-made")
    assert missing.returncode == 2
    assert "there is no execution named 'never-made'" in missing.stderr
    assert "Traceback" not in missing.stderr
