"""An execution reads the current revision, pins it, and finds what it pinned unchanged."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import FAILS, JOB, NOTHING, ONE_TASK, Stage, on_a_stage
from tests.stores.machines_seen import create, machine, revisions
from treadle.asl import document
from treadle.kube import names
from treadle.kube.kinds import REVISIONS, STATE_MACHINES
from treadle.runtime.ports import MachineUnready, Missing, Pinned
from treadle.stores import machines
from treadle.stores.machines import digest_of


async def unready(stage: Stage) -> MachineUnready:
    found = await stage.machines.current("default", "m")
    assert isinstance(found, MachineUnready)
    return found


def test_the_current_one_is_read_and_pinned() -> None:
    async def play(stage: Stage) -> None:
        functions = {"resize": {"image": "i"}}
        spec = {"definition": ONE_TASK, "podTemplate": {"spec": {}}, "functions": functions}
        create(stage, spec)
        await stage.machines.judge("default", "m")
        pinned = await stage.machines.current("default", "m")
        assert isinstance(pinned, Pinned)
        assert pinned.revision == machine(stage)["status"]["revision"]["name"]
        assert pinned.digest == digest_of(machine(stage)["spec"])
        assert pinned.pods == {"podTemplate": {"spec": {}}}  # and no more: each Order holds it
        assert pinned.functions == functions
        assert pinned.program.machine.start_at == "A"

    on_a_stage(play)


def test_one_that_is_missing_may_come() -> None:
    async def play(stage: Stage) -> None:
        found = await unready(stage)
        assert (found.invalid, found.message) == (False, "StateMachine 'm' does not exist")

    on_a_stage(play)


def test_one_that_is_not_judged_may_be() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        found = await unready(stage)
        assert (found.invalid, found.message) == (False, "StateMachine 'm' is not judged yet")

    on_a_stage(play)


def test_one_that_has_changed_since_is_not_judged() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        change = {"spec": {"definition": FAILS}}
        stage.objects.patch(STATE_MACHINES, "default", "m", change)
        assert not (await unready(stage)).invalid

    on_a_stage(play)


def test_one_that_is_invalid_stays_so() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine({"StartAt": "A", "States": {}})
        found = await unready(stage)
        assert found.invalid
        assert found.message.startswith("StateMachine 'm': /")

    on_a_stage(play)


def test_one_whose_judge_said_nothing_is_not_ready() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        status = {"status": {"observedGeneration": 1}}
        stage.objects.patch(STATE_MACHINES, "default", "m", status, status=True)
        assert (await unready(stage)).message == "StateMachine 'm': it is not Ready"

    on_a_stage(play)


def test_one_whose_revision_is_missing_may_be_mended() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(REVISIONS, ("default", revisions(stage)[0]))
        found = await unready(stage)
        assert (found.invalid, "revision" in found.message) == (False, True)

    on_a_stage(play)


def test_those_who_ask_at_once_share_a_read() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        reads = stage.api.count("get", STATE_MACHINES)
        ask = stage.machines.current
        await asyncio.gather(*(ask("default", "m") for _ in range(9)))
        assert stage.api.count("get", STATE_MACHINES) == reads + 1
        await ask("default", "m")
        assert stage.api.count("get", STATE_MACHINES) == reads + 2

    on_a_stage(play)


def test_a_read_that_is_on_its_way_is_not_shared() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        first = asyncio.create_task(stage.machines.current("default", "m"))
        await asyncio.sleep(0.005)
        await stage.apply_machine({"StartAt": "A", "States": {}})
        assert (await unready(stage)).invalid
        await first

    on_a_stage(play)


def test_a_revision_is_read_once() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        first = await stage.machines.pinned("default", name)
        reads = stage.api.count("get", REVISIONS)
        assert await stage.machines.pinned("default", name) is first
        assert stage.api.count("get", REVISIONS) == reads

    on_a_stage(play)


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "PROGRAMS_MAX", 1)

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS, "n")
        for name in revisions(stage):
            await stage.machines.pinned("default", name)
        assert len(stage.machines._pinned) == len(stage.machines._programs) == 1

    on_a_stage(play)


def test_those_who_need_it_at_once_share_the_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Any] = []
    parse = document.parse

    def counted(definition: Any, **more: Any) -> Any:
        parsed.append(definition)
        return parse(definition, **more)

    monkeypatch.setattr(document, "parse", counted)

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.reborn()
        (name,) = revisions(stage)
        asks = [stage.machines.pinned("default", name) for _ in range(20)]
        programs = [pinned.program for pinned in await asyncio.gather(*asks)]
        assert len(parsed) == 1
        assert all(program is programs[0] for program in programs)

    on_a_stage(play)


def test_what_was_judged_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(document, "parse")

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        assert (await stage.machines.pinned("default", name)).program.machine.start_at == "A"

    on_a_stage(play)


def test_only_so_many_are_remembered_of_those_that_were_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machines, "PROGRAMS_MAX", 1)

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS, "n")
        assert len(stage.machines._programs) == 1

    on_a_stage(play)


def test_two_revisions_with_the_same_content_share_a_program() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(NOTHING, "n")
        one, other = [await stage.machines.pinned("default", name) for name in revisions(stage)]
        assert one.program is other.program
        assert one.revision != other.revision

    on_a_stage(play)


def test_a_revision_that_nobody_wrote_is_missing() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(Missing):
            await stage.machines.pinned("default", "m-00000000")

    on_a_stage(play)


WAITS = {**JOB, "Resource": "treadle:job.waitForTaskToken", "End": True}
WAITING = {"StartAt": "A", "States": {"A": WAITS}}


@pytest.mark.parametrize(
    "held",
    [{"definition": {"States": {}}}, {"definition": WAITING, "type": "EXPRESS"}],
)
def test_a_revision_that_this_release_finds_invalid_cannot_be_pinned(held: Any) -> None:
    async def play(stage: Stage) -> None:
        spec = {"stateMachine": "m", "digest": digest_of(held), **held}
        obj = {"metadata": {"name": "m-dddddddd"}, "spec": spec}
        stage.objects.create(REVISIONS, "default", obj)
        with pytest.raises(Missing, match="no longer valid"):
            await stage.machines.pinned("default", "m-dddddddd")

    on_a_stage(play)


def test_a_revision_that_lies_about_its_digest_stands_for_nothing() -> None:
    async def play(stage: Stage) -> None:
        spec = {"stateMachine": "m", "digest": digest_of({"definition": NOTHING})}
        obj = {"metadata": {"name": "planted"}, "spec": {**spec, "definition": FAILS}}
        stage.objects.create(REVISIONS, "default", obj)
        with pytest.raises(Missing, match="not what its digest says"):
            await stage.machines.pinned("default", "planted")

    on_a_stage(play)


def test_a_revision_that_takes_the_name_of_a_deleted_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The first digits of two digests are the same: it is said that the old one is to be deleted.
    monkeypatch.setattr(names, "revision", lambda machine, _: f"{machine}-00000000")

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        before = await stage.machines.current("default", "m")
        assert isinstance(before, Pinned)
        stage.cluster.remove(REVISIONS, ("default", "m-00000000"))
        await stage.apply_machine(FAILS)
        after = await stage.machines.current("default", "m")
        assert isinstance(after, Pinned)
        assert after.digest != before.digest
        assert await stage.machines.current("default", "m") is after

    on_a_stage(play)
