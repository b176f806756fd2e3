"""The chart's values: each is explained, and what is mistyped is refused with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from tests.support import chart

SCHEMA: dict[str, Any] = json.loads((chart.FOLDER / "values.schema.json").read_text())
TEXT = (chart.FOLDER / "values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
# Their members are Kubernetes'.
FREE = (
    *("strategy", "resources", "affinity", "nodeSelector", "podLabels", "podAnnotations"),
    *("serviceAccount.annotations", "service.annotations", "serviceMonitor.labels"),
)


def leaves(values: dict[str, Any], place: str = "") -> Iterator[str]:
    for name, value in values.items():
        here = f"{place}{name}"
        if isinstance(value, dict) and value and here not in FREE:
            yield from leaves(value, f"{here}.")
        else:
            yield here


def members(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in schema.get("properties", {}).items():
        yield f"{place}{name}", each
        yield from members(each, f"{place}{name}.")


MEMBERS = dict(members(SCHEMA))


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(helm_python.HelmValuesError) as said:
        chart.templates(values)
    return str(said.value)


def test_schema_and_values_have_the_same_names() -> None:
    named = {place for place, each in MEMBERS.items() if "properties" not in each}
    assert named - {"global"} == set(leaves(VALUES))


@pytest.mark.parametrize("schema", MEMBERS.values(), ids=MEMBERS.keys())
def test_each_is_described_and_closed(schema: dict[str, Any]) -> None:
    assert schema["description"].endswith(".")
    if "properties" in schema:
        assert schema["additionalProperties"] is False


def test_each_value_has_a_comment_above_it() -> None:
    lines = TEXT.splitlines()
    values = [number for number, line in enumerate(lines) if re.match(r" *\w+: ", line)]
    assert len(values) == len(list(leaves(VALUES)))
    bare = [lines[number] for number in values if not lines[number - 1].lstrip().startswith("#")]
    assert bare == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"http": {"denyCidrs": []}}, "additional properties 'denyCidrs' not allowed"),
        ({"http": {"denyCIDRs": ["10.0.0.1"]}}, "/http/denyCIDRs/0"),
        ({"scope": "namespace"}, "/scope"),
        ({"scope": "namespaces"}, "/namespaces"),
        ({"namespaces": ["a"]}, "/namespaces"),
        ({"scope": "namespaces", "namespaces": ["A"]}, "/namespaces/0"),
        ({"replicas": "two"}, "/replicas"),
        ({"terminationGracePeriodSeconds": 30}, "/terminationGracePeriodSeconds"),
        ({"tasks": {"podSecurityLevel": "lax"}}, "/tasks/podSecurityLevel"),
        ({"tasks": {"startFailureSeconds": 0}}, "/tasks/startFailureSeconds"),
        ({"log": {"level": "info"}}, "/log/level"),
        ({"arns": {"account": "1"}}, "/arns/account"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"health": {"port": 80}}, "/health/port"),
        ({"serviceAccount": {"create": False}}, "/serviceAccount/name"),
        ({"serviceAccount": {"create": False, "name": None}}, "/serviceAccount"),
    ],
)
def test_a_mistake_is_refused_with_its_place(values: dict[str, Any], said: str) -> None:
    assert said in refused(values)


def test_a_long_release_name_still_makes_legal_names() -> None:
    for name in ("r" * 53, f"{'r' * 49}-x"):
        for obj in chart.objects({}, name=name, namespace="n" * 63):
            made = obj["metadata"]["name"]
            assert len(made) <= (253 if "." in made else 63)
            assert not made.endswith("-")
