"""`treadle activity worker` as people run it."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.a_task_giver import TaskGiver
from tests.support.treadles import begin, runs, tidy, treadle, until


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    tidy()


@pytest.fixture
def token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("secret")
    return str(tmp_path / "token")


def test_where_the_operator_is_must_be_said(tmp_path: Path, token: str) -> None:
    done = treadle(tmp_path, "activity", "worker", "pack", "--token-file", token, "--", "true")
    assert done.returncode == 2
    assert "neither --url nor $TREADLE_API_URL is given" in done.stderr


def test_a_command_must_be_given(tmp_path: Path) -> None:
    done = treadle(tmp_path, "activity", "worker", "pack")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_sigterm_lets_what_was_begun_end(tmp_path: Path, token: str) -> None:
    go = tmp_path / "go"
    code = (
        f"import os, time\nopen({str(tmp_path / 'began')!r}, 'w')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "open(os.environ['TREADLE_RESULT_FILE'], 'w').write('7'); print('said by the program')"
    )

    async def scene() -> None:
        async with asyncio.timeout(60), TaskGiver({"n": 1}) as giver:
            worker = begin(
                tmp_path,
                *("activity", "worker", "pack", "-n", "shop", "--worker", "w-1"),
                *("--token-file", token, "--url", giver.url, "--", sys.executable, "-c", code),
            )
            await asyncio.to_thread(until, (tmp_path / "began").exists, "its beginning")
            worker.send_signal(signal.SIGTERM)
            go.touch()
            await giver.until(("0", "success", 7))
            out, err = await asyncio.to_thread(worker.communicate)
            assert (worker.returncode, out, err) == (0, "said by the program\n", "")
            assert giver.polls == [("shop", "pack", "w-1", "Bearer secret")]

    asyncio.run(scene())


def test_a_second_sigterm_cuts_it_off(tmp_path: Path, token: str) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)"

    async def scene() -> None:
        async with asyncio.timeout(60), TaskGiver(None) as giver:
            worker = begin(
                tmp_path,
                *("activity", "worker", "pack", "--token-file", token, "--heartbeat", "0.1"),
                *("--", sys.executable, "-c", code),
                TREADLE_API_URL=giver.url,
            )
            await giver.until_said("heartbeat")
            await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text(), "its id")
            worker.send_signal(signal.SIGTERM)
            # It goes on: another heartbeat comes after the first signal.
            await giver.until_said("heartbeat", 1 + len(giver.said))
            worker.send_signal(signal.SIGTERM)
            await asyncio.to_thread(worker.wait, 40)
            assert not runs(int(pid.read_text()))
            assert giver.ends() == []

    asyncio.run(scene())


def test_what_is_wrong_is_told_on_standard_error(tmp_path: Path, token: str) -> None:
    async def scene() -> None:
        async with asyncio.timeout(60), TaskGiver(None) as giver:
            giver.answer("poll", 403, message="you may not")
            worker = begin(
                tmp_path,
                *("activity", "worker", "pack", "--token-file", token, "--once", "--", "true"),
                TREADLE_API_URL=giver.url,
            )
            out, err = await asyncio.to_thread(worker.communicate)
            assert (worker.returncode, out) == (0, "")
            assert err == "you may not (HTTP 403); trying again\n"
            assert json.dumps(giver.ends()) == '[["0", "success", {}]]'

    asyncio.run(scene())
