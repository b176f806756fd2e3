"""Machines are judged once a generation, and pinned as revisions that cannot change."""

import asyncio
import json
from typing import Any

import pytest

from tests.runtime.stage import FAILS, NOTHING, ONE_TASK, Stage, on_a_stage
from treadle.asl import document
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, REVISIONS, STATE_MACHINES
from treadle.runtime.ports import MachineUnready, Missing, Pinned, Unavailable
from treadle.stores import machines
from treadle.stores.machines import SPARE_SECONDS, digest_of


def machine(stage: Stage, name: str = "m") -> Obj:
    return stage.objects.get(STATE_MACHINES, "default", name)


def ready(stage: Stage, name: str = "m") -> Obj:
    (condition,) = machine(stage, name)["status"]["conditions"]
    assert condition["type"] == "Ready"
    return condition


def revisions(stage: Stage) -> list[str]:
    return [obj["metadata"]["name"] for obj in stage.objects.each(REVISIONS)]


def create(stage: Stage, spec: Any, name: str = "m", **metadata: Any) -> None:
    obj = {"metadata": {"name": name, **metadata}, "spec": spec}
    stage.objects.create(STATE_MACHINES, "default", obj)


# --------------------------------------------------------------------------------------- judging


def test_a_good_machine_is_ready_and_has_a_revision() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING, "serviceAccountName": "sa", "suspend": False})
        assert await stage.machines.judge("default", "m")
        status = machine(stage)["status"]
        assert (ready(stage)["status"], ready(stage)["reason"]) == ("True", "Valid")
        assert (status["observedGeneration"], status["problems"]) == (1, [])
        digest = digest_of(machine(stage)["spec"])
        assert status["revision"] == {"name": f"m-{digest[:8]}", "digest": digest}
        (revision,) = stage.objects.each(REVISIONS)
        assert revision["spec"] == {
            "stateMachine": "m",
            "digest": digest,
            "definition": NOTHING,
            "serviceAccountName": "sa",
        }
        assert "ownerReferences" not in revision["metadata"]

    on_a_stage(play)


def test_what_was_judged_is_not_judged_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        assert not await stage.machines.judge("default", "m")
        await stage.apply_machine({"StartAt": "A", "States": {}}, "bad")
        reads = len(stage.api.seen)
        assert not await stage.machines.judge("default", "bad")
        assert len(stage.api.seen) == reads + 1

    on_a_stage(play)


def test_a_revision_that_somebody_deleted_is_written_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        stage.cluster.remove(REVISIONS, ("default", name))
        assert await stage.machines.judge("default", "m")
        assert revisions(stage) == [name]

    on_a_stage(play)


def test_a_machine_that_is_gone_is_not_judged() -> None:
    async def play(stage: Stage) -> None:
        assert not await stage.machines.judge("default", "m")

    on_a_stage(play)


def test_a_bad_machine_says_every_problem_and_where() -> None:
    bad = {"StartAt": "X", "States": {"A": {"Type": "Pass"}, "B": {"Type": "Wait"}}}

    async def play(stage: Stage) -> None:
        await stage.apply_machine(bad)
        status = machine(stage)["status"]
        assert (ready(stage)["status"], ready(stage)["reason"]) == ("False", "InvalidDefinition")
        assert "more)" in ready(stage)["message"]
        assert ready(stage)["message"].startswith("/")
        for problem in status["problems"]:
            assert {"pointer", "code", "message", "severity"} <= problem.keys()
        assert len(status["problems"]) > 1
        assert "revision" not in status
        assert revisions(stage) == []

    on_a_stage(play)


def test_a_text_that_is_no_definition_says_the_line() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine("StartAt: A\nStates: [")
        status = machine(stage)["status"]
        assert ready(stage)["status"] == "False"
        assert any("line" in problem for problem in status["problems"])

    on_a_stage(play)


def test_a_machine_without_a_definition_is_invalid() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {})
        await stage.machines.judge("default", "m")
        assert ready(stage)["reason"] == "InvalidDefinition"

    on_a_stage(play)


def test_only_so_many_problems_are_shown() -> None:
    bad = {"StartAt": "s0", "States": {f"s{n}": {"Type": "Nonsense"} for n in range(150)}}

    async def play(stage: Stage) -> None:
        await stage.apply_machine(bad)
        assert len(machine(stage)["status"]["problems"]) <= machines.PROBLEMS_MAX

    on_a_stage(play)


def test_a_change_makes_another_revision_and_leaves_the_one_before() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        first = machine(stage)["status"]["revision"]["name"]
        await stage.apply_machine(FAILS)
        second = machine(stage)["status"]["revision"]["name"]
        assert revisions(stage) == [first, second]
        assert machine(stage)["status"]["observedGeneration"] == 2
        await stage.apply_machine(NOTHING)
        assert machine(stage)["status"]["revision"]["name"] == first
        assert revisions(stage) == [first, second]

    on_a_stage(play)


def test_what_a_revision_holds_makes_its_digest() -> None:
    same = digest_of({"definition": NOTHING, "suspend": True})
    assert same == digest_of({"suspend": False, "definition": dict(reversed(NOTHING.items()))})
    assert same != digest_of({"definition": NOTHING, "jobMode": "plain"})


def test_a_change_in_the_middle_of_judging_leaves_it_to_the_next() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        change = {"spec": {"definition": None}}
        stage.api.next(
            "update_status",
            STATE_MACHINES,
            lambda: stage.objects.patch(STATE_MACHINES, "default", "m", change),
        )
        assert not await stage.machines.judge("default", "m")
        assert "status" not in machine(stage)

    on_a_stage(play)


def test_a_deletion_in_the_middle_of_judging_is_no_fault() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        stage.api.next(
            "update_status",
            STATE_MACHINES,
            lambda: stage.cluster.remove(STATE_MACHINES, ("default", "m")),
        )
        assert not await stage.machines.judge("default", "m")

    on_a_stage(play)


def test_an_api_server_that_does_not_answer_is_a_fault() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        stage.api.next("create", REVISIONS, "failed")
        with pytest.raises(Unavailable):
            await stage.machines.judge("default", "m")

    on_a_stage(play)


def test_a_name_that_another_definition_took_is_never_used() -> None:
    async def play(stage: Stage) -> None:
        name = names.revision("m", digest_of({"definition": NOTHING}))
        taken = {"stateMachine": "m", "digest": "f" * 64, "definition": FAILS}
        stage.objects.create(REVISIONS, "default", {"metadata": {"name": name}, "spec": taken})
        create(stage, {"definition": NOTHING})
        await stage.machines.judge("default", "m")
        status = machine(stage).get("status") or {}
        assert "revision" not in status
        assert isinstance(await stage.machines.current("default", "m"), MachineUnready)

    on_a_stage(play)


# ------------------------------------------------------------------------------------ NullsDropped


def applied(definition: Any) -> dict[str, Any]:
    text = json.dumps({"spec": {"definition": definition}})
    return {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}


WITH_NULLS = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Pass", "ResultPath": None, "Next": "B/~"},
        "B/~": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.x", "IsNull": None, "Next": "A"}],
        },
    },
}
WITHOUT_NULLS = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Pass", "Next": "B/~"},
        "B/~": {"Type": "Choice", "Choices": [{"Variable": "$.x", "Next": "A"}]},
    },
}


def test_nulls_that_apply_dropped_are_named_with_the_remedy() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": WITHOUT_NULLS}, **applied(WITH_NULLS))
        await stage.machines.judge("default", "m")
        assert ready(stage)["reason"] == "NullsDropped"
        assert "--server-side" in ready(stage)["message"]
        pointers = [problem["pointer"] for problem in machine(stage)["status"]["problems"]]
        assert pointers == ["/States/A/ResultPath", "/States/B~1~0/Choices/0/IsNull"]

    on_a_stage(play)


@pytest.mark.parametrize(
    "metadata",
    [
        applied(NOTHING),
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{"}},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "[]"}},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        {"annotations": {"other": "x"}},
        applied("text"),
    ],
)
def test_other_annotations_say_nothing(metadata: Any) -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING}, **metadata)
        await stage.machines.judge("default", "m")
        assert ready(stage)["status"] == "True"

    on_a_stage(play)


# --------------------------------------------------------------------------------------- reading


async def unready(stage: Stage) -> MachineUnready:
    found = await stage.machines.current("default", "m")
    assert isinstance(found, MachineUnready)
    return found


def test_the_current_one_is_read_and_pinned() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": ONE_TASK, "podTemplate": {"spec": {}}})
        await stage.machines.judge("default", "m")
        pinned = await stage.machines.current("default", "m")
        assert isinstance(pinned, Pinned)
        assert pinned.revision == machine(stage)["status"]["revision"]["name"]
        assert pinned.digest == digest_of(machine(stage)["spec"])
        assert pinned.pods == {"podTemplate": {"spec": {}}}
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

    def counted(definition: Any) -> Any:
        parsed.append(definition)
        return parse(definition)

    monkeypatch.setattr(document, "parse", counted)

    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        asks = [stage.machines.pinned("default", name) for _ in range(20)]
        programs = [pinned.program for pinned in await asyncio.gather(*asks)]
        assert len(parsed) == 1
        assert all(program is programs[0] for program in programs)

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


def test_a_revision_that_this_release_finds_invalid_cannot_be_pinned() -> None:
    async def play(stage: Stage) -> None:
        held = {"definition": {"States": {}}}
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


# --------------------------------------------------------------------------------------- tidying


async def swept(stage: Stage, seconds: float) -> list[str]:
    """Sweep every half minute, for so long."""
    for _ in range(int(seconds / 30) + 1):
        await stage.machines.sweep()
        await asyncio.sleep(30)
    return revisions(stage)


def test_a_revision_that_nobody_needs_is_removed_in_time() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        old, new = revisions(stage)
        await stage.machines.pinned("default", old)
        assert await swept(stage, SPARE_SECONDS - 31) == [old, new]
        assert await swept(stage, 60) == [new]
        with pytest.raises(Missing):
            await stage.machines.pinned("default", old)

    on_a_stage(play)


def test_the_time_counts_from_when_it_was_last_current() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        await swept(stage, 90)
        await stage.apply_machine(NOTHING)
        await swept(stage, 0)
        await stage.apply_machine(FAILS)
        assert len(await swept(stage, 60)) == 2

    on_a_stage(play)


def test_one_that_an_execution_pins_stays_although_it_has_ended() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        old = stage.status()["revision"]
        await stage.apply_machine(FAILS)
        assert old in await swept(stage, 300)
        stage.cluster.remove(EXECUTIONS, ("default", "e"))
        assert old not in await swept(stage, 0)

    on_a_stage(play)


def test_those_of_a_machine_that_is_gone_go_too() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        assert await swept(stage, 300) == []

    on_a_stage(play)


def test_one_that_somebody_replaced_meanwhile_stays() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        (old,) = list(stage.objects.each(REVISIONS))
        name = old["metadata"]["name"]

        def replaced() -> None:
            stage.cluster.remove(REVISIONS, ("default", name))
            stage.objects.create(REVISIONS, "default", {**old, "metadata": {"name": name}})

        stage.api.next("delete", REVISIONS, replaced)
        assert await swept(stage, 120) == [name]

    on_a_stage(play)


def back_to(stage: Stage, definition: Any) -> "asyncio.Task[bool]":
    """Somebody applies an earlier definition again, and it is judged."""
    old = stage.objects.get(STATE_MACHINES, "default", "m")
    stage.objects.update(STATE_MACHINES, "default", {**old, "spec": {"definition": definition}})
    return asyncio.create_task(stage.machines.judge("default", "m"))


@pytest.mark.parametrize(("verb", "kind"), [("list", EXECUTIONS), ("list", STATE_MACHINES)])
def test_one_that_becomes_current_in_the_middle_of_a_sweep_stays(verb: str, kind: Any) -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        await stage.apply_machine(FAILS)
        await swept(stage, 90)
        judging: list[asyncio.Task[bool]] = []
        stage.api.next(verb, kind, lambda: judging.append(back_to(stage, NOTHING)))
        await asyncio.sleep(30)
        await stage.machines.sweep()
        assert await judging[0]
        assert isinstance(await stage.machines.current("default", "m"), Pinned)

    on_a_stage(play)


def test_one_that_is_removed_while_it_is_judged_is_written_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        (name,) = revisions(stage)
        await stage.apply_machine(FAILS)
        remove = lambda: stage.cluster.remove(REVISIONS, ("default", name))  # noqa: E731
        stage.api.next("patch", REVISIONS, remove)
        assert await back_to(stage, NOTHING)
        assert name in revisions(stage)
        assert isinstance(await stage.machines.current("default", "m"), Pinned)

    on_a_stage(play)


def test_only_the_namespaces_that_are_served_are_swept() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.cluster.remove(STATE_MACHINES, ("default", "m"))
        for _ in range(10):
            await stage.machines.sweep(["other"])
            await asyncio.sleep(30)
        assert len(revisions(stage)) == 1

    on_a_stage(play)


def test_a_machine_that_is_not_judged_has_no_current_one() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": NOTHING})
        await stage.machines.sweep()
        assert revisions(stage) == []

    on_a_stage(play)
