"""Volumes without containers: `$(NAME)`, folders, and what is written out."""

import base64
from pathlib import Path
from typing import Any

import pytest

from treadle.local.volumes import Volumes, expanded, problem_of, within


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        # Kubernetes takes all up to the first closing bracket as the name.
        ("$(x$(A)", "$(x$(A)"),
        ("$()", "$()"),
        ("$( A)", "$( A)"),
    ],
)
def test_names_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expanded(text, {"A": "1", "B": "2"}) == expected


def config(name: str = "code", **members: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name}, **members}


def volumes(folder: Path, *objects: dict[str, Any], **named: Path) -> Volumes:
    kept = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    return Volumes(folder / "shared", folder / "own", named, kept)


def laid_out(found: Volumes, volume: dict[str, Any], scratch: Path) -> Path:
    (place,) = found.lay_out([{"name": "v", **volume}], scratch).values()
    return place


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    found = volumes(tmp_path, v=tmp_path / "mine")
    assert laid_out(found, {"configMap": {"name": "missing"}}, tmp_path) == tmp_path / "mine"


def test_a_claim_is_kept_between_runs_and_an_empty_dir_is_not(tmp_path: Path) -> None:
    found = volumes(tmp_path)
    claim = laid_out(found, {"persistentVolumeClaim": {"claimName": "data"}}, tmp_path / "a")
    assert claim == tmp_path / "shared" / "data"
    assert claim.is_dir()
    empty = laid_out(found, {"emptyDir": {}}, tmp_path / "a")
    assert empty == tmp_path / "a" / "v"
    assert laid_out(found, {"persistentVolumeClaim": None}, tmp_path).name == "v"


def test_config_maps_and_secrets_are_written_out(tmp_path: Path) -> None:
    packed = base64.b64encode(b"\0\xff").decode()
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"key": packed},
        "stringData": {"word": "w"},
    }
    code = config(data={"a.py": "ä", "n": 1}, binaryData={"b": packed})
    found = volumes(tmp_path, code, secret)
    place = laid_out(found, {"configMap": {"name": "code"}}, tmp_path)
    assert (place / "a.py").read_bytes() == "ä".encode()
    assert (place / "n").read_text() == "1"
    assert (place / "b").read_bytes() == b"\0\xff"
    place = laid_out(found, {"secret": {"secretName": "s"}}, tmp_path)
    assert ((place / "key").read_bytes(), (place / "word").read_text()) == (b"\0\xff", "w")


def test_items_choose_and_rename(tmp_path: Path) -> None:
    items = [{"key": "a", "path": "deep/b"}, {"key": "missing", "path": "c"}]
    found = volumes(tmp_path, config(data={"a": "1", "z": "2"}))
    place = laid_out(found, {"configMap": {"name": "code", "items": items}}, tmp_path)
    assert [path.name for path in place.rglob("*")] == ["deep", "b"]


def test_two_volumes_of_one_name_do_not_mix(tmp_path: Path) -> None:
    found = volumes(tmp_path, config("one", data={"a": "1"}), config("two", data={"a": "2"}))
    one = laid_out(found, {"configMap": {"name": "one"}}, tmp_path)
    two = laid_out(found, {"configMap": {"name": "two"}}, tmp_path)
    assert ((one / "a").read_text(), (two / "a").read_text()) == ("1", "2")
    assert laid_out(found, {"configMap": {"name": "one"}}, tmp_path) == one


def test_what_is_missing_is_named_unless_it_is_optional(tmp_path: Path) -> None:
    found = volumes(tmp_path)
    with pytest.raises(LookupError, match=r"no ConfigMap 'gone'.*--volume v=DIR"):
        laid_out(found, {"configMap": {"name": "gone"}}, tmp_path)
    place = laid_out(found, {"configMap": {"name": "gone", "optional": True}}, tmp_path)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "a/../../x", "/etc", "a/.."])
def test_no_path_leads_out_of_a_volume(path: str, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no path within"):
        within(tmp_path, path)
    found = volumes(tmp_path, config(data={"a": "1"}))
    items = [{"key": "a", "path": path}]
    with pytest.raises(LookupError, match="no path within"):
        laid_out(found, {"configMap": {"name": "code", "items": items}}, tmp_path)


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        (config(data={"a": "1"}), ""),
        (config(), ""),
        ({"kind": "ConfigMap"}, "has no metadata.name"),
        ({"kind": "ConfigMap", "metadata": {"name": ["x"]}}, "has no metadata.name"),
        (config(data="x"), "its data is not an object"),
        (config(data={"../x": "1"}), "no path within a volume"),
        (config(binaryData={"a": "!"}), "cannot be used"),
    ],
)
def test_an_object_that_cannot_be_written_out_is_told(obj: dict[str, Any], problem: str) -> None:
    assert problem in problem_of(obj)
    assert bool(problem) == bool(problem_of(obj))
