"""Each method of the meter is seen in its own metric."""

import inspect
from typing import Any

import pytest

from treadle.api.metrics import LABEL_VALUES_MAX, Metrics
from treadle.runtime.meter import Meter, NoMeter

CASES: list[tuple[str, tuple[Any, ...], dict[str, str], str]] = [
    ("started", (), {}, "treadle_executions_started_total"),
    ("ended", ("Failed",), {"phase": "Failed"}, "treadle_executions_ended_total"),
    ("redriven", (), {}, "treadle_executions_redriven_total"),
    ("parked", (), {}, "treadle_executions_parked_total"),
    ("turned", (0.2, 1), {}, "treadle_turn_seconds_count"),
    ("turned", (0.2, 1), {}, "treadle_turn_events_total"),
    ("saved", ("conflict",), {"outcome": "conflict"}, "treadle_saves_total"),
    ("held", (1, 7), {}, "treadle_executions_live"),
    ("held", (7, 1), {}, "treadle_queue_events"),
    ("task_started", ("job",), {"runner": "job"}, "treadle_tasks_started_total"),
    (
        "task_ended",
        ("http", "failed"),
        {"runner": "http", "outcome": "failed"},
        "treadle_tasks_ended_total",
    ),
    ("queued", (1, 7), {}, "treadle_activity_tasks"),
    ("queued", (7, 1), {}, "treadle_activity_workers"),
    ("http_called", ("2xx", 0.3), {"outcome": "2xx"}, "treadle_http_call_seconds_count"),
    (
        "api_called",
        ("create", "jobs", 409, 0.1),
        {"verb": "create", "resource": "jobs", "code": "409"},
        "treadle_api_requests_total",
    ),
    (
        "api_called",
        ("create", "jobs", 409, 0.1),
        {"verb": "create"},
        "treadle_api_request_seconds_count",
    ),
    (
        "watch_restarted",
        ("pods", "expired"),
        {"resource": "pods", "reason": "expired"},
        "treadle_watch_restarts_total",
    ),
    ("swept", (0.5,), {}, "treadle_sweep_seconds_count"),
    ("leading", (True,), {}, "treadle_lease_held"),
    ("leading", (False,), {"to": "lost"}, "treadle_lease_changes_total"),
    ("event_dropped", (), {}, "treadle_events_dropped_total"),
    ("failed", ("kube",), {"where": "kube"}, "treadle_errors_total"),
]


@pytest.mark.parametrize(("method", "arguments", "labels", "sample"), CASES)
def test_what_happens_is_counted(
    method: str, arguments: tuple[Any, ...], labels: dict[str, str], sample: str
) -> None:
    metrics = Metrics()
    getattr(metrics, method)(*arguments)
    assert metrics.registry.get_sample_value(sample, labels) == 1
    assert sample.encode() in metrics.text()
    getattr(NoMeter(), method)(*arguments)


def test_every_method_of_the_meter_is_tried_above() -> None:
    methods = {name for name, _ in inspect.getmembers(Meter, inspect.isfunction) if name[0] != "_"}
    assert methods == {case[0] for case in CASES}


def test_two_of_them_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.started()
    assert other.registry.get_sample_value("treadle_executions_started_total") == 0


def test_labels_do_not_grow_without_end() -> None:
    metrics = Metrics()
    for number in range(LABEL_VALUES_MAX + 10):
        metrics.task_started(f"runner-{number}")
    value = metrics.registry.get_sample_value
    assert value("treadle_tasks_started_total", {"runner": "other"}) == 10
    assert value("treadle_tasks_started_total", {"runner": "runner-0"}) == 1
