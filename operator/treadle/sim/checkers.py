"""What must hold in every world, whatever goes wrong in it.

One rule: a checker looks at the cluster only, never at the memory of an operator: what landed there
is what a crash would leave.
"""

import asyncio
import base64
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from treadle.asl.program import Machine, Program
from treadle.engine import snapshot
from treadle.engine.events import TaskId
from treadle.engine.memory import Page
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import APPROVALS, EXECUTIONS, JOBS, PAGES, PODS, SECRETS, Kind
from treadle.kube.names import attempt as attempt_name
from treadle.runners.transport import HttpRequest
from treadle.runtime.ports import Attempt, ExecutionKey
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.sim.http import SimTransport, key_of
from treadle.sim.objects import Key, owners
from treadle.sim.people import WHO_SUSPENDS
from treadle.stores import histories

_LIVE_READ_SECONDS = 5.0
_STOPPED_SECONDS = 60.0 + 90.0  # and the longest that an operator is down, paused and locked out

_WORK = (JOBS, EXECUTIONS, APPROVALS)
"""What an attempt makes outside: at most one, once."""

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


@dataclass(slots=True)
class _Known:
    """What the newest status of an execution says.

    Attributes:
        live: attempts that must be running, with the uid of the Job that was seen running each.
        ever: every attempt that was live in any status.
        begun: those of them that something was seen to do.
    """

    checkpoint: str = ""
    live: dict[TaskId, str] = field(default_factory=dict)
    ever: set[TaskId] = field(default_factory=set)
    begun: set[TaskId] = field(default_factory=set)
    suspended: bool = False
    deleted_at: float | None = None


class Audit:
    """Watches every act of every operator as it is sent, and every write as it lands.

    Args:
        cluster: to watch.
        programs: machines, by name.
        strict: whether only one operator acts at a time; without a Lease two do, and one of them
            may be behind.
    """

    def __init__(
        self, cluster: SimCluster, programs: Mapping[str, Program], *, strict: bool = True
    ) -> None:
        self._cluster = cluster
        self.programs = dict(programs)
        self._strict = strict
        self.violations: list[str] = []
        self.deleted_by_hand: set[str] = set()
        self._created: Counter[tuple[Attempt, str]] = Counter()
        self._live_sends: set[Attempt] = set()
        self._known: dict[str, _Known] = {}  # by the execution's uid
        self._keys: dict[str, Attempt] = {}  # by Idempotency-Key: every attempt that was saved
        self._bodies: dict[str, bytes] = {}
        self._handed_out: dict[Attempt, str] = {}
        cluster.objects.listeners.append(self._landed)

    def watch(self, api: SimApi, transport: SimTransport) -> None:
        """Look at what this client sends."""
        api.on_write.append(partial(self._sent, api.who))
        transport.on_send.append(lambda request: self._http_sent(api.who, request))

    # ------------------------------------------------------------------------------- when sent

    def _sent(self, who: str, verb: str, kind: Kind, namespace: str | None, what: Any) -> None:
        if verb != "create" or kind not in _WORK or is_tombstone(what):
            return
        name = what["metadata"]["name"]
        attempt = _attempt_of(kind, what)
        if attempt is None:
            self._violated(f"{who} creates {kind.name} {name}, which names no attempt")
            return
        act = f"{who} creates {kind.name} {name}"
        known = self._of(attempt.execution.uid)
        if attempt.task in known.live:
            self._live_sends.add(attempt)
        elif attempt.task not in known.ever:
            self._violated(f"{act} before its decision is saved")
        self._check_deletion(known, act)
        if self._strict and (attempt, namespace or "") in self._created:
            self._check_second(f"{act} again", kind, (namespace or "", name), attempt)

    def _check_deletion(self, known: _Known, act: str) -> None:
        """Deleting an Execution stops everything within 60 s; one that is down has a sweep more."""
        now = asyncio.get_running_loop().time()
        if known.deleted_at is not None and now > known.deleted_at + _STOPPED_SECONDS:
            self._violated(f"{act} long after its Execution was deleted")

    def _check_second(self, act: str, kind: Kind, place: Key, attempt: Attempt) -> None:
        """What was seen, or left a Pod, is never made again; design.md, fence 2."""
        objects = self._cluster.objects
        if objects.peek(kind, *place) is not None:
            return  # it meets a 409, which is how a first create learns of an earlier one
        if self._of(attempt.execution.uid).live.get(attempt.task):
            self._violated(f"{act} though it was seen running")
        for pod in objects.each(PODS):
            age = objects.now() - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            # A younger one may have come after the live read that found none.
            if names.attempt_of(pod) == attempt and age.total_seconds() > _LIVE_READ_SECONDS:
                self._violated(f"{act} though a Pod of it is there")

    def _http_sent(self, who: str, request: HttpRequest) -> None:
        key = key_of(request)
        content = request.url.encode() + b" " + (request.body or b"")
        if self._bodies.setdefault(key, content) != content:
            self._violated(f"{who} repeats the call {key} with another body")
        attempt = self._keys.get(key)
        if attempt is None:
            self._violated(f"{who} makes the call {key} before its decision is saved")
            return
        known = self._of(attempt.execution.uid)
        if attempt.task not in known.live and self._strict:
            self._violated(f"{who} makes the call {key} after its end was saved")
        self._check_deletion(known, f"{who} makes the call {key}")

    def handed_out(self, worker: str, attempt: Attempt) -> None:
        """A worker of an activity is given an attempt."""
        name = f"{attempt.task} of {attempt.execution.name}"
        known = self._of(attempt.execution.uid)
        # The save that has it begun may have ended it too: then its token is a dead one.
        ended = attempt.task in known.ever and attempt.task not in known.live
        if not ended and attempt.task not in known.begun:
            self._violated(f"{name} is handed to {worker} before a save says so")
        if attempt in self._handed_out:
            self._violated(f"{name} is handed to {worker}, and {self._handed_out[attempt]} has it")
        self._handed_out[attempt] = worker

    # -------------------------------------------------------------------------------- when landed

    def _landed(self, kind: Kind, old: Obj | None, new: Obj | None) -> None:
        if kind == EXECUTIONS and new is not None:
            self._status_landed(new)
            if old is None:
                self._work_landed(kind, new)
        elif kind == EXECUTIONS and old is not None:
            now = asyncio.get_running_loop().time()
            self._of(old["metadata"]["uid"]).deleted_at = now
        elif kind in _WORK and old is None and new is not None:
            self._work_landed(kind, new)

    def _status_landed(self, execution: Obj) -> None:
        key = execution_key(execution)
        known = self._of(key.uid)
        checkpoint = (execution.get("status") or {}).get("checkpoint")
        if not checkpoint or known.checkpoint == checkpoint:
            return
        pages = self._pages(key.uid, checkpoint)
        memory = snapshot.decode(checkpoint, pages, self._machine(execution))
        running = [f for f in memory.frames.values() if f.is_outside]
        live = {frame.task_id: frame.uid for frame in running}
        begun = live.keys() - known.live.keys()
        if begun and known.suspended and memory.suspended:
            self._violated(f"{key.name} begins {sorted(begun)} while it is suspended")
        known.checkpoint, known.live, known.suspended = checkpoint, live, memory.suspended
        known.ever |= live.keys()
        known.begun |= {task for task, uid in live.items() if uid}
        self._keys |= {attempt_name(key, task): Attempt(key, task) for task in live}

    def _work_landed(self, kind: Kind, obj: Obj) -> None:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        attempt = _attempt_of(kind, obj)
        if attempt is None:
            return
        known = self._of(attempt.execution.uid)
        if known.deleted_at is not None:
            return  # a late create for a deleted Execution falls to the garbage collector
        # Counted by the attempt that it says it is, so that another name hides nothing.
        # The name of a child that another life sent abroad may be taken at home.
        self._created[attempt, namespace] += 1
        if self._created[attempt, namespace] > 1 and name not in self.deleted_by_hand:
            self._violated(f"{kind.name} {name} is created twice")
        if is_tombstone(obj) or attempt in self._live_sends:
            return
        if self._strict and attempt.task not in known.live:
            self._violated(f"{kind.name} {name} starts after its end was saved")

    def _machine(self, execution: Obj) -> Machine:
        return self.programs[execution["spec"]["stateMachineRef"]["name"]].machine

    def _of(self, uid: str) -> _Known:
        return self._known.setdefault(uid, _Known())

    def _pages(self, uid: str, checkpoint: str) -> dict[str, bytes]:
        pages: dict[str, bytes] = {}
        while missing := snapshot.missing(checkpoint, pages):
            for page in self._cluster.objects.owned(uid, PAGES):
                if page["spec"]["digest"] in missing:
                    pages[page["spec"]["digest"]] = _raw(page["spec"])
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


def _attempt_of(kind: Kind, obj: Obj) -> Attempt | None:
    return names.parent_of(obj) if kind == EXECUTIONS else names.attempt_of(obj)


def is_tombstone(obj: Obj) -> bool:
    """Whether a Job, a child or an Approval only takes its name."""
    spec = obj["spec"]
    if "stateMachineRef" in spec:
        return "stop" in spec
    never_runs = bool(spec.get("suspend")) and spec.get("activeDeadlineSeconds") == 0
    return never_runs or bool(spec.get("closed"))


def remains(cluster: SimCluster, *, pages: bool, uid: str | None = None) -> list[str]:
    """What is left outside, of one execution or of all.

    Args:
        cluster: where to look.
        pages: whether they count, and children do, as they do once the Execution is deleted.
        uid: of the one execution.
    """
    left, stay = [], _stay(cluster)
    for kind in (JOBS, PODS, SECRETS, APPROVALS, *((PAGES, EXECUTIONS) if pages else ())):
        for obj in cluster.objects.each(kind):
            metadata = obj["metadata"]
            if kind == EXECUTIONS and names.awaited_by(obj) is None:
                continue  # it was merely started, or is nobody's child
            if kind in (EXECUTIONS, PAGES) and stay.intersection({metadata["uid"], *owners(obj)}):
                continue
            of = metadata.get("labels", {}).get(names.EXECUTION_UID)
            if of is None or uid not in (None, of):
                continue  # of no execution: the keys of tokens
            held = f" held by {metadata['finalizers']}" if metadata.get("finalizers") else ""
            left.append(f"{kind.name} {metadata['name']} remains{held}")
    return left


def _stay(cluster: SimCluster) -> set[str]:
    """The uids of children that have ended abroad: there nothing goes with a parent."""
    return {
        child["metadata"]["uid"]
        for child in cluster.objects.each(EXECUTIONS)
        if (parent := names.awaited_by(child)) is not None
        and parent.execution.namespace != child["metadata"]["namespace"]
        and (child.get("status") or {}).get("phase") in OVER
    }


def mistold(cluster: SimCluster, execution: Obj) -> list[str]:
    """What its history tells wrongly of suspending and resuming it: by turns, and who did it."""
    checkpoint = (execution.get("status") or {}).get("checkpoint")
    if not checkpoint:
        return []
    owned = (page["spec"] for page in cluster.objects.owned(execution["metadata"]["uid"], PAGES))
    pages = {page["digest"]: Page(page["kind"], _raw(page)) for page in owned}
    wrong, suspends = [], False
    for entry in histories.of(snapshot.Encoded(checkpoint, pages, frozenset())):
        if entry.type in ("ExecutionSuspended", "ExecutionResumed"):
            suspends = not suspends
            is_told = entry.type == ("ExecutionSuspended" if suspends else "ExecutionResumed")
            if not is_told or entry.details.get("by") not in (None, WHO_SUSPENDS[suspends]):
                told = f"{entry.type} {dict(entry.details)}"
                wrong.append(f"the history of {execution['metadata']['name']} tells {told}")
    return wrong


def _raw(page: Obj) -> bytes:
    return zlib.decompress(base64.b64decode(page["data"]))


def unfinished(cluster: SimCluster) -> list[str]:
    """Executions that have not ended."""
    return [
        f"Execution {execution['metadata']['name']} has not ended"
        for execution in cluster.objects.each(EXECUTIONS)
        if (execution.get("status") or {}).get("phase") not in OVER
    ]
