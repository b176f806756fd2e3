"""A short campaign of `tests.local.desk_torture`; the long one is a command."""

from pathlib import Path

import pytest

from tests.local import desk_torture


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_desk_that_is_killed_ends_as_one_that_is_not(tmp_path: Path) -> None:
    assert desk_torture.campaign(tmp_path, kills=5, seed=7) == []
