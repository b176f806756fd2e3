"""What tools do not count: lengths of modules, functions and import lists. Source: style.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "operator").rglob("*.py"))

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
IMPORTED_NAMES_MAX = 25

# Each may only shrink.
EXCEPTIONS: dict[str, int] = {}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= EXCEPTIONS.get(_name(path), MODULE_LINES_MAX)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_functions_are_short(path: Path) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_an_import_list_is_short(path: Path) -> None:
    long = [
        f"{node.module}: {len(node.names)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and len(node.names) > IMPORTED_NAMES_MAX
    ]
    assert long == []


def test_the_source_root_hides_no_standard_module() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text().strip()
