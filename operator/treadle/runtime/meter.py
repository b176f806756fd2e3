"""What is counted.

One rule: a method is named after what happened, returns at once and never raises; its text
arguments come from small fixed sets, never from users or names of objects.
"""

from typing import Protocol


class Meter(Protocol):
    """Counts what an operator on call asks about. `api.metrics` shows it to Prometheus."""

    def started(self) -> None:
        """An execution started."""

    def redriven(self) -> None:
        """An execution that did not succeed goes on."""

    def ended(self, phase: str) -> None:
        """An execution ended in a phase: Succeeded, Failed, TimedOut or Aborted."""

    def parked(self) -> None:
        """An execution cannot go on: its snapshot is unreadable, or we are wrong."""

    def turned(self, seconds: float, events: int) -> None:
        """A turn handled some events and was saved."""

    def saved(self, outcome: str) -> None:
        """A save was tried: "ok", "conflict" or "failed"."""

    def held(self, executions: int, events: int) -> None:
        """So many executions are in hand now, with so many events waiting for a turn."""

    def task_started(self, runner: str) -> None:
        """A runner ("job", "http", ...) began with an attempt; once, however often it tries."""

    def task_ended(self, runner: str, outcome: str) -> None:
        """An attempt ended: "succeeded", "failed" or "stopped"; once, however often it is told."""

    def queued(self, tasks: int, workers: int) -> None:
        """So many tasks of activities wait for workers now, and so many workers for tasks."""

    def http_called(self, outcome: str, seconds: float) -> None:
        """An HTTP task's call ended.

        Args:
            outcome: "2xx" to "5xx", "denied", "too_large", "no_answer" or "not_sent".
            seconds: from the first look for its address.
        """

    def api_called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """The API server answered; code 0 where no answer came."""

    def watch_restarted(self, resource: str, reason: str) -> None:
        """A watch ended: "closed", "expired" or "failed"."""

    def swept(self, seconds: float) -> None:
        """A whole sweep was done."""

    def leading(self, held: bool) -> None:
        """The Lease was won, or lost."""

    def event_dropped(self) -> None:
        """A Kubernetes Event was not written: too many of them, or refused."""

    def failed(self, where: str) -> None:
        """Something went wrong that nobody else counts; `where` is a room: "kube", "runners"."""


class NoMeter:
    """Counts nothing."""

    def started(self) -> None:
        """See Meter."""

    def redriven(self) -> None:
        """See Meter."""

    def ended(self, phase: str) -> None:
        """See Meter."""

    def parked(self) -> None:
        """See Meter."""

    def turned(self, seconds: float, events: int) -> None:
        """See Meter."""

    def saved(self, outcome: str) -> None:
        """See Meter."""

    def held(self, executions: int, events: int) -> None:
        """See Meter."""

    def task_started(self, runner: str) -> None:
        """See Meter."""

    def task_ended(self, runner: str, outcome: str) -> None:
        """See Meter."""

    def queued(self, tasks: int, workers: int) -> None:
        """See Meter."""

    def http_called(self, outcome: str, seconds: float) -> None:
        """See Meter."""

    def api_called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """See Meter."""

    def watch_restarted(self, resource: str, reason: str) -> None:
        """See Meter."""

    def swept(self, seconds: float) -> None:
        """See Meter."""

    def leading(self, held: bool) -> None:
        """See Meter."""

    def event_dropped(self) -> None:
        """See Meter."""

    def failed(self, where: str) -> None:
        """See Meter."""
