"""Links within the repository lead somewhere; those to others are not followed."""

import re
from pathlib import Path

import pytest

from tests.support.blocks import ROOT, name_of, pages

FENCED = re.compile(r"^ {0,3}```.*?^ {0,3}```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
PAGES = [*pages(), ROOT / "tests" / "cluster" / "README.md"]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that GitHub and the site give to a page's headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(prose(page))
    }


def broken(page: Path, root: Path = ROOT) -> list[str]:
    found = []
    for target in LINK.findall(CODE.sub("code", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        there = to.exists() and to.is_relative_to(root)
        if not there or (anchor and anchor not in anchors(to)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=name_of)
def test_a_page_of_the_site_stays_on_it(page: Path) -> None:
    outside = [
        target
        for target in LINK.findall(CODE.sub("code", prose(page)))
        if not (page.parent / target).resolve().is_relative_to(ROOT / "docs")
        and not re.match(r"[a-z]+:", target)
    ]
    assert outside == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# A `b` c\n[x](#a-b-c) [y](#d) [z](e.md) [w](https://example.org)\n")
    assert broken(page, tmp_path) == ["#d", "e.md"]
