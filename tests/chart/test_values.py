"""The chart's values: each is explained and used; what is mistyped is refused with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from tests.support import chart
from treadle.asl.limits import BOUNDS, Bound

SCHEMA: dict[str, Any] = json.loads((chart.FOLDER / "values.schema.json").read_text())
TEXT = (chart.FOLDER / "values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
# Their members are Kubernetes'.
FREE = (
    *("strategy", "resources", "affinity", "nodeSelector", "podLabels", "podAnnotations"),
    *("serviceAccount.annotations", "service.annotations", "serviceMonitor.labels"),
)

# For each its place and another value than its own. `scope` is not here: it cannot be changed
# without `namespaces`.
OTHER: dict[str, Any] = {
    "nameOverride": "other",
    "fullnameOverride": "other",
    "namespaces": ["a", "b"],
    "image.repository": "example.org/treadle",
    "image.tag": "other",
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": ["other"],
    "replicas": 2,
    "strategy": {"type": "Recreate", "rollingUpdate": None},
    "terminationGracePeriodSeconds": 91,
    "lease.name": "other",
    "http.allowCIDRs": ["10.0.0.0/8"],
    "http.denyCIDRs": ["10.0.0.0/8"],
    "http.allowLoopback": True,
    "arns.region": "other",
    "arns.account": "123456789012",
    "tasks.podSecurityLevel": "privileged",
    "tasks.startFailureSeconds": 1,
    "limits.profile": "aws",
    **{f"limits.{bound.member}": bound.least for bound in BOUNDS},
    "log.format": "text",
    "log.level": "DEBUG",
    "health.port": 9000,
    "health.host": "::",
    "api.port": 9001,
    "api.host": "::",
    "api.url": "https://example.org",
    "crds.install": False,
    "rbac.create": False,
    "rbac.aggregate": False,
    "serviceAccount.create": False,
    "serviceAccount.name": "other",
    "serviceAccount.annotations": {"a": "b"},
    "admissionPolicies.enabled": False,
    "resources": {"limits": {"memory": "2Gi"}},
    "priorityClassName": "other",
    "podLabels": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraEnv": [{"name": "A", "value": "b"}],
    "podDisruptionBudget.enabled": False,
    "podDisruptionBudget.maxUnavailable": 2,
    "service.annotations": {"a": "b"},
    "networkPolicy.enabled": True,
    "networkPolicy.metricsFrom": [{"namespaceSelector": {}}],
    "networkPolicy.apiFrom": [],
    "networkPolicy.egress": [{}],
    "serviceMonitor.enabled": True,
    "serviceMonitor.interval": "1m",
    "serviceMonitor.labels": {"a": "b"},
    "uninstall.freePods": False,
}
# Without these they change nothing, or are refused.
NEEDED: dict[str, dict[str, Any]] = {
    "namespaces": {"scope": "namespaces", "namespaces": ["a"]},
    "serviceAccount.create": {"serviceAccount.name": "own"},
    "networkPolicy.metricsFrom": {"networkPolicy.enabled": True},
    "networkPolicy.apiFrom": {"networkPolicy.enabled": True},
    "networkPolicy.egress": {"networkPolicy.enabled": True},
    "serviceMonitor.interval": {"serviceMonitor.enabled": True},
    "serviceMonitor.labels": {"serviceMonitor.enabled": True},
}


def leaves(values: dict[str, Any], place: str = "") -> Iterator[str]:
    for name, value in values.items():
        here = f"{place}{name}"
        if isinstance(value, dict) and value and here not in FREE:
            yield from leaves(value, f"{here}.")
        else:
            yield here


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """As in values.yaml, from their places."""
    made: dict[str, Any] = {}
    for place, value in values.items():
        *above, name = place.split(".")
        inner = made
        for each in above:
            inner = inner.setdefault(each, {})
        inner[name] = value
    return made


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


def test_each_has_another_value() -> None:
    assert set(OTHER) == set(leaves(VALUES)) - {"scope"}


@pytest.mark.parametrize("place", OTHER)
def test_another_value_makes_other_objects(place: str) -> None:
    needed = NEEDED.get(place, {})
    with_it = nested({**needed, place: OTHER[place]})
    assert chart.objects(with_it) != chart.objects(nested(needed))


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
        ({"limits": {"profile": "azure"}}, "/limits/profile"),
        ({"limits": {"payloadMax": 1_000}}, "additional properties 'payloadMax' not allowed"),
        ({"limits": {"payloadBytesMax": 2_000_000}}, "/limits/payloadBytesMax"),
        ({"limits": {"payloadBytesMax": 0}}, "/limits/payloadBytesMax"),
        ({"limits": {"payloadBytesMax": "1 MiB"}}, "/limits/payloadBytesMax"),
        ({"limits": {"liveFramesMax": 1.5}}, "/limits/liveFramesMax"),
        ({"arns": {"account": "1"}}, "/arns/account"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"health": {"port": 80}}, "/health/port"),
        ({"serviceAccount": {"create": False}}, "/serviceAccount/name"),
        ({"serviceAccount": {"create": False, "name": None}}, "/serviceAccount"),
    ],
)
def test_a_mistake_is_refused_with_its_place(values: dict[str, Any], said: str) -> None:
    assert said in refused(values)


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_a_limit_may_be_what_the_operator_takes(bound: Bound) -> None:
    member = MEMBERS[f"limits.{bound.member}"]
    none, whole = member["oneOf"]
    assert none == {"enum": ["", 0] if bound.is_optional else [""]}
    assert whole == {"type": "integer", "minimum": bound.least, "maximum": bound.most}
    assert VALUES["limits"][bound.member] == ""


def test_a_long_release_name_still_makes_legal_names() -> None:
    for name in ("r" * 53, f"{'r' * 49}-x"):
        for obj in chart.objects({}, name=name, namespace="n" * 63):
            made = obj["metadata"]["name"]
            assert len(made) <= (253 if "." in made else 63)
            assert not made.endswith("-")
