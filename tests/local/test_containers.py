"""`treadle run --runner podman` with a real image, where there are both."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.treadles import command, environment, gives, shell, states, treadle, write

IMAGE = os.environ.get("TREADLE_TEST_IMAGE", "docker.io/library/busybox:1.36")


@pytest.fixture(autouse=True, scope="module")
def podman() -> None:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    asked = ["podman", "run", "--rm", "--pull", "never", IMAGE, "true"]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        pytest.skip(f"podman does not run {IMAGE}: {done.stderr.decode()[-300:]}")


pytestmark = pytest.mark.slow

MORE = {k: v for k, v in os.environ.items() if k.startswith("CONTAINERS_")}


def test_a_container_under_the_contract(tmp_path: Path) -> None:
    script = "cat $TREADLE_INPUT_FILE > $TREADLE_RESULT_FILE"
    state = shell(script)
    state["Parameters"]["image"] = IMAGE
    write(tmp_path, states(A=state))
    words = ("run", "machine.json", "--runner", "podman", "--input", '{"a":1}')
    done = treadle(tmp_path, *words, **MORE)
    assert (done.returncode, done.stdout) == (0, '{"a":1}\n'), done.stderr


def test_an_image_that_is_missing_is_told(tmp_path: Path) -> None:
    state = shell(gives("1"))
    state["Parameters"]["image"] = "localhost/no-such-image:1"
    write(tmp_path, states(A=state))
    done = treadle(
        tmp_path, "run", "machine.json", "--runner", "podman", "--format", "json", **MORE
    )
    assert json.loads(done.stdout)["error"] == "Kubernetes.ExitCode.125"


@pytest.mark.timeout(120)
def test_a_container_that_ignores_sigterm_is_removed(tmp_path: Path) -> None:
    state = shell("sleep 300", TimeoutSeconds=2)
    state["Parameters"]["image"] = IMAGE
    write(tmp_path, states(A=state))
    subprocess.run(
        command("run", "machine.json", "--runner", "podman"),
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=100,
        env=environment(**MORE),
    )
    (task,) = tmp_path.glob(".treadle/runs/*/attempts/*/task.json")
    argv = json.loads(task.read_text())["argv"]
    name = argv[argv.index("--name") + 1]
    left = ["podman", "container", "exists", name]
    assert subprocess.run(left, check=False, timeout=60).returncode == 1
