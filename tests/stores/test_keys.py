"""The Secret with the keys of task tokens, in a simulated cluster."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treadle.engine.events import TaskId
from treadle.kube.kinds import SECRETS
from treadle.runtime.ports import Attempt, ExecutionKey, Unavailable
from treadle.sim import clock
from treadle.sim.api import SimApi
from treadle.sim.cluster import SimCluster
from treadle.stores.keys import AGAIN_SECONDS, TokenKeys

KEY, TASK = ExecutionKey("default", "e", "uid-1"), TaskId(0, 1, 1)


class Line(SimApi):
    """A client that counts its reads."""

    reads = 0

    async def get(self, *what: Any) -> Any:
        self.reads += 1
        return await super().get(*what)


class World:
    def __init__(self) -> None:
        self.cluster = SimCluster(seed=1)
        self.people = SimApi(self.cluster)

    def keys(self) -> TokenKeys:
        self.line = Line(self.cluster, who="operator")
        return TokenKeys(self.line, "default", "keys")

    async def secret(self) -> Any:
        return await self.people.get(SECRETS, "default", "keys")

    async def change(self, **data: str | None) -> None:
        packed = {
            name: None if text is None else base64.b64encode(text.encode()).decode()
            for name, text in data.items()
        }
        await self.people.patch(SECRETS, "default", "keys", {"data": packed})


def play(scene: Callable[[World], Awaitable[None]]) -> None:
    async def act() -> None:
        await scene(World())

    clock.run(act())


def test_two_processes_that_start_at_once_have_the_same_key() -> None:
    async def scene(world: World) -> None:
        one, two = world.keys(), world.keys()
        await asyncio.gather(one.open(), two.open())
        assert one.issue(KEY, TASK) == two.issue(KEY, TASK)
        assert await two.read(one.issue(KEY, TASK)) == Attempt(KEY, TASK)

    play(scene)


def test_a_later_process_makes_no_other_key() -> None:
    async def scene(world: World) -> None:
        one = world.keys()
        await one.open()
        before = await world.secret()
        two = world.keys()
        await two.open()
        assert await world.secret() == before
        assert two.issue(KEY, TASK) == one.issue(KEY, TASK)

    play(scene)


def test_before_the_key_is_known_there_is_no_token() -> None:
    async def scene(world: World) -> None:
        with pytest.raises(Unavailable, match="not read yet"):
            world.keys().issue(KEY, TASK)

    play(scene)


def test_a_rotated_key_is_taken_up_when_a_token_of_it_comes() -> None:
    async def scene(world: World) -> None:
        here, there = world.keys(), world.keys()
        await here.open()
        old = here.issue(KEY, TASK)
        await world.change(current="new", new="n" * 32)
        await there.open()
        new = there.issue(KEY, TASK)
        assert new.startswith("new.")
        assert await here.read(new) is None, "it was read just now"
        await asyncio.sleep(AGAIN_SECONDS)
        assert await here.read(new) == Attempt(KEY, TASK)
        assert await here.read(old) == Attempt(KEY, TASK)
        assert here.issue(KEY, TASK) == new

    play(scene)


def test_tokens_of_unknown_keys_do_not_let_it_be_read_without_end() -> None:
    async def scene(world: World) -> None:
        here = world.keys()
        await here.open()
        await asyncio.sleep(AGAIN_SECONDS)
        before = world.line.reads
        found = await asyncio.gather(*(here.read(f"k{n}.W10.W10") for n in range(100)))
        assert found == [None] * 100
        assert world.line.reads == before + 1

    play(scene)


def test_while_no_key_is_known_no_token_is_called_none_of_ours() -> None:
    async def scene(world: World) -> None:
        there = world.keys()
        await there.open()
        await world.change(current="other")
        here = world.keys()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await here.read(there.issue(KEY, TASK))

    play(scene)


@pytest.mark.parametrize(
    "data",
    [
        {"current": None},
        {"current": "other"},
        {"current": "short", "short": "s" * 31},
        {"old": "s" * 31},
    ],
)
def test_a_secret_without_keys_is_said_to_be_one(data: dict[str, str | None]) -> None:
    async def scene(world: World) -> None:
        await world.keys().open()
        await world.change(**data)
        with pytest.raises(Unavailable, match="default/keys holds no keys"):
            await world.keys().open()

    play(scene)
