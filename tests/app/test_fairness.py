"""Threads are given first to whoever took least of late."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treadle.app.fairness import HALF_LIFE_SECONDS, Fair
from treadle.runtime.ports import Payer
from treadle.sim import clock

QUICK, SLOW, OTHER = Payer("a", "quick"), Payer("a", "slow"), Payer("b", "other")


class Works:
    """Stands for threads: each work says its name, and how many virtual seconds it takes."""

    def __init__(self) -> None:
        self.order: list[str] = []

    async def __call__(self, work: Callable[[], Any]) -> None:
        name, seconds = work()
        self.order.append(name)
        await asyncio.sleep(seconds)


def play(scene: Callable[[Works, Fair], Awaitable[None]], threads: int = 1) -> None:
    async def act() -> None:
        works = Works()
        await scene(works, Fair(works, threads))

    clock.run(act())


def work(name: str, seconds: float) -> Callable[[], tuple[str, float]]:
    return lambda: (name, seconds)


async def each(*asked: Awaitable[Any]) -> None:
    await asyncio.gather(*asked)


def test_who_took_least_is_served_first() -> None:
    async def scene(works: Works, fair: Fair) -> None:
        await fair(work("s", 1.5), SLOW)
        await fair(work("q", 0.01), QUICK)
        await each(
            *(fair(work(f"s{n}", 1.5), SLOW) for n in range(5)),
            fair(work("q1", 0.01), QUICK),
            fair(work("q2", 0.01), QUICK),
            fair(work("o", 0.01), OTHER),
        )
        # The thread was free when the first came.
        assert works.order[2:6] == ["s0", "o", "q1", "q2"]

    play(scene)


def test_what_was_taken_long_ago_counts_no_more() -> None:
    async def scene(works: Works, fair: Fair) -> None:
        await fair(work("s", 1.5), SLOW)
        await asyncio.sleep(20 * HALF_LIFE_SECONDS)  # virtual seconds
        await fair(work("q", 0.01), QUICK)
        blocked = asyncio.create_task(fair(work("x", 1.0), OTHER))
        await asyncio.sleep(0)  # what was begun has its turn: it is at work, or waits
        await each(fair(work("q1", 0.01), QUICK), fair(work("s1", 0.01), SLOW), blocked)
        assert works.order[-2:] == ["s1", "q1"]

    play(scene)


def test_several_threads_work_at_once() -> None:
    async def scene(works: Works, fair: Fair) -> None:
        began_at = asyncio.get_running_loop().time()
        await each(*(fair(work(str(n), 1.0), SLOW) for n in range(4)))
        assert asyncio.get_running_loop().time() - began_at == pytest.approx(2.0)

    play(scene, threads=2)


def test_who_goes_away_while_it_waits_takes_no_thread() -> None:
    async def scene(works: Works, fair: Fair) -> None:
        first = asyncio.create_task(fair(work("first", 1.0), SLOW))
        await asyncio.sleep(0)  # what was begun has its turn: it is at work, or waits
        gone = asyncio.create_task(fair(work("gone", 1.0), QUICK))
        last = asyncio.create_task(fair(work("last", 1.0), OTHER))
        await asyncio.sleep(0)  # what was begun has its turn: it is at work, or waits
        gone.cancel()
        await each(first, last)
        await fair(work("after", 1.0), SLOW)
        assert works.order == ["first", "last", "after"]

    play(scene)


def test_who_goes_away_at_its_turn_passes_it_on() -> None:
    async def scene(works: Works, fair: Fair) -> None:
        first = asyncio.create_task(fair(work("first", 1.0), SLOW))
        await asyncio.sleep(0)  # what was begun has its turn: it is at work, or waits
        gone = asyncio.create_task(fair(work("gone", 1.0), QUICK))
        last = asyncio.create_task(fair(work("last", 1.0), OTHER))
        await asyncio.sleep(0)  # what was begun has its turn: it is at work, or waits
        first.add_done_callback(lambda _: gone.cancel())
        await each(first, last)
        assert "last" in works.order

    play(scene)


def test_what_fails_gives_its_thread_back() -> None:
    def fails() -> Any:
        raise ValueError("no")

    async def scene(works: Works, fair: Fair) -> None:
        with pytest.raises(ValueError, match="no"):
            await fair(fails, SLOW)
        await fair(work("next", 1.0), SLOW)
        assert works.order == ["next"]

    play(scene)
