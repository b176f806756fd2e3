"""Executions whose expressions take long: they hold up nobody, and hear what they are told."""

import random
from typing import Any

import pytest

from tests.runtime.stage import A1, JOB, Stage, on_a_stage
from treadle.engine.events import TaskId, TaskSucceeded
from treadle.kube.kinds import EXECUTIONS

SECOND = "{% 1 + 1 %}"


def passes(count: int, output: Any = SECOND, **machine: Any) -> dict[str, Any]:
    """A machine of so many Pass states, each of which takes a second."""
    states: dict[str, Any] = {
        f"s{n}": {"Type": "Pass", "Output": output, "Next": f"s{n + 1}"} for n in range(count)
    }
    states[f"s{count}"] = {"Type": "Succeed"}
    return {"QueryLanguage": "JSONata", "StartAt": "s0", "States": states, **machine}


def task(text: str = SECOND, **members: Any) -> dict[str, Any]:
    arguments = {"image": "i", "env": {"N": text}}
    return {"Type": "Task", "Resource": JOB["Resource"], "Arguments": arguments, **members}


TWO = {
    "QueryLanguage": "JSONata",
    "StartAt": "P",
    "States": {
        "P": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": name, "States": {name: task(End=True)}} for name in ("A", "B")
            ],
            "End": True,
        }
    },
}
ONE = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": task(End=True)}}


def test_a_stop_is_heard_between_two_expressions() -> None:
    async def play(stage: Stage) -> None:
        stage.takes_time = True
        await stage.running(passes(400))
        await stage.passes(4)
        assert stage.phase() == "Running", "it is saved meanwhile"
        stage.change(stop={"error": "Enough"})
        stage.see()
        await stage.passes(4)
        assert stage.phase() == "Aborted"

    on_a_stage(play)


def test_a_deadline_is_kept_between_two_expressions() -> None:
    async def play(stage: Stage) -> None:
        stage.takes_time = True
        await stage.running(passes(400, TimeoutSeconds=10))
        await stage.passes(14)
        assert stage.phase() == "TimedOut"

    on_a_stage(play)


def test_one_that_takes_long_holds_up_no_other_long_one() -> None:
    chain: dict[str, Any] = {f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(1_200)}
    chain["s1200"] = {"Type": "Succeed"}

    async def play(stage: Stage) -> None:
        stage.takes_time = True
        await stage.running(passes(400))
        await stage.apply_machine({"StartAt": "s0", "States": chain}, "long")
        await stage.passes(5)
        stage.apply("other", "long")
        stage.see("other")
        await stage.passes(3)
        assert (stage.phase("other"), stage.phase()) == ("Succeeded", "Running")

    on_a_stage(play)


def test_what_was_made_is_saved_before_it_is_too_much() -> None:
    states: dict[str, Any] = {
        f"s{n}": {
            "Type": "Pass",
            "Parameters": {"text.$": "States.Format('-{}', $.text)"},
            "Next": f"s{n + 1}",
        }
        for n in range(99)
    }
    states["s99"] = {"Type": "Succeed"}
    large = {"text": random.Random(1).randbytes(450_000).hex()}

    async def play(stage: Stage) -> None:
        await stage.running({"StartAt": "s0", "States": states}, input=large)
        await stage.passes(5)
        assert stage.api.count("update_status", EXECUTIONS) >= 7
        assert stage.phase() == "Failed"
        assert stage.status()["error"] == "Treadle.LimitExceeded"
        assert "executionPagesBytesMax" in stage.status()["cause"]

    on_a_stage(play)


def test_what_a_restart_evaluates_again_is_evaluated_apart_and_one_at_a_time() -> None:
    async def play(stage: Stage) -> None:
        stage.takes_time = True
        await stage.running(TWO)
        await stage.passes(5)
        stage.reborn()
        stage.most_apart = 0
        stage.driver.open()
        stage.see()
        await stage.passes(6)
        assert sorted(stage.hands.asked) == [TaskId(1, 2, 1), TaskId(2, 3, 1)]
        assert stage.most_apart == 1, "two threads were at one execution"

    on_a_stage(play)


def test_an_event_waits_until_nobody_else_is_at_the_execution() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO)
        await stage.passes(5)
        stage.reborn()
        stage.most_apart = 0
        stage.free.clear()
        stage.driver.open()
        stage.see()
        await stage.passes(1)
        assert stage.apart == 1, "an attempt is about to be started"
        stage.driver.post(key, _succeeded(stage, TaskId(1, 2, 1)))
        await stage.passes(1)
        assert stage.apart == 1
        stage.free.set()
        await stage.passes(1)
        assert stage.most_apart == 1
        assert stage.hands.asked == [TaskId(2, 3, 1)], "the other is over"

    on_a_stage(play)


def _succeeded(stage: Stage, of: TaskId) -> Any:
    return TaskSucceeded(of, "1", stage.now())


def test_a_lost_evaluation_at_the_start_is_made_again() -> None:
    async def play(stage: Stage) -> None:
        stage.losses = 3
        await stage.running(passes(3))
        await stage.passes(30)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_a_lost_evaluation_of_what_follows_an_event_is_made_again() -> None:
    states = {"A": task(Next="B"), "B": {"Type": "Pass", "Output": SECOND, "End": True}}
    machine = {"QueryLanguage": "JSONata", "StartAt": "A", "States": states}

    async def play(stage: Stage) -> None:
        key = await stage.running(machine)
        await stage.passes(3)
        stage.losses = 4
        stage.succeed(key)
        await stage.passes(30)
        assert (stage.phase(), stage.status()["output"]) == ("Succeeded", "2")
        assert stage.hands.asked == [A1]

    on_a_stage(play)


@pytest.mark.parametrize("definition", [ONE, TWO])
def test_a_lost_evaluation_of_an_attempt_that_runs_fails_nobody(definition: Any) -> None:
    async def play(stage: Stage) -> None:
        await stage.running(definition)
        await stage.passes(3)
        stage.reborn()
        stage.losses = 5
        stage.driver.open()
        stage.see()
        await stage.passes(60)
        assert (stage.phase(), stage.condition("Parked")) == ("Running", None)
        assert len(stage.hands.asked) == len(stage.status()["currentStates"])

    on_a_stage(play)


def test_a_lost_evaluation_of_a_map_that_waits_parks_nobody() -> None:
    inner = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
    each = {"Type": "Map", "Items": "{% [1..3] %}", "ItemProcessor": inner, "End": True}
    machine = {"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": each}}

    async def play(stage: Stage) -> None:
        await stage.running(machine)
        await stage.passes(5)
        stage.reborn()
        stage.losses = 5
        stage.driver.open()
        stage.see()
        await stage.passes(120)
        assert (stage.phase(), stage.condition("Parked")) == ("Succeeded", None)

    on_a_stage(play)


def test_who_pays_for_a_thread_is_the_machine_in_its_namespace() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(passes(1))
        await stage.passes(1)
        revision = stage.status()["revision"]
        assert set(stage.payers) == {("default", revision)}

    on_a_stage(play)
