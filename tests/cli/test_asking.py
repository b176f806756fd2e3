"""`treadle run` of a machine that asks: at a terminal, by an option, where nobody can answer."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import command, environment, manifest, states, treadle, write

ASK: dict[str, Any] = {
    "Type": "Task",
    "Resource": "treadle:approval",
    "Parameters": {"message": "Ship it?", "details.$": "$"},
    "End": True,
}
NO_TERMINAL = "these states ask people, and there is no terminal to ask at: 'Ask'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, states(Ask=ASK))
    return tmp_path


def test_without_a_terminal_that_is_said_before_anything_runs(folder: Path) -> None:
    done = treadle(folder, "run", "machine.json", "--name", "it")
    assert done.returncode == 2
    assert NO_TERMINAL in done.stderr
    # The name is free still.
    again = treadle(folder, "run", "machine.json", "--name", "it", "--approve", "Ask=yes")
    assert again.returncode == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Ask", "'Ask' is not --approve STATE=yes or STATE=no"),
        ("Ask=perhaps", "'Ask=perhaps' is not --approve STATE=yes or STATE=no"),
        ("=yes", "'=yes' is not --approve STATE=yes or STATE=no"),
        ("As=yes", "--approve names what is no treadle:approval of the machine: As"),
    ],
)
def test_a_wrong_option_is_said(folder: Path, word: str, said: str) -> None:
    done = treadle(folder, "run", "machine.json", "--approve", word)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("time_", ["real", "virtual"])
def test_what_is_decided_by_option(folder: Path, time_: str) -> None:
    words = ("run", "machine.json", "--time", time_)
    done = treadle(folder, *words, "--approve", "Ask=YES", USER="ada")
    assert done.returncode == 0
    assert json.loads(done.stdout)["decisions"][0]["by"] == "ada"
    done = treadle(folder, *words, "--approve", "Ask=n", LOGNAME="bob")
    assert done.returncode == 1
    assert '"by":"bob"' in done.stderr


def test_mocks_need_nobody(folder: Path) -> None:
    write(folder, {"Ask": {"0": {"Return": {"approved": True}}}}, "mocks.json")
    done = treadle(folder, "run", "machine.json", "--mocks", "mocks.json", "--name", "it")
    assert done.stdout == '{"approved":true}\n'
    assert treadle(folder, "run", "--resume", "it").stdout == done.stdout


def test_what_another_machine_asks_is_decided_by_option_too(tmp_path: Path) -> None:
    start = {"stateMachine": "lower", "input.$": "$"}
    state = {"Type": "Task", "Resource": "treadle:execution.sync", "Parameters": start, "End": True}
    both = [manifest(states(Lower=state), "upper"), manifest(states(Ask=ASK), "lower")]
    (tmp_path / "all.yaml").write_text("\n---\n".join(map(json.dumps, both)))
    words = ("run", "all.yaml", "--approve", "Ask=yes")
    done = treadle(tmp_path, *words, "--name", "it")
    assert json.loads(done.stdout)["output"]["approved"] is True
    assert treadle(tmp_path, *words[:1], "--resume", "it", *words[2:]).returncode == 0
    # Whether it is started is not known before.
    done = treadle(tmp_path, *words[:2])
    assert (done.returncode, "Nobody can be asked here." in done.stderr) == (1, True)


def test_who_goes_on_is_asked_again(folder: Path) -> None:
    sleep = {"Type": "Wait", "Seconds": 3, "Next": "Ask"}
    write(folder, states(Sleep=sleep, Ask=ASK))
    flags = ("--approve", "Ask=yes")
    words = command("run", "machine.json", "--name", "it", *flags)
    with subprocess.Popen(words, cwd=folder, env=environment(), stderr=subprocess.PIPE) as begun:
        assert begun.stderr
        begun.stderr.readline()
        begun.kill()
    refused = treadle(folder, "run", "--resume", "it")
    assert NO_TERMINAL in refused.stderr
    done = treadle(folder, "run", "--resume", "it", *flags)
    assert json.loads(done.stdout)["approved"] is True


class Sitting:
    """Somebody at a terminal."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._own, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command("run", "machine.json", *words),
            cwd=folder,
            stdin=theirs,
            stderr=theirs,
            stdout=subprocess.PIPE,
            env=environment(TERM="xterm", USER="me"),
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self) -> "Sitting":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)
        os.close(self._own)

    def sees(self, text: str, count: int = 1) -> None:
        end = time.monotonic() + 30
        while self.seen.count(text) < count:
            assert time.monotonic() < end, self.seen
            self._look()

    def _look(self) -> None:
        ready, _, _ = select.select([self._own], [], [], 0.2)
        if ready:
            with suppress(OSError):  # everybody has left the terminal
                self.seen += os.read(self._own, 4096).decode()

    def types(self, text: str) -> None:
        os.write(self._own, text.encode())

    def ends(self) -> tuple[int, Any]:
        while self.process.poll() is None:
            self._look()
        assert self.process.stdout
        out = self.process.stdout.read()
        return self.process.returncode, json.loads(out) if out else None


def test_who_sits_at_the_terminal_is_asked_until_there_is_an_answer(folder: Path) -> None:
    with Sitting(folder, "--input", '{"order": 7}') as sitting:
        sitting.sees("yes or no? ")
        assert "Ask asks: Ship it?" in sitting.seen
        assert '{"order":7}' in sitting.seen
        sitting.types("perhaps\n")
        sitting.sees("yes or no? ", 2)
        sitting.types("Y\n")
        code, output = sitting.ends()
        assert (code, output["decisions"][0]["by"]) == (0, "me")


def test_a_reason_is_asked_for_where_one_is_due(tmp_path: Path) -> None:
    parameters = {"message": "Ship it?", "reasonRequired": True}
    write(tmp_path, states(Ask={**ASK, "Parameters": parameters}))
    with Sitting(tmp_path) as sitting:
        sitting.sees("yes or no? ")
        sitting.types("yes\n")
        sitting.sees("why? ")
        sitting.types("\n")
        sitting.sees("why? ", 2)
        sitting.types("it is paid\n")
        _, output = sitting.ends()
        assert output["decisions"][0]["reason"] == "it is paid"


@pytest.mark.parametrize("after", ["", "yes\n"])
def test_the_end_of_input_is_a_no(tmp_path: Path, after: str) -> None:
    parameters = {"message": "Ship it?", "reasonRequired": True}
    write(tmp_path, states(Ask={**ASK, "Parameters": parameters}))
    with Sitting(tmp_path) as sitting:
        sitting.sees("yes or no? ")
        if after:
            sitting.types(after)
            sitting.sees("why? ")
        sitting.types("\x04")
        code, _ = sitting.ends()
        assert code == 1
        assert "the terminal was closed" in sitting.seen.replace("\\", "")


def test_ctrl_c_takes_the_question_back(folder: Path) -> None:
    with Sitting(folder) as sitting:
        sitting.sees("yes or no? ")
        sitting.process.send_signal(signal.SIGINT)
        code, _ = sitting.ends()
        assert code == 1
