"""What a run shows: on a real terminal of some size, and where nobody looks."""

import io
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminals import Terminal, watched
from tests.support.treadles import gives, shell, states, treadle, write
from treadle.cli.files import duration
from treadle.cli.screens import screen_for
from treadle.local.runs import Run
from treadle.stores.histories import HistoryEntry

RUN = Run(name="name", machine="m", spec={}, request={}, cwd="/")

NAMES = ("日本語の長い名前" * 4, "שלום עולם " * 6, "a\u202e\x1b[31m\x07\tb", "x" * 79, "é" * 9)


def a_chain(*names: str) -> dict[str, Any]:
    following = dict(pairwise(names))
    nexts = {name: {"Next": following[name]} if name in following else {} for name in names}
    return states(**{name: shell(gives("1"), **nexts[name]) for name in names})


def a_map(script: str = "sleep 0.3") -> dict[str, Any]:
    one = states(One=shell(script))
    return {"Type": "Map", "ItemsPath": "$", "ItemProcessor": one, "End": True}


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 20, 200])
def test_nothing_is_garbled(columns: int, tmp_path: Path) -> None:
    write(tmp_path, a_chain(*NAMES))
    seen = watched(tmp_path, "run", "machine.json", "--name", "n" * 80, columns=columns)
    assert (seen.exit_code, seen.output) == (0, "1\n")
    assert not seen.terminal.wrapped
    assert seen.terminal.cursor_shown
    lines = [line.rstrip() for line in seen.terminal.lines]
    # The last table stays, once, with a mark before each state.
    assert [line[:1] for line in lines[: len(NAMES)]] == ["✓"] * len(NAMES)
    assert lines[0].startswith("✓ 日本")
    assert "\\u202e"[: columns // 4] in lines[2]
    assert sum("nnn" in line for line in lines) == 1
    if columns >= 60:
        assert "…" in "".join(lines) or columns == 200


@pytest.mark.slow
def test_the_phase_is_seen_at_60_columns(tmp_path: Path) -> None:
    write(tmp_path, a_chain("First", "Second"))
    seen = watched(tmp_path, "run", "machine.json", "--name", "short", columns=60)
    text = "\n".join(seen.terminal.lines)
    assert "short  Succeeded" in text
    assert text.index("First") < text.index("Second")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 20])
def test_a_map_has_a_bar(columns: int, tmp_path: Path) -> None:
    write(tmp_path, states(Each=a_map()))
    words = ("run", "machine.json", "--name", "a", "--input", "[1,2,3,4,5,6,7,8,9]")
    seen = watched(tmp_path, *words, columns=columns)
    assert seen.exit_code == 0
    assert "━" in seen.raw
    assert not seen.terminal.wrapped
    if columns == 60:
        assert "9 items" in "\n".join(seen.terminal.lines)


@pytest.mark.slow
def test_more_states_than_the_terminal_has_lines(tmp_path: Path) -> None:
    write(tmp_path, a_chain(*(f"State{number}" for number in range(30))))
    seen = watched(tmp_path, "run", "machine.json", "--name", "a", columns=60, rows=10)
    lines = [line.rstrip() for line in seen.terminal.lines if line.strip()]
    assert len(lines) <= 10
    assert "states before" in lines[0]
    assert "State29" in "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_a_terminal_of_few_lines(rows: int, tmp_path: Path) -> None:
    write(tmp_path, a_chain("First", "Second"))
    seen = watched(tmp_path, "run", "machine.json", columns=40, rows=rows)
    assert (seen.exit_code, seen.output) == (0, "1\n")


@pytest.mark.slow
def test_what_went_wrong_is_shown(tmp_path: Path) -> None:
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Last"}]
    write(tmp_path, states(A=shell("exit 3", Catch=caught, Next="Last"), Last=shell("exit 4")))
    seen = watched(tmp_path, "run", "machine.json", "--name", "a", columns=80)
    lines = seen.terminal.lines
    assert seen.exit_code == 1
    assert lines[0].startswith("✓ A")
    assert "Kubernetes.ExitCode.3" in lines[0]
    assert lines[1].startswith("✗ Last")
    assert "a  Failed" in "\n".join(lines)
    assert seen.raw.rstrip().endswith(
        "Kubernetes.ExitCode.4: The container ended with exit code 4."
    )


@pytest.mark.slow
def test_colours_unless_nobody_wants_them(tmp_path: Path) -> None:
    write(tmp_path, a_chain("A"))
    coloured = watched(tmp_path, "run", "machine.json", columns=60)
    assert any(code.startswith("3") for code in coloured.terminal.colours)
    plain = watched(tmp_path, "run", "machine.json", columns=60, NO_COLOR="1")
    assert not any(code.startswith(("3", "4")) for code in plain.terminal.colours)
    assert "✓ A" in plain.terminal.lines[0]


@pytest.mark.slow
def test_ctrl_c_is_answered_on_the_screen(tmp_path: Path) -> None:
    write(tmp_path, states(A=shell("trap 'sleep 1; exit 1' TERM; while true; do sleep 0.05; done")))
    pressed = []

    def press(process: "subprocess.Popen[bytes]", text: str) -> None:
        if "●" in text and not pressed:
            pressed.append(True)
            process.send_signal(signal.SIGINT)

    seen = watched(tmp_path, "run", "machine.json", columns=60, poke=press)
    assert (seen.exit_code, seen.output) == (1, "")
    assert "stopping; Ctrl-C again ends at once" in seen.raw
    assert "Aborted" in "\n".join(seen.terminal.lines)


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    script = "trap '' TERM; : > on; while ! test -e go; do sleep 0.05; done"
    write(tmp_path, states(A=shell(script)))
    pressed: list[str] = []

    def press(process: "subprocess.Popen[bytes]", text: str) -> None:
        ready = (tmp_path / "on").exists() if not pressed else "stopping" in text
        if ready and len(pressed) < 2:
            pressed.append("")
            process.send_signal(signal.SIGINT)

    seen = watched(tmp_path, "run", "machine.json", "--name", "a", columns=80, poke=press)
    (tmp_path / "go").touch()
    assert seen.exit_code == 130
    assert seen.terminal.cursor_shown
    assert "go on with it by: treadle run --resume a" in "".join(seen.terminal.lines)


@pytest.mark.slow
@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_go_back_gets_lines(term: str, tmp_path: Path) -> None:
    write(tmp_path, a_chain("A"))
    seen = watched(tmp_path, "run", "machine.json", "--name", "a", columns=60, TERM=term)
    assert "\x1b" not in seen.raw
    assert "A: begins" in seen.raw


@pytest.mark.slow
def test_lines_where_nobody_looks(tmp_path: Path) -> None:
    machine = a_chain(NAMES[2], "Each")
    machine["States"]["Each"] = {**a_map("true"), "ItemsPath": "$$.Execution.Input"}
    write(tmp_path, machine)
    done = treadle(tmp_path, "run", "machine.json", "--name", "a", "--input", "[1,2]")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[{},{}]\n"
    said = [line.split("s  ", 1)[-1] for line in done.stderr.splitlines()]
    assert said[:3] == ["a: machine", "started", "a\\u202e\\x1b[31m\\x07\\tb: begins"]
    assert "Each: 2 of 2 items done" in said
    assert said[-1] == "Succeeded"
    assert "\x1b" not in done.stderr


class Window(io.StringIO):
    """A terminal in this process."""

    def isatty(self) -> bool:
        return True


def entry(number: int, kind: str, previous: int, **details: Any) -> HistoryEntry:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return HistoryEntry(id=number, previous=previous, type=kind, at=at, details=details)


HISTORY = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "MapStateEntered", 1, name="Each\u202e"),
    entry(3, "MapStateStarted", 2, length=4),
    entry(4, "MapIterationStarted", 3, name="Each\u202e", index=0),
    entry(5, "TaskStateEntered", 4, name="日本"),
    entry(6, "TaskFailed", 5, error="Busy", cause="later"),
    entry(7, "TaskStateExited", 6, name="日本"),
    entry(8, "MapIterationSucceeded", 7, name="Each\u202e", index=0),
]


def shown(window: io.StringIO, columns: int) -> Terminal:
    terminal = Terminal(columns)
    terminal.feed(window.getvalue().replace("\n", "\r\n"))
    return terminal


@pytest.mark.parametrize("columns", [20, 60])
def test_a_table_of_what_goes_on(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", str(columns)), ("LINES", "24"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    window = Window()
    screen = screen_for(window, RUN)
    with screen:
        screen.show(HISTORY, {"phase": "Running"}, HISTORY[-1].at)
        screen.trouble("no room")
        screen.interrupted()
    terminal = shown(window, columns)
    text = "\n".join(terminal.lines)
    assert not terminal.wrapped
    assert terminal.cursor_shown
    assert "● Each" in text
    assert "✓   日本"[: columns // 5] in text  # within Each
    assert "name  Running" in text
    assert "no room; trying" in text
    assert "stopping; Ctrl-C" in text
    if columns == 60:
        assert "━━━╌╌╌╌╌╌╌╌╌ 1/4" in text
        assert "Busy" in text


def drawn(
    entries: list[HistoryEntry],
    status: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    *,
    lines: int = 24,
) -> list[str]:
    for name, value in (("COLUMNS", "80"), ("LINES", str(lines)), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    window = Window()
    with screen_for(window, RUN) as screen:
        screen.show(entries, status, entries[-1].at)
    return [line.rstrip() for line in shown(window, 80).lines if line.strip()]


TWO_DEEP = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "TaskStateEntered", 1, name="Before"),
    entry(3, "TaskStateExited", 2, name="Before"),
    entry(4, "MapStateEntered", 3, name="Each"),
    entry(5, "MapStateStarted", 4, length=2),
    entry(6, "MapIterationStarted", 5, name="Each", index=0),
    entry(7, "ParallelStateEntered", 6, name="Both"),
    entry(8, "MapIterationStarted", 5, name="Each", index=1),
    entry(9, "ParallelStateEntered", 8, name="Both"),
    entry(10, "ParallelStateStarted", 7),
    entry(11, "PassStateEntered", 10, name="Left"),
    entry(12, "PassStateExited", 11, name="Left"),
    entry(13, "TaskStateEntered", 12, name="Right"),
    entry(14, "TaskScheduled", 13),
    entry(15, "TaskFailed", 14, error="Busy"),
    entry(16, "TaskScheduled", 15),
    entry(17, "ParallelStateStarted", 9),
    entry(18, "PassStateEntered", 17, name="Left"),
]


def test_states_are_a_tree_with_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [{"name": "Left", "waitsFor": "turn"}, {"name": "Right", "waitsFor": "task"}]
    status = {"phase": "Running", "currentStates": places, "progress": {"text": "0/2"}}
    before, each, both, left, right, last = drawn(TWO_DEEP, status, monkeypatch)
    assert before.startswith("✓ Before ")
    assert each.startswith("● Each ")
    assert each.endswith("0/2")
    assert both.startswith("●   Both ")
    assert both.endswith("2 at once")
    assert left.startswith("●     Left ")
    assert right.startswith("●     Right ")  # beside Left, not in it
    assert right.split()[2] == "5.0s"
    assert right.endswith("attempt 2 · Busy")
    assert last.split() == ["name", "Running", "17.0s", "0/2"]


@pytest.mark.parametrize(
    ("waits_for", "said"),
    [("retry", "retries in"), ("time", "goes on in")],
)
def test_what_a_state_waits_for(waits_for: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"name": "Right", "waitsFor": waits_for}
    status = {"phase": "Running", "currentStates": [place]}
    alone = drawn(TWO_DEEP[:15], status, monkeypatch)[-2]
    assert alone.endswith(f"{said.removesuffix(' in')} · Busy")
    until = TWO_DEEP[14].at + timedelta(seconds=90)
    place["until"] = until.isoformat().replace("+00:00", "Z")
    row = drawn(TWO_DEEP[:15], status, monkeypatch)[-2]
    assert re.search(rf"{said} 1m(30|29)s · Busy$", row), row


REDRIVEN = [
    *TWO_DEEP[:14],
    entry(15, "ExecutionAborted", 0, cause="enough", by="ada"),
    entry(16, "ExecutionRedriven", 15, redriveCount=1, revision="m-2", by="bob"),
]


def test_one_that_is_redriven_goes_on_in_its_states(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [*REDRIVEN, entry(17, "TaskScheduled", 16), entry(18, "TaskFailed", 17, error="E2")]
    status = {"phase": "Running", "currentStates": [{"name": "Right", "waitsFor": "task"}]}
    right = drawn(again, status, monkeypatch)[-2]
    assert right.startswith("●     Right ")
    assert right.endswith("s E2"), "its attempts are counted anew"
    stream = io.StringIO()
    with screen_for(stream, RUN) as screen:
        screen.show(again, status)
    said = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()[-3:]]
    assert said == ["Aborted enough (by ada)", "redriven with m-2 (by bob)", "TaskFailed: E2"]


def test_who_suspends_and_resumes_it_is_a_line_and_no_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between = [
        *TWO_DEEP[:14],
        entry(15, "ExecutionSuspended", 0, by="ada"),
        entry(16, "ExecutionResumed", 0),
    ]
    status = {"phase": "Running"}
    tables = [drawn(told, status, monkeypatch) for told in (between, TWO_DEEP[:14])]
    marks, as_before = ([line.split()[:2] for line in table] for table in tables)
    assert marks == as_before
    stream = io.StringIO()
    with screen_for(stream, RUN) as screen:
        screen.show(between, status)
    said = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()[-2:]]
    assert said == ["suspended (by ada)", "resumed"]


def test_one_that_is_redriven_from_a_state_is_in_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [*REDRIVEN, entry(17, "TaskStateEntered", 16, name="Before")]
    status = {"phase": "Running", "currentStates": [{"name": "Before", "waitsFor": "task"}]}
    table = drawn(again, status, monkeypatch)
    assert [line[0] for line in table if line.split()[1] in ("Before", "Right")] == ["●", "✓"]


def test_that_people_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = entry(14, "TaskScheduled", 13, resourceType="treadle", resource="approval")
    status = {"phase": "Running", "currentStates": [{"name": "Right", "waitsFor": "task"}]}
    alone = drawn([*TWO_DEEP[:13], asked], status, monkeypatch)[-2]
    assert alone.endswith("waits for approval")
    stream = io.StringIO()
    with screen_for(stream, RUN) as screen:
        screen.show([*TWO_DEEP[:13], asked], status)
    assert stream.getvalue().splitlines()[-1].endswith("  waits for approval")


STANDS = [
    ({"phase": "Pending", "message": "no machine\x1b"}, "no machine\\x1b"),
    (
        {
            "phase": "Running",
            "conditions": [
                {"type": "Suspended", "status": "False", "message": "not any more"},
                {"type": "WaitingForCapacity", "status": "True", "message": "a quota is full"},
            ],
        },
        "WaitingForCapacity: a quota is full",
    ),
]


@pytest.mark.parametrize(("status", "said"), STANDS)
def test_what_all_of_it_waits_for(
    status: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drawn(TWO_DEEP[:1], status, monkeypatch)[-1] == said
    stream = io.StringIO()
    with screen_for(stream, RUN) as screen:
        for each in (status, status, {"phase": "Running"}, status):
            screen.show([], each)
    assert [line.strip() for line in stream.getvalue().splitlines()] == ["name: m", said, said]


def test_what_runs_is_shown_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(1, "ExecutionStarted", 0)]
    for number in range(30):
        entered = "TaskStateEntered" if number == 9 else "PassStateEntered"
        entries.append(entry(len(entries) + 1, entered, 1, name=f"S{number}"))
        if number != 9:
            entries.append(
                entry(len(entries) + 1, "PassStateExited", len(entries), name=f"S{number}")
            )
    lines = drawn(entries, {"phase": "Running"}, monkeypatch, lines=10)
    assert len(lines) <= 9
    assert "S9" in "".join(lines)
    assert lines[0].endswith("states before")
    assert lines[-2].endswith("20 states more")


def test_what_was_wrong_and_is_saved_again_is_no_longer_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    window = Window()
    screen = screen_for(window, RUN)
    with screen:
        screen.trouble("no room")
        screen.show(HISTORY[:3], {"phase": "Failed"})
    text = "\n".join(shown(window, 80).lines)
    assert "no room" not in text
    assert "✗ Each" in text


def test_the_same_trouble_is_one_line() -> None:
    stream = io.StringIO()
    with screen_for(stream, RUN) as screen:
        screen.trouble("no room\x1b")
        screen.trouble("no room\x1b")
        screen.show(HISTORY, {"phase": "Running"})
        screen.trouble("no room\x1b")
        screen.interrupted()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "name: m"
    assert lines.count("no room\\x1b; trying again") == 2
    assert "TaskFailed: Busy: later" in lines[5]
    assert lines[-1] == "stopping what runs; Ctrl-C again ends at once"


class Gone(Window):
    """A terminal that somebody has closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


@pytest.mark.parametrize("stream", [None, Gone()])
def test_a_screen_that_is_gone_harms_nobody(stream: io.StringIO | None) -> None:
    with screen_for(stream, RUN) as screen:
        screen.show(HISTORY, {"phase": "Running"})
        screen.interrupted()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0s"), (59.9, "59.9s"), (61, "1m01s"), (3_700, "1h01m"), (90_000, "1d01h")],
)
def test_a_length_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


CUT_OFF = [
    entry(1, "ExecutionStarted", 0),
    entry(2, "ParallelStateEntered", 1, name="Both"),
    entry(3, "TaskStateEntered", 2, name="Left"),
    entry(4, "TaskStateEntered", 2, name="Right"),
    entry(5, "TaskFailed", 3, error="Boom", cause="why"),
]


@pytest.mark.parametrize(
    ("phase", "current", "marks"),
    [
        ("Running", ["Left", "Right"], "●●●"),
        ("Running", ["Both"], "●■■"),  # between two attempts
        ("Succeeded", [], "✓■■"),  # caught
        ("Failed", [], "✗✗■"),
        ("Aborted", [], "■■■"),
    ],
)
def test_a_state_that_was_cut_off_does_not_go_on(
    phase: str, current: list[str], marks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    window = Window()
    more = [entry(6, "ParallelStateExited", 5, name="Both")] if phase == "Succeeded" else []
    with screen_for(window, RUN) as screen:
        places = [{"name": name} for name in current]
        screen.show([*CUT_OFF, *more], {"phase": phase, "currentStates": places})
    lines = shown(window, 80).lines
    assert "".join(line[0] for line in lines[:3]) == marks


def test_a_run_that_has_ended_took_what_its_history_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    window = Window()
    with screen_for(window, RUN) as screen:
        screen.show(HISTORY, {"phase": "Succeeded"})
    assert "name  Succeeded  7.0s" in "\n".join(shown(window, 80).lines)
