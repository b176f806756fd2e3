"""`treadle test`: what it says, its exit status, the files that it finds, and what it writes."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from tests.support.treadles import begin, manifest, states, tidy, treadle, until, write
from tests.support.workflows import succeed, task
from treadle.cli import testing
from treadle.cli.main import main
from treadle.cli.testing import Asked

MACHINE = states(A=task(Next="B"), B=succeed())
GOOD: dict[str, Any] = {
    "name": "good",
    "mocks": {"A": {"Return": {"n": 1}}},
    "expect": {"status": "Succeeded", "output": {"n": 1}},
}
BAD = {**GOOD, "name": "bad", "expect": {"output": {"n": 2}}}


def call(*words: str) -> Result:
    found = CliRunner().invoke(main, ["test", *words])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def lay_out(folder: Path, *which: dict[str, Any], name: str = "m.test.json", **more: Any) -> Path:
    return write(folder, {"machine": MACHINE, "tests": list(which), **more}, name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tests_that_pass(here: Path) -> None:
    lay_out(here, GOOD)
    found = call(".")
    assert (found.exit_code, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "m.test.json"
    assert lines[1].split()[:3] == ["✓", "good", "0.0s"]
    assert lines[1].endswith(" ms")
    assert lines[2:] == [
        "",
        "m.test.json: 2 of 2 covered, 100 %",
        "  states 2 of 2",
        "1 passed, 0 failed",
    ]


def test_a_test_that_fails_says_where_and_what(here: Path) -> None:
    lay_out(here, GOOD, BAD)
    found = call("m.test.json")
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[2].split()[:2] == ["✗", "bad"]
    assert lines[3:7] == [
        "      m.test.json:1",
        "      output at /n",
        "        expected  2",
        "        came      1",
    ]
    assert lines[-1] == "1 passed, 1 failed"


@pytest.mark.parametrize(
    ("expect", "lines"),
    [
        ({"status": "Failed"}, ["status", "expected  Failed", "came      Succeeded"]),
        ({"output": 3}, ["output", "expected  3", 'came      {"n":1}']),
        (
            {"outputContains": {"m": 1}},
            ["outputContains at /m", "expected  1", "came      nothing"],
        ),
        ({"error": "E"}, ["error", 'expected  "E"', "came      nothing"]),
        ({"cause": "C"}, ["cause", 'expected  "C"', "came      nothing"]),
        (
            {"causeMatches": "C+"},
            ["causeMatches", "expected  something like C+", "came      nothing"],
        ),
        ({"visited": ["A"]}, ["visited at /1", "expected  nothing", 'came      "B"']),
        (
            {"visitedContains": ["B", "A"]},
            ["visitedContains at /1", 'expected  "A" after "B"', 'came      ["A","B"]'],
        ),
        (
            {"history": ["ExecutionFailed"]},
            ["history at /0", 'expected  "ExecutionFailed"', 'came      "ExecutionStarted"'],
        ),
    ],
)
def test_each_expectation_fails_with_a_difference(
    expect: dict[str, Any], lines: list[str], here: Path
) -> None:
    lay_out(here, {**GOOD, "expect": expect})
    found = call(".")
    assert found.exit_code == 1
    assert [line.strip() for line in found.stdout.splitlines()[3:6]] == lines


def test_a_task_without_a_mock_is_named(here: Path) -> None:
    lay_out(here, {**GOOD, "mocks": {}})
    found = call(".")
    assert found.exit_code == 1
    assert "      'A' ran and has no mock; add to `mocks`, for example," in found.stdout
    assert "      it had come to 'A' by then\n" in found.stdout


WRONG: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "no path": ({}, [], "Missing argument 'PATH...'"),
    "no file": ({}, ["x.test.json"], "x.test.json:1:1: error: x.test.json cannot be read: No such"),
    "an empty folder": ({}, ["."], "there is no *.test.yaml, *.test.yml, *.test.json in '.'"),
    "another format": ({"a.test.json": {}}, [".", "-o", "xml"], "'xml' is not one of"),
    "coverage": ({"a.test.json": {}}, [".", "--coverage-min", "101"], "not in the range"),
    "no coverage": ({"a.test.json": {}}, [".", "--coverage-min", "nan"], "nan is no finite number"),
    "nothing chosen": (
        {"a.test.json": {"machine": MACHINE, "tests": [GOOD]}},
        [".", "-k", "zebra"],
        "no test has 'zebra' in its name",
    ),
    "no folder for the results": (
        {"a.test.json": {"machine": MACHINE, "tests": [GOOD]}},
        [".", "--junit", "no/j.xml"],
        "--junit: there is no folder for no/j.xml",
    ),
    "results that cannot be written": (
        {"a.test.json": {"machine": MACHINE, "tests": [GOOD]}},
        [".", "--junit", "."],
        "--junit: .: Is a directory",
    ),
    "a wrong member": (
        {"a.test.json": {"machine": MACHINE, "tests": [{**GOOD, "nmae": 1}]}},
        ["."],
        "a.test.json:1:",
    ),
    "a wrong machine": (
        {"a.test.json": {"machine": "m.json", "tests": [GOOD]}, "m.json": {"StartAt": "A"}},
        ["."],
        "m.json:1:1: error:",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_a_sentence_and_no_test_runs(what: str, here: Path) -> None:
    files, words, sentence = WRONG[what]
    for name, content in files.items():
        write(here, content, name)
    found = call(*words)
    assert found.exit_code == 2, found.output
    assert sentence in found.stderr
    if "results" not in what:
        assert found.stdout == ""


def test_a_wrong_file_beside_a_right_one_is_told_with_line_and_pointer(here: Path) -> None:
    lay_out(here, GOOD)
    text = (
        "machine: {StartAt: A, States: {A: {Type: Succeed}}}\nnam: x\n"
        "tests:\n  - name: x\n    expct: 1\n"
    )
    (here / "z.test.yml").write_text(text)
    found = call(".")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.splitlines() == [
        "z.test.yml:2:1: error: There is no member 'nam' here; there are: machine, name, tests. "
        "[test-shape] at /nam",
        "z.test.yml:4:5: error: 'expect' is missing. [test-shape] at /tests/0",
        "z.test.yml:5:5: error: There is no member 'expct' here; there are: name, input, mocks, "
        "executionName, startTime, expect. [test-shape] at /tests/0/expct",
    ]
    told = json.loads(call(".", "-o", "json").stdout)["problems"]
    assert [(each["line"], each["pointer"]) for each in told] == [
        (2, "/nam"),
        (4, "/tests/0"),
        (5, "/tests/0/expct"),
    ]


def test_folders_are_searched_and_hidden_ones_are_not(here: Path) -> None:
    for folder in ("b/c", "a", ".hidden", "b/.git"):
        (here / folder).mkdir(parents=True)
    for name in ("a/1.test.json", "b/2.test.yaml", "b/c/3.test.yml", ".hidden/4.test.json"):
        lay_out(here, {**GOOD, "name": name}, name=name)
    lay_out(here, GOOD, name="b/.git/5.test.json")
    lay_out(here, GOOD, name="b/tests.json")
    lay_out(here, GOOD, name="b/.6.test.json")
    found = [each["name"] for each in json.loads(call(".", "-o", "json").stdout)["tests"]]
    assert found == ["a/1.test.json", "b/2.test.yaml", "b/c/3.test.yml"]
    assert json.loads(call("b/tests.json", "b/tests.json", "-o", "json").stdout)["passed"] == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("good", ["good"]),
        ("GOO", ["good"]),
        ("m.test", ["good", "bad"]),
        ("orders", ["good", "bad"]),
    ],
)
def test_tests_are_chosen_by_name(text: str, names: list[str], here: Path) -> None:
    write(here, {"machine": MACHINE, "name": "Orders", "tests": [GOOD, BAD]}, "m.test.json")
    found = json.loads(call(".", "-k", text, "-o", "json").stdout)
    assert [each["name"] for each in found["tests"]] == names


def test_coverage_adds_up_over_the_files_of_a_machine(here: Path) -> None:
    rules = [{"Variable": "$.n", "NumericEquals": 1, "Next": "Done"}]
    machine = states(C={"Type": "Choice", "Choices": rules, "Default": "Done"}, Done=succeed())
    write(here, manifest(machine, "m"), "m.json")
    for number in (1, 2):
        test = {"name": "t", "input": {"n": number}, "expect": {"status": "Succeeded"}}
        write(here, {"machine": "m.json", "tests": [test]}, f"{number}.test.json")
    assert "m.json: 4 of 4 covered, 100 %" in call(".").stdout
    one = call("1.test.json", "--coverage-min", "80")
    assert one.exit_code == 1
    assert "  not covered: /States/C/Default\n1 passed, 0 failed\n" in one.stdout
    assert one.stderr == "m.json is covered by 75.0 %, less than 80\n"
    assert call("1.test.json", "--coverage-min", "75").exit_code == 0
    (covered,) = json.loads(call("1.test.json", "-o", "json").stdout)["coverage"]
    assert covered == {
        "machine": "m.json",
        "percent": 75.0,
        "states": {"covered": 2, "total": 2},
        "choices": {"covered": 1, "total": 2},
        "missed": ["/States/C/Default"],
        "unclear": [],
    }


def test_a_report_for_programs(here: Path) -> None:
    lay_out(here, GOOD, BAD)
    found = call(".", "--format", "json")
    assert found.exit_code == 1
    report = json.loads(found.stdout)
    assert (report["passed"], report["failed"], report["problems"]) == (1, 1, [])
    good, bad = report["tests"]
    assert good == {
        "file": "m.test.json",
        "name": "good",
        "pointer": "/tests/0",
        "line": 1,
        "passed": True,
        "status": "Succeeded",
        "seconds": 0.0,
        "realMilliseconds": good["realMilliseconds"],
        "visited": ["A", "B"],
        "trouble": "",
        "differences": [],
    }
    assert bad["differences"] == [{"what": "output", "pointer": "/n", "expected": "2", "came": "1"}]


def test_a_report_for_a_build_server(here: Path) -> None:
    odd = {**GOOD, "name": "odd \x00 <&> \ud800 ✓"}
    lay_out(here, GOOD, {**BAD, "expect": {"output": "\x01"}}, name="m.test.json")
    lay_out(here, {**odd, "name": odd["name"].replace("\ud800", "")}, name="n.test.json")
    assert call(".", "--junit", "j.xml").exit_code == 1
    root = ElementTree.parse(here / "j.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "1")
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in root] == [
        ("m.test.json", "2", "1"),
        ("n.test.json", "1", "0"),
    ]
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == ["good", "bad", "odd � <&>  ✓"]
    (failure,) = root.iter("failure")
    assert failure.get("message") == "output"
    assert failure.text is not None
    assert failure.text.splitlines()[-1].strip() == 'came      {"n":1}'


def test_names_are_shown_as_they_can_be(here: Path) -> None:
    lay_out(here, {**GOOD, "name": "\x1b[31m" + "x" * 150})
    line = call(".").stdout.splitlines()[1]
    assert line.startswith("  ✓ \\x1b[31mxxx")
    assert len(line) < 110


def test_what_is_missing_is_bounded(here: Path) -> None:
    many = {f"S{n}": {"Type": "Succeed"} for n in range(100)}
    machine = states(C={"Type": "Choice", "Choices": _rules(100), "Default": "S0"}, **many)
    lay_out(
        here, {"name": "t", "input": {"n": 0}, "expect": {"visited": ["C", "S0"]}}, machine=machine
    )
    lines = call(".").stdout.splitlines()
    assert sum("not covered" in line for line in lines) == 50
    assert "  and 149 more" in lines


def _rules(count: int) -> list[dict[str, Any]]:
    return [{"Variable": "$.n", "NumericEquals": n, "Next": f"S{n}"} for n in range(count)]


def test_too_many_files_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "FILES_MAX", 2)
    for number in range(3):
        lay_out(here, GOOD, name=f"{number}.test.json")
    found = call(".")
    assert (found.exit_code, "more than 2 files of tests" in found.stderr) == (2, True)
    monkeypatch.setattr(testing, "FOLDERS_MAX", 1)
    (here / "d").mkdir()
    found = call(".")
    assert (found.exit_code, "more than 1 folders" in found.stderr) == (2, True)


def test_a_wrong_setting_is_a_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_HEALTH_PORT", "x")
    lay_out(here, GOOD)
    found = call(".")
    assert (found.exit_code, "TREADLE_HEALTH_PORT is 'x'" in found.stderr) == (2, True)


# ----------------------------------------------------------------------------------------- watching


def watch(here: Path, capsys: pytest.CaptureFixture[str], *changes: Callable[[], Any]) -> list[str]:
    """The last line of each round; between two rounds something changes."""
    left, asked = list(changes), Asked(["."], "", None, None, True, "text")
    naps = 0

    def sleep(_: float) -> None:
        nonlocal naps
        naps += 1
        assert naps < 20, "a change was not seen"
        if naps % 2:
            return  # nothing has changed, so nothing runs
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    status = testing.watch(asked, sleep)
    said = capsys.readouterr()
    rounds = said.err.count("waiting for a change")
    assert rounds == len(changes) + 1, said
    lines = (said.out + said.err).splitlines()
    return [
        str(status),
        *(line for line in lines if " passed, " in line or "error" in line.lower()),
    ]


def test_tests_run_again_when_their_file_changes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(here, GOOD)
    told = watch(here, capsys, lambda: lay_out(here, GOOD, BAD))
    assert told == ["1", "1 passed, 0 failed", "1 passed, 1 failed"]


def test_tests_run_again_when_the_machine_changes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, MACHINE, "m.json")
    lay_out(here, GOOD, machine="m.json")
    told = watch(
        here,
        capsys,
        lambda: write(here, states(A=task(Next="B"), B={"Type": "Fail"}), "m.json"),
        lambda: write(here, states(A=task(Next="C")), "m.json"),
        lambda: write(here, MACHINE, "m.json"),
    )
    assert told[:4] == ["0", "1 passed, 0 failed", "0 passed, 1 failed", "1 passed, 0 failed"]
    assert any("There is no state 'C'" in line for line in told[4:])


def test_tests_run_again_when_another_file_comes_or_goes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lay_out(here, GOOD)
    told = watch(
        here,
        capsys,
        lambda: lay_out(here, GOOD, name="n.test.json"),
        lambda: (path.unlink(), (here / "n.test.json").unlink()),
        lambda: lay_out(here, GOOD),
    )
    assert told[:4] == ["0", "1 passed, 0 failed", "2 passed, 0 failed", "1 passed, 0 failed"]
    assert any("there is no *.test.yaml" in line for line in told[4:])


def test_tests_run_when_the_machine_appears(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(here, GOOD, machine="m.json")
    told = watch(here, capsys, lambda: write(here, MACHINE, "m.json"))
    assert told[:2] == ["0", "1 passed, 0 failed"]
    assert "m.json cannot be read" in told[2]


def test_a_machine_that_no_file_can_be_is_waited_for_in_vain(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(here, GOOD, machine="m\0.json")
    told = watch(here, capsys, lambda: lay_out(here, GOOD))
    assert told[:2] == ["0", "1 passed, 0 failed"]


@pytest.mark.slow
def test_ctrl_c_ends_watching(here: Path) -> None:
    import signal

    lay_out(here, BAD)
    process = begin(here, "test", ".", "--watch")
    try:
        assert process.stderr is not None
        assert "waiting for a change" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, "0 passed, 1 failed" in out, err) == (1, True, "")
    finally:
        tidy()


# ---------------------------------------------------------------------------------------- a process


@pytest.mark.slow
def test_a_process_says_the_same_and_needs_no_home(here: Path) -> None:
    lay_out(here, GOOD)
    done = treadle(here, "test", ".")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 passed, 0 failed\n")
    assert os.listdir(here) == ["m.test.json"]


@pytest.mark.slow
def test_nobody_who_reads_is_no_traceback(here: Path) -> None:
    lay_out(here, *({**GOOD, "name": str(n)} for n in range(900)))
    from tests.support.treadles import command, environment

    with subprocess.Popen(
        command("test", "."),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    until(lambda: process.returncode is not None)
