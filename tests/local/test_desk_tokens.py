"""`treadle run` of a Task that waits for its token: answered by a program, across a kill -9."""

import json
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.treadles import begin, shell, states, tidy, treadle, until, write

pytestmark = pytest.mark.slow

ONCE = ("run", "machine.json", "--name", "a", "--format", "json")
AGAIN = ("run", "--resume", "a", "--format", "json")
ASK = shell("echo $TREADLE_API_URL/v1/tasks/$TOKEN > asked.$$; mv asked.$$ asked")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    tidy()


def machine(**members: Any) -> dict[str, Any]:
    given = {**ASK["Parameters"], "env": {"TOKEN.$": "$$.Task.Token"}}
    waits = {**ASK, "Resource": "treadle:job.waitForTaskToken", "Parameters": given}
    return states(Ask={**waits, "TimeoutSeconds": 60, **members})


def asked(folder: Path) -> str:
    return str(
        until(lambda: (folder / "asked").exists() and (folder / "asked").read_text().strip())
    )


def post(url: str, body: Any = None) -> tuple[int, Any]:
    data = b"" if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=data, method="POST")
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def submitted(folder: Path) -> None:
    until(lambda: "TaskSubmitted" in treadle(folder, "history", "a").stdout, "the submission")


def test_whoever_has_the_token_gives_the_result(tmp_path: Path) -> None:
    write(tmp_path, machine())
    process = begin(tmp_path, *ONCE)
    url = asked(tmp_path)
    submitted(tmp_path)
    token = url.rpartition("/")[2]
    assert post(url[:-1] + "_/success", 1)[1]["__type"] == "InvalidToken"
    assert post(f"{url}/heartbeat") == (200, {})
    assert post(f"{url}/success", {"approved": True}) == (200, {})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["output"]) == (0, {"approved": True})
    assert "task tokens are answered at http://127.0.0.1:" in err
    history = treadle(tmp_path, "history", "a", "-o", "json").stdout
    assert token not in history
    assert "<task token>" in history


def test_a_failure_is_the_states(tmp_path: Path) -> None:
    write(tmp_path, machine())
    process = begin(tmp_path, *ONCE)
    assert post(f"{asked(tmp_path)}/failure", {"error": "No", "cause": "because"}) == (200, {})
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]) == (1, "No")


def test_a_token_outlives_the_process_that_gave_it(tmp_path: Path) -> None:
    write(tmp_path, machine())
    process = begin(tmp_path, *ONCE)
    token = asked(tmp_path).rpartition("/")[2]
    submitted(tmp_path)
    process.kill()
    process.communicate()
    again = begin(tmp_path, *AGAIN)
    url = until(lambda: next((line for line in again.stderr if "answered at" in line), None))
    there = str(url).split()[-1]
    assert post(f"{there}/v1/tasks/{token}/success", [7]) == (200, {})
    out, _ = again.communicate(timeout=60)
    assert (again.returncode, json.loads(out)["output"]) == (0, [7])


def test_the_key_is_for_nobody_else(tmp_path: Path) -> None:
    write(tmp_path, machine(TimeoutSeconds=1))
    assert treadle(tmp_path, *ONCE).returncode == 1
    (key,) = (tmp_path / ".treadle" / "secrets").glob("*.json")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_without_tokens_nothing_is_served(tmp_path: Path) -> None:
    write(tmp_path, states(A={"Type": "Pass", "End": True}))
    assert "answered" not in treadle(tmp_path, *ONCE).stderr
    assert not (tmp_path / ".treadle" / "secrets").exists()
