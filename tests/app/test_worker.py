"""A program as a worker: what it is given, what is said of it, and how it ends."""

import asyncio
import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.a_task_giver import TaskGiver
from tests.support.treadles import runs
from treadle.app import worker as working
from treadle.app.worker import Wanted, Worker

OVER = {"__type": "TaskTimedOut", "message": "Task Timed Out"}
READ = "import json, os, sys; given = json.load(sys.stdin)\n"
WRITE = "open(os.environ['TREADLE_RESULT_FILE'], 'w').write"


class Bench:
    def __init__(self, giver: TaskGiver, session: aiohttp.ClientSession, folder: Path) -> None:
        self.giver = giver
        self.folder = folder
        self.told: list[str] = []
        self.news: asyncio.Queue[str] = asyncio.Queue()
        self._session = session
        self.token = folder / "token"
        self.token.write_text("secret\n")

    def worker(self, *command: str, **more: Any) -> Worker:
        asked = Wanted(self.giver.url, "shop", "pack it", command, self.token, "w-1", **more)
        return Worker(asked, self._session, self.hear)

    def hear(self, said: str) -> None:
        self.told.append(said)
        self.news.put_nowait(said)

    def python(self, code: str, **more: Any) -> Worker:
        return self.worker(sys.executable, "-c", READ + code, **more)

    def starts(self, worker: Worker) -> "asyncio.Task[None]":
        return asyncio.create_task(worker.work())


def play(
    folder: Path, scene: Callable[[Bench], Awaitable[None]], *tasks: Any, seconds: float = 60
) -> None:
    async def act() -> None:
        async with (
            asyncio.timeout(seconds),
            TaskGiver(*tasks) as giver,
            aiohttp.ClientSession() as session,
        ):
            await scene(Bench(giver, session, folder))

    asyncio.run(act())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "AGAIN_SECONDS", (0.01,))


def test_the_input_is_on_stdin_and_in_a_file_and_the_result_in_another(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        same = "json.load(open(os.environ['TREADLE_INPUT_FILE']))"
        code = f"{WRITE}(json.dumps([given, {same}]))"
        await bench.python(code, once=True).work()
        given = {"n": 1, "text": "ü"}
        await bench.giver.until(("0", "success", [given, given]))
        assert bench.giver.polls == [("shop", "pack it", "w-1", "Bearer secret")]

    play(tmp_path, scene, {"n": 1, "text": "ü"})


@pytest.mark.parametrize(
    ("code", "what", "said"),
    [
        ("", "success", {}),
        (
            f"{WRITE}('no')",
            "failure",
            {"error": "Treadle.InvalidResult", "cause": "The result is not JSON"},
        ),
        ("sys.exit(3)", "failure", {"error": "Kubernetes.ExitCode.3", "cause": "exit code 3"}),
        (
            f"{WRITE}('why\\n'); sys.exit(4)",
            "failure",
            {"error": "Kubernetes.ExitCode.4", "cause": "why"},
        ),
        (
            f"{WRITE}(json.dumps(dict(error='Own', cause='this'))); sys.exit(1)",
            "failure",
            {"error": "Own", "cause": "this"},
        ),
        ("os.kill(os.getpid(), 9)", "failure", {"error": "Kubernetes.ExitCode.137", "cause": ""}),
    ],
)
def test_how_it_ends_is_told_as_of_a_container(
    tmp_path: Path, code: str, what: str, said: dict[str, str]
) -> None:
    async def scene(bench: Bench) -> None:
        await bench.python(code, once=True).work()
        ((_, told, body),) = bench.giver.ends()
        assert told == what
        assert body.keys() == said.keys()
        assert all(text in body[name] for name, text in said.items())

    play(tmp_path, scene, None)


def test_what_cannot_be_started_fails_its_task(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.worker("/no/such/program", once=True).work()
        ((_, what, body),) = bench.giver.ends()
        assert (what, body["error"]) == ("failure", "Kubernetes.ContainerConfig")
        assert "No such file" in body["cause"]

    play(tmp_path, scene, None)


def test_where_a_tasks_files_cannot_be_written_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    async def scene(bench: Bench) -> None:
        await bench.python("", once=True).work()
        ((_, what, body),) = bench.giver.ends()
        assert (what, body["error"]) == ("failure", "Kubernetes.ContainerConfig")
        assert "cannot be written: [Errno 2]" in body["cause"]

    play(tmp_path, scene, None)


def test_without_a_folder_for_files_it_takes_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t")

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    where = {"url": "http://x", "token_file": str(tmp_path / "token")}
    with pytest.raises(ValueError, match="mount a volume at /tmp"):
        working.wanted("pack", ["true"], namespace="a", worker="w", **where)


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program", "/etc/passwd", ""])
def test_a_worker_without_its_program_takes_no_task(tmp_path: Path, name: str) -> None:
    (tmp_path / "token").write_text("t")
    where = {"url": "http://x", "token_file": str(tmp_path / "token")}
    with pytest.raises(ValueError, match="there is no program"):
        working.wanted("pack", [name, "x"], namespace="a", worker="w", **where)


def test_a_result_that_is_refused_is_a_failure(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.giver.answer("success", 400, __type="ValidationException", message="too long")
        await bench.python("", once=True).work()
        error = {"error": "States.DataLimitExceeded", "cause": "too long"}
        await bench.giver.until(("0", "success", {}), ("0", "failure", error))

    play(tmp_path, scene, None)


def test_a_result_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.python(f"{WRITE}(json.dumps('x' * 1_048_576))", once=True).work()
        ((_, what, body),) = bench.giver.ends()
        assert (what, body["error"]) == ("failure", "States.DataLimitExceeded")
        assert "1,048,576 bytes" in body["cause"]

    play(tmp_path, scene, None)


def test_an_answer_is_said_until_it_is_taken(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(2):
            bench.giver.answer("success", 503, message="not saved yet")
        await bench.python("", once=True).work()
        assert bench.giver.ends() == [("0", "success", {})] * 3
        assert bench.told == ["success: not saved yet (HTTP 503); trying again"] * 2

    play(tmp_path, scene, None)


def test_it_says_that_it_is_alive_while_it_works(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        wait = f"import time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
        working_on = bench.starts(bench.python(wait, once=True, heartbeat_seconds=0.02))
        await bench.giver.until_said("heartbeat", 3)
        assert bench.giver.ends() == []
        (tmp_path / "go").touch()
        await working_on
        assert bench.giver.ends() == [("0", "success", {})]

    play(tmp_path, scene, None)


def test_what_nobody_waits_for_any_more_is_cut_off_with_all_that_it_started(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(2):
            bench.giver.answer("heartbeat", 400, **OVER)
        pid = tmp_path / "pid"
        code = (
            "import subprocess\nif given == 'ends': sys.exit(0)\n"
            "child = subprocess.Popen(['sleep', '1000'])\n"
            f"open({str(pid)!r}, 'w').write(str(child.pid)); child.wait()"
        )
        worker = bench.python(code, heartbeat_seconds=1.0)
        life = bench.starts(worker)
        await bench.giver.until(("1", "success", {}))
        assert bench.told == ["a task is over before it is done: Task Timed Out"]
        assert not runs(int(pid.read_text()))
        worker.stop()
        await life

    play(tmp_path, scene, "hangs", "ends")


def test_what_a_command_left_running_leaves_no_zombie_where_it_is_process_1(tmp_path: Path) -> None:
    adopt_orphans(True)  # as the first process of a container does
    try:

        async def scene(bench: Bench) -> None:
            left = ["sh", "-c", "sleep 1000 & sleep 1000 & exit 0"]
            await bench.worker(*left, once=True).work()
            assert bench.giver.ends() == [("0", "success", {})]
            assert zombies() == []

        play(tmp_path, scene, None)
    finally:
        adopt_orphans(False)


def adopt_orphans(does: bool) -> None:
    set_child_subreaper = 36  # linux/prctl.h
    assert ctypes.CDLL(None).prctl(set_child_subreaper, int(does), 0, 0, 0) == 0


def zombies() -> list[str]:
    """Children of this process that have ended, and nobody has asked how."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = file.read_text().rpartition(")")
            if rest.split()[:2] == ["Z", str(os.getpid())]:
                found.append(name)
    return found


def test_an_answer_that_comes_too_late_is_told_and_the_next_task_taken(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.giver.answer("success", 400, **OVER)
        worker = bench.python("")
        life = bench.starts(worker)
        await bench.giver.until(("0", "success", {}), ("1", "success", {}))
        worker.stop()
        await life
        assert bench.told == ["a task is over before it is done: Task Timed Out"]

    play(tmp_path, scene, 0, 1)


def test_so_many_tasks_are_done_at_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        # Each ends only when all have begun.
        code = (
            f"import time\nopen(os.path.join({str(tmp_path)!r}, 'began-%d' % given), 'w').close()\n"
            f"while sum(n.startswith('began') for n in os.listdir({str(tmp_path)!r})) < 3:"
            " time.sleep(0.01)"
        )
        worker = bench.python(code, concurrency=3)
        life = bench.starts(worker)
        await bench.giver.until_said("success", 3)
        worker.stop()
        await life

    play(tmp_path, scene, 0, 1, 2)


def test_those_that_wait_do_not_hold_up_what_is_said_of_others(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        asked = Wanted(bench.giver.url, "shop", "pack", ["true"], bench.token, "w", concurrency=300)
        life = asyncio.create_task(working._run(asked, bench.hear))
        await bench.giver.until(("0", "success", {}))
        life.cancel()
        await asyncio.wait({life})
        assert bench.told == []

    play(tmp_path, scene, 0, seconds=20)


def test_who_is_told_to_stop_ends_what_was_begun_and_asks_for_no_more(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        wait = f"import time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
        worker = bench.python(wait, concurrency=2, heartbeat_seconds=0.02)
        life = bench.starts(worker)
        await bench.giver.until_said("heartbeat")
        await bench.giver.until_polled(2)
        assert worker.stop()
        assert not worker.stop()
        (tmp_path / "go").touch()
        await life
        assert bench.giver.ends() == [("0", "success", {})]
        assert len(bench.giver.polls) == 2

    play(tmp_path, scene, 0)


def test_trouble_is_told_once_and_passes(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(2):
            bench.giver.answer("poll", 403, message="you may not")
        bench.giver.answer("poll", 204)
        bench.giver.answer("poll", 403, message="you may not")
        await bench.python("", once=True).work()
        assert bench.told == ["you may not (HTTP 403); trying again"] * 2

    play(tmp_path, scene, None)


def test_something_else_that_answers_is_trouble_too(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.giver.answer("poll", 200, healthy=True)
        bench.giver.answer("poll", 200, taskToken=7, input=1)
        await bench.python("", once=True).work()
        assert bench.told == [f"{bench.giver.url}: what answers is no API of Treadle; trying again"]
        assert bench.giver.ends() == [("0", "success", {})]

    play(tmp_path, scene, None)


def test_where_nobody_listens_it_tries_again_until_it_is_stopped(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.giver.url = "http://127.0.0.1:1"
        worker = bench.python("")
        life = bench.starts(worker)
        assert (await bench.news.get()).startswith("http://127.0.0.1:1: ")
        worker.stop()
        await life

    play(tmp_path, scene)


def test_the_token_is_read_again_for_each_poll(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        worker = bench.python("")
        life = bench.starts(worker)
        await bench.giver.until_polled(2)
        bench.token.unlink()
        bench.giver.let_go.set()
        assert "the token cannot be read" in await bench.news.get()
        assert len(bench.giver.polls) == 2
        worker.stop()
        await life

    play(tmp_path, scene, None)


def test_what_is_wanted_is_completed_by_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"url": None, "namespace": None, "token_file": None, "worker": None}
    monkeypatch.delenv("TREADLE_API_URL", raising=False)
    with pytest.raises(ValueError, match=r"neither --url nor \$TREADLE_API_URL is given"):
        working.wanted("pack", ["true"], **given)
    with pytest.raises(ValueError, match="'treadle:8081' is no URL"):
        working.wanted("pack", ["true"], **{**given, "url": "treadle:8081"})
    monkeypatch.setenv("TREADLE_API_URL", "http://treadle:8081/")
    monkeypatch.setattr(working, "TOKEN_FILE", tmp_path / "token")
    with pytest.raises(ValueError, match=r"the token cannot be read from .*: No such file"):
        working.wanted("pack", ["true"], **given)
    (tmp_path / "token").write_text("t")
    found = working.wanted("pack", ["true"], **given)
    assert (found.url, found.namespace) == ("http://treadle:8081", "default")
    assert found.worker == os.uname().nodename
    (tmp_path / "namespace").write_text("shop\n")
    monkeypatch.setattr(working, "NAMESPACE_FILE", tmp_path / "namespace")
    found = working.wanted("pack", ["true"], **{**given, "worker": "w" * 100})
    assert (found.namespace, found.worker) == ("shop", "w" * 80)
