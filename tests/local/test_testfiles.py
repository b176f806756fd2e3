"""Files of tests: what is read, and what is wrong with one, at which line."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.treadles import manifest, states, write
from tests.support.workflows import succeed, task
from treadle.asl import limits
from treadle.local import testfiles, testschema
from treadle.local.testfiles import TestFile
from treadle.local.workflowtests import BEGIN

ROOT = Path(__file__).parents[2]
MACHINE = states(A=task(Next="B"), B=succeed())
ONE = {"Return": 1}
TEST: dict[str, Any] = {"name": "t", "mocks": {"A": {"Return": 1}}, "expect": {"status": "Failed"}}
GOOD: dict[str, Any] = {"machine": MACHINE, "tests": [TEST]}


ONE_MAP = {"Type": "Map", "ItemProcessor": states(A=task()), "End": True}
IN_TWO_MAPS = states(M={"Type": "Map", "ItemProcessor": states(N=ONE_MAP), "End": True})


def read(folder: Path, document: Any, name: str = "a.test.json") -> TestFile:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return testfiles.read(path, name)


def with_test(**members: Any) -> dict[str, Any]:
    return {**GOOD, "tests": [{**TEST, **members}]}


def test_a_file_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found.problems == []
    assert (found.title, [case.name for case in found.cases]) == ("a.test.json", ["t"])
    (case,) = found.cases
    assert (case.input, case.execution_name, case.begins_at) == ({}, "test", BEGIN)
    assert case.expected.status == "Failed"
    assert not case.expected.has_output


def test_all_members_are_read(tmp_path: Path) -> None:
    expect = {
        "status": "Succeeded",
        "output": None,
        "outputContains": None,
        "error": "E",
        "cause": "C",
        "causeMatches": "c+",
        "visited": ["A"],
        "visitedContains": ["B"],
        "history": ["ExecutionStarted"],
    }
    test = {
        **TEST,
        "input": [1],
        "executionName": "e",
        "startTime": "2026-03-04T05:06:07+01:00",
        "expect": expect,
    }
    found = read(tmp_path, {"machine": MACHINE, "name": "N", "tests": [test]})
    assert found.problems == []
    (case,) = found.cases
    assert (found.title, case.input, case.execution_name) == ("N", [1], "e")
    assert case.begins_at.isoformat() == "2026-03-04T04:06:07+00:00"
    expected = case.expected
    assert (expected.has_output, expected.output) == (True, None)
    assert (expected.has_part, expected.part) == (True, None)
    assert (expected.error, expected.cause) == ("E", "C")
    assert (expected.visited, expected.visited_part, expected.history) == (
        ["A"],
        ["B"],
        ["ExecutionStarted"],
    )
    assert expected.cause_pattern is not None
    assert set(expect) | {"name"} >= set(testschema.Expect.model_json_schema()["properties"])


@pytest.mark.parametrize("kind", ["definition", "manifest"])
@pytest.mark.parametrize("where", ["here", "file"])
def test_a_machine_is_a_definition_or_a_manifest_here_or_in_a_file(
    kind: str, where: str, tmp_path: Path
) -> None:
    machine = MACHINE if kind == "definition" else manifest(MACHINE, "its-name")
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "m.json").write_text(json.dumps(machine))
    given = machine if where == "here" else "machines/m.json"
    found = read(tmp_path, {**GOOD, "machine": given})
    assert found.problems == []
    assert found.machine is not None
    assert found.machine.name == ("machine" if kind == "definition" else "its-name")
    assert found.machine.label == ("a.test.json" if where == "here" else "machines/m.json")
    assert found.paths[1:] == ([] if where == "here" else [tmp_path / "machines" / "m.json"])


def problems(found: TestFile) -> list[tuple[str, str]]:
    assert found.machine is None
    return [(each.problem.pointer, each.problem.message) for each in found.problems]


@pytest.mark.parametrize(
    ("document", "pointer", "sentence"),
    [
        ([], "", "A file of tests must be an object."),
        ({"machine": MACHINE}, "", "'tests' is missing."),
        ({**GOOD, "tests": []}, "/tests", "tests must have 1 item or more."),
        ({**GOOD, "test": 1}, "/test", "no member 'test' here; there are: machine, name, tests"),
        (with_test(input_=1), "/tests/0/input_", "there are: name, input, mocks, executionName"),
        (with_test(name=""), "/tests/0/name", "name must have 1 character or more."),
        (with_test(name=1), "/tests/0/name", "name must be a text."),
        (with_test(expect={}), "/tests/0/expect", "must expect something"),
        (with_test(expect={"status": None}), "/tests/0/expect", "must expect something"),
        (
            with_test(expect={"outputs": 1}),
            "/tests/0/expect/outputs",
            "there are: status, output, outputContains",
        ),
        (with_test(expect={"status": "OK"}), "/tests/0/expect/status", "'Succeeded', 'Failed'"),
        (
            with_test(expect={"causeMatches": "("}),
            "/tests/0/expect/causeMatches",
            "causeMatches cannot be read at character 2: Invalid pattern: expected ')'",
        ),
        (
            with_test(expect={"causeMatches": "a)(b"}),
            "/tests/0/expect/causeMatches",
            "at character 2: Invalid pattern: unmatched ')'",
        ),
        (
            with_test(expect={"causeMatches": "(?:a{0,65000}){0,65000}"}),
            "/tests/0/expect/causeMatches",
            "expected {n}",
        ),
        (with_test(expect={"causeMatches": "(?=a)"}), "/tests/0/expect/causeMatches", "expected"),
        (
            with_test(expect={"visited": ["A", "a"]}),
            "/tests/0/expect/visited/1",
            "There is no state 'a'",
        ),
        (
            with_test(expect={"visitedContains": ["Bb"]}),
            "/tests/0/expect/visitedContains/0",
            "did you mean 'B'?",
        ),
        (with_test(mocks={"B": {"Return": 1}}), "/tests/0/mocks/B", "'B' is no Task"),
        (with_test(mocks={"AA": {"Return": 1}}), "/tests/0/mocks/AA", "did you mean 'A'?"),
        (with_test(mocks={"A": {}}), "/tests/0/mocks/A", "This must be a list of answers"),
        (
            with_test(mocks={"A": [{"Return": 1}, {"Retrun": 1}]}),
            "/tests/0/mocks/A/1",
            "An answer must have Return, or Throw",
        ),
        (with_test(startTime="now"), "/tests/0/startTime", "RFC 3339"),
        (with_test(startTime="0001-01-01T00:00:00+23:00"), "/tests/0/startTime", "1970 to 9000"),
        (with_test(startTime="9999-12-31T00:00:00Z"), "/tests/0/startTime", "1970 to 9000"),
        ({**GOOD, "tests": [TEST, TEST]}, "/tests/1/name", "Another test has the same name."),
        ({**GOOD, "machine": 3}, "/machine", "the name of a file, or a definition"),
        ({**GOOD, "machine": ""}, "/machine", "the name of a file, or a definition"),
        ({**GOOD, "machine": "no.json"}, "/machine", "no.json cannot be read: No such file"),
        ({**GOOD, "machine": "."}, "/machine", "cannot be read: Is a directory"),
        (
            {**GOOD, "machine": {"kind": "List", "apiVersion": "v1", "items": []}},
            "/machine",
            "no State",
        ),
        (
            {**GOOD, "machine": states(A=task(Next="C"))},
            "/machine/States/A/Next",
            "There is no state 'C'",
        ),
        (
            with_test(mocks={"A": {"Items": {"0": {"Return": 1}}}}),
            "/tests/0/mocks/A",
            "Items tell apart more Maps than 'A' is in: 0.",
        ),
        (
            {
                "machine": states(M=ONE_MAP),
                "tests": [{**TEST, "mocks": {"A": {"Items": {"0": {"Items": {"0": ONE}}}}}}],
            },
            "/tests/0/mocks/A",
            "Items tell apart more Maps than 'A' is in: 1.",
        ),
        ('{"machine": 1, "machine": 2}', "/machine", "given twice"),
        ("a: [", "", "cannot be read"),
    ],
)
def test_what_is_wrong_is_a_sentence_at_its_place(
    document: Any, pointer: str, sentence: str, tmp_path: Path
) -> None:
    found = problems(read(tmp_path, document))
    assert any(at == pointer and sentence in message for at, message in found), found


def test_a_problem_has_the_line_of_the_file_that_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("StartAt: A\nStates:\n  A:\n    Type: Tsk\n    End: true\n")
    found = read(
        tmp_path,
        "machine: m.yaml\ntests:\n  - name: t\n    expect:\n      output: 1\n",
        "a.test.yaml",
    )
    assert [(each.file, each.problem.line) for each in found.problems] == [("m.yaml", 4)]
    (tmp_path / "m.yaml").write_text("StartAt: A\nStates: {A: {Type: Succeed}}\n")
    found = read(
        tmp_path,
        "machine: m.yaml\ntests:\n  - name: t\n    expect:\n      visited:\n        - B\n",
        "a.test.yaml",
    )
    assert [(each.file, each.problem.line) for each in found.problems] == [("a.test.yaml", 6)]


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    one = {**TEST, "mocks": {"X": 1}, "expect": {"visited": ["Y"]}}
    found = read(tmp_path, {**GOOD, "tests": [one, {**one, "name": "u"}]})
    assert [at for at, _ in problems(found)] == [
        f"/tests/{n}/{where}" for n in (0, 1) for where in ("mocks/X", "expect/visited/0")
    ]


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.test.json"
    path.write_bytes(b"\xff")
    assert problems(testfiles.read(path, "a")) == [("", "The file is not UTF-8.")]
    path.write_bytes(b" " * (limits.TESTS_BYTES_MAX + 1))
    assert "bytes" in problems(testfiles.read(path, "a"))[0][1]
    ((_, message),) = problems(testfiles.read(tmp_path / "b", "b"))
    assert message == "b cannot be read: No such file or directory."


def test_too_many_tests_are_refused(tmp_path: Path) -> None:
    tests = [{**TEST, "name": str(n)} for n in range(testschema.TESTS_MAX + 1)]
    ((pointer, message),) = problems(read(tmp_path, {**GOOD, "tests": tests}))
    assert (pointer, "tests may have 1,000 items at most." in message) == ("/tests", True)


# ------------------------------------------------------------------------------------- the schema


def test_the_schema_in_the_docs_is_what_the_models_give() -> None:
    found = (ROOT / "docs" / "workflow-tests.schema.json").read_text(encoding="utf-8")
    assert found == testschema.text(), "run `make schema`"


SCHEMA = Draft202012Validator(testschema.schema())


@pytest.mark.parametrize(
    ("answers", "is_right"),
    [
        ({"Return": None}, True),
        ({"Return": 1, "Delay": 0.5}, True),
        ({"Throw": {"Error": "E"}}, True),
        ({"Throw": {"Error": "E", "Cause": None}}, True),
        ([{"Return": 1}, {"Throw": {"Error": "E", "Cause": "c"}, "Delay": 3}], True),
        ({"0-3": {"Return": 1}, "4": {"Return": 1}}, True),
        ({"Visits": {"0": [{"Return": 1}], "*": {"Return": 2}}}, True),
        ({"Items": {"0-9": {"Visits": {"0": {"Return": 1}}}}}, True),
        ({"Items": {"0": {"Items": {"1": {"0": {"Return": 1}}}}}}, True),
        (1, False),
        ([], False),
        ({}, False),
        ({"Delay": 1}, False),
        ({"Return": 1, "Throw": {"Error": "E"}}, False),
        ({"Return": 1, "Delay": -1}, False),
        ({"Return": 1, "Delay": True}, False),
        ({"Return": 1, "Delay": 1e12}, False),
        ({"Throw": {"Cause": "c"}}, False),
        ({"Throw": {"Error": "E", "Why": "c"}}, False),
        ({"x": {"Return": 1}}, False),
        ({"Visits": {}}, False),
        ({"Visits": {"x": {"Return": 1}}}, False),
        ({"Visits": {"0": {"Visits": {"0": {"Return": 1}}}}}, False),
        ({"Visits": {"0": {"Items": {"0": {"Return": 1}}}}}, False),
        ({"Visits": {"0": {"Return": 1}}, "Items": {"0": {"Return": 1}}}, False),
    ],
)
def test_the_schema_takes_what_is_read_and_nothing_else(
    answers: Any, is_right: bool, tmp_path: Path
) -> None:
    document = {**with_test(mocks={"A": answers}), "machine": IN_TWO_MAPS}
    assert (read(tmp_path, document).problems == []) is is_right
    assert SCHEMA.is_valid(document) is is_right


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.test.yaml")), ids=str)
def test_the_examples_are_as_the_schema_says(path: Path) -> None:
    from treadle.asl.texts import loads_document

    assert list(SCHEMA.iter_errors(loads_document(path.read_text(encoding="utf-8")))) == []
    assert testfiles.read(path, path.name).problems == []


def test_a_wrong_file_costs_no_more_than_its_first_problems(tmp_path: Path) -> None:
    names = [f"Task{number:06}" for number in range(4_000)]
    machine = states(**{name: succeed() for name in names})
    misspelt = [name.replace("a", "o") for name in names] * 5
    tests = [
        {"name": "t", "expect": {"visited": misspelt}},
        {"name": "u", "expect": {"visitedContains": misspelt}},
        {"name": "v", "mocks": {name: {} for name in misspelt}, "expect": {"visited": []}},
    ]
    write(tmp_path, machine, "m.json")
    began = time.process_time()
    found = problems(read(tmp_path, {"machine": "m.json", "tests": tests}))
    assert time.process_time() - began < 15
    assert len(found) == limits.PROBLEMS_MAX + 1
    assert found[0] == (
        "/tests/0/expect/visited/0",
        "There is no state 'Tosk000000'; did you mean 'Task000000'?",
    )
    assert found[-1] == ("", "There are more than 200 problems; the rest is not listed.")


def test_many_members_that_are_not_known_are_told_up_to_a_bound(tmp_path: Path) -> None:
    found = problems(read(tmp_path, with_test(**{f"x{number}": 1 for number in range(1_000)})))
    assert len(found) == limits.PROBLEMS_MAX + 1


def test_many_problems_of_tests_are_told_up_to_a_bound(tmp_path: Path) -> None:
    tests = [{**TEST, "name": f"t{number}", "expect": {}} for number in range(999)]
    assert len(problems(read(tmp_path, {**GOOD, "tests": tests}))) == limits.PROBLEMS_MAX + 1
