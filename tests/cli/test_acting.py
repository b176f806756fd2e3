"""`treadle start`, `stop`, `suspend`, `resume` and `redrive`, by what they ask of an API server."""

import asyncio
import gc
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.support.clusters import Cluster, reached
from tests.support.treadles import until
from treadle.app import acting
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


def test_as_yaml_it_is_what_kubectl_reads_too(cluster: Cluster) -> None:
    texts = ["yes", "on", "y", "No", "1_000", "010", "0b1", "~", "", "true", "a", "12:30:00", "1e3"]
    cluster.put(EXECUTIONS, "a", spec={"input": {"texts": texts, "n": "off"}})
    said = call("get", "a", "--context", "c", "-o", "yaml").stdout
    assert YAML(typ="safe").load(said)["spec"]["input"] == {"texts": texts, "n": "off"}
    of_1_1 = YAML(typ="safe")
    of_1_1.version = (1, 1)
    assert of_1_1.load(said)["spec"]["input"]["texts"][:10] == texts[:10]
    assert ("'n': 'off'" in said, "- a\n" in said) == (True, True)


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
        (["stop", "a"], {"stop": {"by": "ada"}}, "stopping"),
        (
            ["stop", "a", "--error", "E", "--cause", "why"],
            {"stop": {"error": "E", "cause": "why", "by": "ada"}},
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
    asked = spec_of(cluster, "a")
    asked.pop("suspendBy", None)
    assert asked == {"stateMachineRef": {"name": "m"}, **spec}
    assert call(*words, "-o", "name").stdout == "execution.treadle.dev/a\n"
    assert json.loads(call(*words, "-o", "json").stdout)["spec"].items() >= spec.items()


def test_who_resumes_what_somebody_has_suspended_says_so(cluster: Cluster) -> None:
    uid = cluster.put(EXECUTIONS, "a")["metadata"]["uid"]
    call("suspend", "a")
    cluster.user = "bob"
    assert call("suspend", "a").stdout == "execution.treadle.dev/a suspended\n"
    ours = {"by": "ada", "uid": uid, "generation": 2}
    assert spec_of(cluster, "a") == {"suspend": True, "suspendBy": ours}
    assert call("resume", "a").stdout == "execution.treadle.dev/a resumed\n"
    theirs = {"by": "bob", "uid": uid, "generation": 3}
    assert spec_of(cluster, "a") == {"suspend": False, "suspendBy": theirs}
    cluster.user = None
    call("suspend", "a")
    assert spec_of(cluster, "a") == {"suspend": True, "suspendBy": theirs}
    assert asyncio.run(cluster.get(EXECUTIONS, "team", "a"))["metadata"]["generation"] == 4


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
    assert (found.exit_code, "stop can be neither changed" in found.stderr) == (1, True)
    found = call("stop", "b")
    assert found.exit_code == 1
    assert found.stderr == "Error: there is no execution named 'b'; see `treadle get`\n"
    cluster.refuses["get", "executions"] = Unavailable("no answer")
    assert call("stop", "a").stderr == "Error: no answer\n"


@pytest.mark.parametrize("user", [None, "a" * 257])
def test_where_nobody_says_who_we_are_nobody_is_named(user: str | None, cluster: Cluster) -> None:
    cluster.user = user
    cluster.put(EXECUTIONS, "a")
    assert call("stop", "a").exit_code == 0
    assert spec_of(cluster, "a") == {"stop": {}}


def test_what_is_being_stopped_is_not_stopped_twice(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", spec={"stop": {"by": "bob"}})
    found = call("stop", "a", "--cause", "too")
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a unchanged\n")
    assert found.stderr == "'a' is being stopped already\n"
    assert spec_of(cluster, "a") == {"stop": {"by": "bob"}}


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


def test_the_end_of_what_somebody_else_stops_is_waited_for_too(cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", spec={"stop": {}}, status={"phase": "Running"})
    cluster.put(EXECUTIONS, "b", spec={"stop": {}}, status={"phase": "Aborted"})

    def work() -> None:
        until(lambda: "executions" in cluster.watched)
        cluster.put(EXECUTIONS, "a", status={"phase": "Aborted"})

    helper = threading.Thread(target=work)
    helper.start()
    found = call("stop", "a", "b", "--wait")
    helper.join()
    lines = ["execution.treadle.dev/b unchanged", "execution.treadle.dev/a Aborted"]
    assert (found.exit_code, found.stdout.splitlines()) == (0, lines)
    assert found.stderr == "'b' has ended before: Aborted\n"


def test_the_end_of_what_cannot_go_on_is_not_waited_for(cluster: Cluster) -> None:
    parked = {"type": "Parked", "status": "True", "message": "no revision"}

    def status(generation: int) -> Obj:
        conditions = [parked | {"observedGeneration": generation}]
        return {"phase": "Running", "conditions": conditions}

    cluster.put(EXECUTIONS, "a", status=status(1))

    def work() -> None:
        # What it was parked for before somebody wanted its end, the operator looks at anew.
        until(lambda: "executions" in cluster.watched)
        cluster.put(EXECUTIONS, "a", status=status(2))

    helper = threading.Thread(target=work)
    helper.start()
    found = call("stop", "a", "--wait")
    helper.join()
    said = "Error: 'a' cannot go on: no revision; see `treadle why a`\n"
    assert (found.exit_code, found.stdout, found.stderr) == (1, "", said)


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


def test_what_is_deleted_before_anybody_looks_is_said_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Running"})
    patch = cluster.patch

    async def patched(*what: Any, **how: Any) -> Obj:
        made = await patch(*what, **how)
        await cluster.delete(EXECUTIONS, None, "a")
        return made

    monkeypatch.setattr(cluster, "patch", patched)
    found = call("stop", "a", "--wait")
    assert (found.exit_code, found.stderr) == (1, "Error: 'a' was deleted\n")


# --------------------------------------------------------------------------------------- several

DEEDS = {"stop": "stopping", "suspend": "suspended", "resume": "resumed"}


@pytest.mark.parametrize("deed", DEEDS)
def test_it_is_done_to_several_by_name(deed: str, cluster: Cluster) -> None:
    for name in "abc":
        cluster.put(EXECUTIONS, name)
    found = call(deed, "a", "ex/b", "a")
    lines = [f"execution.treadle.dev/{name} {DEEDS[deed]}" for name in "ab"]
    assert (found.exit_code, found.stdout.splitlines()) == (0, lines)
    assert spec_of(cluster, "c") == {}


def test_what_became_of_one_is_forgotten_once_it_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        cluster.put(EXECUTIONS, f"e{number:02}", labels={"team": "x"})
    kept: list[int] = []

    def take(_: object, __: acting.Outcome) -> None:
        gc.collect()
        kept.append(sum(isinstance(each, acting.Outcome) for each in gc.get_objects()))

    monkeypatch.setattr("treadle.cli.acting._Report.take", take)
    assert call("suspend", "-l", "team=x").exit_code == 0
    assert (len(kept), kept[-1] <= 2) == (40, True), kept


@pytest.mark.parametrize("deed", DEEDS)
def test_it_is_done_to_those_with_labels_that_have_not_ended(deed: str, cluster: Cluster) -> None:
    for name, phase in {"a": "Running", "b": "Failed", "c": "Pending", "d": "Running"}.items():
        labels = {"team": "y" if name == "d" else "x"}
        cluster.put(EXECUTIONS, name, status={"phase": phase}, labels=labels)
    found = call(deed, "-l", "team in (x,z)")
    lines = [f"execution.treadle.dev/{name} {DEEDS[deed]}" for name in "ac"]
    assert (found.exit_code, found.stdout.splitlines(), found.stderr) == (0, lines, "")
    listed = json.loads(call(deed, "--selector", "team=x", "-o", "json").stdout)
    assert [each["metadata"]["name"] for each in listed["items"]] == ["a", "c"]
    assert call(deed, "-l", "team=x", "-o", "name").stdout.count("execution.treadle.dev/") == 2


def test_one_that_is_refused_keeps_no_other_from_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        cluster.put(EXECUTIONS, name)
    patch = cluster.patch

    async def patched(kind: Any, namespace: Any, name: str, *what: Any, **how: Any) -> Obj:
        if name == "b":
            raise Refused(403, "Forbidden", DENIED)
        return await patch(kind, namespace, name, *what, **how)

    monkeypatch.setattr(cluster, "patch", patched)
    found = call("stop", "a", "b", "none", "c")
    lines = [f"execution.treadle.dev/{name} stopping" for name in "ac"]
    assert (found.exit_code, found.stdout.splitlines()) == (1, lines)
    assert found.stderr.splitlines() == [
        f"Error: 'b': you may not do this: {DENIED.partition('request: ')[2]}",
        "Error: 'none': there is no execution named 'none'; see `treadle get`",
    ]


@pytest.mark.parametrize(
    ("deed", "which"),
    [
        ("stop", "that have not ended"),
        ("resume", "that have not ended"),
        ("redrive", "that failed, timed out or were aborted"),
    ],
)
def test_labels_that_nothing_has_are_said(deed: str, which: str, cluster: Cluster) -> None:
    cluster.put(EXECUTIONS, "a", status={"phase": "Succeeded"}, labels={"team": "x"})
    for labels in ("team=x", "team=y"):
        found = call(deed, "-l", labels)
        said = f"There are no executions {which} with the labels {labels}.\n"
        assert (found.exit_code, found.stdout, found.stderr) == (0, "", said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say which executions"),
        (["a", "-l", "x=y"], "say which executions"),
        (["-l", " "], "the selector is empty"),
        (["-l", "x in"], "unable to parse"),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_either_names_or_labels_choose(words: list[str], sentence: str) -> None:
    for deed in (*DEEDS, "redrive"):
        found = call(deed, *words)
        assert (found.exit_code, sentence in found.stderr) == (2, True), found.stderr


def test_the_ends_of_several_are_waited_for(cluster: Cluster) -> None:
    for name in "ab":
        cluster.put(EXECUTIONS, name, status={"phase": "Running"})
    cluster.put(EXECUTIONS, "c", status={"phase": "Failed"})

    def work() -> None:
        until(lambda: all("stop" in spec_of(cluster, name) for name in "ab"))
        cluster.put(EXECUTIONS, "b", status={"phase": "Aborted"})
        asyncio.run(cluster.delete(EXECUTIONS, None, "a"))

    helper = threading.Thread(target=work)
    helper.start()
    found = call("stop", "a", "b", "c", "--wait")
    helper.join()
    assert found.exit_code == 1
    assert found.stdout.splitlines() == [
        "execution.treadle.dev/c unchanged",
        "execution.treadle.dev/b Aborted",
    ]
    assert found.stderr.splitlines() == [
        "'c' has ended before: Failed",
        "Error: 'a': 'a' was deleted",
    ]


# --------------------------------------------------------------------------------------- redrive


@contextmanager
def an_operator(cluster: Cluster, *names: str, **answer: Any) -> Iterator[None]:
    """What answers one redrive of each."""

    def work() -> None:
        for name in names:
            until(lambda name=name: "redrive" in spec_of(cluster, name))  # type: ignore[misc]
            wish = {"id": spec_of(cluster, name)["redrive"]["id"], **answer}
            cluster.put(EXECUTIONS, name, status={"phase": "Running", "redrive": wish})

    helper = threading.Thread(target=work)
    helper.start()
    yield
    helper.join()


def failed(cluster: Cluster, name: str, phase: str = "Failed", **spec: Any) -> None:
    whole = {"stateMachineRef": {"name": "m"}, **spec}
    labels = {"team": "x"}
    cluster.put(EXECUTIONS, name, spec=whole, status={"phase": phase}, labels=labels)


def test_it_is_asked_to_go_on_and_the_answer_is_waited_for(cluster: Cluster) -> None:
    failed(cluster, "a", stop={"error": "E"}, redrive={"id": "1", "from": "B", "by": "bob"})

    def answers() -> None:
        until(lambda: spec_of(cluster, "a")["redrive"]["id"] != "1")
        wish = {"id": spec_of(cluster, "a")["redrive"]["id"], "count": 2}
        cluster.put(EXECUTIONS, "a", status={"phase": "Running", "redrive": wish})

    helper = threading.Thread(target=answers)
    helper.start()
    found = call("redrive", "a")
    helper.join()
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a redriven\n")
    spec = spec_of(cluster, "a")
    wish = spec["redrive"].pop("id")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ-[0-9a-f]{8}", wish)
    assert spec == {"stateMachineRef": {"name": "m"}, "redrive": {"by": "ada"}}


def test_how_it_is_to_go_on_is_said(cluster: Cluster, tmp_path: Path) -> None:
    failed(cluster, "a")
    (tmp_path / "v.json").write_text('{"n": null, "m": {"x": 1}}')
    words = ["--from", "B", "--input", "[1.0]", "--variables", f"@{tmp_path / 'v.json'}"]
    with an_operator(cluster, "a"):
        found = call("redrive", "a", *words, "--revision", "m-0a1b2c3d", "-o", "json")
    assert json.loads(found.stdout)["metadata"]["name"] == "a"
    asked = spec_of(cluster, "a")["redrive"]
    assert {member: asked[member] for member in asked if member != "id"} == {
        "from": "B",
        "inputJson": "[1.0]",
        "variables": {"n": None, "m": {"x": 1}},
        "revision": "m-0a1b2c3d",
        "by": "ada",
    }


def test_it_goes_on_with_the_machine_as_it_is_now(cluster: Cluster) -> None:
    failed(cluster, "a")
    revision = {"name": "m-0a1b2c3d"}
    cluster.put(STATE_MACHINES, "m", status={"observedGeneration": 1, "revision": revision})
    with an_operator(cluster, "a"):
        assert call("redrive", "a", "--latest").exit_code == 0
    assert spec_of(cluster, "a")["redrive"]["revision"] == "m-0a1b2c3d"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({"observedGeneration": 0}, "StateMachine 'm' is not judged yet"),
        (
            {
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "False", "message": "/: it is empty"}],
            },
            "StateMachine 'm' cannot run: /: it is empty",
        ),
        (None, "no"),
    ],
)
def test_a_machine_that_has_no_revision_now_is_said(
    status: Any, sentence: str, cluster: Cluster
) -> None:
    failed(cluster, "a")
    cluster.put(STATE_MACHINES, "m", status=status)
    if status is None:
        cluster.refuses["get", "statemachines"] = Refused(403, "Forbidden", "no")
    found = call("redrive", "a", "--latest")
    assert (found.exit_code, sentence in found.stderr) == (1, True), found.stderr
    assert "redrive" not in spec_of(cluster, "a")


def test_a_refusal_is_told(cluster: Cluster) -> None:
    failed(cluster, "a")
    with an_operator(cluster, "a", refused="/spec/redrive/from: 'Z' is not there"):
        found = call("redrive", "a", "--from", "Z")
    assert (found.exit_code, found.stdout) == (1, "")
    said = "Error: the redrive was refused: /spec/redrive/from: 'Z' is not there\n"
    assert found.stderr == said


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("Succeeded", "'a' has succeeded\n"),
        ("Running", "'a' has not ended: Running\n"),
        ("", "'a' has not ended: it has not begun\n"),
    ],
)
def test_what_cannot_be_redriven_stays_as_it_is(phase: str, said: str, cluster: Cluster) -> None:
    failed(cluster, "a", phase)
    found = call("redrive", "a")
    assert (found.exit_code, found.stdout) == (0, "execution.treadle.dev/a unchanged\n")
    assert found.stderr == said
    assert "redrive" not in spec_of(cluster, "a")


def test_another_redrive_meanwhile_is_said(cluster: Cluster) -> None:
    failed(cluster, "a")

    def asks() -> None:
        until(lambda: "redrive" in spec_of(cluster, "a"))
        other = {"spec": {"redrive": {"id": "another"}}}
        asyncio.run(cluster.patch(EXECUTIONS, None, "a", other))

    helper = threading.Thread(target=asks)
    helper.start()
    found = call("redrive", "a")
    helper.join()
    said = "Error: somebody has asked for another redrive meanwhile\n"
    assert (found.exit_code, found.stderr) == (1, said)


def test_where_no_operator_answers_that_is_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "ANSWER_SECONDS", 0.0)
    failed(cluster, "a")
    found = call("redrive", "a")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == (
        "Error: no operator has answered within 0 s; it is still asked for: see `treadle why`\n"
    )
    assert "redrive" in spec_of(cluster, "a")


def test_those_with_labels_that_did_not_succeed_are_redriven(cluster: Cluster) -> None:
    phases = ("Failed", "TimedOut", "Aborted", "Succeeded", "Running")
    for name, phase in zip("abcde", phases, strict=True):
        failed(cluster, name, phase)
    with an_operator(cluster, *"abc"):
        found = call("redrive", "-l", "team=x")
    lines = [f"execution.treadle.dev/{name} redriven" for name in "abc"]
    assert (found.exit_code, found.stdout.splitlines(), found.stderr) == (0, lines, "")
    assert len({spec_of(cluster, name)["redrive"]["id"] for name in "abc"}) == 1, "it is one wish"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--input", "{"], "the input is not JSON"),
        (["--variables", "[]"], "the variables are no object"),
        (["--variables", "@/no/such"], "/no/such"),
        (["--latest", "--revision", "r"], "--revision and --latest exclude each other"),
    ],
)
def test_what_makes_no_redrive_is_a_sentence(
    words: list[str], sentence: str, cluster: Cluster
) -> None:
    failed(cluster, "a")
    found = call("redrive", "a", *words)
    assert (found.exit_code, sentence in found.stderr) == (2, True), found.stderr
    assert "redrive" not in spec_of(cluster, "a")
