"""The examples on real containers, applied as their READMEs say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, Obj, People, kubectl_program, uid_of
from tests.cluster.support.volumes import folder_as_volume

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

EXAMPLES = places.ROOT / "examples"
HERE = ("api-chain", "retry-dead-letter", "batch-when-enough", "fan-out", "staged-rollout")
CHILDREN = {"staged-rollout": ["roll-out", "roll-back"]}
ALL = (*HERE, "file-processing", "lambda", "order-approval")


def built(example: str) -> list[Any]:
    """What `kubectl kustomize` makes of an example."""
    command = [kubectl_program(), "kustomize", str(EXAMPLES / example)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(YAML(typ="safe").load_all(done.stdout))


@pytest.mark.parametrize("example", ALL)
def test_kustomize_builds_it(example: str) -> None:
    manifests = built(example)
    machines = [m["metadata"]["name"] for m in manifests if m["kind"] == "StateMachine"]
    assert sorted(machines) == sorted([example, *CHILDREN.get(example, ())])
    configured = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    mounted = [
        volume["configMap"]["name"]
        for manifest in manifests
        for volume in _pod(manifest).get("volumes", ())
        if "configMap" in volume
    ]
    assert set(mounted) == configured


def test_the_services_run_the_programs_that_the_desk_runs() -> None:
    for example in HERE[:3]:
        (program,) = (EXAMPLES / example).glob("*.py")
        data = [manifest["data"] for manifest in built(example) if manifest["kind"] == "ConfigMap"]
        assert {program.name: program.read_text()} in data


def _pod(manifest: Any) -> Any:
    spec = manifest.get("spec", {})
    template = spec.get("template") or spec.get("podTemplate") or {}
    return template.get("spec", {})


@dataclass(frozen=True)
class Site:
    """The examples, applied and served."""

    people: People
    letters: Path

    def execute(self, example: str) -> str:
        """Apply its Execution as it is, but for addresses; gives its uid.

        The operator is outside of the cluster, where cluster DNS is not asked.
        """
        text = (EXAMPLES / example / "execution.yaml").read_text(encoding="utf-8")
        text = re.sub(r"http://([a-z-]+)\.default\.svc\.cluster\.local", self._address, text)
        self.people.kubectl("apply", "-f", "-", text=text)
        return uid_of(self.people.get(f"{example}-1"))

    def _address(self, found: re.Match[str]) -> str:
        space = self.people.namespace
        service = space.core.read_namespaced_service(found[1], space.name)
        return f"http://{service.spec.cluster_ip}"

    def asked(self, service: str, path: str = "") -> Any:
        """What a service answers, asked as somebody outside of the cluster asks."""
        space = self.people.namespace.name
        url = f"/api/v1/namespaces/{space}/services/{service}/proxy/{path}"
        return json.loads(self.people.kubectl("get", "--raw", url))


@pytest.fixture(scope="module")
def site(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("examples")
    with (
        cluster.namespace() as space,
        folder_as_volume(space, "retry-dead-letter-letters", folder / "letters") as letters,
    ):
        people = People(space)
        log = folder / "operator.log"
        with OperatorProcess(cluster.kubeconfig, log, namespaces=[space.name]):
            for example in HERE:
                people.kubectl("apply", "-k", str(EXAMPLES / example))
            people.kubectl("wait", "--for=condition=Available", "--timeout=120s", "deploy", "--all")
            for example in HERE:
                judged = people.judged(example)["status"]
                assert judged == "True", people.status(example, MACHINES)
            yield Site(people, letters)
        people.free_pods()


@pytest.mark.node
def test_what_was_done_is_undone_in_reverse_order(site: Site) -> None:
    site.execute("api-chain")
    site.people.kubectl("wait", "--for=condition=Failed", "--timeout=60s", "ex/api-chain-1")
    status = site.people.status("api-chain-1")
    assert status["error"] == "Order.RolledBack"
    assert "no carrier serves Atlantis" in status["cause"]
    deeds = [
        deed
        for service in ("reserve", "charge", "ship")
        for deed in site.asked(f"api-chain-{service}")
    ]
    assert [deed["did"] for deed in sorted(deeds, key=lambda deed: float(deed["at"]))] == [
        "reserve",
        "charge",
        "refused",
        "undo charge",
        "undo reserve",
    ]


@pytest.mark.node
def test_a_check_that_fails_stops_the_others(site: Site) -> None:
    people = site.people
    uid = site.execute("fan-out")
    people.kubectl("wait", "--for=condition=Failed", "--timeout=60s", "ex/fan-out-1")
    status = people.status("fan-out-1")
    assert status["error"] == "Release.CheckFailed"
    assert status["cause"] == (
        "LicensesFailed, the licenses are not in order; the other checks were stopped"
    )
    jobs = people.namespace.wait(lambda: _all_failed(people.jobs(uid)), "three failed Jobs")
    stopped = [job for job in jobs if job["spec"].get("activeDeadlineSeconds") == 0]
    names = {job["metadata"]["annotations"]["treadle.dev/state"] for job in stopped}
    assert names == {"Tests", "Scans"}, "the work of a minute is not waited for"


def _all_failed(jobs: list[Obj]) -> list[Obj]:
    ended = [job for job in jobs if "Failed" in _conditions(job)]
    return ended if len(ended) == 3 else []


def _conditions(job: Obj) -> set[str]:
    found = job["status"].get("conditions", ())
    return {each["type"] for each in found if each["status"] == "True"}


@pytest.mark.node
def test_retries_back_off_and_then_there_is_a_dead_letter(site: Site) -> None:
    site.execute("retry-dead-letter")
    name = "retry-dead-letter-1"
    site.people.kubectl("wait", "--for=condition=Failed", "--timeout=120s", f"ex/{name}")
    status = site.people.status(name)
    assert status["error"] == "Delivery.DeadLetter"
    assert f"message m-1 is kept in dead-letters/{name}.json" in status["cause"]
    at = [attempt["at"] for attempt in site.asked("retry-dead-letter-partner")]
    waits = [later - sooner for sooner, later in pairwise(at)]
    assert len(waits) == 4
    assert all(wait >= least for wait, least in zip(waits, (0.9, 1.9, 3.9, 7.9), strict=True))
    letter = json.loads((site.letters / "dead-letters" / f"{name}.json").read_text())
    assert (letter["execution"], letter["message"]["id"]) == (name, "m-1")
    assert letter["failure"]["Error"] == "States.Http.StatusCode.503"


@pytest.mark.node
def test_it_waits_until_there_is_enough_and_leaves_the_rest(site: Site) -> None:
    uid = site.execute("batch-when-enough")
    output = site.people.succeeds("batch-when-enough-1", seconds=120)
    assert (output["readings"], output["through"]) == (30, 30)
    assert output["lowest"] <= output["mean"] <= output["highest"]
    assert len(site.people.jobs(uid)) == 1
    left = site.asked("batch-when-enough-inbox", "readings?limit=1")
    assert not left or left[0]["id"] == 31


@pytest.mark.node
def test_a_stage_that_is_not_well_rolls_all_back(site: Site) -> None:
    people = site.people
    uid = site.execute("staged-rollout")
    name = "staged-rollout-1"
    of_it = f"treadle.dev/execution={uid}"
    people.kubectl("wait", "--for=create", "--timeout=60s", "apv", "-l", of_it)
    asked = people.kubectl("get", "apv", "-o", "name", "-l", of_it).strip()
    yes = {"by": "somebody", "approve": True}
    patch = [{"op": "add", "path": "/spec/decisions/-", "value": yes}]
    people.kubectl("patch", asked, "--type", "json", "-p", json.dumps(patch))
    people.kubectl("wait", "--for=condition=Failed", "--timeout=120s", f"ex/{name}")
    status = people.status(name)
    assert status["error"] == "Rollout.Undone"
    assert status["cause"] == (
        "2.0 answers too slowly in europe; all stages are back at the version before"
    )
    listed = people.kubectl("get", "ex", "-l", f"treadle.dev/parent={name}", "-o", "json")
    done = [
        (each["spec"]["stateMachineRef"]["name"], each["status"]["phase"])
        for each in json.loads(listed)["items"]
    ]
    out, back = "roll-out", ("roll-back", "Succeeded")
    assert sorted(done) == sorted([(out, "Succeeded"), (out, "Failed"), back, back, back])
