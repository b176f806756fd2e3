"""The Lambda example on real containers, applied as its README says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import MACHINES, People

pytestmark = [pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(300)]

EXAMPLE = places.ROOT / "examples" / "lambda"


@pytest.fixture(scope="module")
def people(
    cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[People]:
    log = tmp_path_factory.mktemp("lambda") / "operator.log"
    with cluster.namespace() as space:
        made = People(space)
        with OperatorProcess(cluster.kubeconfig, log, namespaces=[space.name]):
            made.kubectl("apply", "-k", str(EXAMPLE))
            assert made.judged("lambda")["status"] == "True", made.status("lambda", MACHINES)
            yield made
        made.free_pods()


def test_the_example_prices_an_order(people: People) -> None:
    people.kubectl("apply", "-f", str(EXAMPLE / "execution.yaml"))
    people.kubectl("wait", "--for=condition=Complete", "--timeout=120s", "ex/lambda-1")
    assert json.loads(people.status("lambda-1")["output"]) == {
        "items": ["warp", "weft", "warp"],
        "stock": {"reserved": 3},
        "total": 11.25,
    }


def test_what_a_handler_raises_is_caught_by_its_name(people: People) -> None:
    people.execution("lambda-2", "lambda", input={"items": ["heddle"]})
    output = people.succeeds("lambda-2", seconds=120)
    assert (output["errorType"], output["errorMessage"]) == ("OutOfStock", "heddle")
    assert "lambda_handler" in "".join(output["stackTrace"])
