"""`treadle start`, `stop`, `suspend` and `resume`, by what they ask of an API server."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.support.clusters import Cluster, reached
from tests.support.treadles import until
from treadle.cli.main import main
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, STATE_MACHINES
from treadle.runtime.ports import AlreadyExists, Refused, Unavailable

DENIED = (
    "executions.treadle.dev \"a\" is forbidden: ValidatingAdmissionPolicy 'execution-verbs.x' with "
    "binding 'execution-verbs.x' denied request: spec.stop is changed by those who may stop "
    "executions, a verb of RBAC"
)


def call(*words: str, **how: Any) -> Result:
    found = CliRunner().invoke(main, list(words), **how)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = reached(tmp_path, monkeypatch)
    ready = [{"type": "Ready", "status": "True"}]
    made.put(STATE_MACHINES, "m", status={"observedGeneration": 1, "conditions": ready})
    return made


def spec_of(cluster: Cluster, name: str) -> Obj:
    spec: Obj = asyncio.run(cluster.get(EXECUTIONS, "team", name))["spec"]
    return spec


# ----------------------------------------------------------------------------------------- start


def test_an_execution_is_started(cluster: Cluster) -> None:
    found = call("start", "m", "--name", "a", "--input", '{"x": 1.0}', "-n", "x")
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a created\n")
    assert spec_of(cluster, "a") == {"stateMachineRef": {"name": "m"}, "inputJson": '{"x": 1.0}'}
    assert cluster.asked[:2] == ["x", "x"]


def test_a_name_is_made_where_none_is_given(cluster: Cluster) -> None:
    names = {call("start", "m", "-o", "name").stdout for _ in range(2)}
    assert names == {"execution.treadle.dev/m-00001\n", "execution.treadle.dev/m-00002\n"}
    assert spec_of(cluster, "m-00001") == {"stateMachineRef": {"name": "m"}}


def test_an_input_from_a_file_and_from_stdin(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[1]")
    call("start", "m", "--name", "a", "--input", f"@{tmp_path / 'in.json'}")
    call("start", "m", "--name", "b", "--input", "-", input="[2]")
    assert [spec_of(cluster, name)["inputJson"] for name in "ab"] == ["[1]", "[2]"]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_was_made_is_printed(form: str, cluster: Cluster) -> None:
    said = call("start", "m", "--name", "a", "-o", form).stdout
    made = json.loads(said) if form == "json" else YAML(typ="safe").load(said)
    assert (made["kind"], made["metadata"]["name"]) == ("Execution", "a")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody"], "there is no StateMachine named 'nobody' in namespace 'team'"),
        (["bad"], "StateMachine 'bad' cannot run: /: it is empty"),
        (["m", "--input", "{"], "the input is not JSON"),
        (["m", "--input", "@/no/such"], "/no/such"),
    ],
)
def test_what_cannot_start_is_a_sentence(words: list[str], sentence: str, cluster: Cluster) -> None:
    wrong = [{"type": "Ready", "status": "False", "message": "/: it is empty"}]
    cluster.put(STATE_MACHINES, "bad", status={"observedGeneration": 1, "conditions": wrong})
    found = call("start", *words)
    assert (found.exit_code, sentence in found.stderr) == (2, True), found.stderr
    assert call("get", "-o", "name").stdout == ""


def test_a_machine_that_is_not_judged_yet_may_start(cluster: Cluster) -> None:
    wrong = [{"type": "Ready", "status": "False", "message": "of before"}]
    cluster.put(STATE_MACHINES, "new", status={"observedGeneration": 0, "conditions": wrong})
    cluster.put(STATE_MACHINES, "newer")
    assert [call("start", name).exit_code for name in ("new", "newer")] == [0, 0]


def test_a_machine_that_may_not_be_read_may_be_run(cluster: Cluster) -> None:
    cluster.refuses["get", "statemachines"] = Refused(403, "Forbidden", "no")
    assert call("start", "nobody").exit_code == 0


@pytest.mark.parametrize(
    "fault",
    [
        AlreadyExists('executions.treadle.dev "a" already exists'),
        Refused(403, "Forbidden", 'User "u" cannot create resource'),
        Unavailable("no answer"),
    ],
)
def test_what_the_api_server_says_is_said(fault: Exception, cluster: Cluster) -> None:
    cluster.refuses["create", "executions"] = fault  # type: ignore[assignment]
    found = call("start", "m", "--name", "a")
    assert (found.exit_code, str(fault) in found.stderr) == (2, True)


def test_what_was_started_is_watched(cluster: Cluster) -> None:
    def work() -> None:
        until(lambda: any(obj["metadata"]["name"] == "a" for obj in listed(cluster)))
        cluster.put(EXECUTIONS, "a", status={"phase": "Failed", "error": "E", "cause": "why"})

    helper = threading.Thread(target=work)
    helper.start()
    found = call("start", "m", "--name", "a", "--watch")
    helper.join()
    assert (found.exit_code, found.stderr) == (1, "E: why\n")
    assert found.stdout.splitlines()[:2] == ["execution.treadle.dev/a created", "a: m"]


def listed(cluster: Cluster) -> list[Obj]:
    return asyncio.run(cluster.list(EXECUTIONS, None)).items


# ------------------------------------------------------------------------- stop, suspend, resume


@pytest.mark.parametrize(
    ("words", "spec", "said"),
    [
        (["stop", "a"], {"stop": {}}, "stopping"),
        (
            ["stop", "a", "--error", "E", "--cause", "why"],
            {"stop": {"error": "E", "cause": "why"}},
            "stopping",
        ),
        (["suspend", "a"], {"suspend": True}, "suspended"),
        (["resume", "a"], {"suspend": False}, "resumed"),
    ],
)
def test_what_is_asked_for(words: list[str], spec: Obj, said: str, cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", spec={"stateMachineRef": {"name": "m"}})
    found = call(*words)
    assert (found.exit_code, found.stdout) == (0, f"execution.treadle.dev/a {said}\n")
    assert spec_of(cluster, "a") == {"stateMachineRef": {"name": "m"}, **spec}
    assert call(*words, "-o", "name").stdout == "execution.treadle.dev/a\n"
    assert json.loads(call(*words, "-o", "json").stdout)["spec"].items() >= spec.items()


@pytest.mark.parametrize("deed", ["stop", "suspend", "resume"])
def test_what_has_ended_stays_as_it_is(deed: str, cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"})
    found = call(deed, "a")
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a unchanged\n")
    assert found.stderr == "'a' has ended before: Succeeded\n"
    assert spec_of(cluster, "a") == {}


@pytest.mark.parametrize("deed", ["stop", "suspend", "resume"])
def test_what_a_policy_denies_is_its_sentence(deed: str, cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a")
    cluster.refuses["patch", "executions"] = Refused(403, "Forbidden", DENIED)
    found = call(deed, "a")
    assert found.exit_code == 1
    assert found.stderr == (
        "Error: you may not do this: spec.stop is changed by those who may stop executions, a "
        "verb of RBAC\n"
    )


def test_what_else_is_refused_is_said(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a")
    cluster.refuses["patch", "executions"] = Refused(422, "Invalid", "stop can be neither changed")
    found = call("stop", "a")
    assert (found.exit_code, "stop can be neither changed" in found.stderr) == (2, True)
    assert "no execution named 'b'" in call("stop", "b").stderr


def test_the_end_of_what_is_stopped_is_waited_for(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Running"})

    def work() -> None:
        until(lambda: "stop" in spec_of(cluster, "a"))
        cluster.put(EXECUTIONS, "a", status={"phase": "Aborted"})

    helper = threading.Thread(target=work)
    helper.start()
    found = call("stop", "a", "--wait")
    helper.join()
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a Aborted\n")


def test_what_is_deleted_while_its_end_is_waited_for_is_said(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Running"})

    def work() -> None:
        until(lambda: "stop" in spec_of(cluster, "a"))
        asyncio.run(cluster.delete(EXECUTIONS, None, "a"))

    helper = threading.Thread(target=work)
    helper.start()
    found = call("stop", "a", "--wait")
    helper.join()
    assert (found.exit_code, found.stderr) == (1, "Error: 'a' was deleted\n")
