"""What a hostile or unlucky user does, all at once, and how each of it has to end.

The one rule: an attack is data: a machine, what it runs in a Pod (on either node), and the one
error that design.md gives it. The same Pods can be started as bare Jobs, without the product.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes import watch

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Namespace
from tests.cluster.support.machines import IMAGE, State, call, chain, job, passes
from tests.cluster.support.people import EXECUTIONS, GROUP, VERSION, Obj, People, is_over, uid_of
from tests.cluster.support.servers import METADATA, Server, ServerProcess

AnyServer = Server | ServerProcess

PYTHON = "python:3.11-slim"
# A real node under a storm may need longer than this for any Pod's network.
START_FAILURE_SECONDS = {places.PRETEND: 5, places.REAL: 45}
PACE_SECONDS = 0.1
LOOPS_MORE = 1
_RESULT = "$TREADLE_RESULT_FILE"
_LIMIT = 4096
# 4,096 bytes that parse; and a text that is JSON only once its head is gone.
_FULL = json.dumps("a" * (_LIMIT - 2))
_CUT = "this is no JSON: " + "1" * _LIMIT
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Bad:
    """A container: what the pretend node plays, and what a real one runs."""

    script: dict[str, Any]
    command: list[str]
    image: str = IMAGE
    resources: Obj | None = None

    def words(self, node: str) -> list[str]:
        """Its command on this kind of node."""
        return ["pretend", json.dumps(self.script)] if node == places.PRETEND else self.command


@dataclass(frozen=True)
class Attack:
    """See the module.

    Args:
        name: also the machine's.
        error: what the Execution has to end with.
        pod: what it runs in a Pod, if anything.
        more: further Parameters of that Task.
        state: further members of it.
        url: what it calls instead, given a server.
        machine: what it is instead of one Task.
        meddle: what somebody does to a running one.
    """

    name: str
    error: str
    pod: Bad | None = None
    more: State = field(default_factory=dict)
    state: State = field(default_factory=dict)
    url: Callable[[AnyServer], str] | None = None
    machine: Obj | None = None
    meddle: Callable[[People, str], None] | None = None

    def definition(self, node: str, server: AnyServer) -> Any:
        """Its machine."""
        if self.machine is not None:
            return self.machine
        if self.url is not None:
            return chain(Ask=call(self.url(server), more=self.more, **self.state))
        assert self.pod is not None
        more = {**({"resources": self.pod.resources} if self.pod.resources else {}), **self.more}
        words = self.pod.words(node)
        return chain(Run=job(words, image=self.pod.image, more=more, **self.state))


def _sh(script: dict[str, Any], line: str) -> Bad:
    return Bad(script, ["sh", "-c", line])


def _writes(text: str) -> Bad:
    line = f"import os; open(os.environ['TREADLE_RESULT_FILE'], 'w').write({text!r})"
    # A bare Job has no such variable; what it writes is of no interest.
    return Bad({"message": text}, ["python", "-c", line], image=PYTHON)


def _delete_job(people: People, uid: str) -> None:
    people.a_pod(uid)
    name = people.a_job(uid)["metadata"]["name"]
    people.namespace.batch.delete_namespaced_job(
        name, people.namespace.name, propagation_policy="Background"
    )


def _delete_pod(people: People, uid: str) -> None:
    name = people.a_pod(uid)["metadata"]["name"]
    people.namespace.core.delete_namespaced_pod(name, people.namespace.name)


_SLEEP = _sh({"hang": True}, "trap exit TERM; sleep 600 & wait")
# A worker that ends well when it is told to stop has not done its work.
_POLITE = _sh({"hang": True, "term": {"exitCode": 0}}, "trap 'exit 0' TERM; sleep 600 & wait")
_NEVER = {"Variable": "$.x", "IsNull": True, "Next": "End"}
_LOOP = chain(
    A=passes(),
    B=passes(Result={"x": [1, 2, 3]}, ResultPath="$.x"),
    Again={"Type": "Choice", "Choices": [_NEVER], "Default": "A"},
    End=passes(),
)

ATTACKS: tuple[Attack, ...] = (
    Attack("result-not-json", "Treadle.InvalidResult", _writes("neither fish nor JSON")),
    Attack("result-not-whole", "Treadle.InvalidResult", _writes('{"a": 1')),
    Attack("result-full", "States.DataLimitExceeded", _writes(_FULL)),
    Attack("result-cut", "States.DataLimitExceeded", _writes(_CUT)),
    Attack(
        "image-missing",
        "Kubernetes.ImagePull",
        Bad({"waiting": {"reason": "ErrImagePull"}}, ["true"], image="treadle.invalid/none:1"),
    ),
    Attack(
        "image-misnamed",
        "Kubernetes.ImagePull",
        Bad({"waiting": {"reason": "InvalidImageName"}}, ["true"], image="NO SUCH:IMAGE"),
    ),
    Attack(
        "program-missing",
        "Kubernetes.ContainerConfig",
        Bad({"exitCode": 128, "reason": "StartError"}, ["/no/such/program"]),
    ),
    Attack(
        "out-of-memory",
        "Kubernetes.OOMKilled",
        Bad(
            {"reason": "OOMKilled", "seconds": 0.5},
            ["python", "-c", "x = bytearray(300 << 20)"],
            image=PYTHON,
            resources={"limits": {"memory": "32Mi"}},
        ),
    ),
    Attack(
        "exit-code", "Kubernetes.ExitCode.7", _sh({"exitCode": 7}, "yes | head -c 9000000; exit 7")
    ),
    Attack("endless-pod", "States.Timeout", _SLEEP, state={"TimeoutSeconds": 4}),
    Attack("job-deleted", "Kubernetes.JobDeleted", _SLEEP, meddle=_delete_job),
    Attack("pod-deleted", "Kubernetes.PodDeleted", _SLEEP, meddle=_delete_pod),
    Attack("polite-pod-deleted", "Kubernetes.PodDeleted", _POLITE, meddle=_delete_pod),
    Attack(
        "http-hangs",
        "States.Http.Socket",
        url=lambda server: server.url("/hang"),
        more={"timeoutSeconds": 3},
    ),
    Attack(
        "http-hangs-beyond-the-state",
        "States.Timeout",
        url=lambda server: server.url("/hang"),
        state={"TimeoutSeconds": 3},
    ),
    Attack(
        "http-drips",
        "States.Http.Socket",
        url=lambda server: server.url("/drip"),
        more={"timeoutSeconds": 3},
    ),
    Attack("http-huge", "States.DataLimitExceeded", url=lambda server: server.url("/huge")),
    Attack(
        "http-huge-told", "States.DataLimitExceeded", url=lambda server: server.url("/huge?told")
    ),
    Attack(
        "http-redirect", "States.Http.StatusCode.302", url=lambda server: server.url("/redirect")
    ),
    Attack("http-garbage", "States.Http.Socket", url=lambda server: server.url("/garbage")),
    Attack("http-metadata", "Treadle.AddressDenied", url=lambda _: METADATA),
    Attack(
        "http-loopback",
        "Treadle.AddressDenied",
        url=lambda server: server.url("/echo", host="localhost"),
    ),
    Attack("endless-loop", "States.Runtime", machine=_LOOP),
)

# In a storm these might time out before the Job controller has come to them.
HURRIED: tuple[Attack, ...] = (
    Attack(
        "image-in-a-hurry",
        "Kubernetes.ImagePull",
        Bad({"waiting": {"reason": "ImagePullBackOff"}}, ["true"], image="treadle.invalid/no:2"),
        more={"startTimeoutSeconds": 3},
    ),
    Attack(
        "too-large-to-schedule",
        "Kubernetes.Unschedulable",
        Bad({}, ["true"], resources={"requests": {"cpu": "100k"}}),
        more={"startTimeoutSeconds": 3},
    ),
)


def named(name: str) -> Attack:
    """One of the attacks."""
    return next(attack for attack in (*ATTACKS, *HURRIED) if attack.name == name)


# ------------------------------------------------------------------------------------- the storm


@dataclass
class Storm:
    """Attacks under way, and quick executions measured meanwhile.

    Args:
        people: whose namespace the operator serves.
        calm: a namespace that nobody serves, for the same Pods as bare Jobs.
        node: the kind of node.
        server: reached by an address that the policy allows.
    """

    people: People
    calm: Namespace
    node: str
    server: ServerProcess
    waves: int = 4
    quick: int = 200
    medians: dict[str, float] = field(default_factory=dict)
    ended: dict[str, list[Obj]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Create the machines and wait until they are judged."""
        for attack in ATTACKS:
            self.people.machine(attack.name, attack.definition(self.node, self.server))
        self.people.machine("quick", chain(One=passes(), Two=passes(), Three=passes()))
        for name in ("quick", *(attack.name for attack in ATTACKS)):
            assert self.people.judged(name)["status"] == "True", name

    def without_treadle(self) -> float:
        """The median beside the same Pods as bare Jobs, in seconds; the server serves nobody."""
        self._measure("warm", lambda _: None, count=20)
        median = self._measure("calm", self._bare_wave)
        options = {"propagation_policy": "Background", "grace_period_seconds": 0}
        self.calm.batch.delete_collection_namespaced_job(self.calm.name, **options)
        self.calm.core.delete_collection_namespaced_pod(self.calm.name, grace_period_seconds=0)
        self.calm.wait(
            lambda: not self.calm.core.list_namespaced_pod(self.calm.name).items,
            "the bare Pods to be gone",
            seconds=90,
        )
        return median

    def with_treadle(self) -> float:
        """The median during the attacks, in seconds; then every attack's status at its end."""
        with ThreadPoolExecutor(8) as meddlers:
            done: list[Future[None]] = []
            median = self._measure("storm", lambda wave: done.extend(self._wave(wave, meddlers)))
            for each in done:
                each.result()
        for attack in ATTACKS:
            names = [f"{attack.name}-{wave}" for wave in range(self.waves)]
            self.ended[attack.name] = [self.people.ends(name, seconds=120) for name in names]
        return median

    def _wave(self, wave: int, meddlers: ThreadPoolExecutor) -> Iterator[Future[None]]:
        for attack in ATTACKS:
            made = self.people.execution(f"{attack.name}-{wave}", attack.name)
            if attack.name == "endless-loop":
                # It is over in a second by itself; several keep one running most of the time.
                for more in range(LOOPS_MORE):
                    self.people.execution(f"{attack.name}-{wave}-{more}", attack.name)
            if attack.meddle is not None:
                yield meddlers.submit(attack.meddle, self.people, uid_of(made))

    def _bare_wave(self, wave: int) -> None:
        for attack in ATTACKS:
            if attack.pod is not None:
                body = _bare_job(f"{attack.name}-{wave}", attack, self.node)
                self.calm.batch.create_namespaced_job(self.calm.name, body)

    def _measure(self, what: str, launch: Callable[[int], None], count: int = 0) -> float:
        """Median seconds from the create of a quick execution to the sight of its end."""
        total = count or self.quick
        seconds = []
        with ends_of(self.people) as ends:
            for number in range(total):
                if number % (total // self.waves) == 0:
                    launch(number // (total // self.waves))
                name = f"{what}-{number}"
                began_at = time.perf_counter()
                self.people.execution(name, "quick")
                seconds.append(ends.seen_at(name) - began_at)
                # The Job controller draws the storm out.
                time.sleep(max(0.0, PACE_SECONDS - seconds[-1]))  # a load's pace, not a wait
        self.medians[what] = statistics.median(seconds)
        return self.medians[what]


def _bare_job(name: str, attack: Attack, node: str) -> Obj:
    pod = attack.pod
    assert pod is not None
    container = {
        "name": "main",
        "image": pod.image,
        "command": pod.words(node),
        "env": [{"name": "TREADLE_RESULT_FILE", "value": "/dev/termination-log"}],
        "securityContext": _RESTRICTED,
        **({"resources": pod.resources} if pod.resources else {}),
    }
    seconds = attack.state.get("TimeoutSeconds") or 30
    return {
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": _RESTRICTED_POD,
                    "containers": [container],
                }
            },
        },
    }


class Ends:
    """When a watch showed executions to be over."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()

    def note(self, name: str) -> None:
        with self._changed:
            self._seen.setdefault(name, time.perf_counter())
            self._changed.notify_all()

    def seen_at(self, name: str, seconds: float = 60) -> float:
        with self._changed:
            seen = self._changed.wait_for(lambda: name in self._seen, seconds)
            assert seen, f"{name} has not ended within {seconds:.0f} s"
            return self._seen[name]


@contextmanager
def ends_of(people: People) -> Iterator[Ends]:
    """Follow the executions of a namespace in a thread."""
    ends, over = Ends(), threading.Event()
    version = people.namespace.custom.list_namespaced_custom_object(
        GROUP, VERSION, people.namespace.name, EXECUTIONS
    )["metadata"]["resourceVersion"]

    def follow() -> None:
        nonlocal version
        while not over.is_set():
            watching: Any = watch
            stream = watching.Watch().stream(
                people.namespace.custom.list_namespaced_custom_object,
                GROUP,
                VERSION,
                people.namespace.name,
                EXECUTIONS,
                resource_version=version,
                timeout_seconds=2,
            )
            for event in stream:
                found = event["object"]
                version = found["metadata"]["resourceVersion"]
                if is_over(found.get("status") or {}):
                    ends.note(found["metadata"]["name"])

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield ends
    finally:
        over.set()
        thread.join()
