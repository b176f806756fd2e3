"""The meter that counts nothing takes everything."""

from treadle.runtime.meter import Meter, NoMeter


def test_nothing_comes_of_what_is_not_counted() -> None:
    meter: Meter = NoMeter()
    for said in (
        meter.started(),
        meter.ended("Failed"),
        meter.parked(),
        meter.turned(0.1, 2),
        meter.saved("ok"),
        meter.held(1, 2),
        meter.task_started("job"),
        meter.task_ended("job", "failed"),
        meter.http_called("2xx", 0.1),
        meter.api_called("get", "jobs", 200, 0.1),
        meter.watch_restarted("jobs", "closed"),
        meter.swept(0.1),
        meter.leading(True),
        meter.event_dropped(),
        meter.failed("kube"),
    ):
        assert said is None
