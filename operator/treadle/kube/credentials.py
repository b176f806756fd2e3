"""Credentials: kubeconfigs and service accounts, read by the `kubernetes` package.

One rule: nothing about credentials is decided here; what the package knows (exec plugins, OIDC,
tokens, certificates) is asked anew before each request, so that rotation and refresh just work.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server and how to speak to it.

    Attributes:
        tls: None where the server is spoken to in the clear.
        server_name: the name to expect in its certificate, where that is not the server's.
        proxy: the URL of a proxy on the way.
    """

    server: str
    tls: ssl.SSLContext | None
    server_name: str | None
    proxy: str | None
    _configuration: Any = field(repr=False)
    _read: Callable[[], Any] = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The headers of one request; a token that is about to expire is refreshed first."""
        for said in self._configuration.auth_settings().values():
            if said["in"] == "header" and said["value"]:
                return {"Authorization": said["value"]}
        return {}

    def renew(self) -> None:
        """Read the token again, whatever it says of its age: the server does not take it.

        This may run a program and wait for it.

        Raises:
            ValueError: it cannot be read.
        """
        fresh = self._read()
        # In place: others hold this endpoint too.
        self._configuration.api_key = fresh.api_key
        self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook

    @property
    def ca_path(self) -> str | None:
        """The file of the API server's CA."""
        path: str | None = self._configuration.ssl_ca_cert
        return path

    @property
    def certificate_paths(self) -> tuple[str | None, str | None]:
        """Files of our own certificate and its key."""
        return self._configuration.cert_file, self._configuration.key_file

    @property
    def insecure(self) -> bool:
        """Whether the kubeconfig asks not to verify the server."""
        return not self._configuration.verify_ssl


def load(kubeconfig: str | None, context: str | None, environment: Mapping[str, str]) -> Endpoint:
    """Read credentials: a kubeconfig, else the service account, else the usual kubeconfig.

    Args:
        kubeconfig: path; None for the service account where this runs in a Pod.
        context: of the kubeconfig; None for the current one.
        environment: names the API server's address in a Pod, and the usual kubeconfig.

    Raises:
        ValueError: they cannot be used; the sentence says why.
    """
    read = partial(_read, kubeconfig, context, environment)
    configuration = read()
    server: str = configuration.host.rstrip("/")
    return Endpoint(
        server,
        _tls(server, configuration),
        configuration.tls_server_name,
        _proxy(server, configuration),
        configuration,
        read,
    )


def namespace(kubeconfig: str | None, context: str | None, environment: Mapping[str, str]) -> str:
    """The namespace that is meant where none is named: the context's, or that of our own Pod.

    The arguments, and what it raises, are those of `load`.
    """
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.config import incluster_config as pod  # noqa: PLC0415

    if pod.SERVICE_HOST_ENV_NAME in environment and not (kubeconfig or context):
        try:
            return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
        except OSError:
            return "default"
    try:
        contexts, current = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
            kubeconfig or environment.get("KUBECONFIG")
        )
    except Exception as why:  # the package lets through whatever its parsers raise
        raise ValueError(f"no credentials for a cluster: {why}") from why
    wanted = context or current["name"]
    found = next((each for each in contexts if each["name"] == wanted), current)
    return (found.get("context") or {}).get("namespace") or "default"


def _read(kubeconfig: str | None, context: str | None, environment: Mapping[str, str]) -> Any:
    # Slow to import, and only needed here.
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config import incluster_config as pod  # noqa: PLC0415

    configuration = Configuration()
    in_pod = pod.SERVICE_HOST_ENV_NAME in environment and not (kubeconfig or context)
    try:
        if in_pod:
            files = (pod.SERVICE_TOKEN_FILENAME, pod.SERVICE_CERT_FILENAME)
            loader = pod.InClusterConfigLoader(*files, environ=environment)  # type: ignore[no-untyped-call]
            loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                kubeconfig or environment.get("KUBECONFIG"),
                context,
                client_configuration=configuration,
            )
    except Exception as why:  # the package lets through whatever its parsers raise
        raise ValueError(f"no credentials for a cluster: {why}") from why
    return configuration


def _proxy(server: str, configuration: Any) -> str | None:
    """The proxy on the way: the kubeconfig's, or one of the environment, unless NO_PROXY has it."""
    from kubernetes.client.rest import should_bypass_proxies  # noqa: PLC0415

    proxy: str | None = configuration.proxy or None
    if proxy and should_bypass_proxies(server, configuration.no_proxy or ""):
        return None
    return proxy


def _tls(server: str, configuration: Any) -> ssl.SSLContext | None:
    if not server.startswith("https:"):
        return None
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Many clusters' own CAs lack what Python 3.13 began to ask of every certificate.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return tls
