"""The commands that the pages for users show do what the pages say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.blocks import (
    OUTSIDE,
    TOOLS,
    Block,
    Page,
    blocks,
    commands,
    lacking,
    matches,
    name_of,
    pages,
)

PAGES = {name_of(page): blocks(page.read_text(encoding="utf-8")) for page in pages()}


@pytest.mark.parametrize("name", PAGES)
def test_what_a_block_needs_is_a_known_word(name: str) -> None:
    unknown = {word for block in PAGES[name] for word in block.needs} - TOOLS - OUTSIDE
    assert unknown == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name in PAGES if any(b.runs for b in PAGES[name])])
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path) -> None:
    page = Page(tmp_path)
    ran, left = 0, []
    try:
        for block in PAGES[name]:
            if missing := lacking(block.needs):
                left.append(f"line {block.line} needs {', '.join(missing)}")
                continue
            page.run(block)
            ran += block.runs
    finally:
        page.close()
    if not ran:
        pytest.skip("; ".join(left))


# ------------------------------------------------------------------------------- the collector


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path)
    yield made
    made.close()


def test_fences_are_found_with_what_stands_above_them() -> None:
    text = "`a/b.yaml`:\n\n```yaml\nx: 1\n```\n\n<!-- needs: cluster, helm -->\n```sh\ntrue\n```\n"
    assert blocks(text) == [
        Block(3, "yaml", "x: 1\n", file="a/b.yaml"),
        Block(8, "sh", "true\n", needs=frozenset({"cluster", "helm"})),
    ]


def test_a_fence_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no end"):
        blocks("```sh\ntrue\n")


def test_commands_are_told_from_what_they_print() -> None:
    assert [(c.text, c.output) for c in commands("$ a \\\n> b\nc\n$ d\n")] == [
        ("a \\\nb", ["c"]),
        ("d", []),
    ]


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("a … c", "a b c", True),
        ("a … c", "a b d", False),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc", False),
        ("a   b", "a b\n\n", True),
        ("a", "a\nb", False),
    ],
)
def test_what_is_shown_is_compared_loosely(shown: str, said: str, same: bool) -> None:
    assert matches(shown.splitlines(), said.splitlines()) is same


def test_blocks_of_a_page_share_its_folder(page: Page) -> None:
    page.run(Block(1, "text", "hello\n", file="new/greeting"))
    page.run(Block(2, "sh", "tr h H < new/greeting > shouted\n"))
    page.run(Block(3, "console", "$ cat shouted\nHello\n$ test -e nothing\n$ echo $?\n1\n"))


@pytest.mark.parametrize(
    ("language", "text", "sentence"),
    [
        ("sh", "false\ntrue\n", "line 7 ends with 1"),
        ("sh", 'echo "$UNSET"\n', "line 7 ends with"),
        ("console", "$ false\n", "status 1"),
        ("console", "$ echo a\nb\n", "not as shown"),
        ("console", "$ exit 3\n", "went no further"),
    ],
)
def test_a_block_that_does_not_do_as_it_says_fails(
    page: Page, language: str, text: str, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        page.run(Block(7, language, text))
