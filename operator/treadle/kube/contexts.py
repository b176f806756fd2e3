"""The namespace that people mean when they name none, as kubectl knows it.

One rule: what cannot be read means the namespace `default`; who cannot be let in is told so by
`kube.credentials`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFAULT = "default"
_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def namespace_of(
    kubeconfig: str | None,
    context: str | None,
    environment: Mapping[str, str],
    pod: Path = _POD,
) -> str:
    """The namespace of a context of a kubeconfig, of the current one where none is named.

    Args:
        kubeconfig: path; None for the Pod that this runs in, else the usual one.
        context: of the kubeconfig; None for the current one.
        environment: names the usual kubeconfig.
        pod: where a Pod finds its own namespace.
    """
    # Slow to import, and only needed here.
    from kubernetes import config  # noqa: PLC0415

    if not (kubeconfig or context) and "KUBERNETES_SERVICE_HOST" in environment:
        return _text(pod)
    try:
        found: Any = config.list_kube_config_contexts(kubeconfig or environment.get("KUBECONFIG"))  # type: ignore[no-untyped-call]
    except Exception:  # the package lets through whatever its parsers raise
        return DEFAULT
    contexts, current = found
    named = [each for each in contexts if each["name"] == context] if context else [current]
    return next((each["context"].get("namespace") for each in named), None) or DEFAULT


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or DEFAULT
    except OSError:
        return DEFAULT
