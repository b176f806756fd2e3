"""A definition into a Program, or all of its problems.

One rule: ASL's spelling is known here and in the lint modules beside this one; whoever runs a
Program never sees it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from treadle.asl import json, limits
from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.fields import Fields
from treadle.asl.json import Json
from treadle.asl.lint import Report, check_transitions
from treadle.asl.lint_jsonata import check_expressions
from treadle.asl.lint_members import Common
from treadle.asl.lint_states import FLOWING, KINDS, read_state
from treadle.asl.lint_variables import check_variables
from treadle.asl.paths import assigned_name
from treadle.asl.pointers import escaped
from treadle.asl.program import Machine, Program, State
from treadle.asl.rules import RULES
from treadle.asl.texts import parse_text, problems_of_value

LANGUAGES: Final = ("JSONPath", "JSONata")
_TOP: Final = frozenset(
    {"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"}
)
_BRANCH: Final = frozenset({"Comment", "StartAt", "States"})
_PROCESSOR: Final = _BRANCH | {"ProcessorConfig"}


def parse(definition: Json | str, *, express: bool = False) -> Program:
    """The Program of a definition.

    Args:
        definition: an object, or a text in JSON or YAML.
        express: whether the machine's type is EXPRESS, which allows less.

    Raises:
        InvalidDocument: with all problems, each an error; warnings are in `inspect` alone.

    Spec: "Structure of a State Machine".
    """
    program, problems = _inspected(definition, express=express, thoroughly=False)
    if program is None:
        raise InvalidDocument([p for p in problems if p.severity == "error"])
    return program


def inspect(
    definition: Json | str, *, express: bool = False
) -> tuple[Program | None, tuple[Problem, ...]]:
    """The Program, or None where there are errors; and all problems, warnings too.

    Problems of a text have a line and a column. Never raises.
    """
    return _inspected(definition, express=express, thoroughly=True)


def _inspected(
    definition: Json | str, *, express: bool, thoroughly: bool
) -> tuple[Program | None, tuple[Problem, ...]]:
    judge = partial(_judge, express=express, thoroughly=thoroughly)
    if not isinstance(definition, str):
        shapeless = problems_of_value(definition) or _problems_of_size(definition)
        return (None, tuple(shapeless)) if shapeless else judge(definition)
    try:
        value, place_of, _ = parse_text(definition)
    except InvalidDocument as e:
        return None, e.problems
    program, problems = judge(value)
    placed: list[Problem] = []
    for problem in problems:
        line, column = place_of(problem.pointer) or (None, None)
        placed.append(replace(problem, line=line, column=column))
    return program, tuple(placed)


def _judge(
    value: Json, *, express: bool, thoroughly: bool
) -> tuple[Program | None, tuple[Problem, ...]]:
    report = Report()
    program = _Reading(report, express=express).program(value)
    if thoroughly and not report.errors:
        check_variables(value, report)
    problems = (*report.errors, *report.warnings)
    return (None if report.errors else program), problems


def _problems_of_size(value: Json) -> list[Problem]:
    size = len(json.dumps(value).encode())
    if size <= limits.DEFINITION_BYTES_MAX:
        return []
    code = "document-too-large"
    message = f"The definition has {size:,} bytes; it may have {limits.DEFINITION_BYTES_MAX:,}."
    return [Problem("", code, message, RULES[code].spec)]


def _assigned(states: Fields, language: str) -> list[tuple[str, str]]:
    """Every variable that a list of states assigns: where, and its name."""
    found = []
    for name, state in states.value.items():
        own = state.get("QueryLanguage", language) if isinstance(state, dict) else language
        named = partial(assigned_name, is_jsonata=own == "JSONata")
        for pointer, holder in _holders(states.at(name), state):
            given = holder.get("Assign")
            if isinstance(given, dict):
                place = f"{pointer}/Assign"
                found += [(f"{place}/{escaped(key)}", named(key)) for key in given]
    return found


def _holders(pointer: str, state: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """What of a state may have an Assign: itself, its catchers, its rules."""
    if not isinstance(state, dict):
        return
    yield pointer, state
    for member in ("Catch", "Choices"):
        items = state.get(member)
        if isinstance(items, list):
            for index, item in enumerate(items):
                if isinstance(item, dict):
                    yield f"{pointer}/{member}/{index}", item


@dataclass(slots=True)
class _Reading:
    """One definition being read: what must be known across its lists of states."""

    report: Report
    express: bool
    language: str = "JSONPath"
    evaluates: bool = False
    names: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    outer: frozenset[str] = frozenset()
    """Variables of the lists of states around the one that is read."""

    def program(self, value: Json) -> Program | None:
        """The whole definition."""
        if not isinstance(value, dict):
            self.report.add("", "document-not-object", "A definition must be an object.")
            return None
        top = Fields(value, "", self.report)
        top.only(_TOP)
        self.language = top.one_of("QueryLanguage", LANGUAGES) or "JSONPath"
        return Program(
            machine=self.machine(top),
            timeout_seconds=top.whole("TimeoutSeconds", 1, limits.SECONDS_MAX),
            comment=top.text("Comment"),
            version=top.one_of("Version", ("1.0",)),
            definition=value,
            evaluates=self.evaluates,
        )

    def machine(self, machine: Fields) -> Machine:
        """A list of states. Spec: "Structure of a State Machine"."""
        machine.require("States", "StartAt")
        states = machine.inner("States")
        start = machine.text("StartAt")
        if states is None:
            return Machine(start or "", {})
        if not states.value:
            message = "States is empty; a machine needs a state."
            machine.wrong("States", "states-empty", message)
            return Machine(start or "", {})
        outer, own = self.outer, _assigned(states, self.language)
        for pointer, name in own:
            if name in outer:
                self.report.add(
                    pointer,
                    "variable-outer",
                    f"'{name}' is a variable of the states around these, which can only read it; "
                    "choose another name.",
                )
        self.outer = outer | {name for _, name in own}
        read = {name: self.state(name, value, states) for name, value in states.value.items()}
        self.outer = outer
        check_transitions(machine.value, machine.pointer, self.report)
        return Machine(start or "", {name: state for name, state in read.items() if state})

    def state(self, name: str, value: Json, states: Fields) -> State | None:
        """One state; None where it cannot be read at all."""
        pointer = states.at(name)
        self._check_name(name, pointer)
        if not isinstance(value, dict):
            self.report.add(pointer, "member-type", f"The state '{name:.80}' must be an object.")
            return None
        state = Fields(value, pointer, self.report)
        state.language = self._language(state)
        state.require("Type")
        kind = state.one_of("Type", KINDS)
        state.text("Comment")
        if kind is None:
            return None
        if state.is_jsonata:
            self.evaluates = True
            check_expressions(kind, state)
        following = self._next(state) if kind in FLOWING else None
        inner = self._inner(kind, state)
        self._check_label(state)
        return read_state(kind, state, Common(name, following, inner, self.express))

    def _check_name(self, name: str, pointer: str) -> None:
        if not 1 <= len(name) <= limits.STATE_NAME_CHARS_MAX:
            self.report.add(
                pointer,
                "state-name-length",
                f"A state's name has 1 to {limits.STATE_NAME_CHARS_MAX} characters; "
                f"this one has {len(name)}.",
            )
        if name in self.names:
            self.report.add(
                pointer,
                "state-name-duplicate",
                f"There is a state '{name:.80}' at {self.names[name]} too; "
                "names are unique in the whole definition.",
                aws=f"Duplicate State name: {name}",
            )
        elif len(self.names) == limits.STATES_MAX:
            self.names[name] = pointer
            self.report.add(
                pointer,
                "too-many-states",
                f"The definition has more than {limits.STATES_MAX:,} states; "
                "make a part of it a machine of its own.",
            )
        else:
            self.names[name] = pointer

    def _check_label(self, state: Fields) -> None:
        label = state.value.get("Label")
        if not isinstance(label, str):
            return
        if label in self.labels:
            message = f"The Map at {self.labels[label]} has the Label '{label:.80}' too."
            state.wrong("Label", "map-label-duplicate", message)
        self.labels[label] = state.pointer

    def _language(self, state: Fields) -> str:
        own = state.one_of("QueryLanguage", LANGUAGES)
        if own == "JSONPath" and self.language == "JSONata":
            state.report.add(
                state.at("QueryLanguage"),
                "query-language-mixed",
                "A machine in JSONata cannot have a state in JSONPath.",
                aws="'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state "
                "machine",
                where="holder",
            )
        return own or self.language

    def _next(self, state: Fields) -> str | None:
        """Spec: "Transitions": a state has Next, or End with the value true."""
        end = state.value.get("End", False)
        if not isinstance(end, bool):
            state.wrong("End", "member-type", "End must be true.")
        elif end and "Next" in state:
            state.wrong("End", "next-or-end", "Next and End exclude each other; keep one.")
        elif not end and "Next" not in state:
            state.report.add(
                state.pointer,
                "next-or-end",
                'A state that is not the last needs Next; the last needs "End": true.',
            )
        return state.text("Next")

    def _inner(self, kind: str, state: Fields) -> tuple[Machine, ...]:
        if kind == "Parallel":
            return tuple(self._branch(branch) for branch in state.each("Branches"))
        if kind != "Map":
            return ()
        name = (
            "Iterator" if "Iterator" in state and "ItemProcessor" not in state else "ItemProcessor"
        )
        processor = state.inner(name)
        if processor is None:
            return ()
        processor.only(_PROCESSOR)
        outer = self.outer
        if self._check_processor_config(processor) == "DISTRIBUTED":
            self.outer = frozenset()  # its children do not see them
        processor.text("Comment")
        inner = self.machine(processor)
        self.outer = outer
        return (inner,)

    def _branch(self, branch: Fields) -> Machine:
        branch.only(_BRANCH)
        branch.text("Comment")
        return self.machine(branch)

    def _check_processor_config(self, processor: Fields) -> str | None:
        config = processor.inner("ProcessorConfig")
        if config is None:
            return None
        config.only(("ExecutionType", "Mode"))
        mode = config.one_of("Mode", ("INLINE", "DISTRIBUTED"))
        config.one_of("ExecutionType", ("STANDARD", "EXPRESS"))
        if mode == "DISTRIBUTED":
            config.require("ExecutionType")
        return mode
