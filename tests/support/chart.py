"""The chart as Helm renders it: objects, not text.

The one rule: what is rendered is rendered by Helm itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from helm_python import Chart

Obj = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "helm" / "treadle"
RELEASE, NAMESPACE = "treadle", "treadle-system"
HOOK = "helm.sh/hook"


class Right(NamedTuple):
    """One thing that somebody may do."""

    group: str
    resource: str
    """With its subresource after a slash."""
    verb: str


def templates(
    values: Mapping[str, Any] | None = None, *, name: str = RELEASE, namespace: str = NAMESPACE
) -> dict[str, str]:
    """What each template renders to, by its path within the chart.

    Raises:
        helm_python.HelmError: the values do not fit, or a template fails.
    """
    with Chart.load(FOLDER) as chart:
        rendered = chart.render(dict(values or {}), name=name, namespace=namespace)
    return {path.partition("/")[2]: text for path, text in rendered.items()}


def objects(
    values: Mapping[str, Any] | None = None, *, name: str = RELEASE, namespace: str = NAMESPACE
) -> list[Obj]:
    """All objects, hooks too, in no order that means something."""
    rendered = templates(values, name=name, namespace=namespace)
    texts = (text for path, text in rendered.items() if not path.endswith(".txt"))
    return [obj for text in texts for obj in yaml.load_all(text, yaml.CSafeLoader) if obj]


def of_kind(objs: Iterable[Obj], *kinds: str) -> list[Obj]:
    """The objects of some kinds."""
    return [obj for obj in objs if obj["kind"] in kinds]


def hook_of(obj: Obj) -> str:
    """When a hook is made; empty for what belongs to the release."""
    return str((obj["metadata"].get("annotations") or {}).get(HOOK, ""))


def account(objs: Iterable[Obj]) -> str:
    """The ServiceAccount of the operator."""
    (deployment,) = of_kind(objs, "Deployment")
    return str(deployment["spec"]["template"]["spec"]["serviceAccountName"])


def rights(objs: list[Obj], account: str) -> set[Right]:
    """All that a ServiceAccount may do somewhere."""
    return {right for _, rules in granted(objs, account) for right in of_rules(rules)}


def granted(objs: list[Obj], account: str) -> Iterator[tuple[str, list[Obj]]]:
    """The rules that hold for a ServiceAccount, with their namespace; empty for all of them."""
    roles = {
        (role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]): role
        for role in of_kind(objs, "Role", "ClusterRole")
    }
    for binding in of_kind(objs, "RoleBinding", "ClusterRoleBinding"):
        if account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        namespace = binding["metadata"].get("namespace", "")
        ref = binding["roleRef"]
        of = namespace if ref["kind"] == "Role" else ""
        yield namespace, roles[(ref["kind"], of, ref["name"])]["rules"]


def of_rules(rules: Iterable[Obj]) -> set[Right]:
    """What the rules of a role allow."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
