"""The locks hold: nothing that is installed from them is left to a later release."""

import re
from importlib import metadata
from pathlib import Path

LOCKS = sorted((Path(__file__).parents[2] / "requirements").glob("*.txt"))
NEEDED = re.compile(r"([\w.-]+)\s*(\[[^]]+\])")
PINNED = re.compile(r"^([\w.-]+(?:\[[^]]+\])?)==", re.MULTILINE)


def name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", requirement).lower()


def test_what_is_needed_with_extras_is_pinned_with_them() -> None:
    pinned = {name_of(found) for lock in LOCKS for found in PINNED.findall(lock.read_text())}
    needed = [
        needs
        for each in metadata.distributions()
        for needs in each.requires or ()
        if "extra ==" not in needs
    ]
    with_extras = {name_of("".join(found.groups())) for found in map(NEEDED.match, needed) if found}
    assert with_extras, "pytest-cov needs coverage[toml]"
    # pip 23 takes the two for different packages, and the one without a pin gets its newest
    # release, which has no hash here: nothing can be installed any more from that day on.
    assert with_extras <= pinned
