"""A redrive is asked for in the spec, answered once, and saved before anything runs again."""

from typing import Any

import pytest

from tests.runtime.stage import A1, FAILS, JOB, NOTHING, TWO_TASKS, Stage, on_a_stage
from treadle.asl.errors import StateError
from treadle.asl.json import dumps
from treadle.engine.events import TaskFailed, TaskId
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS, REVISIONS
from treadle.stores import histories
from treadle.stores.machines import SPARE_SECONDS

LATER = 200.0  # seconds after which a finished run is let go


async def failed(stage: Stage, definition: Any = TWO_TASKS, *, is_let_go: bool = False) -> None:
    """An Execution whose second task failed."""
    key = await stage.running(definition)
    stage.succeed(key)
    await stage.passes(1)
    stage.driver.post(key, TaskFailed(stage.hands.task().id, StateError("E", "bad"), stage.now()))
    await stage.passes(LATER if is_let_go else 1)
    assert stage.phase() == "Failed"


async def asked(stage: Stage, **redrive: Any) -> None:
    """Somebody asks for a redrive, and it is seen."""
    stage.change(redrive=redrive)
    stage.see()
    await stage.passes(1)


def revisions(stage: Stage) -> list[str]:
    """The names of all revisions."""
    return [obj["metadata"]["name"] for obj in stage.objects.each(REVISIONS)]


def test_it_goes_on_where_it_failed_and_ends_well() -> None:
    async def play(stage: Stage, *, is_let_go: bool) -> None:
        await failed(stage, is_let_go=is_let_go)
        before = stage.api.count("update_status", EXECUTIONS)
        await asked(stage, id="1")
        assert stage.api.count("update_status", EXECUTIONS) == before + 1
        assert (stage.phase(), stage.condition("Failed")) == ("Running", ("False", "Redriven"))
        answer = stage.status()["redrive"]
        assert (answer["id"], answer["count"]) == ("1", 1)
        assert "error" not in stage.status()
        assert stage.hands.asked == [A1, TaskId(0, 2, 1), TaskId(0, 3, 1)]
        stage.succeed(stage.key, '"done"')
        await stage.passes(1)
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", '"done"')
        assert stage.condition("Complete") == ("True", "Succeeded")
        assert stage.condition("Failed") == ("False", "Redriven")
        assert ("Normal", "Redriven", "redrive '1'") in stage.said

    for is_let_go in (False, True):
        on_a_stage(lambda stage, is_let_go=is_let_go: play(stage, is_let_go=is_let_go))


def test_who_asks_for_it_is_told() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        await asked(stage, id="1", by="ada")
        assert ("Normal", "Redriven", "redrive '1' (by ada)") in stage.said
        history = await histories.read(stage.api, stage.of())
        (redriven,) = [each for each in history if each.type == "ExecutionRedriven"]
        assert redriven.details == {"redriveCount": 1, "by": "ada"}

    on_a_stage(play)


def test_each_id_counts_once() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        await asked(stage, id="1")
        key = stage.key
        error = TaskFailed(stage.hands.task().id, StateError("E2"), stage.now())
        stage.driver.post(key, error)
        await stage.passes(1)
        assert stage.phase() == "Failed"
        for _ in range(3):
            stage.touch()
            stage.see()
            await stage.passes(1)
        assert stage.phase() == "Failed"
        assert len(stage.hands.asked) == 3
        await asked(stage, id="2")
        assert (stage.phase(), stage.status()["redrive"]["count"]) == ("Running", 2)

    on_a_stage(play)


def test_after_a_restart_it_is_still_asked_for() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        stage.change(redrive={"id": "1"})
        stage.reborn()
        stage.driver.open()
        await stage.passes(1000)
        stage.see()
        await stage.passes(1)
        assert stage.phase() == "Running"
        assert stage.hands.asked == [TaskId(0, 3, 1)]

    on_a_stage(play)


def test_a_lost_answer_of_the_save_redrives_once() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        stage.api.next("update_status", EXECUTIONS, "lost")
        await asked(stage, id="1")
        await stage.passes(5)
        assert stage.status()["redrive"]["count"] == 1
        assert stage.hands.asked[2:] == [TaskId(0, 3, 1)]

    on_a_stage(play)


def test_somebody_labels_it_while_it_is_saved() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        stage.api.next("update_status", EXECUTIONS, stage.touch)
        await asked(stage, id="1")
        await stage.passes(5)
        assert (stage.phase(), stage.status()["redrive"]["count"]) == ("Running", 1)
        assert stage.hands.asked[2:] == [TaskId(0, 3, 1)]

    on_a_stage(play)


def test_what_runs_is_not_redriven_later_by_the_same_wish() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS, redrive={"id": "early"})
        stage.see()
        await stage.passes(1)
        sentence = "the execution has not ended"
        assert stage.status()["redrive"] == {"id": "early", "refused": sentence}
        assert ("Warning", "RedriveRefused", sentence) in stage.said
        stage.driver.post(key, TaskFailed(A1, StateError("E"), stage.now()))
        await stage.passes(1)
        stage.see()
        await stage.passes(1)
        assert stage.phase() == "Failed"
        assert stage.status()["redrive"]["refused"] == sentence

    on_a_stage(play)


def test_what_succeeded_or_never_started_is_refused() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING)
        await asked(stage, id="1")
        assert stage.phase() == "Succeeded"
        assert "the execution succeeded" in stage.status()["redrive"]["refused"]
        assert stage.status()["output"] == '{"v":1}'
        stage.apply("never", machine="nobody", startDeadlineSeconds=1)
        stage.see("never")
        await stage.passes(30)
        assert stage.phase("never") == "Failed"
        stage.change("never", redrive={"id": "1"})
        stage.see("never")
        await stage.passes(1)
        assert "never started" in stage.status("never")["redrive"]["refused"]

    on_a_stage(play)


def test_a_stop_is_taken_back_with_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(TWO_TASKS)
        stage.change(stop={"error": "Why"})
        stage.see()
        stopped = stage.of()
        await stage.passes(1)
        assert stage.phase() == "Aborted"
        await asked(stage, id="1")
        assert stage.status()["redrive"]["refused"].startswith("/spec/stop")
        stage.change(stop=None, redrive={"id": "2"})
        stage.see()
        await stage.passes(1)
        assert stage.phase() == "Running"
        # The watch is behind, and shows the stop once more.
        stage.driver.seen(decode.sighting(stopped))
        await stage.passes(1)
        assert stage.phase() == "Running"
        stage.change(stop={"error": "Again"})
        stage.see()
        await stage.passes(1)
        assert (stage.phase(), stage.status()["error"]) == ("Aborted", "Again")

    on_a_stage(play)


MENDED = {"StartAt": "A", "States": {**TWO_TASKS["States"], "B": {**JOB, "Next": "C"}}}
MENDED["States"]["C"] = {**JOB, "End": True}
OTHER = {"StartAt": "X", "States": {"X": {**JOB, "End": True}}}


def test_it_goes_on_with_a_mended_revision() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        (old,) = revisions(stage)
        await stage.apply_machine(MENDED)
        (new,) = set(revisions(stage)) - {old}
        await asked(stage, id="1", revision=new)
        assert (stage.phase(), stage.status()["revision"]) == ("Running", new)
        history = await histories.read(stage.api, stage.of())
        (redriven,) = [each for each in history if each.type == "ExecutionRedriven"]
        assert redriven.details == {"redriveCount": 1, "revision": new}
        stage.succeed(stage.key)
        await stage.passes(1)
        assert stage.hands.task().state == "C"
        stage.reborn()
        stage.driver.open()
        stage.see()
        await stage.passes(1)
        assert stage.hands.task().state == "C"

    on_a_stage(play)


def test_a_revision_that_does_not_fit_is_refused() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        (old,) = revisions(stage)
        await stage.apply_machine(OTHER)
        (other,) = set(revisions(stage)) - {old}
        await asked(stage, id="1", revision=other)
        refused = stage.status()["redrive"]["refused"]
        assert refused.startswith(f"/spec/redrive/revision: '{other}' does not fit the execution:")
        assert "/States/B: the execution halted in the state 'B'" in refused
        assert (stage.phase(), stage.status()["revision"]) == ("Failed", old)
        await asked(stage, id="2", revision="none")
        assert "there is no StateMachineRevision 'none'" in stage.status()["redrive"]["refused"]
        await stage.apply_machine(NOTHING, name="stranger")
        stranger = next(name for name in revisions(stage) if name.startswith("stranger"))
        await asked(stage, id="3", revision=stranger)
        assert "of the StateMachine 'stranger'" in stage.status()["redrive"]["refused"]
        assert len(stage.hands.asked) == 2

    on_a_stage(play)


def test_a_chosen_state_gets_what_it_was_given_before() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        await asked(stage, id="1", **{"from": "A"})
        assert stage.hands.task().state == "A"
        assert stage.hands.task().input == {"v": 1}
        await stage.passes(1)
        stage.driver.post(
            stage.key, TaskFailed(stage.hands.task().id, StateError("E"), stage.now())
        )
        await stage.passes(1)
        await asked(stage, id="2", **{"from": "A", "inputJson": "[2]"})
        assert stage.hands.task().input == [2]

    on_a_stage(play)


def test_a_state_that_was_never_entered_needs_an_input() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.post(key, TaskFailed(A1, StateError("E"), stage.now()))
        await stage.passes(1)
        await asked(stage, id="1", **{"from": "B"})
        assert "never entered 'B'" in stage.status()["redrive"]["refused"]
        await asked(stage, id="2", **{"from": "B", "input": {"n": 1}})
        assert (stage.hands.task().state, stage.hands.task().input) == ("B", {"n": 1})

    on_a_stage(play)


def test_a_fail_fails_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(FAILS)
        await asked(stage, id="1")
        assert (stage.phase(), stage.status()["redrive"]["count"]) == ("Failed", 1)
        assert stage.condition("Failed") == ("True", "Failed")

    on_a_stage(play)


def test_a_fault_while_it_is_answered_loses_nothing() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        await stage.apply_machine(MENDED)
        (new,) = {n for n in revisions(stage) if n != stage.status()["revision"]}
        stage.reborn()
        stage.driver.open()
        stage.api.next("get", REVISIONS, "failed", times=3)
        stage.see()
        await stage.passes(1)
        await asked(stage, id="1", revision=new)
        await stage.passes(20)
        assert stage.hands.asked == [TaskId(0, 3, 1)]
        stage.succeed(stage.key)
        await stage.passes(1)
        assert stage.hands.task().state == "C", "its events find it"
        assert stage.driver.known() == 1

    on_a_stage(play)


def test_a_revision_that_it_takes_is_not_removed_by_a_sweep_that_goes_on() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        old = stage.status()["revision"]
        await stage.apply_machine({**TWO_TASKS, "Comment": "mended"})
        (new,) = {n for n in revisions(stage) if n != old}
        await stage.apply_machine(TWO_TASKS)
        await stage.machines.sweep()
        await stage.passes(SPARE_SECONDS + 1)
        remove = stage.machines._remove

        async def remove_late(obj: Any) -> None:
            # It has seen that no Execution names the revision.
            await asked(stage, id="1", revision=new)
            await remove(obj)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(stage.machines, "_remove", remove_late)
            await stage.machines.sweep()
        assert (stage.phase(), stage.status()["revision"]) == ("Running", new)
        assert new in revisions(stage)

    on_a_stage(play)


def test_what_was_removed_is_not_gone_on_with_though_it_is_remembered() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        old = stage.status()["revision"]
        await stage.apply_machine({**TWO_TASKS, "Comment": "mended"})
        (new,) = {n for n in revisions(stage) if n != old}
        await stage.machines.pinned("default", new)
        stage.cluster.remove(REVISIONS, ("default", new))
        await asked(stage, id="1", revision=new)
        assert "there is no StateMachineRevision" in stage.status()["redrive"]["refused"]

    on_a_stage(play)


def test_what_cannot_be_read_is_refused_once() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        await asked(stage, id="1", inputJson="{")
        refused = stage.status()["redrive"]["refused"]
        assert refused.startswith("/spec/redrive/input: it is not JSON")
        assert ("failed", "runtime") not in stage.meter.told

    on_a_stage(play)


def test_what_is_nested_too_deeply_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The simulated API server writes nothing so deep; a real one does.
    def refuses(value: Any) -> str:
        if value == {"deep": True}:
            raise ValueError("nested too deeply")
        return dumps(value)

    monkeypatch.setattr(decode, "dumps", refuses)

    async def play(stage: Stage) -> None:
        await failed(stage)
        for wish, member in (("1", "input"), ("2", "variables")):
            await asked(stage, id=wish, **{member: {"deep": True}})
            sentence = "/spec/redrive has an input or variables that cannot be used: nested too "
            assert stage.status()["redrive"] == {"id": wish, "refused": sentence + "deeply"}
        assert ("failed", "runtime") not in stage.meter.told
        await asked(stage, id="3", input=None, variables=None)
        assert stage.phase() == "Running"

    on_a_stage(play)


def test_it_may_be_suspended_or_resumed_with_it() -> None:
    async def play(stage: Stage) -> None:
        await failed(stage)
        stage.change(suspend=True, suspendBy={"by": "ada", "uid": stage.key.uid, "generation": 3})
        await asked(stage, id="1", by="bob")
        assert stage.condition("Suspended") == ("True", "SpecSuspend")
        told = (await histories.read(stage.api, stage.of()))[-2:]
        assert [(each.type, each.details.get("by")) for each in told] == [
            ("ExecutionRedriven", "bob"),
            ("ExecutionSuspended", "ada"),
        ]
        assert len(stage.hands.asked) == 2
        stage.change(stop={})
        stage.see()
        await stage.passes(1)
        assert stage.phase() == "Aborted"
        stage.change(stop=None, suspend=False)
        await asked(stage, id="2")
        assert (stage.phase(), len(stage.hands.asked)) == ("Running", 3)

    on_a_stage(play)


def test_what_another_state_inside_was_given_is_not_its_input() -> None:
    async def play(stage: Stage) -> None:
        inner = {"StartAt": "X", "States": {"X": {**JOB, "End": True}}}
        fan = {"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": inner, "End": True}
        await stage.apply_machine({"StartAt": "Fan", "States": {"Fan": fan}})
        stage.apply(input={"l": [1]})
        stage.driver.open()
        stage.see()
        await stage.passes(1)
        error = TaskFailed(stage.hands.task().id, StateError("E"), stage.now())
        stage.driver.post(stage.key, error)
        await stage.passes(1)
        await stage.apply_machine(OTHER)
        (new,) = {n for n in revisions(stage) if n != stage.status()["revision"]}
        await asked(stage, id="1", revision=new, **{"from": "X"})
        assert "never entered 'X'" in stage.status()["redrive"]["refused"]

    on_a_stage(play)
