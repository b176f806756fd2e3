"""Lists and sweeps make up for what no event said, and pages that nobody needs are removed."""

import asyncio
from typing import Any

from tests.runtime.stage import A1, B1, JOB, NOTHING, ONE_TASK, TWO_TASKS, Stage, on_a_stage
from treadle.kube.kinds import PAGES

# ---------------------------------------------------------------------------- lists and sweeps


def test_a_list_shows_what_the_watch_missed() -> None:
    async def play(stage: Stage) -> None:
        await stage.apply_machine(NOTHING)
        stage.apply()
        stage.driver.open()
        stage.driver.compare(await stage.store.active([None]))
        await asyncio.sleep(1)
        assert stage.phase() == "Succeeded"

    on_a_stage(play)


def test_what_a_list_lacks_is_read() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        stage.remove()
        stage.driver.compare(await stage.store.active(["default"]))
        await asyncio.sleep(1)
        assert stage.hands.stopped == [A1]
        await stage.driver.sweep()
        assert stage.driver.known() == 0

    on_a_stage(play)


def test_what_a_list_lacks_though_it_is_there_goes_on() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(TWO_TASKS)
        stage.driver.compare([])
        await asyncio.sleep(1)
        assert (stage.hands.asked, stage.hands.stopped) == ([A1], [])
        stage.succeed(key)
        await asyncio.sleep(1)
        assert stage.hands.asked == [A1, B1]

    on_a_stage(play)


def test_what_a_list_lacks_because_another_process_ended_it_is_let_go() -> None:
    async def play(stage: Stage) -> None:
        key = await stage.running(ONE_TASK)
        other = Stage.__new__(Stage)
        other.__dict__.update(stage.__dict__)
        other.reborn()
        other.driver.open()
        other.see()
        await asyncio.sleep(0.5)
        other.succeed(key)
        await asyncio.sleep(0.5)
        assert stage.phase() == "Succeeded"
        stage.driver.compare(await stage.store.active([None]))
        await asyncio.sleep(1)
        await stage.driver.sweep()
        assert stage.driver.known() == 0
        assert stage.hands.stopped == [A1]

    on_a_stage(play)


def test_a_sweep_counts_what_is_in_hand() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        await stage.driver.sweep()
        assert stage.meter.told[-1] == ("held", 1, 0)

    on_a_stage(play)


def test_a_sweep_starts_what_no_event_did() -> None:
    async def play(stage: Stage) -> None:
        await stage.running(ONE_TASK)
        (run,) = stage.driver._runs.values()
        run.effects.clear()
        await stage.driver.sweep()
        await asyncio.sleep(0.5)
        assert stage.hands.asked == [A1, A1]

    on_a_stage(play)


# ------------------------------------------------------------------------------------- the pages


def test_pages_that_no_checkpoint_needs_are_removed_in_time() -> None:
    async def play(stage: Stage) -> None:
        from treadle.engine import snapshot

        normal = snapshot.CORE_BYTES_MAX
        snapshot.CORE_BYTES_MAX = 300  # type: ignore[misc]
        try:
            chain: dict[str, Any] = {
                f"s{n}": {"Type": "Wait", "Seconds": 30, "Next": f"s{n + 1}"} for n in range(20)
            }
            chain["s20"] = {"Type": "Succeed"}
            await stage.running({"StartAt": "s0", "States": chain})
            counts = []
            for _ in range(20):
                await asyncio.sleep(30)
                counts.append(
                    sum(p["spec"]["kind"] == "snapshot" for p in stage.objects.each(PAGES))
                )
            assert stage.phase() == "Succeeded"
            assert max(counts) <= 10
        finally:
            snapshot.CORE_BYTES_MAX = normal  # type: ignore[misc]

    on_a_stage(play)


def test_tidying_that_fails_is_made_up_for() -> None:
    async def play(stage: Stage) -> None:
        from treadle.engine import snapshot

        normal = snapshot.CORE_BYTES_MAX
        snapshot.CORE_BYTES_MAX = 300  # type: ignore[misc]
        try:
            stage.api.next("list", PAGES, "failed")
            states = {
                "A": {**JOB, "Next": "B"},
                "B": {**JOB, "Next": "C"},
                "C": {**JOB, "Next": "D"},
                "D": {**JOB, "End": True},
            }
            key = await stage.running({"StartAt": "A", "States": states})
            for _ in range(3):
                stage.succeed(key)
                await asyncio.sleep(1)
            assert stage.api.count("list", PAGES) == 1
            await asyncio.sleep(130)
            stage.succeed(key)
            await asyncio.sleep(1)
            assert stage.phase() == "Succeeded"
            assert stage.api.count("list", PAGES) == 2
        finally:
            snapshot.CORE_BYTES_MAX = normal  # type: ignore[misc]

    on_a_stage(play)
