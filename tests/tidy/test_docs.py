"""What users meet by name is in the docs, by these tests and not by goodwill."""

import re
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tests.tidy import reference
from treadle.api.metrics import Metrics
from treadle.asl.rules import RULES
from treadle.asl.texts import loads_document
from treadle.cli.main import main
from treadle.kube.sources import CODES
from treadle.local import mocks, testfiles, testschema

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


LISTED = set(main.commands) - {"operator"}  # its settings are in operations.md


@pytest.mark.parametrize("name", sorted(LISTED))
def test_every_option_of_a_command_is_documented(name: str) -> None:
    section = DOCS["commands.md"].partition(f"\n## `treadle {name}")[2].partition("\n## ")[0]
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert f"`{max(parameter.opts, key=len)}" in section


@pytest.mark.parametrize("code", [*CODES, "pod-template", "resource-not-runnable"])
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
