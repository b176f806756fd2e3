"""The seeds that mutation begins with.

One rule: a seed is something that the product takes, small, and unlike the others.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "corpus"


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of a text."""
    return tuple((FOLDER / name).read_text(encoding="utf-8").splitlines())


@cache
def values(name: str) -> tuple[Any, ...]:
    """The JSON values of a file, one a line."""
    return tuple(json.loads(line) for line in lines(name))


@cache
def texts(folder: str) -> tuple[str, ...]:
    """The files of a folder."""
    return tuple(path.read_text(encoding="utf-8") for path in sorted((FOLDER / folder).iterdir()))
