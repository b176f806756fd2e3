"""A machine is judged once a generation: its condition, its problems and its revision."""

import json
from typing import Any

import pytest

from tests.runtime.stage import FAILS, NOTHING, Stage, on_a_stage
from tests.stores.machines_seen import create, machine, ready, revisions
from treadle.kube import names
from treadle.kube.kinds import REVISIONS, STATE_MACHINES
from treadle.runtime.ports import MachineUnready, Unavailable
from treadle.stores import machines
from treadle.stores.machines import digest_of

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
        assert len(machine(stage)["status"]["problems"]) <= machines.STATUS_PROBLEMS_MAX

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
