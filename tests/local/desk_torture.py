"""`treadle run`, killed with -9 again and again, and gone on with.

Run as `python -m tests.local.desk_torture --kills 50 --seed 7`. Each Task writes a line when it
starts; a machine of chains, a Map, a Parallel, retries and waits is run once undisturbed, and then
killed at random instants until it ends. The result must be the same, the history too, and no
attempt may have started twice.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Each start is one line, and one write of less than a page: two never mix.
_WORK = """
import json, os, sys, time
given = json.load(open(os.environ["TREADLE_INPUT_FILE"]))
attempt = os.path.basename(os.path.dirname(os.environ["TREADLE_INPUT_FILE"]))
with open(os.environ["TREADLE_VOLUME_SEEN"] + "/starts", "a") as file:
    file.write(attempt + "\\n")
time.sleep(given["seconds"])
if given.get("fails", 0) >= int(attempt.split(".")[2]):
    sys.exit(3)
json.dump({"n": given["n"] * 2}, open(os.environ["TREADLE_RESULT_FILE"], "w"))
"""


def task(parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Task state that works for a while."""
    asked = {"image": "x", "command": ["python", "-c", _WORK], "input": parameters}
    end: dict[str, Any] = {} if "Next" in more else {"End": True}
    return {"Type": "Task", "Resource": "treadle:job", "Parameters": asked, **end, **more}


def alone(state: dict[str, Any]) -> dict[str, Any]:
    """A list of one state."""
    return {"StartAt": state["name"], "States": {state.pop("name"): state}}


# Tasks take longer than a `treadle` takes to begin, so that it finds them running.
RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3}]
DEFINITION = {
    "StartAt": "First",
    "States": {
        "First": task({"n": 1, "seconds": 1.5}, ResultPath="$.first", Next="Pause"),
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Flaky"},
        "Flaky": task(
            {"n": 2, "seconds": 0.8, "fails": 2}, Retry=RETRY, ResultPath="$.flaky", Next="Each"
        ),
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": 3,
            "ItemProcessor": alone(
                {"name": "One", **task({"n.$": "$", "seconds": 1.5}), "ResultPath": "$"}
            ),
            "ResultPath": "$.each",
            "Next": "Both",
        },
        "Both": {
            "Type": "Parallel",
            "Branches": [
                alone({"name": "Left", **task({"n": 5, "seconds": 1.8})}),
                alone({"name": "Right", **task({"n": 6, "seconds": 1.2})}),
            ],
            "ResultPath": "$.both",
            "Next": "Last",
        },
        "Last": task({"n": 7, "seconds": 1.2}, ResultPath="$.last"),
    },
}
MACHINE = {
    "apiVersion": "treadle.dev/v1alpha1",
    "kind": "StateMachine",
    "metadata": {"name": "torture"},
    "spec": {
        "definition": DEFINITION,
        "podTemplate": {
            "spec": {
                "containers": [
                    {"name": "main", "volumeMounts": [{"name": "seen", "mountPath": "/seen"}]}
                ],
                "volumes": [{"name": "seen", "persistentVolumeClaim": {"claimName": "seen"}}],
            }
        },
    },
}
INPUT = {"items": list(range(1, 9))}


@dataclass
class Desk:
    """A folder with the machine, and what ran in it."""

    folder: Path
    kills: int = 0
    output: Any = None
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "machine.json").write_text(json.dumps(MACHINE))

    def command(self, *words: str) -> list[str]:
        """A `treadle run` of it."""
        return [sys.executable, "-m", "treadle", "run", "--format", "json", *words]

    def begin(self, first: bool) -> "subprocess.Popen[str]":
        """Start it, or go on with it."""
        words = ["machine.json", "--name", "it", "--input", json.dumps(INPUT)]
        if not first and (self.folder / ".treadle" / "runs" / "it" / "run.json").exists():
            words = ["--resume", "it"]
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": OPERATOR},
        )

    def ends(self, process: "subprocess.Popen[str]") -> None:
        """Note how it ended."""
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            self.problems.append(f"exit status {process.returncode}: {err[-600:]}")
        else:
            self.output = json.loads(out)

    def starts(self) -> Counter[str]:
        """How often each attempt started its command."""
        path = self.folder / ".treadle" / "volumes" / "seen" / "starts"
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def types(self) -> Counter[str]:
        """The history's events, counted: their order between items depends on timing."""
        done = subprocess.run(
            [sys.executable, "-m", "treadle", "history", "it", "-o", "json"],
            cwd=self.folder,
            capture_output=True,
            check=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": OPERATOR},
            timeout=60,
        )
        return Counter(event["type"] for event in json.loads(done.stdout)["events"])


OPERATOR = str(ROOT / "operator")


def undisturbed(folder: Path) -> Desk:
    """One run to the end."""
    desk = Desk(folder)
    desk.ends(desk.begin(first=True))
    return desk


def disturbed(folder: Path, chance: random.Random, kills_max: int) -> Desk:
    """A run that is killed at random instants, at most so often, and then left to end."""
    desk = Desk(folder)
    process = desk.begin(first=True)
    while desk.kills < kills_max:
        try:
            process.wait(timeout=chance.uniform(0.05, 1.6))
            break
        except subprocess.TimeoutExpired:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        desk.kills += 1
        process = desk.begin(first=False)
    desk.ends(process)
    return desk


def differences(desk: Desk, calm: Desk) -> list[str]:
    """What a disturbed run shows that the undisturbed one does not."""
    found = list(desk.problems)
    if desk.output != calm.output:
        found.append(f"ended as {desk.output}, undisturbed as {calm.output}")
    twice = [attempt for attempt, count in desk.starts().items() if count > 1]
    if twice:
        found.append(f"started twice: {', '.join(twice)}")
    if desk.starts() != calm.starts():
        found.append(f"started {desk.starts()}, undisturbed {calm.starts()}")
    if not found and desk.types() != calm.types():
        found.append(f"history {desk.types()}, undisturbed {calm.types()}")
    return found


def campaign(folder: Path, kills: int, seed: int) -> list[str]:
    """Run it again and again until so many kills have happened; gives all differences."""
    chance = random.Random(seed)
    calm = undisturbed(folder / "calm")
    found = list(calm.problems)
    done = number = 0
    while done < kills and not found:
        number += 1
        desk = disturbed(folder / f"run-{number}", chance, kills - done)
        done += desk.kills
        found += differences(desk, calm)
        print(f"run {number}: {desk.kills} kills, {sum(desk.starts().values())} starts", flush=True)
    print(f"{done} kills in {number} runs, {len(found)} differences")
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), asked.kills, asked.seed)
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
