"""Hostile input: everything ends with its named error, and nobody else is slower for it.

The same attacks run on both nodes: the pretend one plays what a real one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support import hostile
from tests.cluster.support.machines import chain, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, People, condition_of, uid_of
from tests.cluster.support.servers import Server, ServerProcess, own_address
from treadle.engine.events import TaskId
from treadle.kube import names
from treadle.runtime.ports import ExecutionKey

pytestmark = pytest.mark.cluster
pretended = pytest.mark.usefixtures("pretend")

RSS_MIB_MAX = 400
# A loop that stood still would show; how much slower it is, `hostile_median` measures in pairs.
SLOWER_MAX = 5.0


@pytest.fixture(scope="module")
def operator(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """As it is installed: no loopback, no allow lists; only its patience is shorter."""
    log = tmp_path_factory.mktemp("hostile") / "operator.log"
    where = people.namespace
    patience = str(hostile.START_FAILURE_SECONDS[where.cluster.node_kind()])
    kubeconfig = where.cluster.kubeconfig
    with OperatorProcess(
        kubeconfig, log, namespaces=[where.name], start_failure_seconds=patience
    ) as started:
        yield started
        assert started.running, started.tail


@pytest.fixture(scope="module")
def storm(cluster: Cluster, people: People, operator: OperatorProcess) -> Iterator[hostile.Storm]:
    """All attacks, first as bare Pods, then through the operator."""
    node = cluster.node_kind()
    waves = 4 if node == places.PRETEND else 2
    with cluster.namespace() as calm, ServerProcess(own_address()) as server:
        weather = hostile.Storm(people, calm, node, server, waves=waves)
        weather.prepare()
        weather.without_treadle()
        weather.with_treadle()
        yield weather


def _check_attack(storm: hostile.Storm, attack: hostile.Attack) -> None:
    for status in storm.ended[attack.name]:
        assert (status["phase"], status.get("error")) == ("Failed", attack.error), status.get(
            "cause"
        )
        assert status.get("cause") or attack.error == "States.Timeout"
        assert condition_of(status, "Failed")["status"] == "True"


def _check_weather(storm: hostile.Storm, operator: OperatorProcess) -> None:
    calm, during = storm.medians["calm"], storm.medians["storm"]
    peak = operator.rss_peak_mib
    print(
        f"\n{storm.node} node: median of {storm.quick} Pass-only executions {during * 1000:.0f} ms "
        f"during the attacks, {calm * 1000:.0f} ms beside bare Pods ({during / calm:.2f} times); "
        f"operator at most {peak:.0f} MiB"
    )
    assert peak <= RSS_MIB_MAX
    assert during < SLOWER_MAX * calm
    assert storm.server.sent_bytes < 400 << 20, "reading stops at the limit"


@pretended
@pytest.mark.timeout(400)
@pytest.mark.parametrize("attack", hostile.ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_ends_with_its_named_error(storm: hostile.Storm, attack: hostile.Attack) -> None:
    _check_attack(storm, attack)


@pretended
@pytest.mark.timeout(400)
def test_attacks_neither_slow_others_down_nor_fill_the_memory(
    storm: hostile.Storm, operator: OperatorProcess
) -> None:
    _check_weather(storm, operator)


@pytest.mark.node
@pytest.mark.timeout(600)
@pytest.mark.parametrize("attack", hostile.ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_with_real_containers_ends_with_its_named_error(
    storm: hostile.Storm, attack: hostile.Attack
) -> None:
    _check_attack(storm, attack)


@pytest.mark.node
@pytest.mark.timeout(600)
def test_attacks_with_real_containers_neither_slow_others_down_nor_fill_the_memory(
    storm: hostile.Storm, operator: OperatorProcess
) -> None:
    _check_weather(storm, operator)


@pretended
@pytest.mark.parametrize("attack", hostile.HURRIED, ids=lambda attack: attack.name)
def test_a_start_timeout_shortens_the_patience(
    people: People, operator: OperatorProcess, attack: hostile.Attack
) -> None:
    with Server() as server:
        people.run(attack.name, attack.definition(places.PRETEND, server))
    assert people.fails(attack.name)["error"] == attack.error


# ------------------------------------------------------------------------------ hostile documents

DEEP = 10_000
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "not-json": ("{this is: [neither", ""),
    "empty": ("", ""),
    "a-number": ("42", ""),
    "a-list": ('["StartAt"]', ""),
    "binary": ("\x01\x02\u2028", ""),
    "unknown-type": (chain(A={"Type": "Dance"}), "/States/A/Type"),
    "missing-target": (chain(A=passes(Next="Nowhere")), "/States/A/Next"),
    "missing-start": ({"StartAt": "Z", "States": {"A": passes(End=True)}}, "/StartAt"),
    "endless-loop": ({"StartAt": "A", "States": {"A": passes(Next="A")}}, "/States"),
    "deep-path": (chain(A=passes(InputPath="$" + ".a" * DEEP)), "/States/A/InputPath"),
    "deep-reference": (chain(A=passes(ResultPath="$" + ".a" * DEEP)), "/States/A/ResultPath"),
    "deep-brackets": (chain(A=passes(InputPath="$" + "[0]" * DEEP)), "/States/A/InputPath"),
    "deep-filters": (chain(A=passes(InputPath="$" + "[?(@" * DEEP)), "/States/A/InputPath"),
    "deep-functions": (
        chain(A=passes(Parameters={"x.$": "States.Array(" * DEEP + ")" * DEEP})),
        "/States/A/Parameters/x.$",
    ),
    "deep-document": ("[" * DEEP + "]" * DEEP, ""),
    "deep-yaml": ("a: " + "{b: " * DEEP + "1" + "}" * DEEP, ""),
    "laughing-yaml": (
        "\n".join(
            ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
            + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
        ),
        "",
    ),
}


@pretended
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_definition_is_told_its_problems(
    people: People, operator: OperatorProcess, name: str
) -> None:
    definition, pointer = DOCUMENTS[name]
    people.machine(f"doc-{name}", definition)
    ready = people.judged(f"doc-{name}")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidDefinition")
    problems = people.status(f"doc-{name}", MACHINES)["problems"]
    assert pointer in {problem["pointer"] for problem in problems}
    people.execution(f"doc-{name}", f"doc-{name}")
    assert people.fails(f"doc-{name}")["error"] == "Treadle.InvalidDefinition"


@pretended
def test_a_hostile_input_is_a_named_error_or_taken(
    people: People, operator: OperatorProcess
) -> None:
    people.machine("deep-input", chain(A=passes(Parameters={"x.$": "$"}), B=passes()))
    people.execution("deep-input", inputJson="[" * DEEP + "]" * DEEP)
    status = people.ends("deep-input")
    assert status["phase"] == "Failed"
    assert status["error"] in ("Treadle.InvalidExecution", "States.Runtime")


# --------------------------------------------------------------------------- capacity and names


@pretended
@pytest.mark.parametrize("what", ["pods", "count/jobs.batch"])
def test_a_full_quota_is_waited_for(loner: People, tmp_path: Path, what: str) -> None:
    space = loner.namespace
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {what: "0"}}}
    space.core.create_namespaced_resource_quota(space.name, quota)
    space.wait(
        lambda: space.core.read_namespaced_resource_quota("none", space.name).status.used or {},
        "the quota to count",
    )
    with _operator_of(loner, tmp_path):
        loner.run("waits", chain(Only=task({"message": "1"})))
        condition = loner.holds("waits", "WaitingForCapacity", seconds=90)
        assert "quota" in condition["message"]
        assert loner.status("waits")["phase"] == "Running"
        # Not before: the Job controller may still be busy with what other tests left.
        hurried = task({}, more={"startTimeoutSeconds": 5})
        loner.run("hurried", chain(Only=hurried))
        assert loner.fails("hurried", seconds=90)["error"] == "Kubernetes.QuotaExceeded"
        space.core.delete_namespaced_resource_quota("none", space.name)
        assert loner.succeeds("waits", seconds=90) == 1
        condition = condition_of(loner.status("waits"), "WaitingForCapacity")
        assert condition["status"] == "False"


@pretended
def test_a_foreign_job_of_the_derived_name_is_left_alone(
    people: People, operator: OperatorProcess
) -> None:
    people.machine("foreign", chain(Only=task()))
    usual = people.execution("foreign-usual", "foreign")
    assert people.a_job(uid_of(usual))["metadata"]["name"] == _first_name(people, usual)

    made = people.execution("foreign-taken", "foreign", suspend=True)
    people.holds("foreign-taken", "Suspended")
    theirs = _first_name(people, made)
    container = {"name": "main", "image": "busybox:1.36", "command": ["pretend", '{"hang": true}']}
    body = {
        "metadata": {"name": theirs},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    batch, space = people.namespace.batch, people.namespace.name
    batch.create_namespaced_job(space, body)
    people.patch("foreign-taken", {"suspend": False})
    status = people.fails("foreign-taken")
    assert status["error"] == "Kubernetes.NameConflict"
    assert theirs in status["cause"]
    left = batch.read_namespaced_job(theirs, space)
    assert left.spec.active_deadline_seconds is None, "it is not ours to stop"
    assert left.metadata.deletion_timestamp is None


def _first_name(people: People, made: dict[str, Any]) -> str:
    """The name of the first attempt of an execution's first state."""
    metadata = made["metadata"]
    key = ExecutionKey(people.namespace.name, metadata["name"], metadata["uid"])
    return names.attempt(key, TaskId(0, 1, 1))


# --------------------------------------------------------------------- while the operator is down


@pretended
def test_a_drain_while_the_operator_is_down_is_an_eviction(loner: People, tmp_path: Path) -> None:
    _check_drain(loner, tmp_path, places.PRETEND)


@pytest.mark.node
def test_a_drain_of_real_containers_while_the_operator_is_down_is_an_eviction(
    loner: People, tmp_path: Path
) -> None:
    _check_drain(loner, tmp_path, places.REAL)


def _check_drain(people: People, folder: Path, node: str) -> None:
    """One that ended before the drain keeps its result; those that ran are evicted."""
    script = {"message": '"kept"', "seconds": 2}
    ended = hostile.Attack("ended", "", hostile.Bad(script, _says('"kept"')))
    attacks = {
        "ended": ended,
        "rude": hostile.named("endless-pod"),
        "polite": hostile.named("polite-pod-deleted"),
    }
    with _operator_of(people, folder) as operator, Server() as server:
        uids = {}
        for name, attack in attacks.items():
            machine = attack.definition(node, server)
            machine["States"]["Run"].pop("TimeoutSeconds", None)
            uids[name] = uid_of(people.run(name, machine))
        for name in ("rude", "polite"):
            people.a_pod(uids[name])
        people.a_job(uids["ended"])
        operator.kill()
        pods = [people.a_pod(uids["ended"], phase="Succeeded")]
        pods += [people.a_pod(uids[name]) for name in ("rude", "polite")]
        for pod in pods:
            people.evict(pod["metadata"]["name"])
        people.namespace.wait(
            lambda: not [p for p in people.pods() if p["status"]["phase"] == "Running"],
            "the Pods to end",
            seconds=60,
        )
        operator.start()
        assert people.succeeds("ended") == "kept"
        for name in ("rude", "polite"):
            assert people.fails(name)["error"] == "Kubernetes.Evicted", name


def _says(text: str) -> list[str]:
    return ["sh", "-c", f"sleep 2; echo '{text}' > $TREADLE_RESULT_FILE"]


def _operator_of(people: People, folder: Path, **settings: str) -> OperatorProcess:
    kubeconfig = people.namespace.cluster.kubeconfig
    log = folder / "operator.log"
    return OperatorProcess(kubeconfig, log, namespaces=[people.namespace.name], **settings)
