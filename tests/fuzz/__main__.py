"""`python -m tests.fuzz --seconds N [--target NAME] [--seed N]`: looks for input that harms.

Each target has its share of the seconds. What is found is printed with its seed and made small;
exit status 1. `--input JSON` runs one input again.
"""

import argparse
import json
import math
import sys
import time

from tests.fuzz import campaign
from tests.fuzz.targets import Definition, Intrinsic, Jsonata, Path, Template
from tests.fuzz.targets_engine import Checkpoint, Events
from tests.fuzz.watch import Target

TARGETS: tuple[Target, ...] = (
    *(Definition(), Path(), Intrinsic(), Template(), Jsonata(), Checkpoint(), Events()),
)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--target", choices=[target.name for target in TARGETS])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=2**62, help="how many inputs at most")
    parser.add_argument("--input", help="one input of --target, as JSON, instead")
    given = parser.parse_args()
    targets = [target for target in TARGETS if given.target in (None, target.name)]
    if given.input is not None and given.target is None:
        parser.error("--input needs --target")
    found = 0
    for target in targets:
        if given.input is not None:
            result = campaign.replay(target, json.loads(given.input))
        else:
            share = given.seconds / len(targets)
            result = campaign.fuzz(
                target, given.seed, seconds=share, first=given.first, count=given.count
            )
        print(f"{result}; seed {given.seed}", flush=True)
        for story in result.findings:
            print(story, flush=True)
        found += len(result.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
