"""The virtual loop: no waiting, loud deadlocks, processes that die at an await."""

import asyncio
import time
from datetime import timedelta

import pytest

from treadle.sim import clock


def test_a_day_passes_at_once() -> None:
    async def world() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert clock.run(world()) == pytest.approx(86_400)
    assert time.perf_counter() - began < 5


def test_the_wall_clock_moves_with_virtual_time_and_can_be_ahead() -> None:
    async def world() -> None:
        await asyncio.sleep(90)
        assert clock.wall() == clock.BASE + timedelta(seconds=90)
        assert clock.wall(2.5) == clock.BASE + timedelta(seconds=92.5)

    clock.run(world())


def test_a_deadlock_is_an_error() -> None:
    async def world() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(clock.Deadlock):
        clock.run(world())


def test_timers_fire_in_their_order() -> None:
    seen: list[int] = []

    async def one(seconds: int) -> None:
        await asyncio.sleep(seconds)
        seen.append(seconds)

    async def world() -> None:
        await asyncio.gather(*(one(seconds) for seconds in (5, 1, 3, 2)))

    clock.run(world())
    assert seen == [1, 2, 3, 5]


def test_a_timeout_is_virtual() -> None:
    async def world() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert clock.run(world()) == pytest.approx(30)


def test_a_thread_is_a_call() -> None:
    async def world() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert clock.run(world()) == 7


def test_a_killed_process_runs_no_line_more() -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(2)
            seen.append("child went on")
        finally:
            seen.append("cleanup")

    async def parent() -> None:
        inner = asyncio.create_task(child())
        try:
            await inner
        except asyncio.CancelledError:
            seen.append("cancelled")
        seen.append("parent went on")

    async def world() -> list[str]:
        process = clock.Process("operator")
        process.start(parent())
        other = asyncio.create_task(asyncio.sleep(3))
        await asyncio.sleep(1)
        process.kill()
        await other
        await asyncio.sleep(60)
        return list(seen)

    assert clock.run(world()) == []


def test_a_process_can_kill_itself_at_an_await() -> None:
    seen: list[str] = []

    async def suicidal(process: clock.Process) -> None:
        seen.append("up to here")
        await process.end_here()
        seen.append("not this one")

    async def world() -> None:
        process = clock.Process("operator")
        process.start(suicidal(process))
        await asyncio.sleep(5)

    clock.run(world())
    assert seen == ["up to here"]


def test_what_others_answer_does_not_wake_the_dead() -> None:
    async def world() -> list[str]:
        seen: list[str] = []
        answer = asyncio.get_running_loop().create_future()
        process = clock.Process("operator")

        async def waits() -> None:
            await answer
            seen.append("woken")

        process.start(waits())
        await asyncio.sleep(1)
        answer.set_result(None)  # the callback is scheduled, and the process dies before it
        process.kill()
        await asyncio.sleep(1)
        return seen

    assert clock.run(world()) == []


# ------------------------------------------------------------------------------ frozen processes


def test_a_frozen_process_does_nothing_and_then_finds_its_timers_late() -> None:
    seen: list[float] = []

    async def ticking() -> None:
        while True:
            await asyncio.sleep(1)
            seen.append(clock.seconds())

    async def world() -> None:
        process = clock.Process("p")
        process.start(ticking())
        await asyncio.sleep(2.5)
        process.freeze(10)
        await asyncio.sleep(11.5)

    clock.run(world())
    assert seen == pytest.approx([1, 2, 12.5, 13.5])


def test_what_came_for_a_frozen_process_comes_before_its_timers() -> None:
    seen: list[str] = []

    async def waiting(answer: asyncio.Future[None]) -> None:
        await answer
        seen.append("answer")

    async def sleeping() -> None:
        await asyncio.sleep(2)
        seen.append("timer")

    async def both(answer: asyncio.Future[None]) -> None:
        await asyncio.gather(sleeping(), waiting(answer))

    async def world() -> None:
        answer = asyncio.get_running_loop().create_future()
        process = clock.Process("p")
        process.start(both(answer))
        await asyncio.sleep(1)
        process.freeze(10)
        await asyncio.sleep(5)
        answer.set_result(None)
        await asyncio.sleep(4)
        assert seen == []
        await asyncio.sleep(2)

    clock.run(world())
    assert seen == ["answer", "timer"]


def test_one_can_freeze_itself_and_others_go_on() -> None:
    seen: list[tuple[str, float]] = []

    async def life(process: clock.Process, freezes: bool) -> None:
        if freezes:
            process.freeze(3)
        for _ in range(2):
            await asyncio.sleep(1)
            seen.append((clock.process_name(), clock.seconds()))

    async def world() -> None:
        for name in ("a", "b"):
            process = clock.Process(name)
            process.start(life(process, name == "a"))
        await asyncio.sleep(10)
        assert clock.process_name() == ""

    clock.run(world())
    assert [name for name, _ in seen] == ["b", "b", "a", "a"]
    assert [at for _, at in seen] == pytest.approx([1, 2, 3, 4])


def test_a_frozen_process_can_be_killed() -> None:
    seen: list[float] = []

    async def one() -> None:
        await asyncio.sleep(1)
        seen.append(clock.seconds())

    async def world() -> None:
        process = clock.Process("p")
        process.start(one())
        await asyncio.sleep(0.5)
        process.freeze(5)
        process.kill()
        await asyncio.sleep(20)

    clock.run(world())
    assert seen == []
