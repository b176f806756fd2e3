"""`treadle logs`: what the container of a state has printed.

One rule: what it printed goes to stdout, byte by byte, and everything else to stderr.
"""

import sys

import click

from treadle.app import podlogs
from treadle.app.looking import Cluster
from treadle.cli.files import printable
from treadle.cli.look import answered
from treadle.cli.watch import EXIT_INTERRUPTED


def run(cluster: Cluster, wanted: podlogs.Wanted, *, follow: bool) -> int:
    """Print a log; gives the exit status. Raises: UsageError, ClickException."""
    out = sys.stdout.buffer

    def write(part: bytes) -> None:
        out.write(part)
        out.flush()

    try:
        answered(lambda: podlogs.read(cluster, wanted, write, follow=follow), wanted.name)
    except podlogs.NoPod as why:
        raise click.ClickException(printable(str(why))) from None
    except podlogs.Several as found:
        raise click.ClickException(_which(found)) from None
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _which(found: podlogs.Several) -> str:
    lines = [f"{found}; say which by STATE, --attempt and --index:"]
    for each in found.candidates:
        item = f" --index {each.index}" if each.index else ""
        phase = (each.pod.get("status") or {}).get("phase", "")
        said = f"  {each.state} --attempt {each.attempt}{item}   Pod {each.pod_name}, {phase}"
        lines.append(printable(said))
    return "\n".join(lines)
