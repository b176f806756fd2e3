"""How the file of AWS's services is made from their models."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.service_models import leaf, main, packed, service_name, service_row


def model(operations: dict[str, Any], shapes: dict[str, Any], name: str = "Toy Service") -> Any:
    return {"metadata": {"serviceId": name}, "operations": operations, "shapes": shapes}


def asked(name: str, output: str) -> dict[str, Any]:
    return {name: {"name": name, "output": {"shape": output}}}


def structure(required: tuple[str, ...] = (), **members: str) -> dict[str, Any]:
    shapes = {name: {"shape": shape} for name, shape in members.items()}
    return {"type": "structure", "required": list(required), "members": shapes}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("service_id", "name"),
    [
        ("DynamoDB", "dynamodb"),
        ("SFN", "sfn"),
        ("Config Service", "config"),
        ("Directory Service", "directory"),
        ("Directory Service Data", "directoryservicedata"),
        ("Service Catalog", "servicecatalog"),
        ("Elastic Load Balancing v2", "elasticloadbalancingv2"),
        ("codestar notifications", "codestarnotifications"),
        ("EMR-containers", "emrcontainers"),
    ],
)
def test_a_service_is_named_by_the_letters_of_its_id(service_id: str, name: str) -> None:
    assert service_name(model({}, {}, service_id)) == name


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ({"type": "string"}, "s"),
        ({"type": "string", "min": 1, "max": 8}, "s1:8"),
        ({"type": "string", "max": 8}, "s:8"),
        ({"type": "string", "pattern": "a"}, "s"),
        ({"type": "string", "enum": ["ON", "OFF"], "max": 3}, "eON|OFF"),
        ({"type": "string", "enum": [str(n) for n in range(33)], "max": 3}, "s:3"),
        ({"type": "integer", "min": 0}, "n0:"),
        ({"type": "long"}, "n"),
        ({"type": "double", "max": 1.5}, "n:1.5"),
        ({"type": "float"}, "n"),
        ({"type": "blob", "min": 1, "max": 6144}, "x1:6144"),
        ({"type": "boolean"}, "b"),
        ({"type": "timestamp"}, "t"),
    ],
)
def test_a_shape_that_holds_no_other_is_a_code(shape: Any, code: str) -> None:
    assert leaf([shape]) == code


def test_a_shape_keeps_its_first_bounds_and_takes_the_values_that_came_later() -> None:
    assert leaf([{"type": "integer", "max": 1}, {"type": "integer", "max": 2}]) == "n:1"
    states = [{"type": "string", "enum": values} for values in (["A", "B"], ["B", "C"])]
    assert leaf(states) == "eA|B|C"
    assert leaf([states[0], TEXT]) == "s"


def test_actions_are_in_camel_case_and_members_in_pascal_case_the_required_first() -> None:
    shapes = {"Out": structure(("id",), name="Text", equals="Text", id="Text"), "Text": TEXT}
    actions, rows = service_row([model(asked("GetToy", "Out"), shapes)])
    assert actions == {"getToy": 0}
    assert list(rows[0].items()) == [("!Id", "s"), ("Name", "s"), ("EqualsValue", "s")]


def test_a_shape_that_holds_itself_is_written_once() -> None:
    shapes = {
        "Out": structure(Root="Node"),
        "Node": structure(Next="Node", All="Nodes", By="NodeMap", Free="Any"),
        "Nodes": {"type": "list", "member": {"shape": "Node"}, "min": 1, "max": 9},
        "NodeMap": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Node"}},
        "Any": {**structure(), "document": True},
        "Text": TEXT,
    }
    _, rows = service_row([model(asked("Get", "Out"), shapes)])
    assert rows == [
        {"Root": 1},
        {"Next": 1, "All": 2, "By": 3, "Free": "a"},
        ["l:9", 1],
        ["m", 1],
    ]


def test_what_holds_json_in_a_header_may_be_anything() -> None:
    out = {"type": "structure", "members": {"x": {"shape": "Text", "jsonvalue": True}}}
    assert service_row([model(asked("Get", "Out"), {"Out": out, "Text": TEXT})])[1] == [{"X": "a"}]


def test_what_streams_or_is_not_supported_is_left_out() -> None:
    shapes = {
        "Out": structure(Text="Text"),
        "Events": structure(Stream="Stream"),
        "Stream": {**structure(), "eventstream": True},
        "Text": TEXT,
    }
    operations = {
        **asked("GetCallerIdentity", "Out"),
        **asked("AssumeRole", "Out"),
        **asked("Listen", "Events"),
        "Talk": {"input": {"shape": "Events"}},
        "Say": {"input": {"shape": "Out"}},
    }
    actions, _ = service_row([model(operations, shapes, "STS")])
    assert actions == {"getCallerIdentity": 0, "say": None}


def test_a_newer_release_adds_actions_and_services_and_changes_no_shape() -> None:
    count, more = {"type": "integer", "max": 1}, {"type": "integer", "max": 2}
    old = model(asked("Get", "Out"), {"Out": structure(N="Count"), "Count": count})
    both = {**asked("Get", "Out"), **asked("Add", "Out")}
    new = model(both, {"Out": structure(N="Count", M="Count"), "Count": more})
    other = model(asked("Get", "Out"), {"Out": structure()}, "Other")
    file = packed([[old], [other, new]], "here")
    assert file == packed([[old], [other, new]], "here")
    assert [json.loads(line) for line in gzip.decompress(file).splitlines()] == [
        {"source": "here", "actions": {"other": "get", "toy": "add get"}},
        ["other", {"get": 0}, [{}]],
        ["toy", {"add": 1, "get": 0}, [{"N": "n:1"}, {"N": "n:2", "M": "n:2"}]],
    ]


def test_the_newest_model_of_a_service_is_read_from_where_a_release_was_put(tmp_path: Path) -> None:
    (tmp_path / "botocore-1.0.dist-info").mkdir()
    data = tmp_path / "botocore" / "data"
    (data / "toy" / "2001").mkdir(parents=True)
    (data / "toy" / "2002").mkdir()
    (data / "endpoints.json").write_text("{}")
    (data / "toy" / "2001" / "service-2.json").write_text("not read")
    text = json.dumps(model(asked("Get", "Out"), {"Out": structure()}))
    (data / "toy" / "2002" / "service-2.json.gz").write_bytes(gzip.compress(text.encode()))
    main(str(tmp_path / "out.gz"), str(tmp_path))
    first, second = gzip.decompress((tmp_path / "out.gz").read_bytes()).splitlines()
    assert json.loads(first)["source"] == "botocore-1.0"
    assert json.loads(second) == ["toy", {"get": 0}, [{}]]
