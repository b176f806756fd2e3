"""What the pretend node does with a Pod: its containers' scripts and the statuses it reports. Pure.

The one rule: a Pod ends as its script says; a Pod without one ends at once, well, and with an
empty message (or, if it is meant to be restarted for ever, simply runs).

A script is JSON, in the container's command `["pretend", "<JSON>"]` or, for the main container,
in the Pod's annotation `pretend.treadle.dev/script`. Its members, all optional, are those of
`Script.read`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import orjson

SCRIPT = "pretend.treadle.dev/script"
INPUT = "treadle.dev/input"
ATTEMPT = "treadle.dev/attempt-number"

# The kubelet's own limits: of one message, and of all messages of a Pod.
_MESSAGE_BYTES_MAX = 4096
_POD_MESSAGE_BYTES_MAX = 12 * 1024
_ADDRESS = "192.0.2.1"

Obj = dict[str, Any]


@dataclass(frozen=True)
class Script:
    """How one container lives and ends.

    Args:
        seconds: how long it runs; infinite for `hang`.
        exit_code: what it ends with.
        message: its termination message.
        reason: the reason of its end; None for what Kubernetes says by the exit code.
        waiting: the reason for which it waits instead of running (`ImagePullBackOff`…).
        waiting_message: what is said with it.
        evicted: the node evicts the Pod at its end.
        term_exit_code: what it ends with if it is told to stop before its end.
        term_message: its message then.
    """

    seconds: float = 0
    exit_code: int = 0
    message: str = ""
    reason: str | None = None
    waiting: str | None = None
    waiting_message: str = ""
    evicted: bool = False
    term_exit_code: int = 143
    term_message: str = ""

    @staticmethod
    def read(pod: Obj, container: Obj, *, main: bool) -> Script:
        """The script of one container of a Pod.

        Members: `seconds`, `exitCode`, `message`, `reason`, `hang`, `echoInput` (the message is
        the Pod's input), `failTimes` (the first so many attempts fail, with `exitCode` or 1 and
        `failMessage`), `waiting` `{reason, message}` (for ever, or for `seconds`, before it
        runs), `evicted`, `term` `{exitCode, message}` (what happens on SIGTERM).
        """
        told = _told(pod, container, main=main)
        if told is None:
            forever = pod["spec"].get("restartPolicy") == "Always"
            return Script(seconds=math.inf if forever else 0)
        waiting, term = told.get("waiting") or {}, told.get("term") or {}
        endless = told.get("hang") or (waiting and "seconds" not in told)
        reason = told.get("reason")
        script = Script(
            seconds=math.inf if endless else float(told.get("seconds", 0)),
            exit_code=int(told.get("exitCode", 137 if reason == "OOMKilled" else 0)),
            message=_echo(pod) if told.get("echoInput") else str(told.get("message", "")),
            reason=reason,
            waiting=waiting.get("reason"),
            waiting_message=waiting.get("message", ""),
            evicted=bool(told.get("evicted")),
            term_exit_code=int(term.get("exitCode", 143)),
            term_message=str(term.get("message", "")),
        )
        return _with_failures(script, told, _attempt(pod))


def _told(pod: Obj, container: Obj, *, main: bool) -> Obj | None:
    annotation = (pod["metadata"].get("annotations") or {}).get(SCRIPT)
    text = annotation if main else None
    command = [*container.get("command", []), *container.get("args", [])]
    if text is None and command[:1] == ["pretend"]:
        text = command[1] if len(command) > 1 else "{}"
    if text is None:
        return None
    try:
        told = orjson.loads(text)
        if not isinstance(told, dict):
            raise ValueError("not an object")
    except ValueError as wrong:
        return {"exitCode": 2, "message": f"pretend: the script is not a JSON object: {wrong}"}
    return told


def _with_failures(script: Script, told: Obj, attempt: int) -> Script:
    if "failTimes" not in told:
        return script
    if attempt > int(told["failTimes"]):
        return replace(script, exit_code=0, reason=None)
    failed = script.exit_code or 1
    return replace(script, exit_code=failed, message=str(told.get("failMessage", "")))


def _echo(pod: Obj) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(INPUT, ""))


def _attempt(pod: Obj) -> int:
    marks = {**(pod["metadata"].get("annotations") or {}), **(pod["metadata"].get("labels") or {})}
    return int(marks.get(ATTEMPT, 1))


def scripts(pod: Obj) -> dict[str, Script]:
    """The script of each container, by its name. The main one is called `main` or comes first."""
    containers = pod["spec"]["containers"]
    names = [each["name"] for each in containers]
    main = "main" if "main" in names else names[0]
    return {each["name"]: Script.read(pod, each, main=each["name"] == main) for each in containers}


def waiting_status(pod: Obj, plan: dict[str, Script], now: str) -> Obj:
    """The status of a Pod whose containers cannot start."""
    states = {
        name: {
            "waiting": {
                "reason": script.waiting or "ContainerCreating",
                **({"message": script.waiting_message} if script.waiting_message else {}),
            }
        }
        for name, script in plan.items()
    }
    return _status(pod, "Pending", states, now)


def status(pod: Obj, plan: dict[str, Script], ended: set[str], started: str, now: str) -> Obj:
    """The status of a Pod that has started, with the containers in `ended` at their end."""
    states = {
        name: _terminated(script, len(plan), started, now)
        if name in ended
        else {"running": {"startedAt": started}}
        for name, script in plan.items()
    }
    if ended != plan.keys():
        return _status(pod, "Running", states, now, started)
    failed = any(script.exit_code for script in plan.values())
    result = _status(pod, "Failed" if failed else "Succeeded", states, now, started)
    if any(script.evicted for script in plan.values()):
        result |= {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
        result["conditions"].append(
            _condition("DisruptionTarget", True, now, "TerminationByKubelet")
        )
    return result


def stopped(plan: dict[str, Script], ended: set[str]) -> dict[str, Script]:
    """The scripts of a Pod that was told to stop: what has not ended ends by SIGTERM."""
    return {
        name: script
        if name in ended
        else replace(
            script,
            exit_code=script.term_exit_code,
            message=script.term_message,
            reason=None,
            evicted=False,
        )
        for name, script in plan.items()
    }


def never_started(pod: Obj, plan: dict[str, Script], now: str) -> Obj:
    """The last status of a Pod that was removed before its containers started."""
    message = "The container could not be located when the pod was deleted."
    ended = {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": message,
            "startedAt": None,
            "finishedAt": None,
        }
    }
    return _status(pod, "Failed", dict.fromkeys(plan, ended), now)


def _terminated(script: Script, containers: int, started: str, now: str) -> Obj:
    reason = script.reason or ("Error" if script.exit_code else "Completed")
    told = {
        "exitCode": script.exit_code,
        "reason": reason,
        "startedAt": started,
        "finishedAt": now,
        "containerID": "pretend://0",
    }
    limit = min(_MESSAGE_BYTES_MAX, _POD_MESSAGE_BYTES_MAX // containers)
    # As the kubelet does: the end of the message stays.
    message = script.message.encode()[-limit:].decode(errors="replace")
    return {"terminated": {**told, "message": message} if message else told}


def _status(
    pod: Obj, phase: str, states: dict[str, Obj], now: str, started: str | None = None
) -> Obj:
    running = phase == "Running"
    ready = running and all("running" in state for state in states.values())
    completed = "PodCompleted" if phase == "Succeeded" else None
    conditions = [
        _condition("PodReadyToStartContainers", phase in ("Pending", "Running"), now),
        _condition("Initialized", True, now, completed),
        _condition("Ready", ready, now, completed),
        _condition("ContainersReady", ready, now, completed),
    ]
    specs = {each["name"]: each for each in pod["spec"]["containers"]}
    return {
        "phase": phase,
        "hostIP": _ADDRESS,
        "hostIPs": [{"ip": _ADDRESS}],
        "podIP": _ADDRESS,
        "podIPs": [{"ip": _ADDRESS}],
        "startTime": pod.get("status", {}).get("startTime", started or now),
        "conditions": conditions,
        "containerStatuses": [
            _container(specs[name], state, running) for name, state in states.items()
        ],
        **_init_statuses(pod, now),
    }


def _container(spec: Obj, state: Obj, pod_runs: bool) -> Obj:
    runs = pod_runs and "running" in state
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "containerID": "" if "waiting" in state else "pretend://0",
        "restartCount": 0,
        "ready": runs,
        "started": runs,
        "state": state,
    }


def _init_statuses(pod: Obj, now: str) -> Obj:
    """Init containers are over before anything is reported."""
    specs = pod["spec"].get("initContainers") or []
    ended = _terminated(Script(), 1, now, now)
    listed = [{**_container(each, ended, False), "ready": True} for each in specs]
    return {"initContainerStatuses": listed} if listed else {}


def _condition(kind: str, holds: bool, now: str, reason: str | None = None) -> Obj:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastTransitionTime": now,
        **({"reason": reason} if reason else {}),
    }
