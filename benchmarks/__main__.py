"""`make bench`: (a) to (e) in one run. (b) and (d) on the pretend node, (c) on the real one."""

import subprocess
import sys

import uvloop

from benchmarks import engine


def main(wanted: list[str]) -> None:
    """Measure what is asked for: letters, or everything."""
    wanted = wanted or ["a", "b", "d", "c"]
    if "a" in wanted:
        show(engine.rows())
    if set(wanted) - {"a"}:
        from benchmarks import executions, jobs  # noqa: PLC0415

        if "b" in wanted:
            cluster("control-plane")
            show(uvloop.run(executions.rows()))
        if "d" in wanted:
            cluster("control-plane")
            show(uvloop.run(jobs.map_rows()))
        if "c" in wanted:
            cluster("cluster")
            show(uvloop.run(jobs.chain_rows()))


def cluster(kind: str) -> None:
    """Have that kind of cluster, with our CRDs."""
    from benchmarks.operators import kubeconfig  # noqa: PLC0415
    from tests.cluster.lab import build  # noqa: PLC0415

    subprocess.run([sys.executable, "-m", "tests.cluster.lab", kind], check=True)
    apply = ["apply", "--server-side", "--kubeconfig", kubeconfig(), "-f", "crds/"]
    subprocess.run([build.program("kubectl"), *apply], check=True, stdout=subprocess.DEVNULL)
    print(f"-- {kind}, {kubeconfig()}", flush=True)


def show(rows: list[tuple[str, str]]) -> None:
    """One line each."""
    for name, figure in rows:
        print(f"{name:76} {figure}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
