"""A test from an execution that is kept somewhere, tried before anybody has it.

One rule: what is given has been run; where it does not pass, that is said with it.
"""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from treadle.app import looking
from treadle.app.testing import Outcome, names, run_one
from treadle.asl import document
from treadle.asl.errors import InvalidDocument
from treadle.asl.json import Json, dumps
from treadle.asl.limits import DEFINITION_BYTES_MAX, OF_TESTS
from treadle.asl.texts import loads_document
from treadle.kube.kinds import STATE_MACHINES
from treadle.local import coverage, recording, testfiles
from treadle.local.recording import Recorded
from treadle.local.testfiles import Wrong

LINE_CHARS = 96


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of tests.

    Attributes:
        text: what is in it.
        outcome: of its test; None where it could not be run, and then `wrong` is not empty.
        untold: Tasks that ran, perhaps, and of which the history does not tell.
    """

    text: str
    outcome: Outcome | None
    wrong: list[Wrong]
    untold: list[str]


def record(place: looking.Place, name: str, path: Path, machine: Path | None) -> Recording:
    """The test of an execution.

    Args:
        place: where it is.
        name: of the execution.
        path: where the file will be: its kind, and what is relative, follow from that.
        machine: the file of the machine to test; None for the definition that the execution ran.

    Raises:
        NotRecordable, ValueError: none can be made.
        Missing, Fault, Unreadable: see `looking.history`.
    """
    kept = looking.kept(place, name)
    spec = kept.revision
    program, problems = document.inspect(spec["definition"], express=spec.get("type") == "EXPRESS")
    if program is None:
        raise ValueError(f"what '{name}' ran cannot be read here: {problems[0].message}")
    called = (kept.execution.get("spec") or {}).get("name") or name
    recorded = Recorded(called, program, kept.history)
    if machine is None:
        written: Json = _manifest(str(spec["stateMachine"]), spec)
    else:
        written = os.path.relpath(machine, path.parent)
    for delays in (False, True):  # when answers came seldom matters, and makes a file hard to read
        test = recording.as_test(recorded, delays=delays)
        whole = {"tests": [test], "machine": written}  # what is long goes last
        if machine is not None:
            whole = {"machine": written, "tests": [test]}
        text = _written(whole, path)
        file = testfiles.read(path, str(path), text.encode())
        if file.machine is None:
            return Recording(text, None, file.problems, [])
        covered = coverage.of(file.machine.program)
        outcome = run_one(file, file.cases[0], covered, names())
        if outcome.has_passed:
            break
    return Recording(text, outcome, [], recording.untold(program))


def _manifest(name: str, spec: Json) -> Json:
    """The machine as its revision has it, without what only a cluster needs."""
    definition = spec["definition"]
    if isinstance(definition, str):
        definition = loads_document(definition)
    held = {"type": spec["type"]} if "type" in spec else {}
    return STATE_MACHINES.manifest(name, {**held, "definition": definition})


def _written(value: Json, path: Path) -> str:
    """A value as YAML, or as JSON where the file is called so or YAML has no word for it."""
    exact = dumps(value)
    if len(exact) > DEFINITION_BYTES_MAX:
        return exact + "\n"  # as YAML it would take long to write and to read
    stream = io.StringIO()
    try:
        if path.suffix == ".json":
            stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        else:
            _yaml().dump(value, stream)
        if dumps(loads_document(stream.getvalue(), OF_TESTS)) == exact:
            return stream.getvalue()
    except (InvalidDocument, ValueError, RecursionError):
        pass
    return exact + "\n"


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = LINE_CHARS
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    yaml.representer.add_representer(type(None), _null)
    return yaml


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
