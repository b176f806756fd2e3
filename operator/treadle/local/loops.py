"""An event loop whose clock may run ahead: where nothing is under way, it waits for nobody.

One rule: time jumps only while no process, call or thread could still change what happens next, and
a hundred years at most.
"""

import asyncio
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from treadle.asl import limits

LASTED: Final = "the execution has lasted a hundred years; shorten what it waits for"
"""Why no virtual time goes on beyond `limits.VIRTUAL_SECONDS_MAX`."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio where a timer that nothing could precede is due at once.

    Attributes:
        busy: says whether something outside is under way; time is real while it is.
        at_end: told once that no more time will be passed over; from then on it is real.
        is_over: whether it was.
    """

    def __init__(self) -> None:
        self.busy: Callable[[], bool] = lambda: False
        self.at_end: Callable[[], None] = lambda: None
        self.is_over = False
        self._ahead = 0.0
        self._threads = 0
        super().__init__(_Selector(self))
        self._began_at = datetime.now(UTC)
        self._began = self.time()

    def time(self) -> float:
        """Seconds, real and skipped."""
        return super().time() + self._ahead

    def now(self) -> datetime:
        """The same as a time of day."""
        return self._began_at + timedelta(seconds=self.time() - self._began)

    def not_before(self, at: datetime) -> None:
        """Go on from this time of day, if it is not past: an earlier run may have been ahead."""
        self._ahead += max(0.0, (at - self.now()).total_seconds())

    def skip(self, seconds: float) -> bool:
        """Go ahead by so much where nothing is under way; gives whether it did."""
        if self.is_over or self._threads or self.busy():
            return False
        if self._ahead + seconds > limits.VIRTUAL_SECONDS_MAX:
            self.is_over = True
            self.at_end()
            return True  # what it wakes is to run at once
        self._ahead += seconds
        return True

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """As asyncio's, and remembered until it is done."""
        found = super().run_in_executor(executor, func, *args)
        self._threads += 1
        found.add_done_callback(self._thread_done)
        return found

    def _thread_done(self, _: Any) -> None:
        self._threads -= 1


class _Selector(selectors.DefaultSelector):
    """Skips what it would have waited for."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            found = super().select(0)
            if found:
                return found
            if self._loop.skip(timeout):
                return []
        return super().select(timeout)
