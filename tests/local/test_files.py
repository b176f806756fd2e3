"""An API server made of files."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.local.files import FileApi, write_whole
from treadle.runtime.ports import AlreadyExists, Conflict, Missing, Refused, Unavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def api(tmp_path: Path) -> FileApi:
    return FileApi(tmp_path / "objects", lambda: NOW)


def an_execution(name: str = "a", **metadata: Any) -> dict[str, Any]:
    return {"kind": "Execution", "metadata": {"name": name, **metadata}, "spec": {"a": 1}}


async def test_what_is_made_is_there(api: FileApi) -> None:
    made = await api.create(EXECUTIONS, None, an_execution(uid="mine", labels={"l": "1"}))
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00+00:00"
    assert await api.get(EXECUTIONS, None, "a") == made
    with pytest.raises(AlreadyExists):
        await api.create(EXECUTIONS, None, an_execution())
    with pytest.raises(Missing):
        await api.get(EXECUTIONS, None, "b")
    assert api.now() == NOW


async def test_a_change_meets_its_version(api: FileApi) -> None:
    made = await api.create(EXECUTIONS, None, an_execution())
    changed = await api.update(EXECUTIONS, None, {**made, "spec": {"a": 2}, "status": {"x": 1}})
    assert (changed["metadata"]["generation"], "status" in changed) == (2, False)
    with pytest.raises(Conflict):
        await api.update_status(EXECUTIONS, None, {**made, "status": {}})
    said = await api.update_status(EXECUTIONS, None, {**changed, "spec": 3, "status": {"y": 1}})
    assert (said["spec"], said["status"]) == ({"a": 2}, {"y": 1})
    assert said["metadata"]["generation"] == 2
    assert said["metadata"]["resourceVersion"] == "3"


async def test_patches_of_both_forms(api: FileApi) -> None:
    await api.create(EXECUTIONS, None, an_execution())
    merged = await api.patch(EXECUTIONS, None, "a", {"spec": {"b": 2}})
    assert merged["spec"] == {"a": 1, "b": 2}
    steps = [{"op": "remove", "path": "/spec/a"}]
    assert (await api.patch(EXECUTIONS, None, "a", steps, form="json"))["spec"] == {"b": 2}


async def test_lists_choose_by_label(api: FileApi) -> None:
    for name, label in (("b", "1"), ("a", "1"), ("c", "2")):
        await api.create(EXECUTIONS, None, an_execution(name, labels={"l": label}))
    found = await api.list(EXECUTIONS, None, labels="l=1")
    assert [obj["metadata"]["name"] for obj in found.items] == ["a", "b"]
    assert (await api.list(STATE_MACHINES, None)).items == []


async def test_deleting_may_name_what_is_meant(api: FileApi) -> None:
    await api.create(EXECUTIONS, None, an_execution())
    with pytest.raises(Conflict):
        await api.delete(EXECUTIONS, None, "a", uid="other")
    await api.delete(EXECUTIONS, None, "a")
    with pytest.raises(Missing):
        await api.delete(EXECUTIONS, None, "a")


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".hidden", "ä" * 121])
async def test_what_cannot_be_a_name_is_refused(api: FileApi, name: str) -> None:
    with pytest.raises(Refused):
        await api.get(EXECUTIONS, None, name)


async def test_kinds_may_be_kept_apart(tmp_path: Path) -> None:
    apart = {STATE_MACHINES.plural: tmp_path / "own"}
    api = FileApi(tmp_path / "all", lambda: NOW, apart)
    await api.create(STATE_MACHINES, None, an_execution())
    await api.create(EXECUTIONS, None, an_execution())
    assert (tmp_path / "own" / STATE_MACHINES.plural / "a.json").exists()
    assert (tmp_path / "all" / EXECUTIONS.plural / "a.json").exists()


async def test_what_cannot_be_written_or_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    api = FileApi(tmp_path / "file", lambda: NOW)
    with pytest.raises(Unavailable, match="cannot be written"):
        await api.create(EXECUTIONS, None, an_execution())
    with pytest.raises(Unavailable, match="cannot be read"):
        await api.get(EXECUTIONS, None, "a")


async def test_a_damaged_object_is_told(api: FileApi, tmp_path: Path) -> None:
    await api.create(EXECUTIONS, None, an_execution())
    path = tmp_path / "objects" / EXECUTIONS.plural / "a.json"
    path.write_text("{")
    with pytest.raises(Refused, match="damaged"):
        await api.get(EXECUTIONS, None, "a")


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"x")
    left = [p.name for p in tmp_path.rglob("*")]
    assert sorted(left) == ["a", "deep", "folder"], f"{os.getpid()}"


@pytest.mark.parametrize("content", ["{}", "[]", "1", '{"metadata": {"name": "a"}}'])
async def test_what_is_no_object_is_damaged_too(content: str, api: FileApi, tmp_path: Path) -> None:
    await api.create(EXECUTIONS, None, an_execution())
    (tmp_path / "objects" / EXECUTIONS.plural / "a.json").write_text(content)
    with pytest.raises(Refused, match="damaged"):
        await api.get(EXECUTIONS, None, "a")
