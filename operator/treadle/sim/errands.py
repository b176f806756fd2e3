"""Tasks of random machines that workers ask for.

One rule: a worker may always be lost with its task, so silence ends each attempt and another comes.
"""

import random
from typing import Any

from treadle.sim.nesting import State, retrier

RESOURCES = (
    "treadle:activity/work",
    "arn:aws:states:us-east-1:000000000000:activity:work",
)


def asking(name: str, dice: random.Random) -> State:
    """A Task of the activity `work`; its input has a script for `Workers`."""
    script: dict[str, Any] = {
        "output": {"by": name, "n": dice.randint(0, 99)},
        "seconds": dice.choice((0, 0.01, 2, 8)),
    }
    if dice.random() < 0.3:
        script["failTimes"] = dice.randint(1, 2)
    if dice.random() < 0.3:
        script["dies"] = dice.randint(1, 2)
    if dice.random() < 0.3:
        script["beats"] = dice.randint(1, 3)
    return {
        "Type": "Task",
        "Resource": dice.choice(RESOURCES),
        "Parameters": {"pretend": script, "by": name, "v.$": "$.v"},
        "HeartbeatSeconds": dice.choice((12, 20)),
        "Retry": [
            retrier(["Sim.Again"], attempts=10),
            retrier(["States.HeartbeatTimeout"], attempts=30),
        ],
        "ResultPath": f"$.{name}",
    }
