"""Time that runs ahead where nothing is under way."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from treadle.local.loops import VirtualLoop

DAY = 86_400


def test_a_long_sleep_costs_nothing() -> None:
    loop = VirtualLoop()

    async def sleep() -> timedelta:
        before = loop.now()
        await asyncio.sleep(90 * DAY)
        return loop.now() - before

    began, cpu = time.monotonic(), time.process_time()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        passed = runner.run(sleep())
    assert timedelta(days=90) <= passed < timedelta(days=90, seconds=5)
    assert time.monotonic() - began < 5
    assert time.process_time() - cpu < 0.2


def test_time_is_real_while_something_is_under_way() -> None:
    loop = VirtualLoop()

    async def sleep() -> tuple[float, float]:
        loop.busy = lambda: True
        began = time.monotonic()
        await asyncio.sleep(0.2)
        busy = time.monotonic() - began
        loop.busy = lambda: False
        began = time.monotonic()
        await asyncio.sleep(100)
        return busy, time.monotonic() - began

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        busy, idle = runner.run(sleep())
    assert busy >= 0.2
    assert idle < 10


def test_time_is_real_while_a_thread_works() -> None:
    loop = VirtualLoop()

    async def work() -> float:
        thread = asyncio.create_task(asyncio.to_thread(time.sleep, 0.3))
        await asyncio.sleep(0)
        began = time.monotonic()
        await asyncio.sleep(0.2)
        took = time.monotonic() - began
        await thread
        return took

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(work()) >= 0.2


def test_an_earlier_run_may_have_been_ahead() -> None:
    loop = VirtualLoop()
    ahead = datetime.now(UTC) + timedelta(days=3)
    loop.not_before(ahead)
    assert loop.now() >= ahead
    loop.not_before(ahead - timedelta(days=1))
    assert ahead <= loop.now() < ahead + timedelta(minutes=1)
    loop.close()


def test_a_hundred_years_are_the_end() -> None:
    loop, ends = VirtualLoop(), list[bool]()

    async def sleep() -> None:
        ended = asyncio.Event()

        def end() -> None:
            ends.append(True)
            ended.set()

        loop.at_end = end
        await asyncio.sleep(99 * 366 * DAY)
        assert not loop.is_over
        later = asyncio.create_task(asyncio.sleep(2 * 366 * DAY))
        await ended.wait()
        assert loop.is_over
        began = time.monotonic()
        await asyncio.sleep(0.1)  # time is real now
        assert time.monotonic() - began >= 0.05
        later.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(sleep())
    assert ends == [True]
