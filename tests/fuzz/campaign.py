"""Runs targets, and makes what they found small.

One rule: a finding is told with what makes it happen again: the seed, the number, the input.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz import mutation
from tests.fuzz.watch import Finding, Order, Target, Watched, dice_of

MINIMISE_SECONDS = 20.0
AGAIN = 2  # how often a finding that a busy machine can make is looked for again
STORY_CHARS_MAX = 3_000
INPUT_CHARS_MAX = 4_000


@dataclass(slots=True)
class Result:
    """What came of one target."""

    target: str
    done: int = 0
    seconds: float = 0.0
    words: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = ", ".join(f"{word} {count}" for word, count in self.words.most_common())
        return f"{self.target}: {self.done} inputs in {self.seconds:.0f} s ({words})"


def fuzz(
    target: Target, seed: int, *, seconds: float = math.inf, first: int = 0, count: int = 2**62
) -> Result:
    """Run inputs until the time is over or all are done. One finding of a kind is told."""
    began = time.monotonic()
    watched = Watched(Order(target, seed, first, count, began + seconds))
    result = Result(target.name, words=watched.words)
    known: set[str] = set()
    for finding in watched.findings():
        if finding.signature in known or _is_of_the_machine(target, watched.order, finding):
            continue
        known.add(finding.signature)
        print(f"{target.name}: {finding.signature}, input {finding.number}", flush=True)
        given = target.make(dice_of(watched.order, finding.number))
        result.findings.append(_told(target, seed, finding, given))
    result.done, result.seconds = watched.done, time.monotonic() - began
    return result


def _is_of_the_machine(target: Target, order: Order, finding: Finding) -> bool:
    """Whether others had the processor: what an input itself takes, it takes again."""
    if not finding.signature.startswith(("it takes more than", "EvaluatorLost")):
        return False
    given = target.make(dice_of(order, finding.number))
    return all(finding.signature not in set(_signatures(target, given)) for _ in range(AGAIN))


def replay(target: Target, given: Any) -> Result:
    """Run one input."""
    watched = Watched(Order(target, 0, 0, 1, math.inf, given=given))
    result = Result(target.name, words=watched.words)
    result.findings = [f"{found.signature}\n{found.story}" for found in watched.findings()]
    result.done = watched.done
    return result


def _told(target: Target, seed: int, finding: Finding, given: Any) -> str:
    least = _minimised(target, given, finding.signature)
    shown = json.dumps(least)
    if len(shown) > INPUT_CHARS_MAX:
        shown = f"{shown[:INPUT_CHARS_MAX]}… ({len(shown)} characters)"
    return (
        f"{target.name}: {finding.signature}\n{finding.story[-STORY_CHARS_MAX:]}\n"
        f"again: python -m tests.fuzz --target {target.name} --seed {seed} "
        f"--first {finding.number} --count 1\nminimised: {shown}\n"
    )


def _minimised(target: Target, given: Any, signature: str) -> Any:
    ends_at = time.monotonic() + MINIMISE_SECONDS
    smaller = True
    while smaller:
        smaller = False
        for less in mutation.smaller(given):
            if time.monotonic() > ends_at:
                return given
            if signature in set(_signatures(target, less)):
                given, smaller = less, True
                break
    return given


def _signatures(target: Target, given: Any) -> Iterator[str]:
    watched = Watched(Order(target, 0, 0, 1, math.inf, given=given))
    return (finding.signature for finding in watched.findings())
