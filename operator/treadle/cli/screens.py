"""What a run shows while it goes on: lines, or on a terminal a table that is alive.

One rule: a screen is told what was saved, and keeps no more of it than it shows.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO, cast

from treadle.asl.json import Json
from treadle.cli.files import duration, let_go, printable
from treadle.local.runs import Run
from treadle.stores.histories import HistoryEntry
from treadle.stores.status import PLACES_MAX

NAME_CHARS_MAX = 40
_NAPS_PER_SECOND = 8


class Screen(Protocol):
    """Shows a run. Use it in a `with`."""

    def __enter__(self) -> "Screen": ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        """Something was saved."""

    def trouble(self, why: str) -> None:
        """Something cannot be saved, and is tried again."""

    def interrupted(self) -> None:
        """Somebody asked for its end."""

    def serving(self, url: str) -> None:
        """Answers to task tokens are taken at this URL."""

    def pause(self) -> None:
        """Somebody is asked something: the terminal is for that alone."""

    def go_on(self) -> None:
        """Show the run again."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def screen_for(stream: TextIO | None, run: Run) -> Screen:
    """A table where somebody looks, lines where nobody does."""
    safe = cast(TextIO, _Forgiving(stream))
    if not safe.isatty():
        return LineScreen(safe, run)
    live = LiveScreen(safe, run)
    return LineScreen(safe, run) if live.is_dumb else live


class _Forgiving(io.TextIOBase):
    """Writes for somebody who may go away: a run goes on without being looked at."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                let_go(self._stream)
                self._stream = None
        return len(text)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("nobody is there")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"


@dataclass(slots=True)
class Row:
    """What is known of one state.

    Attributes:
        running: how often it was entered and not left; and `done`: how often it was left.
        is_group: a Parallel or a Map, which is not where an execution is.
        seconds: how long its last visit took, and `since`: when it was entered last.
        items, items_done: of a Map.
        note: what went wrong last.
    """

    running: int = 0
    done: int = 0
    is_group: bool = False
    seconds: float | None = None
    since: datetime | None = None
    items: int = 0
    items_done: int = 0
    note: str = ""


class Progress:
    """The states of an execution, from its history."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._states: dict[int, str] = {}  # by the id of an entry: which state it belongs to
        self._began: dict[int, datetime] = {}

    def take(self, entry: HistoryEntry) -> Row | None:
        """Note an entry; gives the row that it changed."""
        named = entry.type.endswith(("StateEntered", "StateExited")) or "Iteration" in entry.type
        name = entry.details.get("name") if named else None
        state = str(name) if name is not None else self._states.get(entry.previous)
        if state is None:
            return None
        row = self.rows.setdefault(state, Row())
        # An entry follows one of its own visit, except where branches or items have come together.
        same = self._states.get(entry.previous) == state
        began = self._began.get(entry.previous) if same else row.since
        self._states[entry.id] = state
        if began is not None:
            self._began[entry.id] = began
        if entry.type.endswith("StateEntered"):
            self._began[entry.id] = row.since = entry.at
            row.running += 1
            row.is_group = entry.type.startswith(("Parallel", "Map"))
        elif entry.type.endswith("StateExited"):
            row.running -= 1
            row.done += 1
            row.seconds = (entry.at - began).total_seconds() if began else None
        elif entry.type == "MapStateStarted":
            row.items += int(entry.details.get("length") or 0)
        elif entry.type == "MapIterationSucceeded":
            row.items_done += 1
        elif entry.type.endswith(("Failed", "TimedOut")) and "error" in entry.details:
            row.note = f"{entry.details.get('error')}"
        return row


class LineScreen:
    """One line for each thing that happens."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        self._stream = stream
        self._run = run
        self._began: datetime | None = None
        self._progress = Progress()
        self._trouble = ""

    def __enter__(self) -> "LineScreen":
        self._say(printable(f"{self._run.name}: {self._run.machine}"))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        """See Screen."""
        del status  # the history says it
        self._trouble = ""
        for entry in entries:
            self._began = self._began or entry.at
            row = self._progress.take(entry)
            text = line_of(entry, row)
            if text:
                seconds = (entry.at - self._began).total_seconds()
                self._say(f"{duration(seconds):>8}  {printable(text)}")

    def trouble(self, why: str) -> None:
        """See Screen."""
        if why != self._trouble:
            self._trouble = why
            self._say(printable(f"{why}; trying again"))

    def interrupted(self) -> None:
        """See Screen."""
        self._say("stopping what runs; Ctrl-C again ends at once")

    def serving(self, url: str) -> None:
        """See Screen."""
        self._say(f"task tokens are answered at {url}")

    def pause(self) -> None:
        """See Screen."""

    def go_on(self) -> None:
        """See Screen."""

    def close(self) -> None:
        """See Screen."""

    def _say(self, text: str) -> None:
        self._stream.write(text + "\n")


_WORDS = {
    "ExecutionStarted": "started",
    "ExecutionSucceeded": "Succeeded",
    "ExecutionFailed": "Failed",
    "ExecutionAborted": "Aborted",
    "ExecutionTimedOut": "TimedOut",
}


def line_of(entry: HistoryEntry, row: Row | None) -> str:
    """What a line says of an entry; empty where it says nothing."""
    details = entry.details
    name = str(details.get("name", ""))[:NAME_CHARS_MAX]
    wrong = ": ".join(str(details[k])[:300] for k in ("error", "cause") if details.get(k))
    if entry.type in _WORDS:
        return " ".join(filter(None, (_WORDS[entry.type], wrong)))
    if entry.type.endswith("StateEntered"):
        return f"{name}: begins"
    if entry.type.endswith("StateExited"):
        took = f" after {duration(row.seconds)}" if row and row.seconds else ""
        return f"{name}: done{took}"
    if entry.type == "MapIterationSucceeded":
        return f"{name}: {row.items_done} of {row.items} items done" if row else ""
    if entry.type.endswith(("Failed", "TimedOut")) and wrong:
        return f"  {entry.type}: {wrong}"
    return ""


class LiveScreen:
    """A table of states that changes in place."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream)
        self._run = run
        self._began: datetime | None = None
        self._last: datetime | None = None
        self._progress = Progress()
        self._phase = "Pending"
        self._current: frozenset[str] | None = None
        self._stopping = False
        self._trouble = ""
        self._url = ""
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=_NAPS_PER_SECOND,
            vertical_overflow="crop",
        )

    @property
    def is_dumb(self) -> bool:
        """Whether the terminal cannot change what it shows."""
        return self._console.is_dumb_terminal

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, entries: Sequence[HistoryEntry], status: Mapping[str, Json]) -> None:
        """See Screen."""
        for entry in entries:
            self._progress.take(entry)
            self._began, self._last = self._began or entry.at, entry.at
        self._phase = str(status.get("phase", self._phase))
        places = status.get("currentStates") or []
        # The status names so many; where there are more, all that were entered may be among them.
        self._current = frozenset(p["name"] for p in places) if len(places) < PLACES_MAX else None
        self._trouble = ""

    def trouble(self, why: str) -> None:
        """See Screen."""
        self._trouble = why

    def interrupted(self) -> None:
        """See Screen."""
        self._stopping = True

    def serving(self, url: str) -> None:
        """See Screen."""
        self._url = url

    def pause(self) -> None:
        """See Screen."""
        self._live.stop()

    def go_on(self) -> None:
        """See Screen."""
        self._live.start()

    def close(self) -> None:
        """See Screen."""
        self._live.stop()

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        lines = [f"{printable(self._run.name)}  {self._phase}  {duration(self._seconds())}"]
        if self._trouble:
            lines.append(printable(f"{self._trouble}; trying again"))
        if self._url:
            lines.append(f"task tokens are answered at {self._url}")
        if self._stopping:
            lines.append("stopping; Ctrl-C again ends at once")
        texts = [Text(line, style="bold", no_wrap=True, overflow="ellipsis") for line in lines]
        return Group(self._table(self._console.height - len(lines) - 2), Text(), *texts)

    def _seconds(self) -> float:
        """How long it has taken by its own clock."""
        if self._began is None or self._last is None:
            return 0.0
        goes_on = self._phase == "Running" and not self._run.virtual
        return ((datetime.now(UTC) if goes_on else self._last) - self._began).total_seconds()

    def _mark(self, name: str, row: Row) -> tuple[str, str]:
        if not row.running:
            return "✓", "green"
        if self._phase == "Running":
            is_there = row.is_group or self._current is None or name in self._current
            return ("●", "cyan") if is_there else _CUT_OFF
        failed = self._phase in ("Failed", "TimedOut") and (row.note or row.is_group)
        return ("✗", "red") if failed else _CUT_OFF

    def _table(self, room: int) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        rows = list(self._progress.rows.items())
        if len(rows) > room:
            room = max(room - 1, 1)
            table.add_row("", Text(f"… {len(rows) - room} states before", style="dim"), "", "")
        for name, row in rows[-max(room, 1) :]:
            mark, style = self._mark(name, row)
            table.add_row(
                Text(mark, style=style), Text(printable(name)), _times(row), _note(row, self._phase)
            )
        return table


_CUT_OFF = ("■", "dim")  # by a failure or a stop of what is around it


def _times(row: Row) -> Any:
    from rich.text import Text

    seconds = "" if row.seconds is None else duration(row.seconds)
    count = f"×{row.done} " if row.done > 1 else ""
    return Text(count + seconds, style="dim")


def _note(row: Row, phase: str) -> Any:
    from rich.text import Text

    if row.items and (row.running or row.items_done < row.items):
        width = 12
        filled = width * row.items_done // row.items
        bar = "━" * filled + "╌" * (width - filled)
        return Text(f"{bar} {row.items_done}/{row.items}", style="cyan")
    if row.items:
        return Text(f"{row.items} items", style="dim")
    return Text(
        printable(row.note), style="red" if row.running and phase != "Running" else "yellow"
    )
