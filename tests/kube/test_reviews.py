"""Who somebody is and what they may do: asked once, believed for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tests.support.reviewers import Reviewer
from treadle.kube import reviews
from treadle.kube.kinds import ACTIVITIES
from treadle.kube.reviews import Reviews, User
from treadle.runtime.ports import Unavailable
from treadle.sim import clock

NAME = "system:serviceaccount:shop:packer"
ANN = User(NAME, "u", ("system:serviceaccounts",))


def play(scene: Callable[[Reviewer, Reviews], Awaitable[None]]) -> None:
    async def act() -> None:
        server = Reviewer()
        server.known["good"] = NAME
        server.rights.add((NAME, "work", "shop", "pack"))
        await scene(server, Reviews(cast(Any, server)))

    clock.run(act())


def may(asked: Reviews, name: str = "pack") -> Awaitable[bool]:
    return asked.may(ANN, "work", ACTIVITIES, "shop", name)


def test_a_token_is_somebodys_or_nobodys() -> None:
    async def scene(_: Reviewer, asked: Reviews) -> None:
        assert await asked.user("good") == ANN
        assert await asked.user("bad") is None
        assert ANN.namespace == "shop"
        assert User("ann@example.com", "", ()).namespace == ""

    play(scene)


def test_a_token_for_others_is_not_taken() -> None:
    async def scene(server: Reviewer, asked: Reviews) -> None:
        server.audiences = ["https://kubernetes.default.svc"]
        assert await asked.user("good") is None

    play(scene)


def test_an_answer_is_kept_for_a_while_and_a_refusal_for_less() -> None:
    async def scene(server: Reviewer, asked: Reviews) -> None:
        for _ in range(3):
            assert await asked.user("good") == ANN
            assert await asked.user("bad") is None
            assert await may(asked)
            assert not await may(asked, "other")
        assert len(server.asked) == 4
        await asyncio.sleep(reviews.REFUSED_SECONDS)
        server.known["bad"] = NAME
        server.rights.add((NAME, "work", "shop", "other"))
        assert await asked.user("bad") == ANN
        assert await may(asked, "other")
        assert await asked.user("good") == ANN
        assert len(server.asked) == 6
        await asyncio.sleep(reviews.KNOWN_SECONDS)
        server.known.clear()
        server.rights.clear()
        assert await asked.user("good") is None
        assert not await may(asked)

    play(scene)


def test_a_crowd_with_one_token_asks_a_few_times() -> None:
    async def scene(server: Reviewer, asked: Reviews) -> None:
        server.open.clear()
        crowd = [asyncio.create_task(asked.user("good")) for _ in range(1_000)]
        await asyncio.sleep(1)
        server.open.set()
        assert set(await asyncio.gather(*crowd)) == {ANN}
        assert len(server.asked) <= reviews.ASKED_MAX

    play(scene)


def test_of_too_many_answers_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "KEPT_MAX", 2)

    async def scene(server: Reviewer, asked: Reviews) -> None:
        for token in ("good", "a", "b", "good"):
            await asked.user(token)
        assert len(server.asked) == 4

    play(scene)


def test_no_answer_is_not_kept() -> None:
    async def scene(server: Reviewer, asked: Reviews) -> None:
        server.fault = Unavailable("away")
        for ask in (lambda: asked.user("good"), lambda: may(asked)):
            with pytest.raises(Unavailable):
                await cast(Any, ask)()
        server.fault = None
        assert await asked.user("good") == ANN
        assert await may(asked)

    play(scene)
