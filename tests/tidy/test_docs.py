"""What users meet by name is in the docs, by these tests and not by goodwill."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tests.tidy import limits, reference
from treadle.api.metrics import Metrics
from treadle.app.verdicts import Kind
from treadle.asl import errors
from treadle.asl.choices import OPERATORS
from treadle.asl.functions import FUNCTIONS
from treadle.asl.limits import BOUNDS, Bound
from treadle.asl.lint_states import KINDS, MEMBERS
from treadle.asl.rules import RULES
from treadle.asl.texts import loads_document
from treadle.cli.files import Input
from treadle.cli.main import main
from treadle.cli.validate import judge
from treadle.kube.sources import CODES
from treadle.local import mocks, testfiles, testschema
from treadle.stores import calling, limiting

ROOT = Path(__file__).parents[2]
SOURCE = "\n".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_documented(code: str) -> None:
    assert f"`{code}`" in DOCS["rules.md"]


def test_no_rule_is_documented_that_is_not() -> None:
    named = set(re.findall(r"^\| `([a-z-]+)`", DOCS["rules.md"], re.MULTILINE))
    assert named <= set(RULES)


@pytest.mark.parametrize("name", sorted(set(re.findall(r'"(TREADLE_[A-Z_]+)"', SOURCE))))
def test_every_setting_and_variable_is_documented(name: str) -> None:
    assert any(f"`{name}" in text for text in DOCS.values())


@pytest.mark.parametrize("name", [family.name for family in Metrics().registry.collect()])
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}" in DOCS["operations.md"]


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r'"((?:Kubernetes|Treadle)\.[A-Z][A-Za-z]+)', SOURCE)))
)
def test_every_error_is_documented(name: str) -> None:
    assert f"`{name}" in DOCS["tasks.md"]


MANIFEST_CODES = ("pod-template", calling.NOT_RUNNABLE, limiting.INVALID, limiting.ABOVE)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows_of_a_state(kind: str) -> list[tuple[list[str], str]]:
    """The rows of its members: the names in each, and the language that they are told for."""
    table = page(f"states/{kind.lower()}.md").partition("\n\n**")[0]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| `")]
    return [(re.findall(r"`(\w+)`", row[0]), row[1]) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_of_a_state_is_documented(kind: str) -> None:
    named = {name for names, _ in rows_of_a_state(kind) for name in names}
    assert set().union(*(members[kind] for members in MEMBERS.values())) <= named


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_of_a_state_is_documented_for_its_language(kind: str) -> None:
    jsonpath, jsonata = MEMBERS["JSONPath"][kind], MEMBERS["JSONata"][kind]
    for names, told in rows_of_a_state(kind):
        for name in names:
            if name in jsonpath & jsonata:
                assert told.startswith("both"), name
            elif name in jsonpath | jsonata and not told.startswith("both;"):
                assert told == ("JSONPath" if name in jsonpath else "JSONata"), name


def test_every_operator_of_a_choice_is_documented() -> None:
    named = set(re.findall(r"`(\w+)`", page("states/choice.md")))
    assert {name.removesuffix("Path") for name in OPERATORS} <= named


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_intrinsic_function_is_documented(name: str) -> None:
    assert f"`{name}(" in page("language/intrinsics.md")


@pytest.mark.parametrize(
    "name", sorted(v for k, v in vars(errors).items() if k.isupper() and v.startswith("States."))
)
def test_every_error_of_the_language_is_documented(name: str) -> None:
    assert f"`{name}`" in page("language/errors.md")


LISTED = set(main.commands) - {"operator"}  # its settings are in operations.md


@pytest.mark.parametrize("name", sorted(LISTED))
def test_every_option_of_a_command_is_documented(name: str) -> None:
    _, *sections = re.split(rf"\n## `treadle {name}[ `]", DOCS["commands.md"])
    section = sections[0].partition("\n## ")[0]
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert f"`{max(parameter.opts, key=len)}" in section


@pytest.mark.parametrize("kind", Kind)
def test_every_cause_is_documented(kind: Kind) -> None:
    section = DOCS["commands.md"].partition("## `treadle why")[2].partition("\n## ")[0]
    assert f"\n| `{kind}` |" in section


@pytest.mark.parametrize("code", [*CODES, *MANIFEST_CODES])
def test_every_rule_for_manifests_is_documented(code: str) -> None:
    assert f"`{code}`" in DOCS["commands.md"]


@pytest.mark.parametrize("code", testfiles.CODES)
def test_every_rule_for_files_of_tests_is_documented(code: str) -> None:
    assert f"\n| `{code}` | {testfiles.CODES[code]} |\n" in DOCS["workflow-tests.md"]


@pytest.mark.parametrize("model", [testschema.Tests, testschema.Test, testschema.Expect])
def test_every_member_of_a_file_of_tests_is_documented(model: type[BaseModel]) -> None:
    for name, member in model.model_fields.items():
        assert f"`{member.alias or name}`" in DOCS["workflow-tests.md"]


def test_the_mocks_that_are_shown_are_mocks() -> None:
    shown = DOCS["workflow-tests.md"].partition("## Mocks")[2].partition("```yaml\n")[2]
    answers = loads_document(shown.partition("```")[0])
    assert len(mocks.parse(answers)) == len(answers) > 5
    Draft202012Validator(testschema.schema()).evolve(
        schema={**testschema.schema(), **testschema.schema()["$defs"]["Test"]}
    ).validate({"name": "shown", "mocks": answers, "expect": {"status": "Failed"}})


def test_the_page_of_custom_resources_is_what_the_models_give() -> None:
    assert DOCS["resources.md"] == reference.page(), "run `make crds`"


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_every_limit_that_can_be_set_is_documented(bound: Bound) -> None:
    assert limits.row(bound) in DOCS["limits.md"].splitlines()


@pytest.mark.parametrize("row", [*limits.fixed()])
def test_every_fixed_limit_is_documented(row: str) -> None:
    assert f"\n{row} " in DOCS["limits.md"]


def test_no_limit_is_documented_that_is_not() -> None:
    rows = re.findall(r"^\| (?:`|– ).*", DOCS["limits.md"], re.MULTILINE)
    known = [*map(limits.row, BOUNDS), *limits.fixed()]
    assert [row for row in rows if not row.startswith(tuple(known))] == []
    assert len(rows) == len(known)


OF_CALLS = (
    calling.NOT_YET,
    *(f"task-parameter-{what}" for what in ("missing", "unknown", "value")),
)


@pytest.mark.parametrize("code", RULES)
def test_the_severity_of_every_rule_is_documented(code: str) -> None:
    severity = "warning" if RULES[code].is_warning else "error"
    told = "error or warning" if code in OF_CALLS else severity
    assert re.search(rf"^\| `{code}` \|.*\| {told} \|$", DOCS["rules.md"], re.MULTILINE)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "task-parameter-missing"),
        ({"FunctionName": "f", "Funktion": 1}, "task-parameter-unknown"),
        ({"FunctionName": "f", "Qualifier": 1}, "task-parameter-value"),
        ({"FunctionName": "f", "ClientContext": "x"}, calling.NOT_YET),
    ],
)
def test_of_a_call_it_is_a_warning(parameters: dict[str, Any], code: str) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    states = {"A": {**task, "Parameters": parameters}}
    text = json.dumps({"StartAt": "A", "States": states})
    found = judge(Input("m.json", text.encode(), True)).problems
    assert (code, "warning") in [(each.code, each.severity) for each in found]
