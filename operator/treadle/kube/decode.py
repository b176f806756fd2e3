"""Executions as the API server gives them, turned into what the other rooms know.

One rule: a spec that cannot be used becomes a sentence, never an exception.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from treadle.asl.json import dumps, loads
from treadle.asl.timestamps import parse_timestamp
from treadle.engine.events import RedriveRequested
from treadle.kube import names, versions
from treadle.kube.api import Obj
from treadle.runtime.ports import (
    START_DEADLINE_SECONDS,
    ExecutionKey,
    Loaded,
    Redrive,
    Request,
    Sighting,
    Stop,
)


def key(obj: Obj) -> ExecutionKey:
    """Which execution an object is."""
    metadata = obj["metadata"]
    return ExecutionKey(metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def loaded(obj: Obj) -> Loaded:
    """All that is stored of an execution; its pages are read elsewhere."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    found = request(obj, started="checkpoint" in status)
    return Loaded(
        key=key(obj),
        version=metadata["resourceVersion"],
        request=found if isinstance(found, Request) else None,
        problem=None if isinstance(found, Request) else found,
        checkpoint=status.get("checkpoint"),
        pages={},
        revision=status.get("revision"),
        published=status.get("version"),
        pending_since=_instant(status.get("pendingSince")),
        phase=status.get("phase", ""),
        deleting="deletionTimestamp" in metadata,
        generation=metadata.get("generation", 0),
        status=status,
    )


def sighting(obj: Obj, *, deleted: bool = False) -> Sighting:
    """What a watch showed."""
    metadata, status, spec = obj["metadata"], obj.get("status") or {}, obj.get("spec") or {}
    fresh = not deleted and not status.get("checkpoint") and "deletionTimestamp" not in metadata
    return Sighting(
        key=key(obj),
        version=metadata["resourceVersion"],
        phase=status.get("phase", ""),
        stop=_stop(spec),
        suspend=spec.get("suspend") is True,
        redrive=_is_asked_again(spec, status),
        redriven=(status.get("redrive") or {}).get("count", 0),
        deleting="deletionTimestamp" in metadata,
        deleted=deleted,
        ended_at=_instant(status.get("completionTime")),
        loaded=loaded(obj) if fresh else None,
        parent=names.awaited_by(obj),
    )


def request(obj: Obj, *, started: bool = False) -> Request | str:
    """What a spec asks for, or the sentence that says why it cannot be used.

    Args:
        obj: an Execution.
        started: its checkpoint holds its input, which need not be read again at every save.
    """
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    machine = _member(spec.get("stateMachineRef"), "name")
    if not machine:
        return "/spec/stateMachineRef/name is missing; name the StateMachine to run"
    version, alias = (spec["stateMachineRef"].get(each) for each in ("version", "alias"))
    if version is not None and alias is not None:
        return "/spec/stateMachineRef has version and alias; give one of them"
    if version is not None and version.__class__ is not int:
        return "/spec/stateMachineRef/version is no number; give that of a published version"
    text, problem = ("", "") if started else _input_text(spec)
    if problem:
        return problem
    return Request(
        machine=machine,
        input=text,
        name=spec.get("name") or metadata["name"],
        start_deadline_seconds=spec.get("startDeadlineSeconds", START_DEADLINE_SECONDS),
        stop=_stop(spec),
        suspend=spec.get("suspend") is True,
        suspend_by=suspend_by(obj),
        redrive=_redrive(spec),
        depth=names.depth_of(obj),
        version=version,
        alias=alias,
    )


def _input_text(spec: Mapping[str, Any]) -> tuple[str, str]:
    given = [name for name in ("input", "inputJson", "inputFrom") if name in spec]
    if len(given) > 1:
        return "", f"/spec has {' and '.join(given)}; give one of them"
    if "inputFrom" in spec:
        return "", "/spec/inputFrom is not supported yet; use input or inputJson"
    if "inputJson" not in spec:
        try:
            return dumps(spec.get("input", {})), ""
        except ValueError as why:
            return "", f"/spec/input cannot be used: {why}"
    text = spec["inputJson"]
    if not isinstance(text, str):
        return "", "/spec/inputJson is not JSON in a text"
    try:
        dumps(loads(text))
    except (ValueError, TypeError) as why:
        return "", f"/spec/inputJson is not JSON: {why}"
    return text, ""


def suspend_by(obj: Obj) -> str | None:
    """Who gave spec.suspend the value that it has, where that is proven.

    What says so stays there when somebody else changes the value, and is copied with the object: it
    counts for the generation of the spec that it names, and for none after that.
    """
    said, metadata = (obj.get("spec") or {}).get("suspendBy"), obj["metadata"]
    about = [metadata.get(name) for name in ("uid", "generation")]
    if not isinstance(said, dict) or [said.get(name) for name in ("uid", "generation")] != about:
        return None
    return _member(said, "by") or None


def _stop(spec: Mapping[str, Any]) -> Stop | None:
    stop = spec.get("stop")
    if not isinstance(stop, dict):
        return None
    return Stop(stop.get("error"), stop.get("cause"), stop.get("by"))


def _redrive(spec: Mapping[str, Any]) -> Redrive | None:
    redrive = spec.get("redrive")
    if not isinstance(redrive, dict) or not _member(redrive, "id"):
        return None
    text, variables, problem = redrive.get("inputJson"), redrive.get("variables"), None
    try:
        if text is None and "input" in redrive:
            text = dumps(redrive["input"])
        dumps(variables)
    except ValueError as why:
        text, variables = None, None
        problem = f"/spec/redrive has an input or variables that cannot be used: {why}"
    event = RedriveRequested(_member(redrive, "from") or None, text, variables, redrive.get("by"))
    return Redrive(redrive["id"], _member(redrive, "revision") or None, event, problem)


def _is_asked_again(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    asked = _member(spec.get("redrive"), "id")
    return bool(asked) and _member(status.get("redrive"), "id") != asked


def _member(holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def _instant(text: Any) -> datetime | None:
    return parse_timestamp(text) if isinstance(text, str) else None


def is_judged(machine: Obj) -> bool:
    """Whether a StateMachine's status is about its present generation."""
    status = machine.get("status") or {}
    return bool(status.get("observedGeneration") == machine["metadata"].get("generation"))


def is_settled(machine: Obj) -> bool:
    """Whether it is, and nothing that was begun of it is left to do."""
    return is_judged(machine) and not versions.is_publishing(machine)
