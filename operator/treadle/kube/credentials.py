"""Credentials: kubeconfigs and service accounts, read by the `kubernetes` package.

One rule: nothing about credentials is decided here; what the package knows (exec plugins, OIDC,
tokens, certificates) is asked anew before each request, so that rotation and refresh just work.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server and how to speak to it."""

    server: str
    tls: ssl.SSLContext | None
    _configuration: Any = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The headers of one request; a token that is about to expire is refreshed first."""
        settings = self._configuration.auth_settings().values()
        return {"Authorization": said["value"] for said in settings if said["in"] == "header"}

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
        environment: names the API server's address in a Pod.

    Raises:
        ValueError: they cannot be used; the sentence says why.
    """
    # Slow to import, and only needed here.
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.client import Configuration  # noqa: PLC0415

    configuration = Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in environment:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                kubeconfig, context, client_configuration=configuration
            )
    except (config.ConfigException, OSError) as why:
        raise ValueError(f"no credentials for a cluster: {why}") from why
    server: str = configuration.host
    return Endpoint(server.rstrip("/"), _tls(server, configuration), configuration)


def _tls(server: str, configuration: Any) -> ssl.SSLContext | None:
    if not server.startswith("https:"):
        return None
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return tls
