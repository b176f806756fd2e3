"""Whatever can be known before anything runs is a problem of the machine."""

import asyncio
from typing import Any

import pytest

from tests.runtime.stage import FAILS, JOB, NOTHING, ONE_TASK, Stage, on_a_stage
from treadle.kube import names
from treadle.kube.api import Obj
from treadle.kube.kinds import REVISIONS, STATE_MACHINES
from treadle.kube.podtemplates import PodDefaults
from treadle.stores.judgement import Installation, Judgement, judge
from treadle.stores.judging import RETRY_SECONDS, Judging
from treadle.stores.machines import RevisionMachines, digest_of

HERE = Installation(PodDefaults(), frozenset({"treadle:job"}))
ROOT = {"spec": {"containers": [{"name": "main", "securityContext": {"privileged": True}}]}}
OTHER = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}


def judged(definition: Any = ONE_TASK, **spec: Any) -> Judgement:
    return judge({"metadata": {}, "spec": {"definition": definition, **spec}}, HERE)


def said(found: Judgement) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in found.errors]


async def ready(stage: Stage, machines: RevisionMachines) -> tuple[Obj, Obj]:
    """The condition and the status after judging the machine `m`."""
    await machines.judge("default", "m")
    status: Obj = stage.objects.get(STATE_MACHINES, "default", "m")["status"]
    (condition,) = status["conditions"]
    return condition, status


def create(stage: Stage, spec: Any, name: str = "m") -> None:
    stage.objects.create(STATE_MACHINES, "default", {"metadata": {"name": name}, "spec": spec})


# ----------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"podTemplate": ROOT}, "/podTemplate"),
        ({"podTemplates": {"a/b~": ROOT}}, "/podTemplates/a~1b~0"),
        ({"podTemplates": []}, "/podTemplates"),
    ],
)
def test_a_template_above_the_allowed_level_is_a_problem_of_the_machine(
    spec: Any, pointer: str
) -> None:
    found = judged(**spec)
    assert found.reason == "InvalidPodTemplate"
    assert (pointer, "pod-template") in said(found)


def test_a_machine_with_such_a_template_is_not_ready_and_has_no_revision() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": ONE_TASK, "podTemplate": ROOT})
        condition, status = await ready(stage, stage.machines)
        assert (condition["status"], condition["reason"]) == ("False", "InvalidPodTemplate")
        assert status["problems"][0]["pointer"] == "/podTemplate"
        assert list(stage.objects.each(REVISIONS)) == []

    on_a_stage(play)


def test_the_allowed_level_is_the_installations() -> None:
    free = Installation(PodDefaults(level="privileged"), HERE.resources)
    obj = {"metadata": {}, "spec": {"definition": ONE_TASK, "podTemplate": ROOT}}
    assert judge(obj, free).errors == ()


# ----------------------------------------------------------------------------------- resources


def test_a_resource_that_nothing_here_runs_is_named_wherever_it_stands() -> None:
    definition = {
        "StartAt": "P",
        "States": {
            "P": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "A", "States": {"A": {**JOB, "End": True}}},
                    {"StartAt": "b/~", "States": {"b/~": OTHER}},
                ],
                "Next": "M",
            },
            "M": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "C", "States": {"C": OTHER}},
                "Next": "D",
            },
            "D": OTHER,
        },
    }
    found = judged(definition)
    assert found.reason == "ResourceNotRunnable"
    assert sorted(said(found)) == [
        ("/States/D/Resource", "resource-not-runnable"),
        ("/States/M/ItemProcessor/States/C/Resource", "resource-not-runnable"),
        ("/States/P/Branches/1/States/b~1~0/Resource", "resource-not-runnable"),
    ]


def test_a_machine_with_such_a_resource_is_not_ready() -> None:
    async def play(stage: Stage) -> None:
        create(stage, {"definition": {"StartAt": "A", "States": {"A": OTHER}}})
        machines = RevisionMachines(stage.api, stage.now, HERE)
        condition, status = await ready(stage, machines)
        assert (condition["status"], condition["reason"]) == ("False", "ResourceNotRunnable")
        assert "sqs:sendMessage" in condition["message"]
        assert "revision" not in status

    on_a_stage(play)


# -------------------------------------------------------------------------------- revision names


def test_a_name_that_is_taken_is_said_with_the_remedy() -> None:
    async def play(stage: Stage) -> None:
        name = names.revision("m", digest_of({"definition": NOTHING}))
        taken = {"stateMachine": "m", "digest": "f" * 64, "definition": FAILS}
        stage.objects.create(REVISIONS, "default", {"metadata": {"name": name}, "spec": taken})
        create(stage, {"definition": NOTHING})
        condition, status = await ready(stage, stage.machines)
        assert (condition["status"], condition["reason"]) == ("False", "RevisionNameTaken")
        assert name in condition["message"]
        assert "delete it" in condition["message"]
        assert "revision" not in status

    on_a_stage(play)


# --------------------------------------------------------------------------------- side by side


def test_a_fault_holds_up_no_other() -> None:
    async def play(stage: Stage) -> None:
        told: list[str] = []
        queue = Judging(stage.machines.judge, lambda _, name: told.append(name))
        asyncio.create_task(queue.run())  # noqa: RUF006 - ends with the world
        for name in "ab":
            create(stage, {"definition": NOTHING}, name)
            queue.post("default", name)
        stage.api.next("get", STATE_MACHINES, "failed")
        await asyncio.sleep(RETRY_SECONDS / 2)
        assert told == ["b"]
        await asyncio.sleep(RETRY_SECONDS)
        assert told == ["b", "a"]

    on_a_stage(play)


# ----------------------------------------------------------------------------------- its type


def test_an_express_machine_may_do_less() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::batch:submitJob.sync", "End": True}
    definition = {"StartAt": "A", "States": {"A": task}}
    codes = {code for _, code in said(judged(definition, type="EXPRESS"))}
    assert codes - {code for _, code in said(judged(definition))} == {"resource-express"}
