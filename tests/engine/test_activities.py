"""Attempts that wait for a worker: whose they are, and how long it may be silent."""

import pytest

from tests.support.desk import Desk, Silent, script
from tests.support.machines import catcher, chain, passing, task
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import TaskFailed, TaskHeartbeat, TaskStarted, TaskSucceeded

AWS = "arn:aws:states:us-east-1:111111111111:activity:a"
OURS = "treadle:activity/a"
ONE, OTHER = (f"5f0c2a1e-0000-4000-8000-00000000000{digit}" for digit in "12")

both = pytest.mark.parametrize("resource", [AWS, OURS])


def a_desk(resource: str, **members: object) -> Desk:
    state = task(Resource=resource, **members)
    return Desk(chain(state, passing()), {"n": 1}, answer=script(S1=Silent()))


def taken(desk: Desk, uid: str = ONE, worker: str = "worker 7") -> bool:
    return desk.tell(TaskStarted(desk.only, uid, worker))


@both
def test_an_attempt_is_the_first_workers_for_good(resource: str) -> None:
    desk = a_desk(resource)
    one, other = (TaskStarted(desk.only, uid, "w") for uid in (ONE, OTHER))
    assert desk.execution.begins(one)
    assert desk.execution.begins(other)
    assert desk.tell(one)
    desk.restart()
    assert desk.execution.begins(one), "who has it may be told again"
    assert not desk.execution.begins(other)
    assert not desk.tell(one)
    assert not desk.tell(other)
    assert [type_ for type_ in desk.types() if type_.endswith("Started")][1:] == [
        "ActivityStarted" if resource == AWS else "TaskStarted"
    ]
    work = desk.execution.task(desk.only)
    assert work is not None
    assert work.uid == ONE


@both
def test_nobody_takes_what_is_over(resource: str) -> None:
    desk = a_desk(resource)
    late = TaskStarted(desk.only, ONE, "w")
    desk.tell(TaskSucceeded(desk.only, dumps(1), desk.now, by_token=True))
    assert not desk.execution.begins(late)
    desk.stop()
    assert not desk.execution.begins(late)


def test_the_worker_is_named_also_where_the_name_is_ours() -> None:
    desk = a_desk(OURS)
    taken(desk)
    started = next(entry for entry in desk.history() if entry.type == "TaskStarted")
    assert started.details["workerName"] == "worker 7"


@both
def test_silence_counts_from_when_a_worker_has_it(resource: str) -> None:
    desk = a_desk(resource, HeartbeatSeconds=10, Catch=[catcher("S2", "States.HeartbeatTimeout")])
    assert not desk.tick(1_000)
    taken(desk)
    desk.restart()
    assert not desk.tick(9)
    assert desk.tell(TaskHeartbeat(desk.only, desk.now))
    assert not desk.tick(9)
    assert desk.tick(1)
    desk.run()
    assert desk.output == {"Error": "States.Timeout", "Cause": ""}


@both
@pytest.mark.parametrize("beats", [{}, {"HeartbeatSeconds": 10}])
def test_the_timeout_counts_from_when_a_worker_has_it(resource: str, beats: dict[str, int]) -> None:
    desk = a_desk(resource, TimeoutSeconds=15, **beats)
    assert not desk.tick(1_000)
    desk.restart()
    assert not desk.tick(1_000)
    taken(desk)
    desk.restart()
    assert not desk.tick(9)
    desk.tell(TaskHeartbeat(desk.only, desk.now))
    assert not desk.tick(5)
    assert desk.tick(1)
    assert desk.status == "FAILED"


@pytest.mark.parametrize(
    ("resource", "event"),
    [
        (AWS, "ActivityScheduleFailed"),
        (OURS, "TaskStartFailed"),
        ("arn:aws:lambda:us-east-1:1:function:f", "LambdaFunctionScheduleFailed"),
    ],
)
def test_what_never_began_has_not_started(resource: str, event: str) -> None:
    desk = a_desk(resource, Catch=[catcher("S2")])
    error = StateError("ActivityDoesNotExist", "there is none")
    desk.tell(TaskFailed(desk.only, error, desk.now, never_began=True))
    desk.run()
    assert desk.output == {"Error": "ActivityDoesNotExist", "Cause": "there is none"}
    assert desk.types()[2:4] == [desk.types()[2], event]
    failed = next(entry for entry in desk.history() if entry.type == event)
    assert failed.details["error"] == "ActivityDoesNotExist"


def test_what_waits_for_a_worker_says_so() -> None:
    desk = a_desk(OURS)
    (place,) = desk.execution.places(1)
    assert place.waits_for == "worker"
    taken(desk)
    (place,) = desk.execution.places(1)
    assert place.waits_for == "task"
