"""What a run says of attempts follows from the last save."""

from datetime import UTC, datetime

from tests.runtime.stage import ONE_TASK
from treadle.asl import document
from treadle.engine.context import Identity
from treadle.engine.events import TaskId, Tick
from treadle.engine.execution import Execution
from treadle.runtime.ports import ExecutionKey, Loaded, Standing
from treadle.runtime.run import Run, Saved

KEY = ExecutionKey("default", "e", "u")
LOADED = Loaded(KEY, "1", None, None, {}, None, None, "Running")
SAVED = Saved(3, {0: (TaskId(0, 3, 2), True), 1: (TaskId(1, 2, 1), False)})


def test_the_newest_attempt_of_a_frame_lives() -> None:
    assert SAVED.standing(TaskId(0, 3, 2)) is Standing.LIVE


def test_an_earlier_attempt_is_over() -> None:
    assert SAVED.standing(TaskId(0, 3, 1)) is Standing.OVER


def test_an_earlier_entry_is_over() -> None:
    assert SAVED.standing(TaskId(0, 1, 9)) is Standing.OVER


def test_an_attempt_of_a_frame_that_is_gone_is_over() -> None:
    assert SAVED.standing(TaskId(7, 2, 1)) is Standing.OVER


def test_an_attempt_that_does_not_run_any_more_is_over() -> None:
    assert SAVED.standing(TaskId(1, 2, 1)) is Standing.OVER


def test_a_later_entry_belongs_to_someone_who_knows_more() -> None:
    assert SAVED.standing(TaskId(0, 4, 1)) is Standing.NEWER


def test_a_later_attempt_belongs_to_someone_who_knows_more() -> None:
    assert SAVED.standing(TaskId(0, 3, 3)) is Standing.NEWER


def test_a_save_says_what_the_execution_wants() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    identity = Identity("arn:aws:states:r:1:execution:m:e", "e", "", "m")
    program = document.parse(ONE_TASK)
    execution = Execution.start(program, "d", identity, "{}", seed=b"s" * 16, now=now)
    assert Saved.of(execution) == Saved(1, {0: (TaskId(0, 1, 1), True)})


def test_what_a_save_has_not_begun_may_run_for_someone_who_knows_more() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    identity = Identity("arn:aws:states:r:1:execution:m:e", "e", "", "m")
    program = document.parse(ONE_TASK)
    execution = Execution.start(
        program, "d", identity, "{}", seed=b"s" * 16, now=now, suspended=True
    )
    assert Saved.of(execution).standing(TaskId(0, 1, 1)) is Standing.NEWER


def test_nothing_is_known_before_the_first_load() -> None:
    assert Run(KEY).standing(TaskId(0, 1, 1)) is Standing.UNKNOWN


def test_nothing_is_known_while_the_snapshot_is_not_read() -> None:
    assert Run(KEY, loaded=LOADED).standing(TaskId(0, 1, 1)) is Standing.UNKNOWN


def test_of_one_that_ended_unstarted_the_save_speaks() -> None:
    run = Run(KEY, loaded=LOADED, over=True, saved=SAVED)
    assert run.standing(TaskId(0, 3, 1)) is Standing.OVER


def test_of_one_that_is_gone_every_attempt_is_gone() -> None:
    assert Run(KEY, gone=True, saved=SAVED).standing(TaskId(0, 3, 2)) is Standing.GONE


def test_work_is_an_event_a_timer_a_change_or_a_question() -> None:
    assert not Run(KEY).has_work
    assert Run(KEY, tick=True).has_work
    assert Run(KEY, dirty=True).has_work
    assert Run(KEY, look=True).has_work
    run = Run(KEY)
    run.inbox.append(Tick())
    assert run.has_work


def test_forgotten_memory_leaves_its_events_in_front() -> None:
    run = Run(KEY, loaded=LOADED, tried={"x"}, lazy_at=1.0)
    first, second = Tick(), Tick()
    run.handled.append(first)
    run.inbox.append(second)
    run.forget_memory()
    assert [event is first for event in run.inbox] == [True, False]
    assert (run.loaded, run.execution, run.lazy_at, run.tried) == (None, None, None, set())
    assert run.handled == []
