"""Tasks that end when the holder of their token says so."""

from datetime import timedelta

import pytest

from tests.support.desk import Desk, Silent, script
from tests.support.machines import catcher, chain, passing, task
from treadle.asl.errors import EvaluationFailed, StateError
from treadle.asl.json import Json, dumps
from treadle.engine.events import (
    TaskFailed,
    TaskHeartbeat,
    TaskId,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)
from treadle.engine.visits import TOKEN

WAITS = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
AGAIN = [{"ErrorEquals": ["Boom"]}]
NESTED = "arn:aws:states:::ecs:runTask.sync"
PATHS = {"Parameters": {"token.$": "$$.Task.Token", "n.$": "$.n"}}
QUERY = {"QueryLanguage": "JSONata", "Arguments": {"token": "{% $states.context.Task.Token %}"}}


def a_desk(resource: str = WAITS, **members: object) -> Desk:
    state = task(Resource=resource, **(members or PATHS))
    return Desk(chain(state, passing()), {"n": 1}, answer=script(S1=Silent()))


def secret(task_id: TaskId) -> str:
    return f"secret-{task_id.frame}-{task_id.entry}-{task_id.attempt}"


def given_outside(desk: Desk) -> Json:
    work = desk.execution.task(desk.only, secret)
    assert work is not None
    return work.parameters


def answer(desk: Desk, of: TaskId, value: Json = None) -> bool:
    return desk.tell(TaskSucceeded(of, dumps(value), desk.now, by_token=True))


def submit(desk: Desk, value: Json = None) -> TaskId:
    of = desk.only
    desk.gives(of, value)
    return of


@pytest.mark.parametrize("members", [PATHS, QUERY], ids=["paths", "query"])
@pytest.mark.parametrize("resource", [WAITS, NESTED])
def test_what_runs_outside_is_given_the_token_and_nothing_keeps_it(
    resource: str, members: dict[str, object]
) -> None:
    desk = a_desk(resource, **members)
    assert given_outside(desk)["token"] == "secret-0-1-1"
    desk.restart()
    assert given_outside(desk)["token"] == "secret-0-1-1"
    kept = repr([entry.details for entry in desk.history()]) + repr(desk.pages)
    assert "secret" not in kept
    assert TOKEN in kept
    plain = desk.execution.task(desk.only)
    assert plain is not None
    assert plain.parameters["token"] == TOKEN


def test_each_attempt_has_its_own_token() -> None:
    desk = a_desk(**PATHS, Retry=AGAIN)
    desk.fails(desk.only)
    desk.tick(1)
    assert given_outside(desk)["token"] == "secret-0-1-2"


def test_a_task_without_one_has_no_token() -> None:
    desk = a_desk(WAITS.removesuffix(".waitForTaskToken"))
    assert desk.status == "FAILED"
    assert "$$.Task.Token" in str(desk.error)


def test_what_the_call_itself_gives_is_a_submission_and_the_holder_gives_the_result() -> None:
    desk = a_desk()
    waiting = submit(desk, {"queued": True})
    desk.restart()
    assert desk.wanted == [], "nothing of it runs outside"
    assert [place.waits_for for place in desk.execution.places(9)] == ["callback"]
    assert answer(desk, waiting, {"approved": "yes"})
    desk.run()
    assert desk.output == {"approved": "yes"}
    inner = [entry for entry in desk.history() if entry.type.startswith("Task")][1:5]
    types = [entry.type for entry in inner]
    assert types == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
    assert [entry.previous for entry in inner[1:]] == [entry.id for entry in inner[:3]]


def test_what_the_call_tells_after_its_submission_changes_nothing() -> None:
    desk = a_desk()
    waiting = submit(desk)
    assert not desk.gives(waiting, "again")
    assert not desk.fails(waiting)
    assert desk.status == "RUNNING"


def test_the_holder_may_be_quicker_than_the_call() -> None:
    desk = a_desk()
    waiting = desk.only
    assert answer(desk, waiting, 1)
    desk.run()
    assert desk.output == 1
    assert not desk.gives(waiting, {"late": True})
    assert "TaskSubmitted" not in desk.types()


def test_the_holder_may_say_that_it_failed() -> None:
    desk = a_desk(**PATHS, Catch=[catcher("S2", "No")])
    waiting = submit(desk)
    desk.tell(TaskFailed(waiting, StateError("No", "because"), desk.now, by_token=True))
    desk.run()
    assert desk.output == {"Error": "No", "Cause": "because"}


def test_a_call_that_fails_is_no_submission() -> None:
    desk = a_desk()
    desk.fails(desk.only, "Kubernetes.ImagePull")
    assert desk.error == ("Kubernetes.ImagePull", None)


def test_a_second_answer_and_one_for_an_earlier_attempt_change_nothing() -> None:
    desk = a_desk(**PATHS, Retry=AGAIN)
    first = submit(desk)
    desk.tell(TaskFailed(first, StateError("Boom"), desk.now, by_token=True))
    desk.tick(1)
    assert not answer(desk, first, "dead")
    assert not desk.execution.takes(first, desk.now)
    second = submit(desk)
    assert desk.execution.takes(second, desk.now)
    assert answer(desk, second, "first")
    assert not answer(desk, second, "second")
    desk.run()
    assert desk.output == "first"


def test_an_answer_after_the_deadline_is_none() -> None:
    desk = a_desk(**PATHS, TimeoutSeconds=60)
    waiting = submit(desk)
    desk.now += timedelta(seconds=61)
    assert not desk.execution.takes(waiting, desk.now)
    answer(desk, waiting, "late")
    assert desk.outcome == ("FAILED", None, ("States.Timeout", None))


def test_heartbeats_hold_the_wait_for_an_answer() -> None:
    desk = a_desk(**PATHS, HeartbeatSeconds=10)
    waiting = submit(desk)
    for _ in range(3):
        desk.tick(9)
        assert desk.tell(TaskHeartbeat(waiting, desk.now))
        desk.restart()
    desk.tick(11)
    assert desk.error == ("States.Timeout", None)


def test_a_job_that_goes_on_says_once_that_it_was_taken() -> None:
    desk = a_desk(NESTED)
    waiting = desk.only
    submitted = TaskSubmitted(waiting, '{"executionName": "x"}', desk.now)
    assert desk.tell(submitted)
    desk.restart()
    assert not desk.tell(submitted)
    assert desk.only == waiting, "a child runs on outside"
    assert desk.gives(waiting, 7)
    desk.run()
    assert desk.output == 7
    assert desk.types().count("TaskSubmitted") == 1


def test_a_job_that_goes_on_may_be_ended_by_its_token_too() -> None:
    desk = a_desk(NESTED)
    assert answer(desk, desk.only, 8)
    desk.run()
    assert desk.output == 8


def test_what_the_call_gives_is_bound_as_any_result() -> None:
    desk = a_desk()
    submit(desk, "x" * desk.limits.payload_bytes_max)
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"


def test_a_stopped_execution_takes_no_answer() -> None:
    desk = a_desk()
    waiting = submit(desk)
    desk.stop()
    assert not desk.execution.takes(waiting, desk.now)
    assert not answer(desk, waiting)


def test_expressions_that_refuse_the_token_say_so_where_it_is_handed_out() -> None:
    text = f"{{% $states.context.Task.Token = '{TOKEN}' ? 1 : $error('no') %}}"
    desk = a_desk(QueryLanguage="JSONata", Arguments=text)
    with pytest.raises(EvaluationFailed, match="no"):
        given_outside(desk)


def test_the_worker_of_an_activity_is_named() -> None:
    desk = a_desk("arn:aws:states:us-east-1:111111111111:activity:a", Comment="none")
    desk.tell(TaskStarted(desk.only, "", "worker 7"))
    started = next(entry for entry in desk.history() if entry.type == "ActivityStarted")
    assert started.details == {"workerName": "worker 7"}
