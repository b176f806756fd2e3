"""The process that evaluates: it answers as this one would, and harms nobody."""

import contextlib
import dataclasses
import io
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.programs import python_environment
from tests.support.treadles import until
from treadle.asl.evaluator import Answer, Asked, EvaluatorLost, answer
from treadle.sandbox import frames, worker
from treadle.sandbox import sandbox as module
from treadle.sandbox.sandbox import Sandbox

ASKED = Asked("1 + 1", "{}", 1_000, 7, "", 0, 2_000_000, 0.5)
DOUBLED = '($f := function($n, $a) { $n <= 0 ? $a : $f($n - 1, {"a": $a, "b": $a}) };'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox(python_environment(), bytes_max=128 << 20)) as opened:
        yield opened


def asked(text: str, **more: object) -> Asked:
    return dataclasses.replace(ASKED, text=text, **more)


@pytest.mark.parametrize(
    "question",
    [
        asked("{'a': $x + 1}", bindings='{"x": 1}'),
        asked("$nothing"),
        asked("null"),
        asked("1 + 'a'"),
        asked("$map([1..1000], function($x) { $x })", steps_max=250),
        asked("[$uuid(), $random(), $now()]", chance="aa", drawn=3),
        asked("$shuffle([1..20])"),
        asked('$length($x) & "é"', bindings='{"x": "' + "é" * 3_000_000 + '"}', seconds_max=5),
        asked('$pad("", 3000000, "é")', seconds_max=1.5),
    ],
    ids=lambda question: question.text,
)
def test_it_answers_as_this_process_does(sandbox: Sandbox, question: Asked) -> None:
    assert sandbox.answer(question) == answer(question)


@pytest.mark.parametrize(
    ("text", "seconds", "code"),
    [
        ("$count($distinct([1..800000]))", 0.5, "D1012: The expression takes more than 0.5 s"),
        (f"{DOUBLED} $f(60, 1) = $f(60, 1))", 0.5, "D1012: The expression takes more than 0.5 s"),
        ("[1..899999].[1..899999]", 5, "U1001: The expression takes more than 128 MiB of memory"),
    ],
)
def test_what_does_not_end_is_ended_and_the_next_is_answered(
    sandbox: Sandbox, text: str, seconds: float, code: str
) -> None:
    before = sandbox.seconds()
    made = sandbox.answer(asked(text, seconds_max=seconds))
    assert (made.value, made.failure, made.lacks_steps) == (None, code, False)
    assert sandbox.seconds() - before >= seconds
    assert sandbox.answer(ASKED).value == "2"


def test_its_stopwatch_counts_what_the_other_process_did(sandbox: Sandbox) -> None:
    before, mine = sandbox.seconds(), time.thread_time()
    sandbox.answer(asked("$count($sort([1..200000]))", seconds_max=1.5))
    there = sandbox.seconds() - before - (time.thread_time() - mine)
    assert 0.001 < there < 1.5


def test_a_process_that_was_killed_is_followed_by_another(sandbox: Sandbox) -> None:
    first = sandbox.process_id
    assert first is not None
    os.kill(first, 9)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert sandbox.answer(ASKED).value == "2"
    assert sandbox.process_id not in (None, first)


LONG = asked("$count($distinct([1..800000]))", seconds_max=1.5)


class Asking:
    """A thread that asks; `made` or `lost` is what it is told."""

    def __init__(self, sandbox: Sandbox, question: Asked) -> None:
        self.made: Answer | None = None
        self.lost: EvaluatorLost | None = None
        self._thread = threading.Thread(target=self._ask, args=(sandbox, question))
        self._thread.start()

    def _ask(self, sandbox: Sandbox, question: Asked) -> None:
        try:
            self.made = sandbox.answer(question)
        except EvaluatorLost as why:
            self.lost = why

    def ends(self) -> "Asking":
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self


def works(process: int) -> bool:
    """Whether a process takes CPU: it is at an evaluation."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "R"


def hit(sandbox: Sandbox, number: int) -> int:
    """Send a signal to the process while it evaluates; gives which one that was."""
    process = sandbox.process_id
    assert process is not None
    until(lambda: works(process), "the evaluation")
    os.kill(process, number)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_what_is_lost_once_is_asked_again(sandbox: Sandbox, number: int) -> None:
    sandbox.open()
    asking = Asking(sandbox, LONG)
    first = hit(sandbox, number)
    made = asking.ends().made
    assert made is not None
    assert made.failure == "D1012: The expression takes more than 1.5 s", "it is the expression's"
    assert sandbox.process_id != first


def test_what_is_lost_again_and_again_is_nobodys_fault(sandbox: Sandbox) -> None:
    sandbox.open()
    asking = Asking(sandbox, LONG)
    first = hit(sandbox, signal.SIGKILL)
    until(lambda: sandbox.process_id not in (None, first), "another process")
    hit(sandbox, signal.SIGKILL)
    assert asking.ends().lost is not None
    assert sandbox.answer(ASKED).value == "2"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_group_ends_no_evaluation(
    sandbox: Sandbox, number: int
) -> None:
    sandbox.open()
    process = sandbox.process_id
    assert process is not None
    os.kill(process, number)
    assert sandbox.answer(ASKED).value == "2"
    assert sandbox.process_id == process


def test_a_process_without_processor_is_nobodys_fault(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(module, "TRIES", 1)
    sandbox.open()
    process = sandbox.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(EvaluatorLost, match="has no processor"):
        sandbox.answer(asked("1", seconds_max=0.1))
    monkeypatch.undo()
    assert sandbox.answer(ASKED).value == "2"


@pytest.mark.parametrize(("worked", "is_starved"), [(0.1, True), (0.45, False)])
def test_an_evaluation_that_had_no_processor_says_so(
    monkeypatch: pytest.MonkeyPatch, worked: float, is_starved: bool
) -> None:
    clock = iter([0.0, worked])
    monkeypatch.setattr(worker.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(worker, "_timed", lambda _: Answer(failure="D1012: too long"))
    assert told_by_the_worker(monkeypatch)["is_starved"] is is_starved


def test_closing_ends_the_process() -> None:
    with closing(Sandbox(python_environment())) as opened:
        assert opened.process_id is None
        opened.open()
        process = opened.process_id
        assert process is not None
    assert opened.process_id is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(EvaluatorLost, match="ends"):
        opened.answer(ASKED)
    assert opened.process_id is None


def test_who_waits_for_an_answer_is_told_that_it_closes() -> None:
    opened = Sandbox(python_environment())
    opened.open()
    first, second = Asking(opened, LONG), Asking(opened, LONG)
    process = opened.process_id
    assert process is not None
    until(lambda: works(process), "the evaluation")
    opened.close()
    assert first.ends().lost
    assert second.ends().lost
    assert opened.process_id is None


def test_where_no_process_can_begin_nothing_is_evaluated(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Sandbox({"PYTHONHOME": "/nowhere"})) as broken:
        with pytest.raises(EvaluatorLost, match="does not begin"):
            broken.open()
        with pytest.raises(EvaluatorLost, match="does not begin"):
            broken.answer(ASKED)
        assert broken.process_id is None
    assert "an evaluation is lost" in caplog.text


def test_the_process_knows_nothing_that_it_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with closing(Sandbox(python_environment())) as opened:
        opened.open()
        folder = Path(f"/proc/{opened.process_id}")
        assert b"secret" not in folder.joinpath("environ").read_bytes()
        assert folder.joinpath("oom_score_adj").read_text() == "1000\n"


def test_each_thread_has_its_own_stopwatch(sandbox: Sandbox) -> None:
    before, mine = sandbox.seconds(), time.thread_time()
    Asking(sandbox, asked("$count($sort([1..200000]))", seconds_max=1.5)).ends()
    assert sandbox.seconds() - before - (time.thread_time() - mine) < 0.001


def test_several_threads_ask_one_after_the_other(sandbox: Sandbox) -> None:
    asking = [Asking(sandbox, asked(f"{n} + 1")) for n in range(20)]
    values = [each.ends().made for each in asking]
    assert [made and made.value for made in values] == [str(n + 1) for n in range(20)]


def test_a_message_is_read_whole_or_not_at_all() -> None:
    message = frames.packed({"a": 1}, "é")
    assert frames.unpacked(message) == ({"a": 1}, "é")
    assert frames.is_whole(message)
    assert not any(frames.is_whole(message[:size]) for size in range(len(message)))


def test_a_cut_message_is_none() -> None:
    message = frames.packed({"a": 1}, "text")
    assert frames.read(io.BytesIO(message)) == ({"a": 1}, "text")
    for size in range(len(message)):
        assert frames.read(io.BytesIO(message[:size])) is None


def test_any_number_of_files_may_be_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1_100):
            stack.enter_context(open(os.devnull, "rb"))
        with closing(Sandbox(python_environment())) as opened:
            assert opened.answer(ASKED).value == "2"


def told_by_the_worker(
    monkeypatch: pytest.MonkeyPatch, bounds: list[int] | None = None
) -> dict[str, object]:
    """What the worker's own code answers to one question, in this process."""
    head = {**dataclasses.asdict(ASKED)}
    bindings = head.pop("bindings")
    given = io.BytesIO(frames.packed(head, bindings))
    out = io.BytesIO()
    kinds = [] if bounds is None else bounds
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, _: kinds.append(kind))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.Path, "write_text", lambda *_: None)
    worker.main(1 << 20)
    told, value = frames.unpacked(out.getvalue()[len(frames.packed({})) :])
    return {**told, "value": value}


def test_the_worker_ends_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[int] = []
    told = told_by_the_worker(monkeypatch, bounds)
    assert bounds == [resource.RLIMIT_CORE, resource.RLIMIT_DATA]
    assert (told["failure"], told["is_defined"], told["value"]) == ("", True, "2")
    assert not told["is_starved"]
