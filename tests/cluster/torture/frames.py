"""Histories by frame: what each list of states did, in its own order. Pure.

The one rule: an entry belongs where the link to its predecessor leads; times and ids are left out.

State names of one machine are unique, so walking up from the predecessor to the frame in which a
state of that name is open finds the frame of every entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_TYPE = re.compile(r"(Task|Wait|Map|Parallel|Pass|Choice|Succeed|Fail)State(\w+)$")
_ITERATION = re.compile(r"MapIteration(\w+)$")
_MAP_RUN = re.compile(r"(:mapRun:[^:]+):[0-9a-f-]+")
_EVENT_ID = re.compile(r"event id #\d+")

Step = tuple[str, str]  # event type, details as JSON text


@dataclass
class Frame:
    """One running list of states.

    Args:
        path: names the frame by what it was forked from: state, how many times that had been
            forked before, index.
        open: type and name of the state in which it is.
        forks: how many times each of its states has been forked.
        children: how many branches its open fork has.
    """

    path: str
    parent: Frame | None
    steps: list[Step] = field(default_factory=list)
    open: tuple[str, str] = ("", "")
    forks: dict[str, int] = field(default_factory=dict)
    children: int = 0

    def upwards(self) -> Iterable[Frame]:
        """This frame and those around it."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent


class Frames:
    """Puts the entries of one history where they belong."""

    def __init__(self) -> None:
        root = Frame("", None)
        self.all = {"": root}
        self._of: dict[int, Frame] = {0: root}
        self._types: dict[int, str] = {}

    def add(self, entry: Any) -> None:
        """Take the next entry of a history (`stores.histories.HistoryEntry`)."""
        if entry.id != len(self._of):
            raise ValueError(f"entry {entry.id} comes where {len(self._of)} should")
        frame = self._place(entry.type, entry.previous, entry.details)
        frame.steps.append((entry.type, _plain(entry.details)))
        self._of[entry.id] = frame
        self._types[entry.id] = entry.type

    def _place(self, kind: str, previous: int, details: Any) -> Frame:
        before = self._of[previous]
        iteration = _ITERATION.match(kind)
        if iteration:
            return self._iteration(iteration[1], before, details)
        state = _TYPE.match(kind)
        if not state:
            return self._of[0] if kind.startswith("Execution") else before
        what, step = state[1], state[2]
        if step == "Entered":
            if self._types.get(previous) == "ParallelStateStarted":
                before = self._fork(before, before.open[1], before.children)
                assert before.parent is not None
                before.parent.children += 1
            before.open = (what, details["name"])
            return before
        if step == "Exited":
            frame = _inside(before, (what, details["name"]))
            frame.open = ("", "")
            return frame
        frame = _inside(before, (what, None))
        if step == "Started":
            name = frame.open[1]
            frame.forks[name] = frame.forks.get(name, 0) + 1
            frame.children = 0
        elif step == "Aborted":
            frame.open = ("", "")
        return frame

    def _iteration(self, step: str, before: Frame, details: Any) -> Frame:
        name, index = details["name"], details["index"]
        if step == "Started":
            return self._fork(_inside(before, ("Map", name)), name, index)
        parent = None
        for frame in before.upwards():
            parent = frame.parent
            if parent is not None and frame.path == _path(parent, name, index):
                if step != "Succeeded":
                    frame.open = ("", "")
                return frame
        raise ValueError(f"MapIteration{step} {name}[{index}] after {before.path!r}")

    def _fork(self, parent: Frame, name: str, index: int) -> Frame:
        path = _path(parent, name, index)
        if path in self.all:
            raise ValueError(f"frame {path} begins twice")
        self.all[path] = Frame(path, parent)
        return self.all[path]


def _path(parent: Frame, name: str, index: int) -> str:
    return f"{parent.path}/{name}#{parent.forks.get(name, 0)}[{index}]"


def _inside(before: Frame, state: tuple[str, str | None]) -> Frame:
    what, name = state
    for frame in before.upwards():
        if frame.open[0] == what and name in (None, frame.open[1]):
            return frame
    raise ValueError(f"no {what} {name or ''} is open around {before.path!r}")


def _plain(details: Any) -> str:
    text = json.dumps(details, sort_keys=True)
    # A map run is named from its execution's uid, which another run of the same plan has not.
    return _EVENT_ID.sub("event id #", _MAP_RUN.sub(r"\1", text))


def frames_of(entries: Iterable[Any]) -> dict[str, Frame]:
    """The frames of a history, by path.

    Raises:
        ValueError: an entry belongs nowhere; the history is wrong, or stranger than this module.
    """
    frames = Frames()
    for entry in entries:
        frames.add(entry)
    return frames.all


def without_deletions(steps: list[Step], errors: Iterable[str]) -> tuple[list[Step], int]:
    """Steps without attempts that failed by these errors, and how many those were."""
    named = tuple(f'"error": "{error}"' for error in errors)
    kept: list[Step] = []
    left_out = 0
    for step in steps:
        kept.append(step)
        kinds = [kind for kind, _ in kept[-3:]]
        if kinds == ["TaskScheduled", "TaskStarted", "TaskFailed"] and any(
            name in step[1] for name in named
        ):
            del kept[-3:]
            left_out += 1
    return kept, left_out
