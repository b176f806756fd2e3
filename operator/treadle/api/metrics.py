"""What Prometheus sees.

One rule: a label's values come from a small set; whatever would make it grow is called "other".
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LABEL_VALUES_MAX = 40
CONTENT_TYPE = CONTENT_TYPE_LATEST

_TURN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_API_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_CALL_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SWEEP_SECONDS = (0.01, 0.1, 0.5, 1, 5, 10, 30, 60)


class Metrics:
    """A `runtime.meter.Meter` with a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._seen: dict[tuple[str, int], set[str]] = {}

        def counter(name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"treadle_{name}", help_, labels, registry=registry)

        def gauge(name: str, help_: str) -> Gauge:
            return Gauge(f"treadle_{name}", help_, registry=registry)

        def histogram(
            name: str, help_: str, buckets: Sequence[float], labels: Sequence[str] = ()
        ) -> Histogram:
            return Histogram(f"treadle_{name}", help_, labels, registry=registry, buckets=buckets)

        self._started = counter("executions_started", "Executions that started")
        self._redriven = counter("executions_redriven", "Executions that failed and went on")
        self._ended = counter("executions_ended", "Executions that ended, by phase", ["phase"])
        self._parked = counter("executions_parked", "Executions that could not go on")
        self._executions = gauge("executions_live", "Executions in hand now")
        self._queue = gauge("queue_events", "Events that wait for a turn now")
        self._turns = histogram("turn_seconds", "Turns, from events to save", _TURN_SECONDS)
        self._handled = counter("turn_events", "Events that turns handled")
        self._saves = counter("saves", "Saves that were tried, by outcome", ["outcome"])
        self._tasks_started = counter("tasks_started", "Attempts that were started", ["runner"])
        self._tasks_ended = counter("tasks_ended", "Attempts that ended", ["runner", "outcome"])
        self._offers = gauge("activity_tasks", "Tasks of activities that wait for a worker now")
        self._workers = gauge("activity_workers", "Workers of activities that wait for a task now")
        self._calls = histogram(
            "http_call_seconds", "Calls of HTTP tasks, by outcome", _CALL_SECONDS, ["outcome"]
        )
        self._api = counter(
            "api_requests", "Requests to the API server", ["verb", "resource", "code"]
        )
        self._api_seconds = histogram(
            "api_request_seconds", "Requests to the API server", _API_SECONDS, ["verb"]
        )
        self._watches = counter("watch_restarts", "Watches that ended", ["resource", "reason"])
        self._sweeps = histogram("sweep_seconds", "Whole sweeps", _SWEEP_SECONDS)
        self._leading = gauge("lease_held", "Whether this process may act: 1 or 0")
        self._changes = counter("lease_changes", "Times the Lease was won or lost", ["to"])
        self._dropped = counter("events_dropped", "Kubernetes Events that were not written")
        self._errors = counter("errors", "What went wrong and is not counted elsewhere", ["where"])

    def text(self) -> bytes:
        """The page that a scrape gets; its type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _bounded(self, metric: str, *values: str) -> list[str]:
        bounded = []
        for position, value in enumerate(values):
            seen = self._seen.setdefault((metric, position), set())
            if value not in seen and len(seen) >= LABEL_VALUES_MAX:
                value = "other"  # noqa: PLW2901 - the point of this loop
            seen.add(value)
            bounded.append(value)
        return bounded

    def started(self) -> None:
        """See Meter."""
        self._started.inc()

    def redriven(self) -> None:
        """See Meter."""
        self._redriven.inc()

    def ended(self, phase: str) -> None:
        """See Meter."""
        self._ended.labels(*self._bounded("ended", phase)).inc()

    def parked(self) -> None:
        """See Meter."""
        self._parked.inc()

    def turned(self, seconds: float, events: int) -> None:
        """See Meter."""
        self._turns.observe(seconds)
        self._handled.inc(events)

    def saved(self, outcome: str) -> None:
        """See Meter."""
        self._saves.labels(*self._bounded("saves", outcome)).inc()

    def held(self, executions: int, events: int) -> None:
        """See Meter."""
        self._executions.set(executions)
        self._queue.set(events)

    def task_started(self, runner: str) -> None:
        """See Meter."""
        self._tasks_started.labels(*self._bounded("tasks_started", runner)).inc()

    def task_ended(self, runner: str, outcome: str) -> None:
        """See Meter."""
        self._tasks_ended.labels(*self._bounded("tasks_ended", runner, outcome)).inc()

    def queued(self, tasks: int, workers: int) -> None:
        """See Meter."""
        self._offers.set(tasks)
        self._workers.set(workers)

    def http_called(self, outcome: str, seconds: float) -> None:
        """See Meter."""
        self._calls.labels(*self._bounded("calls", outcome)).observe(seconds)

    def api_called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """See Meter."""
        verb, resource, code_text = self._bounded("api", verb, resource, str(code))
        self._api.labels(verb, resource, code_text).inc()
        self._api_seconds.labels(verb).observe(seconds)

    def watch_restarted(self, resource: str, reason: str) -> None:
        """See Meter."""
        self._watches.labels(*self._bounded("watches", resource, reason)).inc()

    def swept(self, seconds: float) -> None:
        """See Meter."""
        self._sweeps.observe(seconds)

    def leading(self, held: bool) -> None:
        """See Meter."""
        self._leading.set(1 if held else 0)
        self._changes.labels("held" if held else "lost").inc()

    def event_dropped(self) -> None:
        """See Meter."""
        self._dropped.inc()

    def failed(self, where: str) -> None:
        """See Meter."""
        self._errors.labels(*self._bounded("errors", where)).inc()
