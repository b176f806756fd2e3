"""Histories that one can read aloud, and snapshots that must keep replaying.

`GOLDEN_WRITE=1` writes those of this release anew: read the diff. One rule: the folder of an
earlier release is never written again.
"""

import base64
import json
import os
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.golden.machines import GOLDEN, Golden
from tests.support.desk import BEGIN, Desk
from tests.support.histories import Entry
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import (
    Event,
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.times import from_ms, to_ms

HERE = Path(__file__).parent
RELEASE = "v0.1"
WRITE = bool(os.environ.get("GOLDEN_WRITE"))
TEXT_CHARS_MAX = 120

SUSPENDED_BEFORE = (
    "1.eJxVkMFugzAMht/F5xyArTD1uMu0C4dJOyE0RYtX0ChEjlO1Qrz77DRtteRix/9n//EKAdHBHpqneif3GQwEts"
    "T6WDZ1U1W7utBjYJx9ZNh369YnEccg4Mdn2763b8L9kD2iUAZwZhpRqpWBYQy80EW4FzPHaRLW03IgDFLvCiNX28"
    "XgcXY6lSlibiaKFUanOsUsSWNJcptR9OdcUzsyu4NX6K/zdWIlsWXGo1eslMxZthJKLAlhtrluiUFC95XGNf39Qc"
    "HbHkrZg1QmG/ih84MNmG24eIvC94AuTv/54srfF5wsRe0Eur+FftXLps6suzy+RqekTjs4qOFi+wOkj4dc.eJydk"
    "c1qwzAQhO99jD1vaOTENuSWQp6ggR5CD0JeWhFHNtIqPwT32bsKaRsH9dDqoMMO+jSzs1E4RVgdyUS2nXtm7ZkaQ"
    "FVXdVGU1TQdPIN1fWRYnOFDrmFA8F1LS+9gATC8PmyKhFnrsBUC08ox+RzG6R3JkyXgPTFBZlhcIeadmtjmCJ5CF"
    "72h9alPJPakm5aE9yXIUBu2e8unx0PntxfpTbKJEMOEdOCJkmGvvZgRn2FsYo6z7yT5XfzdQuKWOL9yozFEzYis/"
    "h+ui/yzSHWJUGF5W8bRcu6zmy4yjBorhBdt+ZdCx5Cnu0IT4xMWibwH"
)
"""Of "suspended" in its Wait, as it was saved before histories told that it is."""


# ---------------------------------------------------------------------------------- as text


def as_text(name: str, desk: Desk) -> str:
    """A history for reading."""
    lines = [f"# {name}", *map(_line, desk.history())]
    error = desk.error
    outcome = _short(desk.output) if error is None else " ".join(filter(None, error))
    return "\n".join([*lines, f"= {desk.status} {outcome}".rstrip(), ""])


def _line(entry: Entry) -> str:
    seconds = (entry.at_ms - to_ms(BEGIN)) / 1000
    details = entry.details or {}
    told = ", ".join(f"{member} {_short(value)}" for member, value in sorted(details.items()))
    after = f"after {entry.previous}" if entry.previous else ""
    return f"{entry.id:>4} {after:<9} {seconds:>7.1f}s {entry.type:<24} {told}".rstrip()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else dumps(value)
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:40]}… ({len(text)} characters)"


# ---------------------------------------------------------------------------------- as data


def _event_out(event: Event) -> dict[str, Any]:
    out: dict[str, Any] = {"event": type(event).__name__}
    match event:
        case TaskStarted():
            out |= {"task": event.task, "uid": event.uid}
        case TaskSucceeded():
            out |= {"task": event.task, "output": event.output, "at": to_ms(event.at)}
        case TaskFailed():
            error = [event.error.name, event.error.cause]
            out |= {"task": event.task, "error": error, "at": to_ms(event.at)}
        case StopRequested():
            out |= {"error": [event.error, event.cause]}
        case SuspendChanged():
            out |= {"suspended": event.suspended}
    return out


def _event_in(row: dict[str, Any]) -> Event:
    task = TaskId(*row.get("task", (0, 0, 0)))
    match row["event"]:
        case "TaskStarted":
            return TaskStarted(task, row["uid"])
        case "TaskSucceeded":
            return TaskSucceeded(task, row["output"], from_ms(row["at"]))
        case "TaskFailed":
            return TaskFailed(task, StateError(*row["error"]), from_ms(row["at"]))
        case "StopRequested":
            return StopRequested(*row["error"])
        case "SuspendChanged":
            return SuspendChanged(row["suspended"])
        case _:
            return Tick()


def as_data(golden: Golden, whole: Desk) -> dict[str, Any]:
    """A run with a snapshot before each of its events, and one of its end."""
    desk = Desk(golden.definition, golden.given)
    snapshots, pages = [], {}
    for now, event in [*whole.told, (whole.now, None)]:
        desk.save()
        snapshots.append(desk.checkpoint)
        pages |= {digest: _packed(raw) for digest, raw in desk.pages.items()}
        if event is not None:
            desk.now = now
            desk.tell(event)
    return {
        "definition": golden.definition,
        "input": golden.given,
        "told": [{"now": to_ms(now), **_event_out(event)} for now, event in whole.told],
        "snapshots": snapshots,
        "pages": pages,
    }


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _wholly(name: str) -> Desk:
    golden = GOLDEN[name]
    desk = Desk(golden.definition, golden.given, golden.answer)
    golden.drive(desk)
    return desk


# ------------------------------------------------------------------------------------ tests


@pytest.mark.parametrize("name", GOLDEN)
def test_a_history_reads_as_it_did(name: str) -> None:
    desk = _wholly(name)
    assert desk.over
    text = as_text(name, desk)
    path = HERE / RELEASE / f"{name}.txt"
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        data = as_data(GOLDEN[name], desk)
        path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def _kept() -> list[Path]:
    return sorted(HERE.glob("v*/*.json"))


@pytest.mark.parametrize("path", _kept(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_kept_snapshot_replays_to_the_kept_end(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    told: list[tuple[datetime, Event]] = [
        (from_ms(row["now"]), _event_in(row)) for row in kept["told"]
    ]
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    for position, checkpoint in enumerate(kept["snapshots"]):
        desk = Desk(kept["definition"], kept["input"], thorough=False)
        desk.pages = {digest: _unpacked(raw) for digest, raw in kept["pages"].items()}
        desk.execution = desk.restored(checkpoint, desk.pages)
        for now, event in told[position:]:
            desk.now = now
            desk.tell(event)
        assert as_text(path.stem, desk) == text


def test_one_that_was_suspended_before_histories_told_so_goes_on() -> None:
    golden = GOLDEN["suspended"]
    desk = Desk(golden.definition, golden.given, golden.answer)
    desk.execution = desk.restored(SUSPENDED_BEFORE, {})
    assert desk.execution.suspended
    assert not desk.suspend()
    desk.now += timedelta(seconds=60)
    assert desk.suspend(False)
    assert desk.run().status == "SUCCEEDED"
    assert [each for each in desk.types() if each.startswith("Execution")] == [
        "ExecutionStarted",
        "ExecutionResumed",
        "ExecutionSucceeded",
    ]


def test_every_machine_has_its_snapshots() -> None:
    assert {path.stem for path in (HERE / RELEASE).glob("*.json")} == set(GOLDEN)
