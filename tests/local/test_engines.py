"""A container as a command line."""

import sys
from pathlib import Path
from typing import Any

import pytest

from treadle.asl.errors import StateError
from treadle.local.attempts import Folder, Line
from treadle.local.engines import Engine, containers, processes


def line(engine: Engine, main: dict[str, Any], folder: Path, **places: Path) -> Line:
    found = engine(main, places, Folder(folder))
    assert isinstance(found, Line)
    return found


def test_a_process_gets_the_contract(tmp_path: Path) -> None:
    main = {
        "command": ["x", "$(TREADLE_VOLUME_V)/a", "$(B)"],
        "args": ["$(TREADLE_INPUT_FILE)"],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)$(LATER)"},
            {"name": "LATER", "value": "2"},
            {"name": "TREADLE_INPUT_FILE", "value": "/elsewhere"},
            {"name": "FROM", "valueFrom": {"fieldRef": {}}},
        ],
        "volumeMounts": [
            {"name": "v", "mountPath": "/v", "subPath": "sub"},
            {"name": "unknown", "mountPath": "/u"},
        ],
    }
    found = line(processes({}), main, tmp_path, v=tmp_path)
    given = str(tmp_path / "input.json")
    assert list(found.argv) == ["x", f"{tmp_path}/sub/a", "1$(LATER)", given]
    assert found.environment["TREADLE_INPUT_FILE"] == given
    assert found.environment["TREADLE_RESULT_FILE"] == str(tmp_path / "result")
    assert found.environment["TREADLE_VOLUME_V"] == f"{tmp_path}/sub"
    assert found.environment["LATER"] == "2"
    assert "FROM" not in found.environment


def test_what_is_inherited_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("TREADLE_NAMESPACES", "a")
    main = {"command": ["x", "$(OURS)"], "env": [{"name": "E", "value": "$(OURS)"}]}
    found = line(processes({}), main, tmp_path)
    assert list(found.argv) == ["x", "$(OURS)"]
    assert (found.environment["OURS"], found.environment["E"]) == ("1", "$(OURS)")
    assert "TREADLE_NAMESPACES" not in found.environment


def test_our_python_is_the_last_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", "/a:/b")
    found = line(processes({}), {"command": ["x"]}, tmp_path)
    assert found.environment["PATH"] == f"/a:/b:{ours}"
    monkeypatch.delenv("PATH")
    assert line(processes({}), {"command": ["x"]}, tmp_path).environment["PATH"] == ours


def test_an_image_that_decides_needs_a_command(tmp_path: Path) -> None:
    main = {"image": "busybox", "args": ["a"]}
    found = processes({})(main, {}, Folder(tmp_path))
    assert isinstance(found, StateError)
    assert found.name == "Kubernetes.ContainerConfig"
    assert "busybox" in str(found.cause)
    assert list(line(processes({"busybox": ["sh"]}), main, tmp_path).argv) == ["sh", "a"]


def test_a_sub_path_stays_in_its_volume(tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/v", "subPath": "../x"}
    with pytest.raises(LookupError, match="no path within"):
        processes({})(
            {"command": ["x"], "volumeMounts": [mount]}, {"v": tmp_path}, Folder(tmp_path)
        )


def test_a_container_gets_the_same_contract(tmp_path: Path) -> None:
    main = {
        "image": "busybox:1",
        "command": ["sh", "$(A)"],
        "args": ["b"],
        "env": [
            {"name": "TREADLE_INPUT_FILE", "value": "/run/in"},
            {"name": "TREADLE_RESULT_FILE", "value": "/run/out"},
            {"name": "A", "value": "1"},
        ],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
    }
    found = line(containers("podman"), main, tmp_path, v=tmp_path / "here")
    words = " ".join(found.argv)
    assert words.startswith("podman run --rm ")
    assert f"--volume {tmp_path}/input.json:/run/in:ro" in words
    assert f"--volume {tmp_path}/result:/run/out " in words
    assert f"--volume {tmp_path}/here:/v:ro" in words
    assert "--env A=1" in words
    assert words.endswith("--entrypoint sh busybox:1 1 b")
    assert (tmp_path / "result").exists()
    name = found.argv[found.argv.index("--name") + 1]
    assert list(found.after_kill) == ["podman", "rm", "--force", name]


def test_an_image_keeps_its_own_command(tmp_path: Path) -> None:
    env = [{"name": f"TREADLE_{what}_FILE", "value": "/x"} for what in ("INPUT", "RESULT")]
    found = line(containers("docker"), {"image": "i", "args": ["a"], "env": env}, tmp_path)
    assert list(found.argv)[-2:] == ["i", "a"]
    assert "--entrypoint" not in found.argv


def test_a_sub_path_that_is_not_there_is_made(tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/v", "subPath": "a/b"}
    line(processes({}), {"command": ["x"], "volumeMounts": [mount]}, tmp_path, v=tmp_path)
    assert (tmp_path / "a" / "b").is_dir()


def test_a_sub_path_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    mount = {"name": "v", "mountPath": "/v", "subPath": "file"}
    line(processes({}), {"command": ["x"], "volumeMounts": [mount]}, tmp_path, v=tmp_path)
    assert (tmp_path / "file").read_text() == "content"
