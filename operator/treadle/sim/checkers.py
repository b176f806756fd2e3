"""What must hold in every world, whatever goes wrong in it.

One rule: a checker looks at the cluster only, never at the memory of an operator: what landed there
is what a crash would leave.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treadle.asl.program import Program
from treadle.engine import snapshot
from treadle.engine.events import TaskId
from treadle.engine.frames import Phase
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, JOBS, PAGES, PODS, SECRETS, Kind
from treadle.runners.transport import HttpRequest
from treadle.runtime.ports import ExecutionKey
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.http import SimTransport, key_of

OVER = frozenset({"Succeeded", "Failed", "TimedOut", "Aborted"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended, as people see it."""

    phase: str
    output: str | None
    error: str | None
    cause: str | None


def outcome_of(execution: Obj) -> Outcome:
    """The outcome in an Execution's status; a large output is named by its digest."""
    status = execution.get("status") or {}
    output = status.get("output")
    if output is None and "outputRef" in status:
        output = f"page {status['outputRef']['page']}"
    return Outcome(status.get("phase", ""), output, status.get("error"), status.get("cause"))


class Audit:
    """Watches every act of every operator as it is sent, and every write as it lands.

    Args:
        cluster: to watch.
        programs: what each execution runs, by its name.
        http_strict: whether an HTTP call of an attempt that is over is a violation; not so with
            two operators that hold no Lease, where one may be behind.
    """

    def __init__(
        self, cluster: SimCluster, programs: Mapping[str, Program], *, http_strict: bool = True
    ) -> None:
        self._cluster = cluster
        self._programs = programs
        self._http_strict = http_strict
        self.violations: list[str] = []
        self.deleted_by_hand: set[str] = set()
        self._created: dict[str, int] = {}
        self._live_sends: set[str] = set()
        self._ever: dict[str, set[TaskId]] = {}  # by execution uid: every attempt that was saved
        self._wanted: dict[str, tuple[str, frozenset[TaskId]]] = {}  # by uid: checkpoint, live
        self._bodies: dict[str, bytes] = {}
        cluster.objects.listeners.append(self._landed)

    def watch(self, api: SimApi, transport: SimTransport) -> None:
        """Look at what this client sends."""
        api.on_write.append(lambda verb, kind, _, what: self._sent(api.who, verb, kind, what))
        transport.on_send.append(lambda request: self._http_sent(api.who, request))

    # ------------------------------------------------------------------------------- when sent

    def _sent(self, who: str, verb: str, kind: Kind, what: Any) -> None:
        if verb != "create" or kind != JOBS or is_tombstone(what):
            return
        name = what["metadata"]["name"]
        attempt = names.attempt_of(what)
        if attempt is None:
            self._violated(f"{who} creates Job {name}, which names no attempt")
            return
        uid = attempt.execution.uid
        if attempt.task in self._live(uid):
            self._live_sends.add(name)
        elif attempt.task not in self._ever.get(uid, ()):
            self._violated(f"{who} creates Job {name} before its decision is saved")

    def _http_sent(self, who: str, request: HttpRequest) -> None:
        key = key_of(request)
        content = request.url.encode() + b" " + (request.body or b"")
        if self._bodies.setdefault(key, content) != content:
            self._violated(f"{who} repeats the call {key} with another body")
        if key in self._keys(live=True):
            return
        if key not in self._keys(live=False):
            self._violated(f"{who} makes the call {key} before its decision is saved")
        elif self._http_strict:
            self._violated(f"{who} makes the call {key} after its end was saved")

    def _keys(self, *, live: bool) -> set[str]:
        keys = set()
        for execution in self._cluster.objects.each(EXECUTIONS):
            key = execution_key(execution)
            tasks = self._live(key.uid) if live else self._ever.get(key.uid, set())
            keys |= {names.attempt(key, task) for task in tasks}
        return keys

    # -------------------------------------------------------------------------------- when landed

    def _landed(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if kind == EXECUTIONS and new is not None:
            self._status_landed(new)
        elif kind == JOBS and old is None and new is not None:
            self._job_landed(new)

    def _status_landed(self, execution: Obj) -> None:
        metadata = execution["metadata"]
        checkpoint = (execution.get("status") or {}).get("checkpoint")
        if not checkpoint or self._wanted.get(metadata["uid"], ("",))[0] == checkpoint:
            return
        pages = self._pages(metadata["uid"], checkpoint)
        program = self._programs[metadata["name"]]
        memory = snapshot.decode(checkpoint, pages, program.machine)
        live = frozenset(
            frame.task_id for frame in memory.frames.values() if frame.phase is Phase.RUNNING
        )
        self._wanted[metadata["uid"]] = (checkpoint, live)
        self._ever.setdefault(metadata["uid"], set()).update(live)

    def _job_landed(self, job: Obj) -> None:
        name = job["metadata"]["name"]
        self._created[name] = self._created.get(name, 0) + 1
        if self._created[name] > 1 and name not in self.deleted_by_hand:
            self._violated(f"Job {name} is created twice")
        attempt = names.attempt_of(job)
        if attempt is None or is_tombstone(job):
            return
        if attempt.task not in self._live(attempt.execution.uid) and name not in self._live_sends:
            self._violated(f"Job {name} starts after its end was saved")

    def _live(self, uid: str) -> frozenset[TaskId]:
        return self._wanted.get(uid, ("", frozenset[TaskId]()))[1]

    def _pages(self, uid: str, checkpoint: str) -> dict[str, bytes]:
        pages: dict[str, bytes] = {}
        while missing := snapshot.missing(checkpoint, pages):
            for page in self._cluster.objects.owned(uid, PAGES):
                if page["spec"]["digest"] in missing:
                    packed = base64.b64decode(page["spec"]["data"])
                    pages[page["spec"]["digest"]] = zlib.decompress(packed)
            if missing == snapshot.missing(checkpoint, pages):
                self._violated(f"a status refers to pages that are not there: {sorted(missing)}")
                break
        return pages

    def _violated(self, sentence: str) -> None:
        self._cluster.note(f"VIOLATION: {sentence}")
        self.violations.append(sentence)


def execution_key(execution: Obj) -> ExecutionKey:
    """Which execution an object is."""
    metadata = execution["metadata"]
    return ExecutionKey(metadata["namespace"], metadata["name"], metadata["uid"])


def is_tombstone(job: Obj) -> bool:
    """Whether a Job only takes its name."""
    spec = job["spec"]
    return bool(spec.get("suspend")) and spec.get("activeDeadlineSeconds") == 0


def remains(cluster: SimCluster, *, pages: bool) -> list[str]:
    """What is left outside of executions that are over. `pages`: the executions are deleted."""
    left = []
    for kind in (JOBS, PODS, SECRETS, *((PAGES,) if pages else ())):
        for obj in cluster.objects.each(kind):
            metadata = obj["metadata"]
            held = f" held by {metadata['finalizers']}" if metadata.get("finalizers") else ""
            left.append(f"{kind.name} {metadata['name']} remains{held}")
    return left


def unfinished(cluster: SimCluster) -> list[str]:
    """Executions that have not ended."""
    return [
        f"Execution {execution['metadata']['name']} has not ended"
        for execution in cluster.objects.each(EXECUTIONS)
        if (execution.get("status") or {}).get("phase") not in OVER
    ]
