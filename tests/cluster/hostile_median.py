"""`python -m tests.cluster.hostile_median`: what attacks cost everybody else.

It prints the median of 200 Pass-only executions beside hostile Pods and servers without the
product, the same during the attacks through it, and the operator's memory. KUBECONFIG names the
cluster; else it is that of `make control-plane` or `make cluster`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster
from tests.cluster.support import hostile
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import People, apply_crds
from tests.cluster.support.servers import ServerProcess, own_address


def main() -> int:
    """Measure once and print."""
    cluster = Cluster.reach(Path(os.environ.get("KUBECONFIG") or places.KUBECONFIG))
    apply_crds(cluster.kubeconfig)
    patience = str(hostile.START_FAILURE_SECONDS[cluster.node_kind()])
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster.namespace() as served,
        cluster.namespace() as calm,
        ServerProcess(own_address()) as server,
        OperatorProcess(
            cluster.kubeconfig,
            Path(folder, "operator.log"),
            namespaces=[served.name],
            start_failure_seconds=patience,
        ) as operator,
    ):
        storm = hostile.Storm(People(served), calm, cluster.node_kind(), server)
        storm.prepare()
        beside = storm.without_treadle()
        idle_mib = operator.rss_mib
        during = storm.with_treadle()
        for attack in hostile.ATTACKS:
            ends = Counter(status.get("error") for status in storm.ended[attack.name])
            right = "as named" if set(ends) == {attack.error} else f"expected {attack.error}"
            print(f"{attack.name:30}{dict(ends)} {right}")
        print(f"median beside bare Pods   {beside * 1000:8.1f} ms ({storm.quick} executions)")
        print(f"median during attacks     {during * 1000:8.1f} ms ({during / beside:.2f} times)")
        peak_mib = operator.rss_peak_mib
        print(f"operator's memory         {idle_mib:8.1f} MiB before, {peak_mib:.1f} MiB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
