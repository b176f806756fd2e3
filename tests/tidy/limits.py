"""Rows of docs/limits.md from the code; `python -m tests.tidy.limits` prints them.

The one rule: what a row says of a limit is what holds.
"""

import sys
from collections.abc import Iterator

from treadle.asl import limits
from treadle.asl.limits import AWS, BOUNDS, DEFAULT, Bound


def row(bound: Bound) -> str:
    """The row of a limit that may be set."""
    member = f"`{bound.member}`" if bound.is_for_machines else "–"
    ours, aws = (_number(getattr(each, bound.name), bound) for each in (DEFAULT, AWS))
    given = "as ours" if bound.aws is None else aws
    to = f"{bound.least:,} to {bound.most:,}"
    cells = [member, f"`{bound.setting}`", f"{bound.unit}: {bound.of}", to, ours, given]
    return f"| {' | '.join([*cells, bound.beyond])} |"


def _number(value: int, bound: Bound) -> str:
    return "no bound" if bound.is_optional and value == 0 else f"{value:,}"


def fixed() -> Iterator[str]:
    """How the row begins of each limit that is what it is."""
    for name, value in vars(limits).items():
        if name.isupper() and isinstance(value, int | float):
            shown = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
            yield f"| `{name}` | {shown} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join([*map(row, BOUNDS), "", *fixed()]) + "\n")
