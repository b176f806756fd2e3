"""What is refused, too large, broken or on its way out is said, and hangs nobody."""

import asyncio

from tests.runtime.stage import NOTHING, ONE_TASK, Hands, Stage, on_a_stage
from treadle.engine.events import TaskId
from treadle.kube import decode
from treadle.kube.kinds import EXECUTIONS
from treadle.runtime.ports import Attempt, Order, Refused, Standing

A1 = TaskId(0, 1, 1)
FULL = "executionpages.treadle.dev is forbidden: exceeded quota: q"


class Clumsy(Hands):
    """A runner that is wrong."""

    async def start(self, order: Order) -> None:
        self.tries += 1
        raise KeyError(order.task.state)


def refuse() -> None:
    """What a test has happen just before a request: it is refused."""
    raise Refused(403, "Forbidden", FULL)


def test_an_attempt_that_we_cannot_start_fails_instead_of_waiting_for_ever() -> None:
    async def play(stage: Stage) -> None:
        clumsy = Clumsy()
        stage.hands.resources = frozenset({"treadle:other"})
        stage.driver.serve([clumsy])
        await stage.running(ONE_TASK)
        await asyncio.sleep(5)
        assert (stage.phase(), stage.status()["error"]) == ("Failed", "States.Runtime")
        assert "KeyError" in stage.status()["cause"]
        assert clumsy.tries == 1

    on_a_stage(play)


def test_an_input_above_the_setting_fails_the_start_and_names_it() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(NOTHING, input={"v": "x" * 1_048_576})
        status = stage.status()
        assert (stage.phase(), status["error"]) == ("Failed", "States.DataLimitExceeded")
        assert "payloadBytesMax" in status["cause"]
        assert "1,048,584 bytes" in status["cause"]
        assert "checkpoint" not in status

    on_a_stage(play)


def test_an_input_of_just_the_setting_is_taken_and_counted_in_bytes() -> None:
    async def play(stage: Stage) -> None:
        most = 1_048_576 - len('{"v":""}')
        await stage.running(NOTHING, input={"v": "x" * most})
        assert stage.phase() == "Succeeded"
        key = stage.apply("f", input={"v": "é" * (most // 2 + 1)})
        stage.see("f")
        await asyncio.sleep(1)
        assert (key.name, stage.phase("f")) == ("f", "Failed")

    on_a_stage(play)


def test_a_save_that_is_refused_is_told_to_people_and_tried_again() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("update_status", EXECUTIONS, refuse, times=2)
        await stage.running(NOTHING)
        await asyncio.sleep(5)
        assert stage.said.count(("Warning", "Refused", FULL)) == 2
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_save_without_an_answer_is_not() -> None:
    async def play(stage: Stage) -> None:
        stage.api.next("update_status", EXECUTIONS, "failed", times=2)
        await stage.running(NOTHING)
        await asyncio.sleep(5)
        assert [reason for _, reason, _ in stage.said if reason == "Refused"] == []
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_the_attempts_of_one_that_a_finalizer_holds_are_gone() -> None:
    async def play(stage: Stage) -> None:
        spec = {"stateMachineRef": {"name": "m"}, "input": {}}
        obj = {"metadata": {"name": "e", "finalizers": ["example.com/hold"]}, "spec": spec}
        key = decode.key(stage.objects.create(EXECUTIONS, "default", obj))
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.UNKNOWN
        stage.reborn()
        stage.objects.delete(EXECUTIONS, "default", "e")
        assert "deletionTimestamp" in stage.of()["metadata"]
        assert await stage.driver.standing(Attempt(key, A1)) is Standing.GONE
        assert stage.driver.known() == 0

    on_a_stage(play)
