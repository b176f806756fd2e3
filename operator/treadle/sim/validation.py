"""What a real API server refuses of the objects that we write, and what it fills in.

One rule: only checks that a real API server makes, so that a world refuses nothing that works.
"""

import base64
import re

from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, EXECUTIONS, JOBS, PAGES, PODS, REVISIONS, SECRETS, Kind
from treadle.runtime.ports import Refused

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_NAME_CHARS_MAX = 253
_JOB_NAME_CHARS_MAX = 63  # it becomes a label of its Pods
_LABEL_CHARS_MAX = 63
_ANNOTATIONS_BYTES_MAX = 262_144
_SECRET_BYTES_MAX = 1_048_576
_PENDING = (None, "Pending")
_MUTABLE_OF_EXECUTIONS = ("stop", "suspend", "suspendBy", "redrive")


def created(kind: Kind, obj: Obj) -> None:
    """Raises: Refused."""
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    if not _NAME.match(name) or len(name) > _NAME_CHARS_MAX:
        raise _invalid(kind, name, "metadata.name: a lowercase RFC 1123 subdomain must be given")
    _check_metadata(kind, obj)
    if kind == JOBS:
        _check_job(obj)
    if kind == SECRETS:
        size = sum(len(str(v)) for part in ("data", "stringData") for v in (obj.get(part) or {}))
        if size > _SECRET_BYTES_MAX * 4 // 3:
            raise _invalid(kind, name, "data: Too long")


def changed(kind: Kind, old: Obj, new: Obj) -> None:
    """Raises: Refused."""
    name = old["metadata"]["name"]
    _check_metadata(kind, new)
    if "deletionTimestamp" in old["metadata"]:
        before = old["metadata"].get("finalizers") or ()
        for finalizer in new["metadata"].get("finalizers") or ():
            if finalizer not in before:
                raise _invalid(
                    kind,
                    name,
                    "metadata.finalizers: Forbidden: no new finalizers can be added if the "
                    f"object is being deleted, found new finalizers {finalizer}",
                )
    if kind == JOBS and new["spec"].get("template") != old["spec"].get("template"):
        raise _invalid(kind, name, "spec.template: field is immutable")
    if kind == SECRETS and old.get("immutable") and new.get("data") != old.get("data"):
        raise _invalid(kind, name, "data: field is immutable when `immutable` is set")
    if kind in (PAGES, REVISIONS) and new.get("spec") != old.get("spec"):
        raise _invalid(kind, name, "spec: it is immutable")
    if kind == EXECUTIONS and _fixed(new) != _fixed(old):
        raise _invalid(kind, name, "spec: it is immutable but for stop, suspend and redrive")
    if kind == APPROVALS:
        _check_decisions(old, new)


def _check_decisions(old: Obj, new: Obj) -> None:
    """The rules of the kind itself; see `kube.approvalschema`."""
    name = old["metadata"]["name"]
    before, after = old["spec"].get("decisions") or [], new["spec"].get("decisions") or []
    if {**old["spec"], "decisions": []} != {**new["spec"], "decisions": []}:
        raise _invalid(APPROVALS, name, "spec: only decisions are added")
    if after[: len(before)] != before:
        raise _invalid(APPROVALS, name, "a decision is neither changed nor taken back")
    if len({each["by"] for each in after}) < len(after):
        raise _invalid(APPROVALS, name, "nobody decides twice")
    is_over = (old.get("status") or {}).get("phase") not in _PENDING or old["spec"].get("closed")
    if is_over and len(after) > len(before):
        raise _invalid(APPROVALS, name, "it is decided, expired or closed")


def defaulted(kind: Kind, obj: Obj) -> None:
    """Fill in what a real API server fills in, where somebody may look at it."""
    if kind == JOBS:
        _default_job(obj)
    if kind == PODS:
        obj["status"] = {"phase": "Pending"}
        obj["spec"].setdefault("terminationGracePeriodSeconds", 30)
    if kind == SECRETS and "stringData" in obj:
        data = obj.setdefault("data", {})
        for name, text in obj.pop("stringData").items():
            data[name] = base64.b64encode(text.encode()).decode()


def _fixed(obj: Obj) -> Obj:
    spec = obj.get("spec") or {}
    return {key: value for key, value in spec.items() if key not in _MUTABLE_OF_EXECUTIONS}


def _check_metadata(kind: Kind, obj: Obj) -> None:
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > _LABEL_CHARS_MAX:
            raise _invalid(kind, name, f"metadata.labels: Invalid value: {key}={value!r}")
    annotations = metadata.get("annotations") or {}
    if any(not isinstance(value, str) for value in annotations.values()):
        raise Refused(400, "BadRequest", "cannot unmarshal annotations into map[string]string")
    if sum(len(k) + len(v) for k, v in annotations.items()) > _ANNOTATIONS_BYTES_MAX:
        raise _invalid(kind, name, "metadata.annotations: Too long")


def _check_job(obj: Obj) -> None:
    name = obj["metadata"]["name"]
    if len(name) > _JOB_NAME_CHARS_MAX:
        raise _invalid(JOBS, name, "spec.template.labels: must be no more than 63 characters")
    spec = obj["spec"]["template"]["spec"]
    if spec.get("restartPolicy") not in ("Never", "OnFailure"):
        raise _invalid(
            JOBS, name, 'spec.template.spec.restartPolicy: must be "Never" or "OnFailure"'
        )
    if not spec.get("containers"):
        raise _invalid(JOBS, name, "spec.template.spec.containers: Required value")
    _check_metadata(
        JOBS, {"metadata": {"name": name, **(obj["spec"]["template"].get("metadata") or {})}}
    )


def _default_job(obj: Obj) -> None:
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    selector = {"batch.kubernetes.io/controller-uid": uid}
    labels = {
        **selector,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    spec = obj["spec"]
    for member, value in (
        ("parallelism", 1),
        ("completions", 1),
        ("backoffLimit", 6),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("podReplacementPolicy", "TerminatingOrFailed"),
    ):
        spec.setdefault(member, value)
    spec["selector"] = {"matchLabels": selector}
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    # The Job's own labels are its template's where it has none.
    if not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(template["labels"])
    obj["status"] = {}


def _invalid(kind: Kind, name: str, message: str) -> Refused:
    return Refused(422, "Invalid", f'{kind.name} "{name}" is invalid: {message}')
