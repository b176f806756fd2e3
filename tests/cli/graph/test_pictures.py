"""`treadle graph`: Mermaid, DOT and SVG of machines. `GOLDEN_WRITE=1` writes the expected texts."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings

from tests.support.machines import catcher, chain, failing, mapping, parallel, passing, task
from tests.support.strategies import definitions
from treadle.cli.graph import dot, mermaid, svg
from treadle.cli.graph.model import Graph, graph
from treadle.cli.graph.runs import coloured
from treadle.cli.main import main
from treadle.stores.histories import HistoryEntry

HERE = Path(__file__).parent
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = HERE.parents[2]
EXAMPLE = ROOT / "examples" / "file-processing" / "machine.yaml"
NAMES = [
    "end", "1. list", "- x", "`**md**`", 'a"b', "#quot;", "</b><script>", "%% c", 'x"] --> z',
    "{{}}", "a\\", "line\nbreak", "\x00", "&amp;", "$$x^2$$", "@{shape: x}", "🎉", "שלום",
    "evil\u202eeman", "é" * 80, "漢" * 80, "W" * 80, "[subgraph]", "a|b|c", "~~~", "'",
]  # fmt: skip


def evil() -> dict[str, Any]:
    """A chain of names that mean something to some language, each on a label as well."""
    states: dict[str, Any] = {}
    for name, following in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True):
        rule = {"Variable": "$.x", "StringEquals": following, "Next": following}
        default = NAMES[len(states) // 2]
        states[name] = {"Type": "Choice", "Choices": [rule], "Default": default}
    states["Z"] = failing("</title>&")
    return {"Comment": "; # }\n</desc>", "StartAt": NAMES[0], "States": states}


def nested() -> dict[str, Any]:
    deep = mapping(chain(Resize=task(), Store=task()), MaxConcurrency=5, Catch=[catcher("Log")])
    branch = {"StartAt": "Thumbs", "States": {"Thumbs": {**deep, "End": True}}}
    branch["States"]["Log"] = passing(End=True)
    both = parallel(branch, chain(Scan=task()), Catch=[catcher("Report")])
    states = chain(Both=both, Join=task(Catch=[catcher("Report", "Full")]))["States"]
    return {"StartAt": "Both", "States": {**states, "Report": failing("Broken")}}


def polling() -> dict[str, Any]:
    rules = [{"Variable": "$.s", "StringEquals": "DONE", "Next": "Done"}]
    states = {
        "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Ask"},
        "Ask": task(Next="Done?", Catch=[catcher("Wait", "Busy"), catcher("Ask", "Odd")]),
        "Done?": {"Type": "Choice", "Choices": rules, "Default": "Wait"},
        "Done": {"Type": "Succeed"},
    }
    return {"StartAt": "Wait", "States": states}


def polled() -> Graph:
    entries = [("Wait", "Wait"), ("Task", "Ask"), ("Choice", "Done?"), ("Wait", "Wait")]
    told: list[HistoryEntry] = []
    for kind, name in entries:
        for what in ("Entered", "Exited"):
            number = len(told) + 1
            type_ = f"{kind}State{what}"
            told.append(
                HistoryEntry(
                    number, number - 1, type_, BEGUN + timedelta(seconds=number), {"name": name}
                )
            )
    return coloured(graph(polling(), "polling"), told[:-1])


MACHINES = {
    "nested": lambda: graph(nested(), "nested"),
    "polling": lambda: graph(polling(), "polling"),
    "polled": polled,
    "evil": lambda: graph(evil(), "evil"),
}
WRITERS = {"mermaid": mermaid.write, "dot": dot.write, "svg": svg.write}


@pytest.mark.parametrize("language", ["mermaid", "dot"])
@pytest.mark.parametrize("name", MACHINES)
def test_a_picture_is_as_it_was(name: str, language: str) -> None:
    path = HERE / "golden" / f"{name}.{language}"
    found = WRITERS[language](MACHINES[name]())
    if os.environ.get("GOLDEN_WRITE"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------- svg

SVG = "{http://www.w3.org/2000/svg}"
Sides = tuple[float, float, float, float]


def _sides(element: ElementTree.Element, x: float, y: float) -> Sides:
    if element.tag == f"{SVG}rect":
        left, top, wide, high = (
            float(element.get(name, "0")) for name in ("x", "y", "width", "height")
        )
        return x + left, y + top, x + left + wide, y + top + high
    corners = [corner.split(",") for corner in (element.get("points") or "").split()]
    xs, ys = [float(each[0]) for each in corners], [float(each[1]) for each in corners]
    return x + min(xs), y + min(ys), x + max(xs), y + max(ys)


def _walk(
    element: ElementTree.Element, x: float, y: float, inside: tuple[int, ...]
) -> list[tuple[str, Sides, tuple[int, ...]]]:
    """Every box, branch and label: its class, where it is, and the states that it is in."""
    found: list[tuple[str, Sides, tuple[int, ...]]] = []
    if element.tag == f"{SVG}g":
        shift = element.get("transform", "translate(0 0)")[10:-1].split()
        x, y = x + float(shift[0]), y + float(shift[1])
        if element.get("data-state") is not None:
            inside = (*inside, id(element))
    for child in element:
        style = child.get("class", "")
        if style in ("box", "branch", "label"):
            is_frame = style == "box" and {"parallel", "map"} & {*element.get("class", "").split()}
            found.append(("frame" if is_frame else style, _sides(child, x, y), inside))
        found += _walk(child, x, y, inside)
    return found


def _meet(one: Sides, other: Sides) -> bool:
    across = one[0] < other[2] - 0.2 and other[0] < one[2] - 0.2
    return across and one[1] < other[3] - 0.2 and other[1] < one[3] - 0.2


def _holds(outer: Sides, inner: Sides) -> bool:
    return (
        outer[0] <= inner[0] + 0.2
        and outer[1] <= inner[1] + 0.2
        and outer[2] >= inner[2] - 0.2
        and outer[3] >= inner[3] - 0.2
    )


def check(text: str) -> ElementTree.Element:
    """Boxes and labels lie beside or within each other, and all of them on the page."""
    root = ElementTree.fromstring(text)
    found = _walk(root, 0, 0, ())
    page = (0.0, 0.0, float(root.get("width", "0")), float(root.get("height", "0")))
    assert all(_holds(page, sides) for _, sides, _ in found)
    for (kind, one, within), (_, other, other_within) in combinations(found, 2):
        if _meet(one, other):
            # A branch and the frame around it hold what is in them; nothing else may share room.
            assert kind in ("frame", "branch")
            assert _holds(one, other)
            assert within == other_within[: len(within)]
    return root


@pytest.mark.parametrize("name", MACHINES)
def test_an_svg_is_readable(name: str) -> None:
    root = check(svg.write(MACHINES[name]()))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert (title.text, "A state machine of" in (description.text or "")) == (
        MACHINES[name]().name,
        True,
    )


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_the_boxes_of_any_machine_do_not_overlap(definition: dict[str, Any]) -> None:
    found = graph(definition)
    root = check(svg.write(found))
    drawn = [each.get("data-state") for each in root.iter() if each.get("data-state")]
    text = mermaid.write(found)
    assert len(drawn) == len(set(drawn))
    assert all(f"<b>{name}</b>" in text for name in drawn)


def test_all_texts_of_an_svg_are_escaped() -> None:
    root = check(svg.write(graph(evil(), "</title><x>")))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {
        "svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "polygon", "text",
        "circle",
    }  # fmt: skip
    names = [each.get("data-state") for each in root.iter() if each.get("data-state")]
    assert {"</b><script>", 'a"b', "␀", "evileman", "line break"} <= set(names)


def test_errors_are_dashed_and_states_say_what_they_are() -> None:
    root = check(svg.write(graph(polling(), "polling")))
    ways = [each.get("class") for each in root.iter(f"{SVG}path") if each.get("class") != "head"]
    assert sorted(map(str, ways)) == ["way"] * 6 + ["way catch"] * 2
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert {"Start", "End", "Wait, Wait, 30 s", "Done?, Choice"} <= set(titles)


def test_what_ran_is_said_in_colours_and_in_words() -> None:
    root = check(svg.write(polled()))
    states = {
        each.get("data-state"): each.get("data-status")
        for each in root.iter()
        if each.get("data-state")
    }
    assert states == {"Wait": "Running", "Ask": "Succeeded", "Done?": "Succeeded", "Done": None}
    texts = [each.text for each in root.iter(f"{SVG}text") if each.get("class") == "small run"]
    assert texts == ["▶ Running ×2, 1.0s", "✓ Succeeded, 1.0s", "✓ Succeeded, 1.0s"]
    assert "An execution of it: Running." in svg.write(polled())


def test_many_branches_stand_in_rows() -> None:
    branches = [chain(**{f"Branch state number {n}": task()}) for n in range(20)]
    root = check(svg.write(graph(chain(Fork=parallel(*branches)))))
    assert float(root.get("width", "0")) < 1_600


def test_forty_states_are_one_column() -> None:
    root = check(svg.write(graph(chain(*[task(Catch=[catcher("S40")])] * 39, failing()))))
    assert float(root.get("width", "0")) < 450
    assert float(root.get("height", "0")) < 110 * 42


def test_a_machine_of_no_states_is_a_picture_too() -> None:
    check(svg.write(graph({})))


# ------------------------------------------------------------------------------------- command


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["graph", *arguments], input=stdin)


def treadle(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "treadle", "graph", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": ""},
    )


@pytest.mark.parametrize("language", WRITERS)
def test_a_whole_process_draws_the_example(language: str) -> None:
    found = treadle(str(EXAMPLE), "-o", language)
    assert (found.returncode, found.stderr) == (0, "")
    assert "file-processing" in found.stdout
    if language == "svg":
        check(found.stdout)


def test_the_first_machine_of_a_file_is_drawn() -> None:
    text = json.dumps(chain(passing()))
    found = run("-", stdin=f"apiVersion: v1\nkind: ConfigMap\n---\n{text}\n---\n{{}}\n")
    assert found.exit_code == 0
    assert "<b>S1</b>" in found.stdout


def test_of_a_directory_the_first_machine_is_drawn() -> None:
    found = run(str(EXAMPLE.parent))
    assert found.exit_code == 0
    assert "accTitle: file-processing" in found.stdout


def test_what_cannot_run_yet_is_drawn_all_the_same() -> None:
    rule = {"Condition": "{% $states.input.n > 5 %}", "Next": "B"}
    states = {"A": {"Type": "Choice", "Choices": [rule], "Default": "B"}, "B": {"Type": "Succeed"}}
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": states}
    found = run("-", stdin=json.dumps(definition))
    assert found.exit_code == 0
    assert "input#46;n #62; 5" in found.stdout


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("{", 1, "<stdin>:1:2: error: The YAML cannot be read"),
        ('{"StartAt": "A", "States": {}}', 1, "[states-empty] at /States"),
        ("apiVersion: v1\nkind: ConfigMap", 2, "there is no StateMachine in -"),
        (json.dumps(chain(*[passing()] * (svg.STATES_MAX + 1))), 2, "501 states are too many"),
    ],
)
def test_what_cannot_be_drawn_says_why(text: str, status: int, words: str) -> None:
    found = run("-o", "svg", "-", stdin=text)
    assert (found.exit_code, found.stdout) == (status, "")
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_a_missing_file_and_a_strange_output_are_usage_errors() -> None:
    assert "cannot be read" in treadle("no-such-file").stderr
    assert run("no-such-file").exit_code == 2
    assert run("-o", "png", "-").exit_code == 2
