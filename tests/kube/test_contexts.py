"""The namespace that is meant where none is named."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from treadle.kube.contexts import namespace_of


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    contexts = [
        {"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "first"}},
        {"name": "b", "context": {"cluster": "c", "user": "u", "namespace": "second"}},
        {"name": "c", "context": {"cluster": "c", "user": "u"}},
    ]
    file = tmp_path / "kubeconfig"
    YAML().dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "a",
            "contexts": contexts,
            "clusters": [{"name": "c", "cluster": {"server": "https://c"}}],
            "users": [{"name": "u", "user": {}}],
        },
        file,
    )
    return str(file)


@pytest.mark.parametrize(
    ("context", "namespace"),
    [(None, "first"), ("b", "second"), ("c", "default"), ("d", "default")],
)
def test_it_is_that_of_the_context(kubeconfig: str, context: str | None, namespace: str) -> None:
    assert namespace_of(kubeconfig, context, {}) == namespace
    assert namespace_of(None, context, {"KUBECONFIG": kubeconfig}) == namespace


def test_where_there_is_no_kubeconfig_it_is_the_default(tmp_path: Path) -> None:
    assert namespace_of(str(tmp_path / "none"), None, {}) == "default"


@pytest.mark.parametrize(("text", "namespace"), [("here\n", "here"), ("", "default")])
def test_in_a_pod_it_is_the_pods(tmp_path: Path, text: str, namespace: str) -> None:
    file = tmp_path / "namespace"
    file.write_text(text)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert namespace_of(None, None, pod, file) == namespace
    assert namespace_of(None, None, pod, tmp_path / "none") == "default"


def test_a_kubeconfig_that_is_named_counts_in_a_pod_too(kubeconfig: str) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert namespace_of(kubeconfig, None, pod) == "first"
