"""Each piece of work is in the queue once and with one worker at a time."""

import asyncio

from treadle.runners.workqueue import WorkQueue


async def test_keys_come_in_the_order_of_their_first_put() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "abab":
        queue.put(key)
    assert len(queue) == 2
    assert [await queue.take(), await queue.take()] == ["a", "b"]


async def test_what_is_put_while_it_is_worked_on_comes_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put("a")
    assert await queue.take() == "a"
    queue.put("a")
    queue.put("b")
    assert await queue.take() == "b"
    queue.done("a")
    queue.done("b")
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_can_be_taken_out_of_turn_by_one_only() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put("a")
    assert queue.begin("a")
    assert not queue.begin("a")
    queue.done("a")
    assert await queue.take() == "a"


async def test_takers_wait_for_work() -> None:
    queue: WorkQueue[str] = WorkQueue()
    takers = [asyncio.create_task(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.put("a")
    queue.put("b")
    assert sorted(await asyncio.gather(*takers)) == ["a", "b"]


async def test_a_key_wakes_one_taker_only() -> None:
    queue: WorkQueue[str] = WorkQueue()
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.put("a")
    await asyncio.gather(*takers[:1])
    assert len(queue._takers) == 2
    for taker in takers[1:]:
        taker.cancel()


async def test_a_taker_that_is_cancelled_hands_its_key_on() -> None:
    queue: WorkQueue[str] = WorkQueue()
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    takers[0].cancel()
    await asyncio.sleep(0)
    queue.put("a")
    takers[1].cancel()
    assert await takers[2] == "a"
