"""Attempts that workers ask for: in which order, once each, and never before a save says so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.runtime.stage import Stage, on_a_stage
from treadle.app.identify import Identities
from treadle.asl.arns import Account
from treadle.asl.json import dumps, loads
from treadle.engine.events import TaskId, TaskSucceeded
from treadle.kube.informer import Informer
from treadle.kube.kinds import ACTIVITIES, EXECUTIONS
from treadle.runners import activities
from treadle.runners.activities import ActivityRunner, Handed, Place, TooManyPollers
from treadle.runtime.ports import Attempt, NotLeading

PACK = Place("default", "pack")
ACCOUNT = "1" * 12
ARN = f"arn:aws:states:us-east-1:{ACCOUNT}:activity:pack"
FOREIGN = "arn:aws:states:eu-west-1:999999999999:activity:Pack-Orders"


def asking(resource: str = "treadle:activity/pack", **members: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": resource, **members, "End": True}
    return {"StartAt": "A", "States": {"A": state}}


def many() -> dict[str, Any]:
    """One attempt after the other of three branches, a second apart."""
    branches = [
        {
            "StartAt": f"W{number}",
            "States": {
                f"W{number}": {"Type": "Wait", "Seconds": number, "Next": f"A{number}"},
                f"A{number}": {
                    "Type": "Task",
                    "Resource": "treadle:activity/pack",
                    "Parameters": {"n": number},
                    "End": True,
                },
            },
        }
        for number in (1, 2, 3)
    ]
    return {
        "StartAt": "P",
        "States": {"P": {"Type": "Parallel", "Branches": branches, "End": True}},
    }


class Shop:
    """A stage with an operator that hands out work."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.drawn = 0
        self.life: asyncio.Task[None] | None = None

    def open(self, *names: str) -> None:
        for name in names:
            self.make(name)
        self.live()

    def make(self, name: str, **spec: Any) -> None:
        activity = {"metadata": {"name": name}, **({"spec": spec} if spec else {})}
        self.stage.objects.create(ACTIVITIES, "default", activity)

    def live(self) -> None:
        """An operator that knows nothing yet; the one before is gone."""
        stage = self.stage
        if self.life is not None:
            self.life.cancel()
        view = Informer(stage.api, ACTIVITIES, indices=activities.INDICES)
        self.life = asyncio.create_task(view.run())
        self.runner = ActivityRunner(
            stage.api,
            view,
            Identities("us-east-1", ACCOUNT).of,
            lambda key, task: f"{key.name}/{'-'.join(map(str, task))}",
            stage.driver.answer,
            mailbox=stage.driver,
            clock=stage.now,
            draw=self.draw,
        )
        stage.driver.serve([self.runner])
        self.opening = asyncio.create_task(self.runner.open(self.settled))

    async def settled(self) -> None:
        if self.stage.objects.peek(EXECUTIONS, "default", "e") is not None:
            self.stage.see()
        await self.stage.driver.settled()

    def draw(self) -> str:
        self.drawn += 1
        return f"00000000-0000-4000-8000-{self.drawn:012d}"

    def takes_over(self) -> None:
        self.stage.reborn()
        self.live()
        self.stage.driver.open()
        self.stage.see()

    def worker(self, name: str = "w", place: Place = PACK) -> "asyncio.Task[Handed | None]":
        return asyncio.create_task(self.runner.poll(place, name))

    async def hangs_up(self) -> None:
        """A worker leaves when a save says that it has a task, and its answer is on the way."""
        gone = self.worker("gone")
        while self.waits_for() != ["task"]:
            await self.stage.passes(0.001)
        assert not gone.done()
        gone.cancel()

    async def gives(self, handed: Handed, value: Any = None) -> bool:
        task = TaskId(*map(int, handed.token.partition("/")[2].split("-")))
        done = TaskSucceeded(task, dumps(value), self.stage.now(), by_token=True)
        return await self.stage.driver.answer(self.stage.key, done)

    def waits_for(self) -> list[str]:
        return [place["waitsFor"] for place in self.stage.status().get("currentStates", ())]


def play(scene: Callable[[Shop, Stage], Awaitable[None]]) -> None:
    on_a_stage(lambda stage: scene(Shop(stage), stage))


# ------------------------------------------------------------------------------------ handing out


@pytest.mark.parametrize("resource", ["treadle:activity/pack", ARN])
def test_a_worker_is_given_the_input_and_says_how_it_ended(resource: str) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking(resource, Parameters={"n.$": "$.v"}))
        assert shop.waits_for() == ["worker"]
        handed = await shop.worker()
        assert handed == Handed("e/0-1-1", '{"n":1}')
        assert shop.waits_for() == ["task"]
        assert await shop.gives(handed, {"packed": True})
        assert loads(stage.status()["output"]) == {"packed": True}

    play(scene)


def test_who_waits_is_given_it_as_soon_as_there_is_something() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        first, second = shop.worker("one"), shop.worker("two")
        await stage.passes(10)
        assert not first.done()
        await stage.running(asking())
        assert first.done()
        assert not second.done(), "the first who came is the first"
        assert await second is None

    play(scene)


def test_nobody_is_held_longer_than_a_minute() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        began_at = stage.now()
        assert await shop.worker() is None
        assert (stage.now() - began_at).total_seconds() == activities.POLL_SECONDS

    play(scene)


def test_what_was_scheduled_first_is_handed_out_first_also_by_another_process() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(many())
        await stage.passes(5)
        one = await shop.worker()
        shop.takes_over()
        await stage.passes(1)
        two, three = await shop.worker(), await shop.worker()
        inputs = [each and loads(each.input)["n"] for each in (one, two, three)]
        assert inputs == [1, 2, 3]

    play(scene)


def test_a_process_that_takes_over_hands_out_nothing_before_it_knows_what_is_first() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        await stage.running_another("later")
        await stage.passes(1)
        stage.reborn()
        known = asyncio.Event()
        shop.settled = known.wait  # type: ignore[assignment,method-assign]
        shop.live()
        stage.driver.open()
        stage.see("later")
        await stage.passes(1)
        worker = shop.worker()
        stage.see()
        await stage.passes(1)
        assert not worker.done()
        known.set()
        handed = await worker
        assert handed is not None
        assert handed.token == "e/0-1-1"

    play(scene)


def test_it_does_not_wait_for_ever_for_that() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.settled = asyncio.Event().wait  # type: ignore[assignment,method-assign]
        shop.open("pack")
        await stage.running(asking())
        worker = shop.worker()
        await stage.passes(activities.SETTLE_SECONDS - 1)
        assert not worker.done()
        assert await worker is not None

    play(scene)


def test_what_a_worker_has_is_not_handed_out_again_by_another_process() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        handed = await shop.worker()
        assert handed is not None
        shop.takes_over()
        await stage.passes(1)
        assert await shop.worker() is None
        assert await shop.gives(handed, 7)
        assert stage.phase() == "Succeeded"

    play(scene)


def test_nobody_is_told_before_the_save() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        stage.api.next("update_status", EXECUTIONS, "failed")
        worker = shop.worker()
        await stage.passes(0.05)
        assert not worker.done()
        assert shop.waits_for() == ["worker"]
        assert await worker is not None
        assert shop.waits_for() == ["task"]

    play(scene)


def test_a_worker_whose_save_lost_its_answer_has_it_all_the_same() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        stage.api.next("update_status", EXECUTIONS, "lost")
        assert await shop.worker() is not None

    play(scene)


def test_two_processes_do_not_hand_out_the_same() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        old = shop.runner
        shop.takes_over()
        await stage.passes(1)
        theirs = asyncio.create_task(old.poll(PACK, "theirs", seconds=5))
        ours = shop.worker("ours")
        assert [await theirs is None, await ours is None].count(True) == 1

    play(scene)


# ------------------------------------------------------------------------------------- hanging up


def test_who_hangs_up_gives_the_place_back() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        gone, stays = shop.worker("gone"), shop.worker("stays")
        await stage.passes(1)
        gone.cancel()
        await stage.running(asking())
        assert await stays is not None

    play(scene)


def test_what_is_on_its_way_to_who_hung_up_is_another_workers() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        # The save does not happen; before it is tried again, nobody is there any more.
        stage.api.next("update_status", EXECUTIONS, "failed")
        gone = shop.worker("gone")
        await stage.passes(0.05)
        gone.cancel()
        await stage.passes(2)
        assert shop.waits_for() == ["worker"]
        assert await shop.worker("other") is not None

    play(scene)


@pytest.mark.parametrize("answer", ["ok", "lost"])
def test_what_was_saved_for_who_hung_up_is_the_next_ones(answer: str) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        if answer == "lost":
            stage.api.next("update_status", EXECUTIONS, "lost")
        await shop.hangs_up()
        await stage.passes(5)
        handed = await shop.worker("other")
        assert handed == Handed("e/0-1-1", '{"v":1}')
        assert await shop.worker("third") is None
        assert await shop.gives(handed)

    play(scene)


def test_what_was_saved_for_who_hung_up_is_lost_with_the_process_that_knows_it() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        retry = [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1}]
        await stage.running(asking(HeartbeatSeconds=30, Retry=retry))
        await shop.hangs_up()
        shop.takes_over()
        await stage.passes(5)
        assert shop.waits_for() == ["task"]
        handed = await shop.worker("other")
        assert handed == Handed("e/0-1-2", '{"v":1}')
        assert await shop.gives(handed)

    play(scene)


def test_who_hangs_up_before_reading_what_it_has_has_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        tell, workers = shop.runner._handed, [shop.worker("gone")]

        def hang_up(*told: Any) -> None:
            tell(*told)
            if workers:
                workers.pop().cancel()

        monkeypatch.setattr(shop.runner, "_handed", hang_up)
        await stage.passes(1)
        assert shop.waits_for() == ["task"]
        handed = await shop.worker("other")
        assert handed == Handed("e/0-1-1", '{"v":1}')
        assert await shop.gives(handed)

    play(scene)


@pytest.mark.parametrize("phase", ["Aborted", "Failed"])
def test_what_nobody_was_told_of_is_offered_no_longer_than_it_waits(phase: str) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        await shop.hangs_up()
        await stage.passes(1)
        if phase == "Aborted":
            stage.objects.patch(EXECUTIONS, "default", "e", {"spec": {"stop": {}}})
            stage.see()
        else:
            stage.cluster.remove(ACTIVITIES, PACK)
            await stage.passes(5)
            await shop.runner.sweep()
        await stage.passes(1)
        assert stage.phase() == phase
        assert list(shop.runner.existing(stage.key)) == []
        assert await shop.worker("other") is None

    play(scene)


# ----------------------------------------------------------------------------------- what is over


def test_who_waits_longer_than_a_save_takes_is_sent_away_and_nothing_is_lost() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        stage.api.next("update_status", EXECUTIONS, "failed", times=20)
        began_at = stage.now()
        assert await shop.worker() is None
        seconds = (stage.now() - began_at).total_seconds()
        assert seconds <= activities.POLL_SECONDS + activities.HANDING_SECONDS
        await stage.passes(60)
        assert shop.waits_for() == ["worker"]
        assert await shop.worker("other") is not None

    play(scene)


def test_what_is_over_is_handed_to_nobody_and_the_next_takes_its_place() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(many())
        await stage.passes(5)
        stage.change(stop={})
        stage.see()
        await stage.passes(1)
        assert stage.phase() == "Aborted"
        assert list(shop.runner.existing(stage.key)) == []
        assert await shop.worker() is None

    play(scene)


def test_a_process_that_is_behind_hands_out_nothing_that_is_over() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking(TimeoutSeconds=50))
        behind = shop.runner
        shop.takes_over()
        stage.change(stop={})
        stage.see()
        await stage.passes(1)
        assert await behind.poll(PACK, "late", seconds=5) is None

    play(scene)


def test_an_execution_that_is_parked_keeps_nobody_from_others() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        await stage.running_another("other")
        await stage.passes(1)
        first = next(run for key, run in stage.driver._runs.items() if key.name == "e")
        first.park("a test says so")
        handed = await shop.worker()
        assert handed is not None
        assert handed.token == "other/0-1-1"

    play(scene)


# --------------------------------------------------------------------------------- which activity


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ("treadle:activity/none", "there is no Activity none in the namespace default"),
        (
            f"arn:aws:states:us-east-1:{ACCOUNT}:activity:UPPER",
            "there is no Activity UPPER in the namespace default",
        ),
        (FOREIGN, "no Activity in the namespace default has this as its spec.arn"),
    ],
)
def test_an_activity_that_does_not_exist_fails_the_task(resource: str, said: str) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking(resource))
        assert stage.status()["error"] == "ActivityDoesNotExist"
        assert stage.status()["cause"] == f"Activity Does Not Exist: '{resource}': {said}"

    play(scene)


def test_one_that_the_view_does_not_show_yet_exists() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open()
        await stage.passes(1)
        assert shop.life is not None
        shop.life.cancel()
        shop.make("pack")
        shop.make("orders", arn=FOREIGN)
        await stage.running(asking())
        assert await shop.worker() is not None
        assert shop.runner.named_by(ARN, "default") == PACK
        await stage.apply_machine(asking(FOREIGN), "other")
        stage.apply("f", "other")
        stage.see("f")
        assert await shop.worker(place=Place("default", "orders")) is not None

    play(scene)


def test_an_arn_of_aws_is_known_where_an_activity_says_it() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.make("orders", arn=FOREIGN)
        shop.open("pack")
        await stage.running(asking(FOREIGN))
        place = shop.runner.named_by(FOREIGN, "elsewhere")
        assert place == Place("default", "orders")
        assert await shop.worker(place=place) is not None
        assert shop.runner.named_by(ARN, "elsewhere") == PACK
        assert shop.runner.named_by(ARN.replace("pack", "none"), "") is None

    play(scene)


def test_of_several_the_one_of_the_workers_namespace_is_meant() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.make("pack", arn=FOREIGN)
        for namespace in ("a", "z"):
            stage.objects.namespaces[namespace] = "Active"
            activity = {"metadata": {"name": "pack"}, "spec": {"arn": FOREIGN}}
            stage.objects.create(ACTIVITIES, namespace, activity)
        shop.open()
        await stage.passes(1)
        for arn in (ARN, FOREIGN):
            found = [shop.runner.named_by(arn, home) for home in ("z", "default", "")]
            assert [place and place.namespace for place in found] == ["z", "default", "a"]

    play(scene)


def test_nobody_takes_the_workers_of_another_by_saying_its_arn() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        accounts = {"default": ACCOUNT}
        stage.objects.namespaces["a"] = "Active"
        taken = {"metadata": {"name": "pack"}, "spec": {"arn": ARN}}
        stage.objects.create(ACTIVITIES, "a", taken)
        shop.open("pack")
        shop.runner._accounts = lambda each: Account("us-east-1", accounts.get(each, "2" * 12))
        await stage.passes(1)
        found = [shop.runner.named_by(ARN, home) for home in ("default", "elsewhere", "")]
        assert found == [PACK] * 3
        assert shop.runner.named_by(ARN, "a") == Place("a", "pack"), "its own worker may"

    play(scene)


def test_what_waits_fails_when_its_activity_has_gone() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack", "other")
        await stage.running(asking())
        await shop.runner.sweep()
        stage.cluster.remove(ACTIVITIES, ("default", "pack"))
        await stage.passes(1)
        await shop.runner.sweep()
        await stage.passes(1)
        assert stage.status()["error"] == "ActivityDoesNotExist"

    play(scene)


# ----------------------------------------------------------------------------------------- bounds


def test_there_are_not_more_workers_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "POLLERS_MAX", 2)

    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        held = [shop.worker(), shop.worker(place=Place("default", "other"))]
        await stage.passes(1)
        with pytest.raises(TooManyPollers):
            await shop.worker()
        held[1].cancel()
        await stage.passes(1)
        assert await shop.worker() is None

    play(scene)


def test_a_process_that_ends_sends_everybody_away_and_hands_out_nothing() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        held = shop.worker()
        await stage.passes(1)
        shop.runner.drain()
        assert await held is None
        await stage.running(asking())
        with pytest.raises(NotLeading):
            await shop.worker()
        assert shop.waits_for() == ["worker"]

    play(scene)


def test_nothing_is_kept_of_activities_that_nobody_asks_for() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        for number in range(3):
            assert await shop.worker(place=Place("default", f"none-{number}")) is None
        await stage.running(asking())
        handed = await shop.worker()
        assert handed is not None
        assert await shop.gives(handed)
        await stage.passes(1)
        assert shop.runner._queues == {}
        assert shop.runner._offers == {}

    play(scene)


def test_where_we_are_wrong_the_worker_waits_on() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        shop.runner._draw = lambda: 1 // 0  # type: ignore[assignment,return-value]
        worker = shop.worker()
        await stage.passes(1)
        shop.runner._draw = shop.draw
        assert await worker is not None

    play(scene)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "Pack", "a%2Fb", "-a", "a" * 254])
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open()
        await stage.passes(1)
        asked = stage.api.count("get", ACTIVITIES)
        assert not await shop.runner.exists(Place("default", name))
        assert not await shop.runner.exists(Place(name, "pack"))
        assert stage.api.count("get", ACTIVITIES) == asked

    play(scene)


def test_what_was_stopped_is_passed_over_wherever_it_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activities, "AGAIN_SECONDS", 1_000.0)

    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        key = await stage.running(asking())
        await stage.running_another("second")
        await stage.running_another("third")
        await stage.passes(1)
        runs = {run.key.name: run for run in stage.driver._runs.values()}
        runs["second"].park("a test says so")
        worker = shop.worker()
        # The first is over before anybody asks, the second rests: it could not be handed out.
        await shop.runner.stop(Attempt(key, TaskId(0, 1, 1)))
        handed = await worker
        assert handed is not None
        assert handed.token == "third/0-1-1"
        await shop.runner.stop(Attempt(runs["second"].key, TaskId(0, 1, 1)))
        assert shop.runner._offers == {}
        assert await shop.worker() is None

    play(scene)


def test_what_was_stopped_does_not_pile_up() -> None:
    async def scene(shop: Shop, stage: Stage) -> None:
        shop.open("pack")
        await stage.running(asking())
        order = shop.runner._offers[stage.key][TaskId(0, 1, 1)].order
        for number in range(2, 500):
            task = replace(order.task, id=TaskId(0, 1, number))
            await shop.runner.start(replace(order, task=task))
            await shop.runner.stop(Attempt(stage.key, task.id))
        assert len(shop.runner._queues[PACK].offers) <= 3
        assert await shop.worker() is not None

    play(scene)
