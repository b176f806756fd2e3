"""The Pod template of a Task's Job: chart < `podTemplate` < named template < short members.

One rule: maps merge and lists replace, except containers, volumes, env and mounts, which merge by
name; a null takes away what stands below it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from treadle.asl.errors import StateError
from treadle.asl.json import Json
from treadle.asl.pointers import escaped
from treadle.kube import podsecurity
from treadle.kube.api import Obj
from treadle.kube.parameters import INVALID_PARAMETERS, JobParameters

MAIN = "main"
API_URL = "TREADLE_API_URL"
"""The variable that tells a Task where answers to its token are taken."""

FORBIDDEN = "Kubernetes.Forbidden"

_UID = 65532  # "nonroot" of the distroless images


@dataclass(frozen=True, slots=True)
class PodDefaults:
    """What an installation says of all Pods.

    Attributes:
        template: a PodTemplateSpec that lies under every machine's own.
        level: Pods above this Pod Security level are refused.
    """

    template: Mapping[str, Json] = field(default_factory=dict)
    level: podsecurity.Level = "baseline"


def with_api(defaults: PodDefaults, url: str) -> PodDefaults:
    """Defaults whose Tasks know where answers to their tokens are taken."""
    env = [{"name": API_URL, "value": url}]
    known: Obj = {"spec": {"containers": [{"name": MAIN, "env": env}]}}
    return replace(defaults, template=merged(dict(defaults.template), known))


_RESTRICTED_POD: Obj = {
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "runAsGroup": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{"name": MAIN}],
    }
}
_RESTRICTED_CONTAINER: Obj = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def rendered(
    pods: Mapping[str, Json], parameters: JobParameters, defaults: PodDefaults
) -> Obj | StateError:
    """The merged template of one Task, with all security defaults, before our own members.

    Args:
        pods: `serviceAccountName`, `podTemplate` and `podTemplates` of the machine.
        parameters: of the Task.
        defaults: of the installation.
    """
    layers = _layers(pods, parameters, defaults)
    if isinstance(layers, StateError):
        return layers
    template: Obj = {}
    for layer in layers:
        template = merged(template, layer)
    wrong = list(_unusable(template))
    if wrong:
        return StateError(INVALID_PARAMETERS, "; ".join(wrong) + ".")
    template = _restricted(template)
    too_much = podsecurity.violations(template, defaults.level)
    if too_much:
        cause = f"Above the Pod Security level {defaults.level}: {'; '.join(too_much)}."
        return StateError(FORBIDDEN, cause)
    return template


def problems(pods: Mapping[str, Json], defaults: PodDefaults) -> list[tuple[str, str]]:
    """What is wrong with a machine's templates whatever its data: (JSON pointer, sentence).

    The pointers are relative to StateMachine.spec.
    """
    found = []
    names = pods.get("podTemplates", {})
    if not isinstance(names, dict):
        return [("/podTemplates", "must be an object of Pod templates")]
    # Any image will do: a Task may name its own.
    for name in [None, *names]:
        given = rendered(pods, JobParameters(image="x", template=name), defaults)
        if isinstance(given, StateError):
            pointer = "/podTemplate" if name is None else f"/podTemplates/{escaped(name)}"
            found.append((pointer, given.cause or ""))
    return found


def main_of(template: Obj) -> Obj:
    """The container `main` of a rendered template."""
    container: Obj = next(each for each in template["spec"]["containers"] if each["name"] == MAIN)
    return container


# --------------------------------------------------------------------------------------- merging


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`; neither is changed."""
    if not isinstance(over, dict):
        return over
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in over.items():
        if value is None:
            result.pop(name, None)
        elif name in _BY_NAME and _named(value) and _named(result.get(name, [])):
            result[name] = _BY_NAME[name](result.get(name, []), value)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in value
    )


def _containers(base: Sequence[Obj], over: Sequence[Obj]) -> list[Obj]:
    result = {container["name"]: container for container in base}
    for container in over:
        result[container["name"]] = merged(result.get(container["name"]), container)
    return list(result.values())


def _entries(base: Sequence[Obj], over: Sequence[Obj]) -> list[Obj]:
    # An entry is one thing: a `value` beside the `valueFrom` below it would be refused, and so
    # would a volume of two kinds. Mounts of one volume may be several: they replace together.
    result: dict[str, list[Obj]] = {}
    for entry in base:
        result.setdefault(entry["name"], []).append(entry)
    for name in {entry["name"]: None for entry in over}:
        result[name] = [entry for entry in over if entry["name"] == name]
    return [entry for entries in result.values() for entry in entries]


def _volumes(base: Sequence[Obj], over: Sequence[Obj]) -> list[Obj]:
    result = {volume["name"]: volume for volume in base}
    for volume in over:
        below = result.get(volume["name"], {})
        # Only what is of the same kind merges.
        same = {name: value for name, value in below.items() if name in volume}
        result[volume["name"]] = merged(same, volume)
    return list(result.values())


_BY_NAME = {
    "containers": _containers,
    "initContainers": _containers,
    "volumes": _volumes,
    "env": _entries,
    "volumeMounts": _entries,
}


# ---------------------------------------------------------------------------------------- layers


def _layers(
    pods: Mapping[str, Json], parameters: JobParameters, defaults: PodDefaults
) -> list[Mapping[str, Json]] | StateError:
    account = pods.get("serviceAccountName")
    layers: list[Mapping[str, Json]] = [_RESTRICTED_POD, defaults.template]
    if account:
        layers.append({"spec": {"serviceAccountName": account}})
    given = [pods.get("podTemplate")]
    if parameters.template is not None:
        templates = pods.get("podTemplates") or {}
        if not isinstance(templates, dict) or parameters.template not in templates:
            cause = f"The machine has no Pod template named {parameters.template}."
            return StateError(INVALID_PARAMETERS, cause)
        given.append(templates[parameters.template])
    for layer in given:
        wrong = None if layer is None else _misshapen(layer)
        if wrong is not None:
            return StateError(INVALID_PARAMETERS, f"{wrong}.")
        layers.append(layer or {})
    layers.append({"spec": {"containers": [_short(parameters)]}})
    return layers


def _short(parameters: JobParameters) -> Obj:
    """The container that a Task's own members describe."""
    container: Obj = {"name": MAIN}
    if parameters.image is not None:
        container["image"] = parameters.image
    if parameters.command is not None:
        container["command"] = list(parameters.command)
    if parameters.args is not None:
        container["args"] = list(parameters.args)
    if parameters.env:
        container["env"] = list(parameters.env)
    if parameters.resources is not None:
        container["resources"] = parameters.resources
    return container


def _misshapen(layer: Json) -> str | None:
    """What makes a template one that cannot be merged; an API server judges the rest."""
    if not isinstance(layer, dict):
        return "A Pod template must be an object"
    for name in ("metadata", "spec"):
        if not isinstance(layer.get(name, {}), dict | None):
            return f"{name} of a Pod template must be an object"
    spec = layer.get("spec") or {}
    for name in ("containers", "initContainers", "volumes"):
        if not _named(spec.get(name) or []):
            return f"{name} of a Pod template must be a list of objects with a name each"
    main: Obj = next((each for each in spec.get("containers") or () if each["name"] == MAIN), {})
    for name in ("env", "volumeMounts"):
        if not _named(main.get(name) or []):
            return f"{name} of the container main must be a list of objects with a name each"
    return None


def _unusable(template: Obj) -> Iterator[str]:
    """What is wrong with a merged template that an API server would not tell well."""
    if template["spec"].get("restartPolicy") != "Never":
        yield "restartPolicy of a Pod template must be Never: Retry is the state machine's"
    image = main_of(template).get("image")
    if not isinstance(image, str) or not image:
        yield "image is missing: neither the Parameters nor a Pod template names one"


def _restricted(template: Obj) -> Obj:
    """Every container gets the restricted defaults that its template does not decide."""
    spec = dict(template["spec"])
    for name in ("containers", "initContainers"):
        if name in spec:
            spec[name] = [
                merged({"securityContext": _RESTRICTED_CONTAINER}, container)
                for container in spec[name]
            ]
    return {**template, "spec": spec}
