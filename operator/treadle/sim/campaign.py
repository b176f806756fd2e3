"""Many worlds: seed after seed, on several processors, with a guard taken out or not.

One rule: whatever is found is one seed, and one command replays it.
"""

import gc
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from treadle.asl import document
from treadle.sim import world
from treadle.sim.guards import GUARDS
from treadle.sim.operator import life
from treadle.sim.world import PLANS_EACH, Report, Setting


@dataclass(frozen=True, slots=True)
class Found:
    """What did not hold in the world of a seed; nothing in a good one."""

    seed: int
    violations: tuple[str, ...]
    digest: str
    guard: str | None = None

    @property
    def command(self) -> str:
        """What replays it."""
        without = f" --without {self.guard}" if self.guard else ""
        return f"python -m treadle.sim --seed {self.seed}{without} -v"


def setting_of(seed: int) -> Setting:
    """The world of a seed, with real operators."""
    return world.setting_of(seed, life, document.parse)


def live_through(seed: int, guard: str | None = None) -> Report:
    """Live through the world of a seed, without a guard if one is named.

    The undisturbed run that it is compared with has all guards.
    """
    setting = setting_of(seed)
    with GUARDS[guard]() if guard else nullcontext():
        return world.live_through(setting)


def look(seed: int, guard: str | None = None) -> Found:
    """What is found in the world of a seed; an exception is a finding too."""
    try:
        report = live_through(seed, guard)
    except Exception as error:
        return Found(seed, (f"the world broke: {error!r}",), "", guard)
    return Found(seed, tuple(report.violations), report.digest, guard)


def look_at(seeds: range, guard: str | None = None) -> list[Found]:
    """What is found in several worlds, on this processor."""
    found = [look(seed, guard) for seed in seeds]
    gc.collect()
    return found


def look_at_all(seeds: range, workers: int) -> Iterator[Found]:
    """What is found in many worlds, in the order of their seeds."""
    parts = [seeds[at : at + PLANS_EACH] for at in range(0, len(seeds), PLANS_EACH)]
    if workers == 1:
        for part in parts:
            yield from look_at(part)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawned) as pool:
        for found in pool.map(look_at, parts):
            yield from found


def first_notice(guard: str, seeds_max: int) -> Found | None:
    """The first world in which a guard is missed."""
    for seed in range(seeds_max):
        found = look(seed, guard)
        if found.violations:
            return found
    return None
