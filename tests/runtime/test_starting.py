"""An execution starts when its machine is ready; until then it is pending, and not for ever."""

import asyncio

from tests.runtime.stage import NOTHING, Stage, on_a_stage
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES


def test_without_its_machine_it_is_pending_and_says_why() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        assert stage.phase() == "Pending"
        assert stage.status()["message"] == "StateMachine 'm' does not exist"
        assert stage.said == [("Warning", "Pending", "StateMachine 'm' does not exist")]

    on_a_stage(play)


def test_it_starts_when_its_machine_appears() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        await stage.apply_machine(NOTHING)
        await asyncio.sleep(5)
        assert stage.phase() == "Succeeded"
        assert "pendingSince" in stage.status()

    on_a_stage(play)


def test_and_at_once_when_it_is_told() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        await stage.apply_machine(NOTHING)
        stage.driver.machine_changed("default", "m")
        await asyncio.sleep(0.2)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_of_other_machines_it_is_not_told() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        reads = stage.api.count("get", STATE_MACHINES)
        stage.driver.machine_changed("default", "other")
        stage.driver.machine_changed("elsewhere", "m")
        await asyncio.sleep(0.2)
        assert stage.api.count("get", STATE_MACHINES) == reads

    on_a_stage(play)


def test_it_fails_when_its_start_deadline_has_passed() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(startDeadlineSeconds=7)
        stage.driver.open()
        stage.see()
        await asyncio.sleep(6.9)
        assert stage.phase() == "Pending"
        await asyncio.sleep(0.5)
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.StartDeadlineExceeded"
        assert "startDeadlineSeconds (7) has passed" in stage.status()["cause"]
        assert stage.meter.told == [("ended", "Failed")]
        await asyncio.sleep(60)
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_the_deadline_counts_from_the_save_that_recorded_pending() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(startDeadlineSeconds=7)
        await asyncio.sleep(100)  # nobody was there
        stage.driver.open()
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Pending"
        stage.reborn()
        stage.driver.open()
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Pending"
        await asyncio.sleep(2)
        assert stage.phase() == "Failed"

    on_a_stage(play)


def test_a_machine_that_nobody_has_judged_yet_fails_nothing() -> None:
    async def play(stage: Stage) -> None:
        spec = {"definition": NOTHING}
        obj = {"metadata": {"name": "m"}, "spec": spec}
        stage.objects.create(STATE_MACHINES, "default", obj)
        stage.apply(startDeadlineSeconds=7)
        stage.driver.open()
        stage.see()
        await asyncio.sleep(20)
        assert stage.phase() == "Pending"
        await stage.machines.judge("default", "m")
        await asyncio.sleep(6)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_with_an_invalid_machine_it_fails_at_once() -> None:
    async def play(stage: Stage) -> None:
        await stage.running({"StartAt": "A", "States": {}})
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.InvalidDefinition"
        assert "StateMachine 'm'" in stage.status()["cause"]

    on_a_stage(play)


def test_with_a_spec_that_cannot_be_used_it_fails_with_the_sentence() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING, inputJson="{", input=None)
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.InvalidExecution"
        assert "/spec" in stage.status()["cause"]

    on_a_stage(play)


def test_a_pending_one_can_be_stopped() -> None:
    async def play(stage: Stage) -> None:
        await stage.seen()
        stage.change(stop={"error": "No", "cause": "not today"})
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert (stage.status()["error"], stage.status()["cause"]) == ("No", "not today")
        assert stage.condition("Failed") == ("True", "Aborted")

    on_a_stage(play)


def test_a_stop_without_words_leaves_none() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(stop={})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert "error" not in stage.status()
        assert "cause" not in stage.status()
        assert stage.said == [("Warning", "Aborted", "Aborted")]

    on_a_stage(play)


def test_who_stops_it_before_its_start_is_told() -> None:
    async def play(stage: Stage) -> None:
        stage.apply(stop={"error": "No", "by": "ada"})
        stage.driver.open()
        stage.see()
        await asyncio.sleep(1)
        assert stage.said == [("Warning", "Aborted", "No (by ada)")]

    on_a_stage(play)


def test_a_conflict_while_pending_starts_over() -> None:
    async def play(stage: Stage) -> None:
        stage.apply()
        stage.driver.open()
        stage.api.next("update_status", EXECUTIONS, lambda: stage.change(stop={"error": "No"}))
        stage.see()
        await asyncio.sleep(1)
        assert stage.phase() == "Aborted"
        assert stage.meter.told[0] == ("saved", "conflict")

    on_a_stage(play)


def test_a_machine_that_cannot_be_read_is_asked_for_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        stage.driver.open()
        stage.api.next("get", STATE_MACHINES, "failed", times=3)
        stage.see()
        await asyncio.sleep(3)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)
