"""Credentials as people and Pods have them."""

import json
import os
import ssl
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config
from ruamel.yaml import YAML

from treadle.kube import credentials

SERVER = "https://k.example:6443"

PLUGIN = f"""#!{sys.executable}
import json, pathlib
runs = pathlib.Path(__file__).with_suffix(".runs")
count = int(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text(str(count))
print(json.dumps({{
    "apiVersion": "client.authentication.k8s.io/v1",
    "kind": "ExecCredential",
    "status": {{"token": f"token-{{count}}"}},
}}))
"""


def a_kubeconfig(folder: Path, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
    """A kubeconfig with the contexts `one` (the current one) and `two`."""

    def named(kind: str, name: str, value: Any) -> dict[str, Any]:
        return {"name": name, kind: value}

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            named("cluster", "one", {"server": SERVER, **cluster}),
            named("cluster", "two", {"server": "http://two.example:8080"}),
        ],
        "users": [named("user", "me", user or {"token": "secret"})],
        "contexts": [
            named("context", name, {"cluster": name, "user": "me"}) for name in ("one", "two")
        ],
        "current-context": "one",
    }
    path = folder / "config"
    with path.open("w") as written:
        YAML().dump(content, written)
    return path


def test_a_token_of_a_kubeconfig(tmp_path: Path) -> None:
    endpoint = credentials.load(str(a_kubeconfig(tmp_path)), None, {})
    assert endpoint.server == SERVER
    assert endpoint.headers() == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(endpoint)
    assert endpoint.tls is not None
    assert endpoint.tls.verify_mode is ssl.CERT_REQUIRED
    assert endpoint.tls.check_hostname
    assert not endpoint.insecure
    assert endpoint.certificate_paths == (None, None)


def test_the_context_is_chosen(tmp_path: Path) -> None:
    endpoint = credentials.load(str(a_kubeconfig(tmp_path)), "two", {})
    assert endpoint.server == "http://two.example:8080"
    assert endpoint.tls is None


def test_the_namespace_is_the_contexts(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path)
    assert credentials.namespace(str(path), None, {}) == "default"
    text = path.read_text().replace("cluster: two\n    user: me", "cluster: two\n    namespace: t")
    path.write_text(text)
    assert "namespace: t" in text
    assert credentials.namespace(None, "two", {"KUBECONFIG": str(path)}) == "t"
    assert credentials.namespace(None, None, {"KUBECONFIG": str(path)}) == "default"
    with pytest.raises(ValueError, match="no credentials"):
        credentials.namespace(str(tmp_path / "none"), None, {})


def test_the_namespace_of_a_pod_is_its_own(
    pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "namespace"
    monkeypatch.setattr(credentials, "_POD_NAMESPACE", file)
    where = {incluster_config.SERVICE_HOST_ENV_NAME: "10.0.0.1"}
    assert credentials.namespace(None, None, where) == "default"
    file.write_text("mine\n")
    assert credentials.namespace(None, None, where) == "mine"


def test_the_environment_names_the_usual_kubeconfig(tmp_path: Path) -> None:
    environment = {"KUBECONFIG": str(a_kubeconfig(tmp_path))}
    assert credentials.load(None, None, environment).server == SERVER


def test_what_a_kubeconfig_says_of_the_way_there(tmp_path: Path) -> None:
    path = a_kubeconfig(
        tmp_path,
        **{
            "proxy-url": "http://proxy.example:3128",
            "tls-server-name": "kubernetes",
            "insecure-skip-tls-verify": True,
        },
    )
    endpoint = credentials.load(str(path), None, {})
    assert endpoint.proxy == "http://proxy.example:3128"
    assert endpoint.server_name == "kubernetes"
    assert endpoint.insecure
    assert endpoint.tls is not None
    assert endpoint.tls.verify_mode is ssl.CERT_NONE


def test_no_proxy_holds_for_the_api_server_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_kubeconfig(tmp_path, server="https://10.96.0.1:443")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.svc")
    assert credentials.load(str(path), None, {}).proxy is None
    monkeypatch.setenv("NO_PROXY", ".svc")
    assert credentials.load(str(path), None, {}).proxy == "http://proxy.example:3128"


def test_without_credentials_no_header_is_sent(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path, {"username": "me"})
    assert credentials.load(str(path), None, {}).headers() == {}


def test_a_plugin_is_asked_once_and_again_when_its_token_is_refused(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    endpoint = credentials.load(str(a_kubeconfig(tmp_path, {"exec": run})), None, {})
    for _ in range(3):
        assert endpoint.headers() == {"Authorization": "Bearer token-1"}
    endpoint.renew()
    assert endpoint.headers() == {"Authorization": "Bearer token-2"}


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service account's folder in a Pod."""
    (tmp_path / "token").write_text("of-the-pod")
    bundle = ssl.get_default_verify_paths().cafile or os.environ.get("SSL_CERT_FILE")
    if bundle is None or not Path(bundle).exists():
        pytest.skip("this machine has no file of CA certificates")
    (tmp_path / "ca.crt").write_text(Path(bundle).read_text())
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    return tmp_path


IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_the_service_account_of_a_pod(pod: Path) -> None:
    endpoint = credentials.load(None, None, IN_A_POD)
    assert endpoint.server == "https://10.0.0.1:443"
    assert endpoint.headers()["Authorization"].split() == ["bearer", "of-the-pod"]
    assert endpoint.ca_path == str(pod / "ca.crt")


def test_a_token_that_was_rotated_is_read_again(pod: Path) -> None:
    endpoint = credentials.load(None, None, IN_A_POD)
    (pod / "token").write_text("another")
    endpoint.renew()
    assert endpoint.headers()["Authorization"].split() == ["bearer", "another"]


def test_a_kubeconfig_that_is_named_goes_before_the_pods_own(pod: Path, tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path)
    assert credentials.load(str(path), None, IN_A_POD).server == SERVER
    environment = {**IN_A_POD, "KUBECONFIG": str(path)}
    assert credentials.load(None, "one", environment).server == SERVER


def test_a_token_that_cannot_be_read_any_more_is_an_error(pod: Path) -> None:
    endpoint = credentials.load(None, None, IN_A_POD)
    (pod / "token").unlink()
    with pytest.raises(ValueError, match="no credentials for a cluster"):
        endpoint.renew()


@pytest.mark.parametrize("content", [None, "", "{}", "clusters: [", json.dumps([1])])
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="no credentials for a cluster"):
        credentials.load(str(path), None, {})


def test_a_context_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="three"):
        credentials.load(str(a_kubeconfig(tmp_path)), "three", {})
