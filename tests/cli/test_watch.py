"""`treadle watch`: to the end, whatever happens on the way."""

import asyncio
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.clusters import Cluster, reached
from tests.support.terminals import watched
from tests.support.treadles import begin, shell, states, tidy, treadle, until, write
from treadle.app import following
from treadle.cli.main import main
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import Expired, Fault, Refused, Unavailable

REF = {"stateMachineRef": {"name": "m"}}


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, ["watch", *words])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(following, "AGAIN_SECONDS", (0.01,))
    made = reached(tmp_path, monkeypatch)
    made.put(EXECUTIONS, "a", spec=REF, status={"phase": "Running"})
    return made


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    helper = threading.Thread(target=work)
    helper.start()
    return helper


def watches(cluster: Cluster) -> int:
    return len(cluster.watched)


def test_an_execution_that_has_ended_is_shown(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"})
    found = call("a")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "a: m\n", "")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Failed", "error": "E", "cause": "why\x1b"}, "E: why\\x1b\n"),
        ({"phase": "TimedOut", "error": "States.Timeout"}, "States.Timeout\n"),
        ({"phase": "Aborted"}, "Aborted\n"),
    ],
)
def test_how_it_failed_is_said(status: dict[str, str], said: str, cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status=status)
    found = call("a")
    assert (found.exit_code, found.stderr) == (1, said)


def test_one_that_cannot_go_on_is_not_waited_for(cluster: Cluster) -> None:
    parked = {"type": "Parked", "status": "True", "message": "no revision"}
    about = parked | {"observedGeneration": 1}
    cluster.put(EXECUTIONS, "a", status={"phase": "Running", "conditions": [about]})
    found = call("a")
    said = "Error: 'a' cannot go on: no revision; see `treadle why a`\n"
    assert (found.exit_code, found.stderr) == (1, said)


@pytest.mark.parametrize(
    "fault", [Expired("too old"), Unavailable("away"), Refused(403, "Forbidden", "not yet")]
)
def test_an_api_server_that_restarts_is_waited_for(fault: Fault, cluster: Cluster) -> None:
    cluster.broken = [fault, fault, fault]

    def work() -> None:
        until(lambda: not cluster.broken)
        cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"})

    helper = meanwhile(work)
    found = call("a")
    helper.join()
    assert found.exit_code == 0
    told = [] if isinstance(fault, Expired) else [f"{fault}; trying again"] * 3
    # Each is one line: between them it was seen again.
    assert found.stdout.splitlines() == ["a: m", *told]


def test_what_stays_refused_is_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.refuses["list", "executions"] = Refused(403, "Forbidden", "you cannot list")
    found = call("a")
    assert (found.exit_code, "you cannot list" in found.stderr) == (2, True)
    del cluster.refuses["list", "executions"]
    monkeypatch.setattr(following, "REFUSED_SECONDS", 0.0)
    cluster.broken = [Refused(403, "Forbidden", "no more")]
    found = call("a")
    assert (found.exit_code, "no more" in found.stderr) == (2, True)


def test_one_that_is_away_at_first_is_told(cluster: Cluster) -> None:
    cluster.refuses["list", "executions"] = Unavailable("nobody answers")

    def work() -> None:
        until(lambda: len(cluster.asked) > 2)
        cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"})
        cluster.refuses.clear()

    helper = meanwhile(work)
    found = call("a")
    helper.join()
    assert found.exit_code == 0
    assert "nobody answers; trying again" in found.stderr


def test_one_that_is_not_there(cluster: Cluster) -> None:
    found = call("b")
    assert (found.exit_code, "no execution named 'b'" in found.stderr) == (2, True)


@pytest.mark.parametrize("again", [False, True])
def test_one_that_is_deleted(again: bool, cluster: Cluster) -> None:
    def work() -> None:
        until(lambda: watches(cluster))
        asyncio.run(cluster.delete(EXECUTIONS, None, "a"))
        if again:
            cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"})

    helper = meanwhile(work)
    found = call("a")
    helper.join()
    assert (found.exit_code, found.stderr) == (1, "Error: 'a' was deleted\n")


async def test_another_one_of_the_same_name_is_not_the_same(cluster: Cluster) -> None:
    told: list[str] = []

    def tell(entries: object, obj: Obj, now: object) -> None:
        told.append(obj["metadata"]["uid"])

    seen = following._Following(cluster, "team", "a", tell, told.append)
    first = await cluster.get(EXECUTIONS, "team", "a")
    assert await seen._take(first) is None
    another = {**first, "metadata": {**first["metadata"], "uid": "another"}}
    with pytest.raises(following.Deleted):
        await seen._take(another)
    assert told == [first["metadata"]["uid"]]


def test_a_history_that_cannot_be_read_does_not_hide_the_end(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded", "checkpoint": "99.x.y"})
    found = call("a")
    assert found.exit_code == 0
    assert "its history cannot be read" in found.stderr


# ------------------------------------------------------------------------------------ on the desk


@pytest.fixture(autouse=True)
def _tidy() -> object:
    yield
    tidy()


def running(folder: Path) -> "subprocess.Popen[str]":
    """An execution on the desk that goes on until there is a file."""
    write(folder, states(A=shell(": > on; while ! test -e go; do sleep 0.05; done")))
    process = begin(folder, "run", "machine.json", "--name", "a")
    until((folder / "on").exists)
    return process


def test_a_run_is_watched_from_another_terminal(tmp_path: Path) -> None:
    run = running(tmp_path)
    watch = begin(tmp_path, "watch", "a", "--state-dir", ".treadle")
    assert watch.stdout is not None
    seen = [watch.stdout.readline() for _ in range(3)]
    (tmp_path / "go").touch()
    rest, errors = watch.communicate(timeout=30)
    assert (watch.returncode, errors, run.wait(30)) == (0, "", 0)
    said = [line.split("s  ", 1)[-1].strip() for line in [*seen, *rest.splitlines()]]
    assert said[:3] == ["a: machine", "started", "A: begins"]
    assert said[3].startswith("A: done after")
    assert said[4:] == ["Succeeded"]


def test_ctrl_c_ends_quietly_and_leaves_it_running(tmp_path: Path) -> None:
    run = running(tmp_path)
    watch = begin(tmp_path, "watch", "a", "--state-dir", ".treadle")
    assert watch.stdout is not None
    watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    _, errors = watch.communicate(timeout=30)
    assert (watch.returncode, errors) == (130, "")
    (tmp_path / "go").touch()
    assert run.wait(30) == 0


def test_a_pipe_that_nobody_reads_ends_it(tmp_path: Path) -> None:
    running(tmp_path)
    watch = begin(tmp_path, "watch", "a", "--state-dir", ".treadle")
    assert watch.stdout is not None
    watch.stdout.readline()
    watch.stdout.close()
    watch.stdout = None
    (tmp_path / "go").touch()
    assert watch.wait(30) == 1
    assert watch.stderr is not None
    assert watch.stderr.read() == ""


@pytest.mark.slow
def test_a_tree_on_a_terminal(tmp_path: Path) -> None:
    write(tmp_path, states(A=shell("exit 0")))
    assert treadle(tmp_path, "run", "machine.json", "--name", "a").returncode == 0
    seen = watched(tmp_path, "watch", "a", "--state-dir", ".treadle", columns=60, out=True)
    assert seen.exit_code == 0
    assert seen.terminal.lines[0].startswith("✓ A ")
    assert "a  Succeeded" in "".join(seen.terminal.lines)
    assert seen.terminal.cursor_shown
