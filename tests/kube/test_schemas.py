"""The custom resources: what is in crds/, and that what we write fits in it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from ruamel.yaml import YAML

from treadle.asl import document
from treadle.asl.limits import MACHINE_BOUNDS, PROFILES
from treadle.engine.context import Identity
from treadle.engine.events import StopRequested
from treadle.engine.execution import Execution
from treadle.engine.memory import Page
from treadle.kube import schemas, structural
from treadle.kube.conditions import set_condition
from treadle.runtime.ports import ExecutionKey, Failure, Loaded, Record
from treadle.stores import pages as page_store
from treadle.stores import status as statuses

CRDS = Path(__file__).parents[2] / "crds"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
KEY = ExecutionKey("ns", "run-1", "uid-1")
IDENTITY = Identity("arn:aws:states:r:1:execution:m:run-1", "run-1", "", "m")
Schema = dict[str, Any]


def crd(name: str) -> Schema:
    return YAML(typ="safe").load(schemas.crds()[f"{name}.yaml"])


def schema_of(name: str) -> Schema:
    (version,) = crd(name)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def members(schema: Schema, place: str = "") -> Iterator[tuple[str, Schema]]:
    yield place, schema
    for name, each in schema.get("properties", {}).items():
        yield from members(each, f"{place}.{name}")
    for name, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if name in schema:
            yield from members(schema[name], place + mark)


KINDS = sorted(name.removesuffix(".yaml") for name in schemas.crds())


# ------------------------------------------------------------------------------------- crds/


def test_crds_are_what_the_models_give() -> None:
    found = {path.name: path.read_text() for path in CRDS.glob("*.yaml")}
    assert found == schemas.crds(), "run `make crds`"


def test_they_are_written_to_a_folder(tmp_path: Path) -> None:
    schemas.main(str(tmp_path / "new"))
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(schemas.crds())


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_described(kind: str) -> None:
    silent = [
        place
        for place, schema in members(schema_of(kind))
        if not schema.get("description") and not place.endswith((".metadata", "*", "[]"))
    ]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_selectable_fields_are_there(kind: str) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    known = {place for place, _ in members(schema_of(kind))}
    columns = [each["jsonPath"] for each in version["additionalPrinterColumns"]]
    selectable = [each["jsonPath"] for each in version.get("selectableFields", [])]
    for path in columns + selectable:
        if not path.startswith(".metadata"):
            plain = re.sub(r"\[\d\]", "[]", path).replace('[?(@.type=="Ready")]', "[]")
            assert plain in known, path


def test_rules_name_members_that_are_there() -> None:
    for kind in KINDS:
        for place, schema in members(schema_of(kind)):
            for rule in schema.get("x-kubernetes-validations", []):
                assert rule["message"]
                if "fieldPath" in rule:
                    found = schema
                    for name in rule["fieldPath"].removeprefix(".").split("."):
                        assert name in found["properties"], place
                        found = found["properties"][name]


# ---------------------------------------------------------------------- what we write fits


def misfits(value: Any, schema: Schema, place: str = "") -> Iterator[str]:
    """What the API server would refuse, or leave out."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if value is None:
        yield f"{place} is null"
        return
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    if not isinstance(value, types[schema["type"]]):
        yield f"{place} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is {value}"
    if isinstance(value, dict):
        known = schema.get("properties", {})
        missing = [each for each in schema.get("required", ()) if each not in value]
        yield from (f"{place}.{each} is missing" for each in missing)
        for name, each in value.items():
            if name not in known:
                yield f"{place}.{name} is unknown"
            else:
                yield from misfits(each, known[name], f"{place}.{name}")
    if isinstance(value, list):
        for each in value:
            yield from misfits(each, schema["items"], f"{place}[]")


def misfits_of_status(status: Schema) -> list[str]:
    return list(misfits(status, schema_of("executions")["properties"]["status"]))


def a_loaded(**more: Any) -> Loaded:
    blank = Loaded(KEY, "1", None, None, {}, None, None, "", generation=3)
    return replace(blank, **more)


def running(state: Schema, given: str = "{}") -> Execution:
    program = document.parse({"StartAt": "A", "States": {"A": state}})
    return Execution.start(program, "digest", IDENTITY, given, seed=b"0" * 16, now=NOW)


def recorded(execution: Execution, *, loaded: Loaded | None = None, **more: Any) -> Schema:
    record = Record(execution, "m-12345678", encoded=execution.encode(), pending_since=NOW, **more)
    return statuses.of_record(loaded or a_loaded(), record, NOW)


EACH = {
    "Type": "Map",
    "End": True,
    "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 9, "End": True}}},
}
OPEN = {"Type": "Wait", "Seconds": 9, "End": True}


def test_the_status_of_a_running_execution_fits() -> None:
    had = set_condition([], "Suspended", "True", "SpecSuspend", "", NOW, 1)
    loaded = a_loaded(status={"conditions": had})
    status = recorded(running(EACH, "[1, 2]"), loaded=loaded, capacity=("no room",))
    assert status["progress"]["text"] == "0/2"
    assert {each["type"] for each in status["conditions"]} == {"Suspended", "WaitingForCapacity"}
    assert [each["path"] for each in status["currentStates"]] == ["A[0]/B", "A[1]/B"]
    assert misfits_of_status(status) == []


@pytest.mark.parametrize("given", ["{}", f'"{"x" * 9_000}"'], ids=["small", "large"])
def test_the_status_of_a_success_fits(given: str) -> None:
    status = recorded(running({"Type": "Succeed"}, given))
    assert ("outputRef" in status) is (len(given) > 9_000)
    assert misfits_of_status(status) == []


@pytest.mark.parametrize(("error", "cause"), [("E", "because"), (None, None)])
def test_the_status_of_an_aborted_execution_fits(error: str | None, cause: str | None) -> None:
    execution = running(OPEN)
    execution.handle(StopRequested(error, cause), NOW)
    status = recorded(execution)
    assert status["phase"] == "Aborted"
    assert misfits_of_status(status) == []


def test_the_status_of_one_that_never_started_fits() -> None:
    waits = Record(None, None, pending_since=NOW, waiting="StateMachine 'm' does not exist")
    failed = Record(None, None, failure=Failure("Treadle.InvalidExecution", "why"))
    parked = Record(None, None, parked="it is newer than this release")
    for record in (waits, failed, parked):
        assert misfits_of_status(statuses.of_record(a_loaded(), record, NOW)) == []


def test_a_page_fits() -> None:
    for kind in ("payload", "results", "history", "snapshot"):
        page = page_store._manifest(KEY, "d" * 64, Page(kind, b"x"))
        assert list(misfits(page["spec"], schema_of("executionpages")["properties"]["spec"])) == []


# --------------------------------------------------------------------- models to schemas


class _Described(BaseModel):
    """It has a description."""


class _TwoTypes(_Described):
    a: int | str = Field(description="a")


class _Closed(_Described):
    a: dict[str, int] = Field(description="a")
    b: tuple[int, int] = Field(description="b")


class _Pruned(_Described):
    a: _Described = Field(description="a")


class _Silent(_Described):
    a: int


class _Untyped(_Described):
    a: Any = Field(description="a")


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (_TwoTypes, "a: a structural schema has one type"),
        (_Closed, "b: a structural schema has no prefixItems"),
        (_Pruned, "a: all members of this object would be pruned"),
        (_Silent, "a: it has no description"),
        (_Untyped, "a: a structural schema has a type"),
    ],
)
def test_what_a_structural_schema_cannot_say_is_an_error(model: type[BaseModel], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        structural.structural(model)


@pytest.mark.parametrize("kind", ["statemachines", "statemachinerevisions"])
def test_limits_of_a_machine_are_those_that_it_may_set(kind: str) -> None:
    schema = schema_of(kind)["properties"]["spec"]["properties"]["limits"]
    # One that is misspelt is kept, so that the machine is not Ready and says so.
    assert schema["x-kubernetes-preserve-unknown-fields"] is True
    found = dict(schema["properties"])
    assert found.pop("profile")["enum"] == list(PROFILES)
    assert set(found) == {bound.member for bound in MACHINE_BOUNDS}
    for bound in MACHINE_BOUNDS:
        member = found[bound.member]
        assert (member["type"], member["format"]) == ("integer", "int64")
        assert member["minimum"] == (0 if bound.is_optional else bound.least)
        assert member["maximum"] == bound.most
