"""The mix: seeded machines of many shapes whose outcomes do not depend on timing. Pure.

The one rule: whatever is killed and however late anything is, an execution of the mix has one
status, one output, one error and, frame by frame, one history.

So nothing here times out that could have ended, siblings of what fails only wait, results are
never empty (an empty result of a Pod that is deleted in the second of its end proves nothing), and
states whose running Pods may be deleted (`EXPENDABLE` in their names) count no attempts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.cluster.torture.shapes import SHAPES
from tests.cluster.torture.sketch import Obj, Sketch

VARIANTS = 68


@dataclass(frozen=True)
class Plan:
    """One execution to be: what it is called, which machine it runs, on what input."""

    name: str
    machine: str
    input: Obj


@dataclass(frozen=True)
class Mix:
    """Machines by name, and any number of executions of them.

    Args:
        seed: the same seed gives the same mix.
        caller_url: of the recording HTTP server.
    """

    seed: int
    machines: dict[str, Obj]

    @staticmethod
    def of(seed: int, caller_url: str) -> Mix:
        """The mix of a seed."""
        machines = {}
        for number in range(VARIANTS):
            shape = SHAPES[number % len(SHAPES)]
            draw = random.Random(f"{seed}/machine/{number}")
            name = f"m{number:02d}-{shape.__name__.strip('_').replace('_', '-')}"
            machines[name] = shape(Sketch(draw, caller_url))
        return Mix(seed, machines)

    def plan(self, number: int) -> Plan:
        """Execution number so-and-so."""
        names = list(self.machines)
        draw = random.Random(f"{self.seed}/execution/{number}")
        # Every shape once in each round, in another order each time.
        shape_count = len(SHAPES)
        order = random.Random(f"{self.seed}/round/{number // shape_count}")
        shape = order.sample(range(shape_count), shape_count)[number % shape_count]
        variant = draw.randrange(VARIANTS // shape_count)
        machine = names[shape + variant * shape_count]
        given = {
            "n": draw.randrange(10),
            "pause": draw.randint(10, 20),
            "items": [{"k": k, "v": draw.randrange(100)} for k in range(draw.randint(3, 4))],
            "word": draw.choice(["alder", "beech", "cedar", "doum"]),
        }
        return Plan(f"e{number:03d}-{machine.split('-', 1)[1]}", machine, given)
