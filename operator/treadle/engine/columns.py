"""Frames as a snapshot keeps them: by columns, and rising numbers as differences.

One rule: a thousand alike frames pack to a few KiB; what few frames have takes no column of all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from treadle.asl.program import Machine, Map, Parallel
from treadle.engine import mapruns, uids
from treadle.engine.frames import Fork, Frame, Phase
from treadle.engine.payloads import Payload
from treadle.engine.states.fork import child_machine
from treadle.engine.times import from_ms, to_ms


def encode(
    frames: Sequence[Frame],
    reference: Callable[[Payload | None], Any],
    fork: Callable[[Fork], Any],
) -> dict[str, Any]:
    """The columns of frames.

    Args:
        frames: parents before their children.
        reference: what stands for a payload.
        fork: what stands for a fork.
    """
    columns: dict[str, Any] = {
        "id": differences(f.id for f in frames),
        "parent": [f.parent for f in frames],
        "index": differences(f.index for f in frames),
        "state": [f.state for f in frames],
        "entry": differences(f.entry for f in frames),
        "attempt": [f.attempt for f in frames],
        "data": [reference(f.data) for f in frames],
        "retries": {str(n): f.retries for n, f in enumerate(frames) if any(f.retries)},
        "entered_id": differences(f.entered_id for f in frames),
        "entered": differences(to_ms(f.entered_at) if f.entered_at else 0 for f in frames),
        "last_id": differences(f.last_id for f in frames),
        "phase": [int(f.phase) for f in frames],
        "due": differences(to_ms(f.due_at) if f.due_at else 0 for f in frames),
        "scheduled": differences(to_ms(f.scheduled_at) if f.scheduled_at else 0 for f in frames),
        "started": [int(f.started) for f in frames],
        "uid": uids.packed([f.uid for f in frames]),
        "fork": {str(n): fork(f.fork) for n, f in enumerate(frames) if f.fork},
    }
    return columns | _rare(frames, reference)


def _rare(frames: Sequence[Frame], reference: Callable[[Payload | None], Any]) -> dict[str, Any]:
    names = ("variables", "homes", "beats", "before", "submitted")
    rare: dict[str, dict[str, Any]] = {name: {} for name in names}
    for number, frame in enumerate(frames):
        row = str(number)
        if frame.variables is not None:
            rare["variables"][row] = reference(frame.variables)
        if frame.started_at is not None:
            rare["homes"][row] = [frame.events, to_ms(frame.started_at)]
        deadline = to_ms(frame.deadline_at) if frame.deadline_at else 0
        waits = frame.phase is Phase.RUNNING and frame.due_at is None  # for a worker
        if frame.heartbeat_seconds is not None or (waits and deadline):
            rare["beats"][row] = [frame.heartbeat_seconds, deadline]
        if frame.submitted:
            rare["submitted"][row] = 1
        if frame.phase is Phase.READY and frame.last_id == frame.entered_id:
            rare["before"][row] = frame.before_id
    return {name: rows for name, rows in rare.items() if rows}


def decode(
    columns: Mapping[str, Any],
    machine: Machine,
    payload: Callable[[Any], Payload | None],
    fork: Callable[[Any], Fork],
) -> dict[int, Frame]:
    """The frames of columns, by id.

    Args:
        columns: of `encode`, of this release or the one before.
        machine: the top list of states.
        payload: the payload that something stands for.
        fork: the fork that something stands for.
    """
    rows = zip(
        sums(columns["id"]),
        columns["parent"],
        sums(columns["index"]),
        columns["state"],
        sums(columns["entry"]),
        columns["attempt"],
        columns["data"],
        sums(columns["entered_id"]),
        sums(columns["entered"]),
        sums(columns["last_id"]),
        columns["phase"],
        sums(columns["due"]),
        sums(columns["scheduled"]),
        columns["started"],
        uids.unpacked(columns["uid"], len(columns["state"])),
        strict=True,
    )
    frames: dict[int, Frame] = {}
    for number, values in enumerate(rows):
        row = str(number)
        frame = _frame(frames, values, machine, payload)
        frames[frame.id] = frame
        frame.retries = columns["retries"].get(row) or [0] * _retriers(frame)
        if row in columns["fork"]:
            frame.fork = fork(columns["fork"][row])
        _decode_rare(frame, columns, row, payload)
    return frames


def _retriers(frame: Frame) -> int:
    return len(getattr(frame.definition, "retry", ()))


def _decode_rare(
    frame: Frame,
    columns: Mapping[str, Any],
    row: str,
    payload: Callable[[Any], Payload | None],
) -> None:
    """What few frames have; the columns are absent where none has."""
    frame.variables = payload(columns.get("variables", {}).get(row))
    frame.before_id = columns.get("before", {}).get(row, frame.last_id)
    if row in columns.get("homes", {}):
        frame.events, started = columns["homes"][row]
        frame.started_at = from_ms(started)
    if row in columns.get("beats", {}):
        frame.heartbeat_seconds, deadline = columns["beats"][row]
        frame.deadline_at = from_ms(deadline) if deadline else None
    frame.submitted = row in columns.get("submitted", {})


def _frame(
    frames: Mapping[int, Frame],
    values: Sequence[Any],
    machine: Machine,
    payload: Callable[[Any], Payload | None],
) -> Frame:
    number, parent, index, state, entry, attempt, data, entered_id, entered, last_id = values[:10]
    phase, due, scheduled, started, uid = values[10:]
    above = None if parent is None else frames[parent]
    if above is not None:
        forked = above.definition
        assert isinstance(forked, Parallel | Map)
        machine = child_machine(forked, index)
    return Frame(
        id=number,
        parent=parent,
        index=index,
        machine=machine,
        state=state,
        home=mapruns.home(above, number),
        entry=entry,
        attempt=attempt,
        data=payload(data),
        entered_id=entered_id,
        entered_at=from_ms(entered),
        last_id=last_id,
        phase=Phase(phase),
        due_at=from_ms(due) if due else None,
        scheduled_at=from_ms(scheduled) if scheduled else None,
        uid=uid,
        started=bool(started),
    )


def differences(numbers: Iterable[int]) -> list[int]:
    """Each number without the one before it."""
    before, found = 0, []
    for number in numbers:
        found.append(number - before)
        before = number
    return found


def sums(numbers: Sequence[int]) -> Iterable[int]:
    """The numbers of `differences`."""
    total = 0
    for number in numbers:
        total += number
        yield total
