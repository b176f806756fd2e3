"""`treadle test-state`: one state alone, with a mock of its work, as AWS's TestState answers.

One rule: nothing runs but the state's own code; a Task is answered by its mock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from treadle.asl import json
from treadle.asl.errors import InvalidDocument, StateError
from treadle.asl.json import Json
from treadle.asl.shapes import Mode
from treadle.asl.texts import parse_text
from treadle.cli import machines
from treadle.cli.files import json_text, plain_text, read_all
from treadle.engine import teststate
from treadle.engine.payloads import Payload
from treadle.engine.teststate import Level, Mock, Refused, Request

EXIT_REFUSED = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command, as they were given."""

    machine: str
    state: str | None
    input: str
    variables: str | None
    context: str | None
    result: str | None
    error: str | None
    cause: str | None
    validation: Mode
    level: Level
    retries: int
    caused_by: str | None
    failed_items: int
    reader_data: str | None


def run(asked: Asked) -> int:
    """Print the answer.

    Returns:
        The exit status: 0 for SUCCEEDED and CAUGHT_ERROR, 1 for FAILED and RETRIABLE, 2 for a
        request that makes no test.

    Raises:
        UsageError: a file or an argument cannot be read.
    """
    definition = _definition(asked.machine)
    if definition is None:
        return EXIT_REFUSED
    try:
        answer = teststate.answer(_request(asked, definition))
    except Refused as why:
        click.echo(f"{why.code}: {why.message}", err=True)
        return EXIT_REFUSED
    click.echo(json.dumps({name: _shown(value) for name, value in answer.items()}))
    return 0 if answer["status"] in ("SUCCEEDED", "CAUGHT_ERROR") else 1


def _definition(name: str) -> Json:
    """A machine's definition or a state's; None where problems were told."""
    inputs = list(read_all((name,)))
    if len(inputs) == 1:
        try:
            value = parse_text(inputs[0].data.decode()).value
        except (InvalidDocument, ValueError):
            value = None  # the reader of machines says what is wrong
        if isinstance(value, dict) and "Type" in value and "States" not in value:
            return value
    found = machines.among(name, inputs)
    return None if found is None else found.machine.value()


def _request(asked: Asked, definition: Json) -> Request:
    try:
        given = json_text(asked.input, "the input")
        variables = _object(asked.variables, "--variables")
        context = _object(asked.context, "--context") if asked.context else None
        result = None if asked.result is None else json_text(asked.result, "the mocked result")
        data = asked.reader_data
        read = None if data is None else plain_text(data, "the data of the reader")
    except ValueError as why:
        raise click.UsageError(str(why)) from None
    error = None if asked.error is None else StateError(asked.error, asked.cause)
    if asked.cause is not None and error is None:
        raise click.UsageError("--cause goes with --error")
    if asked.caused_by is not None and error is None:
        raise click.UsageError("--caused-by goes with --error")
    mock = None
    if result is not None or error is not None:
        mock = Mock(result, error, asked.validation)
    return Request(
        definition=definition,
        input=given,
        now=datetime.now(UTC),
        state_name=asked.state,
        level=asked.level,
        variables=variables,
        context=context,
        mock=mock,
        retries=asked.retries,
        caused_by=asked.caused_by,
        failed_items=asked.failed_items,
        reader_data=read,
    )


def _object(text: str | None, name: str) -> Mapping[str, Json]:
    value = json.loads(json_text(text, name)) if text else {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")
    return value


def _shown(value: Any) -> Json:
    if isinstance(value, Payload):
        return value.value
    if isinstance(value, dict):
        return {name: _shown(each) for name, each in value.items()}
    return value
