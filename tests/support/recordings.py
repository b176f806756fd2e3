"""Where the behaviour recorded from AWS is: data for tests, not part of this repository."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FOLDER = Path(os.environ.get("TREADLE_CONFORMANCE") or _ROOT.parent / "shared" / "conformance")


def recorded(name: str) -> Path:
    """A file of the recordings; the test is skipped, and says why, where it is not there."""
    path = _FOLDER / name
    if not path.exists():
        pytest.skip(f"no {name} here: TREADLE_CONFORMANCE names the folder of the recordings")
    return path
