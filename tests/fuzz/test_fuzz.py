"""Each target for a few seconds on the same inputs, and what the fuzzer finds where it is."""

import subprocess
import sys

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.support.programs import python_environment

COUNTS = {
    "definition": 400,
    "path": 3_000,
    "intrinsic": 5_000,
    "template": 1_500,
    "jsonata": 250,
    "checkpoint": 150,
    "events": 1_500,
}
BAD = """
import sys, time
from tests.fuzz import campaign, watch
from tests.fuzz.targets import Path

class Bad(Path):
    name = "bad"
    seconds_max = 0.2

    def make(self, dice):
        return {"number": dice.randint(0, 9), "text": "x" * 20}

    def run(self, given):
        number = given["number"]
        if number == 1:
            raise LookupError("one")
        if number == 2:
            while True:
                pass
        if number == 3:
            began = time.thread_time()
            while time.thread_time() - began < 0.3:
                pass
        if number == 4:
            kept = bytearray(40 << 20)
        if number == 5:
            kept = bytearray(140 << 20)
            time.sleep(2)
        if number == 6:
            raise SystemExit(3)
        return "fine"

campaign.MINIMISE_SECONDS = 1.5
watch.GROWTH_BYTES_MAX, watch.KILLED_BYTES = 30 << 20, 120 << 20
result = campaign.fuzz(Bad(), 1, count=40)
print(result)
print("".join(result.findings))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("target", [target.name for target in TARGETS])
def test_nothing_is_found_in_so_many_inputs(target: str) -> None:
    count = str(COUNTS[target])
    done = run("-m", "tests.fuzz", "--target", target, "--seed", "1", "--count", count)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{target}: {count} inputs" in done.stdout


@pytest.mark.slow
def test_what_is_there_is_found_and_made_small() -> None:
    done = run("-c", BAD)
    assert done.returncode == 0, done.stderr
    for what in (
        "LookupError from",
        "it does not end",
        "it takes more than 0.2 s",
        "it takes more than 30 MiB",
        "it takes more than 120 MiB",
        "its process ended with",
    ):
        assert f"bad: {what}" in done.stdout, done.stdout
    assert "\nbad: 40 inputs in " in done.stdout
    assert "--target bad --seed 1 --first" in done.stdout
    assert 'minimised: {"number": 1, "text": ""}' in done.stdout or (
        'minimised: {"number": 1}' in done.stdout
    )


def test_one_input_is_run_again() -> None:
    again = ("-m", "tests.fuzz", "--target", "path", "--input")
    done = run(*again, '["$.a", {"a": 1}, 2]')
    assert (done.returncode, "value 1" in done.stdout) == (0, True), done.stderr
    broken = run(*again, '["$.a"]')
    assert (broken.returncode, "ValueError from" in broken.stdout) == (1, True)
