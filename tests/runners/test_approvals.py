"""Attempts that wait for people: made, decided, expired, deleted, closed, across restarts."""

import asyncio
from typing import Any

import pytest

from tests.runners.a_world import QUOTA, TASK, counting
from tests.runners.an_approval_world import World, in_a_world
from treadle.engine.events import TaskId, TaskStarted, TaskSucceeded
from treadle.kube import approving
from treadle.kube.kinds import APPROVALS
from treadle.runners import decisions
from treadle.runtime.ports import (
    Attempt,
    Conflict,
    Missing,
    NotLeading,
    Refused,
    Standing,
    Unavailable,
)
from treadle.sim import clock
from treadle.sim.faults import Faults, Plan

# ------------------------------------------------------------------------------------ deciding


def test_a_decision_is_told_with_its_time_and_costs_a_create_and_a_write() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start()
            assert world.outcome is None
            assert world.runner.current()
            world.decides()
            await asyncio.sleep(60)
        assert requests == ["create Approval", "patch Approval"]
        started, succeeded, *again = world.told.events
        approval = world.approval()
        assert approval is not None
        assert started == TaskStarted(TASK, approval["metadata"]["uid"])
        assert isinstance(succeeded, TaskSucceeded)
        assert succeeded.at.isoformat().startswith(approval["status"]["decidedAt"][:19])
        assert set(again) == {succeeded}, "told again until a save has taken it up"
        assert world.phase() == "Approved"
        assert world.tally.counted == ["started", "succeeded"]

    in_a_world(test)


def test_a_quorum_is_waited_for() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"quorum": 2})
        world.decides("ada")
        await asyncio.sleep(1)
        assert world.outcome is None
        assert world.approval()["status"]["decided"] == "1 of 2"  # type: ignore[index]
        world.decides("bob")
        await asyncio.sleep(1)
        assert world.outcome == ["ada", "bob"]

    in_a_world(test)


def test_one_against_it_decides() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"quorum": 2})
        world.decides(approve=False)
        await asyncio.sleep(1)
        assert world.outcome == decisions.REJECTED
        assert world.tally.counted == ["started", "failed"]

    in_a_world(test)


def test_nobody_decides_in_time() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 10})
        await asyncio.sleep(9)
        assert world.outcome is None
        await asyncio.sleep(3)
        assert world.outcome == decisions.EXPIRED
        with pytest.raises(Refused, match="decided, expired or closed"):
            world.decides()

    in_a_world(test)


def test_a_decision_in_time_counts_though_no_watch_has_shown_it() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 10})
        world.lives[0].cancel()  # the informer stands still
        await asyncio.sleep(5)
        world.decides()
        await asyncio.sleep(7)
        assert world.outcome == ["ada"]

    in_a_world(test)


def test_an_approval_that_changes_all_the_time_is_looked_at_later() -> None:
    async def test(world: World) -> None:
        await world.start()
        note = world.api.patch

        async def conflict(*_: Any, **__: Any) -> Any:
            raise Conflict("changed")

        world.api.patch = conflict  # type: ignore[method-assign]
        world.decides()
        await asyncio.sleep(1)
        assert world.outcome is None
        assert not world.runner.current(), "timers wait for what people said"
        world.api.patch = note  # type: ignore[method-assign]
        await asyncio.sleep(3)
        assert world.outcome == ["ada"]
        assert world.runner.current()

    in_a_world(test)


def test_a_refused_status_holds_up_nobodys_timers() -> None:
    async def test(world: World) -> None:
        await world.start()

        async def refuse(*_: Any, **__: Any) -> Any:
            raise Refused(403, "Forbidden", "you may not")

        world.api.patch = refuse  # type: ignore[method-assign]
        world.decides()
        await asyncio.sleep(1)
        assert world.outcome is None
        assert world.runner.current()

    in_a_world(test)


def test_where_we_are_wrong_the_attempt_fails_and_the_others_go_on() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.broken = [ValueError("oh")]
        world.decides()
        await asyncio.sleep(1)
        assert world.outcome == "States.Runtime"
        assert world.tally.failures == ["runners"]
        await world.runner.start(world.order(TaskId(1, 2, 1)))
        assert len(list(world.cluster.objects.each(APPROVALS))) == 2

    in_a_world(test)


# ------------------------------------------------------------------------------------- deleting


def test_one_that_is_deleted_by_hand_fails_the_attempt() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"quorum": 2})
        world.decides()
        await asyncio.sleep(1)
        world.cluster.remove(APPROVALS, world.place)
        await asyncio.sleep(1)
        assert world.outcome == decisions.DELETED
        await world.start()
        assert world.approval() is None, "it was seen: it is not made again"

    in_a_world(test)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": None},
        {"annotations": None},
        {"annotations": {"treadle.dev/task-digest": "other"}},
        {"ownerReferences": []},
    ],
    ids=str,
)
def test_one_that_says_no_longer_whose_it_is_fails_the_attempt(change: Any) -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 60})
        world.cluster.objects.patch(APPROVALS, *world.place, {"metadata": change})
        await asyncio.sleep(1)
        assert world.outcome == decisions.DELETED, "nobody would see a decision, nor the expiry"

    in_a_world(test)


def test_one_that_was_deleted_while_nobody_looked() -> None:
    async def test(world: World) -> None:
        await world.start()
        uid = world.approval()["metadata"]["uid"]  # type: ignore[index]
        world.cluster.remove(APPROVALS, world.place)
        await world.live()
        await world.start(uid=uid, restored=True)
        assert world.outcome == decisions.DELETED

    in_a_world(test)


def test_a_cache_that_lags_is_no_deletion() -> None:
    async def test(world: World) -> None:
        await world.start()
        uid = world.approval()["metadata"]["uid"]  # type: ignore[index]
        world.lives[0].cancel()
        world.view._remove(world.place)
        await world.runner.sweep()
        await asyncio.sleep(1)
        assert world.outcome is None
        assert world.watch.uid == uid
        world.cluster.remove(APPROVALS, world.place)
        world.view._remove(world.place)
        await world.runner.sweep()
        await asyncio.sleep(1)
        assert world.outcome == decisions.DELETED

    in_a_world(test)


def test_one_that_somebody_closed_can_be_decided_by_nobody() -> None:
    async def test(world: World) -> None:
        await world.start()
        patch = {"status": {"phase": "Closed"}}
        world.cluster.objects.patch(APPROVALS, *world.place, patch, status=True)
        await asyncio.sleep(1)
        assert world.outcome == decisions.DELETED

    in_a_world(test)


def test_one_that_goes_between_look_and_write_is_gone() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.lives[0].cancel()
        world.decides()
        stored = world.cluster.objects.get(APPROVALS, *world.place)
        world.cluster.remove(APPROVALS, world.place)
        world.view.absorb(stored)
        await asyncio.sleep(1)
        assert world.outcome == decisions.DELETED

    in_a_world(test)


# ------------------------------------------------------------------------------------- creating


def test_starting_twice_makes_one() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start()
            await world.start()
        assert requests == ["create Approval"]
        assert len(world.told.events) == 1

    in_a_world(test)


def test_what_another_process_made_is_taken_over() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.live()
        world.lives[0].cancel()
        world.view._remove(world.place)
        world.runner._watches.forget(world.attempt)
        await world.start()
        assert isinstance(world.told.events[-1], TaskStarted)
        world.view._remove(world.place)
        world.runner._watches.forget(world.attempt)
        with counting(world) as requests:
            await world.start(restored=True)
        assert requests[0] == "get Approval", "a live read comes before a second create"
        assert world.outcome is None

    in_a_world(test)


def test_a_restored_attempt_that_has_none_gets_one() -> None:
    async def test(world: World) -> None:
        with counting(world) as requests:
            await world.start(restored=True)
        assert requests[:2] == ["get Approval", "create Approval"]
        assert world.tally.counted == []

    in_a_world(test)


@pytest.mark.parametrize("digest", ["d", "other"])
def test_a_name_that_something_else_has_is_a_conflict(digest: str) -> None:
    async def test(world: World) -> None:
        question = approving.parse({"message": "m"})
        assert isinstance(question, approving.Question)
        theirs = approving.manifest(world.order(digest="other"), question)
        if digest == "d":
            theirs["metadata"].pop("ownerReferences")
            theirs["metadata"]["annotations"]["treadle.dev/task-digest"] = "d"
        await world.kubectl.create(APPROVALS, "default", theirs)
        await asyncio.sleep(1)
        await world.start()
        await world.start()
        assert world.told.error() == "Kubernetes.NameConflict"
        assert world.runner.existing(world.key) == ([] if digest == "d" else [TASK])

    in_a_world(test)


def test_wrong_parameters_ask_nobody() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"quorum": "two"})
        assert world.told.error() == "Treadle.InvalidParameters"
        assert world.approval() is None

    in_a_world(test)


def test_a_refusal_is_the_states_error() -> None:
    async def test(world: World) -> None:
        world.refusing(Refused(422, "Invalid", "not so"))
        await world.start()
        assert world.told.error() == "Kubernetes.Forbidden"

    in_a_world(test)


def test_a_full_quota_is_waited_for() -> None:
    async def test(world: World) -> None:
        world.refusing(QUOTA)
        with pytest.raises(Unavailable):
            await world.start()
        assert world.told.reasons[-1] is not None
        world.refusing(Refused(401, "Unauthorized", "who are you"))
        with pytest.raises(Unavailable):
            await world.start()
        world.cluster.admission = None
        await world.start()
        assert world.told.reasons[-1] is None
        assert world.told.outcomes == []

    in_a_world(test)


def test_nothing_is_written_without_a_lease() -> None:
    async def test(world: World) -> None:
        world.lease.is_fresh = False
        with pytest.raises(NotLeading):
            await world.start()
        assert world.approval() is None

    in_a_world(test)


def test_a_create_whose_answer_is_lost_makes_no_second() -> None:
    async def test(world: World) -> None:
        plan = Plan(until=clock.seconds() + 1_000, lost=1.0)
        await world.live(Faults(plan, 1))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await world.runner.start(world.order())
            world.view._remove(world.place)
            break
        world.api._faults.plan = Plan()
        await world.start()
        assert isinstance(world.told.events[0], TaskStarted)

    in_a_world(test)


# -------------------------------------------------------------------------------------- closing


def test_an_attempt_that_is_stopped_closes_its_approval_which_goes_after_a_while() -> None:
    async def test(world: World) -> None:
        await world.start()
        assert world.runner.existing(world.key) == [TASK]
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        assert world.phase() == "Closed"
        with pytest.raises(Refused):
            world.decides()
        assert world.runner.existing(world.key) == []
        await asyncio.sleep(110)
        assert world.approval() is not None
        await asyncio.sleep(20)
        assert world.approval() is None
        assert list(world.runner._watches) == []
        assert world.tally.counted == ["started", "stopped"]

    in_a_world(test)


def test_one_that_was_decided_stays_to_be_looked_at() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.decides()
        await asyncio.sleep(1)
        await world.save_the_end()
        await asyncio.sleep(3_500)
        assert world.phase() == "Approved"
        await asyncio.sleep(150)
        assert world.approval() is None

    in_a_world(test)


def test_what_came_too_late_to_be_counted_is_closed() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.lives[0].cancel()
        world.decides()
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        assert world.phase() == "Closed"

    in_a_world(test)


@pytest.mark.parametrize("standing", [Standing.LIVE, Standing.NEWER])
def test_nothing_is_closed_that_is_not_over(standing: Standing) -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = standing
        await world.runner.stop(world.attempt)
        assert world.phase() == "Pending"

    in_a_world(test)


def test_while_it_is_not_known_nothing_is_closed() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = Standing.UNKNOWN
        with pytest.raises(Unavailable):
            await world.runner.stop(world.attempt)

    in_a_world(test)


def test_others_are_none_of_its_business() -> None:
    async def test(world: World) -> None:
        other = Attempt(world.key, TaskId(9, 9, 9))
        await world.runner.stop(other)
        await world.runner.ended(other)
        assert world.told.asked == 0

    in_a_world(test)


def test_one_that_goes_while_it_is_closed_is_gone() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.lives[0].cancel()
        world.cluster.remove(APPROVALS, world.place)
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        world.view._remove(world.place)
        await world.runner.sweep()
        assert list(world.runner._watches) == []

    in_a_world(test)


def test_one_that_changes_all_the_time_is_closed_later() -> None:
    async def test(world: World) -> None:
        await world.start()

        async def conflict(*_: Any, **__: Any) -> Any:
            raise Conflict("changed")

        world.api.patch = conflict  # type: ignore[method-assign]
        world.told.standing = Standing.OVER
        with pytest.raises(Unavailable):
            await world.runner.stop(world.attempt)

    in_a_world(test)


def test_the_name_of_an_attempt_that_ended_unseen_is_taken() -> None:
    async def test(world: World) -> None:
        world.told.standing = Standing.OVER
        await world.start(expired=True)
        assert world.phase() == "Closed"
        with pytest.raises(Refused):
            world.decides()
        await world.start(expired=True)
        await asyncio.sleep(130)
        assert world.approval() is None

    in_a_world(test)


def test_what_was_made_unseen_is_closed() -> None:
    async def test(world: World) -> None:
        world.lives[0].cancel()
        question = approving.parse({"message": "m"})
        assert isinstance(question, approving.Question)
        made = approving.manifest(world.order(), question)
        await world.kubectl.create(APPROVALS, "default", made)
        world.told.standing = Standing.OVER
        await world.start(expired=True)
        assert world.phase() == "Closed"

    in_a_world(test)


def test_a_name_that_cannot_be_taken_is_let_go_unless_that_passes() -> None:
    async def test(world: World) -> None:
        world.told.standing = Standing.OVER
        world.refusing(Refused(422, "Invalid", "not so"))
        await world.start(expired=True)
        world.refusing(QUOTA)
        with pytest.raises(Unavailable):
            await world.start(expired=True)

    in_a_world(test)


# ------------------------------------------------------------------------------------- restarts


def test_what_was_decided_meanwhile_is_told_before_any_timer() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.die()
        world.decides()
        world.told.standing = Standing.UNKNOWN  # nothing is loaded yet
        await world.live()
        assert world.outcome == ["ada"]
        assert world.runner.current()

    in_a_world(test)


def test_an_outcome_is_the_same_in_the_next_life() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.decides()
        await asyncio.sleep(1)
        first = world.told.outcomes[-1]
        world.die()
        await asyncio.sleep(100)
        await world.live()
        await world.start(restored=True)
        assert world.told.outcomes[-1] == first

    in_a_world(test)


def test_no_view_is_complete_before_the_first_list() -> None:
    async def test(world: World) -> None:
        world.die()
        await world.live()
        world.view.synced.clear()
        world.runner._news = None
        assert not world.runner.current()
        world.view._tell(None, {"metadata": {"name": "x"}})

    in_a_world(test)


def test_one_whose_attempt_is_not_known_waits_for_the_driver() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.standing = Standing.UNKNOWN
        await world.live()
        assert world.phase() == "Pending"
        world.cluster.remove(APPROVALS, world.place)
        await asyncio.sleep(1)
        assert world.outcome is None
        assert list(world.runner._watches) == []

    in_a_world(test)


def test_an_api_server_that_is_away_is_asked_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.told.broken = [Unavailable("away"), Missing("odd")]
        world.decides()
        await asyncio.sleep(1)
        assert world.outcome is None
        await asyncio.sleep(5)
        assert world.outcome == ["ada"]

    in_a_world(test)


def test_a_tombstone_that_is_gone_already_is_removed_by_nobody() -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.save_the_end()
        world.lives[0].cancel()
        world.cluster.remove(APPROVALS, world.place)
        await asyncio.sleep(130)
        world.view._remove(world.place)
        await asyncio.sleep(1)
        assert list(world.runner._watches) == []

    in_a_world(test)


def test_another_execution_of_the_same_uid_has_none() -> None:
    async def test(world: World) -> None:
        await world.start()
        assert world.runner.existing(world.key._replace(name="other")) == []

    in_a_world(test)


def test_a_new_look_is_not_later_than_one_that_is_due() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 60})
        first = world.watch.timer
        world.runner._watches.look_after(world.attempt, 90.0)
        assert world.watch.timer is first
        world.runner._watches.look_after(world.attempt, 1.0)
        assert world.watch.timer is not first

    in_a_world(test)


def test_one_that_a_save_knows_is_not_told_again() -> None:
    async def test(world: World) -> None:
        await world.start()
        uid = world.approval()["metadata"]["uid"]  # type: ignore[index]
        await world.live()
        world.told.events.clear()
        await world.start(uid=uid, restored=True)
        world.decides()
        await asyncio.sleep(1)
        assert [type(event) for event in world.told.events] == [TaskSucceeded]

    in_a_world(test)


def test_what_has_the_name_of_one_that_was_seen_is_another() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.cluster.remove(APPROVALS, world.place)
        question = approving.parse({"message": "m"})
        assert isinstance(question, approving.Question)
        again = approving.manifest(world.order(), question)
        await world.kubectl.create(APPROVALS, "default", again)
        await world.live()
        await world.start(uid="of-the-first", restored=True)
        assert world.outcome == decisions.DELETED

    in_a_world(test)


def test_a_look_that_was_put_off_is_not_made_for_what_is_forgotten() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 5})
        watch = world.watch
        world.runner._watches._watches.clear()
        await asyncio.sleep(10)
        assert watch.timer is None
        assert world.outcome is None
        await world.runner.sweep()
        assert world.outcome == decisions.EXPIRED

    in_a_world(test)


def test_a_process_that_ends_looks_at_nothing_any_more() -> None:
    async def test(world: World) -> None:
        await world.start(parameters={"expiresSeconds": 60})
        timer = world.watch.timer
        world.die()
        await asyncio.sleep(1)
        assert timer is not None
        assert timer.cancelled()

    in_a_world(test)


def test_what_is_forgotten_is_looked_at_no_more() -> None:
    async def test(world: World) -> None:
        await world.start()
        world.runner._watches.look_after(world.attempt, 5)
        watch = world.watch
        world.runner._watches.forget(world.attempt)
        assert watch.timer is not None
        assert watch.timer.cancelled()

    in_a_world(test)
