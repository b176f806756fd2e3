"""Every example on the desk: `treadle run`, with the services that the examples bring along."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
# argocd and kustomize show how others apply machines; tests of their own run them.
NAMES = sorted(each.parent.name for each in EXAMPLES.glob("*/execution.yaml"))
CHILDREN = 2  # machines that others start

_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("TREADLE_")},
    "PYTHONPATH": str(ROOT / "operator"),
}


@dataclass(frozen=True)
class Ran:
    """How a run ended, and its history as AWS would give it."""

    exit_code: int
    status: str
    output: Any
    error: str | None
    cause: str | None
    events: list[dict[str, Any]]

    @property
    def entered(self) -> list[str]:
        """The states that were entered, in order."""
        details = (event.get("stateEnteredEventDetails") for event in self.events)
        return [each["name"] for each in details if each]

    def count(self, kind: str) -> int:
        """How many events of a type there are."""
        return sum(event["type"] == kind for event in self.events)

    def times(self, kind: str) -> list[datetime]:
        """When events of a type happened."""
        return [
            datetime.fromisoformat(event["timestamp"])
            for event in self.events
            if event["type"] == kind
        ]


class Desk:
    """A state directory, the processes of an example's services, and runs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    def serve(self, example: str, *words: str) -> tuple[dict[str, str], "subprocess.Popen[str]"]:
        """Start the example's program; gives the addresses it tells, one for each word with a 0."""
        process = subprocess.Popen(
            [sys.executable, str(self._program(example)), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        assert process.stdout
        ports = [word for word in words if word.split("=")[-1] == "0"]
        said = [process.stdout.readline().split() for _ in ports]
        return dict(said), process

    def _program(self, example: str) -> Path:
        """The file that is in the ConfigMap of the example's Deployment."""
        wanted = YAML(typ="safe").load(EXAMPLES / example / "kustomization.yaml")
        for generated in wanted.get("configMapGenerator", ()):
            (name,) = generated["files"]
            return EXAMPLES / example / str(name)
        (code,) = YAML(typ="safe").load_all(EXAMPLES / example / "code.yaml")
        path = self.folder / "receiver.py"
        path.write_text(code["data"][path.name])
        return path

    def begin(self, example: str, given: Any, *flags: str) -> "subprocess.Popen[str]":
        """Start a run."""
        told = [] if given is None else ["--input", json.dumps(given)]
        command = [sys.executable, "-m", "treadle", "run", f"examples/{example}", "--name", "it"]
        command += ["--state-dir", str(self.folder / "state"), "--format", "json"]
        command += ["--history", str(self.folder / "history.json"), *told, *flags]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def ends(self, process: "subprocess.Popen[str]") -> Ran:
        """Wait for its end."""
        out, err = process.communicate(timeout=100)
        assert process.returncode in (0, 1), err
        events = json.loads((self.folder / "history.json").read_text())["events"]
        return Ran(process.returncode, **json.loads(out), events=events)

    def run(self, example: str, given: Any, *flags: str) -> Ran:
        """Run it to its end."""
        return self.ends(self.begin(example, given, *flags))

    def log(self, state: str) -> str:
        """What the process of a check has printed."""
        logs = [each.read_text() for each in self.folder.glob("state/runs/it/attempts/*/log")]
        (found,) = [log for log in logs if log.startswith(f"{state}: ")]
        return found

    def volume(self, claim: str) -> Path:
        """The folder of a volume."""
        return self.folder / "state" / "volumes" / claim


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


def ask(address: str, body: Any = None) -> Any:
    """GET, or POST a body."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data), timeout=10) as answer:
        return json.load(answer)


# ------------------------------------------------------------------------------------- api-chain


def ordered(**changes: Any) -> dict[str, Any]:
    """An order that can be shipped, or not."""
    order = {"id": "1001", "item": "loom", "amount": 240, "to": "Leeds", **changes}
    return {name: value for name, value in order.items() if value is not None}


def deeds(services: Mapping[str, str]) -> list[str]:
    """What services did, in order of time."""
    noted = [deed for address in services.values() for deed in ask(address)]
    return [deed["did"] for deed in sorted(noted, key=lambda deed: float(deed["at"]))]


def test_what_was_done_is_undone_in_reverse_order(desk: Desk) -> None:
    services, _ = desk.serve("api-chain", "reserve=0", "charge=0", "ship=0")
    ran = desk.run("api-chain", {"order": ordered(to="Atlantis"), "services": services})
    assert (ran.exit_code, ran.status, ran.error) == (1, "Failed", "Order.RolledBack")
    assert "order 1001 was rolled back" in str(ran.cause)
    assert "no carrier serves Atlantis" in str(ran.cause)
    assert ran.entered == ["Reserve", "Charge", "Ship", "Refund", "Release", "RolledBack"]
    assert deeds(services) == ["reserve", "charge", "refused", "undo charge", "undo reserve"]


@pytest.mark.parametrize(
    ("order", "entered"),
    [
        (ordered(item="needle"), ["Reserve", "RolledBack"]),
        (ordered(amount=5000), ["Reserve", "Charge", "Release", "RolledBack"]),
    ],
)
def test_only_what_was_done_is_undone(
    desk: Desk, order: dict[str, Any], entered: list[str]
) -> None:
    services, _ = desk.serve("api-chain", "reserve=0", "charge=0", "ship=0")
    ran = desk.run("api-chain", {"order": order, "services": services})
    assert (ran.error, ran.entered) == ("Order.RolledBack", entered)
    assert deeds(services)[-1] in ("refused", "undo reserve")


def test_an_order_that_nobody_refuses_is_shipped(desk: Desk) -> None:
    services, _ = desk.serve("api-chain", "reserve=0", "charge=0", "ship=0")
    ran = desk.run("api-chain", {"order": ordered(), "services": services})
    assert (ran.exit_code, ran.output) == (
        0,
        {
            "order": "1001",
            "reservation": "reserve-1",
            "payment": "charge-1",
            "shipment": "ship-1",
        },
    )
    assert deeds(services) == ["reserve", "charge", "ship"]


def test_no_answer_is_no_refusal_so_that_step_is_undone_too(desk: Desk) -> None:
    services, _ = desk.serve("api-chain", "reserve=0", "charge=0", "ship=0")
    # Without an address of the customer the service breaks the connection.
    given = {"order": ordered(to=None), "services": services}
    ran = desk.run("api-chain", given, "--time", "virtual")
    assert ran.error == "Order.RolledBack"
    assert ran.entered[2:] == ["Ship", "CallBack", "Refund", "Release", "RolledBack"]
    assert ran.count("TaskFailed") == 1 + 3
    assert deeds(services) == ["reserve", "charge", "undo charge", "undo reserve"]


def test_what_cannot_be_undone_has_an_error_of_its_own(desk: Desk) -> None:
    services, _ = desk.serve("api-chain", "reserve=0", "charge=0")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it does not listen, and keeps others away
        services["ship"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        given = {"order": ordered(), "services": services}
        ran = desk.run("api-chain", given, "--time", "virtual")
    assert (ran.exit_code, ran.error) == (1, "Order.NotRolledBack")
    assert "order 1001 is half undone: States.Http.Socket" in str(ran.cause)
    assert ran.entered == ["Reserve", "Charge", "Ship", "CallBack", "NotRolledBack"]
    assert ran.count("TaskFailed") == (1 + 3) + (1 + 8)


# ----------------------------------------------------------------------------- retry-dead-letter


def test_retries_back_off_and_then_there_is_a_dead_letter(desk: Desk) -> None:
    services, _ = desk.serve("retry-dead-letter", "0")
    message = {"id": "m-1", "text": "the cloth is done", "busy": 1000}
    given = {"partner": services["partner"], "message": message}
    ran = desk.run("retry-dead-letter", given, "--time", "virtual")
    assert (ran.exit_code, ran.status, ran.error) == (1, "Failed", "Delivery.DeadLetter")
    assert "message m-1 is kept in dead-letters/it.json" in str(ran.cause)
    assert ran.entered == ["Deliver", "DeadLetter", "NotDelivered"]

    begun = ran.times("TaskStarted")[:5]
    waited = [(later - sooner).total_seconds() for sooner, later in pairwise(begun)]
    assert waited == pytest.approx([1, 2, 4, 8], abs=0.9)
    assert ran.count("TaskFailed") == len(ask(services["partner"])) == 5

    letters = desk.volume("retry-dead-letter-letters") / "dead-letters"
    assert [each.name for each in letters.iterdir()] == ["it.json"]
    letter = json.loads((letters / "it.json").read_text())
    assert (letter["execution"], letter["message"]) == ("it", message)
    assert letter["failure"]["Error"] == "States.Http.StatusCode.503"


def test_a_partner_that_is_busy_twice_is_asked_three_times(desk: Desk) -> None:
    services, _ = desk.serve("retry-dead-letter", "0")
    given = {**services, "message": {"id": "m-2", "text": "soon", "busy": 2}}
    ran = desk.run("retry-dead-letter", given, "--time", "virtual")
    assert (ran.exit_code, ran.output) == (0, {"delivered": "m-2", "attempts": 3})
    assert ran.count("TaskFailed") == 2


def test_a_message_that_is_wrong_is_not_sent_again(desk: Desk) -> None:
    services, _ = desk.serve("retry-dead-letter", "0")
    ran = desk.run("retry-dead-letter", {**services, "message": {"id": "m-3"}})
    assert ran.error == "Delivery.DeadLetter"
    assert "a message needs a text" in str(ran.cause)
    assert len(ask(services["partner"])) == 1


# ----------------------------------------------------------------------------- batch-when-enough


def test_it_looks_until_there_is_enough_and_leaves_the_rest(desk: Desk) -> None:
    services, inbox = desk.serve("batch-when-enough", "0")
    given = {**services, "enough": 4, "lookEverySeconds": 2}
    readings = f"{services['inbox']}/readings"
    ask(readings, {"value": 18})
    run = desk.begin("batch-when-enough", given, "--time", "virtual")
    # The inbox says what it was asked: after the second look there was not enough twice.
    assert inbox.stderr
    looks = 0
    while looks < 2:
        line = inbox.stderr.readline()
        assert line, "the inbox has ended"
        looks += "GET /count" in line
    for value in (20, 22, 24, 50):
        ask(readings, {"value": value})
    ran = desk.ends(run)
    assert ran.exit_code == 0, ran
    assert ran.entered.count("Wait") == ran.entered.count("Count") - 1 >= 2
    assert ran.entered[-3:] == ["Enough", "Batch", "Remove"]
    report = {"readings": 4, "through": 4, "lowest": 18, "highest": 24, "mean": 21}
    assert ran.output == report
    assert ask(f"{readings}?limit=10") == [{"id": 5, "value": 50}]


def test_it_does_not_look_for_ever(desk: Desk) -> None:
    services, _ = desk.serve("batch-when-enough", "0")
    given = {**services, "enough": 1, "lookEverySeconds": 1000}
    ran = desk.run("batch-when-enough", given, "--time", "virtual")
    assert (ran.exit_code, ran.status) == (1, "TimedOut")
    assert ran.entered.count("Count") == 4


# --------------------------------------------------------------------------------------- fan-out


def test_a_check_that_fails_stops_the_others(desk: Desk) -> None:
    ran = desk.run("fan-out", None)
    assert (ran.exit_code, ran.status, ran.error) == (1, "Failed", "Release.CheckFailed")
    assert ran.cause == (
        "LicensesFailed, the licenses are not in order; the other checks were stopped"
    )
    assert (ran.count("TaskFailed"), ran.count("TaskStateAborted")) == (1, 2)
    assert ran.entered[-1] == "NotReleased"
    for check in ("tests", "scans"):
        assert desk.log(check) == f"{check}: begins\n{check}: told to stop\n"


def test_a_release_whose_checks_pass_succeeds(desk: Desk) -> None:
    ran = desk.run("fan-out", {"seconds": 0.1, "broken": []})
    assert (ran.exit_code, ran.output) == (0, {"passed": ["tests", "licenses", "scans"]})


# -------------------------------------------------------------------------------- staged-rollout


def test_a_stage_that_is_not_well_rolls_all_back(desk: Desk) -> None:
    ran = desk.run("staged-rollout", None, "--approve", "Approve=yes")
    assert (ran.exit_code, ran.status, ran.error) == (1, "Failed", "Rollout.Undone")
    assert ran.cause == (
        "2.0 answers too slowly in europe; all stages are back at the version before"
    )
    assert (ran.entered.count("Stage"), ran.entered.count("Back")) == (2, 3)


def test_a_rollout_that_is_well_gives_its_stages(desk: Desk) -> None:
    given = {"version": "2.0", "before": "1.9", "stages": ["canary", "world"], "broken": []}
    ran = desk.run("staged-rollout", given, "--approve", "Approve=yes")
    stages = [{"stage": stage, "version": "2.0"} for stage in ("canary", "world")]
    assert (ran.exit_code, ran.output) == (0, stages)


def test_a_stage_that_is_not_wanted_rolls_all_back(desk: Desk) -> None:
    ran = desk.run("staged-rollout", None, "--approve", "Approve=no")
    assert (ran.exit_code, ran.error) == (1, "Rollout.NotWanted")
    assert (ran.entered.count("Stage"), ran.entered.count("Back")) == (1, 3)


# -------------------------------------------------------------------------------- order-approval


def test_a_large_order_waits_for_people(desk: Desk) -> None:
    ran = desk.run("order-approval", None, "--approve", "Approve=yes")
    assert ran.exit_code == 0
    assert ran.entered == ["Above the limit?", "Approve", "Accepted"]
    assert ran.output["accepted"] is True
    assert len(ran.output["by"]) == 1


def test_who_refuses_an_order_is_in_its_output(desk: Desk) -> None:
    ran = desk.run("order-approval", None, "--approve", "Approve=no")
    assert (ran.exit_code, ran.entered[-1]) == (0, "Refused")
    assert ran.output["error"] == "Treadle.ApprovalRejected"
    (decision,) = ran.output["said"]["decisions"]
    assert decision["approve"] is False


def test_a_small_order_asks_nobody(desk: Desk) -> None:
    small = {"order": {"id": "1", "customer": "Ada", "amount": 20}}
    ran = desk.run("order-approval", small, "--approve", "Approve=no")
    assert ran.output == {"order": "1", "accepted": True, "by": []}


# --------------------------------------------------------------------- file-processing and lambda


def test_the_pipeline_counts_what_a_plain_script_counts(desk: Desk) -> None:
    services, _ = desk.serve("file-processing", "0")
    results = f"{services['receiver']}/results"
    ran = desk.run("file-processing", {"bytes": 300_000, "chunks": 3, "receiver": results})
    files = desk.volume("file-processing-data")
    text = (files / "corpus" / "book.txt").read_text()
    counts = Counter(re.findall(r"[a-z]{2,}", text.lower()))
    assert ran.exit_code == 0, ran
    assert ran.output["words"] == sum(counts.values()) > 10_000
    assert json.loads((files / ran.output["path"]).read_text()) == dict(counts)
    assert ran.entered.count("Count") == 3
    assert ask(results) == [{"run": "it", "total": ran.output}]


def test_what_the_pipeline_cannot_do_goes_to_the_dead_letters(desk: Desk) -> None:
    ran = desk.run("file-processing", {"bytes": 1000, "chunks": 0})
    assert (ran.exit_code, ran.error) == (1, "FileProcessing.DeadLetter")
    letter = desk.volume("file-processing-data") / "dead-letters" / "it.json"
    assert "ZeroDivisionError" in json.loads(letter.read_text())["failure"]["Cause"]


def test_the_functions_price_an_order(desk: Desk) -> None:
    ran = desk.run("lambda", None)
    assert (ran.exit_code, ran.output) == (
        0,
        {"items": ["warp", "weft", "warp"], "stock": {"reserved": 3}, "total": 11.25},
    )


def test_what_a_function_raises_is_caught_by_its_name(desk: Desk) -> None:
    ran = desk.run("lambda", {"items": ["heddle"]})
    assert ran.entered == ["Check stock", "Reorder"]
    assert (ran.exit_code, ran.output["errorType"]) == (0, "OutOfStock")


# -------------------------------------------------------------------------------- their own tests


def test_the_workflow_tests_of_the_chain_cover_all_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "treadle", "test", "examples", "--coverage-min", "100"],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "\n11 passed, 0 failed\n" in done.stdout


# --------------------------------------------------------------------------------- all of them


def test_validate_finds_nothing_in_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "treadle", "validate", "examples/"],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert f"0 errors and 0 warnings in {len(NAMES) + CHILDREN} state machines" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_says_how_to_run_it_here_and_on_a_cluster(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text()
    assert f"treadle run examples/{name}" in text
    assert f"kubectl apply -k examples/{name}" in text
    assert f"kubectl apply -f examples/{name}/execution.yaml" in text


@pytest.mark.parametrize("name", NAMES)
def test_all_its_manifests_are_applied_and_the_execution_is_not(name: str) -> None:
    kustomization = YAML(typ="safe").load(EXAMPLES / name / "kustomization.yaml")
    files = {each.name for each in (EXAMPLES / name).glob("*.yaml")}
    manifests = {each for each in files if not each.endswith(".test.yaml")}
    assert manifests == {"kustomization.yaml", "execution.yaml", *kustomization["resources"]}


@pytest.mark.parametrize("name", [n for n in NAMES if (EXAMPLES / n / "desk.json").exists()])
def test_a_desk_is_given_what_a_cluster_is_given(name: str) -> None:
    execution = YAML(typ="safe").load(EXAMPLES / name / "execution.yaml")
    here = json.loads((EXAMPLES / name / "desk.json").read_text())
    assert _but_addresses(here) == _but_addresses(execution["spec"]["input"])


def _but_addresses(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _but_addresses(each) for name, each in value.items()}
    return "an address" if str(value).startswith("http://") else value
