"""Whether this process lives, and whether it is ready.

One rule: a probe answers from what is known now; it asks nobody and waits for nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

Check: TypeAlias = Callable[[], str | None]
"""Says what is wrong, in a few words; None where nothing is."""

PULSE_SECONDS = 1.0
PULSE_LATE_SECONDS = 30.0


class Pulse:
    """A check that the event loop turns: something that blocks it leaves the pulse old.

    A probe that is answered shows a turning loop already; the pulse also tells of one that was
    held for long just before, and of timers that do not fire.
    """

    def __init__(self, late_seconds: float = PULSE_LATE_SECONDS) -> None:
        self._late_seconds = late_seconds
        self._beat_at: float | None = None

    async def run(self) -> None:
        """Beat, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._beat_at = loop.time()
            await asyncio.sleep(PULSE_SECONDS)

    def check(self) -> str | None:
        """See Check. Before the first beat there is nothing to be late."""
        if self._beat_at is None:
            return None
        age = asyncio.get_running_loop().time() - self._beat_at
        return None if age <= self._late_seconds else f"no timer has fired for {age:.0f} s"


def verdict(checks: Mapping[str, Check]) -> tuple[bool, str]:
    """Whether all checks pass, and a page that lists them, one a line as Kubernetes does."""
    lines = []
    healthy = True
    for name, check in checks.items():
        try:
            problem = check()
        except Exception as error:
            problem = f"the check itself failed: {error!r}"
        healthy = healthy and problem is None
        lines.append(f"[+]{name} ok" if problem is None else f"[-]{name} failed: {problem}")
    return healthy, "\n".join([*lines, "ok" if healthy else "failed", ""])
