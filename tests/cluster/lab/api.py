"""The few calls to the API server that setting a cluster up needs.

The one rule: nothing but the standard library, so that it works before anything else does.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from tests.cluster.lab import pki, places

_TYPES = {"PATCH": "application/merge-patch+json"}


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Make one call as the administrator; a PATCH is a merge patch.

    Returns:
        The HTTP status and the JSON answer; 0 and a text when nothing answers.
    """
    config = json.loads(places.KUBECONFIG.read_bytes())
    request = urllib.request.Request(
        places.API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {config['users'][0]['user']['token']}",
            "Content-Type": _TYPES.get(method, "application/json"),
        },
    )
    context = ssl.create_default_context(cafile=str(pki.CA))
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, _decoded(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _decoded(refused.read())
    except OSError as broken:
        return 0, str(broken)


def ready() -> bool:
    """Whether an API server of ours answers and says that it is ready."""
    return places.KUBECONFIG.exists() and call("GET", "/readyz")[0] == 200


def node_ready(name: str) -> bool:
    """Whether the Node exists and its Ready condition is true."""
    status, node = call("GET", f"/api/v1/nodes/{name}")
    if status != 200:
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pods_on(node: str) -> list[str]:
    """API paths of the pods that are bound to the Node."""
    status, answer = call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
    if status != 200:
        return []
    found = (pod["metadata"] for pod in answer["items"])
    return [f"/api/v1/namespaces/{each['namespace']}/pods/{each['name']}" for each in found]


def remove_node(name: str) -> None:
    """Remove a Node that nobody serves any more, and the pods bound to it, without grace."""
    if not ready():
        return
    call("DELETE", f"/api/v1/nodes/{name}")
    for pod in pods_on(name):
        call("DELETE", pod, {"gracePeriodSeconds": 0})


def _decoded(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
