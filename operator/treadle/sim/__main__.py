"""`python -m treadle.sim`: live through seeded worlds, and say what did not hold.

One rule: nothing is printed of a good world but its number among the others.
"""

import argparse
import logging
import sys
import time

from treadle.sim import campaign, clock
from treadle.sim.campaign import Found
from treadle.sim.guards import GUARDS

_REPORT_EVERY = 500
_SAID_MAX = 10


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 where something did not hold."""
    asked = _parser().parse_args(arguments)
    if asked.guards:
        logging.disable(logging.CRITICAL)
        return _try_guards(asked.max)
    if asked.seed is not None:
        return _replay(asked.seed, asked.without, asked.verbose)
    logging.disable(logging.WARNING)
    first, _, last = asked.seeds.rpartition(":")
    return _try_all(range(int(first or 0), int(last)), asked.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m treadle.sim", description=__doc__)
    parser.add_argument("--seeds", default="0:200", metavar="A:B", help="from A, before B")
    parser.add_argument("--workers", type=int, default=2, help="how many processes")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the trace of --seed")
    parser.add_argument("--without", choices=GUARDS, help="take a guard out of --seed")
    parser.add_argument("--guards", action="store_true", help="take each guard out in turn")
    parser.add_argument("--max", type=int, default=500, help="seeds for each guard")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _try_all(seeds: range, workers: int) -> int:
    began_at, bad = time.monotonic(), 0
    for number, found in enumerate(campaign.look_at_all(seeds, workers), 1):
        if found.violations:
            bad += 1
            _tell(found)
        if number % _REPORT_EVERY == 0:
            _say(f"{number} seeds, {bad} with violations")
    seconds = time.monotonic() - began_at
    _say(f"{len(seeds)} seeds in {seconds:.0f} s, {bad} with violations")
    return 1 if bad else 0


def _tell(found: Found) -> None:
    _say(f"seed {found.seed}:")
    for violation in found.violations[:_SAID_MAX]:
        _say(f"  {violation}")
    if len(found.violations) > _SAID_MAX:
        _say(f"  and {len(found.violations) - _SAID_MAX} more")
    _say(f"  replay: {found.command}")


def _try_guards(seeds_max: int) -> int:
    missed = 0
    for guard in GUARDS:
        found = campaign.first_notice(guard, seeds_max)
        if found is None:
            missed += 1
            _say(f"{guard:17} not noticed within {seeds_max} seeds")
        else:
            _say(f"{guard:17} noticed after {found.seed + 1:3} seeds: {found.violations[0]}")
    return 1 if missed else 0


def _replay(seed: int, guard: str | None, verbose: bool) -> int:
    setting = campaign.setting_of(seed)
    logged: list[str] = []
    if verbose:
        logging.getLogger("treadle").addHandler(_Logged(logged))
        logging.getLogger("treadle").setLevel(logging.INFO)
    else:
        logging.disable(logging.WARNING)
    report = campaign.live_through(seed, guard)
    if verbose:
        _say(f"{setting.plan}")
        for sample in setting.samples:
            _say(f"{sample}")
        for line in sorted((*report.trace, *logged), key=lambda line: float(line.split()[0])):
            _say(line)
    found = Found(seed, tuple(report.violations), report.digest, guard)
    if found.violations:
        _tell(found)
    _say(f"seed {seed}: digest {report.digest}, {len(found.violations)} violations")
    return 1 if found.violations else 0


class _Logged(logging.Handler):
    """Keeps what operators log, with the virtual time."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        error = f" {record.exc_info[1]!r}" if record.exc_info else ""
        where = record.name.removeprefix("treadle.")
        self._lines.append(f"{clock.seconds():10.3f} [{where}] {record.getMessage()}{error}")


if __name__ == "__main__":
    sys.exit(main())
