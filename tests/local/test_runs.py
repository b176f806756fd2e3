"""What was asked for, and who is at it."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from treadle.asl.json import dumps
from treadle.local.files import write_whole
from treadle.local.runs import Run, Runs


def a_run(name: str = "a", cwd: str = "/") -> Run:
    return Run(name=name, machine="m", spec={}, request={}, cwd=cwd)


def kept(runs: Runs, run: Run) -> Run:
    with runs.alone(run.name):
        runs.keep(run)
    return run


def test_a_run_is_kept_whole(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "state")
    run = Run(
        name="a",
        machine="m",
        spec={"definition": "x"},
        request={"inputJson": "[1]"},
        cwd="/there",
        objects=[{"kind": "ConfigMap"}],
        volumes={"v": "/v"},
        commands={"i": ["sh"]},
        runner="podman",
        mocks="{}",
        case="c",
        virtual=True,
        limits="aws",
    )
    assert runs.get(kept(runs, run).name) == run


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    kept(runs, a_run())
    with pytest.raises(ValueError, match="there is an execution named 'a'"):
        kept(runs, a_run())


def test_two_are_not_at_one_run(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with runs.alone("a"):
        with pytest.raises(ValueError, match="run by another"), Runs(tmp_path).alone("a"):
            pass
        with Runs(tmp_path).alone("b"):
            pass
    with runs.alone("a"):
        pass


def test_what_fails_within_is_not_taken_for_another_run(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), Runs(tmp_path).alone("a"):
        raise BlockingIOError


def test_a_state_directory_is_private(tmp_path: Path) -> None:
    kept(Runs(tmp_path / "state"), a_run())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "-a", "ä", "a" * 81, "a\n"])
def test_what_cannot_be_a_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        Runs(tmp_path).get(name)


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with pytest.raises(ValueError, match="there are: none yet"):
        runs.get("a")
    kept(runs, a_run("b"))
    with pytest.raises(ValueError, match=r"no execution named 'a'.*there are: b"):
        runs.get("a")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "a"}', "\0"])
def test_a_damaged_run_is_told(text: str, tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    kept(runs, a_run())
    (runs.of("a") / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        runs.get("a")


def test_a_run_of_another_name_is_told(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    kept(runs, a_run("b"))
    (tmp_path / "runs" / "b").rename(tmp_path / "runs" / "a")
    with pytest.raises(ValueError, match="is of 'b'"):
        runs.get("a")


def test_the_newest_is_the_first(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for number, name in enumerate(("b", "c", "a")):
        kept(runs, a_run(name))
        os.utime(runs.of(name) / "run.json", (number, number))
    assert runs.names() == ["a", "c", "b"]


def test_a_state_directory_that_is_a_file_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    runs = Runs(tmp_path / "file")
    assert runs.names() == []
    with pytest.raises(ValueError, match=r"no execution named"):
        runs.get("a")
    with pytest.raises(ValueError, match="is no directory"), runs.alone("a"):
        pass


@pytest.mark.parametrize("wrong", [{"volumes": 3}, {"spec": 1}, {"objects": [1]}, {"more": 1}])
def test_members_of_a_wrong_type_are_damage(wrong: dict[str, Any], tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    whole = {"name": "a", "machine": "m", "spec": {}, "request": {}, "cwd": "/"}
    write_whole(runs.of("a") / "run.json", dumps({**whole, **wrong}).encode())
    with pytest.raises(ValueError, match="is damaged"):
        runs.get("a")
