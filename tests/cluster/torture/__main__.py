"""`python -m tests.cluster.torture --kills N [--seed S] [--executions M]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.people import apply_crds
from tests.cluster.torture.runs import tortured
from tests.cluster.torture.stage import kubeconfig

_SHOWN_MAX = 40


def main() -> int:
    """Run it; gives 1 where anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--executions", type=int, default=200, metavar="M", help="at least")
    told = parser.parse_args()
    try:
        cluster = Cluster.reach(kubeconfig())
    except ConnectionError as away:
        parser.error(f"no cluster ({away}); `make control-plane` starts one")
    if cluster.node_kind() != places.PRETEND:
        parser.error("the mix is scripted for the pretend node; `make control-plane` starts it")
    apply_crds(kubeconfig())
    began_at = time.monotonic()
    report = asyncio.run(tortured(told.seed, told.kills, told.executions))
    print(f"{len(report.violations)} violations, {time.monotonic() - began_at:.0f} s")
    for violation in report.violations[:_SHOWN_MAX]:
        print(f"VIOLATION: {violation}")
    if len(report.violations) > _SHOWN_MAX:
        print(f"… and {len(report.violations) - _SHOWN_MAX} more")
    if report.violations:
        again = f"--kills {told.kills} --seed {told.seed} --executions {told.executions}"
        print(f"again: python -m tests.cluster.torture {again}")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
