"""Numbers of versions and names of aliases, as labels, parameters and ARNs give them."""

from typing import Any

import pytest

from treadle.kube import versions


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("42", 42), ("999999999", 999_999_999)])
def test_the_number_of_a_version(text: str, number: int) -> None:
    assert versions.number(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "01", "1.0", "-1", " 1", "v1", "1000000000", "١", 1, None]
)
def test_what_is_none(text: Any) -> None:
    assert versions.number(text) is None


@pytest.mark.parametrize("name", ["live", "3rd", "a_B.c-d", "1.0", "x" * 80])
def test_the_name_of_an_alias(name: str) -> None:
    assert versions.is_alias(name)


@pytest.mark.parametrize("name", ["", "3", "a b", "a:b", "x" * 81, "a\n", "lïve"])
def test_what_no_alias_is_called(name: str) -> None:
    assert not versions.is_alias(name)


def test_a_label_that_is_no_number_makes_no_version() -> None:
    revision = {"metadata": {"labels": {versions.NUMBER: "latest"}}}
    assert versions.number_of(revision) is None
    assert versions.number_of({"metadata": {}}) is None
