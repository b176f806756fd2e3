"""What is told of attempts that run as objects of a cluster, and counted.

One rule: an attempt is counted once as started and once as ended, however often it is told.
"""

import asyncio
from datetime import datetime
from typing import Literal

from treadle.asl.errors import StateError
from treadle.engine.events import TaskFailed, TaskStarted
from treadle.runners.observed import Watch
from treadle.runtime.meter import Meter
from treadle.runtime.ports import Attempt, Mailbox, Order


class Telling:
    """Tells a mailbox and a meter of attempts, and notes in their watches that it did."""

    def __init__(self, mailbox: Mailbox, meter: Meter, runner: str = "job") -> None:
        self._mailbox = mailbox
        self._meter = meter
        self._runner = runner

    def taken(self, order: Order, watch: Watch) -> None:
        """An order asks this process to run the attempt."""
        # A restored one was counted by the process that decided it.
        if watch.digest is None and not order.restored:
            self._meter.task_started(self._runner)
        watch.digest = order.task.digest

    def started(self, attempt: Attempt, watch: Watch) -> None:
        """The attempt's object may be known by now."""
        if watch.uid and not watch.told_started:
            watch.told_started = True
            self._mailbox.post(attempt.execution, TaskStarted(attempt.task, watch.uid))

    def waits(self, attempt: Attempt, watch: Watch, reason: str | None) -> None:
        """The attempt waits for this, or for nothing."""
        if watch.reason != reason:
            watch.reason = reason
            self._mailbox.waits(attempt.execution, attempt.task, reason)

    def may(self, watch: Watch, repeat_seconds: float) -> bool:
        """Whether an outcome is to be told: once, and again where no save has taken it up."""
        if watch.told_at is None:
            return True
        return asyncio.get_running_loop().time() - watch.told_at >= repeat_seconds

    def ended(self, watch: Watch, outcome: Literal["succeeded", "failed"]) -> None:
        """The attempt's outcome is told, for the first time or again."""
        if watch.told_at is None:
            self._meter.task_ended(self._runner, outcome)
        watch.told_at = asyncio.get_running_loop().time()

    def failed(self, attempt: Attempt, watch: Watch, error: StateError, at: datetime) -> None:
        """The attempt failed of what no object shows."""
        self.waits(attempt, watch, None)
        self.ended(watch, "failed")
        self._mailbox.post(attempt.execution, TaskFailed(attempt.task, error, at))

    def over(self, watch: Watch) -> None:
        """The attempt's end is seen to be saved; called once for each watch."""
        # What this process was not asked to run ended elsewhere, and was counted there.
        if watch.digest is not None and watch.told_at is None:
            self._meter.task_ended(self._runner, "stopped")
