"""`treadle validate`: every problem at its line, an exit status, and never a traceback."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from treadle.cli.files import Input, printable
from treadle.cli.main import main
from treadle.cli.validate import as_text, judge

ROOT = Path(__file__).parents[2]
GOOD = "StartAt: A\nStates:\n  A: {Type: Pass, End: true}\n"
JOB = "{Type: Task, Resource: 'treadle:job', Parameters: {image: i}, End: true}"
HEAD = "apiVersion: treadle.dev/v1alpha1\nkind: StateMachine\nmetadata: {name: m}\n"
OTHER_RESOURCE = "StartAt: A\nStates:\n  A: {Type: Task, Resource: 'treadle:resource', End: true}\n"


def treadle(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """A whole process."""
    return subprocess.run(
        [sys.executable, "-m", "treadle", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": ""},
    )


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """The same within this process."""
    return CliRunner().invoke(main, ["validate", *arguments], input=stdin)


def manifest(spec: str) -> str:
    return f"{HEAD}spec:\n{spec}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "machine.yaml"


BROKEN: dict[str, tuple[bytes | str, int, str]] = {
    "nothing": ("", 1, ":1:1: error: The file holds no definition"),
    "binary": (bytes(range(256)), 1, ":2:118: error: The file is not UTF-8"),
    "utf-16": (GOOD.encode("utf-16"), 1, ":1:1: error: The file is not UTF-8"),
    "nul": (b"a: \x00", 1, "error: The YAML cannot be read"),
    "large": (b"a: b\n" * 900_000, 1, "[document-too-large]"),
    "large definition": (b"a: '" + b"x" * 1_100_000 + b"'", 1, "[document-too-large]"),
    "deep json": (b"[" * 100_000, 1, "[document-too-deep]"),
    "deep yaml": (b"a:\n" + b"- " * 5_000 + b"x", 1, "[document-too-deep]"),
    "deep flow": (b"a: " + b"{b: " * 50_000, 1, "[document-too-deep]"),
    "bomb": (
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
        1,
        "[document-too-large]",
    ),
    "tag": ("StartAt: !!python/object:os.system x", 1, ":1:10: error: The tag"),
    "tab": ("StartAt: A\nStates:\n\tA: 1\n", 1, ":3:1: error: The YAML cannot be read"),
    "broken json": ('{"StartAt": "A"\n "States": {}}', 1, ":2:2: error: The JSON cannot be read"),
    "key twice": ("StartAt: A\nStartAt: B\n", 1, ":2:1: error: The key 'StartAt' is given twice"),
    "surrogate": (r'{"StartAt": "\ud800"}', 1, "[document-not-json]"),
    "list": ("[1]", 1, ":1:1: error: A definition must be an object. [document-not-object]\n"),
    "type": ("StartAt: A\nStates:\n  A: {Type: Tsk}\n", 1, ":3:7: error: Type is"),
    "target": (GOOD.replace("End: true", "Next: B"), 1, "[target-missing] at /States/A/Next"),
    "api version": ("apiVersion: treadle.dev/v9\nkind: StateMachine", 1, ":1:1: error: apiVersion"),
    "kind": ("apiVersion: treadle.dev/v1alpha1\nkind: statemachine", 1, ":2:1: error: treadle.dev"),
    "no spec": (HEAD, 1, "[manifest-shape]"),
    "unknown member": (manifest("  definition: 1\n  defintion: 2\n"), 1, ":6:3: error: The spec"),
    "member type": (
        manifest("  definition: 1\n  jobMode: x\n"),
        1,
        ":6:3: error: jobMode must be 'auto' or 'plain'.",
    ),
    "pods": (
        manifest("  definition: 1\n  podTemplate:\n    spec: {hostNetwork: true}\n"),
        1,
        ":6:3: error: Above the Pod Security level baseline: hostNetwork is set. [pod-template]"
        " at /spec/podTemplate",
    ),
    "named pods": (
        manifest("  definition: 1\n  podTemplates:\n    a/b: {spec: {containers: 1}}\n"),
        1,
        ":7:5: error: containers of a Pod template must be a list of objects with a name each."
        " [pod-template] at /spec/podTemplates/a~1b",
    ),
    "a limit": (
        manifest("  definition: 1\n  limits:\n    payloadBytesMax: 1\n"),
        1,
        ":7:5: error: payloadBytesMax must be 256 or more."
        " [manifest-shape] at /spec/limits/payloadBytesMax",
    ),
    "no limit": (
        manifest("  definition: 1\n  limits:\n    payloadMax: 1\n"),
        1,
        ":7:5: error: payloadMax is no limit; there are profile, payloadBytesMax,",
    ),
    "a limit as a text": (
        manifest("  definition: 1\n  limits:\n    payloadBytesMax: '1000'\n"),
        1,
        ':7:5: error: payloadBytesMax is "1000"; it must be a whole number from 256 to 1,048,576.',
    ),
    "a high limit": (
        manifest(
            "  limits: {historyEventsMax: 50000}\n"
            "  definition: {StartAt: A, States: {A: {Type: Pass, End: true}}}\n"
        ),
        0,
        ":5:12: warning: historyEventsMax is 50,000; this installation allows 25,000 events",
    ),
    "pods of no shape": (manifest("  definition: 1\n  podTemplate: x\n"), 1, ":6:3: error: podT"),
    "text": (
        manifest("  definition: |\n    StartAt: A\n\n    States:\n      A: {Type: Tsk}\n"),
        1,
        ":9:11: error: Type is",
    ),
    "warning": (OTHER_RESOURCE, 0, ":3:19: warning: nothing here runs treadle:resource"),
    "unreachable": (f"{GOOD}  B: {{Type: Succeed}}\n", 0, ":4:3: warning: Nothing leads to"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said_at_its_line(name: str, path: Path) -> None:
    data, status, words = BROKEN[name]
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = run(str(path))
    assert (found.exit_code, "Traceback" in found.output) == (status, False)
    assert isinstance(found.exception, SystemExit | None)
    assert any(f"{path}:" in line and words in line for line in found.stdout.splitlines(True))


@pytest.mark.parametrize("name", ["binary", "deep json", "bomb", "target", "warning", "pods"])
def test_a_whole_process_ends_with_the_same(name: str) -> None:
    data, status, words = BROKEN[name]
    found = treadle("validate", "-", stdin=data.encode() if isinstance(data, str) else data)
    assert found.returncode == status
    assert b"Traceback" not in found.stderr
    assert found.stdout.startswith(b"<stdin>:")
    assert words in found.stdout.decode()


def test_all_problems_are_told_at_once_in_the_order_of_lines(path: Path) -> None:
    spec = "  jobmode: x\n  podTemplate: {spec: {hostPID: true}}\n"
    spec += "  definition:\n    StartAt: B\n    States: {A: {Type: Pass, Nxt: C}}\n"
    path.write_text(f"{manifest(spec)}---\n{HEAD}spec: {{definition: {{}}}}\n---\n{{\n")
    lines = run(str(path)).stdout.splitlines()
    places = [tuple(map(int, line.split(":")[1:3])) for line in lines]
    assert places == sorted(places)
    assert {line for line, _ in places} == {5, 6, 8, 9, 14, 17}


def test_a_good_file_says_nothing_but_what_was_judged(path: Path) -> None:
    path.write_text(GOOD)
    found = run(str(path))
    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr == "0 errors and 0 warnings in 1 state machine\n"


def test_a_directory_of_directories_gives_those_of_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deeper").mkdir(parents=True)
        (tmp_path / name / "machine.yaml").write_text(GOOD.replace("Pass", name))
        (tmp_path / name / "deeper" / "machine.yaml").write_text("[")
    found = run(str(tmp_path))
    assert found.exit_code == 1
    assert [Path(line.split(":")[0]).parent.name for line in found.stdout.splitlines()] == [
        "one",
        "two",
    ]
    (tmp_path / "own.yaml").write_text(GOOD)
    assert run(str(tmp_path)).exit_code == 0
    (tmp_path / "own.yaml").unlink()
    assert treadle("run", str(tmp_path)).returncode == 2, "which of them?"


def test_a_directory_gives_its_manifests_and_definitions_alone(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("resources: [b.json]")
    (tmp_path / "b.json").write_text('{"StartAt": "A", "States": {}}')
    (tmp_path / "c.yaml").write_text("[")
    (tmp_path / "d.txt").write_text("[")
    (tmp_path / "e.yaml").mkdir()
    found = run(str(tmp_path))
    assert found.exit_code == 1
    assert {Path(line.split(":")[0]).name for line in found.stdout.splitlines()} == {
        "b.json",
        "c.yaml",
    }


CHILDREN = ("arn:aws:states:::states:startExecution", "treadle:execution")
RUN_HERE = ", ".join(
    sorted(
        [
            *(f"{stem}{end}" for stem in CHILDREN for end in ("", ".sync", ".sync:2")),
            "arn:aws:states:::http:invoke",
            "treadle:activity/NAME",
            "treadle:approval",
            "treadle:http",
            "treadle:job",
        ]
    )
)


def test_json_holds_the_same(path: Path) -> None:
    path.write_text(
        GOOD.replace("Pass, End: true", "Task, Resource: 'treadle:resource', End: true")
    )
    assert json.loads(run("--format", "json", str(path)).stdout) == [
        {
            "file": str(path),
            "line": 3,
            "column": 19,
            "pointer": "/States/A/Resource",
            "code": "resource-not-runnable",
            "severity": "warning",
            "message": f"nothing here runs treadle:resource; what is run: {RUN_HERE}",
        }
    ]


def test_json_has_the_code_that_aws_has(path: Path) -> None:
    path.write_text(GOOD.replace("End: true", "Next: B"))
    found: list[dict[str, Any]] = json.loads(run("--format", "json", str(path)).stdout)
    assert found[0]["awsCode"] == "MISSING_END_STATE"
    assert (found[0]["awsMessage"], found[0]["awsLocation"]) == (
        "Workflow has no terminal state",
        None,
    )
    path.write_text(GOOD)
    assert json.loads(run("--format", "json", str(path)).stdout) == []


UNKNOWN = "{StartAt: A, States: {A: {Type: Pass, Nope: 1, End: true}}}"
OF_LIST = "apiVersion: treadle.dev/v1alpha1, kind: StateMachine, metadata: {name: m}"


@pytest.mark.parametrize(
    "text",
    [
        UNKNOWN,
        manifest(f"  definition: {UNKNOWN}\n"),
        manifest(f"  definition: '{UNKNOWN}'\n"),
        f"kind: List\napiVersion: v1\nitems: [{{{OF_LIST}, spec: {{definition: {UNKNOWN}}}}}]\n",
    ],
)
def test_json_has_the_place_that_aws_has_in_the_definition_alone(path: Path, text: str) -> None:
    path.write_text(text)
    (found,) = json.loads(run("--format", "json", str(path)).stdout)
    assert found["awsLocation"] == "/States/A"
    assert found["pointer"].endswith("/States/A/Nope")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["no-such-file"], "'no-such-file' cannot be read: No such file"),
        (["--format", "xml", "-"], "'xml' is not one of"),
        (["a\0b"], "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(arguments: list[str], words: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert words in found.output
    assert "Traceback" not in found.output


def test_a_whole_process_with_a_missing_file_prints_nothing_of_the_others(path: Path) -> None:
    path.write_text("[")
    found = treadle("validate", str(path), str(path.with_name("missing")))
    assert (found.returncode, found.stdout) == (2, b"")
    assert b"missing' cannot be read: No such file or directory" in found.stderr


def test_an_empty_directory_is_a_usage_error(tmp_path: Path) -> None:
    found = run(str(tmp_path))
    assert found.exit_code == 2
    assert "there is no *.yaml, *.yml or *.json" in found.output


@pytest.fixture
def closed(path: Path) -> Iterator[Path]:
    """A folder with a manifest in it, and somebody for whom rights count: not root."""
    path.write_text("{}")
    run(str(path))  # all that is imported has been
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "machine.yaml").write_text("{}")
        (folder / "within").mkdir()
        before = os.geteuid()
        if before == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(before)
            folder.chmod(0o700)


@pytest.mark.parametrize("rights", [0, 0o400])
@pytest.mark.parametrize("name", ["", "machine.yaml", "within"])
def test_what_may_not_be_read_is_a_usage_error(closed: Path, rights: int, name: str) -> None:
    closed.chmod(rights)
    found = run(str(closed / name))
    assert found.exit_code == 2
    assert "cannot be read: Permission denied" in found.output


def test_a_line_is_one_line_whatever_the_names(path: Path) -> None:
    path.write_text(json.dumps({"StartAt": "A", "States": {"\n\x1b[31m": 1}}))
    found = run(str(path)).stdout
    assert "\x1b" not in found
    assert all(line.startswith(f"{path}:") for line in found.splitlines())
    assert printable("a\n\u202eé😀") == "a\\n\\u202eé😀"


def test_neither_kopf_nor_kubernetes_is_loaded(path: Path) -> None:
    path.write_text(manifest(f"  definition: {{StartAt: A, States: {{A: {JOB}}}}}\n"))
    program = (
        "import sys\nfrom treadle.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print([n for n in ('kopf', 'kubernetes') if n in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, "validate", str(path)],
        capture_output=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": ""},
    )
    assert (found.returncode, found.stdout) == (0, b"[]\n")


WORDS = "spec containers name main securityContext capabilities add type volumes env image ports"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, 1, True, "main", [], {}]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"definition": VALUES},
        optional={"podTemplate": VALUES, "podTemplates": VALUES, "type": VALUES, "x": VALUES},
    )
)
def test_no_spec_raises(spec: Any) -> None:
    value = {"apiVersion": "treadle.dev/v1alpha1", "kind": "StateMachine"}
    value |= {"metadata": {"name": "m"}, "spec": spec}
    verdict = judge(Input("f", json.dumps(value, indent=1).encode(), True))
    assert verdict.problems
    assert all(as_text("f", each).startswith("f:") for each in verdict.problems)
