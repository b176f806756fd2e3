"""The examples of the pages about the language give what the pages show."""

import pytest

from tests.support.blocks import ROOT, Block, blocks, name_of, pages
from tests.support.documented import agrees, differences, is_example, read

LANGUAGE = {
    name_of(page): blocks(page.read_text(encoding="utf-8"))
    for page in pages()
    if page.parent.name in ("language", "states") or page == ROOT / "docs" / "differences.md"
}
EXAMPLES = {
    f"{name_of(page)}:{block.line}": block
    for page in pages()
    for block in blocks(page.read_text(encoding="utf-8"))
    if is_example(block)
}


@pytest.mark.parametrize("place", EXAMPLES)
def test_an_example_gives_what_it_shows(place: str) -> None:
    assert list(differences(read(EXAMPLES[place]))) == []


@pytest.mark.parametrize("name", LANGUAGE)
def test_no_block_is_left_to_goodwill(name: str) -> None:
    left = [b.line for b in LANGUAGE[name] if not (is_example(b) or b.runs or b.file)]
    assert left == []


@pytest.mark.parametrize("name", [name for name in LANGUAGE if "/states/" in name])
def test_a_page_of_a_state_has_examples_in_both_languages(name: str) -> None:
    examples = [b.text for b in LANGUAGE[name] if is_example(b)]
    jsonata = [text for text in examples if "QueryLanguage: JSONata" in text]
    assert jsonata
    assert len(jsonata) < len(examples)


# ------------------------------------------------------------------------------- the convention

PASS = """\
machine:
  StartAt: A
  States:
    A: {Type: Pass, Result: {x: [1, text]}, End: true}
"""


def block(*more: str) -> Block:
    return Block(1, "yaml", PASS + "".join(f"{line}\n" for line in more))


def test_an_example_that_is_right_has_no_difference() -> None:
    assert list(differences(read(block("output: {x: [1, te…]}", "seconds: 0")))) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["output: {x: [1, other]}"], "output is"),
        (["output: {x: [1, text]}", "seconds: 1"], "seconds is"),
        (["error: Boom"], "output is not shown"),
        (["output: {x: [1, text]}", "problems: [member-type]"], "problems is"),
        (["problems: [member-type]"], "output is not shown"),
    ],
)
def test_an_example_that_is_wrong_says_how(lines: list[str], said: str) -> None:
    assert any(line.startswith(said) for line in differences(read(block(*lines))))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "shows output"),
        (["output: 1", "error: Boom"], "shows output"),
        (["output: 1", "ouput: 1"], "has no ouput"),
        (["output: 1", "type: FAST"], "STANDARD or EXPRESS"),
    ],
)
def test_a_block_that_is_no_example_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(block(*lines))


def test_a_task_without_a_mock_fails() -> None:
    task = 'A: {Type: Task, Resource: "arn:aws:states:::sqs:sendMessage", End: true}'
    text = f"machine: {{StartAt: A, States: {{{task}}}}}\nerror: Treadle.NoMock\n"
    assert list(differences(read(Block(1, "yaml", text)))) == []


@pytest.mark.parametrize(
    ("shown", "found", "same"),
    [
        ({"a": 1, "b": [True]}, {"a": 1, "b": [True]}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1], [1, 2], False),
        ("a…c", "abc", True),
        ("a…c", "abd", False),
        (None, None, True),
    ],
)
def test_what_is_shown_is_compared_exactly(shown: object, found: object, same: bool) -> None:
    assert agrees(shown, found) is same
