"""The pretend node: runs Pods for a scripted time and ends them as scripted.

One rule: a Pod's script is in its container's command, `["pretend", JSON]`; without one it succeeds
at once. The members are those of the pretend node of the cluster tests.
"""

import base64
import random
from dataclasses import dataclass
from typing import Any

import orjson

from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import PODS, SECRETS, Kind
from treadle.sim.controllers import key_of, later
from treadle.sim.objects import Key, Objects, instant

_MESSAGE_BYTES_MAX = 4096
NODE = "pretend-0"


@dataclass(frozen=True, slots=True)
class Script:
    """What a container does.

    Attributes:
        seconds: how long it runs.
        exit_code: with which code it ends.
        message: what it writes as its termination message.
        echo_input: it writes its input instead.
        fail_times: so many first attempts end with code 1 (or `exit_code`) instead.
        hang: it never ends of itself.
        waiting: it never starts; the reason why, as a kubelet says it.
        term_exit_code: with which code it ends when it is told to.
        reason: `OOMKilled`, where that is why it ended.
    """

    seconds: float = 0.0
    exit_code: int = 0
    message: str = ""
    echo_input: bool = False
    fail_times: int = 0
    hang: bool = False
    waiting: str = ""
    term_exit_code: int = 143
    reason: str = ""


def script_of(container: Obj) -> Script:
    """The script of a container."""
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if len(words) < 2 or words[0] != "pretend":
        return Script()
    said: dict[str, Any] = orjson.loads(words[1])
    message = said.get("message", "")
    return Script(
        seconds=float(said.get("seconds", 0)),
        exit_code=int(said.get("exitCode", 0)),
        message=message if isinstance(message, str) else orjson.dumps(message).decode(),
        echo_input=bool(said.get("echoInput")),
        fail_times=int(said.get("failTimes", 0)),
        hang=bool(said.get("hang")),
        waiting=said.get("waiting") or "",
        term_exit_code=int(said.get("termExitCode", 143)),
        reason=said.get("reason", ""),
    )


def is_fragile(pod_spec: Obj) -> bool:
    """Whether the state of a Pod's task says that it retries what people and drains do to it."""
    words: list[str] = pod_spec["containers"][0].get("command") or []
    return len(words) > 1 and bool(orjson.loads(words[1]).get("fragile"))


def attempt_number(pod: Obj) -> int:
    """Which attempt a Pod runs; 1 for one that is not of ours."""
    said = (pod["metadata"].get("annotations") or {}).get(names.TASK_ID, "")
    return int(said.rpartition(".")[2]) if said else 1


class Kubelet:
    """Binds every Pod to the one node and runs it."""

    def __init__(self, objects: Objects, dice: random.Random) -> None:
        self._objects = objects
        self._dice = dice
        objects.listeners.append(self._seen)

    def _seen(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if kind != PODS or new is None:
            return
        uid = new["metadata"]["uid"]
        if old is None:
            later(self._dice.uniform(0.005, 0.03), self._bind, key_of(new), uid)
        elif "deletionTimestamp" in new["metadata"] and (
            "deletionTimestamp" not in old["metadata"]
        ):
            self._told_to_end(new)

    def _pod(self, key: Key, uid: str) -> Obj | None:
        pod = self._objects.peek(PODS, *key)
        if pod is None or pod["metadata"]["uid"] != uid:
            return None
        return pod

    def _bind(self, key: Key, uid: str) -> None:
        pod = self._pod(key, uid)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        self._objects.patch(PODS, *key, {"spec": {"nodeName": NODE}})
        later(self._dice.uniform(0.1, 0.5), self._begin, key, uid)

    def _begin(self, key: Key, uid: str) -> None:
        pod = self._pod(key, uid)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        main = pod["spec"]["containers"][0]
        script = script_of(main)
        if script.waiting:
            waiting = {"reason": script.waiting, "message": f"{script.waiting}: as scripted"}
            self._write(key, "Pending", main, {"waiting": waiting})
            return
        now = instant(self._objects.now())
        self._write(key, "Running", main, {"running": {"startedAt": now}})
        if not script.hang:
            later(script.seconds, self._exit, key, uid, script, False)

    def _exit(self, key: Key, uid: str, script: Script, told: bool) -> None:
        pod = self._pod(key, uid)
        if pod is None or _terminated(pod) or (not told and "deletionTimestamp" in pod["metadata"]):
            return
        code, message = self._end_of(pod, script)
        if told:
            code, message = script.term_exit_code, ""
        main = pod["spec"]["containers"][0]
        state = (pod["status"].get("containerStatuses") or [{}])[0].get("state") or {}
        now = instant(self._objects.now())
        end = {
            "exitCode": code,
            "reason": script.reason or ("Completed" if code == 0 else "Error"),
            "startedAt": (state.get("running") or {}).get("startedAt", now),
            "finishedAt": now,
            **({"message": message} if message else {}),
        }
        # The container's end is seen a second before the Pod's.
        self._write(key, "Running", main, {"terminated": end})
        later(self._dice.uniform(0.5, 1.2), self._close, key, uid, code)

    def _end_of(self, pod: Obj, script: Script) -> tuple[int, str]:
        if attempt_number(pod) <= script.fail_times:
            return script.exit_code or 1, ""
        message = self._input(pod) if script.echo_input else script.message
        # The kubelet keeps the last bytes.
        kept = message.encode()[-_MESSAGE_BYTES_MAX:].decode(errors="replace")
        code = script.exit_code if not script.fail_times else 0
        return code, kept

    def _input(self, pod: Obj) -> str:
        given = (pod["metadata"].get("annotations") or {}).get(names.INPUT)
        if given is not None:
            return str(given)
        for volume in pod["spec"].get("volumes") or ():
            if "secret" in volume:
                namespace = pod["metadata"]["namespace"]
                secret = self._objects.peek(SECRETS, namespace, volume["secret"]["secretName"])
                for text in ((secret or {}).get("data") or {}).values():
                    return base64.b64decode(text).decode()
        return ""

    def _close(self, key: Key, uid: str, code: int) -> None:
        pod = self._pod(key, uid)
        if pod is None:
            return
        phase = "Succeeded" if code == 0 else "Failed"
        self._objects.patch(PODS, *key, {"status": {"phase": phase}}, status=True)
        if "deletionTimestamp" in pod["metadata"]:
            self._objects.delete(PODS, *key, uid=uid, grace_seconds=0)

    def _told_to_end(self, pod: Obj) -> None:
        """SIGTERM, and soon the end; a Pod that is held is ended too when its grace period is 0."""
        key, uid = key_of(pod), pod["metadata"]["uid"]
        if not pod["spec"].get("nodeName"):
            # Only a finalizer keeps it; the Pod garbage collector says Failed of it, every 20 s.
            later(self._dice.uniform(1.0, 20.0), self._give_up, key, uid)
            return
        state = (pod["status"].get("containerStatuses") or [{}])[0].get("state") or {}
        if "terminated" in state:
            return  # it is ending of itself: `_close` is on its way
        if "running" in state:
            script = script_of(pod["spec"]["containers"][0])
            later(self._dice.uniform(0.1, 2.0), self._exit, key, uid, script, True)
        else:
            later(self._dice.uniform(0.1, 1.0), self._give_up, key, uid)

    def _give_up(self, key: Key, uid: str) -> None:
        """A Pod that never ran ends as Failed when it is deleted."""
        if self._pod(key, uid) is not None:
            self._objects.patch(PODS, *key, {"status": {"phase": "Failed"}}, status=True)
            self._objects.delete(PODS, *key, uid=uid, grace_seconds=0)

    def _write(self, key: Key, phase: str, main: Obj, state: Obj) -> None:
        status = {
            "phase": phase,
            "containerStatuses": [
                {
                    "name": main["name"],
                    "image": main.get("image", ""),
                    "restartCount": 0,
                    "ready": "running" in state,
                    "started": "running" in state,
                    "state": state,
                }
            ],
        }
        self._objects.patch(PODS, *key, {"status": status}, status=True)


def _terminated(pod: Obj) -> bool:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return "terminated" in (statuses[0].get("state") or {})
