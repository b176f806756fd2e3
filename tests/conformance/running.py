"""One case through the product: a row of results.

One rule: whatever goes wrong inside is a row too; no case ends the run.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.serving import Answer, Served
from tests.support import histories
from treadle.asl import arns, document
from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps, loads
from treadle.asl.limits import AWS
from treadle.asl.lint import aws_message
from treadle.asl.program import Program
from treadle.engine import teststate
from treadle.engine.context import Identity
from treadle.engine.events import (
    StopRequested,
    TaskFailed,
    TaskId,
    TaskStarted,
    TaskSucceeded,
    Tick,
)
from treadle.engine.execution import Execution
from treadle.engine.payloads import Payload
from treadle.engine.teststate import Mock, Refused, Request

REGION, ACCOUNT = "us-east-1", "111111111111"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_MAX = 200_000  # of one case; the engine's own bound of events comes first

Row = dict[str, Any]


def row_of(case: Mapping[str, Any]) -> Row:
    """The result row of a case of any kind."""
    try:
        match case.get("kind", "run"):
            case "run":
                found = _run(case)
            case "validate":
                found = _validate(case)
            case "teststate":
                found = _test_state(case)
            case kind:
                found = {"accept": None, "message": f"there is no kind {kind}"}
    except Exception as e:
        found = {"status": "ERROR", "cause": f"{type(e).__name__}: {e}", "accept": None}
    return {"id": case.get("id"), **found}


def _judge(case: Mapping[str, Any]) -> tuple[Program | None, str]:
    express = case.get("type") == "EXPRESS"
    definition = case["definition"]
    if isinstance(definition, str):
        try:
            definition = loads(definition)  # YAML is ours, not AWS's
        except ValueError as e:
            return None, f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {e}'"
    program, problems = document.inspect(definition, express=express)
    return program, "" if program else aws_message(problems)


def _validate(case: Mapping[str, Any]) -> Row:
    program, message = _judge(case)
    return {"accept": program is not None, "message": message}


def _run(case: Mapping[str, Any]) -> Row:
    program, message = _judge(case)
    if program is None:
        return {"status": "REJECTED", "cause": message}
    run = Run(case, program)
    run.to_the_end()
    return run.row()


def _test_state(case: Mapping[str, Any]) -> Row:
    asked = case["request"]
    given = asked.get("mock")
    mock = None
    if given is not None:
        output = given.get("errorOutput")
        error = output and StateError(output.get("error"), output.get("cause"))
        mock = Mock(given.get("result"), error, given.get("fieldValidationMode", "STRICT"))
    config = asked.get("stateConfiguration") or {}
    request = Request(
        definition=case["definition"],
        input=asked.get("input", "{}"),
        now=BEGIN,
        state_name=asked.get("stateName"),
        level=asked.get("inspectionLevel", "INFO"),
        variables=_object(asked.get("variables")),
        context=asked.get("context") if mock and "context" in asked else None,
        mock=mock,
        retries=config.get("retrierRetryCount", 0),
        caused_by=config.get("errorCausedByState"),
        failed_items=config.get("mapIterationFailureCount", 0),
        # Recorded requests leave it out; those with a mock had one.
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/role" if mock else None,
    )
    try:
        answer = teststate.answer(request)
    except Refused as why:
        return {"accept": False, "error": why.code, "message": why.message}
    return {name: _answered(value) for name, value in answer.items()}


def _object(value: Json) -> Mapping[str, Json]:
    found: Mapping[str, Json] = loads(value) if isinstance(value, str) else value or {}
    return found


def _answered(value: Any) -> Json:
    """As recordings show an answer: an object as JSON, all other data as its text."""
    if isinstance(value, Payload):
        return value.value if isinstance(value.value, dict) else value.text
    if isinstance(value, dict):
        return {name: _answered(each) for name, each in value.items()}
    return value


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    task: TaskId = field(compare=False)
    answer: Answer = field(compare=False)


# An attempt that no case answers is left running: nobody waits there for a year.
LIMITS = replace(AWS, execution_seconds_max=0)


class Run:
    """One execution in virtual time: attempts are answered, timers fire, nothing is waited for."""

    def __init__(self, case: Mapping[str, Any], program: Program) -> None:
        self._served = Served(case)
        self._actions = list(case.get("actions") or ())
        self._due: list[_Due] = []
        self._seen: set[TaskId] = set()
        frozen = case.get("frozen_now")
        self._now = datetime.fromisoformat(frozen) if frozen else BEGIN
        self._execution = Execution.start(
            program,
            "1",
            _identity(case),
            _input_text(case),
            seed=str(case.get("id")).encode(),
            now=self._now,
            limits=LIMITS,
        )

    def to_the_end(self) -> None:
        """Until it is over, or until nothing can happen to it any more."""
        for _ in range(STEPS_MAX):
            if not (self._tell() or self._act() or self._pass_time()):
                return

    def _tell(self) -> bool:
        """What can happen now."""
        execution = self._execution
        if execution.busy:
            return execution.handle(Tick(), self._now)
        fresh = [task for task in execution.wanted() if task not in self._seen]
        for task in fresh:
            self._seen.add(task)
            execution.handle(TaskStarted(task, ""), self._now)
            command = execution.task(task)
            answer = self._served.answer(command) if command else None
            if answer is not None:
                at = self._now + timedelta(seconds=answer.after_seconds)
                heapq.heappush(self._due, _Due(at, len(self._seen), task, answer))
        return bool(fresh) or self._answer()

    def _answer(self) -> bool:
        if not self._due or self._due[0].at > self._now:
            return False
        due = heapq.heappop(self._due)
        answer = due.answer
        if answer.error is not None:
            self._execution.handle(TaskFailed(due.task, answer.error, due.at), self._now)
        else:
            assert answer.output is not None
            self._execution.handle(TaskSucceeded(due.task, answer.output, due.at), self._now)
        return True

    def _act(self) -> bool:
        """What a person does once the execution is idle."""
        if not self._actions:
            return False
        action = self._actions.pop(0)
        params = action.get("params") or {}
        if action.get("op") == "stop_execution":
            stop = StopRequested(params.get("error"), params.get("cause"))
            self._execution.handle(stop, self._now)
        return True

    def _pass_time(self) -> bool:
        timer = self._execution.next_due()
        instants = [i for i in (timer, self._due[0].at if self._due else None) if i is not None]
        if not instants or str(self._execution.status) != "RUNNING":
            return False
        self._now = max(self._now, min(instants))
        if self._due and self._due[0].at <= self._now:
            return self._answer()
        self._execution.handle(Tick(), self._now)
        return True

    def row(self) -> Row:
        """What came of it."""
        memory = self._execution.memory
        found: Row = {"status": memory.status.value}
        if memory.output is not None:
            found["output"] = memory.output.value
        if memory.error is not None:
            found["error"], found["cause"] = memory.error.name, memory.error.cause
        found["history"] = list(self._history())
        return found

    def _history(self) -> Iterator[Mapping[str, Json]]:
        encoded = self._execution.encode()
        pages = {digest: page.raw for digest, page in encoded.pages.items()}
        for entry in histories.entries(encoded.checkpoint, pages):
            row: Row = {"id": entry.id, "prev": entry.previous, "type": entry.type}
            if entry.details is not None:
                row["details"] = {n: _shown(n, value) for n, value in entry.details.items()}
            yield row


def _identity(case: Mapping[str, Any]) -> Identity:
    machine = case.get("state_machine_name") or "machine"
    name = case.get("name") or "execution"
    return Identity(
        execution_arn=arns.execution_arn(REGION, ACCOUNT, machine, name),
        execution_name=name,
        machine_arn=arns.state_machine_arn(REGION, ACCOUNT, machine),
        machine_name=machine,
        role_arn=case.get("role_arn") or "",
    )


def _shown(member: str, value: Json) -> Json:
    # As recordings show AWS's texts: an object as JSON, all other data as its text.
    is_data = member in ("input", "output", "parameters")
    return dumps(value) if is_data and not isinstance(value, dict) else value


def _input_text(case: Mapping[str, Any]) -> str:
    given = case.get("input")
    return str(given) if case.get("input_form") == "raw-string" else dumps(given)
