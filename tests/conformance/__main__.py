"""Runs cases of recorded behaviour through the product and writes a row for each.

`python -m tests.conformance FILES… --results OUT`; the formats of both are told in the README
beside the recordings. One rule: one row a case, exit status 0.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.running import row_of


def cases_of(path: Path) -> Iterator[dict[str, Any]]:
    """The cases of a file, one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("cases", nargs="+", type=Path)
    parser.add_argument("--results", required=True, type=Path)
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with arguments.results.open("w", encoding="utf-8") as results:
        for path in arguments.cases:
            for case in cases_of(path):
                results.write(json.dumps(row_of(case)) + "\n")
                count += 1
    print(f"{count} cases -> {arguments.results}")


if __name__ == "__main__":
    main()
