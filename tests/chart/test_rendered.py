"""What the chart renders to: valid objects that fit together, in each of several installations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.support import chart
from tests.support.chart import Obj, hook_of, of_kind
from treadle import __version__
from treadle.app.settings import from_environment
from treadle.asl.limits import BOUNDS, PROFILES, SETTINGS, Limits
from treadle.kube import podsecurity, schemas

ROOT = Path(__file__).parents[2]

EVERYTHING: dict[str, Any] = {
    "image": {"repository": "example.org/treadle", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": ["pull"],
    "replicas": 2,
    "http": {"allowCIDRs": ["10.1.0.0/16"], "denyCIDRs": ["10.0.0.0/8", "fd00::/8"]},
    "serviceAccount": {"annotations": {"a": "b"}},
    "priorityClassName": "high",
    "podLabels": {"team": "t"},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
    "service": {"annotations": {"a": "b"}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "p"}},
}
NAMESPACED = {"scope": "namespaces", "namespaces": ["a", "b"]}
BARE = {
    "crds": {"install": False},
    "rbac": {"create": False, "aggregate": False},
    "serviceAccount": {"create": False, "name": "own"},
    "admissionPolicies": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "uninstall": {"freePods": False},
}
INSTALLATIONS = {
    "default": {},
    "everything": EVERYTHING,
    "namespaced": NAMESPACED,
    "everything-namespaced": {**EVERYTHING, **NAMESPACED},
    "bare": BARE,
}

every_installation = pytest.mark.parametrize(
    "values", INSTALLATIONS.values(), ids=INSTALLATIONS.keys()
)


def pod_templates(objs: list[Obj]) -> list[Obj]:
    """Of the Deployment, of hooks' Jobs, and a Pod that is a hook itself."""
    owners = of_kind(objs, "Deployment", "Job")
    return [obj["spec"]["template"] for obj in owners] + of_kind(objs, "Pod")


def operator_pod(values: dict[str, Any] | None = None) -> Obj:
    (deployment,) = of_kind(chart.objects(values), "Deployment")
    found: Obj = deployment["spec"]["template"]["spec"]
    return found


def environment(values: dict[str, Any] | None = None) -> dict[str, str]:
    (container,) = operator_pod(values)["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


# ------------------------------------------------------------------------------------ as a whole


@every_installation
def test_kubernetes_own_schemas_take_every_object(values: dict[str, Any]) -> None:
    for obj in chart.objects(values):
        if obj["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(obj, "1.36", strict=True)


@every_installation
def test_every_object_has_its_namespace_and_a_name_of_its_own(values: dict[str, Any]) -> None:
    names = [
        (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for obj in chart.objects(values)
    ]
    assert len(names) == len(set(names))
    everywhere = ("Cluster", "CustomResource", "ValidatingAdmission")
    assert [n for n in names if (n[1] is None) != n[0].startswith(everywhere)] == []


@every_installation
def test_helm_finds_nothing_to_warn_of(values: dict[str, Any]) -> None:
    report = helm_python.lint(chart.FOLDER, values, namespace="treadle-system", strict=True)
    assert [each["error"] for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] == []


def test_the_chart_is_of_this_release() -> None:
    about = yaml.safe_load((chart.FOLDER / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)


def test_two_installations_share_no_object() -> None:
    def cluster_wide(namespace: str) -> set[tuple[str, str]]:
        objs = chart.objects({**NAMESPACED, "crds": {"install": False}}, namespace=namespace)
        return {
            (o["kind"], o["metadata"]["name"]) for o in objs if "namespace" not in o["metadata"]
        }

    assert cluster_wide("one") & cluster_wide("two") == set()


# ----------------------------------------------------------------------------------------- crds


def test_the_chart_has_the_crds_as_they_are_generated() -> None:
    held = {path.name: path.read_text() for path in (chart.FOLDER / "files/crds").iterdir()}
    assert held == {path.name: path.read_text() for path in (ROOT / "crds").iterdir()}
    assert held == schemas.crds()


def test_they_are_installed_as_they_are_and_stay() -> None:
    found = {
        obj["metadata"]["name"]: obj for obj in of_kind(chart.objects(), "CustomResourceDefinition")
    }
    for text in schemas.crds().values():
        crd = yaml.safe_load(text)
        rendered = found.pop(crd["metadata"]["name"])
        assert rendered["spec"] == crd["spec"]
        assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert found == {}
    assert of_kind(chart.objects(BARE), "CustomResourceDefinition") == []


# ----------------------------------------------------------------------------------------- pods


@every_installation
def test_every_pod_satisfies_the_restricted_level(values: dict[str, Any]) -> None:
    templates = pod_templates(chart.objects(values))
    assert templates
    for template in templates:
        assert list(podsecurity.violations(template, "restricted")) == []
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


def test_every_setting_is_in_the_operators_environment() -> None:
    source = (ROOT / "operator/treadle/app/settings.py").read_text()
    settings = set(re.findall(r'"(TREADLE_[A-Z_]+)"', source))
    # The Pod's own: its credentials, its namespace, its name.
    inherent = {"TREADLE_CONTEXT", "TREADLE_LEASE_NAMESPACE", "TREADLE_IDENTITY"}
    # Not to be chosen: the scope has flags, and without a Lease two operators could run.
    fixed = {"TREADLE_NAMESPACES", "TREADLE_LEASE"}
    given = {name for name in environment() if name.startswith("TREADLE_")}
    assert given == settings - inherent - fixed
    assert "POD_NAMESPACE" in environment()


def test_values_become_settings() -> None:
    values = {
        "terminationGracePeriodSeconds": 300,
        "lease": {"name": "lease"},
        "http": {
            "allowCIDRs": ["10.1.0.0/16"],
            "denyCIDRs": ["10.0.0.0/8", "fd00::/8"],
            "allowLoopback": True,
        },
        "arns": {"region": "eu-north-1", "account": "123456789012"},
        "tasks": {"startFailureSeconds": 30, "podSecurityLevel": "restricted"},
        "limits": {"profile": "aws", "historyEventsMax": 1_000},
        "log": {"format": "text", "level": "DEBUG"},
        "health": {"port": 9000, "host": "::"},
        "api": {"port": 9001, "host": "::"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
    }
    assert environment(values) == {
        "POD_NAMESPACE": "",  # from a field of its Pod
        "POD_IP": "",  # likewise
        "TREADLE_LEASE_NAME": "lease",
        "TREADLE_HEALTH_HOST": "::",
        "TREADLE_HEALTH_PORT": "9000",
        "TREADLE_API_HOST": "::",
        "TREADLE_API_PORT": "9001",
        "TREADLE_API_URL": "http://treadle.treadle-system.svc:9001",
        "TREADLE_TOKEN_SECRET": "lease-token-keys",
        "TREADLE_HTTP_ALLOW_CIDRS": "10.1.0.0/16",
        "TREADLE_HTTP_DENY_CIDRS": "10.0.0.0/8,fd00::/8",
        "TREADLE_HTTP_ALLOW_LOOPBACK": "true",
        "TREADLE_REGION": "eu-north-1",
        "TREADLE_ACCOUNT": "123456789012",
        "TREADLE_POD_SECURITY_LEVEL": "restricted",
        "TREADLE_START_FAILURE_SECONDS": "30",
        "TREADLE_DRAIN_SECONDS": "290",
        "TREADLE_LIMITS_PROFILE": "aws",
        "TREADLE_LIMITS_HISTORY_EVENTS_MAX": "1000",
        "TREADLE_LOG_FORMAT": "text",
        "TREADLE_LOG_LEVEL": "DEBUG",
        "HTTPS_PROXY": "http://proxy",
    }


@pytest.mark.parametrize("seconds", [90, 300])
def test_calls_may_take_until_ten_seconds_before_its_end(seconds: int) -> None:
    values = {"terminationGracePeriodSeconds": seconds} if seconds != 90 else {}
    assert operator_pod(values)["terminationGracePeriodSeconds"] == seconds
    assert environment(values)["TREADLE_DRAIN_SECONDS"] == str(seconds - 10)


@pytest.mark.parametrize("profile", PROFILES)
def test_limits_become_settings(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    given = {bound.member: bound.most for bound in BOUNDS}
    rendered = environment({"limits": {"profile": profile, **given, "mapConcurrencyMax": 0}})
    for name, value in rendered.items():
        if name.startswith(SETTINGS):
            monkeypatch.setenv(name, value)
    expected = {bound.name: bound.most for bound in BOUNDS} | {"map_concurrency_max": 0}
    assert from_environment({}).limits == Limits(**expected)


def test_a_limit_that_is_not_given_is_the_profiles() -> None:
    named = {name for name in environment() if name.startswith(SETTINGS)}
    assert named == {"TREADLE_LIMITS_PROFILE"}
    one = environment({"limits": {"executionPagesBytesMax": 100_000_000}})
    assert one["TREADLE_LIMITS_EXECUTION_PAGES_BYTES_MAX"] == "100000000", "and not 1e+08"


def test_the_image_is_named_by_its_digest_where_there_is_one() -> None:
    def image(values: dict[str, Any]) -> str:
        return str(operator_pod(values)["containers"][0]["image"])

    assert image({}) == f"treadle:{__version__}"
    assert image({"image": {"repository": "r", "tag": "t"}}) == "r:t"
    assert image(EVERYTHING) == f"example.org/treadle@sha256:{'0' * 64}"


def test_selectors_find_the_operator_and_no_hook() -> None:
    objs = chart.objects(EVERYTHING)
    (deployment,) = of_kind(objs, "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    own = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        selector,
        of_kind(objs, "Service")[0]["spec"]["selector"],
        of_kind(objs, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
        of_kind(objs, "NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"],
    ]
    hooks = [t["metadata"]["labels"] for t in pod_templates([o for o in objs if hook_of(o)])]
    assert len(hooks) == 2
    for each in selectors:
        assert each.items() <= own.items()
        assert [labels for labels in hooks if each.items() <= labels.items()] == []
    monitor = of_kind(objs, "ServiceMonitor")[0]["spec"]["selector"]["matchLabels"]
    assert monitor.items() <= of_kind(objs, "Service")[0]["metadata"]["labels"].items()


def test_what_is_not_wanted_is_not_there() -> None:
    kinds = {obj["kind"] for obj in chart.objects(BARE) if not hook_of(obj)}
    assert kinds == {"Deployment", "Service"}
    assert of_kind(chart.objects(), "ServiceMonitor", "NetworkPolicy") == []


# ---------------------------------------------------------------------------------------- hooks


def test_the_hooks_bring_their_own_rights() -> None:
    objs = chart.objects()
    for kind, when in (("Job", "post-delete"), ("Pod", "test")):
        (runs,) = of_kind(objs, kind)
        assert hook_of(runs) == when
        spec = runs["spec"]["template"]["spec"] if kind == "Job" else runs["spec"]
        bound = [
            obj
            for obj in of_kind(objs, "RoleBinding", "ClusterRoleBinding")
            if obj["subjects"][0]["name"] == spec["serviceAccountName"]
        ]
        assert bound
        assert {hook_of(obj) for obj in bound} == {when}
        # They exist before what runs with them.
        assert all(weight(obj) < weight(runs) for obj in bound)


def weight(obj: Obj) -> int:
    return int(obj["metadata"]["annotations"]["helm.sh/hook-weight"])


@pytest.mark.parametrize(
    ("values", "uninstall", "test"),
    [
        ({}, ["--all-namespaces"], ["--namespace=treadle-system"]),
        (NAMESPACED, ["--namespace=a", "--namespace=b"], ["--namespace=a"]),
    ],
    ids=["cluster", "namespaced"],
)
def test_the_hooks_work_in_the_scope(
    values: dict[str, Any], uninstall: list[str], test: list[str]
) -> None:
    objs = chart.objects(values)
    (job,), (pod,) = of_kind(objs, "Job"), of_kind(objs, "Pod")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["free-pods", *uninstall]
    assert pod["spec"]["containers"][0]["args"] == ["try", *test]


# ---------------------------------------------------------------------------------------- notes


def test_the_notes_lead_to_a_first_execution() -> None:
    text = chart.templates()["templates/NOTES.txt"]
    (manifest,) = re.findall(r"<<'END'\n(.*?)\nEND\n", text, re.DOTALL)
    kinds = [obj["kind"] for obj in yaml.safe_load_all(manifest)]
    assert kinds == ["StateMachine", "Execution"]
    assert "helm test treadle --namespace treadle-system" in text
    assert "denyCIDRs" not in text


def test_the_notes_say_what_is_left_open() -> None:
    text = chart.templates({**BARE, **NAMESPACED})["templates/NOTES.txt"]
    assert "HTTP tasks may call them" in text
    assert "admission policies are off" in text
    denied = {**NAMESPACED, "http": {"denyCIDRs": ["10.0.0.0/8"]}}
    assert "denyCIDRs" not in chart.templates(denied)["templates/NOTES.txt"]
