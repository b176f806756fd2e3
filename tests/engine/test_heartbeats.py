"""HeartbeatSeconds: who does the work says that it is alive, or is given up."""

import pytest

from tests.support.desk import Desk, Silent, script
from tests.support.machines import catcher, chain, passing, task
from treadle.engine.events import TaskHeartbeat

TOKEN = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"


def a_desk(**members: object) -> Desk:
    state = task(Resource=TOKEN, HeartbeatSeconds=10, **members)
    desk = Desk(chain(state, passing()), answer=script(S1=Silent()))
    desk.starts(desk.only)
    return desk


def test_silence_times_the_attempt_out() -> None:
    desk = a_desk()
    assert not desk.tick(9)
    assert desk.tick(1)
    assert desk.outcome == ("FAILED", None, ("States.Timeout", None))
    assert "TaskTimedOut" in desk.types()


def test_a_heartbeat_gives_it_more_time() -> None:
    desk = a_desk()
    desk.tick(9)
    assert desk.tell(TaskHeartbeat(desk.only, desk.now))
    desk.restart()
    assert not desk.tick(9)
    assert desk.status == "RUNNING"
    assert desk.tick(1)
    assert desk.status == "FAILED"


def test_heartbeats_do_not_move_the_timeout() -> None:
    desk = a_desk(TimeoutSeconds=15, Catch=[catcher("S2", "States.HeartbeatTimeout")])
    desk.tick(9)
    desk.tell(TaskHeartbeat(desk.only, desk.now))
    desk.restart()
    desk.tick(6)
    assert desk.status == "FAILED", "a timeout is no missed heartbeat"


@pytest.mark.parametrize("name", ["States.HeartbeatTimeout", "States.Timeout", "States.ALL"])
def test_a_missed_heartbeat_is_caught_under_both_names(name: str) -> None:
    desk = a_desk(Catch=[catcher("S2", name)])
    desk.tick(10)
    desk.run()
    assert desk.output == {"Error": "States.Timeout", "Cause": ""}


def test_a_heartbeat_that_comes_late_or_to_none_changes_nothing() -> None:
    desk = a_desk()
    first = desk.only
    desk.now = desk.now.replace(second=20)
    assert not desk.tell(TaskHeartbeat(first, desk.now))
    desk.tick()
    assert not desk.tell(TaskHeartbeat(first, desk.now))


def test_work_that_cannot_say_that_it_is_alive_is_not_given_up() -> None:
    desk = Desk(chain(task(Resource="treadle:job", HeartbeatSeconds=1, Parameters={"image": "a"})))
    assert desk.execution.next_due() is None
