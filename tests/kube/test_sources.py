"""Machines and their places in the files that people write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.asl import limits
from treadle.asl.errors import Problem
from treadle.kube.sources import File, read

HEAD = "apiVersion: treadle.dev/v1alpha1\nkind: StateMachine\n"
GOOD = "{StartAt: A, States: {A: {Type: Pass, End: true}}}"


def file(text: str, **options: Any) -> File:
    return read(text.encode(), **options)


def shown(problems: tuple[Problem, ...]) -> list[tuple[int | None, int | None, str, str]]:
    return [(each.line, each.column, each.pointer, each.code) for each in problems]


def inspected(text: str) -> list[tuple[int | None, int | None, str, str]]:
    found = file(text)
    assert found.problems == ()
    return [each for machine in found.machines for each in shown(machine.inspect()[1])]


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.replace("{", "{ "), f"---\n{GOOD}\n...\n", f"# a\n{GOOD}"]
)
def test_a_bare_definition_is_one_machine(text: str) -> None:
    (machine,) = file(text).machines
    assert machine.value()["StartAt"] == "A"
    assert not machine.is_manifest
    assert machine.inspect()[1] == ()


def test_json_is_read_too() -> None:
    text = '{\n  "StartAt": "A",\n  "States": {"A": {"Type": "Pass", "Next": "B"}}\n}'
    assert inspected(text)[0] == (3, 36, "/States/A/Next", "target-missing")


def test_every_machine_of_a_stream_is_found_in_its_own_lines() -> None:
    one = f"{HEAD}metadata: {{name: one}}\nspec:\n  definition:\n    StartAt: B\n    States: {{}}\n"
    other = (
        f"{HEAD}metadata: {{name: two}}\nspec:\n  definition: |\n    StartAt: A\n    States: 1\n"
    )
    text = f"%YAML 1.2\n---\n{one}--- # next\nkind: ConfigMap\napiVersion: v1\n---\n{other}"
    assert [machine.name for machine in file(text).machines] == ["one", "two"]
    places = inspected(text)
    assert (9, 5, "/spec/definition/States", "states-empty") in places
    assert (20, 5, "/spec/definition/States", "member-type") in places


def test_a_document_that_begins_on_its_marker_keeps_its_line() -> None:
    assert inspected(f"--- {GOOD}\n--- {{StartAt: A, States: 1}}")[0][:2] == (2, 18)


def test_a_text_that_cannot_be_read_is_told_at_its_line() -> None:
    text = f"{HEAD}metadata: {{name: a}}\nspec:\n  definition: |\n    StartAt: A\n    States: [\n"
    ((line, _, pointer, code),) = inspected(text)
    assert (line, pointer, code) == (7, "/spec/definition", "document-not-parsed")
    (machine,) = file(text).machines
    assert machine.value() is None


def test_a_text_whose_place_cannot_be_told_is_told_at_its_member() -> None:
    text = f"x: &x |\n  StartAt: A\n  States: 1\n{HEAD}metadata: {{name: a}}\n"
    text += "spec:\n  definition: *x\n"
    assert inspected(text)[0] == (8, 3, "/spec/definition/States", "member-type")


def test_the_type_counts() -> None:
    task = "{Type: Task, Resource: 'arn:aws:states:::sqs:sendMessage.waitForTaskToken', End: true}"
    text = (
        f"{HEAD}metadata: {{name: a}}\nspec:\n  type: EXPRESS\n"
        f"  definition: {{StartAt: A, States: {{A: {task}}}}}\n"
    )
    assert "resource-express" in [each[3] for each in inspected(text)]


def test_a_list_holds_machines() -> None:
    items = "{apiVersion: treadle.dev/v1alpha1, kind: StateMachine, metadata: {name: a}, "
    items += "spec: {definition: 1}}"
    text = f"apiVersion: v1\nkind: List\nitems: [1, {{kind: List, items: []}}, {items}]"
    ((_, _, pointer, _),) = inspected(text)
    assert pointer == "/items/2/spec/definition"


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap",
        "apiVersion: treadle.dev/v1alpha1\nkind: Execution",
        "apiVersion: sfn.services.k8s.aws/v1alpha1\nkind: StateMachine",
        "kind: [1]",
        "apiVersion: 1",
    ],
)
def test_what_is_not_ours_is_passed_over(text: str) -> None:
    assert file(text) == File((), ())


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("apiVersion: treadle.dev/v1\nkind: StateMachine", (1, 1), "must be treadle.dev/v1alpha1"),
        ("apiVersion: v1\nkind: Execution", (1, 1), "that of Execution is"),
        ("kind: StateMachine", (1, 1), "apiVersion is missing"),
        ("apiVersion: treadle.io/v1alpha1\nkind: StateMachine", (1, 1), "that of StateMachine"),
        ("apiVersion: treadle.dev/v1alpha1\nkind: Statemachine", (2, 1), "did you mean State"),
        ("apiVersion: treadle.dev/v1alpha1\nkind: Zebra", (2, 1), "there are: StateMachine,"),
        ("apiVersion: treadle.dev/v1alpha1", (1, 1), "has no kind ''"),
        (f"{HEAD}spec: {{definition: 1}}", (1, 1), "needs metadata with a name"),
        (f"{HEAD}metadata: {{}}\nspec: {{definition: 1}}", (3, 1), "needs metadata with a name"),
        (f"{HEAD}metadata: {{name: [1]}}\nspec: {{definition: 1}}", (3, 12), "must be a text"),
        (f"{HEAD}metadata: {{name: a}}", (1, 1), "needs a spec"),
        (f"{HEAD}metadata: {{name: a}}\nspec: {{}}", (4, 1), "needs a definition"),
    ],
)
def test_a_manifest_that_cannot_be_ours_says_why(
    text: str, place: tuple[int, int], words: str
) -> None:
    (problem,) = file(text).problems
    assert (problem.line, problem.column) == place
    assert words in problem.message


def test_a_broken_document_hides_nothing_that_follows() -> None:
    found = file(f"{GOOD}\n---\na: [\n---\nb: ]\n---\n{GOOD}")
    assert [each.line for each in found.problems] == [3, 5]
    assert len(found.machines) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "# only this\n---\n"])
def test_an_empty_file_is_a_problem_where_it_was_chosen(text: str) -> None:
    assert [each.code for each in file(text).problems] == ["document-not-parsed"]
    assert file(text, is_chosen=False) == File((), ())


@pytest.mark.parametrize("text", ["resources: [a.yaml]", "just words", "[1]"])
def test_what_is_no_definition_counts_as_one_where_it_was_chosen(text: str) -> None:
    assert len(file(text).machines) == 1
    assert file(text, is_chosen=False).machines == ()


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"a: 1\nb: \xff", (2, 4), "byte 0xff at offset 8"),
        (b"\x00", (1, 1), "cannot be read"),
        (b" " * (limits.FILE_BYTES_MAX + 1), (1, 1), "may not have more"),
        (b"a: 1\n---\n" * (limits.FILE_DOCUMENTS_MAX + 1), (2002, 1), "split it"),
    ],
    ids=["bytes", "nul", "large", "many"],
)
def test_what_is_no_text_is_a_problem(data: bytes, place: tuple[int, int], words: str) -> None:
    found = read(data)
    problem = found.problems[-1]
    assert (problem.line or 1, problem.column or 1) == (place[0] - (place[0] > 100), place[1])
    assert words in problem.message


SHARDS = [b"---\n", b"a: ", b"&a ", b"*a", b"[", b"{", b"}", b"\xff", b"\x00", b"'", b'"', b"\n"]
SHARDS += [
    HEAD.encode(),
    b"metadata: {name: a}\n",
    b"spec: {definition: 1}\n",
    b"  ",
    b"|\n",
    b"!!x ",
]
SHARDS += [
    b"spec:\n  definition: |\n",
    b"    StartAt: A\n",
    b"    States: {}\n",
    b"%YAML 9\n",
    b"? ",
]


@given(st.lists(st.sampled_from(SHARDS) | st.binary(max_size=6), max_size=12).map(b"".join))
def test_no_bytes_raise(data: bytes) -> None:
    found = read(data)
    for machine in found.machines:
        machine.inspect()
    assert all(each.line for each in found.problems)


def test_what_kubectl_reads_otherwise_in_a_manifest_is_told_at_its_place() -> None:
    result = "{sold: no, mode: 0755, y: 1, when: 1:30}"
    states = f"{{A: {{Type: Pass, Result: {result}, End: true}}}}"
    definition = f"  definition:\n    StartAt: A\n    States: {states}\n"
    found = file(f"# a comment\n---\n{HEAD}metadata: {{name: a}}\nspec:\n{definition}")
    where = "/spec/definition/States/A/Result"
    assert shown(found.problems) == [
        (9, 45, f"{where}/sold", "manifest-yaml"),
        (9, 55, f"{where}/mode", "manifest-yaml"),
        (9, 61, f"{where}/y", "manifest-yaml"),
    ]
    assert len(found.machines) == 1
    assert {each.severity for each in found.problems} == {"error"}


def test_a_definition_that_is_a_text_or_bare_is_read_by_us_alone() -> None:
    states = (
        "    StartAt: A\n    States: {A: {Type: Pass, Result: {sold: no, y: 0755}, End: true}}\n"
    )
    assert file(f"{HEAD}metadata: {{name: a}}\nspec:\n  definition: |\n{states}").problems == ()
    assert file(states).problems == ()


def test_the_input_of_an_execution_is_read_by_kubectl_too() -> None:
    head = "apiVersion: treadle.dev/v1alpha1\nkind: Execution\nmetadata: {name: a}\n"
    found = file(f"{head}spec: {{stateMachineRef: {{name: a}}, input: {{sold: no}}}}\n")
    assert shown(found.problems) == [(4, 50, "/spec/input/sold", "manifest-yaml")]


def test_what_is_not_ours_may_be_written_as_it_likes() -> None:
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, <<: {x: y}}\ndata: {a: no}\n"
    mine = f"{HEAD}metadata: {{name: a}}\nspec: {{definition: {GOOD}}}\n"
    assert file(f"{other}---\n{mine}").problems == ()
    items = "".join(f"- {chunk}" for chunk in (_indented(other), _indented(mine)))
    found = file(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert (found.problems, len(found.machines)) == ((), 1)


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ").rstrip(" ")


def test_a_merge_key_is_told_and_not_what_it_would_have_taken_over() -> None:
    base = "x: &p {Type: Pass, End: true}\n"
    states = "StartAt: A\nStates: {A: {<<: *p}}\n"
    manifest = f"{HEAD}metadata: {{name: a}}\n{base}spec:\n  definition:\n    "
    found = file(manifest + states.replace("\n", "\n    "))
    assert [code for *_, code in shown(found.problems)] == ["manifest-yaml"]
    assert found.machines == ()
    bare = file(base + states)
    assert shown(bare.problems) == [(3, 14, "/States/A/<<", "document-merge-key")]
    text = f"{HEAD}metadata: {{name: a}}\nspec:\n  definition: |\n    {base}    StartAt: A\n"
    (_, problems) = file(text + "    States: {A: {<<: *p}}\n").machines[0].inspect()
    assert shown(problems) == [(8, 18, "/spec/definition/States/A/<<", "document-merge-key")]
