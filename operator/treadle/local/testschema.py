"""What may be in a file of workflow tests: models, and the JSON Schema made from them.

One rule: a member is here only if `treadle test` acts on it. `python -m treadle.local.testschema
FILE` writes docs/workflow-tests.schema.json.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from treadle.asl.limits import SECONDS_MAX

TESTS_MAX: Final = 1_000
"""Of one file."""

NAME_CHARS_MAX: Final = 200
EXECUTION_NAME_CHARS_MAX: Final = 80  # AWS: StartExecution `name`
PATTERN_CHARS_MAX: Final = 1_000
NAMES_MAX: Final = 25_000  # as many events as a history may have


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, use_attribute_docstrings=True, extra="forbid", strict=True
    )


_NUMBERS: Final = r"^(\d{1,9}(-\d{1,9})?)$"
_NUMBERS_OR_OTHERS: Final = r"^(\d{1,9}(-\d{1,9})?|\*)$"


def _by(inner: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "patternProperties": {_NUMBERS_OR_OTHERS: inner},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _only(**members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in members if name != "Delay"],
        "properties": members,
    }


_DELAY: Final = {
    "description": "Seconds of virtual time until the answer comes.",
    "type": "number",
    "minimum": 0,
    "maximum": SECONDS_MAX,
}
_THROWN: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["Error"],
    "properties": {"Error": {"type": "string"}, "Cause": {"type": ["string", "null"]}},
}

_MOCKS_DEFINITIONS: Final[Mapping[str, Any]] = {
    "Answer": {
        "description": "A result as the Task gives it to its state, or an error.",
        "oneOf": [_only(Return={}, Delay=_DELAY), _only(Throw=_THROWN, Delay=_DELAY)],
    },
    "Attempts": {
        "description": "One answer for all attempts of a visit; a list, by attempt; or an object "
        "by the number of the attempt, from 0, or a range such as 1-2.",
        "anyOf": [
            _ref("Answer"),
            {"type": "array", "minItems": 1, "items": _ref("Answer")},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "patternProperties": {_NUMBERS: _ref("Answer")},
            },
        ],
    },
    "Mock": {
        "description": "Answers of one state: the same in each visit; or by the visit, from 0; or "
        "by the index in the Map around it, the outermost first. * is for all others.",
        "anyOf": [
            _ref("Attempts"),
            _only(Visits=_by(_ref("Attempts"))),
            _only(Items=_by(_ref("Mock"))),
        ],
    },
}

Names = Annotated[list[str], Field(max_length=NAMES_MAX)]


class Expect(_Model):
    """How the execution must end; each member that is given must hold, and one must be given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    status: Literal["Succeeded", "Failed", "TimedOut"] | None = None
    """Its phase."""
    output: Any = None
    """Its output, exactly."""
    output_contains: Any = None
    """A part of its output: objects may have more members than are given here, at any depth; lists
    have as many items."""
    error: str | None = None
    """The name of its error."""
    cause: str | None = None
    """The cause of its error, exactly."""
    cause_matches: str | None = Field(None, max_length=PATTERN_CHARS_MAX)
    """A regular expression that the cause has a match of somewhere in it: characters, classes,
    groups, alternatives, repetitions, ^ and $. It cannot look around or back."""
    visited: Names | None = None
    """The names of all states that are entered, in order. Those within a distributed Map are not
    among them: its children are executions of their own."""
    visited_contains: Names | None = None
    """Names of states that are entered in this order, whatever is entered between them."""
    history: Names | None = None
    """The types of all events of the history, as AWS calls them."""


class Test(_Model):
    """An execution, what its Tasks are answered, and how it must end."""

    __test__ = False  # to pytest this is no class of tests

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    """A sentence that says what is so; unique in its file."""
    input: Any = Field(default_factory=dict)
    """The execution's input; {} unless given."""
    mocks: dict[str, Any] = Field(default_factory=dict)
    """What Tasks are answered, by the name of the state; as `treadle run --mocks` takes it."""
    execution_name: str | None = Field(None, min_length=1, max_length=EXECUTION_NAME_CHARS_MAX)
    """The name of the execution, as the definition sees it in its context object; `test` unless
    given."""
    start_time: str | None = None
    """When the execution starts, RFC 3339; 2026-01-01T00:00:00Z unless given."""
    expect: Expect
    """How it must end."""


class Tests(_Model):
    """Tests of a Treadle state machine, which `treadle test` runs."""

    __test__ = False

    model_config = ConfigDict(title="Workflow tests")

    machine: Annotated[Any, WithJsonSchema({"type": ["string", "object"]})]
    """The file of a definition or a manifest, relative to this file; or a definition itself."""
    name: str | None = Field(None, min_length=1, max_length=NAME_CHARS_MAX)
    """What the tests are of, for people; the file's own name unless given."""
    tests: list[Test] = Field(min_length=1, max_length=TESTS_MAX)
    """The tests. They do not know of one another."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a file of tests."""
    found = Tests.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["$defs"] |= _MOCKS_DEFINITIONS
    found["$defs"]["Test"]["properties"]["mocks"]["additionalProperties"] = _ref("Mock")
    return found


def text() -> str:
    """The same as it is in docs/."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
