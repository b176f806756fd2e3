"""Completion, in a real bash with a real Tab; other shells by what they are told."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.treadles import WAIT_SECONDS, environment, write
from treadle.cli.main import main
from treadle.local.runs import Run, Runs

PROGRAM = Path(sys.executable).parent / "treadle"
PATH = f"{PROGRAM.parent}:/usr/bin:/bin"

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    found = CliRunner().invoke(main, ["completion", shell])
    assert found.exit_code == 0
    assert f"_TREADLE_COMPLETE={shell}_complete" in found.stdout


def test_a_shell_that_there_is_not() -> None:
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    (tmp_path / "script").write_text(script)
    done = subprocess.run(
        [shell, "-n", "script"], cwd=tmp_path, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")


def offered(folder: Path, *words: str) -> list[str]:
    """What the program says when bash asks."""
    done = subprocess.run(
        [PROGRAM],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env=environment(
            _TREADLE_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(["treadle", *words]),
            COMP_CWORD=str(len(words)),
        ),
    )
    return done.stdout.split()


def test_what_is_offered(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "state")
    for name in ("first", "second"):
        with runs.alone(name):
            runs.keep(Run(name=name, machine="m", spec={}, request={}, cwd="/"))
    assert {"plain,run", "plain,ls", "plain,completion"} <= set(offered(tmp_path, ""))
    assert offered(tmp_path, "run", "--stat") == ["plain,--state-dir"]
    assert offered(tmp_path, "run", "--time", "v") == ["plain,virtual"]
    assert offered(tmp_path, "run", "mach") == ["file,mach"]
    assert offered(tmp_path, "validate", "a", "b") == ["file,b"]
    assert offered(tmp_path, "test", "a", "b") == ["file,b"]
    assert offered(tmp_path, "test", "--cov") == ["plain,--coverage-min"]
    assert offered(tmp_path, "ls", "--state-dir", "s") == ["dir,s"]
    assert offered(tmp_path, "history", "--state-dir", "state", "f") == ["plain,first"]
    assert offered(tmp_path, "run", "--state-dir", "state", "--resume", "s") == ["plain,second"]
    assert offered(tmp_path, "history", "--state-dir", "no", "x") == []
    assert offered(tmp_path, "record", "--state-dir", "state", "f") == ["plain,first"]


def test_what_a_shell_is_told_to_complete(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with runs.alone("first"):
        runs.keep(Run(name="first", machine="m", spec={}, request={}, cwd="/"))
    command = main.commands["history"]
    context = command.make_context("history", ["x", "--state-dir", str(tmp_path)])
    (name,) = (each for each in command.params if each.name == "name")
    assert [item.value for item in name.shell_complete(context, "f")] == ["first"]
    (folder,) = (each for each in command.params if each.name == "state_dir")
    assert [item.type for item in folder.shell_complete(context, "f")] == ["dir"]
    (machine,) = (each for each in main.commands["graph"].params if each.name == "machine")
    assert [item.type for item in machine.shell_complete(context, "f")] == ["file"]


@needs_bash
@pytest.mark.parametrize(
    ("typed", "expected"),
    [("treadle hist\t", "treadle history "), ("treadle run mach\t", "treadle run machine.json ")],
)
def test_a_tab_in_bash(typed: str, expected: str, tmp_path: Path) -> None:
    write(tmp_path, {})
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**environment(), "PATH": PATH, "PS1": "> ", "TERM": "dumb"},
    ) as bash:
        os.close(theirs)
        try:
            os.write(ours, b'eval "$(treadle completion bash)"; echo re""ady\n')
            _expect(ours, "\r\nready")
            os.write(ours, typed.encode())
            _expect(ours, expected)
        finally:
            bash.kill()
    os.close(ours)


def _expect(handle: int, text: str) -> None:
    seen = ""
    end = time.monotonic() + WAIT_SECONDS
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([handle], [], [], 0.5)[0]:
            seen += os.read(handle, 4096).decode()
