"""What an execution shows while it goes on: lines, or on a terminal a tree that is alive.

One rule: a screen is told what was saved, and keeps no more of it than it shows.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TextIO, cast

from treadle.asl.json import Json
from treadle.asl.timestamps import parse_timestamp
from treadle.cli.files import duration, let_go, printable
from treadle.cli.progress import Progress, Row, line_of
from treadle.stores.histories import HistoryEntry
from treadle.stores.status import PLACES_MAX

_NAPS_PER_SECOND = 8


class Subject(Protocol):
    """An execution that is shown."""

    @property
    def name(self) -> str:
        """Its own."""

    @property
    def machine(self) -> str:
        """Its machine's name."""

    @property
    def virtual(self) -> bool:
        """Whether its time is."""


class Screen(Protocol):
    """Shows an execution. Use it in a `with`."""

    def __enter__(self) -> "Screen": ...

    def __exit__(self, *_: object) -> None: ...

    def show(
        self,
        entries: Sequence[HistoryEntry],
        status: Mapping[str, Json],
        now: datetime | None = None,
    ) -> None:
        """Something was saved; `now` is the time of whoever saved it, ours unless given."""

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


def screen_for(stream: TextIO | None, subject: Subject) -> Screen:
    """A tree where somebody looks, lines where nobody does."""
    safe = cast(TextIO, Forgiving(stream))
    if not safe.isatty():
        return LineScreen(safe, subject)
    live = LiveScreen(safe, subject)
    return LineScreen(safe, subject) if live.is_dumb else live


class Forgiving(io.TextIOBase):
    """Writes for somebody who may go away: a run goes on without being looked at."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it now."""
        if self._stream is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                let_go(self._stream)
                self._stream = None
        return len(text)

    @property
    def is_gone(self) -> bool:
        """Whether nobody reads any more."""
        return self._stream is None

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Its number. Raises: OSError."""
        if self._stream is None:
            raise OSError("nobody is there")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Its own."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class LineScreen:
    """One line for each thing that happens."""

    def __init__(self, stream: TextIO, subject: Subject) -> None:
        self._stream = stream
        self._subject = subject
        self._began: datetime | None = None
        self._progress = Progress()
        self._trouble = ""
        self._waits = ""

    def __enter__(self) -> "LineScreen":
        self._say(printable(f"{self._subject.name}: {self._subject.machine}"))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(
        self,
        entries: Sequence[HistoryEntry],
        status: Mapping[str, Json],
        now: datetime | None = None,
    ) -> None:
        """See Screen."""
        del now
        self._trouble = ""
        for entry in entries:
            self._began = self._began or entry.at
            row = self._progress.take(entry)
            text = line_of(entry, row)
            if text:
                seconds = (entry.at - self._began).total_seconds()
                self._say(f"{duration(seconds):>8}  {printable(text)}")
        waits = _standing(status)
        if waits and waits != self._waits:
            self._say(f"{'':>8}  {printable(waits)}")
        self._waits = waits

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


class LiveScreen:
    """A table of states that changes in place."""

    def __init__(self, stream: TextIO, subject: Subject) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream)
        self._subject = subject
        self._began: datetime | None = None
        self._last: datetime | None = None
        self._progress = Progress()
        self._phase = "Pending"
        self._current: Mapping[str, Mapping[str, Json]] | None = None
        self._items = ""
        self._standing = ""
        self._ahead = timedelta()  # of the clock of whoever saves
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

    def show(
        self,
        entries: Sequence[HistoryEntry],
        status: Mapping[str, Json],
        now: datetime | None = None,
    ) -> None:
        """See Screen."""
        self._ahead = (now or _now()) - _now()
        for entry in entries:
            self._progress.take(entry)
            self._began, self._last = self._began or entry.at, entry.at
        self._phase = str(status.get("phase", self._phase))
        places = status.get("currentStates") or []
        # The status names so many; where there are more, all that were entered may be among them.
        found = {place["name"]: place for place in places}
        self._current = found if len(places) < PLACES_MAX else None
        self._items = str((status.get("progress") or {}).get("text", ""))
        self._standing = _standing(status)
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

        items = f"  {self._items}" if self._items and self._phase == "Running" else ""
        took = duration(self._seconds())
        lines = [f"{printable(self._subject.name)}  {self._phase}  {took}{items}"]
        if self._standing:
            lines.append(printable(self._standing))
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
        return (self._now() - self._began).total_seconds()

    def _now(self) -> datetime:
        """The time of whoever saves; while nothing goes on, when it saved last."""
        goes_on = self._phase == "Running" and not self._subject.virtual
        return _now() + self._ahead if goes_on or self._last is None else self._last

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
        rows = self._progress.tree()
        first, end = _window([row.running > 0 for _, _, row in rows], max(room, 1))
        if first:
            table.add_row("", Text(f"… {first} states before", style="dim"), "", "")
        for depth, name, row in rows[first:end]:
            mark, style = self._mark(name, row)
            indented = Text("  " * min(depth, _DEPTH_MAX) + printable(name))
            note = _note(row, self._phase, self._waits(name, row))
            table.add_row(Text(mark, style=style), indented, self._times(row), note)
        if end < len(rows):
            table.add_row("", Text(f"… {len(rows) - end} states more", style="dim"), "", "")
        return table

    def _waits(self, name: str, row: Row) -> str:
        """What a state waits for that does nothing; empty where it does something."""
        place = (self._current or {}).get(name, {})
        if row.asks and place.get("waitsFor") == "task":
            return "waits for approval"
        word = _WAITS.get(str(place.get("waitsFor")), "")
        until = parse_timestamp(str(place.get("until")))
        if not word or until is None:
            return word
        return f"{word} in {duration(max(0.0, (until - self._now()).total_seconds()))}"

    def _times(self, row: Row) -> Any:
        from rich.text import Text

        seconds = row.seconds
        if row.running and row.since is not None and self._phase == "Running":
            seconds = max(0.0, (self._now() - row.since).total_seconds())
        count = f"×{row.done} " if row.done > 1 else ""
        return Text(count + ("" if seconds is None else duration(seconds)), style="dim")


def _standing(status: Mapping[str, Json]) -> str:
    """What all of it waits for, where its status says so."""
    if status.get("phase") == "Pending":
        return str(status.get("message") or "")
    for each in status.get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in _STANDS:
            return f"{each['type']}: {each.get('message')}"
    return ""


_STANDS = ("Parked", "WaitingForCapacity", "Suspended")
_CUT_OFF = ("■", "dim")  # by a failure or a stop of what is around it


_DEPTH_MAX = 8  # of indents: a name must still fit beside them
_WAITS = {"retry": "retries", "time": "goes on"}


def _window(running: Sequence[bool], room: int) -> tuple[int, int]:
    """Which rows are shown where there is no room for all: the last ones that run, or the last."""
    many = len(running)
    if many <= room:
        return 0, many
    last = max((number for number, runs in enumerate(running) if runs), default=many - 1)
    shown = max(room - (1 if last == many - 1 else 2), 1)  # what is left out takes a line
    first = max(last + 1 - shown, 0)
    return first, min(first + shown, many)


def _now() -> datetime:
    return datetime.now(UTC)


def _note(row: Row, phase: str, waits: str) -> Any:
    from rich.text import Text

    if row.items and (row.running or row.items_done < row.items):
        width = 12
        filled = width * row.items_done // row.items
        bar = "━" * filled + "╌" * (width - filled)
        return Text(f"{bar} {row.items_done}/{row.items}", style="cyan")
    if row.items:
        return Text(f"{row.items} items", style="dim")
    goes_on = bool(row.running) and phase == "Running"
    said = [row.note] if row.note else []
    if goes_on:
        said = [waits or (f"attempt {row.attempt}" if row.attempt > 1 else ""), row.note]
        if row.running > 1:
            said.insert(0, f"{row.running} at once")
    return Text(
        printable(" · ".join(filter(None, said))),
        style="red" if row.running and not goes_on else "yellow",
    )
