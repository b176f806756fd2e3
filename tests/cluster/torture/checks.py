"""What must hold after the kills. Pure, but for reading the audit log.

The one rule: a violation is a sentence that names the execution, Job or call it is about.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.torture.caller import Heard
from tests.cluster.torture.frames import Step, without_deletions
from tests.cluster.torture.proxy import JOB, PAGE, STATUS, Write
from tests.cluster.torture.sketch import GONE
from tests.cluster.torture.stage import Result
from treadle.asl import document
from treadle.asl.program import Program
from treadle.engine import snapshot
from treadle.engine.events import TaskId
from treadle.engine.frames import Phase
from treadle.kube import names

Obj = dict[str, Any]

_STEPS_SHOWN = 3
_CHARS_BEFORE = 80
_CHARS_SHOWN = 500


# ------------------------------------------------------------------------------------- two runs


@dataclass
class Comparison:
    """Two runs beside each other.

    Args:
        equal: executions without any difference.
        excused: those whose only difference are attempts that we deleted, and `retries`: how many
            such attempts there were.
    """

    equal: int = 0
    excused: int = 0
    retries: int = 0
    frames: int = 0
    steps: int = 0
    violations: list[str] = field(default_factory=list)


def compared(
    undisturbed: Mapping[str, Result],
    tortured: Mapping[str, Result],
    deletions: Mapping[tuple[str, str], int],
) -> Comparison:
    """Every execution of both runs, status and history."""
    found = Comparison()
    for name in sorted(undisturbed.keys() ^ tortured.keys()):
        found.violations.append(f"{name} is there in one run only")
    for name in sorted(undisturbed.keys() & tortured.keys()):
        allowed = {state: count for (whose, state), count in deletions.items() if whose == name}
        _compare_one(found, name, undisturbed[name], tortured[name], allowed)
    return found


def _compare_one(
    found: Comparison, name: str, calm: Result, torn: Result, allowed: Mapping[str, int]
) -> None:
    before = len(found.violations)
    if calm.status != torn.status:
        found.violations.append(f"{name}: {_became(calm.status, torn.status)}")
    retried: Counter[str] = Counter()
    for path in sorted(calm.frames.keys() | torn.frames.keys()):
        usual, got = calm.frames.get(path, []), torn.frames.get(path, [])
        found.frames += 1
        found.steps += len(usual)
        got = _excused(got, retried)
        if usual != got:
            found.violations.append(f"{name}, frame {path or '/'}: {_difference(usual, got)}")
    for state, count in retried.items():
        if count > allowed.get(state, 0):
            found.violations.append(
                f"{name}: {count} attempts of {state} say that their Pod or Job was deleted; "
                f"{allowed.get(state, 0)} were"
            )
    if len(found.violations) == before:
        found.retries += retried.total()
        found.excused += bool(retried)
        found.equal += not retried


def _excused(steps: Sequence[Step], retried: Counter[str]) -> list[Step]:
    """Steps without the attempts that say that they were deleted; those are counted by state."""
    kept: list[Step] = []
    stretch: list[Step] = []
    state = ""
    for step in [*steps, ("", "")]:
        if step[0].endswith("StateEntered") or not step[0]:
            cleaned, count = without_deletions(stretch, GONE)
            kept += cleaned
            if count:
                retried[state] += count
            stretch = []
        if step[0]:
            stretch.append(step)
        if step[0].endswith("StateEntered"):
            state = json.loads(step[1])["name"]
    return kept


def _difference(usual: Sequence[Step], got: Sequence[Step]) -> str:
    at = next(
        (n for n, (a, b) in enumerate(zip(usual, got, strict=False)) if a != b),
        min(len(usual), len(got)),
    )
    shown = slice(at, at + _STEPS_SHOWN)
    return f"from step {at} on, {_became(usual[shown], got[shown])}"


def _became(usual: Any, got: Any) -> str:
    """Both as texts, from a little before where they part."""
    before, after = json.dumps(usual), json.dumps(got)
    parts = (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    start = max(0, next(parts, min(len(before), len(after))) - _CHARS_BEFORE)
    return f"{_from(before, start)} became {_from(after, start)}"


def _from(text: str, start: int) -> str:
    shown = text[start : start + _CHARS_SHOWN]
    return ("…" if start else "") + shown + ("…" if start + len(shown) < len(text) else "")


# ------------------------------------------------------------------------------- what was written


@dataclass
class Landed:
    """A save that the API server has taken, and what it says."""

    write: Write
    live: frozenset[TaskId]


class Programs:
    """Parsed machines, each once."""

    def __init__(self, machines: Mapping[str, Obj]) -> None:
        self._machines = machines
        self._parsed: dict[str, Program] = {}

    def of(self, machine: str) -> Program:
        """The program of a machine."""
        if machine not in self._parsed:
            self._parsed[machine] = document.parse(self._machines[machine])
        return self._parsed[machine]


def saves(
    writes: Sequence[Write], programs: Programs, machine_of: Mapping[str, str]
) -> dict[str, list[Landed]]:
    """The saves of each execution (by uid), in the order in which they landed."""
    pages: dict[str, dict[str, bytes]] = {}
    for write in writes:
        if write.kind == PAGE:
            spec, labels = write.body["spec"], write.body["metadata"]["labels"]
            whose = pages.setdefault(labels[names.EXECUTION_UID], {})
            whose[spec["digest"]] = zlib.decompress(b64decode(spec["data"]))
    found: dict[str, list[Landed]] = {}
    for write in sorted(writes, key=lambda write: write.answered_at):
        checkpoint = write.body.get("status", {}).get("checkpoint")
        if write.kind != STATUS or write.status != 200 or not checkpoint:
            continue
        meta = write.body["metadata"]
        machine = programs.of(machine_of[meta["name"]]).machine
        memory = snapshot.decode(checkpoint, pages.get(meta["uid"], {}), machine)
        running = (f.task_id for f in memory.frames.values() if f.phase is Phase.RUNNING)
        found.setdefault(meta["uid"], []).append(Landed(write, frozenset(running)))
    return found


def made_jobs(writes: Iterable[Write]) -> list[Write]:
    """Creates of Jobs that the API server has taken and that are to run, not tombstones."""
    return [
        write
        for write in writes
        if write.kind == JOB and write.status == 201 and not is_tombstone(write.body)
    ]


def is_tombstone(job: Obj) -> bool:
    """Whether a Job only takes its name."""
    spec = job["spec"]
    return bool(spec.get("suspend")) and spec.get("activeDeadlineSeconds") == 0


def order_violations(
    writes: Sequence[Write], saved: Mapping[str, list[Landed]], times: Mapping[str, Audited]
) -> list[str]:
    """Attempts that were started before their decision, or after their result, was saved.

    Args:
        writes: of all proxies.
        saved: by `saves`.
        times: what the audit log says of each request, by its id; empty where there is none.
    """
    found = []
    for job in made_jobs(writes):
        attempt = names.attempt_of(job.body)
        name = job.body["metadata"]["name"]
        if attempt is None:
            found.append(f"Job {name} names no attempt")
            continue
        landed = saved.get(attempt.execution.uid, [])
        deciding = [save for save in landed if attempt.task in save.live]
        what = f"Job {name} (attempt {attempt.task} of {attempt.execution.name}, {job.sender})"
        if not any(_known(save.write, job) for save in deciding):
            found.append(f"{what} was created before its decision was saved")
        if not deciding:
            continue
        after = landed[landed.index(deciding[-1]) + 1 :]
        if after and _follows(job, after[0].write, times):
            found.append(f"{what} was started after its end was saved by {after[0].write.sender}")
    return found


def _known(save: Write, job: Write) -> bool:
    """Whether a save can have been known to who created a Job."""
    if save.sender == job.sender:
        return save.answered_at <= job.received_at
    # Another process sees a save as soon as it lands, which may be before it is answered.
    return save.received_at <= job.received_at


def _follows(job: Write, save: Write, times: Mapping[str, Audited]) -> bool:
    """Whether a Job was asked for after a save had landed."""
    created, ended = times.get(job.audit_id), times.get(save.audit_id)
    if created is not None and ended is not None and created.received_at > ended.answered_at:
        return True
    return job.received_at > save.answered_at


# ---------------------------------------------------------------------------------- the audit log


@dataclass(frozen=True)
class Audited:
    """A line of the audit log."""

    id: str
    verb: str
    resource: str
    name: str
    code: int
    received_at: datetime
    answered_at: datetime


def audited(log: Path, offset: int, namespace: str) -> dict[str, Audited]:
    """What the audit log says of a namespace from an offset on, by audit id."""
    found = {}
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if namespace.encode() not in line:
                continue
            event = json.loads(line)
            ref = event.get("objectRef") or {}
            if ref.get("namespace") != namespace or event["stage"] != "ResponseComplete":
                continue
            found[event["auditID"]] = Audited(
                event["auditID"],
                event["verb"],
                ref["resource"] + ("/" + ref["subresource"] if ref.get("subresource") else ""),
                ref.get("name", ""),
                (event.get("responseStatus") or {}).get("code", 0),
                datetime.fromisoformat(event["requestReceivedTimestamp"]),
                datetime.fromisoformat(event["stageTimestamp"]),
            )
    return found


def audit_violations(lines: Iterable[Audited], writes: Iterable[Write]) -> list[str]:
    """Job names that were created twice, and Jobs that did not come through a proxy of ours."""
    ours = {write.audit_id for write in writes if write.kind == JOB}
    created = [e for e in lines if (e.verb, e.resource, e.code) == ("create", "jobs", 201)]
    times = Counter(line.name for line in created)
    found = [f"Job {name} was created {n} times" for name, n in times.items() if n > 1]
    strangers = [line.name for line in created if line.id not in ours]
    if strangers:
        found.append(f"somebody else creates Jobs here: {', '.join(strangers[:5])}")
    return found


def twice(writes: Iterable[Write]) -> list[str]:
    """Job names that were created twice, by the proxies' notes alone."""
    made = (w.body["metadata"]["name"] for w in writes if w.kind == JOB and w.status == 201)
    return [f"Job {name} was created {n} times" for name, n in Counter(made).items() if n > 1]


# ------------------------------------------------------------------------------------------ HTTP


def call_violations(calm: Heard, torn: Heard) -> list[str]:
    """Calls that came with another number of keys than they have attempts, or with other bodies."""
    found = [*calm.violations, *torn.violations]
    for call in sorted(calm.keys.keys() | torn.keys.keys()):
        usual, got = len(calm.keys.get(call, ())), len(torn.keys.get(call, ()))
        if usual != got:
            found.append(f"the call {call} came with {got} keys; undisturbed with {usual}")
    return found
