"""The site is built without a warning, and has every page."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blocks import ROOT

DOCS = ROOT / "docs"
CONTENTS = (DOCS / "index.md").read_text(encoding="utf-8")
PAGES = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", sorted(PAGES - {"index"}))
def test_every_page_is_in_the_contents(page: str) -> None:
    assert f"\n{page}\n" in CONTENTS.partition("{toctree}")[2]
    assert f"]({page}.md)" in CONTENTS


def built(docs: Path, to: Path) -> "subprocess.CompletedProcess[str]":
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed; `make docs` installs it")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    return subprocess.run(
        [*command, str(docs), str(to)], capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.slow
def test_the_site_is_built(tmp_path: Path) -> None:
    found = built(DOCS, tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    site = {p.relative_to(tmp_path).with_suffix("").as_posix() for p in tmp_path.rglob("*.html")}
    assert site >= PAGES


@pytest.mark.slow
@pytest.mark.parametrize("link", ["nothing.md", "#nothing", "index.md#nothing"])
def test_a_broken_link_ends_the_build(tmp_path: Path, link: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text((DOCS / "conf.py").read_text(encoding="utf-8"))
    (docs / "index.md").write_text(f"# A page\n\n[A link]({link}).\n")
    found = built(docs, tmp_path / "site")
    assert found.returncode != 0
    assert "nothing" in found.stderr
