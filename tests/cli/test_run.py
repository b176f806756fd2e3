"""`treadle run` with what cannot be run: a sentence, exit status 2, and no traceback."""

import base64
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.treadles import gives, manifest, mounting, shell, states, treadle, write
from treadle.cli.main import main

PASS = states(A={"Type": "Pass", "End": True})
IMAGE = {"Type": "Task", "Resource": "treadle:job", "Parameters": {"image": "busybox"}}
QUEUE = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}}
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
)
DATA = {"name": "data", "configMap": {"name": "c"}}


def with_config(**members: Any) -> str:
    machine = manifest(PASS, podTemplate=mounting(DATA))
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, **members}
    return f"{json.dumps(machine)}\n---\n{json.dumps(config)}\n"


# (what is in files beside machine.json, the words, what is said)
BROKEN: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "no machine": ({}, [], "name a MACHINE"),
    "no such file": ({}, ["missing.json"], "'missing.json' cannot be read: No such file"),
    "a folder of nothing": ({"d/x": b""}, ["d"], "there is no *.yaml"),
    "no machine in it": ({"a.yaml": b"apiVersion: v1\nkind: ConfigMap\n"}, ["a.yaml"], "no State"),
    "empty": ({"a": b""}, ["a"], "holds no definition"),
    "binary": ({"a": b"\xff\x00\xfe"}, ["a"], "not UTF-8"),
    "a list": ({"a": b"[1]"}, ["a"], "must be an object"),
    "deep": ({"a": b'{"StartAt":' + b"[" * 50_000}, ["a"], "[document-"),
    "a bomb": ({"a.yaml": BOMB.encode()}, ["a.yaml"], "document-too-large"),
    "a wrong definition": ({"a": states(A={"Type": "Nope"})}, ["a"], "[member-value]"),
    "an odd name": ({"a": manifest(PASS, name="../x")}, ["a"], "cannot be a name"),
    "an image that decides": ({"a": states(A={**IMAGE, "End": True})}, ["a"], "'A' (busybox)"),
    "nothing runs it": ({"a": states(A={**QUEUE, "End": True})}, ["a"], "error: nothing here runs"),
    "input": ({}, ["machine.json", "--input", "{"], "the input is not JSON"),
    "infinite input": ({}, ["machine.json", "--input", "1e400"], "too large"),
    "binary input": ({"i": b"\xff"}, ["machine.json", "--input", "@i"], "not UTF-8"),
    "binary stdin": ({}, ["machine.json", "--input", "-"], "not UTF-8"),
    "no input": ({}, ["machine.json", "--input", "@missing"], "missing: No such file"),
    "input of a folder": ({}, ["machine.json", "--input", "@."], "Is a directory"),
    "deep input": ({"i": b"[" * 100_000}, ["machine.json", "--input", "@i"], "not JSON"),
    "endless input": ({}, ["machine.json", "--input", "@/dev/zero"], "the input has more than"),
    "a name": ({}, ["machine.json", "--name", "../x"], "cannot be a name"),
    "no name": ({}, ["machine.json", "--name", ""], "cannot be a name"),
    "a long name": ({}, ["machine.json", "--name", "x" * 81], "cannot be a name"),
    "volume": ({}, ["machine.json", "--volume", "a"], "'a' is not --volume NAME=DIR"),
    "no volume": ({}, ["machine.json", "--volume", "a=machine.json"], "there is no directory"),
    "command": ({}, ["machine.json", "--command", "=x"], "is not --command IMAGE=CMD"),
    "a quote": ({}, ["machine.json", "--command", "i='a"], "--command: 'a: No closing quotation"),
    "no mocks": ({}, ["machine.json", "--mocks", "missing"], "missing: No such file"),
    "binary mocks": ({"m": b"\xff"}, ["machine.json", "--mocks", "m"], "m is not UTF-8"),
    "wrong mocks": ({"m": b"[]"}, ["machine.json", "--mocks", "m"], "an object of states"),
    "AWS's mocks": (
        {"m": {"StateMachines": {"a": {"TestCases": {"c": 1}}}}},
        ["machine.json", "--mocks", "m#c"],
        "not as AWS has them",
    ),
    "no case": (
        {"m": {"StateMachines": {"a": {"TestCases": {"c": {}}}}}},
        ["machine.json", "--mocks", "m#d"],
        "the cases are: a/c",
    ),
    "misspelt mocks": (
        {"m": {"Aa": {"Return": 1}}},
        ["machine.json", "--mocks", "m"],
        "no Task of the machine: Aa",
    ),
    "mocks by item": (
        {"a.json": states(A=shell("true")), "m": {"A": {"Items": {"0": {"Return": 1}}}}},
        ["a.json", "--mocks", "m"],
        "only `treadle test` tells the items of a Map apart; give A the same answers",
    ),
    "a folder of history": ({}, ["machine.json", "--history", "."], "cannot be a file"),
    "no folder of history": ({}, ["machine.json", "--history", "no/h"], "cannot be a file"),
    "a state dir that is a file": (
        {},
        ["machine.json", "--state-dir", "machine.json"],
        "machine.json is no directory",
    ),
    "a state dir that cannot be": ({}, ["machine.json", "--state-dir", "/proc/x"], "/proc/x: No"),
    "resume nothing": ({}, ["--resume"], "there is nothing to go on with"),
    "limits": ({}, ["machine.json", "--limits", "azure"], "'azure' is not one of"),
    "a limit": (
        {"a": manifest(PASS, limits={"payloadBytesMax": 1})},
        ["a"],
        "error: payloadBytesMax must be 256 or more.",
    ),
    "no limit": (
        {"a": manifest(PASS, limits={"payloadMax": 1_000})},
        ["a"],
        "error: payloadMax is no limit; there are profile, payloadBytesMax, historyEventsMax",
    ),
    "limits again": ({}, ["--resume", "x", "--limits", "aws"], "--limits cannot be given again"),
    "resume what is missing": ({}, ["--resume", "x"], "no execution named 'x'"),
    "resume what cannot be": ({}, ["--resume", "../x"], "cannot be a name"),
    "resume the damaged": ({".treadle/runs/x/run.json": b"{"}, ["--resume", "x"], "is damaged"),
    "resume with more": (
        {},
        ["machine.json", "--input", "1", "--resume", "x"],
        "a MACHINE, --input cannot be given again",
    ),
    "a nameless ConfigMap": (
        {"a.yaml": with_config(metadata={"name": [1]}).encode()},
        ["a.yaml"],
        "a ConfigMap has no metadata.name",
    ),
    "a ConfigMap that leads out": (
        {"a.yaml": with_config(data={"../x": "1"}).encode()},
        ["a.yaml"],
        "'../x' is no path within a volume",
    ),
    "a ConfigMap of a text": (
        {"a.yaml": with_config(data="x").encode()},
        ["a.yaml"],
        "its data is not an object",
    ),
    "a choice": ({}, ["machine.json", "--runner", "rkt"], "'rkt' is not one of"),
}


def lay_out(folder: Path, files: dict[str, Any]) -> None:
    write(folder, PASS)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize("command", ["run", "graph"])
def test_a_folder_of_folders_stands_for_what_is_in_them(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {"all/a/notes.txt": b"", "all/b/machine.json": PASS})
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, [command, "all"])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_a_sentence(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, words, sentence = BROKEN[what]
    lay_out(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["run", *words], input=b"\xff")
    assert found.exit_code == 2, found.output
    assert (sentence in found.stderr, found.stdout) == (True, ""), found.stderr
    assert isinstance(found.exception, SystemExit)
    assert not list(tmp_path.glob(".treadle/runs/*/run.json")) or "damaged" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("what", BROKEN)
def test_so_it_is_of_a_process(what: str, tmp_path: Path) -> None:
    files, words, sentence = BROKEN[what]
    lay_out(tmp_path, files)
    found = treadle(tmp_path, "run", *words, given=b"\xff")
    assert (found.returncode, found.stdout) == (2, "")
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, given: bytes | str = b"") -> tuple[int, str, str]:
    found = CliRunner().invoke(main, ["run", *words], input=given)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.stdout, found.stderr


@pytest.mark.parametrize("how", ["inline", "file", "stdin", "beside"])
def test_where_the_input_comes_from(how: str, here: Path) -> None:
    text = '{"ä": [1.0, 12345678901234567890123, "\\ud800"]}'
    write(here, manifest(PASS))
    (here / "i").write_text(text)
    words = {"inline": ["--input", text], "file": ["--input", "@i"], "stdin": ["--input", "-"]}
    if how == "beside":
        execution = {
            "apiVersion": "treadle.dev/v1alpha1",
            "kind": "Execution",
            "metadata": {"name": "e"},
            "spec": {"stateMachineRef": {"name": "it"}, "inputJson": text},
        }
        other = {**execution, "spec": {"stateMachineRef": {"name": "other"}, "inputJson": "1"}}
        whole = [manifest(PASS), other, execution]
        (here / "machine.json").write_text("\n---\n".join(map(json.dumps, whole)))
    code, out, _ = run("machine.json", *words.get(how, []), given=text)
    assert (code, out) == (0, text.replace(" ", "") + "\n")


@pytest.mark.parametrize("spec", [3, {"stateMachineRef": 3}, {"stateMachineRef": {"name": 3}}])
def test_an_odd_execution_beside_it_is_no_input(spec: Any, here: Path) -> None:
    odd = {"apiVersion": "treadle.dev/v1alpha1", "kind": "Execution", "metadata": {"name": "e"}}
    whole = [manifest(PASS), {**odd, "spec": spec}]
    (here / "machine.json").write_text("\n---\n".join(map(json.dumps, whole)))
    assert run("machine.json")[:2] == (0, "{}\n")


@pytest.mark.parametrize(
    ("state", "given", "expected"),
    [
        ({"Type": "Pass", "End": True}, '"ä\\u202e"', (0, "Succeeded", "ä\u202e", None, None)),
        ({"Type": "Fail", "Error": "E", "Cause": "C"}, "1", (1, "Failed", None, "E", "C")),
        ({"Type": "Fail"}, "1", (1, "Failed", None, None, None)),
        ({"Type": "Wait", "Seconds": 9, "End": True}, "1", (1, "TimedOut", None, None, None)),
    ],
)
def test_the_form_for_programs(
    state: dict[str, Any], given: str, expected: tuple[Any, ...], here: Path
) -> None:
    write(here, {**states(A=state), "TimeoutSeconds": 5})
    words = ["machine.json", "--input", given, "--format", "json", "--time", "virtual"]
    code, out, _ = run(*words)
    found = json.loads(out)
    assert list(found) == ["status", "output", "error", "cause"]
    error = found["error"] if found["status"] != "TimedOut" else None
    assert (code, found["status"], found["output"], error, found["cause"]) == expected


def test_what_an_error_says_cannot_harm_a_terminal(here: Path) -> None:
    write(here, states(A={"Type": "Fail", "Error": "E", "Cause": "a\x1b[31mb\nnext\u202e"}))
    code, out, err = run("machine.json")
    assert (code, out) == (1, "")
    assert "\x1b" not in err
    assert err.endswith("E: a\\x1b[31mb\nnext\\u202e\n")


def test_a_volume_a_command_and_a_history(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "a.json").write_text("[7]")
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    task = {**IMAGE, "End": True}
    write(here, manifest(states(A=task), podTemplate=mounting(claim)))
    show = "busybox=sh -c 'cat $TREADLE_VOLUME_DATA/a.json > $TREADLE_RESULT_FILE'"
    words = ["--volume", "data=mine", "--command", show, "--history", "h.json", "--name", "a"]
    code, out, _ = run("machine.json", *words)
    assert (code, out) == (0, "[7]\n")
    events = json.loads((here / "h.json").read_text())["events"]
    assert [e["id"] for e in events] == list(range(1, len(events) + 1))
    assert run("--resume", "a")[:2] == (0, "[7]\n")
    assert run("--resume")[:2] == (0, "[7]\n")


def test_a_history_may_go_to_a_device(here: Path) -> None:
    write(here, PASS)
    before = os.stat("/dev/null").st_rdev
    assert run("machine.json", "--history", "/dev/null")[0] == 0
    assert os.stat("/dev/null").st_rdev == before


def test_a_history_that_cannot_be_written_hides_no_result(here: Path) -> None:
    write(here, PASS)
    code, out, err = run("machine.json", "--input", "[7]", "--history", "/dev/full")
    assert (code, out) == (2, "[7]\n")
    assert "the history cannot be written to /dev/full: No space left on device" in err


def test_a_directory_with_all_that_is_needed(here: Path) -> None:
    folder = here / "d"
    folder.mkdir()
    script = "cat $(TREADLE_VOLUME_DATA)/a > $TREADLE_RESULT_FILE; pwd"
    write(folder, manifest(states(A=shell(script)), podTemplate=mounting(DATA)))
    packed = base64.b64encode(b"[8]").decode()
    write(
        folder,
        {**json.loads(with_config().split("---\n")[1]), "binaryData": {"a": packed}},
        "c.json",
    )
    assert run("d")[:2] == (0, "[8]\n")
    (log,) = here.glob(".treadle/runs/*/attempts/*/log")
    assert log.read_text() == f"{folder}\n"


def test_mocks_of_a_case(here: Path) -> None:
    cases = {"Good": {"A": "Fine"}, "Bad": {"A": "Poor"}}
    responses = {"Fine": {"0": {"Return": 1}}, "Poor": {"0": {"Throw": {"Error": "E"}}}}
    aws = {"StateMachines": {"m": {"TestCases": cases}}, "MockedResponses": responses}
    write(here, aws, "m.json")
    write(here, states(A=shell(gives("2"))))
    assert run("machine.json", "--mocks", "m.json#Good")[:2] == (0, "1\n")
    assert run("machine.json", "--mocks", "m.json#Bad")[0] == 1


def test_a_mock_is_what_the_function_itself_answers(here: Path) -> None:
    bare = "arn:aws:lambda:eu-west-1:123456789012:function:pay"
    invoke = {"FunctionName": "pay", "Payload": {}}
    calls: dict[str, Any] = {
        "A": {"Type": "Task", "Resource": bare, "Next": "B"},
        "B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": invoke},
        "C": {**IMAGE, "End": True},  # leaves its command to the image, and is mocked too
    }
    calls["B"]["Next"] = "C"
    paid = {"StatusCode": 200, "Payload": {"paid": True}}
    write(here, {"A": {"Return": 1}, "B": {"Return": paid}, "C": {"Return": 3}}, "m.json")
    # A function that has a url is not called; the answer is not put into an envelope again.
    functions = {"pay": {"url": "http://127.0.0.1:9/"}}
    for spec in ({}, {"functions": functions}):
        write(here, manifest({"StartAt": "A", "States": calls}, **spec))
        assert run("machine.json", "--mocks", "m.json", "--history", "h.json")[:2] == (0, "3\n")
        events = json.loads((here / "h.json").read_text())["events"]
        ends = [e["stateExitedEventDetails"]["output"] for e in events if "ExitedEvent" in str(e)]
        assert [json.loads(end) for end in ends] == [1, paid, 3]


def test_mocks_of_a_workflow_test_in_virtual_time(here: Path) -> None:
    slow = "machine: machine.json\ntests:\n- {name: slow, mocks: {A: {Return: 1, Delay: 7}}}\n"
    (here / "m.test.yaml").write_text(slow + "- {name: late, mocks: {A: {Return: 1, Delay: 9}}}\n")
    write(here, states(A=shell(gives("2"), TimeoutSeconds=8)))
    words = ("machine.json", "--time", "virtual", "--history", "h.json", "--mocks")
    assert run(*words, "m.test.yaml#slow")[:2] == (0, "1\n")
    assert _seconds(here / "h.json") == pytest.approx(7, abs=1)
    assert run(*words, "m.test.yaml#late")[0] == 1
    assert "TaskTimedOut" in (here / "h.json").read_text()
    assert _seconds(here / "h.json") == pytest.approx(8, abs=1)


def _seconds(path: Path) -> float:
    events = json.loads(path.read_text())["events"]
    first, last = (datetime.fromisoformat(events[n]["timestamp"]) for n in (0, -1))
    return (last - first).total_seconds()


def test_mocks_by_visit_in_a_loop(here: Path) -> None:
    rules = [{"Variable": "$", "NumericEquals": 1, "Next": "A"}]
    task = shell(gives("9"), Next="C")
    choice = {"Type": "Choice", "Choices": rules, "Default": "Z"}
    write(here, states(A=task, C=choice, Z={"Type": "Succeed"}))
    answers = {"A": {"Visits": {"0-1": {"Return": 1}, "*": {"Return": 2}}}}
    write(here, answers, "m.json")
    assert run("machine.json", "--mocks", "m.json", "--history", "h.json")[:2] == (0, "2\n")
    types = [e["type"] for e in json.loads((here / "h.json").read_text())["events"]]
    assert types.count("TaskStateEntered") == 3


def test_a_definition_from_stdin(here: Path) -> None:
    assert run("-", "--name", "a", given=json.dumps(PASS))[:2] == (0, "{}\n")
    assert (here / ".treadle" / "runs" / "a" / "run.json").exists()


LARGE = {"Type": "Pass", "Result": "z" * 300_000, "End": True}


@pytest.mark.parametrize(
    ("limits", "words", "variable", "passes"),
    [
        (None, [], "", True),
        (None, ["--limits", "default"], "aws", True),
        (None, ["--limits", "aws"], "", False),
        (None, [], "aws", False),
        ({"profile": "aws"}, [], "", False),
        ({"profile": "aws", "payloadBytesMax": 400_000}, [], "", True),
        ({"payloadBytesMax": 262_144}, ["--limits", "default"], "", False),
    ],
)
def test_limits_are_the_machines_and_those_asked_for(
    limits: Any,
    words: list[str],
    variable: str,
    passes: bool,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TREADLE_LIMITS_PROFILE", variable)
    spec = {} if limits is None else {"limits": limits}
    write(here, manifest(states(A=LARGE), **spec))
    code, out, _ = run("machine.json", "--format", "json", *words)
    found = json.loads(out)
    assert (code, found["error"]) == ((0, None) if passes else (1, "States.DataLimitExceeded"))


def test_a_machine_above_what_was_asked_for_is_not_run(here: Path) -> None:
    write(here, manifest(PASS, limits={"payloadBytesMax": 300_000}))
    code, out, said = run("machine.json", "--limits", "aws")
    assert (code, out) == (2, "")
    assert "payloadBytesMax is 300,000; this installation allows 262,144" in said
    assert run("machine.json")[0] == 0


def test_a_limit_in_the_environment_that_cannot_be_is_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, PASS)
    monkeypatch.setenv("TREADLE_LIMITS_LIVE_FRAMES_MAX", "many")
    code, out, said = run("machine.json")
    assert (code, out) == (2, "")
    assert "TREADLE_LIMITS_LIVE_FRAMES_MAX is 'many'; it must be a whole number from 1" in said


def test_what_goes_on_keeps_the_limits_that_were_asked_for(here: Path) -> None:
    write(here, states(A=LARGE))
    assert run("machine.json", "--name", "a", "--limits", "aws")[0] == 1
    kept = json.loads((here / ".treadle/runs/a/run.json").read_bytes())
    assert kept["limits"] == "aws"
    del kept["limits"]  # as a release before this one wrote it
    (here / ".treadle/runs/a/run.json").write_text(json.dumps(kept))
    assert run("--resume", "a")[0] == 1
