"""Children in other namespaces: only where the machine's owner allows it, and then as at home."""

import asyncio
import json
from typing import Any

import pytest

from tests.runners.a_nested_world import SYNC, TASK, World, counting, in_a_world
from tests.runners.test_nested import QUOTA, cause, failure
from treadle.engine.events import TaskId, TaskSucceeded
from treadle.kube import names
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runners import nested
from treadle.runtime.ports import Attempt, Refused, Standing

ABROAD: dict[str, Any] = {"stateMachine": "square", "namespace": "other"}
NAMED = {**ABROAD, "name": "nightly"}


async def start(world: World, parameters: Any = None, **more: Any) -> None:
    await world.start(more.pop("resource", SYNC), parameters=parameters or ABROAD, **more)


# ------------------------------------------------------------------------------ whether it may


@pytest.mark.parametrize("callers", [("default",), ("else", "default"), ("*",)])
def test_a_machine_of_another_namespace_is_started_where_that_is_allowed(
    callers: tuple[str, ...],
) -> None:
    async def test(world: World) -> None:
        await world.opened(*callers)
        with counting(world) as requests:
            await start(world)
        assert requests == ["get StateMachine", "create Execution"]
        assert world.child()["metadata"]["namespace"] == "other"
        await world.runs()
        assert list(world.runner.existing(world.key)) == [TASK]
        await world.ends(output="[9]")
        (event,) = world.outcomes
        assert isinstance(event, TaskSucceeded)
        told = json.loads(event.output)
        name = world.child()["metadata"]["name"]
        assert told["output"] == [9]
        assert told["executionArn"].endswith(f":000000000002:execution:square:{name}")

    in_a_world(test)


def test_who_may_not_start_a_machine_is_not_told_whether_there_is_one() -> None:
    async def test(world: World) -> None:
        said = []
        for number in range(4):
            if number:
                callers = ((), ("else",), ("def*", "Default"))[number - 1]
                await world.opened(*callers)
            await start(world, task=TaskId(1, number + 1, 1))
            error = world.outcomes[-1].error  # type: ignore[union-attr]
            said.append((error.name, error.cause))
            if number:
                await world.kubectl.delete(STATE_MACHINES, "other", "square")
        assert set(said) == {
            (
                "Treadle.StateMachineDenied",
                "Namespace other has no StateMachine 'square' that may be started from namespace "
                "default. Its owner allows that: /spec/callers/namespaces of the StateMachine must "
                'have "default" or "*".',
            )
        }
        assert world.children() == []

    in_a_world(test)


def test_nor_whether_there_is_the_namespace() -> None:
    async def test(world: World) -> None:
        await start(world, {**ABROAD, "namespace": "nowhere"})
        told = failure(world).error.cause or ""
        assert "Namespace nowhere has no StateMachine 'square' that may be started" in told

    in_a_world(test)


def test_a_machine_without_callers_is_started_from_its_own_namespace_alone() -> None:
    async def test(world: World) -> None:
        machine = {"metadata": {"name": "square"}, "spec": {"definition": {}}}
        await world.kubectl.create(STATE_MACHINES, "other", machine)
        await start(world)
        assert failure(world).error.name == "Treadle.StateMachineDenied"
        await start(world, {**ABROAD, "namespace": "default"}, task=TaskId(1, 2, 1))
        assert world.child()["metadata"]["namespace"] == "default"

    in_a_world(test)


def test_a_namespace_that_the_operator_does_not_serve() -> None:
    async def test(world: World) -> None:
        await world.opened("*")
        await world.live(namespaces=("default",))
        with counting(world) as requests:
            await start(world)
            assert "this operator does not serve it" in str(failure(world).error.cause)
            # It was served when its child was made: nothing there may even be read any more.
            await start(world, task=TaskId(1, 2, 1), restored=True, uid="u")
            world.told.standing = Standing.OVER
            await world.runner.stop(Attempt(world.key, TaskId(1, 2, 1)))
        assert requests == []
        assert len(world.outcomes) == 2
        await world.live(namespaces=("default", "other"))
        await start(world, task=TaskId(1, 3, 1))
        assert len(world.children()) == 1

    in_a_world(test)


def test_what_is_revoked_holds_for_the_next_one() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        spec = {"spec": {"callers": None}}
        await world.kubectl.patch(STATE_MACHINES, "other", "square", spec)
        await start(world)  # asked again: it is there
        await start(world, task=TaskId(1, 2, 1))
        assert failure(world).error.name == "Treadle.StateMachineDenied"
        assert len(world.children()) == 1
        assert "stop" not in world.child()["spec"]

    in_a_world(test)


def test_it_is_asked_before_each_create() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        world.refusing(QUOTA)
        await start(world)
        spec = {"spec": {"callers": None}}
        await world.kubectl.patch(STATE_MACHINES, "other", "square", spec)
        await asyncio.sleep(6)
        assert failure(world).error.name == "Treadle.StateMachineDenied"

    in_a_world(test)


def test_the_name_of_another_ones_child_gives_nobody_its_output() -> None:
    async def test(world: World) -> None:
        await world.opened("else")
        spec = {"stateMachineRef": {"name": "square"}, "name": "nightly", "inputJson": "{}"}
        metadata = {"name": names.child("square", "nightly")}
        await world.kubectl.create(EXECUTIONS, "other", {"metadata": metadata, "spec": spec})
        await start(world, NAMED)
        await start(world, NAMED, task=TaskId(1, 2, 1), restored=True)
        assert {event.error.name for event in world.outcomes} == {  # type: ignore[union-attr]
            "Treadle.StateMachineDenied"
        }

    in_a_world(test)


def test_a_name_is_one_of_the_machines_namespace() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world, NAMED)
        await start(world, NAMED, task=TaskId(1, 2, 1))
        await start(world, {**NAMED, "namespace": "default"}, task=TaskId(1, 3, 1))
        assert sorted(each["metadata"]["namespace"] for each in world.children()) == [
            "default",
            "other",
        ]

    in_a_world(test)


# ---------------------------------------------------------------------------- across restarts


def test_a_child_of_an_earlier_life_is_adopted_where_it_is() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.live()
        await world.kubectl.patch(STATE_MACHINES, "other", "square", {"spec": {"callers": None}})
        await start(world, restored=True)  # it was allowed when it was made
        assert world.outcomes == []
        uid = world.child()["metadata"]["uid"]
        world.die()
        await world.ends("Failed", error="E")
        await world.live()
        world.told.events.clear()
        await start(world, restored=True, uid=uid)
        assert cause(world)["error"] == "E"
        assert len(world.children()) == 1

    in_a_world(test)


def test_one_that_is_deleted_while_nobody_is_there_is_missed() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.runs()
        world.watched = False
        await world.delete()
        world.compare()
        await asyncio.sleep(0.2)
        assert cause(world)["error"] == "Treadle.ExecutionDeleted"

    in_a_world(test)


# ------------------------------------------------------------------------------------ stopping


@pytest.mark.parametrize("standing", [Standing.OVER, Standing.GONE])
@pytest.mark.parametrize("known", [True, False])
def test_one_that_nobody_waits_for_is_stopped(known: bool, standing: Standing) -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        if not known:
            await world.live()
        world.told.standing = standing
        await world.runs()  # nothing else tells a new process of it
        await world.runner.stop(world.attempt)
        await asyncio.sleep(0.2)
        told = "Its parent, Execution parent of namespace default, does not wait for it any more"
        assert told in world.child()["spec"]["stop"]["cause"]
        assert list(world.runner.existing(world.key)) == []

    in_a_world(test)


def test_one_that_was_merely_started_goes_its_own_way() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world, resource="treadle:execution")
        await world.live()
        world.told.standing = Standing.GONE
        await world.runs()
        await asyncio.sleep(0.2)
        assert "stop" not in world.child()["spec"]

    in_a_world(test)


def test_whose_namespace_refuses_the_stop_is_asked_again_by_the_next_list() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.runs()
        world.told.standing = Standing.OVER
        patch, refusals = world.api.patch, [Refused(403, "Forbidden", "here nothing is stopped")]

        async def refused(*asked: Any, **more: Any) -> Any:
            if refusals:
                raise refusals.pop()
            return await patch(*asked, **more)

        world.api.patch = refused  # type: ignore[method-assign]
        await world.runner.stop(world.attempt)
        assert "stop" not in world.child()["spec"]
        world.compare()
        await asyncio.sleep(0.2)
        assert "stop" in world.child()["spec"]

    in_a_world(test)


@pytest.mark.parametrize("known", [True, False])
def test_what_only_says_that_it_is_the_child_hides_no_child(known: bool) -> None:
    async def test(world: World) -> None:
        await world.start()
        await world.runs()
        mine = world.child()["metadata"]
        if not known:
            await world.live()
        forged = {
            "name": "forged",
            "labels": {**mine["labels"], "treadle.dev/parent-namespace": "default"},
            "annotations": {**mine["annotations"], "treadle.dev/awaited": "true"},
        }
        spec = {"stateMachineRef": {"name": "square"}}
        await world.kubectl.create(EXECUTIONS, "other", {"metadata": forged, "spec": spec})
        await asyncio.sleep(0.2)
        world.told.standing = Standing.OVER
        world.compare()
        await asyncio.sleep(0.2)
        await world.runner.stop(world.attempt)
        await asyncio.sleep(0.2)
        assert ["stop" in each["spec"] for each in world.children()] == [True, True]

    in_a_world(test)


def test_a_forged_child_says_nothing_of_how_the_real_one_ends() -> None:
    async def test(world: World) -> None:
        await world.start()
        mine = world.child()["metadata"]
        forged = {
            "name": mine["name"],
            "labels": {**mine["labels"], "treadle.dev/parent-namespace": "default"},
            "annotations": {**mine["annotations"], "treadle.dev/awaited": "true"},
        }
        spec = {"stateMachineRef": {"name": "square"}}
        made = {"metadata": forged, "spec": spec}
        obj = await world.kubectl.create(EXECUTIONS, "other", made)
        await world.ends(obj=obj, output="[0]")
        assert world.outcomes == []
        await world.kubectl.delete(EXECUTIONS, "other", mine["name"])
        await asyncio.sleep(0.2)
        assert world.outcomes == []

    in_a_world(test)


# ------------------------------------------------------------------------------ taking a name


def test_the_name_of_one_that_was_sent_and_not_seen_is_taken_where_it_was_sent() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        world.refusing(QUOTA)
        await start(world)  # as if its create were on its way still
        world.refusing(None)
        world.told.standing = Standing.OVER
        await world.runner.stop(world.attempt)
        await world.start(expired=True, parameters={})
        child = world.child()
        assert child["metadata"]["namespace"] == "other"
        assert "stop" in child["spec"]
        await world.start(expired=True, parameters={}, task=TaskId(1, 2, 1))
        assert [each["metadata"]["namespace"] for each in world.children()] == ["other", "default"]

    in_a_world(test)


def test_no_name_is_taken_in_a_namespace_that_is_gone() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        world.refusing(QUOTA)
        await start(world)
        world.refusing(None)
        del world.cluster.objects.namespaces["other"]
        await world.start(expired=True, parameters={})
        assert world.children() == []

    in_a_world(test)


def test_of_very_many_that_were_sent_the_last_ones_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(world: World) -> None:
        monkeypatch.setattr(nested, "_SENT_MAX", 1)
        await world.opened("default")
        world.refusing(QUOTA)
        for entry in (1, 2):
            await start(world, task=TaskId(1, entry, 1))
        world.refusing(None)
        for entry in (1, 2):
            await world.start(expired=True, parameters={}, task=TaskId(1, entry, 1))
        assert [each["metadata"]["namespace"] for each in world.children()] == ["default", "other"]

    in_a_world(test)


def test_one_that_was_not_allowed_takes_no_name_there() -> None:
    async def test(world: World) -> None:
        await start(world)
        await world.start(expired=True, parameters={})
        assert world.child()["metadata"]["namespace"] == "default"

    in_a_world(test)


def test_what_has_that_name_there_is_stopped() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.start(expired=True, parameters={})
        assert "stop" in world.child()["spec"]

    in_a_world(test)


def test_one_of_another_process_is_stopped_when_it_is_seen() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.live()
        world.told.standing = Standing.OVER
        await world.runs()
        await world.start(expired=True, parameters={})
        await asyncio.sleep(0.2)
        assert ["stop" in each["spec"] for each in world.children()] == [True, True]

    in_a_world(test)


def test_whose_end_is_saved_is_forgotten() -> None:
    async def test(world: World) -> None:
        await world.opened("default")
        await start(world)
        await world.ends(output="1")
        await world.runner.ended(world.attempt)
        await world.runner.ended(Attempt(world.key, TaskId(9, 9, 9)))
        await world.start(expired=True, parameters={})
        assert len(world.children()) == 2, "nothing tells any more where it was"

    in_a_world(test)


# -------------------------------------------------------------------------------- on a desk


def test_on_a_desk_every_machine_is_at_home() -> None:
    async def test(world: World) -> None:
        await world.live(is_flat=True)
        await start(world, {**ABROAD, "namespace": "nowhere"})
        assert world.child()["metadata"]["namespace"] == "default"

    in_a_world(test)
