"""The command line: sentences instead of tracebacks, and a help that loads nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support import treadles
from treadle import __version__
from treadle.app import freeing
from treadle.app import operator as operators
from treadle.app.settings import Settings
from treadle.cli.main import main

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"KUBECONFIG": None, **environment}).invoke(main, list(arguments))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that an operator was run with; none is run."""
    found: list[Settings] = []

    def keep(settings: Settings) -> int:
        found.append(settings)
        return 3

    monkeypatch.setattr(operators, "run", keep)
    return found


def test_the_version_is_said() -> None:
    assert run("--version").output == f"treadle, version {__version__}\n"


@pytest.mark.parametrize("name", ["treadle", "kubectl-treadle"])
def test_the_programs_of_make_setup(name: str) -> None:
    program = Path(sys.executable).with_name(name)
    done = subprocess.run(
        [program, "get", "-h"], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith(f"Usage: {name.replace('-', ' ')} get ")


@pytest.mark.parametrize(
    "arguments", [["-h"], ["operator", "--help"], ["free-pods", "-h"], ["try", "-h"]]
)
def test_help_says_what_there_is(arguments: list[str]) -> None:
    found = run(*arguments)
    assert found.exit_code == 0
    assert "Usage:" in found.output


def test_flags_become_settings(ran: list[Settings]) -> None:
    arguments = "--kubeconfig k --context c -n a --namespace b --no-lease --lease-namespace l"
    found = run("operator", *arguments.split(), "--health-port", "0", "--log-format", "text")
    assert found.exit_code == 3  # what the operator says
    (settings,) = ran
    assert (settings.kubeconfig, settings.context) == ("k", "c")
    assert (settings.namespaces, settings.lease) == (("a", "b"), False)
    assert (settings.lease_namespace, settings.health_port) == ("l", 0)
    assert settings.log_format == "text"


def test_without_flags_the_environment_counts(ran: list[Settings]) -> None:
    run("operator", TREADLE_NAMESPACES="a,b", TREADLE_LEASE="false")
    (settings,) = ran
    assert (settings.namespaces, settings.lease) == (("a", "b"), False)
    run("operator", "--lease", "-n", "c", TREADLE_NAMESPACES="a,b", TREADLE_LEASE="false")
    assert (ran[1].namespaces, ran[1].lease) == (("c",), True)


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["operator", "--health-port", "x"], {}, "'x' is not a valid integer"),
        (["operator", "--health-port", "65536"], {}, "65536 is not in the range"),
        (["operator", "--log-format", "xml"], {}, "'xml' is not one of"),
        (["operator", "--nonsense"], {}, "No such option"),
        (["nonsense"], {}, "No such command"),
        (["operator"], {"TREADLE_HEALTH_PORT": "x"}, "TREADLE_HEALTH_PORT is 'x'"),
        (["operator"], {"TREADLE_LEASE": "perhaps"}, "TREADLE_LEASE is 'perhaps'"),
        (["operator", "--kubeconfig", "/no/such/file"], {}, "no credentials for a cluster"),
        (["free-pods"], {}, "say which namespaces"),
        (["free-pods", "-A", "-n", "a"], {}, "say which namespaces"),
        (["free-pods", "-A", "--kubeconfig", "/no/such/file"], {}, "no credentials for a cluster"),
        (["try", "--kubeconfig", "/no/such/file"], {}, "no credentials for a cluster"),
        (["try", "--seconds", "-1"], {}, "-1.0 is not in the range"),
        (["try", "--seconds", "inf"], {}, "inf is no finite number"),
        (["validate", ""], {}, "'FILE...': the name is empty"),
        (["validate", "a", ""], {}, "the name is empty"),
        (["test", ""], {}, "'PATH...': the name is empty"),
        (["run", ""], {}, "'MACHINE': the name is empty"),
        (["run", "a", "--history", ""], {}, "'--history': the name is empty"),
        (["run", "a", "--mocks", ""], {}, "'--mocks': the name is empty"),
        (["ls", "--state-dir", ""], {}, "'--state-dir': the name is empty"),
        (["record", "a", "--machine", ""], {}, "'--machine': the name is empty"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    arguments: list[str], environment: dict[str, Any], sentence: str
) -> None:
    found = run(*arguments, **environment)
    assert found.exit_code == 2
    assert sentence in found.output
    assert "Traceback" not in found.output
    assert isinstance(found.exception, SystemExit)


@pytest.mark.parametrize("arguments", [["free-pods", "-A"], ["try", "-n", "a"]])
def test_a_cluster_that_does_not_answer_is_a_sentence(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    found = run(*arguments, "--kubeconfig", str(path))
    assert found.exit_code == 1
    assert found.output.startswith("Error: ")
    assert "Traceback" not in found.output


def treadle(*arguments: str, check: str = "") -> "subprocess.CompletedProcess[str]":
    program = (
        "import sys\n"
        "from treadle.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        f"finally:\n    {check or 'pass'}\n"
    )
    folder = Path(operators.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(folder), "PATH": ""},
    )


def test_help_loads_nothing_that_is_slow() -> None:
    slow = "('kopf', 'kubernetes', 'aiohttp', 'pydantic', 'uvloop', 'prometheus_client')"
    check = f"print([name for name in {slow} if name in sys.modules])"
    for arguments in (["--help"], *([name, "--help"] for name in main.commands)):
        found = treadle(*arguments, check=check)
        assert found.returncode == 0
        assert found.stdout.endswith("[]\n")


def test_a_whole_process_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    found = treadle("operator", "--kubeconfig", str(tmp_path / "missing"))
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith("Error: no credentials for a cluster")
    assert "Traceback" not in found.stderr


def test_a_context_that_is_not_there_is_a_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    found = run("operator", "--kubeconfig", str(path), "--context", "other")
    assert (found.exit_code, "other" in found.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "wanted"), [(["-n", "a", "-n", "b"], ("a", "b")), (["-A"], ())]
)
def test_only_pods_of_the_namespaces_that_were_named_are_freed(
    arguments: list[str], wanted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setenv("TREADLE_NAMESPACES", "other")
    monkeypatch.setattr(freeing, "run", lambda settings: asked.append(settings.namespaces) or 0)
    assert CliRunner().invoke(main, ["free-pods", *arguments]).exit_code == 0
    assert asked == [wanted]


@pytest.mark.parametrize("command", ["validate", "graph", "completion", "--help"])
def test_where_nothing_can_be_printed_that_is_said(command: str, tmp_path: Path) -> None:
    machine = tmp_path / "machine.json"
    machine.write_text('{"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": true}}}')
    if command == "graph":
        machine.write_text('{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}')
    more = {"completion": ["bash"], "--help": []}.get(command, [str(machine)])
    words = [command, *more]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            treadles.command(*words),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env=treadles.environment(),
        )
    assert done.returncode == 1
    assert "cannot be printed: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_lacks_characters_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text(
        '{"StartAt": "日本", "States": {"日本": {"Type": "Pass", "End": true}}}'
    )
    done = treadles.treadle(tmp_path, "graph", "j.json", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "\\u65e5" in done.stdout
