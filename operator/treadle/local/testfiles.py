"""Files of workflow tests being read: tests that can be run, or all that is wrong with a file.

One rule: a problem has the file's own line, or that of the machine's file, and nothing here raises.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import ValidationError

from treadle.asl.errors import InvalidDocument, Problem
from treadle.asl.json import Json, dumps
from treadle.asl.limits import FILE_BYTES_MAX, OF_TESTS, PROBLEMS_MAX, TESTS_BYTES_MAX
from treadle.asl.patterns import Pattern, PatternError
from treadle.asl.pointers import escaped
from treadle.asl.program import Machine as Flow
from treadle.asl.program import Map, Parallel, Program, Task
from treadle.asl.texts import Parsed, parse_text
from treadle.asl.timestamps import parse_timestamp
from treadle.kube import misshapen, sources
from treadle.local import mocks
from treadle.local.testschema import Expect, Test, Tests
from treadle.local.verdicts import Expected
from treadle.local.workflowtests import BEGIN
from treadle.stores.judgement import states

YEAR_MIN, YEAR_MAX = 1970, 9000
"""Of the time when a test begins: beyond that no clock has room for what it waits for."""

HINTS_MAX: Final = 10
"""Of a file, for names that are misspelt."""

SHAPE, MACHINE, MOCKS = "test-shape", "test-machine", "test-mocks"

CODES: Final[Mapping[str, str]] = {
    SHAPE: "a file of tests has the members that it may have, and they are of their kind",
    MACHINE: "the machine can be read, and is the one that the tests speak of",
    MOCKS: "mocks are answers, for Tasks of the machine",
}
"""The rules for files of tests."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is tested.

    Attributes:
        name: of the StateMachine; `machine` where it has none.
        label: the file that it is in, for people.
    """

    name: str
    label: str
    program: Program


@dataclass(frozen=True, slots=True)
class Case:
    """One test, ready to run; `pointer` and `line` say where it stands in its file."""

    name: str
    pointer: str
    line: int
    input: Json
    mocks: mocks.Mocks
    execution_name: str
    begins_at: datetime
    expected: Expected


@dataclass(frozen=True, slots=True)
class Wrong:
    """A problem, and the file that it is in."""

    file: str
    problem: Problem


@dataclass(slots=True)
class TestFile:
    """A file of tests.

    Attributes:
        file: its name, for people.
        paths: files that it was made from, or would have been.
        machine: None where there are problems.
    """

    __test__ = False

    file: str
    title: str = ""
    machine: Machine | None = None
    cases: list[Case] = field(default_factory=list)
    problems: list[Wrong] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)


def read(path: Path, label: str, data: bytes | None = None) -> TestFile:
    """The tests of a file, or what is wrong with it.

    Args:
        path: of the file.
        label: what it is called.
        data: what is in it, where it is not read.
    """
    reading = _Reading(path, label)
    reading.all(data)
    return reading.found


Names: TypeAlias = Mapping[str, None]
"""In their order, and found at once."""


class _Known(NamedTuple):
    """The names of a machine's states, and of its Tasks."""

    states: Names
    tasks: Mapping[str, int]
    """With the number of Maps around each."""

    @classmethod
    def of(cls, program: Program) -> "_Known":
        """Of a machine."""
        named = states(program.machine, program.definition)
        return cls({state.name: None for _, state, _ in named}, dict(_tasks(program.machine)))


def _tasks(machine: Flow, maps: int = 0) -> Iterator[tuple[str, int]]:
    for name, state in machine.states.items():
        match state:
            case Task():
                yield name, maps
            case Parallel():
                for branch in state.branches:
                    yield from _tasks(branch, maps)
            case Map():
                yield from _tasks(state.processor, maps + 1)
            case _:
                pass


class _Reading:
    """One file being read."""

    def __init__(self, path: Path, label: str) -> None:
        self._path = path
        self.found = TestFile(label, paths=[path])
        self._parsed = Parsed(None, lambda _: None)
        self._misspelt = 0

    def all(self, data: bytes | None) -> None:
        """Read all of it, up to what is wrong."""
        if data is None:
            data = self._bytes(self._path, self.found.file, "")
        if data is None or not self._parse(data):
            return
        try:
            tests = Tests.model_validate(self._parsed.value)
        except ValidationError as why:
            for error in why.errors(include_url=False, include_input=False)[: PROBLEMS_MAX + 1]:
                self._misshapen(error)
            return
        self.found.title = tests.name or self.found.file
        machine = self._machine(tests.machine)
        if machine is not None:
            names: set[str] = set()
            known = _Known.of(machine.program)
            for number, test in enumerate(tests.tests):
                where = f"/tests/{number}"
                if test.name in names:
                    self._wrong(f"{where}/name", SHAPE, "Another test has the same name.")
                names.add(test.name)
                case = self._case(test, where, known)
                if case is not None:
                    self.found.cases.append(case)
        if not self.found.problems:
            self.found.machine = machine

    @property
    def _is_full(self) -> bool:
        """Whether no further problem would be told, so that none need be looked for."""
        return len(self.found.problems) > PROBLEMS_MAX

    def _wrong(self, pointer: str, code: str, message: str) -> None:
        if self._is_full:
            return
        if len(self.found.problems) == PROBLEMS_MAX:
            pointer, code = "", "too-many-problems"
            message = f"There are more than {PROBLEMS_MAX} problems; the rest is not listed."
        line, column = self._parsed.place_of(pointer) or (None, None)
        problem = Problem(pointer, code, message, line=line, column=column)
        self.found.problems.append(Wrong(self.found.file, problem))

    def _bytes(self, path: Path, shown: str, pointer: str) -> bytes | None:
        most = FILE_BYTES_MAX if pointer else TESTS_BYTES_MAX
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as why:
            said = why.strerror if isinstance(why, OSError) else str(why)
            self._wrong(pointer, MACHINE if pointer else SHAPE, f"{shown} cannot be read: {said}.")
            return None
        return data

    def _parse(self, data: bytes) -> bool:
        if len(data) > TESTS_BYTES_MAX:
            what = f"A file of tests has at most {TESTS_BYTES_MAX:,} bytes; make two of it."
            self._wrong("", SHAPE, what)
            return False
        try:
            self._parsed = parse_text(data.decode("utf-8-sig"), OF_TESTS)
        except UnicodeDecodeError:
            self._wrong("", SHAPE, "The file is not UTF-8.")
        except InvalidDocument as why:
            self.found.problems += [Wrong(self.found.file, problem) for problem in why.problems]
        return not self.found.problems

    def _misshapen(self, error: Any) -> None:
        tokens = [escaped(str(token)) for token in error["loc"]]
        pointer = "".join(f"/{token}" for token in tokens)
        last = error["loc"][-1] if error["loc"] else ""
        if error["type"] == "extra_forbidden":
            message = f"There is no member '{last:.80}' here{_near(str(last), tokens)}."
        elif error["type"] == "missing":
            pointer = pointer.rpartition("/")[0]
            message = f"'{last}' is missing."
        else:
            message = misshapen.sentence(error, "A file of tests")
        self._wrong(pointer, SHAPE, message)

    # ------------------------------------------------------------------------------ the machine

    def _machine(self, given: Json) -> Machine | None:
        if isinstance(given, dict):
            return self._first(dumps(given).encode(), self.found.file, "/machine", is_here=True)
        if not isinstance(given, str) or not given:
            self._wrong("/machine", SHAPE, "machine must be the name of a file, or a definition.")
            return None
        path = self._path.parent / given
        self.found.paths.append(path)  # also one that is not there: it may appear
        data = self._bytes(path, given, "/machine")
        if data is None:
            return None
        label = os.path.normpath(Path(self.found.file).parent / given)
        return self._first(data, label, given)

    def _first(
        self, data: bytes, label: str, shown: str, *, is_here: bool = False
    ) -> Machine | None:
        """The first machine of a text, which the file of tests names, or which `is_here` in it."""
        file = sources.read(data)
        problems = list(file.problems)
        for machine in file.machines[:1]:
            program, more = machine.inspect()
            problems += [each for each in more if each.severity == "error"]
            if program is not None and not problems:
                return Machine(machine.name or "machine", label, program)
        for each in problems:
            placed = self._placed(each) if is_here else each
            self.found.problems.append(Wrong(label, placed))
        if not problems:
            self._wrong("/machine", MACHINE, f"There is no StateMachine in {shown}.")
        return None

    def _placed(self, problem: Problem) -> Problem:
        """A problem of the machine that is written in the file of tests, where it stands there."""
        pointer = f"/machine{problem.pointer}"
        line, column = self._parsed.place_of(pointer) or (None, None)
        return replace(problem, pointer=pointer, line=line, column=column)

    # ---------------------------------------------------------------------------------- a test

    def _case(self, test: Test, where: str, known: _Known) -> Case | None:
        if self._is_full:
            return None
        before = len(self.found.problems)
        answers = self._answers(test.mocks, f"{where}/mocks", known.tasks)
        expected = self._expected(test.expect, f"{where}/expect", known.states)
        begins_at = BEGIN if test.start_time is None else parse_timestamp(test.start_time)
        if begins_at is None or not YEAR_MIN <= begins_at.year <= YEAR_MAX:
            message = (
                "startTime must be a time as RFC 3339 has it, such as 2026-01-31T12:00:00Z, "
                f"of the years {YEAR_MIN} to {YEAR_MAX}."
            )
            self._wrong(f"{where}/startTime", SHAPE, message)
        if len(self.found.problems) > before or expected is None or begins_at is None:
            return None
        return Case(
            test.name,
            where,
            (self._parsed.place_of(where) or (1, 1))[0],
            test.input,
            answers,
            test.execution_name or "test",
            begins_at.astimezone(UTC),
            expected,
        )

    def _did_you_mean(self, name: str, known: Iterable[str]) -> str:
        # It takes a look at every name, and one who has misspelt many has begun with these.
        self._misspelt += 1
        near = get_close_matches(name[:80], known, 1) if self._misspelt <= HINTS_MAX else ()
        told = ", ".join(f"'{each:.80}'" for each in islice(known, 10)) or "none"
        return f"; did you mean '{near[0]:.80}'?" if near else f"; there are: {told}."

    def _answers(
        self, given: Mapping[str, Json], where: str, known: Mapping[str, int]
    ) -> mocks.Mocks:
        found: dict[str, mocks.Answers] = {}
        for name, answers in given.items():
            if self._is_full:
                break
            if name not in known:
                message = f"'{name:.80}' is no Task of the machine{self._did_you_mean(name, known)}"
                self._wrong(f"{where}/{escaped(name)}", MOCKS, message)
                continue
            try:
                found |= mocks.parse({name: answers}, where)
            except mocks.WrongMocks as why:
                self._wrong(why.pointer, MOCKS, f"{why.sentence[0].upper()}{why.sentence[1:]}.")
                continue
            if mocks.maps_told_apart(found[name]) > known[name]:
                message = f"Items tell apart more Maps than '{name:.80}' is in: {known[name]}."
                self._wrong(f"{where}/{escaped(name)}", MOCKS, message)
        return found

    def _expected(self, expect: Expect, where: str, known: Names) -> Expected | None:
        if not expect.model_dump(exclude_none=True) and not _OUTPUTS & expect.model_fields_set:
            self._wrong(where, SHAPE, "A test must expect something, for example a status.")
        for member, names in (
            ("visited", expect.visited),
            ("visitedContains", expect.visited_contains),
        ):
            for number, name in enumerate(names or ()):
                if name not in known and not self._is_full:
                    message = f"There is no state '{name:.80}'{self._did_you_mean(name, known)}"
                    self._wrong(f"{where}/{member}/{number}", MACHINE, message)
        pattern = None
        if expect.cause_matches is not None:
            try:
                pattern = Pattern.anywhere(expect.cause_matches)
            except PatternError as why:
                message = (
                    f"causeMatches cannot be read at character {why.position + 1}: {why.message}."
                )
                self._wrong(f"{where}/causeMatches", SHAPE, message)
                return None
        return Expected(
            status=expect.status,
            has_output="output" in expect.model_fields_set,
            output=expect.output,
            has_part="output_contains" in expect.model_fields_set,
            part=expect.output_contains,
            error=expect.error,
            cause=expect.cause,
            cause_pattern=pattern,
            visited=expect.visited,
            visited_part=expect.visited_contains,
            history=expect.history,
        )


_OUTPUTS: Final = {"output", "output_contains"}
"""Members of `expect` that expect something even where they are null."""


def _near(name: str, tokens: list[str]) -> str:
    model = Expect if "expect" in tokens[:-1] else Test if len(tokens) > 1 else Tests
    known = [each.alias or member for member, each in model.model_fields.items()]
    return f"; there are: {', '.join(known)}" if name not in known else ""
