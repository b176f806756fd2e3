"""The torture mix without a cluster: its outcomes depend on no timing, and frames tell it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.torture import checks, frames
from tests.cluster.torture.mix import Mix, Plan
from tests.cluster.torture.shapes import SHAPES
from tests.cluster.torture.sketch import EXPENDABLE, GONE
from tests.cluster.torture.stage import Result
from treadle.asl import document
from treadle.asl.errors import StateError
from treadle.engine.context import Identity
from treadle.engine.events import TaskFailed, TaskId, TaskStarted, TaskSucceeded, Tick
from treadle.engine.execution import Execution
from treadle.engine.history import History
from treadle.engine.payloads import Payload

MIX = Mix.of(7, "http://127.0.0.1:1")
PLANS = [MIX.plan(number) for number in range(3 * len(SHAPES))]
_UID = "00000000-0000-0000-0000-000000000001"


@dataclass
class Line:
    """As `stores.histories.HistoryEntry`."""

    id: int
    previous: int
    type: str
    details: dict[str, Any]


class Desk:
    """Runs one plan in the engine; each attempt takes a random time."""

    def __init__(self, plan: Plan, seed: int, *, delete: float = 0.0) -> None:
        self._draw = random.Random(f"{plan.name}/{seed}")
        self._delete = delete
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._calls: dict[str, int] = {}
        self.deletions: dict[tuple[str, str], int] = {}
        self._plan = plan
        self._lines: list[Line] = []
        self._execution = Execution.start(
            document.parse(MIX.machines[plan.machine]),
            "r",
            Identity("arn:aws:states:x:1:execution:m:e", plan.name, "arn", plan.machine),
            json.dumps(plan.input),
            seed=b"0" * 16,
            now=self._now,
        )

    def run(self) -> Result:
        due: dict[TaskId, datetime] = {}
        for _ in range(10_000):
            self._take_history()
            if self._execution.memory.over:
                return self._result()
            for task in self._execution.wanted():
                if task not in due and not self._hangs(task):
                    due[task] = self._now + timedelta(seconds=self._draw.uniform(0.1, 5))
            wanted = set(self._execution.wanted())
            due = {task: at for task, at in due.items() if task in wanted}
            timer = self._execution.next_due()
            first = min(due, key=lambda task: due[task], default=None)
            if first is not None and (timer is None or due[first] < timer):
                self._now = max(self._now, due.pop(first))
                self._end(first)
            else:
                assert timer is not None
                self._now = max(self._now, timer)
            self._execution.handle(Tick(), self._now)
        raise AssertionError("it does not end")

    def _hangs(self, task: TaskId) -> bool:
        work = self._execution.task(task)
        assert work is not None
        return '"hang": true' in json.dumps(work.parameters).replace("\\", "")

    def _end(self, task: TaskId) -> None:
        work = self._execution.task(task)
        assert work is not None
        if self._draw.random() < 0.5:
            self._execution.handle(TaskStarted(task, _UID), self._now)
        if EXPENDABLE in work.state and self._draw.random() < self._delete:
            key = (self._plan.name, work.state)
            self.deletions[key] = self.deletions.get(key, 0) + 1
            outcome: str | StateError = StateError(self._draw.choice(GONE), "by hand")
        elif work.resource == "treadle:http":
            outcome = self._answer(work.parameters["RequestBody"])
        else:
            outcome = _job(work.parameters, work.input, task.attempt)
        if isinstance(outcome, str):
            self._execution.handle(TaskSucceeded(task, outcome, self._now), self._now)
        else:
            self._execution.handle(TaskFailed(task, outcome, self._now), self._now)

    def _answer(self, told: Any) -> str | StateError:
        self._calls[told["call"]] = count = self._calls.get(told["call"], 0) + 1
        if count <= told["failTimes"]:
            return StateError(f"States.Http.StatusCode.{told['status']}", "no")
        return json.dumps({"ResponseBody": {"said": "yes"}, "StatusCode": 200})

    def _take_history(self) -> None:
        history: History = self._execution.memory.history
        history.encode_fresh()
        for line in history.lines:
            number, previous, kind, _, details = json.loads(line)
            self._lines.append(Line(number, previous, kind, details or {}))
        history.lines.clear()

    def _result(self) -> Result:
        memory = self._execution.memory
        output: Payload | None = memory.output
        status: dict[str, Any] = {"phase": memory.status.value, "output": output and output.text}
        status["error"] = memory.error and memory.error.name
        found = frames.frames_of(self._lines)
        return Result(status, {path: frame.steps for path, frame in found.items()})


def _job(parameters: Any, given: Any, attempt: int) -> str | StateError:
    told = json.loads(parameters["command"][1])
    if attempt <= told.get("failTimes", 0) or (told.get("exitCode") and "failTimes" not in told):
        said = told.get("failMessage", told.get("message", ""))
        own = json.loads(said) if said.startswith("{") else None
        name = own["error"] if own else f"Kubernetes.ExitCode.{told['exitCode']}"
        return StateError(name, own["cause"] if own else said)
    return json.dumps(parameters.get("input", given)) if told.get("echoInput") else told["message"]


each_plan = pytest.mark.parametrize("plan", [pytest.param(plan, id=plan.name) for plan in PLANS])


@each_plan
def test_an_outcome_does_not_depend_on_timing(plan: Plan) -> None:
    first = Desk(plan, 0).run()
    assert first.frames[""][-1][0].startswith("Execution")
    for seed in range(1, 6):
        found = checks.compared({plan.name: first}, {plan.name: Desk(plan, seed).run()}, {})
        assert found.violations == []
        assert found.equal == 1


@each_plan
def test_only_attempts_that_were_deleted_may_differ(plan: Plan) -> None:
    first = {plan.name: Desk(plan, 0).run()}
    for seed in range(5):
        desk = Desk(plan, seed, delete=0.4)
        torn = {plan.name: desk.run()}
        found = checks.compared(first, torn, desk.deletions)
        assert found.violations == []
        assert found.retries == sum(desk.deletions.values())
        if desk.deletions:
            assert found.excused == 1
            assert checks.compared(first, torn, {}).violations


def test_a_lost_or_doubled_step_is_noticed() -> None:
    for plan in PLANS[: len(SHAPES)]:
        first = Desk(plan, 0).run()
        for path, steps in first.frames.items():
            shorter = Result(first.status, {**first.frames, path: steps[:-1]})
            longer = Result(first.status, {**first.frames, path: [*steps, steps[-1]]})
            for wrong in (shorter, longer):
                assert checks.compared({plan.name: first}, {plan.name: wrong}, {}).violations


def test_a_mix_follows_from_its_seed() -> None:
    again = Mix.of(7, "http://127.0.0.1:1")
    assert again == MIX
    assert [again.plan(number) for number in range(len(PLANS))] == PLANS
    assert {plan.machine.split("-", 1)[1] for plan in PLANS} == {
        name.split("-", 1)[1] for name in MIX.machines
    }
