"""A short torture: the long one is `make torture N=50`."""

from __future__ import annotations

import pytest

from tests.cluster.torture.runs import tortured

KILLS = 4
EXECUTIONS = 32


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("crds", "pretend")
async def test_nothing_shows_that_the_operator_was_killed() -> None:
    report = await tortured(seed=2, kills=KILLS, executions=EXECUTIONS)
    assert report.violations == []
