"""One case through the product: a row of results.

One rule: whatever goes wrong inside is a row too; no case ends the run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.conformance.serving import Served
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
    RedriveRequested,
    StopRequested,
)
from treadle.engine.execution import Execution
from treadle.engine.payloads import Payload
from treadle.engine.teststate import Mock, Refused, Request
from treadle.local.world import World

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
        context=asked.get("context"),
        mock=mock,
        retries=config.get("retrierRetryCount", 0),
        caused_by=config.get("errorCausedByState"),
        failed_items=config.get("mapIterationFailureCount", 0),
        reader_data=config.get("mapItemReaderData"),
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


# An attempt that no case answers is left running: nobody waits there for a year.
LIMITS = replace(AWS, execution_seconds_max=0)


class Run:
    """One execution in the local world: answered as recorded, stopped as somebody did."""

    def __init__(self, case: Mapping[str, Any], program: Program) -> None:
        self._actions = list(case.get("actions") or ())
        frozen = case.get("frozen_now")
        now = datetime.fromisoformat(frozen) if frozen else BEGIN
        self._execution = Execution.start(
            program,
            "1",
            _identity(case),
            _input_text(case),
            seed=str(case.get("id")).encode(),
            now=now,
            limits=LIMITS,
        )
        self._world = World(self._execution, now, Served(case).answer)

    def to_the_end(self) -> None:
        """Until it is over, or until nothing can happen to it any more."""
        for _ in range(STEPS_MAX):
            if not (self._world.act() or self._act() or self._world.pass_time()):
                return

    def _act(self) -> bool:
        """What a person does once the execution is idle."""
        if not self._actions:
            return False
        action = self._actions.pop(0)
        params = action.get("params") or {}
        if action.get("op") == "stop_execution":
            self._world.tell(StopRequested(params.get("error"), params.get("cause")))
        elif action.get("op") == "redrive_execution":
            self._world.tell(RedriveRequested())
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
