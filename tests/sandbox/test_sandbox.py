"""The process that evaluates: it answers as this one would, and harms nobody."""

import contextlib
import dataclasses
import io
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.programs import python_environment
from treadle.asl.evaluator import Asked, answer
from treadle.sandbox import frames, worker
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


def test_closing_ends_the_process() -> None:
    with closing(Sandbox(python_environment())) as opened:
        assert opened.process_id is None
        opened.open()
        process = opened.process_id
        assert process is not None
    assert opened.process_id is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_where_no_process_can_begin_it_answers_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(Sandbox({"PYTHONHOME": "/nowhere"})) as broken:
        with pytest.raises(OSError, match="does not begin"):
            broken.open()
        assert broken.answer(ASKED).value == "2"
    assert "without its sandbox" in caplog.text


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


def test_any_number_of_files_may_be_open(sandbox: Sandbox) -> None:
    sandbox.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1_100):
            stack.enter_context(open(os.devnull, "rb"))
        assert sandbox.answer(ASKED).value == "2"
    sandbox.close()


def test_the_worker_ends_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[int, tuple[int, int]]] = []
    head = {**dataclasses.asdict(ASKED)}
    bindings = head.pop("bindings")
    given = io.BytesIO(frames.packed(head, bindings))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, most: bounds.append((kind, most)))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.Path, "write_text", lambda *_: None)
    worker.main(1 << 20)
    assert [kind for kind, _ in bounds] == [resource.RLIMIT_CORE, resource.RLIMIT_DATA]
    begun = frames.packed({})
    head, value = frames.unpacked(out.getvalue()[len(begun) :])
    assert (head["failure"], head["is_defined"], value) == ("", True, "2")
