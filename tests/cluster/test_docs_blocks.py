"""The blocks of the pages for users that need a cluster, on real containers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, kubectl, kubectl_program
from tests.support.blocks import Block, Page, blocks, lacking, name_of, pages

pytestmark = [pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(420)]

HERE = frozenset({"cluster"})


def _is_ours(block: Block) -> bool:
    return block.runs and "cluster" in block.needs and not lacking(block.needs, given=HERE)


PAGES = {
    name_of(page): found
    for page in pages()
    if any(map(_is_ours, found := blocks(page.read_text(encoding="utf-8"))))
}


@pytest.fixture
def people(cluster: Cluster, crds: None) -> Iterator[People]:
    with cluster.namespace() as space:
        made = People(space)
        yield made
        made.free_pods()


@pytest.fixture
def kubeconfig_there(people: People, tmp_path: Path) -> Path:
    """A kubeconfig whose own namespace is the test's."""
    found = tmp_path / "kubeconfig"
    found.write_bytes(people.namespace.cluster.kubeconfig.read_bytes())
    kubectl(found, "config", "set-context", "--current", f"--namespace={people.namespace.name}")
    return found


def _starts_an_operator(page: list[Block]) -> bool:
    return any("treadle operator" in b.text for b in page if b.runs)


@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run(
    name: str, people: People, kubeconfig_there: Path, tmp_path: Path
) -> None:
    space = people.namespace.name
    folder = tmp_path / "page"
    folder.mkdir()
    operator = (
        nullcontext()
        if _starts_an_operator(PAGES[name])
        else OperatorProcess(kubeconfig_there, tmp_path / "operator.log", namespaces=[space])
    )
    page = Page(
        folder,
        KUBECONFIG=str(kubeconfig_there),
        TREADLE_NAMESPACES=space,
        TREADLE_LEASE_NAMESPACE=space,
        TREADLE_HEALTH_PORT="0",
        TREADLE_API_PORT="0",
    )
    (folder / "bin" / "kubectl").symlink_to(kubectl_program())
    with operator:
        try:
            for block in PAGES[name]:
                if not lacking(block.needs, given=HERE):
                    page.run(block)
        finally:
            page.close()
