"""Real operators in 200 seeded worlds, and what must be noticed in them."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from treadle.sim import campaign, guards
from treadle.sim.__main__ import main
from treadle.sim.campaign import Found
from treadle.sim.world import PLANS_EACH

SEEDS = 200
OPERATOR = Path(__file__).parents[2] / "operator"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    # Worlds are full of warnings; an operator's errors are violations.
    caplog.set_level(logging.ERROR, logger="treadle")


@pytest.mark.parametrize("part", range(SEEDS // PLANS_EACH))
def test_nothing_is_violated(part: int) -> None:
    for found in campaign.look_at(range(part * PLANS_EACH, (part + 1) * PLANS_EACH)):
        assert found.violations == (), found.command


def test_what_changes_last_is_looked_at_by_the_next_to_lead() -> None:
    # An alias is made when all executions have ended, a moment before the last operator dies.
    assert campaign.look(1421).violations == ()


def digests(seeds: range, hash_seed: str) -> str:
    code = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from treadle.sim.campaign import look_at\n"
        f"print([found.digest for found in look_at({seeds!r})])"
    )
    environment = {"PYTHONPATH": str(OPERATOR), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode()


def test_a_seed_is_one_history_in_every_process() -> None:
    seeds = range(24, 34)
    one, other = digests(seeds, "1"), digests(seeds, "2")
    assert one == other
    assert one.strip() == str([found.digest for found in campaign.look_at(seeds)])


# Those that are noticed first; `python -m treadle.sim --guards` tries them all.
@pytest.mark.parametrize("guard", ["save-before-act", "derived-names", "sweep"])
def test_a_missing_guard_is_noticed(guard: str) -> None:
    found = campaign.first_notice(guard, 16)
    assert found is not None
    assert found.command == f"python -m treadle.sim --seed {found.seed} --without {guard} -v"


def test_a_guard_is_back_after_its_world() -> None:
    before = campaign.look(0).digest
    assert campaign.look(0, "save-before-act").digest != before
    assert campaign.look(0).digest == before


def test_a_broken_world_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int) -> None:
        raise ValueError(seed)

    monkeypatch.setattr(campaign, "setting_of", broken)
    assert campaign.look(3) == Found(3, ("the world broke: ValueError(3)",), "")


def test_every_guard_of_the_house_can_be_taken_out() -> None:
    assert set(guards.GUARDS) == {
        "save-before-act",
        "resource-version",
        "events-kept",
        "derived-names",
        "live-read",
        "tombstone",
        "finalizer",
        "sweep",
        "answer-saved",
        "token-dies",
        "hand-out-saved",
        "one-worker",
        "child-name",
        "one-decision",
        "version-number",
    }


# ------------------------------------------------------------------------------ the command line


@pytest.fixture(autouse=True)
def logging_back() -> object:
    yield
    logging.disable(logging.NOTSET)
    logging.getLogger("treadle").handlers.clear()


def test_good_seeds_are_counted_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0:2", "--workers", "1"]) == 0
    assert "2 seeds in" in capsys.readouterr().out


def test_several_processors_give_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "8:17", "--workers", "2"]) == 0
    assert "9 seeds in" in capsys.readouterr().out


def test_a_bad_seed_comes_with_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Found(7, tuple(f"wrong {number}" for number in range(12)), "")
    monkeypatch.setattr(campaign, "look", lambda *_: bad)
    assert main(["--seeds", "7:8", "--workers", "1"]) == 1
    said = capsys.readouterr().out
    assert "seed 7:\n  wrong 0\n" in said
    assert "wrong 9\n  and 2 more\n  replay: python -m treadle.sim --seed 7 -v\n" in said
    assert "1 with violations" in said


def test_a_replay_prints_the_trace_with_what_operators_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--seed", "2", "-v"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"operator-0\.\d create StateMachineRevision", said), "in whichever life"
    assert "seed 2: digest" in said


def test_a_replay_without_a_guard_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "0", "--without", "save-before-act"]) == 1
    assert "before its decision is saved" in capsys.readouterr().out


def test_guards_that_are_missed_are_told_from_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def notice(guard: str, seeds_max: int) -> Found | None:
        return None if guard == "tombstone" else Found(4, ("oh",), "", guard)

    monkeypatch.setattr(campaign, "first_notice", notice)
    assert main(["--guards", "--max", "50"]) == 1
    said = capsys.readouterr().out
    assert "tombstone         not noticed within 50 seeds" in said
    assert "finalizer         noticed after   5 seeds: oh" in said
