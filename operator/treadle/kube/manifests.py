"""Orders as Kubernetes objects: a Task's Job, its input Secret, and the Job that takes a name.

One rule: pure; the same order gives the same name, labels and owner in every process and release.
"""

import base64
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from treadle.asl.errors import DATA_LIMIT_EXCEEDED, StateError
from treadle.asl.json import Json, dumps
from treadle.engine.commands import Task
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, JOBS, SECRETS
from treadle.kube.parameters import JobParameters, parse
from treadle.kube.podtemplates import PodDefaults, main_of, rendered
from treadle.runtime.ports import ExecutionKey, Order

ATTEMPT_NUMBER = "treadle.dev/attempt-number"
START_BY = "treadle.dev/start-by"
INPUT_SECRET = "treadle.dev/input-secret"

BACKSTOP_SECONDS = 60
"""The engine times out first; a Job's own deadline is for when nobody does."""

ANNOTATION_INPUT_BYTES_MAX = 128 * 1024
SECRET_INPUT_BYTES_MAX = 1024 * 1024  # Kubernetes: MaxSecretSize

INPUT_VOLUME = "treadle-input"
_INPUT_FOLDER = "/treadle"
_INPUT_FILE = "input.json"
_RESULT_PATH = "/dev/termination-log"  # Kubernetes' own default: programs know it
_TOMBSTONE_IMAGE = "treadle.dev/ended"  # never pulled: a suspended Job makes no Pod


def job(
    order: Order, *, defaults: PodDefaults, create_before: datetime | None, now: datetime
) -> Obj | StateError:
    """The Job of an attempt, or why there can be none.

    Args:
        order: what to run.
        defaults: of the installation.
        create_before: the end of the Lease in the API server's time; None without a Lease.
        now: our own time; the deadlines of the order are in it.
    """
    parameters = parse(order.task.parameters)
    if isinstance(parameters, StateError):
        return parameters
    text = dumps(_input(order.task, parameters))
    size = len(text.encode())
    if size > SECRET_INPUT_BYTES_MAX:
        cause = (
            f"The input has {size} bytes; a container can be given "
            f"{SECRET_INPUT_BYTES_MAX}. Pass a reference to it instead."
        )
        return StateError(DATA_LIMIT_EXCEEDED, cause)
    template = rendered(order.pods, parameters, defaults)
    if isinstance(template, StateError):
        return template
    in_secret = size > ANNOTATION_INPUT_BYTES_MAX
    metadata = attempt_metadata(order, create_before)
    if parameters.start_timeout_seconds is not None:
        start_by = order.task.due_at + timedelta(seconds=parameters.start_timeout_seconds)
        metadata["annotations"][START_BY] = _instant(start_by)
    if in_secret:
        metadata["annotations"][INPUT_SECRET] = metadata["name"]
    given = template.get("metadata", {}).get("labels") or {}
    metadata["labels"] = {**given, **metadata["labels"]}  # queues of Jobs are chosen by label
    spec: Obj = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "template": _pod(template, metadata, text, in_secret),
    }
    if order.task.deadline_at is not None:
        remaining = math.ceil((order.task.deadline_at - now).total_seconds())
        spec["activeDeadlineSeconds"] = max(1, remaining + BACKSTOP_SECONDS)
    return {"apiVersion": JOBS.api_version, "kind": JOBS.name, "metadata": metadata, "spec": spec}


def tombstone(order: Order, *, create_before: datetime | None) -> Obj:
    """A Job that only takes the name of an attempt: suspended, and dead when it is resumed."""
    metadata = attempt_metadata(order, create_before)
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "main",
        "image": _TOMBSTONE_IMAGE,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "suspend": True,
        "activeDeadlineSeconds": 0,
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "template": {
            "metadata": {"labels": dict(metadata["labels"])},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": context,
                "containers": [container],
            },
        },
    }
    return {"apiVersion": JOBS.api_version, "kind": JOBS.name, "metadata": metadata, "spec": spec}


def input_secret(order: Order, made: Obj) -> Obj | None:
    """The Secret that must exist before the Job that was made of an order; None for none."""
    if INPUT_SECRET not in made["metadata"]["annotations"]:
        return None  # its input fits in an annotation
    text = dumps(input_of(order.task))
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.name,
        "type": "Opaque",
        "immutable": True,
        "metadata": attempt_metadata(order, None),
        "data": {_INPUT_FILE: base64.b64encode(text.encode()).decode()},
    }


def input_of(task: Task) -> Json:
    """What a Task's container reads as its input."""
    parameters = parse(task.parameters)
    return task.input if isinstance(parameters, StateError) else _input(task, parameters)


def volume_variable(name: str) -> str:
    """The variable that tells a container where a volume is mounted."""
    return f"TREADLE_VOLUME_{name.upper().replace('-', '_').replace('.', '_')}"


# ------------------------------------------------------------------------------------- in detail


def _input(task: Task, parameters: JobParameters) -> Json:
    return parameters.input if parameters.has_input else task.input


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _whole_seconds(at: datetime) -> str:
    # A creationTimestamp has whole seconds: what it is compared with must not promise more.
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def owner(key: ExecutionKey) -> Obj:
    """The ownerReference to an Execution: what it owns goes with it, and does not hold it up."""
    return {
        "apiVersion": EXECUTIONS.api_version,
        "kind": EXECUTIONS.name,
        "name": key.name,
        "uid": key.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def attempt_metadata(order: Order, create_before: datetime | None) -> Obj:
    """The metadata of an attempt's object; see `job` for `create_before`."""
    key, task = order.execution, order.task
    name = names.attempt(key, task.id)
    annotations = {
        names.EXECUTION_NAME: key.name,
        names.TASK_ID: names.task_id_text(task.id),
        names.TASK_DIGEST: task.digest,
        names.STATE: task.state,
        ATTEMPT_NUMBER: str(task.id.attempt),
    }
    if create_before is not None:
        annotations[names.CREATE_BEFORE] = _whole_seconds(create_before)
    return {
        "name": name,
        "namespace": key.namespace,
        "labels": {names.EXECUTION_UID: key.uid, names.ATTEMPT_NAME: name},
        "annotations": annotations,
        "ownerReferences": [owner(key)],
    }


def _pod(template: Obj, job_metadata: Obj, text: str, in_secret: bool) -> Obj:
    """The template with our own members, which nobody's template can change."""
    given = template.get("metadata", {})
    ours = dict(job_metadata["annotations"])
    ours.pop(names.CREATE_BEFORE, None)
    if not in_secret:
        ours[names.INPUT] = text
    metadata = {
        **given,
        "labels": dict(job_metadata["labels"]),
        "annotations": {**(given.get("annotations") or {}), **ours},
        "finalizers": [
            names.RESULT_FINALIZER,
            *(f for f in given.get("finalizers") or () if f != names.RESULT_FINALIZER),
        ],
    }
    main = _main(main_of(template))
    containers = [
        main if each["name"] == main["name"] else each for each in template["spec"]["containers"]
    ]
    others = [v for v in template["spec"].get("volumes", ()) if v["name"] != INPUT_VOLUME]
    volumes = [*others, _input_volume(job_metadata["name"], in_secret)]
    return {
        **template,
        "metadata": metadata,
        "spec": {**template["spec"], "containers": containers, "volumes": volumes},
    }


def _main(container: Obj) -> Obj:
    path = container.get("terminationMessagePath") or _RESULT_PATH
    given = [m for m in container.get("volumeMounts", ()) if m["name"] != INPUT_VOLUME]
    contract = dict(_contract(path, given))
    # Ours come first, so that others may refer to them as $(TREADLE_INPUT_FILE).
    env = [{"name": name, "value": value} for name, value in contract.items()]
    env += [entry for entry in container.get("env", ()) if entry["name"] not in contract]
    return {
        **container,
        "env": env,
        "terminationMessagePath": path,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *given,
            {"name": INPUT_VOLUME, "mountPath": _INPUT_FOLDER, "readOnly": True},
        ],
    }


def _contract(result_path: str, mounts: list[Obj]) -> Iterator[tuple[str, str]]:
    yield "TREADLE_INPUT_FILE", f"{_INPUT_FOLDER}/{_INPUT_FILE}"
    yield "TREADLE_RESULT_FILE", result_path
    for mount in mounts:
        if isinstance(mount.get("mountPath"), str):
            yield volume_variable(mount["name"]), mount["mountPath"]


def _input_volume(name: str, in_secret: bool) -> Obj:
    if in_secret:
        return {"name": INPUT_VOLUME, "secret": {"secretName": name}}
    field = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{names.INPUT}']"}
    item = {"path": _INPUT_FILE, "fieldRef": field}
    return {"name": INPUT_VOLUME, "downwardAPI": {"items": [item]}}
