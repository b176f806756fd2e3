"""The table of kills and the figures, as text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.cluster.torture.killing import RANDOM, Kill
from tests.cluster.torture.proxy import JOB, STATUS

_WHERE = {STATUS: "after a status write", JOB: "after a Job create", RANDOM: "any instant"}
_COLUMNS = (
    ("kill", 4),
    ("at s", 6),
    ("where", 20),
    ("ms after", 8),
    ("answer", 6),
    ("unfinished", 10),
    ("finished", 8),
    ("running", 7),
    ("Jobs", 4),
    ("down s", 6),
    ("writes after s", 14),
)


def head() -> str:
    """The head of the table, with what its columns are."""
    names = "  ".join(name.rjust(width) for name, width in _COLUMNS)
    return (
        "finished, running, Jobs: Pods that had ended, Pods and Jobs that ran, deleted while the "
        f"operator was down\nwrites after: from its start to its first write\n\n{names}\n"
        + "-"
        * len(names)
    )


def row(kill: Kill) -> str:
    """One kill."""
    cells = zip(_row(kill), _COLUMNS, strict=True)
    return "  ".join(cell.rjust(width) for cell, (_, width) in cells)


def _row(kill: Kill) -> tuple[str, ...]:
    near = kill.after_ms is not None and kill.where != RANDOM
    return (
        str(kill.number),
        f"{kill.at_seconds:.1f}",
        _WHERE[kill.where],
        f"{kill.after_ms:.1f}" if near else "-",
        ("seen" if kill.seen else "unseen") if near else "-",
        str(kill.unfinished),
        str(kill.finished),
        str(kill.running),
        str(kill.jobs),
        f"{kill.down_seconds:.2f}",
        "-" if kill.back_seconds is None else f"{kill.back_seconds:.2f}",
    )


def figures(kills: Sequence[Kill]) -> list[str]:
    """What the table comes to."""
    wheres = Counter(kill.where for kill in kills)
    near = [kill.after_ms for kill in kills if kill.where != RANDOM and kill.after_ms is not None]
    back = sorted(kill.back_seconds for kill in kills if kill.back_seconds is not None)
    unfinished = [kill.unfinished for kill in kills]
    return [
        f"kills: {len(kills)} ("
        + ", ".join(f"{wheres[w]} {_WHERE[w]}" for w in (STATUS, JOB, RANDOM))
        + f"), the latest {max(near, default=0):.1f} ms after its answer",
        f"unfinished at a kill: {min(unfinished, default=0)} to {max(unfinished, default=0)}",
        f"deleted while down: {sum(k.finished for k in kills)} finished Pods, "
        f"{sum(k.running for k in kills)} running Pods, {sum(k.jobs for k in kills)} running Jobs",
        "start to first write: "
        + (f"median {back[len(back) // 2]:.2f} s, most {back[-1]:.2f} s" if back else "-"),
    ]
