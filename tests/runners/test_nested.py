"""Child executions are started once, adopted, watched, and stopped when nobody waits for them."""

import asyncio
import json
from typing import Any

import pytest

from tests.runners.a_nested_world import ARN, AWS, TASK, World, counting, in_a_world
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSubmitted, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import (
    Attempt,
    Ending,
    NotLeading,
    Refused,
    Standing,
    Unavailable,
)

QUOTA = Refused(403, "Forbidden", "exceeded quota: q, requested: count/executions=1")


def failure(world: World) -> TaskFailed:
    (event,) = world.outcomes
    assert isinstance(event, TaskFailed)
    return event


def cause(world: World) -> Any:
    assert failure(world).error.name == "States.TaskFailed"
    return json.loads(failure(world).error.cause or "")


# ------------------------------------------------------------------------------------ starting


def test_a_child_is_made_awaited_and_its_output_told() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start()
        # A first create needs no read.
        assert requests == ["create Execution"]
        uid = world.child()["metadata"]["uid"]
        started, submitted = world.told.events
        assert started == TaskStarted(TASK, uid)
        assert isinstance(submitted, TaskSubmitted)
        await world.runs()
        assert list(world.runner.existing(world.key)) == [TASK]
        await world.ends(output="[9]")
        (event,) = world.outcomes
        assert isinstance(event, TaskSucceeded)
        assert json.loads(event.output)["output"] == [9]
        assert event.at.isoformat() == "2026-01-01T00:00:09+00:00"
        assert list(world.runner.existing(world.key)) == []
        assert world.tally.counted == ["started", "succeeded"]
        await world.runner.ended(world.attempt)
        assert world.runner.current()

    in_a_world(test)


def test_a_child_that_is_merely_started_is_the_result() -> None:
    async def test(world: World) -> None:
        await world.start("treadle:execution")
        started, event = world.told.events
        assert isinstance(started, TaskStarted)
        assert isinstance(event, TaskSucceeded)
        name = world.child()["metadata"]["name"]
        assert json.loads(event.output)["executionName"] == name
        assert list(world.runner.existing(world.key)) == []
        await world.runner.ended(world.attempt)
        await world.ends("Failed")
        assert len(world.told.events) == 2

    in_a_world(test)


def test_starting_again_makes_nothing_and_tells_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        with counting(world) as requests:
            await world.start()
        assert requests == ["get Execution"]
        assert [type(event) for event in world.told.events] == [TaskStarted, TaskSubmitted] * 2
        assert world.tally.counted == ["started"]

    in_a_world(test)


def test_a_child_of_an_earlier_life_is_adopted_though_it_has_ended() -> None:
    async def test(world: World) -> None:
        await world.start()
        uid = world.child()["metadata"]["uid"]
        world.die()
        await world.ends("Failed", error="E", cause="because")
        world.told.events.clear()
        await world.live()
        await world.start(restored=True, uid=uid)
        assert cause(world)["error"] == "E"
        assert len(world.children()) == 1

    in_a_world(test)


def test_a_create_whose_answer_was_lost_is_adopted() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.events.clear()
        await world.live()
        await world.start()  # the 409 tells it
        assert [type(event) for event in world.told.events] == [TaskStarted, TaskSubmitted]
        await world.live()
        await world.start(restored=True)
        assert len(world.children()) == 1

    in_a_world(test)


def test_what_was_decided_and_never_made_is_made() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start(restored=True)
        assert requests == ["get Execution", "create Execution"]
        assert len(world.children()) == 1

    in_a_world(test)


def test_a_foreign_execution_of_that_name_is_left_alone() -> None:
    async def test(world: World) -> None:
        await world.start(digest="another")
        world.told.events.clear()
        await world.live()
        await world.start()
        assert failure(world).error.name == "Kubernetes.NameConflict"

    in_a_world(test)


def test_parameters_that_cannot_be_used_fail_the_task() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={})
        assert failure(world).error.name == "Treadle.InvalidParameters"
        assert world.children() == []

    in_a_world(test)


def test_too_many_above_one_another() -> None:
    async def test(world: World) -> None:
        await world.live(depth_max=3)
        await world.start(depth=3)
        error = failure(world).error
        assert error.name == "Treadle.LimitExceeded"
        assert "childDepthMax allows 3 executions" in (error.cause or "")
        await world.start(task=TaskId(1, 2, 1), depth=2)
        assert len(world.children()) == 1

    in_a_world(test)


def test_the_machine_of_an_arn_must_be_there() -> None:
    async def test(world: World) -> None:
        await world.kubectl.delete(STATE_MACHINES, "default", "square")
        await world.start(f"{AWS}.sync")
        assert failure(world).error.name == "StepFunctions.StateMachineDoesNotExistException"
        assert world.children() == []
        await world.start(task=TaskId(1, 2, 1))  # by its name it waits as any Execution
        assert len(world.children()) == 1

    in_a_world(test)


@pytest.mark.parametrize("qualifier", ["3", "live"])
def test_so_must_its_version_or_alias(qualifier: str) -> None:
    async def test(world: World) -> None:
        parameters = {"StateMachineArn": f"{ARN}:{qualifier}"}
        await world.start(f"{AWS}.sync", parameters=parameters)
        error = failure(world).error
        assert error.name == "StepFunctions.StateMachineDoesNotExistException"
        assert error.cause == f"State Machine Does Not Exist: '{ARN}:{qualifier}'"
        await world.publish("square", 3, alias="live")
        await world.start(f"{AWS}.sync", task=TaskId(1, 2, 1), parameters=parameters)
        (child,) = world.children()
        member = "version" if qualifier == "3" else "alias"
        asked: Any = 3 if qualifier == "3" else "live"
        assert child["spec"]["stateMachineRef"] == {"name": "square", member: asked}
        await world.ends(output="[9]", **{"version": 3, member: asked})
        told = json.loads(world.outcomes[-1].output)  # type: ignore[union-attr]
        assert told["StateMachineArn"] == ARN
        assert told["StateMachineVersionArn"] == f"{ARN}:3"
        assert told.get("StateMachineAliasArn") == (None if asked == 3 else f"{ARN}:live")

    in_a_world(test)


def test_the_machine_of_an_arn_is_there() -> None:
    async def test(world: World) -> None:
        await world.start(f"{AWS}.sync:2")
        await world.ends(output="[9]")
        (event,) = world.outcomes
        assert isinstance(event, TaskSucceeded)
        assert json.loads(event.output)["Output"] == [9]

    in_a_world(test)


@pytest.mark.parametrize(
    "refusal",
    [Refused(403, "Forbidden", "a policy says no"), Refused(422, "Invalid", "too long")],
)
def test_a_refusal_is_the_tasks_error(refusal: Refused) -> None:
    async def test(world: World) -> None:
        world.refusing(refusal)
        await world.start()
        error = failure(world).error
        assert (error.name, error.cause) == ("Kubernetes.Forbidden", refusal.message)

    in_a_world(test)


def test_a_full_quota_is_waited_for() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        await world.start()
        assert world.told.reasons == [
            "A quota is full: exceeded quota: q, requested: count/executions=1"
        ]
        await asyncio.sleep(12)
        assert world.outcomes == []
        world.refusing(None)
        await asyncio.sleep(6)
        assert world.told.reasons[-1] is None
        assert len(world.children()) == 1

    in_a_world(test)


def test_our_own_credentials_are_no_tasks_fault() -> None:
    async def test(world: World) -> None:
        world.refusing(Refused(401, "Unauthorized", "who are you"))
        with pytest.raises(Unavailable):
            await world.start()
        with pytest.raises(Unavailable):
            await world.start(task=TaskId(1, 2, 1), expired=True)
        assert world.outcomes == []

    in_a_world(test)


def test_nothing_is_made_without_a_fresh_lease() -> None:
    async def test(world: World) -> None:
        world.lease.is_fresh = False
        with pytest.raises(NotLeading):
            await world.start()
        world.lease.is_fresh = True
        await world.start()
        world.told.standing = Standing.OVER
        world.lease.is_fresh = False
        with pytest.raises(NotLeading):
            await world.runner.stop(world.attempt)
        assert "stop" not in world.child()["spec"]

    in_a_world(test)


# --------------------------------------------------------------------------------------- names

NAMED = {"stateMachine": "square", "name": "nightly", "input": {"n": 3}}


def test_the_same_name_and_input_is_the_same_child() -> None:
    async def test(world: World) -> None:
        await world.start(parameters=NAMED)
        await world.start(parameters=NAMED, task=TaskId(1, 2, 1))
        assert len(world.children()) == 1
        await world.ends(output="[9]")
        assert {event.task for event in world.outcomes if isinstance(event, TaskSucceeded)} == {
            TASK,
            TaskId(1, 2, 1),
        }
        await world.start(parameters=NAMED, task=TaskId(1, 3, 1))  # and after its end
        assert len(world.outcomes) == 3
        assert len(world.children()) == 1

    in_a_world(test)


def test_the_same_name_with_another_input_is_refused() -> None:
    async def test(world: World) -> None:
        await world.start(parameters=NAMED)
        await world.start(parameters={**NAMED, "input": {}}, task=TaskId(1, 2, 1))
        error = failure(world).error
        assert error.name == "StepFunctions.ExecutionAlreadyExistsException"
        assert ":execution:square:nightly" in (error.cause or "")

    in_a_world(test)


def test_who_shares_a_child_does_not_stop_it() -> None:
    async def test(world: World) -> None:
        other = TaskId(1, 2, 1)
        await world.start(parameters=NAMED)
        await world.start(parameters=NAMED, task=other)
        world.told.standing = Standing.OVER
        await world.runner.stop(Attempt(world.key, other))
        assert "stop" not in world.child()["spec"]
        await world.runner.stop(world.attempt)
        assert "stop" in world.child()["spec"]

    in_a_world(test)


# ------------------------------------------------------------------------------------ watching


@pytest.mark.parametrize("phase", ["Failed", "TimedOut", "Aborted"])
def test_a_child_that_ends_otherwise_fails_the_task(phase: str) -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.ends(phase, error="E", cause="because")
        assert cause(world)["status"] == phase
        assert cause(world)["cause"] == "because"
        assert world.tally.counted == ["started", "failed"]

    in_a_world(test)


def test_a_child_that_is_deleted_fails_the_task() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.delete()
        assert cause(world)["error"] == "Treadle.ExecutionDeleted"

    in_a_world(test)


def test_a_child_that_a_finalizer_holds_counts_as_deleted() -> None:
    async def test(world: World) -> None:
        await world.start()
        patch = {"metadata": {"finalizers": ["a.b/c"]}}
        name = world.child()["metadata"]["name"]
        await world.kubectl.patch(EXECUTIONS, "default", name, patch)
        await world.delete()
        assert cause(world)["error"] == "Treadle.ExecutionDeleted"
        assert cause(world)["executionName"] == name

    in_a_world(test)


def test_a_child_that_was_seen_is_never_made_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        uid = world.child()["metadata"]["uid"]
        world.die()
        await world.delete()
        world.told.events.clear()
        await world.live()
        await world.start(restored=True, uid=uid)
        assert cause(world)["error"] == "Treadle.ExecutionDeleted"
        assert world.children() == []

    in_a_world(test)


def test_what_a_watch_missed_the_sweep_sees() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.runs()
        world.watched = False
        await world.ends(output="[9]")
        assert world.outcomes == []
        assert list(world.runner.existing(world.key)) == [TASK]
        world.compare()
        await asyncio.sleep(0.2)
        assert [type(event) for event in world.outcomes] == [TaskSucceeded]
        assert list(world.runner.existing(world.key)) == []

    in_a_world(test)


def test_a_sweep_leaves_what_runs_alone() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.runs()
        with counting(world) as requests:
            world.compare()
            await world.runner.sweep()
            await asyncio.sleep(0.2)
        assert requests == []
        assert list(world.runner.existing(world.key)) == [TASK]

    in_a_world(test)


def test_an_outcome_that_no_save_takes_up_is_told_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.ends(output="[9]")
        await world.runner.sweep()
        await asyncio.sleep(31)
        assert len(world.outcomes) == 1
        await world.runner.sweep()
        await asyncio.sleep(0.2)
        assert len(world.outcomes) == 2
        await world.runner.ended(world.attempt)
        await asyncio.sleep(31)
        await world.runner.sweep()
        await asyncio.sleep(0.2)
        assert len(world.outcomes) == 2

    in_a_world(test)


def test_what_was_told_is_not_told_again_by_every_list() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.ends(output="[9]")
        with counting(world) as requests:
            world.compare()
            await asyncio.sleep(0.2)
        assert requests == []
        assert len(world.outcomes) == 1

    in_a_world(test)


def test_a_read_that_fails_is_made_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        faults: list[Exception] = [Unavailable("no answer")]

        async def read(_: Any) -> Ending:
            if faults:
                raise faults.pop()
            return Ending("[9]")

        world.runner._read = read
        await world.ends(output="[9]")
        assert world.outcomes == []
        await asyncio.sleep(6)
        assert [type(event) for event in world.outcomes] == [TaskSucceeded]

    in_a_world(test)


def test_an_end_that_cannot_be_read_is_told() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.ends(outputRef={"page": "p", "bytes": 9})  # there is no such page
        assert "ended cannot be read: its output is missing" in (failure(world).error.cause or "")

    in_a_world(test)


def test_where_we_are_wrong_the_task_fails() -> None:
    async def test(world: World) -> None:
        await world.start()

        async def read(_: Any) -> Ending:
            raise ZeroDivisionError

        world.runner._read = read
        await world.ends()
        assert failure(world).error.name == "States.Runtime"
        assert world.tally.failures == ["runners"]

    in_a_world(test)


# ------------------------------------------------------------------------------------ stopping


def test_a_child_that_nobody_waits_for_is_stopped_once() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.runs()
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        stop = world.child()["spec"]["stop"]
        assert stop["error"] == "Treadle.ParentEnded"
        assert stop["cause"] == (
            "Its parent, Execution parent, does not wait for it any more in state 'S'."
        )
        assert list(world.runner.existing(world.key)) == []
        assert world.tally.counted == ["started", "stopped"]
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
        assert requests == []

    in_a_world(test)


@pytest.mark.parametrize("standing", [Standing.LIVE, Standing.NEWER])
def test_what_somebody_knows_more_about_is_not_stopped(standing: Standing) -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = standing
        await world.runner.stop(world.attempt)
        assert "stop" not in world.child()["spec"]

    in_a_world(test)


def test_what_is_not_known_is_asked_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = Standing.UNKNOWN
        with pytest.raises(Unavailable):
            await world.runner.stop(world.attempt)

    in_a_world(test)


def test_what_was_never_asked_for_is_nobodys() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
            await world.runner.ended(world.attempt)
        assert requests == []

    in_a_world(test)


def test_a_stop_of_a_person_stands() -> None:
    async def test(world: World) -> None:
        await world.start()
        name = world.child()["metadata"]["name"]
        own = {"spec": {"stop": {"error": "Own"}}}
        await world.kubectl.patch(EXECUTIONS, "default", name, own)
        world.told.standing = Standing.GONE
        await world.runner.stop(world.attempt)
        assert world.child()["spec"]["stop"] == {"error": "Own"}

    in_a_world(test)


def test_one_that_goes_meanwhile_needs_no_stop() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = Standing.OVER
        world.watched = False
        get = world.api.get

        async def got(*asked: Any) -> Any:
            found = await get(*asked)
            await world.kubectl.delete(*asked)
            return found

        world.api.get = got  # type: ignore[method-assign]
        await world.runner.stop(world.attempt)
        assert world.children() == []

    in_a_world(test)


def test_one_that_is_gone_needs_no_stop() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.watched = False
        await world.delete()
        world.told.standing = Standing.OVER
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
        assert requests == ["get Execution"]

    in_a_world(test)


def test_a_child_that_was_merely_started_is_not_stopped() -> None:
    async def test(world: World) -> None:
        await world.start(AWS)
        world.told.standing = Standing.OVER
        with counting(world) as requests:
            await world.runner.stop(world.attempt)
        assert requests == []

    in_a_world(test)


def test_a_child_that_comes_late_is_stopped_when_it_is_seen() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.live()  # another process, which was not asked to run it
        world.told.standing = Standing.OVER
        await world.runs()
        await asyncio.sleep(0.2)
        assert "stop" in world.child()["spec"]
        assert list(world.runner.existing(world.key)) == []

    in_a_world(test)


def test_a_child_whose_parent_is_being_read_is_left_to_the_sweep() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.live()
        world.told.standing = Standing.UNKNOWN
        await world.runs()
        await asyncio.sleep(0.2)
        assert "stop" not in world.child()["spec"]
        world.told.standing = Standing.OVER
        world.compare()
        await asyncio.sleep(0.2)
        assert "stop" in world.child()["spec"]

    in_a_world(test)


def test_a_child_of_a_live_attempt_is_left_alone() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.live()
        await world.runs()
        await asyncio.sleep(0.2)
        assert list(world.runner.existing(world.key)) == [TASK]
        assert "stop" not in world.child()["spec"]

    in_a_world(test)


# ------------------------------------------------------------------------------- taking a name


def test_the_name_of_an_attempt_that_ended_unseen_is_taken() -> None:
    async def test(world: World) -> None:
        await world.start(expired=True, parameters={})
        assert "stop" in world.child()["spec"]
        assert world.told.events == []
        await world.start(expired=True, parameters={})
        assert len(world.children()) == 1

    in_a_world(test)


def test_what_has_that_name_already_is_stopped() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.live()
        await world.start(expired=True, parameters={})
        assert "stop" in world.child()["spec"]

    in_a_world(test)


def test_a_late_create_finds_the_name_taken() -> None:
    async def test(world: World) -> None:
        await world.start(expired=True, parameters={})
        await world.start()
        await world.ends("Aborted", error="Treadle.ParentEnded")
        assert len(world.children()) == 1

    in_a_world(test)


def test_a_name_that_cannot_be_taken_is_left() -> None:
    async def test(world: World) -> None:
        world.refusing(Refused(403, "Forbidden", "a policy says no"))
        await world.start(expired=True, parameters={})
        assert world.children() == []
        world.refusing(QUOTA)
        with pytest.raises(Unavailable):
            await world.start(expired=True, parameters={})

    in_a_world(test)


def test_a_process_that_ends_looks_at_nothing_any_more() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        await world.start()
        (life,) = world.lives
        life.cancel()
        await asyncio.wait([life])
        with counting(world) as requests:
            await asyncio.sleep(30)
        assert requests == []

    in_a_world(test)
