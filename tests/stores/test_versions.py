"""Versions: what is published once has a number for ever, whoever publishes and whatever fails."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import FAILS, NOTHING, Stage, on_a_stage
from tests.stores.machines_seen import machine, revisions
from tests.stores.test_machines_tidying import swept
from treadle.kube import versions
from treadle.kube.api import Obj
from treadle.kube.decode import is_settled
from treadle.kube.kinds import REVISIONS, STATE_MACHINES
from treadle.runtime.ports import MachineUnready, Pinned, Request, Unavailable
from treadle.stores import versions as stored

OTHER = {"Comment": "another one", **NOTHING}
WRONG: dict[str, Any] = {"StartAt": "B", "States": {}}


def numbers(stage: Stage) -> dict[str, int]:
    """The number of each revision that has one."""
    found = {r["metadata"]["name"]: versions.number_of(r) for r in stage.objects.each(REVISIONS)}
    return {name: number for name, number in found.items() if number is not None}


def published(stage: Stage) -> Obj:
    (condition,) = [c for c in machine(stage)["status"]["conditions"] if c["type"] == "Published"]
    return condition


def version(stage: Stage) -> Obj:
    found: Obj = machine(stage)["status"]["version"]
    return found


async def publish(stage: Stage, definition: Any, id_: str, **more: Any) -> None:
    await stage.apply_machine(definition, publish={"id": id_, **more})


async def withdraw(stage: Stage, number: int) -> None:
    found = await versions.version(stage.api, "default", "m", number)
    assert found is not None
    name = found["metadata"]["name"]
    await stage.api.patch(REVISIONS, "default", name, versions.withdrawal(found))


async def chosen(stage: Stage, chance: float = 0.0, **asked: Any) -> Pinned | MachineUnready:
    return await stage.machines.chosen("default", Request("m", "{}", "e", **asked), chance)


# ---------------------------------------------------------------------------------- publishing


def test_a_new_id_publishes_what_the_machine_is() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "first", description="the very first")
        (name,) = revisions(stage)
        assert numbers(stage) == {name: 1}
        said = version(stage)
        assert (said["number"], said["id"], said["revision"], said["latest"]) == (
            1,
            "first",
            name,
            1,
        )
        assert (published(stage)["status"], published(stage)["message"]) == (
            "True",
            "it is version 1",
        )
        (revision,) = stage.objects.each(REVISIONS)
        told = revision["metadata"]["annotations"]
        assert (told[versions.ID], told[versions.DESCRIPTION]) == ("first", "the very first")
        assert told[versions.PUBLISHED_AT].startswith("20")

    on_a_stage(play)


def test_the_same_id_publishes_nothing_more() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "first")
        await publish(stage, FAILS, "first")
        assert list(numbers(stage).values()) == [1]
        assert len(revisions(stage)) == 2
        assert version(stage)["revision"] != machine(stage)["status"]["revision"]["name"]

    on_a_stage(play)


def test_each_has_the_next_number() -> None:
    async def play(stage: Stage) -> None:
        for id_, definition in (("a", NOTHING), ("b", FAILS), ("c", OTHER)):
            await publish(stage, definition, id_)
        assert sorted(numbers(stage).values()) == [1, 2, 3]
        assert version(stage)["latest"] == 3

    on_a_stage(play)


def test_what_is_a_version_already_has_its_number_again() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await publish(stage, FAILS, "b")
        await publish(stage, NOTHING, "c")
        assert (version(stage)["number"], version(stage)["latest"]) == (1, 2)
        assert sorted(numbers(stage).values()) == [1, 2]
        await publish(stage, OTHER, "d")
        assert version(stage)["number"] == 3

    on_a_stage(play)


def test_an_id_that_somebody_goes_back_to_publishes_nothing_else() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await publish(stage, FAILS, "b")
        await publish(stage, OTHER, "a")
        assert version(stage)["number"] == 1
        assert sorted(numbers(stage).values()) == [1, 2]

    on_a_stage(play)


def test_a_number_is_never_given_twice() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await publish(stage, FAILS, "b")
        await withdraw(stage, 2)
        await publish(stage, OTHER, "c")
        assert version(stage)["number"] == 3
        await publish(stage, FAILS, "d")
        assert version(stage)["number"] == 4

    on_a_stage(play)


def test_a_machine_that_is_made_again_goes_on_counting() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        await publish(stage, FAILS, "b")
        assert sorted(numbers(stage).values()) == [1, 2]

    on_a_stage(play)


def test_another_machine_counts_for_itself() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await stage.apply_machine(NOTHING, "other", publish={"id": "a"})
        assert list(numbers(stage).values()) == [1, 1]

    on_a_stage(play)


def test_one_that_cannot_run_is_published_once_it_can() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, WRONG, "a")
        assert published(stage)["reason"] == "NotReady"
        assert numbers(stage) == {}
        await publish(stage, NOTHING, "a")
        assert list(numbers(stage).values()) == [1]

    on_a_stage(play)


def test_there_may_be_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "VERSIONS_MAX", 1)

    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await publish(stage, FAILS, "b")
        assert published(stage)["reason"] == "TooManyVersions"
        assert "1 versions are there" in published(stage)["message"]
        assert (list(numbers(stage).values()), version(stage)["id"]) == ([1], "a")
        await withdraw(stage, 1)
        await publish(stage, FAILS, "c")
        assert list(numbers(stage).values()) == [2]

    on_a_stage(play)


# ---------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("fate", ["failed", "lost"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_write_that_fails_neither_skips_nor_doubles_a_number(fate: str, nth: int) -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        writes = [("update_status", STATE_MACHINES), ("patch", REVISIONS)]
        verb, kind = [*writes, writes[0]][nth]
        if nth == 2:
            # The first such write is the promise; only the last one goes wrong.
            later = lambda: stage.api.next(verb, kind, fate)  # noqa: E731
            stage.api.next("patch", REVISIONS, later)
        else:
            stage.api.next(verb, kind, fate)
        with pytest.raises(Unavailable):
            await publish(stage, FAILS, "b")
        await stage.machines.judge("default", "m")
        assert sorted(numbers(stage).values()) == [1, 2]
        assert is_settled(machine(stage))
        assert published(stage)["message"] == "it is version 2"
        await publish(stage, OTHER, "c")
        assert version(stage)["number"] == 3

    on_a_stage(play)


def test_somebody_labels_the_revision_just_then() -> None:
    async def play(stage: Stage) -> None:
        def touch() -> None:
            stage.cluster.touch(REVISIONS, ("default", revisions(stage)[0]))

        stage.api.next("patch", REVISIONS, touch)
        with pytest.raises(Unavailable):
            await publish(stage, NOTHING, "a")
        assert numbers(stage) == {}
        assert await stage.machines.judge("default", "m")
        assert list(numbers(stage).values()) == [1]

    on_a_stage(play)


def test_a_promise_is_kept_though_the_machine_has_changed_since() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("patch", REVISIONS, "failed")
        with pytest.raises(Unavailable):
            await publish(stage, NOTHING, "a", description="said then")
        (first,) = revisions(stage)
        await publish(stage, FAILS, "b")
        assert numbers(stage)[first] == 1
        assert version(stage)["number"] == 2

    on_a_stage(play)


def test_what_somebody_withdrew_before_a_slow_process_came_stays_so() -> None:
    async def play(stage: Stage) -> None:
        async def others() -> None:
            """Another process keeps the promise, and somebody withdraws the version."""
            slow.append(asyncio.current_task())
            await stage.machines.judge("default", "m")
            await withdraw(stage, 1)

        slow: list[Any] = []
        stage.api.next("patch", REVISIONS, "failed")
        with pytest.raises(Unavailable):
            await publish(stage, NOTHING, "a")
        before = machine(stage)
        read = stage.api.get

        async def late(kind: Any, namespace: Any, name: str) -> Obj:
            found = await read(kind, namespace, name)
            if kind == REVISIONS and not slow:
                await others()
            return found

        stage.api.get = late  # type: ignore[method-assign]
        await stage.machines._versions.keep(before)
        assert numbers(stage) == {}

    on_a_stage(play)


def test_a_revision_that_goes_before_it_has_its_number() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("patch", REVISIONS, "failed")
        with pytest.raises(Unavailable):
            await publish(stage, NOTHING, "a")
        (name,) = revisions(stage)
        stage.cluster.remove(REVISIONS, ("default", name))
        await stage.machines.judge("default", "m")
        assert numbers(stage) == {name: 2}
        assert version(stage)["number"] == 2

    on_a_stage(play)


# ------------------------------------------------------------------------------------ tidying


def test_a_version_stays_until_it_is_withdrawn() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        await stage.apply_machine(FAILS)
        assert len(await swept(stage, 300)) == 2
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        assert len(await swept(stage, 300)) == 1
        await withdraw(stage, 1)
        assert await swept(stage, 300) == []

    on_a_stage(play)


def test_a_revision_that_a_number_is_promised_to_stays() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("patch", REVISIONS, "failed")
        with pytest.raises(Unavailable):
            await publish(stage, NOTHING, "a")
        (first,) = revisions(stage)
        stage.api.next("get", STATE_MACHINES, "failed", times=2)
        old = stage.objects.get(STATE_MACHINES, "default", "m")
        stage.objects.update(STATE_MACHINES, "default", {**old, "spec": {"definition": FAILS}})
        assert first in await swept(stage, 300)

    on_a_stage(play)


# ------------------------------------------------------------------------------------ choosing


def test_an_execution_may_ask_for_a_version() -> None:
    async def play(stage: Stage) -> None:
        await publish(stage, NOTHING, "a")
        (first,) = revisions(stage)
        await stage.apply_machine(WRONG)
        assert isinstance(await chosen(stage), MachineUnready)
        found = await chosen(stage, version=1)
        assert isinstance(found, Pinned)
        assert (found.revision, found.published) == (first, 1)
        # What others pin of the same revision is no version that they asked for.
        assert (await stage.machines.pinned("default", first)).published is None

    on_a_stage(play)


def test_a_version_that_is_not_there() -> None:
    async def play(stage: Stage) -> None:
        found = await chosen(stage, version=1)
        assert found == MachineUnready(False, "StateMachine 'm' does not exist")
        await publish(stage, NOTHING, "a")
        found = await chosen(stage, version=2)
        assert found == MachineUnready(False, "StateMachine 'm' has no version 2")
        await withdraw(stage, 1)
        found = await chosen(stage, version=1)
        assert found == MachineUnready(False, "StateMachine 'm' has no version 1")
        stage.objects.update(
            STATE_MACHINES,
            "default",
            {**machine(stage), "spec": {"definition": NOTHING, "publish": {"id": "b"}}},
        )
        found = await chosen(stage, version=2)
        assert isinstance(found, MachineUnready)
        assert found.unjudged

    on_a_stage(play)


def test_a_version_that_says_another_digest_than_its_own_is_not_run() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (good,) = stage.objects.each(REVISIONS)
        labels = {versions.NUMBER: "7"}
        wrong = {
            "metadata": {"name": "m-wrong", "labels": labels},
            "spec": {**good["spec"], "digest": "0" * 64},
        }
        stage.objects.create(REVISIONS, "default", wrong)
        found = await chosen(stage, version=7)
        assert isinstance(found, MachineUnready)
        assert "version 7 of StateMachine 'm' cannot be run" in found.message

    on_a_stage(play)
