"""`python -m tests.cluster.hostile_expressions`: what slow JSONata costs everybody else.

Pass-only executions, ten a second, first alone, then while others evaluate what means harm: each
of the slow, growing and endless expressions of `tests.hostile`, so many at once. It prints the
median, the 99th percentile and the longest of both, and how the hostile ones ended. KUBECONFIG
names the cluster; else it is that of `make control-plane`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support.hostile import ends_of
from tests.cluster.support.machines import chain, passes
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, apply_crds
from tests.hostile.cases import GROWTH, RECURSION, SLOW

CASES = {**RECURSION, **GROWTH, **SLOW}
PACE_SECONDS = 0.1
QUICK = 400


def main() -> int:
    """Measure once and print; gives 1 where one of them did not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=4, help="hostile executions of one wave")
    given = parser.parse_args()
    cluster = Cluster.reach(Path(os.environ.get("KUBECONFIG") or places.KUBECONFIG))
    apply_crds(cluster.kubeconfig)
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster.namespace() as served,
        OperatorProcess(
            cluster.kubeconfig, Path(folder, "operator.log"), namespaces=[served.name]
        ) as operator,
    ):
        people = People(served)
        people.machine("quick", chain(One=passes(), Two=passes(), Three=passes()))
        names = [name for name, case in CASES.items() if case.given is None]
        for name in names:
            people.machine(name, CASES[name].definition)
        for name in ("quick", *names):
            assert people.judged(name)["status"] == "True", name
        measure(people, "warm", 20, lambda _: None)
        show("alone", measure(people, "calm", QUICK, lambda _: None))
        waves = [names[at : at + given.at_once] for at in range(0, len(names), given.at_once)]
        every = QUICK // len(waves)

        def launch(number: int) -> None:
            if number % every == 0 and number // every < len(waves):
                for name in waves[number // every]:
                    people.execution(name, name)

        show(f"beside {given.at_once} hostile at once", measure(people, "storm", QUICK, launch))
        ended = {name: people.ends(name, seconds=120).get("error") for name in names}
        print(f"{len(names)} hostile executions ended: {dict(Counter(ended.values()))}")
        print(f"operator's memory: {operator.rss_peak_mib:.0f} MiB at most")
        wrong = [n for n in names if ended[n] not in (*CASES[n].errors, None)]
        print(f"ended otherwise: {wrong}" if wrong else "each as it must")
    return 1 if wrong else 0


def measure(
    people: People, what: str, count: int, launch: Callable[[int], None]
) -> Sequence[float]:
    """Seconds from the create of each quick execution to the sight of its end."""
    began: dict[str, float] = {}
    with ends_of(people) as ends:
        for number in range(count):
            launch(number)
            name = f"{what}-{number}"
            began[name] = time.perf_counter()
            people.execution(name, "quick")
            # Whoever waits for the one before makes no load: they come at their pace.
            left = began[name] + PACE_SECONDS - time.perf_counter()
            time.sleep(max(0.0, left))  # a load's pace, not a wait
        return [ends.seen_at(name) - at for name, at in began.items()]


def show(what: str, seconds: Sequence[float]) -> None:
    """A line of figures."""
    cut = statistics.quantiles(seconds, n=100)
    print(
        f"{what:28}{len(seconds)} executions: median {statistics.median(seconds) * 1000:.1f} ms, "
        f"p99 {cut[98] * 1000:.1f} ms, longest {max(seconds) * 1000:.1f} ms",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
