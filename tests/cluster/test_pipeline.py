"""The example pipeline on real containers, applied as its README says."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, People, condition_of, uid_of
from tests.cluster.support.volumes import folder_as_volume

pytestmark = [pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(300)]

EXAMPLE = places.ROOT / "examples" / "file-processing"
CLAIM = "file-processing-data"
RECEIVER = "file-processing-receiver"


@dataclass(frozen=True)
class Site:
    """The example, applied and served."""

    people: People
    operator: OperatorProcess
    files: Path
    receiver: str

    def execute(self, name: str, **changes: Any) -> str:
        """Apply the example's Execution under another name; gives its uid."""
        text = (EXAMPLE / "execution.yaml").read_text(encoding="utf-8")
        made = self.people.kubectl(
            *("create", "--dry-run=client", "--output=json", "-f", "-"), text=text
        )
        manifest = json.loads(made)
        manifest["metadata"]["name"] = name
        manifest["metadata"].pop("namespace", None)
        # The operator is outside of the cluster, where cluster DNS is not asked.
        manifest["spec"]["input"] |= {"receiver": self.receiver, **changes}
        self.people.kubectl("apply", "-f", "-", text=json.dumps(manifest))
        return uid_of(self.people.get(name))

    def plain_counts(self) -> Counter[str]:
        """What a plain script counts in the corpus."""
        text = (self.files / "corpus" / "book.txt").read_text()
        return Counter(re.findall(r"[a-z]{2,}", text.lower()))

    def received(self) -> list[Any]:
        """What the example's service was sent."""
        with urllib.request.urlopen(self.receiver, timeout=10) as answer:
            return list(json.load(answer))


@pytest.fixture(scope="module")
def site(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pipeline")
    with (
        cluster.namespace() as space,
        folder_as_volume(space, CLAIM, folder / "data") as files,
        OperatorProcess(cluster.kubeconfig, folder / "operator.log") as operator,
    ):
        people = People(space)
        people.kubectl("apply", "-k", str(EXAMPLE))
        people.kubectl("rollout", "status", "--timeout=120s", f"deployment/{RECEIVER}")
        assert people.judged("file-processing")["status"] == "True", people.status(
            "file-processing", MACHINES
        )
        address = space.core.read_namespaced_service(RECEIVER, space.name).spec.cluster_ip
        yield Site(people, operator, files, f"http://{address}:8080/results")
        operator.terminate()
        people.free_pods()


def _check_counts(site: Site, name: str) -> None:
    output = json.loads(site.people.status(name)["output"])
    counts = site.plain_counts()
    assert output["words"] == sum(counts.values()) > 100_000
    assert json.loads((site.files / output["path"]).read_text()) == dict(counts)
    assert output["top"] == [
        list(pair) for pair in sorted(counts.items(), key=lambda p: (-p[1], p[0]))[:10]
    ]
    assert [each for each in site.received() if each["run"] == name] == [
        {"run": name, "total": output}
    ]


def test_the_pipeline_counts_what_a_plain_script_counts(site: Site) -> None:
    people = site.people
    name = "file-processing-1"
    uid = site.execute(name)
    people.reaches(name, lambda s: (s.get("progress") or {}).get("done"), "an item done")
    shown = people.kubectl("get", "ex", name)
    print(f"\n{shown}")
    assert shown.split()[:6] == ["NAME", "MACHINE", "PHASE", "STATE", "PROGRESS", "AGE"]
    assert "CountWords" in shown or "Count" in shown
    assert "/8" in shown
    people.kubectl("wait", "--for=condition=Complete", "--timeout=180s", f"ex/{name}")
    _check_counts(site, name)
    print(people.kubectl("get", "ex", name))
    described = people.kubectl("describe", "ex", name)
    print(described)
    assert "Succeeded" in described
    jobs = [job["metadata"]["annotations"]["treadle.dev/state"] for job in people.jobs(uid)]
    assert Counter(jobs) == {"Corpus": 1, "Split": 1, "Count": 8, "Merge": 1}

    people.kubectl("delete", "ex", name)
    people.nothing_is_left(uid, seconds=60)


def test_the_pipeline_goes_on_after_a_kill(site: Site) -> None:
    people = site.people
    name = "file-processing-2"
    uid = site.execute(name)
    people.reaches(name, lambda s: (s.get("progress") or {}).get("done"), "an item done")
    site.operator.kill()
    site.operator.start()
    people.kubectl("wait", "--for=condition=Complete", "--timeout=180s", f"ex/{name}")
    _check_counts(site, name)
    assert len(people.jobs(uid)) == 11, "no attempt was made twice"


def test_what_fails_for_good_goes_to_the_dead_letters(site: Site) -> None:
    people = site.people
    name = "file-processing-3"
    site.execute(name, chunks=0)
    people.kubectl("wait", "--for=condition=Failed", "--timeout=120s", f"ex/{name}")
    status = people.status(name)
    assert status["error"] == "FileProcessing.DeadLetter"
    assert condition_of(status, "Failed")["reason"] == "Failed"
    letter = json.loads((site.files / "dead-letters" / f"{name}.json").read_text())
    assert letter["failure"]["Error"] == "Kubernetes.ExitCode.1"
    assert "ZeroDivisionError" in letter["failure"]["Cause"]
    described = people.kubectl("describe", "ex", name)
    assert "FileProcessing.DeadLetter" in described


def test_deleting_it_in_its_midst_leaves_nothing(site: Site) -> None:
    people = site.people
    name = "file-processing-4"
    uid = site.execute(name)
    people.a_pod(uid)
    people.kubectl("delete", "ex", name)
    people.nothing_is_left(uid, seconds=60)
