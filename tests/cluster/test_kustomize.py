"""kustomize, as kubectl has it, over every manifest: names are found, definitions stay whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cluster.lab import places
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import GROUP, People, kubectl

pytestmark = pytest.mark.cluster

Obj = dict[str, Any]

EXAMPLES = places.ROOT / "examples"
NAMES = EXAMPLES / "kustomize" / "base" / "treadle.yaml"
TRANSFORMED = """
namePrefix: dev-
nameSuffix: -x
namespace: team
labels: [{pairs: {team: weavers}, includeSelectors: false}]
"""
WITH_NAMES = "configurations: [treadle.yaml]\n"


def documents(text: str) -> list[Obj]:
    return [dict(each) for each in YAML(typ="safe", pure=True).load_all(text) if each]


def built(folder: Path) -> list[Obj]:
    """What `kubectl kustomize` makes of a folder; no cluster is asked."""
    return documents(kubectl(folder / "no-kubeconfig", "kustomize", str(folder)))


def kustomized(folder: Path, manifests: str, more: str) -> list[Obj]:
    shutil.copy(NAMES, folder / "treadle.yaml")
    (folder / "all.yaml").write_text(manifests, encoding="utf-8")
    (folder / "kustomization.yaml").write_text("resources: [all.yaml]\n" + more, encoding="utf-8")
    return built(folder)


def by_kind(objs: list[Obj]) -> dict[tuple[str, str], Obj]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objs}


def example_manifests() -> list[Path]:
    return sorted(
        path
        for path in EXAMPLES.rglob("*.yaml")
        if f"apiVersion: {GROUP}/" in path.read_text(encoding="utf-8")
    )


def every_manifest() -> str:
    return "\n---\n".join(path.read_text(encoding="utf-8") for path in example_manifests())


def test_there_are_manifests() -> None:
    kinds = {each["kind"] for each in documents(every_manifest())}
    assert {"StateMachine", "Execution"} <= kinds


def test_without_our_file_a_prefix_does_not_reach_the_machine_of_an_execution(
    tmp_path: Path,
) -> None:
    """Why examples/kustomize/base/treadle.yaml is needed."""
    found = by_kind(kustomized(tmp_path, every_manifest(), TRANSFORMED))
    assert found["Execution", "dev-report-1-x"]["spec"]["stateMachineRef"] == {"name": "report"}


def test_every_manifest_of_the_examples_can_be_transformed(tmp_path: Path) -> None:
    before = by_kind(documents(every_manifest()))
    after = by_kind(kustomized(tmp_path, every_manifest(), TRANSFORMED + WITH_NAMES))
    assert after.keys() == {(kind, f"dev-{name}-x") for kind, name in before}
    for (kind, name), obj in before.items():
        changed = after[kind, f"dev-{name}-x"]
        assert changed["metadata"]["namespace"] == "team"
        assert changed["metadata"]["labels"]["team"] == "weavers"
        if kind == "Execution":
            machine = f"dev-{obj['spec']['stateMachineRef']['name']}-x"
            assert ("StateMachine", machine) in after
            assert changed["spec"] == {**obj["spec"], "stateMachineRef": {"name": machine}}
        if kind == "StateMachine":
            assert changed["spec"]["definition"] == obj["spec"]["definition"], name


REFERENCES = """
apiVersion: treadle.dev/v1alpha1
kind: StateMachine
metadata: {name: refers}
spec:
  serviceAccountName: runner
  podTemplate:
    spec:
      serviceAccountName: runner
      imagePullSecrets: [{name: secret}]
      volumes:
        - {name: runner, configMap: {name: code}}
        - {name: code, secret: {secretName: secret}}
        - {name: data, persistentVolumeClaim: {claimName: data}}
        - {name: both, projected: {sources: [{configMap: {name: code}}, {secret: {name: secret}}]}}
      containers:
        - name: main
          image: busybox:1.36
          envFrom: [{configMapRef: {name: code}}, {secretRef: {name: secret}}]
          env:
            - {name: A, valueFrom: {configMapKeyRef: {name: code, key: a}}}
            - {name: B, valueFrom: {secretKeyRef: {name: secret, key: a}}}
  definition: |
    {"StartAt": "code", "States": {"code": {"Type": "Succeed"}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: runner}}
---
{apiVersion: v1, kind: Secret, metadata: {name: secret}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}}
"""
GENERATED = "configMapGenerator: [{name: code, literals: [a=b]}]\n"


def test_what_a_machines_pods_refer_to_is_renamed_with_it(tmp_path: Path) -> None:
    images = "images: [{name: busybox, newTag: '9'}]\n"
    more = "namePrefix: dev-\n" + WITH_NAMES + GENERATED + images
    found = by_kind(kustomized(tmp_path, REFERENCES, more))
    (code,) = (name for kind, name in found if kind == "ConfigMap")
    assert code.startswith("dev-code-"), "with its digest"
    spec = found["StateMachine", "dev-refers"]["spec"]
    pod = spec["podTemplate"]["spec"]
    assert spec["serviceAccountName"] == pod["serviceAccountName"] == "dev-runner"
    assert pod["imagePullSecrets"] == [{"name": "dev-secret"}]
    assert pod["volumes"] == [
        {"name": "runner", "configMap": {"name": code}},
        {"name": "code", "secret": {"secretName": "dev-secret"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "dev-data"}},
        {
            "name": "both",
            "projected": {
                "sources": [{"configMap": {"name": code}}, {"secret": {"name": "dev-secret"}}]
            },
        },
    ]
    (main,) = pod["containers"]
    assert main["image"] == "busybox:9"
    assert main["envFrom"] == [
        {"configMapRef": {"name": code}},
        {"secretRef": {"name": "dev-secret"}},
    ]
    assert [each["valueFrom"] for each in main["env"]] == [
        {"configMapKeyRef": {"name": code, "key": "a"}},
        {"secretKeyRef": {"name": "dev-secret", "key": "a"}},
    ]
    assert '"StartAt": "code"' in spec["definition"]


EXACT = """
apiVersion: treadle.dev/v1alpha1
kind: StateMachine
metadata: {name: exact}
spec:
  definition:
    StartAt: "on"
    States:
      "on": {Type: Pass, ResultPath: null, Result: {no: yes, day: "2026-01-01"}, End: true}
"""


def test_nulls_and_words_are_kept_and_an_image_in_parameters_is_not_found(tmp_path: Path) -> None:
    job = "      job: {Type: Task, Resource: x, Parameters: {image: busybox}, End: true}\n"
    more = "images: [{name: busybox, newTag: '9'}]\n"
    (found,) = kustomized(tmp_path, EXACT + job, more)
    states = found["spec"]["definition"]["States"]
    assert states["on"]["ResultPath"] is None
    assert states["on"]["Result"] == {"no": "yes", "day": "2026-01-01"}
    assert states["job"]["Parameters"]["image"] == "busybox"


def test_the_example_overlay_names_everything_with_its_prefix() -> None:
    found = by_kind(built(EXAMPLES / "kustomize" / "dev"))
    (code,) = (name for kind, name in found if kind == "ConfigMap")
    machine = found["StateMachine", "dev-report"]["spec"]
    (volume,) = machine["podTemplate"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == code
    assert found["Execution", "dev-report-1"]["spec"]["stateMachineRef"] == {"name": "dev-report"}
    assert {each["metadata"]["namespace"] for each in found.values()} == {"dev"}


@pytest.mark.usefixtures("pretend")
def test_the_example_overlay_runs(loner: People, tmp_path: Path) -> None:
    space = loner.namespace
    text = loner.kubectl("kustomize", str(EXAMPLES / "kustomize" / "dev"))
    here = text.replace("  namespace: dev\n", f"  namespace: {space.name}\n")
    kubeconfig = space.cluster.kubeconfig
    with OperatorProcess(kubeconfig, tmp_path / "operator.log", namespaces=[space.name]):
        loner.kubectl("apply", "--server-side", "-f", "-", text=here)
        assert loner.succeeds("dev-report-1") == {"day": "2026-01-01"}
        (pod,) = loner.pods()
    volumes = [each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each]
    assert [name.startswith("dev-report-code-") for name in volumes] == [True]
