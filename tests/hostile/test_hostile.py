"""Whatever means harm ends by name, soon, and in little memory.

No bound here measures our speed: each is some three times of what is allowed, and what breaks a
limit goes beyond it tenfold.
"""

import pytest

from tests.hostile.__main__ import apart
from tests.hostile.cases import CASES, DOCUMENTS

# Of CPU, so that a busy machine changes nothing. A visit may take 1.5 s, and a turn begins several.
SECONDS_MAX = 6.0
MEBIBYTES_MAX = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("name", CASES)
def test_an_execution_ends_by_name(name: str) -> None:
    case, row = CASES[name], apart(name)
    assert row["end"] in case.errors or (case.harmless and row["end"] == "SUCCEEDED"), row
    assert row["cause"] or row["end"] == "SUCCEEDED"
    _check_cost(row)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_definition_is_judged(name: str) -> None:
    row = apart(name)
    assert row["end"] == DOCUMENTS[name][1], row
    _check_cost(row)


def _check_cost(row: dict[str, float]) -> None:
    assert row["seconds"] < SECONDS_MAX, row
    assert row["longest"] < SECONDS_MAX, row
    assert row["mebibytes"] < MEBIBYTES_MAX, row
    assert row["sandbox"] < MEBIBYTES_MAX + 88, row  # what the process was before it became one
