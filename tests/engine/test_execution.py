"""What an execution does with the events that it is told."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.desk import BEGIN, IDENTITY, Desk, Fails, Gives, script
from tests.support.machines import (
    WORK,
    chain,
    endless,
    failing,
    mapping,
    parallel,
    passing,
    retrier,
    task,
    waiting,
)
from treadle.asl.errors import StateError
from treadle.asl.limits import Limits
from treadle.engine.events import (
    StopRequested,
    SuspendChanged,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSucceeded,
)
from treadle.engine.execution import CLOSING_SECONDS
from treadle.engine.frames import Phase

UID = "5f0c2a1e-0000-4000-8000-000000000001"


def test_a_machine_that_needs_nothing_outside_is_over_at_once() -> None:
    desk = Desk(chain(passing(), passing()), {"a": 1})
    assert desk.outcome == ("SUCCEEDED", {"a": 1}, None)
    assert desk.wanted == []
    assert desk.execution.next_due() is None
    assert desk.execution.memory.ended_at == BEGIN


def test_an_input_that_is_not_json_starts_nothing() -> None:
    desk = Desk(chain(passing()))
    with pytest.raises(ValueError, match=r"."):
        type(desk.execution).start(desk.program, "r", IDENTITY, "{", seed=b"", now=BEGIN)


def test_an_attempt_is_wanted_until_it_is_answered() -> None:
    desk = Desk(chain(T=task(Parameters={"n.$": "$.n"})), {"n": 7})
    attempt = desk.only
    assert attempt == TaskId(0, 1, 1)
    command = desk.execution.task(attempt)
    assert command is not None
    assert (command.state, command.resource) == ("T", "treadle:activity/work")
    assert command.parameters == {"n": 7}
    assert command.input == {"n": 7}
    assert (command.due_at, command.deadline_at, command.uid) == (BEGIN, None, "")
    assert desk.execution.resource(attempt) == "treadle:activity/work"
    assert desk.gives(attempt, "done")
    assert desk.outcome == ("SUCCEEDED", "done", None)
    assert desk.execution.task(attempt) is None
    assert desk.execution.resource(attempt) is None


def test_what_was_seen_running_is_kept_and_recorded_once() -> None:
    desk = Desk(chain(task()))
    assert desk.starts(desk.only)
    assert desk.starts(desk.only, UID)
    assert not desk.starts(desk.only, UID)
    command = desk.execution.task(desk.only)
    assert command is not None
    assert command.uid == UID
    assert desk.types().count("TaskStarted") == 1


STRANGERS = (TaskId(0, 1, 2), TaskId(0, 2, 1), TaskId(1, 1, 1), TaskId(99, 99, 99))


@pytest.mark.parametrize("stranger", STRANGERS)
def test_an_unknown_attempt_changes_nothing(stranger: TaskId) -> None:
    desk = Desk(chain(task(), task()))
    assert not desk.starts(stranger, UID)
    assert not desk.gives(stranger)
    assert not desk.fails(stranger)
    assert desk.gives(desk.only)


def test_a_repeated_or_late_event_changes_nothing() -> None:
    desk = Desk(chain(A=task(Retry=[retrier(IntervalSeconds=5)]), B=task()))
    first = desk.only
    assert desk.fails(first)
    for _ in range(2):
        assert not desk.fails(first)
        assert not desk.gives(first)
        assert not desk.starts(first)
    assert not desk.tick(4.999)
    assert desk.tick(0.001)
    second = desk.only
    assert second == first._replace(attempt=2)
    assert not desk.gives(first)
    assert desk.gives(second)
    assert not desk.gives(second)
    assert desk.states_wanted == ["B"]
    assert desk.gives(desk.only, 1)
    for event in (
        TaskSucceeded(second, "1", BEGIN),
        TaskFailed(second, StateError("E"), BEGIN),
        TaskStarted(second, UID),
    ):
        assert not desk.tell(event)
    assert not desk.tick(1_000_000)
    assert not desk.stop()
    assert not desk.suspend()
    assert desk.outcome == ("SUCCEEDED", 1, None)


def test_a_result_that_is_not_json_fails_the_attempt() -> None:
    desk = Desk(chain(T=task()))
    assert desk.tell(TaskSucceeded(desk.only, "{oops", desk.now))
    assert desk.error is not None
    assert desk.error[0] == "Treadle.InvalidResult"
    assert "'T' is not JSON: '{oops'" in str(desk.error[1])


def test_long_errors_are_cut() -> None:
    limits = Limits(error_chars_max=5, cause_chars_max=7)
    desk = Desk(chain(task()), limits=limits)
    desk.fails(desk.only, "abcdefgh", "ABCDEFGHIJ")
    assert desk.error == ("abcde", "ABCDEFG")


def test_an_attempt_may_fail_without_a_name() -> None:
    desk = Desk(chain(task()))
    desk.fails(desk.only, None)
    assert desk.outcome == ("FAILED", None, (None, None))
    assert desk.history()[-1].details == {}


# ------------------------------------------------------------------------------------- timeouts


def test_an_attempt_that_takes_too_long_times_out() -> None:
    desk = Desk(chain(task(Resource=WORK, TimeoutSeconds=30)))
    assert desk.execution.next_due() == BEGIN + timedelta(seconds=30)
    assert not desk.tick(29.999)
    assert desk.tick(0.001)
    assert desk.outcome == ("FAILED", None, ("States.Timeout", None))
    assert "TaskTimedOut" in desk.types()


@pytest.mark.parametrize("seconds", [0, 29.999, 30])
def test_a_result_that_was_in_time_beats_a_deadline_that_has_passed(seconds: float) -> None:
    desk = Desk(chain(task(Resource=WORK, TimeoutSeconds=30)))
    desk.now += timedelta(seconds=3_600)
    assert desk.gives(desk.only, "in time", at=BEGIN + timedelta(seconds=seconds))
    assert desk.outcome == ("SUCCEEDED", "in time", None)


@pytest.mark.parametrize("kind", ["gives", "fails"])
def test_an_attempt_that_ended_late_has_timed_out(kind: str) -> None:
    desk = Desk(chain(task(Resource=WORK, TimeoutSeconds=30)))
    desk.now += timedelta(seconds=31)
    assert getattr(desk, kind)(desk.only)
    assert desk.outcome == ("FAILED", None, ("States.Timeout", None))


def test_each_attempt_has_its_own_time() -> None:
    desk = Desk(
        chain(
            task(
                Resource=WORK,
                TimeoutSeconds=30,
                Retry=[retrier("States.Timeout", IntervalSeconds=100)],
            )
        )
    )
    desk.tick(30)
    assert desk.wanted == []
    desk.tick(100)
    assert desk.execution.next_due() == desk.now + timedelta(seconds=30)
    desk.tick(29)
    assert desk.gives(desk.only, 1)


def test_an_execution_that_takes_too_long_times_out() -> None:
    desk = Desk({**chain(task(), task()), "TimeoutSeconds": 60})
    assert desk.execution.next_due() == BEGIN + timedelta(seconds=60)
    desk.tick(59)
    desk.gives(desk.only)
    assert not desk.tick(0.9)
    assert desk.tick(0.1)
    assert desk.outcome == ("TIMED_OUT", None, ("States.Timeout", None))
    assert desk.types()[-1] == "ExecutionTimedOut"
    assert desk.execution.next_due() is None


def test_what_was_due_before_the_deadline_happens_first() -> None:
    desk = Desk({**chain(waiting(50)), "TimeoutSeconds": 60})
    desk.tick(1_000)
    assert desk.status == "SUCCEEDED"


def test_the_deadline_comes_before_what_is_due_with_it() -> None:
    desk = Desk({**chain(waiting(60)), "TimeoutSeconds": 60})
    desk.tick(60)
    assert desk.status == "TIMED_OUT"


@pytest.mark.parametrize("kind", ["gives", "fails"])
def test_an_attempt_that_ended_after_the_executions_deadline_is_too_late(kind: str) -> None:
    desk = Desk({**chain(task()), "TimeoutSeconds": 60})
    desk.now += timedelta(seconds=61)
    assert getattr(desk, kind)(desk.only)
    assert desk.status == "TIMED_OUT"


def test_an_attempt_that_ended_before_the_executions_deadline_counts() -> None:
    desk = Desk({**chain(task()), "TimeoutSeconds": 60})
    desk.now += timedelta(seconds=61)
    assert desk.gives(desk.only, 1, at=BEGIN + timedelta(seconds=60))
    assert desk.status == "SUCCEEDED"


# ------------------------------------------------------------------------------ stop and suspend


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        (StopRequested(), {}),
        (StopRequested("E"), {"error": "E"}),
        (StopRequested("E", "because"), {"error": "E", "cause": "because"}),
        (StopRequested(by="ada"), {"by": "ada"}),
    ],
)
def test_a_person_stops_it(asked: StopRequested, details: dict[str, str]) -> None:
    desk = Desk(chain(parallel(chain(A=task()), chain(B=waiting()))))
    assert desk.tell(asked)
    assert desk.outcome == ("ABORTED", None, (asked.error, asked.cause))
    assert desk.wanted == []
    last = desk.history()[-1]
    assert (last.type, last.previous, last.details) == ("ExecutionAborted", 0, details)


def test_while_suspended_nothing_new_starts() -> None:
    desk = Desk(chain(A=task(), B=task()), suspended=True)
    assert desk.wanted == []
    assert not desk.execution.busy
    assert desk.execution.suspended
    assert not desk.tick(10)
    assert not desk.suspend()
    assert desk.suspend(False)
    assert desk.states_wanted == ["A"]
    assert desk.suspend()
    assert desk.states_wanted == ["A"]
    assert desk.gives(desk.only)
    assert desk.wanted == []
    assert desk.suspend(False)
    assert desk.states_wanted == ["B"]


def test_who_suspends_and_resumes_it_is_told_once_each() -> None:
    desk = Desk(chain(A=task(), B=task()))
    plain = desk.types()
    assert desk.tell(SuspendChanged(True, "ada"))
    assert not desk.tell(SuspendChanged(True, "bob"))
    desk.restart()
    assert not desk.tell(SuspendChanged(True, "bob"))
    assert desk.tell(SuspendChanged(False, "bob"))
    assert desk.tell(SuspendChanged(True))
    told = [(each.type, each.previous, each.details) for each in desk.history()[len(plain) :]]
    assert told == [
        ("ExecutionSuspended", 0, {"by": "ada"}),
        ("ExecutionResumed", 0, {"by": "bob"}),
        ("ExecutionSuspended", 0, {}),
    ]


def test_one_that_begins_suspended_says_so_first() -> None:
    desk = Desk(chain(A=task()), suspended=True)
    assert desk.types() == ["ExecutionStarted", "ExecutionSuspended", "TaskStateEntered"]
    assert [each.previous for each in desk.history()] == [0, 0, 0]


def test_suspending_and_resuming_fills_no_history_without_bound() -> None:
    desk = Desk(chain(A=waiting(600)), limits=Limits(history_events_max=5))
    for number in range(3):
        desk.suspend(number % 2 == 0)
    assert desk.status == "FAILED"
    assert [each.id for each in desk.history()] == [1, 2, 3, 4, 5]


def test_while_suspended_time_passes() -> None:
    desk = Desk(
        chain(
            parallel(
                chain(A=waiting(5), A2=task()),
                chain(B=task(Retry=[retrier(IntervalSeconds=3)])),
                chain(C=task(Resource=WORK, TimeoutSeconds=20)),
            )
        )
    )
    desk.fails(desk.wanted[0])
    desk.suspend()
    desk.tick(10)
    assert desk.states_wanted == ["C"]
    desk.suspend(False)
    assert sorted(desk.states_wanted) == ["A2", "B", "C"]
    desk.suspend()
    desk.tick(10)
    assert desk.error == ("States.Timeout", None)


# -------------------------------------------------------------------------- bounds of a turn


def test_a_turn_ends_after_its_transitions() -> None:
    desk = Desk(chain(*[passing()] * 25), limits=Limits(turn_transitions_max=10))
    turns = [desk.execution.transitions]
    while desk.execution.busy:
        desk.tick()
        turns.append(desk.execution.transitions)
    assert turns == [11, 21, 25]
    assert desk.status == "SUCCEEDED"


def test_a_turn_starts_no_more_children_than_its_transitions() -> None:
    desk = Desk(
        chain(mapping(chain(T=task()))), list(range(25)), limits=Limits(turn_transitions_max=10)
    )
    turns = [desk.execution.transitions]
    while desk.execution.busy:
        desk.tick()
        turns.append(desk.execution.transitions)
    assert turns == [11, 21, 26]
    assert len(desk.wanted) == 25


def test_an_endless_loop_ends_with_the_most_events_and_never_holds_the_loop() -> None:
    desk = Desk(endless(passing()), thorough=False)
    turns, before = 1, desk.execution.transitions
    while not desk.over:
        desk.tick()
        turns += 1
        assert desk.execution.transitions - before <= 501
        before = desk.execution.transitions
        desk.save()
    assert turns >= 25
    assert desk.status == "FAILED"
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"
    history = desk.history()
    assert len(history) == 25_000
    assert history[-1].type == "ExecutionFailed"


def test_a_retry_without_end_is_bounded_too() -> None:
    desk = Desk(
        chain(task(Retry=[retrier(IntervalSeconds=1, BackoffRate=1, MaxAttempts=99_999_999)])),
        answer=script(S1=Fails("E")),
        limits=Limits(history_events_max=300),
        thorough=False,
    ).run()
    assert desk.error is not None
    assert desk.error[0] == "States.Runtime"


def test_the_bytes_of_all_pages_are_bounded() -> None:
    limits = Limits(execution_pages_bytes_max=20_000)
    desk = Desk(endless(task()), answer=lambda t: Gives(f"{t.id.entry:<6000}"), limits=limits)
    while desk.step():
        desk.save()
    assert desk.error is not None
    assert desk.error[0] == "Treadle.LimitExceeded"
    assert "executionPagesBytesMax" in str(desk.error[1])


# ------------------------------------------------------------------------------------- closing


def _closing(desk: Desk) -> list[tuple[TaskId, str]]:
    return [(task_id, c.state) for task_id, c in desk.execution.closing().items()]


def test_the_name_of_an_attempt_that_ended_unseen_stays_taken_for_a_while() -> None:
    desk = Desk(chain(T=task(Resource=WORK, TimeoutSeconds=1, Retry=[retrier(IntervalSeconds=1)])))
    attempt = desk.only
    desk.tick(1)
    assert _closing(desk) == [(attempt, "T")]
    closing = desk.execution.closing()[attempt]
    assert (closing.resource, closing.ended_at) == (WORK, desk.now)
    desk.restart()
    assert _closing(desk) == [(attempt, "T")]
    desk.tick(CLOSING_SECONDS - 0.001)
    assert attempt in desk.execution.closing()
    desk.tick(0.001)
    assert attempt not in desk.execution.closing()


@pytest.mark.parametrize("kind", ["gives", "fails"])
def test_an_attempt_whose_outcome_is_known_needs_no_closing(kind: str) -> None:
    desk = Desk(chain(T=task(InputPath="$.a", ResultPath=None, OutputPath=None)), {"a": 1})
    getattr(desk, kind)(desk.only)
    assert desk.over
    assert _closing(desk) == []


def test_an_attempt_that_was_seen_needs_no_closing() -> None:
    desk = Desk(chain(T=task(Resource=WORK, TimeoutSeconds=1, Retry=[retrier()])))
    desk.starts(desk.only, UID)
    desk.tick(1)
    assert _closing(desk) == []


def test_a_closing_ends_when_the_attempt_is_seen_after_all() -> None:
    desk = Desk(chain(T=task(Resource=WORK, TimeoutSeconds=1, Retry=[retrier()])))
    attempt = desk.only
    desk.tick(1)
    assert desk.starts(attempt, UID)
    assert _closing(desk) == []
    assert not desk.starts(attempt, UID)


def test_a_closing_ends_so_after_the_execution_too() -> None:
    desk = Desk(chain(T=task()))
    attempt = desk.only
    desk.stop()
    assert _closing(desk) == [(attempt, "T")]
    assert desk.starts(attempt, UID)
    assert not desk.starts(attempt, UID)
    assert _closing(desk) == []


def test_the_digest_of_an_attempt_says_what_its_work_is() -> None:
    definition = chain(T=task(Retry=[retrier(IntervalSeconds=1)]))
    desk = Desk(definition, {"n": 1})
    first = desk.execution.task(desk.only)
    desk.fails(desk.only)
    desk.tick(1)
    again = desk.execution.task(desk.only)
    other = Desk(definition, {"n": 2})
    changed = other.execution.task(other.only)
    assert first is not None
    assert again is not None
    assert changed is not None
    assert first.digest == again.digest
    assert changed.digest != first.digest


# ------------------------------------------------------------------------------------- people


def test_places_say_where_it_is() -> None:
    inner = chain(In=task())
    desk = Desk(
        chain(
            P=parallel(
                chain(M=mapping(inner, MaxConcurrency=1)),
                chain(W=waiting()),
                chain(R=task(Retry=[retrier(IntervalSeconds=60)])),
            )
        ),
        [5, 6],
    )
    desk.fails(next(t for t in desk.wanted if t.frame == 3))
    places = [(p.path, p.waits_for, p.attempt) for p in desk.execution.places(10)]
    assert places == [
        ("P[1]/W", "time", 1),
        ("P[2]/R", "retry", 1),
        ("P[0]/M[0]/In", "worker", 1),
    ]
    times = [place.until for place in desk.execution.places(10)]
    assert times == [BEGIN + timedelta(seconds=10), BEGIN + timedelta(seconds=60), None]
    assert [p.name for p in desk.execution.places(2)] == ["W", "R"]
    (running,) = (desk.execution.task(t) for t in desk.wanted)
    assert running is not None
    assert running.path == "P[0]/M[0]/In"
    assert desk.execution.places(1)[0].entered_at == BEGIN


def test_a_place_without_children_waits_for_a_turn_or_for_them() -> None:
    desk = Desk(chain(A=task()), suspended=True)
    assert [(p.name, p.waits_for) for p in desk.execution.places(9)] == [("A", "turn")]
    desk = Desk(
        chain(passing(), M=mapping(chain(T=task()))), [1], limits=Limits(turn_transitions_max=1)
    )
    assert [(p.name, p.waits_for) for p in desk.execution.places(9)] == [("M", "turn")]
    desk.suspend()
    assert desk.execution.memory.frames[0].phase is Phase.READY


def test_attempts_tell_what_the_newest_of_each_frame_is() -> None:
    desk = Desk(chain(parallel(chain(A=task()), chain(B=waiting()))))
    assert dict(desk.execution.attempts()) == {
        TaskId(0, 1, 1): False,
        TaskId(1, 2, 1): True,
        TaskId(2, 3, 1): False,
    }


def test_progress_counts_items() -> None:
    desk = Desk(chain(mapping(chain(T=task()), Catch=[]), passing()), [1, 2, 3])
    for count, attempt in enumerate(desk.wanted):
        progress = desk.execution.progress
        assert (progress.done, progress.total, progress.failed) == (count, 3, 0)
        desk.gives(attempt)
    assert desk.execution.progress.done == 3


@pytest.mark.parametrize("state", [task(), waiting(), failing(), passing()])
def test_the_same_seed_and_events_give_the_same_execution(state: dict[str, Any]) -> None:
    one, two = Desk(chain(state)).run(), Desk(chain(state)).run()
    assert one.save().checkpoint == two.save().checkpoint
