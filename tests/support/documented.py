"""Examples of the pages about the language: a machine, an input, and what comes of it.

One rule: a block of ```yaml whose first line is `machine:` is an example, and has nothing but

    machine:   a definition
    type:      EXPRESS; STANDARD unless given
    input:     of the execution; {} unless given
    mocks:     what Tasks answer, as `treadle run --mocks` takes it
    problems:  the code of each rule that it breaks, in order; none unless given
    output:    what it gives; or
    error:     the name that it fails with, and
    cause:     its sentence, where that is shown
    seconds:   how long it takes

In `output` and `cause`, `…` stands for anything within a text. Of a definition that is refused
only `problems` is shown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.blocks import Block
from tests.support.desk import BEGIN, Answer, Desk, Fails, Gives, Script
from treadle.asl import document
from treadle.asl.json import Json, dumps
from treadle.asl.texts import parse_text
from treadle.engine.commands import Task
from treadle.local import mocks

_MEMBERS = frozenset(
    ("machine", "type", "input", "mocks", "problems", "output", "error", "cause", "seconds")
)


@dataclass(frozen=True, slots=True)
class Example:
    """See the module. `shown` holds what comes of it, by the names of there."""

    machine: Json
    express: bool
    given: Json
    answers: mocks.Mocks
    shown: Mapping[str, Json]


def is_example(block: Block) -> bool:
    """Whether a block of a page must read, and run, as an example."""
    is_tests = "\ntests:" in block.text  # a file for `treadle test`
    return block.language == "yaml" and block.text.startswith("machine:") and not is_tests


def read(block: Block) -> Example:
    """The example of a block.

    Raises:
        ValueError: it is none; with a sentence.
        InvalidDocument: it is not YAML.
    """
    value = parse_text(block.text).value
    unknown = value.keys() - _MEMBERS
    if unknown:
        raise ValueError(f"an example has no {', '.join(sorted(unknown))}")
    if value.get("type", "STANDARD") not in ("STANDARD", "EXPRESS"):
        raise ValueError("type is STANDARD or EXPRESS")
    shown = {name: value[name] for name in ("output", "error", "cause", "seconds") if name in value}
    shown["problems"] = value.get("problems", [])
    if ("output" in shown) == ("error" in shown) and not (shown["problems"] and len(shown) == 1):
        raise ValueError("an example shows output, or error, or the problems that it is refused by")
    return Example(
        machine=value["machine"],
        express=value.get("type") == "EXPRESS",
        given=value.get("input", {}),
        answers=mocks.read(dumps(value.get("mocks", {}))),
        shown=shown,
    )


def run(example: Example) -> Mapping[str, Json]:
    """What comes of an example, by the names of its members."""
    program, problems = document.inspect(example.machine, express=example.express)
    found: dict[str, Json] = {"problems": [problem.code for problem in problems]}
    if program is None:
        return found
    desk = Desk(example.machine, example.given, _script(example.answers)).run()
    if not desk.over:
        raise AssertionError(f"it waits for ever in {desk.states_wanted}")
    if desk.error is None:
        found["output"] = desk.output
    else:
        found["error"], found["cause"] = desk.error
    seconds = (desk.now - BEGIN).total_seconds()
    found["seconds"] = int(seconds) if seconds.is_integer() else seconds
    return found


def differences(example: Example) -> Iterator[str]:
    """What comes of an example and is not as shown, a line each."""
    found = run(example)
    for name in ("output", "error", "problems"):
        if (name in found) != (name in example.shown):
            yield f"{name} is {'not shown' if name in found else 'shown'}: {dumps(found)}"
    for name in example.shown.keys() & found.keys():
        if not agrees(example.shown[name], found[name]):
            yield f"{name} is {dumps(found[name])}, not {dumps(example.shown[name])}"


def agrees(shown: Json, found: Json) -> bool:
    """Whether a value is the one that is shown; see the module for `…`."""
    if isinstance(shown, dict) and isinstance(found, dict):
        return list(shown) == list(found) and all(
            agrees(value, found[name]) for name, value in shown.items()
        )
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(agrees, shown, found))
    if isinstance(shown, str) and isinstance(found, str):
        pattern = ".*".join(map(re.escape, shown.split("…")))
        return re.fullmatch(pattern, found, re.DOTALL) is not None
    return dumps(shown) == dumps(found)


def _script(answers: mocks.Mocks) -> Script:
    def answer(task: Task) -> Answer:
        number = task.id.attempt - 1
        found = mocks.find(answers.get(task.state, mocks.Numbered()), number, visit=0)
        if found is None:
            return Fails("Treadle.NoMock", f"no answer for attempt {number} of '{task.state}'")
        return (
            Gives(found.result)
            if found.error is None
            else Fails(found.error.name, found.error.cause)
        )

    return answer
