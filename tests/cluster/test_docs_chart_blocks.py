"""The blocks of the pages for users that need the chart, on real containers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support import charted
from tests.cluster.support.people import People, kubectl, kubectl_program
from tests.cluster.support.volumes import folder_as_volume
from tests.support import helm_program
from tests.support.blocks import ROOT, Block, Page, blocks, lacking, name_of, pages

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.node,
    pytest.mark.timeout(420),
    pytest.mark.usefixtures("crds", "own_image"),
]

BY_CHART = frozenset({"cluster", "chart", "storage"})
BY_HELM = frozenset({"cluster", "helm", "image"})
BLOCK_SECONDS = 300.0
# What the page of the chart says, and the tag that `make image` gives.
PLACE, TAG = "treadle-system", "dev"

PAGES = {name_of(page): blocks(page.read_text(encoding="utf-8")) for page in pages()}


def needing(word: str) -> list[str]:
    """Pages with a block of commands that needs it."""
    return [name for name, found in PAGES.items() if any(b.runs and word in b.needs for b in found)]


def run(name: str, cluster: Cluster, folder: Path, given: frozenset[str], **more: str) -> None:
    """Run the blocks of a page for which everything is there."""
    page = Page(folder, seconds=BLOCK_SECONDS, KUBECONFIG=str(cluster.kubeconfig), **more)
    (folder / "bin" / "kubectl").symlink_to(kubectl_program())
    if shutil.which("helm") is None:
        helm_program.write(folder / "bin" / "helm")
    try:
        for block in _ready(PAGES[name], given):
            page.run(block)
    finally:
        page.close()


def _ready(page: list[Block], given: frozenset[str]) -> list[Block]:
    return [block for block in page if not lacking(block.needs, given=given)]


# First: the chart of this page serves the whole cluster, and there may be no other beside it.
@pytest.mark.parametrize("name", needing("image"))
def test_the_chart_is_installed_as_the_page_says(
    name: str, cluster: Cluster, tmp_path: Path
) -> None:
    charted.give_image(cluster, TAG)
    charted.adopt_kinds(cluster, PLACE)
    home = Namespace(PLACE, cluster)
    with charted.helm(home) as release:
        try:
            run(name, cluster, tmp_path, BY_HELM, REGISTRY="docker.io/library")
        except AssertionError as failed:
            failed.add_note(charted.seen_in(home))
            raise
        finally:
            release.uninstall(charted.RELEASE, ignore_not_found=True, timeout=120, wait="watcher")
            kubectl(cluster.kubeconfig, "delete", "namespace", PLACE, "--ignore-not-found")


@pytest.fixture(scope="module")
def default(cluster: Cluster, crds: None, own_image: None) -> Iterator[People]:
    """The namespace default, served by an operator in the namespace that the pages name."""
    kubectl(cluster.kubeconfig, "create", "namespace", PLACE)
    # As docs/activities.md says: who serves some namespaces only may not ask whose a token is.
    asks = ("clusterrolebinding", "treadle-asks")
    account = f"--serviceaccount={PLACE}:{charted.RELEASE}"
    kubectl(cluster.kubeconfig, "create", *asks, "--clusterrole=system:auth-delegator", account)
    try:
        charted.adopt_kinds(cluster, PLACE)
        values = {"scope": "namespaces", "namespaces": ["default"]}
        with charted.running(Namespace(PLACE, cluster), values):
            people = People(Namespace("default", cluster))
            yield people
            people.kubectl(
                *("wait", "--for=delete", "--timeout=90s", "pods", "-l", "treadle.dev/attempt")
            )
    finally:
        kubectl(cluster.kubeconfig, "delete", *asks)
        kubectl(cluster.kubeconfig, "delete", "namespace", PLACE)


@pytest.mark.parametrize("name", needing("chart"))
def test_the_blocks_of_a_page_run(name: str, default: People, tmp_path: Path) -> None:
    example = ROOT / Path(name).parent
    with ExitStack() as stack:
        for claim in claims(example):
            volume = folder_as_volume(default.namespace, claim, tmp_path / claim)
            stack.enter_context(volume)
        try:
            (tmp_path / "page").mkdir()
            run(name, default.namespace.cluster, tmp_path / "page", BY_CHART)
        except AssertionError as failed:
            failed.add_note(default.kubectl("get", "executions,jobs,pods,events"))
            raise
        finally:
            if (example / "kustomization.yaml").exists():  # not beside a page of docs/
                away = ("delete", "--ignore-not-found", "--wait=false")
                default.kubectl(*away, "-f", str(example / "execution.yaml"))
                default.kubectl(*away, "-k", str(example))


def claims(example: Path) -> list[str]:
    """The names of the volume claims of an example."""
    texts = [path.read_text(encoding="utf-8") for path in example.glob("*.yaml")]
    objs = [obj for text in texts for obj in yaml.safe_load_all(text) if isinstance(obj, dict)]
    return [o["metadata"]["name"] for o in objs if o.get("kind") == "PersistentVolumeClaim"]
